// Elementary functions with the same bits on every machine: + - * /, comparisons and moves of
// bits, each lane in the order written here. IEEE 754 leaves no choice about any of them.
//
// Templates over V: a vector of floats, a float or (strict_sincos only) a double. Everything is
// inlined and in an unnamed namespace, for the same reason as simd.hpp. NaN and infinity become
// finite numbers before anything depends on them, because machines differ in NaN's sign. The long
// names keep a call with a scalar from meaning the C library's function.
#pragma once

#include <cfloat>
#include <cstdint>

#if !defined(QUINR_STRICT)
#error "strict arithmetic: compile with -DQUINR_STRICT -ffp-contract=off, see CMakeLists.txt"
#endif
#if defined(__FAST_MATH__)
#error "strict arithmetic: not with -ffast-math"
#endif
#ifndef QUINR_VECTOR_BYTES
#define QUINR_VECTOR_BYTES 16
#endif
#ifndef QUINR_INLINE
#define QUINR_INLINE inline __attribute__((always_inline))
#endif

namespace {

static_assert(FLT_EVAL_METHOD == 0, "intermediate results must not be wider than their type");

typedef float Floats __attribute__((vector_size(QUINR_VECTOR_BYTES)));
typedef std::int32_t Ints __attribute__((vector_size(QUINR_VECTOR_BYTES)));
constexpr int lane_count = QUINR_VECTOR_BYTES / 4;

template <class V> struct Lane;

template <> struct Lane<float> {
    using Element = float;
    using Int = std::int32_t;
    // Adding and taking off this number rounds to the nearest integer, left in the low bits.
    static constexpr float rounder = 12582912.0f;  // 1.5 * 2^23
    // pi / 2 in three parts; up to the limit, quarter turns times the first two are exact.
    static constexpr float half_pi[3] = {1.5703125f, 4.837512969970703125e-4f,
                                         7.54978995489188216e-8f};
    static constexpr float limit = 8192.0f;
    static constexpr int terms = 3;
    // Minimax polynomials of Cephes (Moshier) on [-pi/4, pi/4].
    static constexpr float sine[3] = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};
    static constexpr float cosine[3] = {2.443315711809948e-5f, -1.388731625493765e-3f,
                                        4.166664568298827e-2f};
};

template <> struct Lane<double> {
    using Element = double;
    using Int = std::int64_t;
    static constexpr double rounder = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double half_pi[3] = {1.57079625129699707031, 7.54978941586159635335e-8,
                                          5.39030252995776476554e-15};
    static constexpr double limit = 1e6;
    static constexpr int terms = 6;
    static constexpr double sine[6] = {1.58962301576546568060e-10, -2.50507477628578072866e-8,
                                       2.75573136213857245213e-6,  -1.98412698295895385996e-4,
                                       8.33333333332211858878e-3,  -1.66666666666666307295e-1};
    static constexpr double cosine[6] = {-1.13585365213876817300e-11, 2.08757008419747316778e-9,
                                         -2.75573141792967388112e-7,  2.48015872888517045348e-5,
                                         -1.38888888888730564116e-3,  4.16666666666665929218e-2};
};

template <> struct Lane<Floats> : Lane<float> {
    using Int = Ints;
};

template <class V> using IntOf = typename Lane<V>::Int;

template <class V> QUINR_INLINE V splat(typename Lane<V>::Element value) { return V{} + value; }

template <class To, class From> QUINR_INLINE To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "bits are moved, not converted");
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}

// Lanes next to each other in memory, at any alignment.
QUINR_INLINE Floats load_lanes(const float* from) {
    Floats v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}
QUINR_INLINE void store_lanes(Floats v, float* to) { __builtin_memcpy(to, &v, sizeof v); }

// NaN becomes `high`, as comparisons with it are false. Neither limit may be 0, whose sign
// compilers need not treat alike.
template <class V>
QUINR_INLINE V clamp(V x, typename Lane<V>::Element low, typename Lane<V>::Element high) {
    const V l = splat<V>(low), h = splat<V>(high);
    // Adding 0 makes a signalling NaN a quiet one: Clang on arm64 turns the comparisons into
    // instructions to which these are not the same.
    x = x + typename Lane<V>::Element(0);
    x = x < h ? x : h;
    return x > l ? x : l;
}

template <class V> QUINR_INLINE V absolute(V x) { return x < splat<V>(0) ? -x : x; }

