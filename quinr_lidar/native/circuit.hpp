// One tile of pixels through the whole circuit, forward and backward.
#pragma once

#include "plan.hpp"
#include "tile.hpp"

namespace {

using quinr::Circuit;
using quinr::Gate;
using quinr::SumLayout;

// Vectors of one tile. `Q` is the number of qubits, or 0 where it is known at run time only.
template <class T, int Q> struct Tile {
    using V = VecOf<T>;

    const Circuit<T>& circuit;
    V* cosine;          // [M] of half the embedded angles
    V* sine;            // [M]
    V* full_cosine;     // [M] of the whole angles
    V* full_sine;       // [M]
    V* angle_gradient;  // [M]
    Su2<V>* gates;      // [gate layers][qubits]
    V* states;          // [gate layers][states][2]: after each layer's gates
    V* cotangent;       // [states][2]
    V* phase_gradient;  // [states]
    V* amplitude;       // [rows][2]
    V* rest;            // further memory of the caller

    static long vectors(const Circuit<T>& c) {
        const long states = c.states;
        return 5L * c.features + 4L * c.gate_layers * c.qubits + 2 * states * c.gate_layers +
               2 * states + states + 2L * c.rows;
    }

    Tile(const Circuit<T>& c, void* workspace) : circuit(c) {
        V* next = static_cast<V*>(workspace);
        auto take = [&next](long count) {
            V* here = next;
            next += count;
            return here;
        };
        cosine = take(c.features);
        sine = take(c.features);
        full_cosine = take(c.features);
        full_sine = take(c.features);
        angle_gradient = take(c.features);
        gates = reinterpret_cast<Su2<V>*>(take(4L * c.gate_layers * c.qubits));
        states = take(2L * c.states * c.gate_layers);
        cotangent = take(2L * c.states);
        phase_gradient = take(c.states);
        amplitude = take(2L * c.rows);
        rest = next;
    }

    int qubits() const { return Q ? Q : circuit.qubits; }
    int dimension() const { return 1 << qubits(); }
    V* state(int g) const { return states + 2L * dimension() * g; }
    Su2<V>* layer(int g) const { return gates + g * qubits(); }
    const T* phase(int g) const { return circuit.phases + 2L * dimension() * g; }
    const T* shared(int g, int q) const {
        return circuit.gates + (g * qubits() + q) * Gate::gate_size;
    }

    void forward(bool with_neighbours) {
        for (int g = 0; g < circuit.gate_layers; ++g) {
            make_gates(g);
            if (g == 0)
                product_state(layer(0), state(0), qubits());
            else
                apply_layer(layer(g), phase(g - 1), state(g - 1), state(g), qubits());
        }
        read_out(with_neighbours ? circuit.rows : circuit.outputs);
    }

    // Everything behind `cotangent`, which must hold half the gradient by the state before the
    // last diagonal. `sink` receives gradients as they appear:
    // phases(g, w), rotation(kind, g, q, gradient); embedded angles add up in angle_gradient.
    template <class Sink> void backward(Sink& sink) {
        for (int f = 0; f < circuit.features; ++f) angle_gradient[f] = V{};
        Torque<V> torque[Q ? Q : 16];
        for (int g = circuit.gate_layers - 1; g >= 0; --g) {
            const V* s = state(g);
            for (int i = 0; i < dimension(); ++i)
                phase_gradient[i] = imaginary(load(cotangent, i), load(s, i));
            sink.phases(g, phase_gradient);
            transverse_torques(cotangent, s, torque, qubits());
            axial_torques(phase_gradient, torque, qubits());
            for (int q = 0; q < qubits(); ++q) through_gate(g, q, torque[q], sink);
            if (g > 0) undo_layer(layer(g), phase(g - 1), cotangent, qubits());
        }
    }

    // Adds `weight` times half the gradient of output o's probability to `cotangent`.
    void seed(int o, V weight, bool first) {
        const T* row = circuit.row + 2L * dimension() * o;
        const V re = weight * amplitude[2 * o], im = weight * amplitude[2 * o + 1];
        for (int i = 0; i < dimension(); ++i) {
            const T a = row[2 * i], b = row[2 * i + 1];
            const Complex<V> x{re * a + im * b, im * a - re * b};
            const Complex<V> before = first ? Complex<V>{V{}, V{}} : load(cotangent, i);
            save(cotangent, i, Complex<V>{before.re + x.re, before.im + x.im});
        }
    }

    V probability(int o) const {
        const V re = amplitude[2 * o], im = amplitude[2 * o + 1];
        return re * re + im * im;
    }

    // Derivative of output o's probability by the last RX of qubit q: X commutes with RX, so it
    // is the overlap with the amplitude of the neighbouring basis state.
    V last_rotation(int o, int q) const {
        return imaginary(load(amplitude, o), load(amplitude, circuit.neighbour[o * qubits() + q]));
    }

    // From half angles' cos and sin to those of the whole angles.
    void double_angles() {
        for (int f = 0; f < circuit.features; ++f) {
            full_cosine[f] = T(1) - T(2) * sine[f] * sine[f];
            full_sine[f] = T(2) * sine[f] * cosine[f];
        }
    }

   private:
    void read_out(int rows) {
        const V* s = state(circuit.gate_layers - 1);
        for (int r = 0; r < rows; ++r) {
            const T* row = circuit.row + 2L * dimension() * r;
            V re[2]{}, im[2]{};
            for (int i = 0; i < dimension(); ++i) {
                re[i & 1] += s[2 * i] * row[2 * i] - s[2 * i + 1] * row[2 * i + 1];
                im[i & 1] += s[2 * i] * row[2 * i + 1] + s[2 * i + 1] * row[2 * i];
            }
            amplitude[2 * r] = re[0] + re[1];
            amplitude[2 * r + 1] = im[0] + im[1];
        }
    }

    static void turn_x(Su2<V>& u, V c, V s) {  // RX(t) u
        u = {c * u.ar + s * u.bi, c * u.ai - s * u.br, c * u.br + s * u.ai, c * u.bi - s * u.ar};
    }
    static void turn_z(Su2<V>& u, V c, V s) {  // RZ(t) u
        u = {c * u.ar + s * u.ai, c * u.ai - s * u.ar, c * u.br - s * u.bi, c * u.bi + s * u.br};
    }

    void make_gates(int g) {
        const int block = g / circuit.layers;
        const int* order = circuit.order + block * circuit.features;
        const bool embeds = g % circuit.layers == 0;
        for (int q = 0; q < qubits(); ++q) {
            const T* c = shared(g, q);
            Su2<V> u{broadcast<T>(c[Gate::half_t3]), V{}, V{}, -broadcast<T>(c[Gate::half_t3 + 1])};
            if (embeds) {
                int position = q;
                if (position < circuit.features) {  // the first fold meets two real numbers
                    const V fc = cosine[order[position]], fs = sine[order[position]];
                    const V a = u.ar, b = u.bi;
                    u.ar = fc * a + fs * b;
                    u.bi = fc * b - fs * a;
                }
                for (position += qubits(); position < circuit.features; position += qubits()) {
                    const V fc = cosine[order[position]], fs = sine[order[position]];
                    if (position / qubits() % 2)
                        turn_z(u, fc, fs);
                    else
                        turn_x(u, fc, fs);
                }
            }
            turn_z(u, broadcast<T>(c[Gate::half_t0]), broadcast<T>(c[Gate::half_t0 + 1]));
            turn_x(u, broadcast<T>(c[Gate::half_t1]), broadcast<T>(c[Gate::half_t1 + 1]));
            layer(g)[q] = u;
        }
    }

    // A torque taken behind RX(t) or RZ(t), seen from before it.
    static void before_x(Torque<V>& w, V c, V s) { w = {w.x, c * w.y + s * w.z, c * w.z - s * w.y}; }
    static void before_z(Torque<V>& w, V c, V s) { w = {c * w.x + s * w.y, c * w.y - s * w.x, w.z}; }

    // Carries the torque from behind a qubit's gate to before it. Each rotation on the way finds
    // its own gradient in the component along its axis.
    template <class Sink> void through_gate(int g, int q, Torque<V> w, Sink& sink) {
        const int block = g / circuit.layers;
        const int* order = circuit.order + block * circuit.features;
        const T* c = shared(g, q);
        sink.t1(g, q, w.x);
        before_x(w, broadcast<T>(c[Gate::full_t1]), broadcast<T>(c[Gate::full_t1 + 1]));
        sink.t0(g, q, w.z);
        before_z(w, broadcast<T>(c[Gate::full_t0]), broadcast<T>(c[Gate::full_t0 + 1]));
        if (g % circuit.layers == 0 && q < circuit.features) {
            int fold = (circuit.features - 1 - q) / qubits();
            for (; fold >= 0; --fold) {
                const int f = order[fold * qubits() + q];
                if (fold % 2) {
                    angle_gradient[f] += w.z;
                    before_z(w, full_cosine[f], full_sine[f]);
                } else {
                    angle_gradient[f] += w.x;
                    before_x(w, full_cosine[f], full_sine[f]);
                }
            }
        }
        if (g > 0) sink.t3_before(g, q, w.x);
    }
};

}  // namespace
