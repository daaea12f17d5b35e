// One pixel's distance from its centre as binary decisions. The mixture gives their probabilities,
// and what was seen before in the file corrects them. Only in translation units with strict arithmetic.
#pragma once

#include "adaptive.hpp"
#include "arithmetic.hpp"
#include "range_model.hpp"

namespace {

using quinr::strict::AdaptiveBit;

// 256 ln(one / zero) of two likelihoods that need not sum to 1.
inline int logit_of(float one, float zero) {
    Floats both = splat<Floats>(1.0f);
    both[0] = one;
    both[1] = zero;
    both = strict_log(both);
    return to_nearest(256.0f * (both[0] - both[1]));
}

inline float unit_of_differences(float step) {
    const float noise = quinr::strict::range_model::noise;
    return __builtin_sqrtf(step * step + noise * noise);  // IEEE 754 rounds it correctly
}

// A mixture of logistic distributions.
class Distribution {
   public:
    Distribution(const float* mean, const float* sharpness, const float* weight, long stride) {
        float highest = -1.0f;
        for (int k = 0; k < padded; ++k) {
            const bool real = k < components;
            mean_[k] = real ? mean[k * stride] : 0.0f;
            sharpness_[k] = real ? sharpness[k * stride] : 1.0f;
            weight_[k] = real ? weight[k * stride] : 0.0f;
            if (sharpness_[k] * weight_[k] > highest) {
                highest = sharpness_[k] * weight_[k];
                likeliest_ = mean_[k];
                sharpest_ = sharpness_[k];
            }
        }
    }

    // The integer nearest to the highest peak.
    std::int32_t centre() const { return to_nearest(likeliest_); }
    float sharpness() const { return sharpest_; }
    // Half octaves of the peak's sharpness, 0..31.
    int bucket() const {
        const int half_octaves = int(same_bits<std::int32_t>(sharpest_) >> 22) - 2 * 127 + 20;
        return half_octaves < 0 ? 0 : half_octaves > 31 ? 31 : half_octaves;
    }

    // Probability beyond `at`, upwards (direction 1) or downwards (-1); small ones are exact, too.
    float beyond(float at, float direction) const {
        Floats sum = splat<Floats>(0);
        for (int k = 0; k < padded; k += lane_count) {
            const Floats distance = load_lanes(mean_ + k) - at;
            sum = sum + load_lanes(weight_ + k) *
                            strict_sigmoid(distance * (load_lanes(sharpness_ + k) * direction));
        }
        float total = 0.0f;
        for (int lane = 0; lane < lane_count; ++lane) total = total + sum[lane];
        return total;
    }

   private:
    static constexpr int components = quinr::strict::range_model::components;
    static constexpr int padded = (components + lane_count - 1) / lane_count * lane_count;
    static_assert(lane_count == 4, "the order of the sum belongs to the format");
    float mean_[padded], sharpness_[padded], weight_[padded];
    float likeliest_ = 0.0f, sharpest_ = 1.0f;
};

// Where a pixel is, as far as corrections care.
struct SymbolPlace {
    int row;                      // 0..63
    std::int32_t left, up;        // errors of these neighbours
    int sharpness;                // 0..31
};

class Symbols {
   public:
    void place(const SymbolPlace& p) {
        activity_ = magnitude(p.left) * 2 + magnitude(p.up);
        activity_ = activity_ > 15 ? 15 : activity_;
        signs_ = (cut(p.left) + 2) * 5 + cut(p.up) + 2;
        row_ = p.row;
        sharpness_ = p.sharpness;
    }

    // The error, given (writing) or found (reading): is it zero, which sign, and then intervals of
    // growing width, halved until one number is left.
    template <class Bits>
    std::int64_t code(Bits& bits, const Distribution& d, std::int64_t error) {
        centre_ = float(d.centre());
        const float up = d.beyond(centre_ + 0.5f, 1.0f), down = d.beyond(centre_ - 0.5f, -1.0f);
        const float zero = 1.0f - (up + down);
        if (!decide(bits, error != 0, up + down, zero < 1e-7f ? 1e-7f : zero, 0)) return 0;
        const bool positive = decide(bits, error > 0, up, down, 1);
        direction_ = positive ? 1.0f : -1.0f;
        const std::int64_t size = magnitude_code(bits, d, error < 0 ? -error : error,
                                                 positive ? up : down);
        return positive ? size : -size;
    }

   private:
    static constexpr int unary_nodes = 14, first_unary = 2, first_half = first_unary + unary_nodes,
                         halves = 8, nodes = first_half + halves;
    static constexpr std::int64_t largest = std::int64_t(1) << 32;

    float tail(const Distribution& d, std::int64_t size) const {
        return d.beyond(centre_ + direction_ * (float(size) + 0.5f), direction_);
    }

    template <class Bits>
    std::int64_t magnitude_code(Bits& bits, const Distribution& d, std::int64_t size, float before) {
        std::int64_t width = 1, from = 1;
        while (width < 1 << 20 && float(width) * d.sharpness() < 0.5f) width *= 2;
        for (int node = 0;; ++node) {
            const std::int64_t last = from + width - 1;
            const float after = tail(d, last);
            const int number = first_unary + (node < unary_nodes ? node : unary_nodes - 1);
            if (last >= largest || !decide(bits, size > last, after, before - after, number))
                return halve(bits, d, size, {from, last}, {before, after}, node);
            from = last + 1;
            before = after;
            if (node >= 2) width *= 2;
        }
    }

    struct Span {
        std::int64_t first, last;
    };
    struct Tails {
        float before, after;  // of the span
    };

    template <class Bits>
    std::int64_t halve(Bits& bits, const Distribution& d, std::int64_t size, Span span, Tails tails,
                       int node) {
        const int number = first_half + (node < halves ? node : halves - 1);
        while (span.first < span.last) {
            const std::int64_t middle = span.first + (span.last - span.first) / 2;
            const float between = tail(d, middle);
            if (decide(bits, size > middle, between - tails.after, tails.before - between, number)) {
                span.first = middle + 1;
                tails.before = between;
            } else {
                span.last = middle;
                tails.after = between;
            }
        }
        return span.first;
    }

    // strict_log takes numbers that are not positive for the smallest one: two of them make 1/2.
    template <class Bits> bool decide(Bits& bits, bool bit, float one, float zero, int node) {
        const std::uint32_t p =
            model_.predict(logit_of(one, zero),
                           {node * 64 + row_, node * 16 + activity_, node * 25 + signs_,
                            node * 32 + sharpness_},
                           node * 4 + activity_ / 4);
        bit = bits.code(bit, p);
        model_.update(bit);
        return bit;
    }

    static int magnitude(std::int32_t e) {
        std::uint32_t size = e < 0 ? 0u - std::uint32_t(e) : std::uint32_t(e);
        int bits = 0;
        for (; size; size >>= 1) ++bits;
        return bits;
    }
    static int cut(std::int32_t e) { return e < -2 ? -2 : e > 2 ? 2 : e; }

    AdaptiveBit<4> model_{{nodes * 64, nodes * 16, nodes * 25, nodes * 32}, nodes * 4};
    int row_ = 0, activity_ = 0, signs_ = 0, sharpness_ = 0;
    float centre_ = 0.0f, direction_ = 1.0f;
};

}  // namespace
