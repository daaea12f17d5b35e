// State vectors of as many pixels as a vector has lanes. Amplitude i of all of them is the pair of
// vectors state[2 i] (real) and state[2 i + 1] (imaginary). The arithmetic is part of the format of
// files, so it does not share tile.hpp, which may change.
#pragma once

#include "arithmetic.hpp"

namespace {

struct Amplitude {
    Floats re, im;
};

// The gate [[a, -conj(b)], [b, conj(a)]] of every pixel.
struct Su2 {
    Floats ar, ai, br, bi;

    QUINR_INLINE void operator()(Amplitude& low, Amplitude& high) const {
        const Amplitude l = low, h = high;
        low.re = ((ar * l.re - ai * l.im) - br * h.re) - bi * h.im;
        low.im = ((ar * l.im + ai * l.re) - br * h.im) + bi * h.re;
        high.re = ((br * l.re - bi * l.im) + ar * h.re) + ai * h.im;
        high.im = ((br * l.im + bi * l.re) + ar * h.im) - ai * h.re;
    }

    QUINR_INLINE void turn_x(Floats c, Floats s) {  // RX(t) after it
        *this = {c * ar + s * bi, c * ai - s * br, c * br + s * ai, c * bi - s * ar};
    }
    QUINR_INLINE void turn_z(Floats c, Floats s) {  // RZ(t) after it
        *this = {c * ar + s * ai, c * ai - s * ar, c * br - s * bi, c * bi + s * br};
    }
};

// RX of an angle that all pixels share.
struct SharedRx {
    Floats c, s;

    QUINR_INLINE void operator()(Amplitude& low, Amplitude& high) const {
        const Amplitude l = low, h = high;
        low = {c * l.re + s * h.im, c * l.im - s * h.re};
        high = {c * h.re + s * l.im, c * h.im - s * l.re};
    }
};

// The diagonal before a layer of gates, multiplied in by the first of its steps.
struct Diagonal {
    const float* phase;  // [states][2]

    QUINR_INLINE Amplitude operator()(const Floats* state, int i) const {
        const Floats re = state[2 * i], im = state[2 * i + 1];
        const float c = phase[2 * i], s = phase[2 * i + 1];
        return {re * c - im * s, im * c + re * s};
    }
};

struct Plain {
    QUINR_INLINE Amplitude operator()(const Floats* state, int i) const {
        return {state[2 * i], state[2 * i + 1]};
    }
};

QUINR_INLINE void save(Floats* state, int i, const Amplitude& x) {
    state[2 * i] = x.re;
    state[2 * i + 1] = x.im;
}

// Gates u and v on neighbouring qubits at once, which halves the traffic of two single steps;
// u's qubit has bit value 2 * bit, v's has bit value `bit`.
template <class G, class Load>
QUINR_INLINE void apply_two(Floats* state, Load load, G u, G v, int states, int bit) {
    for (int high = 0; high < states; high += 4 * bit) {
        for (int i = high; i < high + bit; ++i) {
            Amplitude x0 = load(state, i), x1 = load(state, i + bit);
            Amplitude x2 = load(state, i + 2 * bit), x3 = load(state, i + 3 * bit);
            u(x0, x2);
            u(x1, x3);
            v(x0, x1);
            v(x2, x3);
            save(state, i, x0);
            save(state, i + bit, x1);
            save(state, i + 2 * bit, x2);
            save(state, i + 3 * bit, x3);
        }
    }
}

template <class G, class Load>
QUINR_INLINE void apply_one(Floats* state, Load load, G u, int states) {
    for (int i = 0; i < states; i += 2) {
        Amplitude x0 = load(state, i), x1 = load(state, i + 1);
        u(x0, x1);
        save(state, i, x0);
        save(state, i + 1, x1);
    }
}

// A gate on every qubit of D `state`.
template <int Q, class G>
QUINR_INLINE void apply_layer(Floats* state, const float* phase, const G* gates) {
    constexpr int states = 1 << Q;
    if constexpr (Q == 1) {
        apply_one(state, Diagonal{phase}, gates[0], states);
    } else {
        apply_two(state, Diagonal{phase}, gates[0], gates[1], states, states / 4);
        for (int q = 2; q + 1 < Q; q += 2)
            apply_two(state, Plain{}, gates[q], gates[q + 1], states, states >> (q + 2));
        if constexpr (Q % 2 != 0) apply_one(state, Plain{}, gates[Q - 1], states);
    }
}

// The gates on |0...0>.
template <int Q> QUINR_INLINE void product_state(Floats* state, const Su2* gates) {
    save(state, 0, Amplitude{gates[0].ar, gates[0].ai});
    save(state, 1, Amplitude{gates[0].br, gates[0].bi});
    for (int q = 1; q < Q; ++q) {
        const Su2 u = gates[q];
        // From the end, so that no amplitude is overwritten before it is read.
        for (int i = (1 << q) - 1; i >= 0; --i) {
            const Floats re = state[2 * i], im = state[2 * i + 1];
            save(state, 2 * i + 1, Amplitude{re * u.br - im * u.bi, re * u.bi + im * u.br});
            save(state, 2 * i, Amplitude{re * u.ar - im * u.ai, re * u.ai + im * u.ar});
        }
    }
}

}  // namespace
