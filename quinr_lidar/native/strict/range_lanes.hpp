// In front of and behind the field of the ranges layer, for one instruction set: a table of causal
// neighbours becomes the field's inputs, its outputs become a mixture of logistic distributions.
#pragma once

#include "arithmetic.hpp"
#include "range_model.hpp"

namespace {

using quinr::strict::MixtureBatch;
using quinr::strict::RangeBatch;
namespace range_context = quinr::strict::range_context;
namespace range_model = quinr::strict::range_model;

QUINR_INLINE Ints load_ints(const std::int32_t* from) {
    Ints v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}

QUINR_INLINE Floats pick(Ints condition, Floats yes, Floats no) { return condition != 0 ? yes : no; }

// Inputs of the lanes at `at`: what range_model.hpp lists.
QUINR_INLINE void range_inputs_at(const RangeBatch& b, long at) {
    using namespace range_context;
    auto raw = [&](int k) { return load_ints(b.context + k * b.stride + at); };
    auto put = [&](int k, Floats v) { store_lanes(v, b.inputs + k * b.stride + at); };
    const Ints base = load_ints(b.base + at);
    const Floats step = load_lanes(b.step + at), unit = load_lanes(b.unit + at);
    const Floats scale = step / unit, none = splat<Floats>(0);
    for (int k = 0; k < neighbours; ++k) {
        const Ints q = raw(k), known = q != missing;
        const Floats x = pick(known, to_real(q - base) * scale, none), size = absolute(x);
        const Floats magnitude = strict_log(1.0f + size) * 0.25f;
        store_lanes(x, b.differences + k * b.stride + at);
        put(3 * k, x < none ? -magnitude : magnitude);
        put(3 * k + 1, x / (8.0f + size));
        put(3 * k + 2, pick(known, splat<Floats>(1), none));
    }
    put(range_model::row, to_real(raw(row)) * (1.0f / 32768.0f) - 1.0f);
    put(range_model::distance, strict_log(to_real(base) * step + 1.0f) - 2.0f);
    put(range_model::unit, strict_log(unit) + 2.0f);
    put(range_model::left_gap, strict_log(to_real(raw(left_gap)) + 1.0f) * 0.5f);
    put(range_model::up_gap, strict_log(to_real(raw(up_gap)) + 1.0f) * 0.5f);
    for (int k = 0; k < flag_count; ++k) put(range_model::flags + k, to_real(raw(flags + k)));
}

void range_inputs(const RangeBatch& batch, int count) {
    for (int at = 0; at < count; at += lane_count) range_inputs_at(batch, at);
}

// Where a mixture's components sit before the field moves them, in units of the differences.
QUINR_INLINE void centres(const Floats* x, Floats* to) {
    using namespace range_context;
    const float far = range_model::farthest_slope;
    const Floats none = splat<Floats>(0), up = x[straight_up];
    const Floats slope = clamp(up - x[straight_up - 1], -far, far);
    const Floats along = clamp(-x[second_left], -far, far);
    const Floats made[] = {none, slope, along, up, x[straight_up + 1], 0.5f * (slope + along),
                           x[second_up]};
    for (int k = 0; k < range_model::components; ++k) to[k] = k < 7 ? made[k] : none;
}

QUINR_INLINE void mixture_at(const MixtureBatch& b, long at) {
    using namespace range_model;
    Floats x[range_context::neighbours], centre[components];
    for (int j = 0; j < range_context::neighbours; ++j)
        x[j] = load_lanes(b.differences + j * b.stride + at);
    centres(x, centre);
    for (Floats& v : x) v = clamp(v, -farthest_linear, farthest_linear);
    auto output = [&](int k, int what) {
        return clamp(load_lanes(b.outputs + (3 * k + what) * b.stride + at), -1e6f, 1e6f);
    };
    Floats most = output(0, 2), total = splat<Floats>(0), weight[components];
    for (int k = 1; k < components; ++k) most = output(k, 2) > most ? output(k, 2) : most;
    for (int k = 0; k < components; ++k) {
        weight[k] = strict_exp(output(k, 2) - most);
        total = total + weight[k];
    }
    const Floats scale = load_lanes(b.step + at) / load_lanes(b.unit + at);
    for (int k = 0; k < components; ++k) {
        Floats mean = centre[k] + 2.0f * output(k, 0);
        for (int j = 0; j < range_context::neighbours; ++j)
            mean = mean + x[j] * b.linear[k * range_context::neighbours + j];
        const Floats narrow = strict_exp(-clamp(output(k, 1), smallest_log_scale, largest_log_scale));
        store_lanes(mean / scale, b.mean + k * b.stride + at);
        store_lanes(narrow * scale, b.sharpness + k * b.stride + at);
        store_lanes(weight[k] / total, b.weight + k * b.stride + at);
    }
}

void mixture(const MixtureBatch& batch, int count) {
    for (int at = 0; at < count; at += lane_count) mixture_at(batch, at);
}

}  // namespace
