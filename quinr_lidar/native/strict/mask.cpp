// Compiled like lanes.cpp, for the baseline only: what it computes steers the range coder.
#include "mask.hpp"

#include <stdexcept>

#include "adaptive.hpp"
#include "arithmetic.hpp"
#include "bits.hpp"
#include "mask_model.hpp"
#include "neighbours.hpp"

namespace quinr::strict {

namespace {

using namespace mask_model;

class MaskInputs {
   public:
    // The memory must outlive it; pixels not decoded yet may hold anything.
    MaskInputs(const std::uint8_t* mask, long height, long width)
        : mask_(mask), height_(height), width_(width),
          rows_(std::size_t(height * (inputs - row))) {
        for (long v = 0; v < height; ++v) set_row(v);
    }

    // 1 measured, 0 not, -1 outside. Columns wrap round to the right only.
    int pixel(long v, long u) const {
        if (v < 0 || u < 0) return -1;
        return mask_[v * width_ + u % width_];
    }

    long width() const { return width_; }

    void look(long v, long u, float* to, long stride) const {
        for (const Offset& offset : neighbours) {
            *to = float(pixel(v + offset.rows, u + offset.columns));
            to += stride;
        }
        const float* own = &rows_[std::size_t(v * (inputs - row))];
        for (int k = 0; k < inputs - row; ++k) to[k * stride] = own[k];
    }

   private:
    void set_row(long v) {
        float* to = &rows_[std::size_t(v * (inputs - row))];
        const float at = (2.0f * float(v) + 1.0f) / float(height_) - 1.0f;
        *to++ = at;
        for (float frequency : frequencies) {
            strict_sincos(at * frequency, to[0], to[1]);
            to += 2;
        }
    }

    const std::uint8_t* mask_;
    long height_, width_;
    std::vector<float> rows_;
};

// Corrections in the contexts of nearby pixels.
class MaskBits {
   public:
    template <class Bits>
    bool code(Bits& bits, const MaskInputs& around, long v, long u, long height, float logit,
              bool measured) {
        auto pattern = [&](std::initializer_list<Offset> offsets) {
            int number = 0;
            for (const Offset& o : offsets)
                number = number * 2 + (around.pixel(v + o.rows, u + o.columns) == 1);
            return number;
        };
        const int row = int(v * 64 / height);
        const int near = pattern({{0, -1}, {-1, 0}, {-1, -1}, {-1, 1}});
        const std::uint32_t p = model_.predict(
            to_nearest(256.0f * logit),
            {row * 16 + near,
             near * 256 + pattern({{0, -2}, {-2, 0}, {-1, 2}, {-1, -2}, {0, -3}, {-3, 0}, {-2, 1}, {-2, -1}}),
             pattern({{-1, 0}, {-2, 0}, {-3, 0}, {-4, 0}, {-5, 0}, {-6, 0}}) * 64 +
                 pattern({{0, -1}, {0, -2}, {0, -3}, {0, -4}, {0, -5}, {0, -6}}),
             int(u * 64 / around.width()) * 4 + near / 4},
            near);
        measured = bits.code(measured, p);
        model_.update(measured);
        return measured;
    }

   private:
    AdaptiveBit<4> model_{{64 * 16, 4096, 4096, 256}, 16};
};

template <class Bits> class MaskPass {
   public:
    MaskPass(const Model& model, long height, long width, std::uint8_t* mask, Bits& bits)
        : model_(model), height_(height), width_(width), mask_(mask), bits_(bits),
          workspace_(model.field), around_(mask, height, width),
          inputs_(static_cast<std::size_t>(inputs * max_batch)), logits_(max_batch) {}

    bool run(const Environment& environment) {
        bool sound = true;
        sweep(height_, width_, lag, [&](long v, long u, long count) {
            for (; count > 0 && sound; count -= max_batch) {
                const int now = int(count < max_batch ? count : max_batch);
                step(environment, v, u, now);
                v += now;
                u -= now * lag;
                sound = !bits_.exhausted();
            }
        });
        return sound;
    }

   private:
    void step(const Environment& environment, long v, long u, int count) {
        for (int k = 0; k < count; ++k)
            around_.look(v + k, u - k * lag, &inputs_[std::size_t(k)], max_batch);
        model_.field.evaluate(environment, model_.lanes,
                              {inputs_.data(), logits_.data(), max_batch, count}, workspace_);
        for (int k = 0; k < count; ++k, ++v, u -= lag) {
            std::uint8_t& pixel = mask_[v * width_ + u];
            const bool measured = code_.code(bits_, around_, v, u, height_, logits_[std::size_t(k)],
                                             !Bits::reads && pixel != 0);
            if (Bits::reads) pixel = measured;
        }
    }

    const Model& model_;
    long height_, width_;
    std::uint8_t* mask_;
    Bits& bits_;
    Workspace workspace_;
    MaskInputs around_;
    MaskBits code_;
    std::vector<float> inputs_, logits_;
};

// Not inlined, nor is fill(): the arithmetic belongs inside the environment that the caller has set.
template <class Bits>
__attribute__((noinline)) bool pass(const Environment& environment, const Model& model, long height,
                                    long width, std::uint8_t* mask, Bits& bits) {
    return MaskPass<Bits>(model, height, width, mask, bits).run(environment);
}

__attribute__((noinline)) void fill(const Environment&, const Image& image, float* to) {
    const MaskInputs around(image.mask, image.height, image.width);
    const long pixels = image.height * image.width;
    for (long p = 0; p < pixels; ++p) around.look(p / image.width, p % image.width, to + p, pixels);
}

}  // namespace

void check_mask_model(const Model& model) {
    if (model.field.inputs() != mask_model::inputs || model.field.outputs() != mask_model::outputs)
        throw std::invalid_argument("mask: the field has other inputs or outputs than this layer");
}

std::vector<std::uint8_t> encode_mask(const Model& model, const Image& image) {
    BitWriter bits;
    // An encoder changes none of it.
    auto* mask = const_cast<std::uint8_t*>(image.mask);
    pass(Environment(), model, image.height, image.width, mask, bits);
    return bits.finish();
}

bool decode_mask(const Model& model, long height, long width, const std::uint8_t* bytes,
                 std::size_t size, std::uint8_t* mask) {
    BitReader bits(bytes, size);
    return pass(Environment(), model, height, width, mask, bits);
}

void mask_inputs(const Image& image, float* to) { fill(Environment(), image, to); }

}  // namespace quinr::strict
