// A prepared conditional field as plain data, and the functions compiled for one instruction set:
// the only things that translation units compiled for different ones share.
#pragma once

#include "range_model.hpp"

namespace quinr::strict {

constexpr int max_qubits = 8, max_features = 128, max_inputs = 128, max_outputs = 128;
constexpr int max_gate_layers = 32, max_sine_layers = 4;
constexpr int max_batch = 128;
// Batches are padded to a multiple of this many pixels: the lanes of the widest vector.
constexpr int batch_step = 16;

// h1 = sin(W1 x + b1), h2 = sin(W2 h1 + b2), ..., a circuit of angles 2 half_scale h of the last one,
// o = R [2^n p - 1; h1; h2; ...] + c. The circuit is the one of quinr::Circuit, except that RX(t3)
// behind the last diagonal is a layer of its own.
struct Plan {
    int inputs, outputs;
    int sine_layers, widths[max_sine_layers];
    int features, sines;  // the last width, and the sum of all
    int qubits, states, blocks, layers, gate_layers;
    const float* weight;   // [widths[0]][inputs], [widths[1]][widths[0]], ...
    const float* bias;     // [sines]
    float half_scale;
    const int* order;      // [blocks][features]
    const float* gates;    // [gate_layers][qubits][gate_size], see Gate
    const float* phases;   // [gate_layers][states][2]
    const float* last;     // [qubits][2]: cos and sin of half the last t3
    const float* readout;  // [outputs][states + sines]
    const float* offset;   // [outputs]
};

// Cos and sin of half the angles of a qubit's shared rotations: RX(t3 before), RZ(t0), RX(t1).
enum Gate { half_t3, half_t0 = 2, half_t1 = 4, gate_size = 6 };

// Pixels [0, count) are next to each other in memory, features and outputs `stride` apart.
struct Batch {
    const float* inputs;  // [inputs][stride]
    float* outputs;       // [outputs][stride]
    long stride;
    int count;
};

enum class Function { sine, cosine, exponential, logarithm, sigmoid };

struct Lanes {
    const char* name;
    // `workspace`: workspace_bytes(plan), aligned to 64.
    void (*evaluate)(const Plan&, const Batch&, void* workspace);
    // `count` is a multiple of batch_step.
    void (*apply)(Function, const float* from, float* to, long count);
    // `count` is rounded up to a multiple of batch_step.
    void (*range_inputs)(const RangeBatch&, int count);
    void (*mixture)(const MixtureBatch&, int count);
};

// Enough for the widest vectors. Two of them at a time: inputs, what is read out, cosines and sines
// of the embedded angles; and one state vector.
inline long workspace_bytes(const Plan& p) {
    return 64L * (2L * (p.inputs + p.states + p.sines + 2L * p.features) + 2L * p.states);
}

}  // namespace quinr::strict
