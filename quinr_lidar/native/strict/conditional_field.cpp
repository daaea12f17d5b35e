// Compiled with the flags of lanes.cpp, for the baseline only: every result depends on it.
#include "conditional_field.hpp"

#include <algorithm>
#include <numeric>

#include "arithmetic.hpp"

namespace quinr::strict {

namespace {

constexpr float largest_parameter = 1048576.0f;
constexpr float largest_angle = 8192.0f;

void require(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

void check_array(const char* name, const std::vector<float>& values, long size, float largest) {
    if (long(values.size()) != size)
        throw std::invalid_argument(std::string(name) + ": unexpected size");
    for (float x : values)
        if (!(x >= -largest && x <= largest))  // NaN, too
            throw std::invalid_argument(std::string(name) + ": a value is not finite or too large");
}

void set_turn(float* to, double angle) {
    double sine, cosine;
    precise_sincos(angle, sine, cosine);
    to[0] = float(cosine);
    to[1] = float(sine);
}

}  // namespace

void precise_sincos(double x, double& sine, double& cosine) { strict_sincos(x, sine, cosine); }

ConditionalField::ConditionalField(const CircuitSpec& circuit, int inputs, int outputs,
                                   Parameters parameters)
    : circuit_(circuit), inputs_(inputs), outputs_(outputs), parameters_(std::move(parameters)) {
    check();
    const Environment environment;
    prepare();
}

void ConditionalField::check() const {
    const CircuitSpec& c = circuit_;
    require(c.qubits <= max_qubits, "qubits: too many for a strict field");
    require(c.features <= max_features, "features: too many for a strict field");
    require(c.blocks <= max_gate_layers && c.layers <= max_gate_layers &&
                c.gate_layers() <= max_gate_layers,
            "blocks and layers: too many for a strict field");
    require(inputs_ >= 1 && inputs_ <= max_inputs, "inputs: out of range");
    require(outputs_ >= 1 && outputs_ <= max_outputs, "outputs: out of range");
    // Twice as many pairs as a layer can have; with more, sums of angles could leave the range
    // of strict_sincos.
    require(c.pair_count() <= 2 * max_qubits * max_qubits, "pairs: too many for a strict field");
    const std::vector<int>& widths = parameters_.widths;
    require(!widths.empty() && widths.size() <= max_sine_layers, "widths: too few or too many");
    for (int width : widths)
        require(width >= 1 && width <= max_features, "widths: one is out of range");
    require(widths.back() == c.features, "widths: the last one is not the circuit's features");
    check_parameters();
}

void ConditionalField::check_parameters() const {
    const CircuitSpec& c = circuit_;
    const Parameters& p = parameters_;
    check_array("weight", p.weight, weights(), largest_parameter);
    check_array("bias", p.bias, sines(), largest_parameter);
    check_array("embedding_scale", {p.embedding_scale}, 1, largest_parameter);
    check_array("rotations", p.rotations, c.rotations(), largest_angle);
    check_array("controlled", p.controlled, c.controlled(), largest_angle);
    check_array("readout", p.readout, long(outputs_) * (c.states() + sines()), largest_parameter);
    check_array("offset", p.offset, outputs_, largest_parameter);
}

int ConditionalField::sines() const {
    return std::accumulate(parameters_.widths.begin(), parameters_.widths.end(), 0);
}

long ConditionalField::weights() const {
    long count = 0, columns = inputs_;
    for (int width : parameters_.widths) {
        count += columns * width;
        columns = width;
    }
    return count;
}

Plan ConditionalField::plan() const {
    Plan p{};
    p.inputs = inputs_;
    p.outputs = outputs_;
    p.sine_layers = int(parameters_.widths.size());
    std::copy(parameters_.widths.begin(), parameters_.widths.end(), p.widths);
    p.features = circuit_.features;
    p.sines = sines();
    p.qubits = circuit_.qubits;
    p.states = circuit_.states();
    p.blocks = circuit_.blocks;
    p.layers = circuit_.layers;
    p.gate_layers = circuit_.gate_layers();
    p.weight = parameters_.weight.data();
    p.bias = parameters_.bias.data();
    p.half_scale = 0.5f * parameters_.embedding_scale;
    p.order = circuit_.order.data();
    p.gates = gates_.data();
    p.phases = phases_.data();
    p.last = last_.data();
    p.readout = parameters_.readout.data();
    p.offset = parameters_.offset.data();
    return p;
}

void ConditionalField::evaluate(const Environment&, const Lanes& lanes, const Batch& batch,
                                Workspace& workspace) const {
    require(batch.count >= 0 && batch.count <= max_batch, "batch: too many pixels");
    const int padded = (batch.count + batch_step - 1) / batch_step * batch_step;
    require(batch.stride >= padded, "batch: its stride leaves no room for padding");
    lanes.evaluate(plan(), batch, workspace.memory());
}

// Not inlined: its arithmetic belongs inside the environment that the constructor has set.
__attribute__((noinline)) void ConditionalField::prepare() {
    const CircuitSpec& c = circuit_;
    gates_.resize(std::size_t(c.gate_layers() * c.qubits * gate_size));
    phases_.resize(std::size_t(c.gate_layers() * c.states() * 2));
    last_.resize(std::size_t(c.qubits * 2));
    for (int g = 0; g < c.gate_layers(); ++g) {
        for (int q = 0; q < c.qubits; ++q) set_gates(g, q);
        set_phases(g);
    }
    for (int q = 0; q < c.qubits; ++q)
        set_turn(&last_[std::size_t(2 * q)], 0.5 * angle(c.gate_layers() - 1, 3, q));
}

double ConditionalField::angle(int g, int kind, int q) const {
    return parameters_.rotations[std::size_t((g * 4 + kind) * circuit_.qubits + q)];
}

void ConditionalField::set_gates(int g, int q) {
    float* to = &gates_[std::size_t((g * circuit_.qubits + q) * gate_size)];
    set_turn(to + half_t3, g ? 0.5 * angle(g - 1, 3, q) : 0.0);
    set_turn(to + half_t0, 0.5 * angle(g, 0, q));
    set_turn(to + half_t1, 0.5 * angle(g, 1, q));
}

// RZ(t2) of every qubit and all controlled rotations, which turn their target's phase where the
// control is 1.
void ConditionalField::set_phases(int g) {
    const CircuitSpec& c = circuit_;
    float* to = &phases_[std::size_t(g * c.states() * 2)];
    const float* controlled = parameters_.controlled.data() + long(g) * c.pair_count();
    for (int i = 0; i < c.states(); ++i) {
        double phase = 0;
        for (int q = 0; q < c.qubits; ++q)
            phase = phase + (i & c.bit(q) ? 0.5 : -0.5) * angle(g, 2, q);
        for (int p = 0; p < c.pair_count(); ++p) {
            const int control = c.bit(c.pairs[std::size_t(2 * p)]);
            const int target = c.bit(c.pairs[std::size_t(2 * p + 1)]);
            if (i & control) phase = phase + (i & target ? 0.5 : -0.5) * double(controlled[p]);
        }
        set_turn(to + 2 * i, phase);
    }
}

}  // namespace quinr::strict
