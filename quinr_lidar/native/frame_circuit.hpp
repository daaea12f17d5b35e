// A frame's angles turned into the constants that every pixel shares, and sums over pixels turned
// into gradients by those angles. Small and in double precision.
#pragma once

#include <cmath>
#include <complex>
#include <stdexcept>
#include <vector>

#include "plan.hpp"

namespace quinr {

// Sizes and gate order of a circuit, checked once.
struct CircuitSpec {
    int qubits, features, blocks, layers, outputs;
    std::vector<int> order;  // [blocks][features]
    std::vector<int> pairs;  // [pair_count][2]: control, target

    CircuitSpec(int qubits, int features, int blocks, int layers, int outputs,
                std::vector<int> order, std::vector<int> pairs)
        : qubits(qubits), features(features), blocks(blocks), layers(layers), outputs(outputs),
          order(std::move(order)), pairs(std::move(pairs)) {
        const bool sizes = qubits >= 1 && qubits <= 16 && features >= 1 && blocks >= 1 &&
                           layers >= 1 && outputs >= 1 && outputs <= states();
        if (!sizes) throw std::invalid_argument("circuit: a size is out of range");
        if (this->order.size() != std::size_t(blocks) * std::size_t(features))
            throw std::invalid_argument("order: expected blocks x features entries");
        for (int f : this->order)
            if (f < 0 || f >= features) throw std::invalid_argument("order: no such feature");
        if (this->pairs.size() % 2) throw std::invalid_argument("pairs: expected two columns");
        for (int q : this->pairs)
            if (q < 0 || q >= qubits) throw std::invalid_argument("pairs: no such qubit");
        find_rows();
    }

    int states() const { return 1 << qubits; }
    int gate_layers() const { return blocks * layers; }
    int pair_count() const { return int(pairs.size() / 2); }
    long rotations() const { return 4L * gate_layers() * qubits; }
    long controlled() const { return long(gate_layers()) * pair_count(); }
    SumLayout sums() const { return {qubits, states(), gate_layers()}; }
    int bit(int qubit) const { return states() >> (qubit + 1); }

    std::vector<int> row_states;  // basis states read out: outputs first, then their neighbours
    std::vector<int> neighbour;   // [outputs][qubits]: rows

