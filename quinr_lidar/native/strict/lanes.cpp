// Strict functions for one instruction set; the build compiles this file once for each, with
// QUINR_ISA and QUINR_VECTOR_BYTES set. As in kernel.cpp, nothing of the standard library may be
// used here.

#include "plan.hpp"
#include "range_lanes.hpp"
#include "state.hpp"

namespace {

using namespace quinr::strict;

// Inputs are clamped to it, so that no sum overflows.
constexpr float largest_input = 1048576.0f;

// bias + weight . in, in `W` vectors of pixels and `R` rows at a time: independent sums, which hide
// the latency of the additions. Each sum has the order of its columns, whatever W and R are.
template <int W, int R, class Store>
QUINR_INLINE void affine_rows(const float* weight, const float* bias, int columns,
                              const Floats* in, int row, Store store) {
    Floats sum[R][W];
    for (int r = 0; r < R; ++r)
        for (int w = 0; w < W; ++w) sum[r][w] = splat<Floats>(bias[row + r]);
    const float* first = weight + long(row) * columns;
    for (int i = 0; i < columns; ++i)
        for (int r = 0; r < R; ++r)
            for (int w = 0; w < W; ++w)
                sum[r][w] = sum[r][w] + in[i * W + w] * first[r * columns + i];
    for (int r = 0; r < R; ++r)
        for (int w = 0; w < W; ++w) store(row + r, w, sum[r][w]);
}

template <int W, class Store>
QUINR_INLINE void affine(const float* weight, const float* bias, int rows, int columns,
                         const Floats* in, Store store) {
    constexpr int together = 8 / W;
    int row = 0;
    for (; row + together <= rows; row += together)
        affine_rows<W, together>(weight, bias, columns, in, row, store);
    for (; row < rows; ++row) affine_rows<W, 1>(weight, bias, columns, in, row, store);
}

// `W` vectors of pixels through the field.
template <int Q, int W> struct Tile {
    static constexpr int states = 1 << Q;
    const Plan& plan;
    Floats* input;   // [inputs][W]
    Floats* read;    // [states + sines][W]: 2^n p - 1, all h
    Floats* cosine;  // [features][W] of half the embedded angles
    Floats* sine;    // [features][W]
    Floats* state;   // [states][2]

    Tile(const Plan& p, void* workspace) : plan(p) {
        input = static_cast<Floats*>(workspace);
        read = input + W * p.inputs;
        cosine = read + W * (states + p.sines);
        sine = cosine + W * p.features;
        state = sine + W * p.features;
    }

    QUINR_INLINE void evaluate(const float* from, float* to, long stride) {
        for (int i = 0; i < plan.inputs; ++i)
            for (int w = 0; w < W; ++w)
                input[i * W + w] = clamp(load_lanes(from + i * stride + w * lane_count),
                                         -largest_input, largest_input);
        embed();
        for (int w = 0; w < W; ++w) run_circuit(w);
        affine<W>(plan.readout, plan.offset, plan.outputs, states + plan.sines, read,
                  [=](int row, int w, Floats sum) {
                      store_lanes(sum, to + row * stride + w * lane_count);
                  });
    }

   private:
    QUINR_INLINE void embed() {
        const float *weight = plan.weight, *bias = plan.bias;
        const Floats* from = input;
        Floats* h = read + W * states;
        int columns = plan.inputs;
        for (int layer = 0; layer < plan.sine_layers; ++layer) {
            const int rows = plan.widths[layer];
            affine<W>(weight, bias, rows, columns, from,
                      [=](int row, int w, Floats sum) { h[row * W + w] = strict_sin(sum); });
            weight += long(rows) * columns;
            bias += rows;
            from = h;
            h += W * rows;
            columns = rows;
        }
        for (int i = 0; i < W * plan.features; ++i)
            strict_sincos(from[i] * plan.half_scale, sine[i], cosine[i]);
    }

    QUINR_INLINE void run_circuit(int w) {
        for (int g = 0; g < plan.gate_layers; ++g) {
            Su2 gates[Q];
            for (int q = 0; q < Q; ++q) gates[q] = gate(g, q, w);
            if (g == 0)
                product_state<Q>(state, gates);
            else
                apply_layer<Q>(state, phase(g - 1), gates);
        }
        SharedRx last[Q];
        for (int q = 0; q < Q; ++q)
            last[q] = {splat<Floats>(plan.last[2 * q]), splat<Floats>(plan.last[2 * q + 1])};
        apply_layer<Q>(state, phase(plan.gate_layers - 1), last);
        for (int i = 0; i < states; ++i) {
            const Floats re = state[2 * i], im = state[2 * i + 1];
            read[i * W + w] = (re * re + im * im) * float(states) - 1.0f;
        }
    }

    QUINR_INLINE const float* phase(int g) const { return plan.phases + 2L * states * g; }

    // All of a qubit's gates between two diagonals.
    QUINR_INLINE Su2 gate(int g, int q, int w) const {
        const float* c = plan.gates + (g * Q + q) * gate_size;
        Su2 u{splat<Floats>(c[half_t3]), Floats{}, Floats{}, -splat<Floats>(c[half_t3 + 1])};
        if (g % plan.layers == 0)
            embed_features(u, plan.order + g / plan.layers * plan.features, q, w);
        u.turn_z(splat<Floats>(c[half_t0]), splat<Floats>(c[half_t0 + 1]));
        u.turn_x(splat<Floats>(c[half_t1]), splat<Floats>(c[half_t1 + 1]));
        return u;
    }

    QUINR_INLINE void embed_features(Su2& u, const int* order, int q, int w) const {
        if (q < plan.features) {  // the first fold meets two real numbers
            const Floats fc = cosine[order[q] * W + w], fs = sine[order[q] * W + w];
            const Floats a = u.ar, b = u.bi;
            u.ar = fc * a + fs * b;
            u.bi = fc * b - fs * a;
        }
        bool about_z = true;
        for (int p = q + Q; p < plan.features; p += Q, about_z = !about_z) {
            const Floats fc = cosine[order[p] * W + w], fs = sine[order[p] * W + w];
            if (about_z)
                u.turn_z(fc, fs);
            else
                u.turn_x(fc, fs);
        }
    }
};

template <int Q> void evaluate_qubits(const Plan& plan, const Batch& batch, void* workspace) {
    int at = 0;
    while (at < batch.count) {
        const float* from = batch.inputs + at;
        float* to = batch.outputs + at;
        if (batch.count - at > lane_count) {
            Tile<Q, 2>(plan, workspace).evaluate(from, to, batch.stride);
            at += 2 * lane_count;
        } else {
            Tile<Q, 1>(plan, workspace).evaluate(from, to, batch.stride);
            at += lane_count;
        }
    }
}

void evaluate(const Plan& plan, const Batch& batch, void* workspace) {
    switch (plan.qubits) {
        case 1: return evaluate_qubits<1>(plan, batch, workspace);
        case 2: return evaluate_qubits<2>(plan, batch, workspace);
        case 3: return evaluate_qubits<3>(plan, batch, workspace);
        case 4: return evaluate_qubits<4>(plan, batch, workspace);
        case 5: return evaluate_qubits<5>(plan, batch, workspace);
        case 6: return evaluate_qubits<6>(plan, batch, workspace);
        case 7: return evaluate_qubits<7>(plan, batch, workspace);
        default: return evaluate_qubits<8>(plan, batch, workspace);
    }
}

Floats value(Function function, Floats x) {
    switch (function) {
        case Function::sine: return strict_sin(x);
        case Function::cosine: return strict_cos(x);
        case Function::exponential: return strict_exp(x);
        case Function::logarithm: return strict_log(x);
        default: return strict_sigmoid(x);
    }
}

void apply(Function function, const float* from, float* to, long count) {
    for (long i = 0; i < count; i += lane_count)
        store_lanes(value(function, load_lanes(from + i)), to + i);
}

}  // namespace

#define QUINR_NAME_OF(isa) #isa
#define QUINR_NAME(isa) QUINR_NAME_OF(isa)
#define QUINR_TABLE_OF(isa) isa##_lanes
#define QUINR_TABLE(isa) QUINR_TABLE_OF(isa)

namespace quinr::strict {

extern const Lanes QUINR_TABLE(QUINR_ISA);
const Lanes QUINR_TABLE(QUINR_ISA) = {QUINR_NAME(QUINR_ISA), evaluate, apply, range_inputs,
                                      mixture};

}  // namespace quinr::strict