// The nearest integer, even at ties, of numbers clamped to +-2^21.
template <class V> QUINR_INLINE IntOf<V> to_nearest(V x) {
    const V shifted = clamp(x, -2097152.0f, 2097152.0f) + Lane<V>::rounder;
    return same_bits<IntOf<V>>(shifted) - same_bits<std::int32_t>(Lane<float>::rounder);
}

// Exact up to +-2^24.
QUINR_INLINE float to_real(std::int32_t i) { return float(i); }
QUINR_INLINE Floats to_real(Ints i) { return __builtin_convertvector(i, Floats); }

// Errors below 2 units in the last place of 1 for arguments up to Lane<V>::limit; larger ones count
// as the limit.
template <class V> QUINR_INLINE void strict_sincos(V x, V& sine, V& cosine) {
    using L = Lane<V>;
    using T = typename L::Element;
    x = clamp(x, -L::limit, L::limit);
    const V shifted = x * T(0.63661977236758134308) + L::rounder;
    const auto turns = same_bits<IntOf<V>>(shifted);
    const V quarter = shifted - L::rounder;
    V r = x - quarter * L::half_pi[0];
    r = r - quarter * L::half_pi[1];
    r = r - quarter * L::half_pi[2];
    const V z = r * r;
    V s = splat<V>(L::sine[0]), c = splat<V>(L::cosine[0]);
    for (int k = 1; k < L::terms; ++k) {
        s = s * z + L::sine[k];
        c = c * z + L::cosine[k];
    }
    s = r + (r * z) * s;
    c = (T(1) - T(0.5) * z) + (z * z) * c;
    const V one_s = (turns & 1) != 0 ? c : s, one_c = (turns & 1) != 0 ? s : c;
    sine = (turns & 2) != 0 ? -one_s : one_s;
    cosine = ((turns + 1) & 2) != 0 ? -one_c : one_c;
}

template <class V> QUINR_INLINE V strict_sin(V x) {
    V s, c;
    strict_sincos(x, s, c);
    return s;
}

template <class V> QUINR_INLINE V strict_cos(V x) {
    V s, c;
    strict_sincos(x, s, c);
    return c;
}

// Of arguments clamped to [-87, 88], where the result is a normal number.
template <class V> QUINR_INLINE V strict_exp(V x) {
    x = clamp(x, -87.0f, 88.0f);
    const V shifted = x * 1.44269504088896341f + Lane<V>::rounder;
    const V k = shifted - Lane<V>::rounder;
    // ln 2 in two parts; k times the first is exact.
    V r = x - k * 0.693359375f;
    r = r - k * -2.12194440e-4f;
    V y = splat<V>(1.9875691500e-4f);
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = (y * (r * r) + r) + 1.0f;
    const auto power = same_bits<IntOf<V>>(shifted) - same_bits<std::int32_t>(Lane<float>::rounder);
    return y * same_bits<V>((power + 127) << 23);
}

// Natural logarithm of arguments clamped to the normal positive numbers.
template <class V> QUINR_INLINE V strict_log(V x) {
    const auto bits = same_bits<IntOf<V>>(clamp(x, FLT_MIN, FLT_MAX));
    // x = m 2^e with m in [sqrt(1/2), sqrt(2)), whose lower end has the bits taken off here.
    const auto above = bits - 0x3f3504f3;
    const V e = to_real(above >> 23);
    const V m = same_bits<V>(bits - (above & ~0x7fffff)) - 1.0f;
    const V z = m * m;
    V y = splat<V>(7.0376836292e-2f);
    y = y * m - 1.1514610310e-1f;
    y = y * m + 1.1676998740e-1f;
    y = y * m - 1.2420140846e-1f;
    y = y * m + 1.4249322787e-1f;
    y = y * m - 1.6668057665e-1f;
    y = y * m + 2.0000714765e-1f;
    y = y * m - 2.4999993993e-1f;
    y = y * m + 3.3333331174e-1f;
    y = (y * m) * z;
    y = y + e * -2.12194440e-4f;
    y = y - 0.5f * z;
    return (m + y) + e * 0.693359375f;
}

// 1 / (1 + exp(-x)), with a small relative error at both ends.
template <class V> QUINR_INLINE V strict_sigmoid(V x) {
    const V e = strict_exp(-absolute(x));
    return (x < splat<V>(0) ? e : splat<V>(1)) / (1.0f + e);
}

}  // namespace
