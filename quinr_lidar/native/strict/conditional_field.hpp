// Conditional quINR: from a pixel's causal neighbourhood to the parameters of its distribution,
// with the same bits on every machine.
#pragma once

#include <vector>

#include "../frame_circuit.hpp"
#include "../workspace.hpp"
#include "environment.hpp"
#include "plan.hpp"

namespace quinr::strict {

// h1 = sin(W1 x + b1), h2 = sin(W2 h1 + b2), ..., p = all probabilities of the circuit with the angles
// embedding_scale * h of the last one, o = readout [2^n p - 1; h1; h2; ...] + offset.
struct Parameters {
    std::vector<int> widths;        // of the sine layers; the last one is the circuit's features
    std::vector<float> weight;      // one layer behind the other: [width][inputs of the layer]
    std::vector<float> bias;        // one layer behind the other: [width]
    float embedding_scale;
    std::vector<float> rotations;   // [gate layers][4][qubits]: RZ, RX, diagonal's RZ, RX
    std::vector<float> controlled;  // [gate layers][pairs]
    std::vector<float> readout;     // [outputs][2^qubits + sum of widths]
    std::vector<float> offset;      // [outputs]
};

// Sine and cosine of arguments up to +-10^6, for the constants of a circuit.
void precise_sincos(double x, double& sine, double& cosine);

class Workspace;

// Prepared once; then constant, so that threads may share it.
class ConditionalField {
   public:
    // `circuit.outputs` does not matter. Throws std::invalid_argument where a size is beyond the
    // limits of plan.hpp, or a parameter is not finite, or too large for sums that never overflow.
    ConditionalField(const CircuitSpec& circuit, int inputs, int outputs, Parameters parameters);

    int inputs() const { return inputs_; }
    int outputs() const { return outputs_; }
    Plan plan() const;

    // Batches of up to max_batch pixels. Memory up to the next multiple of batch_step is read and
    // written as well, so `stride` must be at least that; its content does not matter. Inputs are
    // clamped to +-2^20, which also replaces NaN; W x + b is clamped to +-8192.
    void evaluate(const Environment&, const Lanes& lanes, const Batch& batch,
                  Workspace& workspace) const;

   private:
    void check() const;
    void check_parameters() const;
    int sines() const;
    long weights() const;
    void prepare();
    void set_gates(int g, int q);
    void set_phases(int g);
    double angle(int g, int kind, int q) const;

    CircuitSpec circuit_;
    int inputs_, outputs_;
    Parameters parameters_;
    std::vector<float> gates_, phases_, last_;
};

// Scratch memory of one thread that evaluates fields of a plan's sizes.
class Workspace {
   public:
    explicit Workspace(const ConditionalField& field) : memory_(1, workspace_bytes(field.plan())) {}
    void* memory() const { return memory_[0]; }

   private:
    Workspaces memory_;
};

}  // namespace quinr::strict