   private:
    void find_rows() {
        std::vector<int> row_of(std::size_t(states()), -1);
        auto row = [&](int state) {
            int& r = row_of[std::size_t(state)];
            if (r < 0) {
                r = int(row_states.size());
                row_states.push_back(state);
            }
            return r;
        };
        for (int o = 0; o < outputs; ++o) row(states() - outputs + o);
        for (int o = 0; o < outputs; ++o)
            for (int q = 0; q < qubits; ++q) neighbour.push_back(row((states() - outputs + o) ^ bit(q)));
    }
};

// Constants of one frame. rotations: [gate layers][4][qubits] (RZ, RX, CRZ's RZ, RX), controlled:
// [gate layers][pairs], radians.
template <class T> class FrameCircuit {
   public:
    FrameCircuit(const CircuitSpec& spec, const T* rotations, const T* controlled) : spec_(spec) {
        gates_.resize(std::size_t(spec.gate_layers() * spec.qubits * gate_size));
        phases_.resize(std::size_t(spec.gate_layers()) * std::size_t(spec.states()) * 2);
        row_.resize(spec.row_states.size() * std::size_t(spec.states()) * 2);
        set(rotations, controlled);
    }

    // New angles for the same circuit.
    void set(const T* rotations, const T* controlled) {
        for (int g = 0; g < spec_.gate_layers(); ++g) {
            for (int q = 0; q < spec_.qubits; ++q) set_gates(g, q, rotations);
            set_phases(g, rotations, controlled);
        }
        set_rows(rotations);
    }

    Circuit<T> view() const {
        return {spec_.qubits,
                spec_.states(),
                spec_.features,
                spec_.blocks,
                spec_.layers,
                spec_.outputs,
                spec_.gate_layers(),
                spec_.order.data(),
                gates_.data(),
                phases_.data(),
                int(spec_.row_states.size()),
                row_.data(),
                spec_.neighbour.data()};
    }

   private:
    T angle(const T* rotations, int g, int kind, int q) const {
        return rotations[(g * 4 + kind) * spec_.qubits + q];
    }

    void set_gates(int g, int q, const T* rotations) {
        T* c = &gates_[std::size_t((g * spec_.qubits + q) * gate_size)];
        auto turn = [c](int at, double t) {
            c[at] = T(std::cos(t));
            c[at + 1] = T(std::sin(t));
        };
        const double t0 = angle(rotations, g, 0, q), t1 = angle(rotations, g, 1, q);
        turn(half_t3, g ? angle(rotations, g - 1, 3, q) / 2.0 : 0.0);
        turn(half_t0, t0 / 2);
        turn(half_t1, t1 / 2);
        turn(full_t0, t0);
        turn(full_t1, t1);
    }

    void set_phases(int g, const T* rotations, const T* controlled) {
        T* to = &phases_[std::size_t(g) * std::size_t(spec_.states()) * 2];
        const T* crz = controlled + long(g) * spec_.pair_count();
        for (int i = 0; i < spec_.states(); ++i) {
            double phase = 0;
            for (int q = 0; q < spec_.qubits; ++q)
                phase += (i & spec_.bit(q) ? 0.5 : -0.5) * double(angle(rotations, g, 2, q));
            for (int p = 0; p < spec_.pair_count(); ++p)
                if (i & spec_.bit(spec_.pairs[std::size_t(2 * p)]))
                    phase += (i & spec_.bit(spec_.pairs[std::size_t(2 * p + 1)]) ? 0.5 : -0.5) *
                             double(crz[p]);
            to[2 * i] = T(std::cos(phase));
            to[2 * i + 1] = T(std::sin(phase));
        }
    }

    // <state| RX(t3) on every qubit, times the last diagonal.
    void set_rows(const T* rotations) {
        const int last = spec_.gate_layers() - 1;
        std::vector<double> cosine, sine;
        for (int q = 0; q < spec_.qubits; ++q) {
            cosine.push_back(std::cos(angle(rotations, last, 3, q) / 2.0));
            sine.push_back(std::sin(angle(rotations, last, 3, q) / 2.0));
        }
        const T* phase = &phases_[std::size_t(last) * std::size_t(spec_.states()) * 2];
        T* to = row_.data();
        for (int state : spec_.row_states)
            for (int i = 0; i < spec_.states(); ++i) {
                std::complex<double> entry(phase[2 * i], phase[2 * i + 1]);
                for (int q = 0; q < spec_.qubits; ++q) {
                    const bool flipped = (state ^ i) & spec_.bit(q);
                    const auto k = std::size_t(q);
                    entry *= flipped ? std::complex<double>(0, -sine[k]) : cosine[k];
                }
                *to++ = T(entry.real());
                *to++ = T(entry.imag());
            }
    }

    const CircuitSpec& spec_;
    std::vector<T> gates_, phases_, row_;
};

// Sums over pixels -> gradients, in the shapes of the angles.
template <class T>
void angle_gradients(const CircuitSpec& spec, const double* sums, T* rotations, T* controlled) {
    const SumLayout layout = spec.sums();
    const int n = spec.qubits;
    std::vector<double> w;
    for (int g = 0; g < spec.gate_layers(); ++g) {
        T* to = rotations + long(g) * 4 * n;
        // A phase has the derivative -2 w; what a rotation about z or a controlled one does to
        // the phases is a product of qubits' signs, so w's Walsh-Hadamard transform has them all.
        w.assign(sums + layout.phase(g), sums + layout.phase(g) + spec.states());
        for (int bit = 1; bit < spec.states(); bit *= 2)
            for (int i = 0; i < spec.states(); ++i)
                if (!(i & bit)) {
                    const double low = w[std::size_t(i)], high = w[std::size_t(i + bit)];
                    w[std::size_t(i)] = low + high;
                    w[std::size_t(i + bit)] = low - high;
                }
        for (int q = 0; q < n; ++q) {
            to[q] = T(sums[layout.t0(g, q)]);
            to[n + q] = T(sums[layout.t1(g, q)]);
            to[2 * n + q] = T(w[std::size_t(spec.bit(q))]);
            const bool last = g + 1 == spec.gate_layers();
            to[3 * n + q] = T(sums[last ? layout.last_t3(q) : layout.t3_before(g + 1, q)]);
        }
        for (int p = 0; p < spec.pair_count(); ++p) {
            const int control = spec.bit(spec.pairs[std::size_t(2 * p)]);
            const int target = spec.bit(spec.pairs[std::size_t(2 * p + 1)]);
            controlled[long(g) * spec.pair_count() + p] =
                T(0.5 * (w[std::size_t(target)] - w[std::size_t(control | target)]));
        }
    }
}

}  // namespace quinr
