// The kernel for one instruction set; the build compiles this file once for each, with
// QUINR_ISA and QUINR_VECTOR_BYTES set. No container or other inline function of the standard
// library may be used here: the linker could keep this instruction set's copy for all callers.

#include "circuit.hpp"
#include "field_layers.hpp"

namespace {

using namespace quinr;

// Adds gradients over the pixels of a chunk, lane by lane.
template <class T> struct SumSink {
    SumLayout layout;
    VecOf<T>* sums;

    QUINR_INLINE void phases(int g, const VecOf<T>* w) {
        VecOf<T>* to = sums + layout.phase(g);
        for (int i = 0; i < layout.states; ++i) to[i] += w[i];
    }
    QUINR_INLINE void t0(int g, int q, VecOf<T> x) { sums[layout.t0(g, q)] += x; }
    QUINR_INLINE void t1(int g, int q, VecOf<T> x) { sums[layout.t1(g, q)] += x; }
    QUINR_INLINE void t3_before(int g, int q, VecOf<T> x) { sums[layout.t3_before(g, q)] += x; }
};

// Writes every pixel's gradients.
template <class T> struct JacobianSink {
    using V = VecOf<T>;
    const JacobianChunk<T>& job;
    int qubits, gate_layers, output;
    long pixel;
    int count;
    V* correlations;  // [states]

    T* rotation(int g, int kind, int q) const {
        return job.rotations +
               (((long(output) * gate_layers + g) * 4 + kind) * qubits + q) * job.pixels + pixel;
    }
    // The derivative by a phase is -2 w. RZ(t2) has the phases -+t2 / 2, and a controlled
    // rotation -+t / 2 where the control is 1, so all gradients of a layer are differences of
    // w's correlations with products of qubits' signs: its Walsh-Hadamard transform.
    void phases(int g, const V* w) {
        const int states = 1 << qubits;
        for (int i = 0; i < states; ++i) correlations[i] = w[i];
        for (int bit = 1; bit < states; bit *= 2)
            for (int i = 0; i < states; ++i)
                if (!(i & bit)) {
                    const V low = correlations[i], high = correlations[i + bit];
                    correlations[i] = low + high;
                    correlations[i + bit] = low - high;
                }
        for (int q = 0; q < qubits; ++q)
            store<T>(correlations[states >> (q + 1)], rotation(g, 2, q), count);
        T* to = job.controlled + (long(output) * gate_layers + g) * job.pair_count * job.pixels;
        for (int p = 0; p < job.pair_count; ++p) {
            const int control = states >> (job.pairs[2 * p] + 1);
            const int target = states >> (job.pairs[2 * p + 1] + 1);
            const V x = T(0.5) * (correlations[target] - correlations[control | target]);
            store<T>(x, to + p * job.pixels + pixel, count);
        }
    }
    void t0(int g, int q, V x) { store<T>(x, rotation(g, 0, q), count); }
    void t1(int g, int q, V x) { store<T>(x, rotation(g, 1, q), count); }
    void t3_before(int g, int q, V x) { store<T>(x, rotation(g - 1, 3, q), count); }
};

template <class T> constexpr int lanes = Simd<T>::lanes;

template <class T> QUINR_INLINE int lanes_left(long pixel, long last) {
    return last - pixel < lanes<T> ? int(last - pixel) : lanes<T>;
}

template <class T> QUINR_INLINE SumLayout layout_of(const Circuit<T>& c) {
    return {c.qubits, c.states, c.gate_layers};
}

template <class T> QUINR_INLINE FieldSumLayout layout_of(const Circuit<T>& c, const Field<T>& f) {
    return {layout_of(c).size(), c.features, f.sizes};
}

template <class T> QUINR_INLINE VecOf<T>* cleared(VecOf<T>* sums, int count) {
    for (int i = 0; i < count; ++i) sums[i] = VecOf<T>{};
    return sums;
}

template <class T> QUINR_INLINE void add_lanes(const VecOf<T>* sums, int count, double* to) {
    for (int i = 0; i < count; ++i) to[i] = sum_of_lanes<T>(sums[i]);
}

template <class T, int Q> QUINR_INLINE void load_angles(Tile<T, Q>& tile, const T* from, int count) {
    const int features = tile.circuit.features;
    VecOf<T> largest{};
    for (int f = 0; f < features; ++f)
        sincos<T>(T(0.5) * gather<T>(from + f, features, count), tile.sine[f], tile.cosine[f],
                  largest);
    if (__builtin_expect(beyond_limit<T>(largest), 0))
        for (int f = 0; f < features; ++f)
            any_sincos<T>(T(0.5) * gather<T>(from + f, features, count), tile.sine[f],
                          tile.cosine[f]);
}

template <class T, int Q> void angles(const Circuit<T>& c, const AngleChunk<T>& job, void* space) {
    using V = VecOf<T>;
    Tile<T, Q> tile(c, space);
    const bool backward = job.cotangent != nullptr;
    const int slots = layout_of(c).size();
    SumSink<T> sink{layout_of(c), cleared<T>(tile.rest, backward ? slots : 0)};
    for (long pixel = job.first; pixel < job.last; pixel += lanes<T>) {
        const int count = lanes_left<T>(pixel, job.last);
        load_angles(tile, job.embedding + pixel * c.features, count);
        tile.forward(backward);
        for (int o = 0; o < c.outputs; ++o)
            scatter<T>(tile.probability(o), job.probabilities + pixel * c.outputs + o, c.outputs,
                       count);
        if (!backward) continue;
        for (int o = 0; o < c.outputs; ++o) {
            const V weight = gather<T>(job.cotangent + pixel * c.outputs + o, c.outputs, count);
            tile.seed(o, weight, o == 0);
            for (int q = 0; q < tile.qubits(); ++q)
                sink.sums[sink.layout.last_t3(q)] += weight * tile.last_rotation(o, q);
        }
        tile.double_angles();
        tile.backward(sink);
        for (int f = 0; f < c.features; ++f)
            scatter<T>(tile.angle_gradient[f], job.embedding_gradient + pixel * c.features + f,
                       c.features, count);
    }
    if (backward) add_lanes<T>(sink.sums, slots, job.sums);
}

template <class T, int Q>
void jacobian(const Circuit<T>& c, const JacobianChunk<T>& job, void* space) {
    Tile<T, Q> tile(c, space);
    for (long pixel = job.first; pixel < job.last; pixel += lanes<T>) {
        const int count = lanes_left<T>(pixel, job.last);
        load_angles(tile, job.embedding + pixel * c.features, count);
        tile.forward(true);
        tile.double_angles();
        for (int o = 0; o < c.outputs; ++o) {
            store<T>(tile.probability(o), job.probabilities + o * job.pixels + pixel, count);
            JacobianSink<T> sink{job, tile.qubits(), c.gate_layers, o, pixel, count, tile.rest};
            tile.seed(o, broadcast<T>(1), true);
            for (int q = 0; q < tile.qubits(); ++q)
                store<T>(tile.last_rotation(o, q), sink.rotation(c.gate_layers - 1, 3, q), count);
            tile.backward(sink);
            T* to = job.embedding_jacobian + long(o) * c.features * job.pixels + pixel;
            for (int f = 0; f < c.features; ++f)
                store<T>(tile.angle_gradient[f], to + f * job.pixels, count);
        }
    }
}

template <class T, int Q>
void values(const Circuit<T>& c, const Field<T>& field, const ValueChunk<T>& job, void* space) {
    Tile<T, Q> tile(c, space);
    Embedding<T, Q> embedding(tile, field);
    ReadOutLayer<T> read_out(field, tile.rest);
    for (long pixel = job.first; pixel < job.last; pixel += lanes<T>) {
        const int count = lanes_left<T>(pixel, job.last);
        for (int d = 0; d < field.sizes.inputs; ++d)
            embedding.coordinate[d] =
                gather<T>(job.coordinates + pixel * field.sizes.inputs + d, field.sizes.inputs, count);
        embedding.forward();
        tile.forward(false);
        for (int o = 0; o < c.outputs; ++o) read_out.probability[o] = tile.probability(o);
        for (int channel = 0; channel < field.sizes.read_out.channels; ++channel)
            scatter<T>(read_out.value(channel), job.values + pixel * field.sizes.read_out.channels + channel,
                       field.sizes.read_out.channels, count);
    }
}

template <class T>
QUINR_INLINE VecOf<T> gather_by(const T* from, const int* index, int stride, int count) {
    VecOf<T> v{};
    for (int lane = 0; lane < count; ++lane) v[lane] = from[long(index[lane]) * stride];
    return v;
}

template <class T, int Q>
void loss(const Circuit<T>& c, const Field<T>& field, const LossChunk<T>& job, void* space) {
    using V = VecOf<T>;
    Tile<T, Q> tile(c, space);
    Embedding<T, Q> embedding(tile, field);
    ReadOutLayer<T> read_out(field, tile.rest);
    const FieldSumLayout layout = layout_of(c, field);
    V* sums = cleared<T>(tile.rest, layout.size());
    SumSink<T> sink{layout_of(c), sums};
    for (long sample = 0; sample < job.count; sample += lanes<T>) {
        const int count = lanes_left<T>(sample, job.count);
        const int* index = job.index + sample;
        for (int d = 0; d < field.sizes.inputs; ++d)
            embedding.coordinate[d] =
                gather_by<T>(job.coordinates + d, index, field.sizes.inputs, count);
        embedding.forward();
        tile.forward(true);
        V present{};
        for (int lane = 0; lane < count; ++lane) present[lane] = 1;
        for (int o = 0; o < c.outputs; ++o) {
            read_out.probability[o] = tile.probability(o);
            read_out.by_probability[o] = V{};
        }
        const int channels = field.sizes.read_out.channels;
        for (int channel = 0; channel < channels; ++channel) {
            const V target = gather_by<T>(job.targets + channel, index, channels, count);
            // Clipped as a decoder clips, with a straight-through gradient.
            const V error = (clamp01<T>(read_out.value(channel)) - target) * present;
            sums[layout.squared_error()] += error * error;
            const V gradient = T(2) * job.weight * error;
            read_out.backward(layout, sums, channel, gradient);
        }
        for (int o = 0; o < c.outputs; ++o) {
            const V weight = read_out.by_probability[o];
            tile.seed(o, weight, o == 0);
            for (int q = 0; q < tile.qubits(); ++q)
                sums[sink.layout.last_t3(q)] += weight * tile.last_rotation(o, q);
        }
        tile.double_angles();
        tile.backward(sink);
        embedding.backward(layout, sums);
    }
    add_lanes<T>(sums, layout.size(), job.sums);
}

template <class T> long workspace_bytes(const Circuit<T>& c, const FieldSizes& sizes) {
    const FieldSumLayout layout{layout_of(c).size(), c.features, sizes};
    const long vectors = Tile<T, 0>::vectors(c) + sizes.inputs +
                         2L * (sizes.sine_layers + 1) * c.features + c.states + 2L * c.outputs +
                         layout.size();
    return vectors * QUINR_VECTOR_BYTES;
}

#define QUINR_BY_QUBITS(function, ...)                      \
    switch (c.qubits) {                                     \
        case 1: return function<T, 1>(__VA_ARGS__);         \
        case 2: return function<T, 2>(__VA_ARGS__);         \
        case 3: return function<T, 3>(__VA_ARGS__);         \
        case 4: return function<T, 4>(__VA_ARGS__);         \
        case 5: return function<T, 5>(__VA_ARGS__);         \
        case 6: return function<T, 6>(__VA_ARGS__);         \
        case 7: return function<T, 7>(__VA_ARGS__);         \
        case 8: return function<T, 8>(__VA_ARGS__);         \
        default: return function<T, 0>(__VA_ARGS__);        \
    }

template <class T> void any_angles(const Circuit<T>& c, const AngleChunk<T>& job, void* space) {
    QUINR_BY_QUBITS(angles, c, job, space)
}
template <class T> void any_jacobian(const Circuit<T>& c, const JacobianChunk<T>& job, void* space) {
    QUINR_BY_QUBITS(jacobian, c, job, space)
}
template <class T>
void any_values(const Circuit<T>& c, const Field<T>& f, const ValueChunk<T>& job, void* space) {
    QUINR_BY_QUBITS(values, c, f, job, space)
}
template <class T>
void any_loss(const Circuit<T>& c, const Field<T>& f, const LossChunk<T>& job, void* space) {
    QUINR_BY_QUBITS(loss, c, f, job, space)
}

// The machine's peak: twelve independent chains of fused multiply-adds keep every unit busy.
double fma_peak(long repeats) {
    using V = VecOf<float>;
    V sum[12];
#pragma GCC unroll 12
    for (int k = 0; k < 12; ++k) sum[k] = broadcast<float>(0.1f * float(k));
    V factor = broadcast<float>(0.999f), term = broadcast<float>(0.001f);
    for (long n = 0; n < repeats; ++n) {
#pragma GCC unroll 12
        for (int k = 0; k < 12; ++k) sum[k] = sum[k] * factor + term;
    }
    double total = 0;
    for (int k = 0; k < 12; ++k) total += sum_of_lanes<float>(sum[k]);
    // The result must be used, or the compiler drops the work.
    return total > 0 ? 12.0 * double(repeats) * Simd<float>::lanes : 0;
}

template <class T> constexpr Kernels<T> kernels() {
    return {workspace_bytes<T>, any_angles<T>, any_jacobian<T>, any_values<T>, any_loss<T>};
}

}  // namespace

#define QUINR_NAME_OF(isa) #isa
#define QUINR_NAME(isa) QUINR_NAME_OF(isa)
#define QUINR_TABLE_OF(isa) isa##_kernels
#define QUINR_TABLE(isa) QUINR_TABLE_OF(isa)

namespace quinr {

extern const InstructionSet QUINR_TABLE(QUINR_ISA);
const InstructionSet QUINR_TABLE(QUINR_ISA) = {QUINR_NAME(QUINR_ISA), kernels<float>(),
                                               kernels<double>(), fma_peak};

}  // namespace quinr
