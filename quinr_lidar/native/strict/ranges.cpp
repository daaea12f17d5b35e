// Compiled like lanes.cpp, for the baseline only: what it computes steers the range coder.
#include "ranges.hpp"

#include <algorithm>
#include <stdexcept>

#include "adaptive.hpp"
#include "bits.hpp"
#include "symbol.hpp"

namespace quinr::strict {

namespace {

// Scratch rows of one batch, `max_batch` pixels wide.
class RangeScratch {
   public:
    static constexpr long stride = max_batch;

    explicit RangeScratch(float step)
        : context(range_context::rows * stride), base(stride), steps_(stride, step),
          units_(stride, unit_of_differences(step)), differences_(range_context::neighbours * stride),
          inputs_(range_model::inputs * stride), outputs_(range_model::outputs * stride),
          mean(range_model::components * stride), sharpness(mean.size()), weight(mean.size()) {}

    void evaluate(const Environment& environment, const RangeModel& model, Workspace& workspace,
                  int count) {
        const RangeBatch before{context.data(), base.data(),         steps_.data(), units_.data(),
                                differences_.data(), inputs_.data(), stride};
        model.lanes.range_inputs(before, count);
        model.field.evaluate(environment, model.lanes,
                             {inputs_.data(), outputs_.data(), stride, count}, workspace);
        const MixtureBatch after{differences_.data(), outputs_.data(), model.linear.data(),
                                 steps_.data(),       units_.data(),   mean.data(),
                                 sharpness.data(),    weight.data(),   stride};
        model.lanes.mixture(after, count);
    }

    std::vector<std::int32_t> context, base;

   private:
    std::vector<float> steps_, units_, differences_, inputs_, outputs_;

   public:
    std::vector<float> mean, sharpness, weight;
};

template <class Bits> class RangesPass {
   public:
    RangesPass(const RangeModel& model, const Image& image, float step, std::int32_t* steps,
               Bits& bits)
        : model_(model), image_(image), steps_(steps), bits_(bits), workspace_(model.field),
          around_(image.mask, image.height, image.width), scratch_(step),
          errors_(static_cast<std::size_t>(image.height * image.width)),
          first_guess_(guess(step)) {}

    bool run(const Environment& environment) {
        bool sound = true;
        sweep(image_.height, image_.width, range_context::lag, [&](long v, long u, long count) {
            for (long k = 0; k < count && sound; ++k, ++v, u -= range_context::lag) {
                if (image_.mask[v * image_.width + u]) look(v, u);
                if (waiting_ == max_batch || (k == count - 1 && waiting_)) flush(environment);
                sound = !bits_.exhausted();
            }
        });
        return sound;
    }

   private:
    static std::int32_t guess(float step) {
        const double steps = double(range_model::first_guess) / double(step);
        return steps < most_steps ? std::int32_t(steps) : most_steps;
    }

    std::int32_t* column(int k) { return &scratch_.context[std::size_t(k)]; }

    void look(long v, long u) {
        using namespace range_context;
        std::int32_t* to = column(waiting_);
        around_.look(v, u, to, RangeScratch::stride);
        Place& place = places_[waiting_];
        place = {v * image_.width + u, to[0], to[straight_up * RangeScratch::stride]};
        for (int k = 0; k < neighbours; ++k) {
            std::int32_t& at = to[k * RangeScratch::stride];
            if (at != missing) at = steps_[at];
        }
        const std::int32_t left = to[0], up = to[straight_up * RangeScratch::stride];
        scratch_.base[std::size_t(waiting_)] = left != missing ? left
                                               : up != missing ? up
                                                               : first_guess_;
        ++waiting_;
    }

    void flush(const Environment& environment) {
        scratch_.evaluate(environment, model_, workspace_, waiting_);
        for (int k = 0; k < waiting_; ++k) code(k);
        waiting_ = 0;
    }

    void code(int k) {
        const Place& place = places_[k];
        const Distribution distribution(&scratch_.mean[std::size_t(k)],
                                        &scratch_.sharpness[std::size_t(k)],
                                        &scratch_.weight[std::size_t(k)], RangeScratch::stride);
        const std::int32_t base = scratch_.base[std::size_t(k)];
        const std::int32_t centre = base + distribution.centre();
        const std::int32_t row = column(k)[range_context::row * RangeScratch::stride];
        symbols_.place({row >> 10, error_at(place.left), error_at(place.up), distribution.bucket()});
        std::int32_t& steps = steps_[place.pixel];
        // Both lie within 2^31, so that their difference fits 64 bits only.
        const std::int64_t wanted = Bits::reads ? 0 : std::int64_t(steps) - centre;
        const std::int64_t error = symbols_.code(bits_, distribution, wanted);
        if (Bits::reads)
            steps = std::int32_t(std::clamp<std::int64_t>(centre + error, 0, most_steps));
        errors_[std::size_t(place.pixel)] =
            std::int32_t(std::clamp<std::int64_t>(error, -most_steps, most_steps));
    }

    std::int32_t error_at(std::int32_t pixel) const {
        return pixel == range_context::missing ? 0 : errors_[std::size_t(pixel)];
    }

    struct Place {
        long pixel;
        std::int32_t left, up;  // pixels
    };

    const RangeModel& model_;
    const Image image_;
    std::int32_t* steps_;
    Bits& bits_;
    Workspace workspace_;
    Neighbourhood around_;
    RangeScratch scratch_;
    Symbols symbols_;
    std::vector<std::int32_t> errors_;
    std::int32_t first_guess_;
    Place places_[max_batch];
    int waiting_ = 0;
};

// Not inlined: its arithmetic belongs inside the environment that the caller has set.
template <class Bits>
__attribute__((noinline)) bool pass(const Environment& environment, const RangeModel& model,
                                    const Image& image, float step, std::int32_t* steps,
                                    Bits& bits) {
    return RangesPass<Bits>(model, image, step, steps, bits).run(environment);
}

}  // namespace

void check_range_model(const RangeModel& model) {
    if (model.field.inputs() != range_model::inputs || model.field.outputs() != range_model::outputs)
        throw std::invalid_argument("ranges: the field has other inputs or outputs than this layer");
    if (model.linear.size() != std::size_t(range_model::components * range_context::neighbours))
        throw std::invalid_argument("linear: expected components x neighbours");
    for (float x : model.linear)
        if (!(x >= -1e6f && x <= 1e6f)) throw std::invalid_argument("linear: a value is too large");
}

std::vector<std::uint8_t> encode_ranges(const RangeModel& model, const Image& image, float step,
                                        const std::int32_t* steps) {
    BitWriter bits;
    // An encoder changes none of them.
    pass(Environment(), model, image, step, const_cast<std::int32_t*>(steps), bits);
    return bits.finish();
}

bool decode_ranges(const RangeModel& model, const Image& image, float step,
                   const std::uint8_t* bytes, std::size_t size, std::int32_t* steps) {
    BitReader bits(bytes, size);
    return pass(Environment(), model, image, step, steps, bits);
}

}  // namespace quinr::strict
