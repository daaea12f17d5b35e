// quINR: a frame's parameters in one flat array, and the constants that the kernel needs.
#pragma once

#include <utility>

#include "compute.hpp"

namespace quinr {

// Where each tensor of a frame begins: weight [features][inputs], bias [features]; for each further
// sine layer weight [features][features], bias [features]; embedding scale, rotations, controlled,
// output scale [channels] (where the field mixes the circuit's outputs, [channels][outputs]), output
// offset [channels].
struct FieldSpec {
    CircuitSpec circuit;
    FieldSizes sizes;
    double w0;

    FieldSpec(CircuitSpec spec, int inputs, int sine_layers, double w0, int channels, bool mixed)
        : circuit(std::move(spec)),
          sizes{inputs, sine_layers, {channels, circuit.outputs, mixed}}, w0(w0) {
        if (inputs < 1 || inputs > 4096) throw std::invalid_argument("inputs: out of range");
        if (sine_layers < 1 || sine_layers > 255)
            throw std::invalid_argument("sine_layers: out of range");
        if (channels < 1 || channels > 4096 || (!mixed && channels != circuit.outputs))
            throw std::invalid_argument("channels: out of range");
    }

    long bias() const { return long(circuit.features) * sizes.inputs; }
    long hidden_size() const { return long(circuit.features) * (circuit.features + 1); }
    long hidden(int layer) const {  // layer = 1 .. sine layers - 1
        return bias() + circuit.features + (layer - 1) * hidden_size();
    }
    long embedding_scale() const { return hidden(sizes.sine_layers); }
    // Ranges of the weights that w0 multiplies: [begin, end) of layer 0 .. sine layers - 1.
    std::pair<long, long> weights(int layer) const {
        if (layer == 0) return {0, bias()};
        return {hidden(layer), hidden(layer) + hidden_size() - circuit.features};
    }
    long rotations() const { return embedding_scale() + 1; }
    long controlled() const { return rotations() + circuit.rotations(); }
    long output_scale() const { return controlled() + circuit.controlled(); }
    long output_offset() const { return output_scale() + sizes.read_out.weights(); }
    long size() const { return output_offset() + sizes.read_out.channels; }
    FieldSumLayout sums() const {
        return {circuit.sums().size(), circuit.features, sizes};
    }
};

// One frame's field with its constants.
template <class T> class FrameField {
   public:
    FrameField(const FieldSpec& spec, const T* parameters)
        : spec_(spec),
          circuit_(spec.circuit, parameters + spec.rotations(), parameters + spec.controlled()) {
        set(parameters, false);
    }

    void set(const T* parameters) { set(parameters, true); }

    Circuit<T> circuit() const { return circuit_.view(); }

    Field<T> field() const {
        const T* p = own_.data();
        return {spec_.sizes,
                p,
                p + spec_.bias(),
                p + spec_.hidden(1),
                p[spec_.embedding_scale()],
                p + spec_.output_scale(),
                p + spec_.output_offset()};
    }

   private:
    void set(const T* parameters, bool angles_too) {
        own_.assign(parameters, parameters + spec_.size());
        for (int layer = 0; layer < spec_.sizes.sine_layers; ++layer) {
            const auto [begin, end] = spec_.weights(layer);
            for (long i = begin; i < end; ++i) own_[std::size_t(i)] *= T(spec_.w0);
        }
        if (angles_too)
            circuit_.set(parameters + spec_.rotations(), parameters + spec_.controlled());
    }

    const FieldSpec& spec_;
    FrameCircuit<T> circuit_;
    std::vector<T> own_;  // all parameters, with w0 W in place of W
};

// Values [frames][samples][channels] at coordinates [frames or 1][samples][inputs].
template <class T> struct ValueArrays {
    long frames, samples;
    bool shared_coordinates;
    const T *parameters, *coordinates;
    T* values;
};

template <class T>
void compute_values(const Kernels<T>& kernels, const FieldSpec& spec, const ValueArrays<T>& a,
                    int threads) {
    std::vector<FrameField<T>> fields;
    for (long f = 0; f < a.frames; ++f) fields.emplace_back(spec, a.parameters + f * spec.size());
    const long bytes = a.frames ? kernels.workspace_bytes(fields[0].circuit(), spec.sizes) : 0;
    for_chunks(a.frames, a.samples, threads, bytes,
               [&](long frame, long first, long last, long, void* space) {
                   const auto& field = fields[std::size_t(frame)];
                   const long at = frame * a.samples;
                   const T* coordinates =
                       a.coordinates + (a.shared_coordinates ? 0 : at * spec.sizes.inputs);
                   ValueChunk<T> chunk{coordinates, first, last,
                                       a.values + at * spec.sizes.read_out.channels};
                   kernels.values(field.circuit(), field.field(), chunk, space);
               });
}

// Sums over samples -> gradient in the layout of the parameters.
template <class T> void field_gradient(const FieldSpec& spec, const double* sums, T* gradient) {
    const FieldSumLayout layout = spec.sums();
    const CircuitSpec& circuit = spec.circuit;
    // The sums of the sine layers are in the order of the parameters, but derivatives by w0 W.
    for (long i = 0; i < spec.embedding_scale(); ++i)
        gradient[i] = T(sums[layout.weight(0) + i]);
    for (int layer = 0; layer < spec.sizes.sine_layers; ++layer) {
        const auto [begin, end] = spec.weights(layer);
        for (long i = begin; i < end; ++i) gradient[i] *= T(spec.w0);
    }
    gradient[spec.embedding_scale()] = T(sums[layout.embedding_scale()]);
    angle_gradients(circuit, sums, gradient + spec.rotations(), gradient + spec.controlled());
    for (int i = 0; i < spec.sizes.read_out.weights(); ++i)
        gradient[spec.output_scale() + i] = T(sums[layout.output_scale(i)]);
    for (int c = 0; c < spec.sizes.read_out.channels; ++c)
        gradient[spec.output_offset() + c] = T(sums[layout.output_offset(c)]);
}

}  // namespace quinr
