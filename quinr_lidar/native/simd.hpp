// Vectors of pixels. One instruction set a translation unit: QUINR_VECTOR_BYTES is set by the
// build, and everything here lives in an unnamed namespace, so that the linker never merges
// functions that were compiled for different machines.
#pragma once

#include <cstdint>

#ifndef QUINR_VECTOR_BYTES
#define QUINR_VECTOR_BYTES 16
#endif

#define QUINR_INLINE inline __attribute__((always_inline))

namespace {

template <class T> struct Simd;

template <> struct Simd<float> {
    typedef float V __attribute__((vector_size(QUINR_VECTOR_BYTES)));
    typedef std::int32_t Int __attribute__((vector_size(QUINR_VECTOR_BYTES)));
    static constexpr int lanes = QUINR_VECTOR_BYTES / 4;
    // Adding and taking off this number rounds to the nearest integer, left in the low bits.
    static constexpr float rounder = 12582912.0f;  // 1.5 * 2^23
    // pi / 2 in three parts, the first two short enough for exact products (Cody and Waite).
    static constexpr float half_pi[3] = {1.5703125f, 4.837512969970703125e-4f,
                                         7.54978995489188216e-8f};
    // Within it, the number of quarter turns times the first two parts is exact.
    static constexpr float limit = 8192.0f;
    static constexpr int terms = 3;
    static constexpr float sine[3] = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};
    static constexpr float cosine[3] = {2.443315711809948e-5f, -1.388731625493765e-3f,
                                        4.166664568298827e-2f};
};

template <> struct Simd<double> {
    typedef double V __attribute__((vector_size(QUINR_VECTOR_BYTES)));
    typedef std::int64_t Int __attribute__((vector_size(QUINR_VECTOR_BYTES)));
    static constexpr int lanes = QUINR_VECTOR_BYTES / 8;
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

template <class T> using VecOf = typename Simd<T>::V;

template <class T> QUINR_INLINE VecOf<T> broadcast(T value) { return VecOf<T>{} + value; }

// `count` numbers, `stride` apart; the other lanes are zero.
template <class T> QUINR_INLINE VecOf<T> gather(const T* from, long stride, int count) {
    VecOf<T> v{};
    for (int lane = 0; lane < count; ++lane) v[lane] = from[lane * stride];
    return v;
}

template <class T> QUINR_INLINE void scatter(VecOf<T> v, T* to, long stride, int count) {
    for (int lane = 0; lane < count; ++lane) to[lane * stride] = v[lane];
}

// Lanes next to each other in memory, at any alignment.
template <class T> QUINR_INLINE void store(VecOf<T> v, T* to, int count) {
    if (count == Simd<T>::lanes)
        __builtin_memcpy(to, &v, sizeof v);
    else
        scatter<T>(v, to, 1, count);
}

template <class T> QUINR_INLINE VecOf<T> clamp01(VecOf<T> v) {
    const VecOf<T> zero{}, one = broadcast<T>(1);
    v = v < zero ? zero : v;  // NaN stays, as comparisons with it are false
    return v > one ? one : v;
}

inline void library_sincos(float x, float& s, float& c) {
    s = __builtin_sinf(x);
    c = __builtin_cosf(x);
}
inline void library_sincos(double x, double& s, double& c) {
    s = __builtin_sin(x);
    c = __builtin_cos(x);
}

// Sine and cosine, with an error below 2 units in the last place. Minimax polynomials of Cephes
// (Moshier) on [-pi/4, pi/4]. Only good for arguments up to Simd<T>::limit: `largest` keeps the
// square of the largest one, for a test after many calls (a test of each would cost more than the
// polynomials). NaN gives NaN.
template <class T>
QUINR_INLINE void sincos(VecOf<T> x, VecOf<T>& sine, VecOf<T>& cosine, VecOf<T>& largest) {
    using S = Simd<T>;
    using V = VecOf<T>;
    using Int = typename S::Int;
    const V square = x * x;
    largest = square > largest ? square : largest;
    const V shifted = x * T(0.63661977236758134308) + S::rounder;
    Int turns;
    __builtin_memcpy(&turns, &shifted, sizeof turns);
    const V quarter = shifted - S::rounder;
    V r = x - quarter * S::half_pi[0];
    r = r - quarter * S::half_pi[1];
    r = r - quarter * S::half_pi[2];
    const V z = r * r;
    V s = broadcast<T>(S::sine[0]), c = broadcast<T>(S::cosine[0]);
    for (int k = 1; k < S::terms; ++k) {
        s = s * z + S::sine[k];
        c = c * z + S::cosine[k];
    }
    s = r + r * z * s;
    c = T(1) - T(0.5) * z + z * z * c;
    const Int swap = -(turns & 1);  // all bits set where the quarter turns are odd
    const V one_s = swap ? c : s, one_c = swap ? s : c;
    sine = (turns & 2) != 0 ? -one_s : one_s;
    cosine = ((turns + 1) & 2) != 0 ? -one_c : one_c;
}

// Whether the C library must take over.
template <class T> QUINR_INLINE bool beyond_limit(VecOf<T> largest) {
    bool beyond = false;
    for (int lane = 0; lane < Simd<T>::lanes; ++lane)
        beyond |= largest[lane] > Simd<T>::limit * Simd<T>::limit;
    return beyond;
}

// Sine and cosine of any arguments, slowly.
template <class T> inline void any_sincos(VecOf<T> x, VecOf<T>& sine, VecOf<T>& cosine) {
    for (int lane = 0; lane < Simd<T>::lanes; ++lane) {
        T s, c;
        library_sincos(x[lane], s, c);
        sine[lane] = s;
        cosine[lane] = c;
    }
}

template <class T> QUINR_INLINE double sum_of_lanes(VecOf<T> v) {
    double sum = 0;
    for (int lane = 0; lane < Simd<T>::lanes; ++lane) sum += double(v[lane]);
    return sum;
}

}  // namespace
