// A computation as plain data. Translation units compiled for different instruction sets share
// nothing else.
#pragma once

namespace quinr {

// A circuit and a frame's angles, turned into what every pixel needs.
//
// Gate layer g = block * E + e applies to every qubit
//     V = RX(t1) RZ(t0) [embedding of the block, if e = 0] RX(t3 of layer g - 1, if g > 0)
// and then the diagonal D_g: all CRZ of the layer and RZ(t2). What is left after the last
// diagonal, RX(t3), is part of the read-out rows.
template <class T> struct Circuit {
    int qubits, states, features, blocks, layers, outputs;
    int gate_layers;   // blocks * layers
    const int* order;  // [blocks][features]: the feature at each position of a block
    const T* gates;    // [gate_layers][qubits][gate_size], see Gate
    const T* phases;   // [gate_layers][states][2]
    // Read-out rows: <state| RX(t3) D, one for each output, then for each neighbour of an output
    // (one qubit flipped), whose amplitudes the gradient of t3 needs.
    int rows;
    const T* row;          // [rows][states][2]
    const int* neighbour;  // [outputs][qubits]: the row of an output's neighbour
};

// Constants of one qubit's shared rotations: cos and sin of half the angles of RX(t3 before),
// RZ(t0), RX(t1), then cos and sin of the whole angles of the last two.
enum Gate { half_t3, half_t0 = 2, half_t1 = 4, full_t0 = 6, full_t1 = 8, gate_size = 10 };

// Where sums over pixels are kept: three gradients a qubit and gate layer, the derivative of each
// basis state's phase a gate layer, and the gradient of the last layer's t3.
struct SumLayout {
    int qubits, states, gate_layers;
    int t0(int g, int q) const { return 3 * (g * qubits + q); }
    int t1(int g, int q) const { return t0(g, q) + 1; }
    int t3_before(int g, int q) const { return t0(g, q) + 2; }
    int phase(int g) const { return 3 * gate_layers * qubits + g * states; }
    int last_t3(int q) const { return phase(gate_layers) + q; }
    int size() const { return last_t3(qubits); }
};

// Pixels [first, last) whose angles are given: embedding [pixels][features].
template <class T> struct AngleChunk {
    const T* embedding;
    long first, last;
    T* probabilities;             // [pixels][outputs]
    const T* cotangent;           // [pixels][outputs], or null: forward only
    T* embedding_gradient;        // [pixels][features]
    double* sums;                 // [SumLayout::size()]
};

// The per-pixel Jacobian of the probabilities; pixels are last in memory.
template <class T> struct JacobianChunk {
    const T* embedding;
    long pixels, first, last;
    T* probabilities;  // [outputs][pixels]
    T* embedding_jacobian;   // [outputs][features][pixels]
    T* rotations;      // [outputs][gate_layers][4][qubits][pixels]
    T* controlled;     // [outputs][gate_layers][pairs][pixels]
    const int* pairs;  // [pairs][2]: control, target
    int pair_count;
};

// Which outputs of the circuit make a channel of the field, and where their weights are: all
// outputs where the field mixes them, else one each.
struct ReadOut {
    int channels = 0, outputs = 0;
    bool mixed = false;
    int first(int channel) const { return mixed ? 0 : channel; }
    int count() const { return mixed ? outputs : 1; }
    int weights() const { return channels * count(); }
};

// Sizes of a field beside those of its circuit.
struct FieldSizes {
    int inputs = 0, sine_layers = 1;
    ReadOut read_out{};
};

// Sine layers in front of the circuit and an affine map behind it: quINR.
template <class T> struct Field {
    FieldSizes sizes;
    const T* weight;  // [features][inputs], times w0
    const T* bias;    // [features]
    const T* hidden;  // [sine layers - 1]: weight [features][features], times w0; bias [features]
    T embedding_scale;
    const T* output_scale;   // [channels][ReadOut::count()]
    const T* output_offset;  // [channels]
};

// Values at coordinates [samples][inputs].
template <class T> struct ValueChunk {
    const T* coordinates;
    long first, last;
    T* values;  // [samples][channels]
};

// Sums over samples behind those of SumLayout.
struct FieldSumLayout {
    int begin, features;
    FieldSizes sizes;
    int weight(int f) const { return begin + f * sizes.inputs; }  // derivative by w0 W
    int bias(int f) const { return begin + features * sizes.inputs + f; }
    int hidden_weight(int k, int f) const {  // k = 1 .. sine layers - 1
        return bias(features) + (k - 1) * features * (features + 1) + f * features;
    }
    int hidden_bias(int k, int f) const { return hidden_weight(k, features) + f; }
    int embedding_scale() const { return hidden_weight(sizes.sine_layers, 0); }
    int output_scale(int i) const { return embedding_scale() + 1 + i; }
    int output_offset(int c) const { return output_scale(sizes.read_out.weights()) + c; }
    int squared_error() const { return output_offset(sizes.read_out.channels); }
    int size() const { return squared_error() + 1; }
};

// Loss and gradient over samples picked by index.
template <class T> struct LossChunk {
    const T* coordinates;  // [samples][inputs]
    const T* targets;      // [samples][channels]
    const int* index;      // [count]: which samples
    long count;
    T weight;              // derivative of the loss by one squared error
    double* sums;          // [FieldSumLayout::size()]
};

// The same functions compiled for one instruction set. `workspace` holds
// workspace_bytes() bytes, aligned to 64.
template <class T> struct Kernels {
    long (*workspace_bytes)(const Circuit<T>&, const FieldSizes&);
    void (*angles)(const Circuit<T>&, const AngleChunk<T>&, void* workspace);
    void (*jacobian)(const Circuit<T>&, const JacobianChunk<T>&, void* workspace);
    void (*values)(const Circuit<T>&, const Field<T>&, const ValueChunk<T>&, void* workspace);
    void (*loss)(const Circuit<T>&, const Field<T>&, const LossChunk<T>&, void* workspace);
};

struct InstructionSet {
    const char* name;
    Kernels<float> single;
    Kernels<double> precise;
    double (*fma_peak)(long repeats);  // runs `repeats` rounds, returns fused multiply-adds
};

}  // namespace quinr
