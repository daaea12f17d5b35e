// Operations on the state vectors of one tile: as many pixels as a vector has lanes. Amplitude i
// of all pixels is the pair of vectors state[2 i] (real) and state[2 i + 1] (imaginary).
#pragma once

#include "simd.hpp"

namespace {

// The gate [[a, -conj(b)], [b, conj(a)]] of every pixel.
template <class V> struct Su2 {
    V ar, ai, br, bi;
};

template <class V> QUINR_INLINE Su2<V> adjoint(const Su2<V>& u) {
    return {u.ar, -u.ai, -u.br, -u.bi};
}

template <class V> struct Complex {
    V re, im;
};

template <class V> QUINR_INLINE Complex<V> load(const V* state, int i) {
    return {state[2 * i], state[2 * i + 1]};
}

template <class V> QUINR_INLINE void save(V* state, int i, const Complex<V>& x) {
    state[2 * i] = x.re;
    state[2 * i + 1] = x.im;
}

template <class V> QUINR_INLINE void rotate(const Su2<V>& u, Complex<V>& low, Complex<V>& high) {
    const Complex<V> l = low, h = high;
    low.re = u.ar * l.re - u.ai * l.im - u.br * h.re - u.bi * h.im;
    low.im = u.ar * l.im + u.ai * l.re - u.br * h.im + u.bi * h.re;
    high.re = u.br * l.re - u.bi * l.im + u.ar * h.re + u.ai * h.im;
    high.im = u.br * l.im + u.bi * l.re + u.ar * h.im - u.ai * h.re;
}

// What happens to amplitudes on their way through a step of a gate layer: the forward pass
// multiplies by the diagonal before the layer as it loads, the backward pass undoes that
// diagonal as it stores.
enum class Phase { none, on_load, undo_on_store };

template <Phase when, class T, class V>
QUINR_INLINE Complex<V> load_amplitude(const V* state, const T* phase, int i) {
    Complex<V> x = load(state, i);
    if constexpr (when == Phase::on_load) {
        const T c = phase[2 * i], s = phase[2 * i + 1];
        x = {x.re * c - x.im * s, x.im * c + x.re * s};
    }
    return x;
}

template <Phase when, class T, class V>
QUINR_INLINE void save_amplitude(V* state, const T* phase, int i, Complex<V> x) {
    if constexpr (when == Phase::undo_on_store) {
        const T c = phase[2 * i], s = phase[2 * i + 1];
        x = {x.re * c + x.im * s, x.im * c - x.re * s};
    }
    save(state, i, x);
}

// Gates u and v on neighbouring qubits at once, which halves the traffic of two single steps;
// u's qubit has bit value 2 * bit, v's has bit value `bit`.
template <Phase when, class T, class V>
QUINR_INLINE void apply_two(const V* from, V* to, const T* phase, Su2<V> u, Su2<V> v, int states,
                            int bit) {
    for (int high = 0; high < states; high += 4 * bit) {
        for (int i = high; i < high + bit; ++i) {
            auto x0 = load_amplitude<when>(from, phase, i);
            auto x1 = load_amplitude<when>(from, phase, i + bit);
            auto x2 = load_amplitude<when>(from, phase, i + 2 * bit);
            auto x3 = load_amplitude<when>(from, phase, i + 3 * bit);
            rotate(u, x0, x2);
            rotate(u, x1, x3);
            rotate(v, x0, x1);
            rotate(v, x2, x3);
            save_amplitude<when>(to, phase, i, x0);
            save_amplitude<when>(to, phase, i + bit, x1);
            save_amplitude<when>(to, phase, i + 2 * bit, x2);
            save_amplitude<when>(to, phase, i + 3 * bit, x3);
        }
    }
}

template <Phase when, class T, class V>
QUINR_INLINE void apply_one(const V* from, V* to, const T* phase, Su2<V> u, int states, int bit) {
    for (int high = 0; high < states; high += 2 * bit) {
        for (int i = high; i < high + bit; ++i) {
            auto x0 = load_amplitude<when>(from, phase, i);
            auto x1 = load_amplitude<when>(from, phase, i + bit);
            rotate(u, x0, x1);
            save_amplitude<when>(to, phase, i, x0);
            save_amplitude<when>(to, phase, i + bit, x1);
        }
    }
}

// Every qubit's gate on D `from`: one layer forward. `qubits` is a constant where this is inlined
// into specialised code.
template <class T, class V>
QUINR_INLINE void apply_layer(const Su2<V>* gates, const T* phase, const V* from, V* to,
                              int qubits) {
    const int states = 1 << qubits;
    if (qubits == 1) return apply_one<Phase::on_load>(from, to, phase, gates[0], states, 1);
    apply_two<Phase::on_load>(from, to, phase, gates[0], gates[1], states, states / 4);
    int q = 2;
    for (; q + 1 < qubits; q += 2)
        apply_two<Phase::none, T>(to, to, nullptr, gates[q], gates[q + 1], states,
                                  states >> (q + 2));
    if (q < qubits) apply_one<Phase::none, T>(to, to, nullptr, gates[q], states, 1);
}

// The adjoint of apply_layer, in place.
template <class T, class V>
QUINR_INLINE void undo_layer(const Su2<V>* gates, const T* phase, V* state, int qubits) {
    constexpr Phase last = Phase::undo_on_store;
    const int states = 1 << qubits;
    int q = 0;
    for (; q + 2 < qubits; q += 2)
        apply_two<Phase::none, T>(state, state, nullptr, adjoint(gates[q]), adjoint(gates[q + 1]),
                                  states, states >> (q + 2));
    if (q + 1 < qubits)
        apply_two<last>(state, state, phase, adjoint(gates[q]), adjoint(gates[q + 1]), states, 1);
    else
        apply_one<last>(state, state, phase, adjoint(gates[q]), states, 1);
}

// The gates on |0...0>.
template <class V> QUINR_INLINE void product_state(const Su2<V>* gates, V* state, int qubits) {
    save(state, 0, Complex<V>{gates[0].ar, gates[0].ai});
    save(state, 1, Complex<V>{gates[0].br, gates[0].bi});
    for (int q = 1; q < qubits; ++q) {
        const Su2<V> u = gates[q];
        // From the end, so that no amplitude is overwritten before it is read.
        for (int i = (1 << q) - 1; i >= 0; --i) {
            const auto x = load(state, i);
            save(state, 2 * i + 1,
                 Complex<V>{x.re * u.br - x.im * u.bi, x.re * u.bi + x.im * u.br});
            save(state, 2 * i,
                 Complex<V>{x.re * u.ar - x.im * u.ai, x.re * u.ai + x.im * u.ar});
        }
    }
}

// Im(conj(l) s) and Re(conj(l) s).
template <class V> QUINR_INLINE V imaginary(const Complex<V>& l, const Complex<V>& s) {
    return l.re * s.im - l.im * s.re;
}
template <class V> QUINR_INLINE V real(const Complex<V>& l, const Complex<V>& s) {
    return l.re * s.re + l.im * s.im;
}

// A gradient by the angles of rotations about x, y and z, inserted where it was taken.
template <class V> struct Torque {
    V x, y, z;
};

// One pair's share of x = Im <l| X |s> and y = Im <l| Y |s>.
template <class V>
QUINR_INLINE void add_pair(Torque<V>& even, Torque<V>& odd, const Complex<V>& l0,
                           const Complex<V>& l1, const Complex<V>& s0, const Complex<V>& s1) {
    // Two accumulators each: the chain of dependent additions is what takes time.
    even.x += l0.re * s1.im - l0.im * s1.re;
    odd.x += l1.re * s0.im - l1.im * s0.re;
    even.y += l1.re * s0.re + l1.im * s0.im;
    odd.y -= l0.re * s1.re + l0.im * s1.im;
}

// The x and y parts of every qubit's torque.
template <class V>
QUINR_INLINE void transverse_torques(const V* l, const V* s, Torque<V>* torque, int qubits) {
    const int states = 1 << qubits;
    int q = 0;
    for (; q + 1 < qubits; q += 2) {
        const int bit = states >> (q + 2);
        Torque<V> even_u{}, odd_u{}, even_v{}, odd_v{};
        for (int high = 0; high < states; high += 4 * bit) {
            for (int i = high; i < high + bit; ++i) {
                const auto l0 = load(l, i), l1 = load(l, i + bit);
                const auto l2 = load(l, i + 2 * bit), l3 = load(l, i + 3 * bit);
                const auto s0 = load(s, i), s1 = load(s, i + bit);
                const auto s2 = load(s, i + 2 * bit), s3 = load(s, i + 3 * bit);
                add_pair(even_u, odd_u, l0, l2, s0, s2);
                add_pair(even_v, odd_v, l0, l1, s0, s1);
                add_pair(even_u, odd_u, l1, l3, s1, s3);
                add_pair(even_v, odd_v, l2, l3, s2, s3);
            }
        }
        torque[q] = {even_u.x + odd_u.x, even_u.y + odd_u.y, V{}};
        torque[q + 1] = {even_v.x + odd_v.x, even_v.y + odd_v.y, V{}};
    }
    if (q < qubits) {
        Torque<V> even{}, odd{};
        for (int i = 0; i < states; i += 2)
            add_pair(even, odd, load(l, i), load(l, i + 1), load(s, i), load(s, i + 1));
        torque[q] = {even.x + odd.x, even.y + odd.y, V{}};
    }
}

// The z parts from w[i] = Im(conj(l_i) s_i), whose array is used up.
template <class V> QUINR_INLINE void axial_torques(V* w, Torque<V>* torque, int qubits) {
    for (int q = qubits - 1; q >= 0; --q) {
        V even{}, odd{};
        for (int i = 0; i < (1 << q); ++i) {
            const V low = w[2 * i], high = w[2 * i + 1];
            (i & 1 ? odd : even) += low - high;
            w[i] = low + high;
        }
        torque[q].z = even + odd;
    }
}

}  // namespace
