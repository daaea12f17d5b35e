// Prints checksums of all strict results, computed while the thread is set to round upward and to
// flush denormals. Built for one machine with any compiler, they are the numbers of
// test_strict_other_machines.py.

#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "strict/conditional_field.hpp"
#include "strict/mask.hpp"
#include "strict/mask_model.hpp"
#include "strict/range_coder.hpp"
#include "strict/ranges.hpp"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace quinr::strict {
extern const Lanes baseline_lanes;
}

using namespace quinr;
using namespace quinr::strict;

namespace {

struct Checksum {
    std::uint64_t value = 0xcbf29ce484222325u;  // FNV-1a

    template <class T> void add(const T* from, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            std::uint64_t bits = 0;
            std::memcpy(&bits, from + i, sizeof(T));  // little-endian machines
            value = (value ^ bits) * 0x100000001b3u;
        }
    }
};

struct Random {
    std::uint64_t state;

    std::uint64_t word() {
        std::uint64_t z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    int below(int n) { return int(word() >> 33) % n; }
    // In [-scale, scale); exact, so long as the scale is a power of two.
    std::vector<float> floats(long count, float scale) {
        std::vector<float> values;
        for (long i = 0; i < count; ++i)
            values.push_back((float(word() >> 40) * 0x1p-23f - 1.0f) * scale);
        return values;
    }
};

void unsettle() {
    std::fesetround(FE_UPWARD);
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040);
#elif defined(__aarch64__)
    std::uint64_t control;
    asm volatile("mrs %0, fpcr" : "=r"(control));
    asm volatile("msr fpcr, %0" : : "r"(control | 1u << 24));
#endif
}

// Runs `job` in the strict environment, out of an unsettled one.
template <class Job> void run(Job job) {
    std::fenv_t before;
    std::fegetenv(&before);
    unsettle();
    {
        const Environment environment;
        job(environment);
    }
    std::fesetenv(&before);
}

CircuitSpec draw_circuit(Random& random, int qubits) {
    const int features = 1 + random.below(30), blocks = 1 + random.below(4);
    const int layers = 1 + random.below(2);
    std::vector<int> order, pairs;
    for (int i = 0; i < blocks * features; ++i) order.push_back(random.below(features));
    for (int c = 0; c < qubits; ++c)
        for (int t = 0; t < qubits; ++t)
            if (c < t || (c > t && layers == 1)) pairs.insert(pairs.end(), {c, t});
    return CircuitSpec(qubits, features, blocks, layers, 1, order, pairs);
}

void field(Random& random, int qubits, Checksum& sum) {
    const CircuitSpec circuit = draw_circuit(random, qubits);
    const int inputs = 1 + random.below(60), outputs = 1 + random.below(40);
    const float scale = qubits == 3 ? 0x1p-130f : 0.5f;  // denormal for once
    const auto weight = random.floats(long(circuit.features) * inputs, scale);
    const auto bias = random.floats(circuit.features, 2 * scale);
    const auto rotations = random.floats(circuit.rotations(), 4);
    const auto controlled = random.floats(circuit.controlled(), 4);
    const auto readout =
        random.floats(long(outputs) * (circuit.states() + circuit.features), scale);
    const auto offset = random.floats(outputs, scale);
    const std::vector<float> x = random.floats(long(inputs) * max_batch, 4);
    std::vector<float> y(std::size_t(outputs * max_batch));
    const int count = 1 + random.below(max_batch);
    run([&](const Environment& environment) {
        const ConditionalField made(
            circuit, inputs, outputs,
            {{circuit.features}, weight, bias, 3.25f, rotations, controlled, readout, offset});
        Workspace workspace(made);
        made.evaluate(environment, baseline_lanes, {x.data(), y.data(), max_batch, count},
                      workspace);
    });
    for (int o = 0; o < outputs; ++o) sum.add(&y[std::size_t(o * max_batch)], std::size_t(count));
}

// Every function over every exponent, both signs, infinities and NaN.
void function(Function which, Checksum& sum) {
    std::vector<float> x(1 << 16), y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto bits = std::uint32_t(i * 0x00010003u);
        std::memcpy(&x[i], &bits, sizeof bits);
    }
    run([&](const Environment&) {
        baseline_lanes.apply(which, x.data(), y.data(), long(x.size()));
    });
    sum.add(y.data(), y.size());
}

void constants(Random& random, Checksum& sum) {
    const std::vector<float> angles = random.floats(20000, 65536);
    run([&](const Environment&) {
        for (float angle : angles) {
            double both[2];
            precise_sincos(double(angle) * 0.5, both[0], both[1]);
            sum.add(both, 2);
        }
    });
}

void coder(Random& random, Checksum& sum) {
    RangeEncoder encoder;
    for (int i = 0; i < 100000; ++i) {
        const auto probability = std::uint32_t(random.word() >> 48);
        encoder.encode((random.word() >> 48) < probability, probability);
    }
    const std::vector<std::uint8_t> bytes = encoder.finish();
    sum.add(bytes.data(), bytes.size());
}

// A field of two sine layers with random parameters, for a layer of files.
ConditionalField layer_field(Random& random, int inputs, int outputs) {
    const std::vector<int> widths = {7, 9};
    constexpr int qubits = 3, blocks = 2;
    std::vector<int> order, pairs;
    for (int i = 0; i < blocks * widths[1]; ++i) order.push_back(random.below(widths[1]));
    for (int c = 0; c < qubits; ++c)
        for (int t = c + 1; t < qubits; ++t) pairs.insert(pairs.end(), {c, t});
    const CircuitSpec circuit(qubits, widths[1], blocks, 1, 1, order, pairs);
    const auto weight = random.floats(long(widths[0]) * (inputs + widths[1]), 0.25f);
    const auto bias = random.floats(widths[0] + widths[1], 2);
    const auto rotations = random.floats(circuit.rotations(), 4);
    const auto controlled = random.floats(circuit.controlled(), 4);
    const long read = circuit.states() + widths[0] + widths[1];
    const auto readout = random.floats(outputs * read, 0.25f);
    const auto offset = random.floats(outputs, 1);
    return ConditionalField(circuit, inputs, outputs,
                            {widths, weight, bias, 1.5f, rotations, controlled, readout, offset});
}

// A surface with steps in it, and outliers up to the largest number of steps.
std::vector<std::int32_t> draw_steps(Random& random, long pixels) {
    std::vector<std::int32_t> steps;
    std::int32_t surface = 500;
    for (long p = 0; p < pixels; ++p) {
        surface += random.below(7) - 3;
        if (random.below(50) == 0) surface = random.below(3000);
        if (surface < 0) surface = 0;
        steps.push_back(random.below(200) == 0 ? random.below(most_steps) : surface);
    }
    return steps;
}

// Both layers of pseudo-random images; whatever is decoded goes into the sum, too.
void layers(Random& random, long height, long width, float step, Checksum& sum) {
    std::vector<std::uint8_t> mask;
    for (long p = 0; p < height * width; ++p) mask.push_back(random.below(5) != 0);
    const std::vector<std::int32_t> steps = draw_steps(random, height * width);
    const auto linear = random.floats(range_model::components * range_context::neighbours, 0.125f);
    const ConditionalField mask_field =
        layer_field(random, mask_model::inputs, mask_model::outputs);
    const ConditionalField range_field =
        layer_field(random, range_model::inputs, range_model::outputs);
    const Image image{mask.data(), height, width};
    const Model mask_of{mask_field, baseline_lanes};
    const RangeModel range_of{{range_field, baseline_lanes}, linear};
    std::vector<std::uint8_t> mask_bytes, range_bytes, found_mask(mask.size());
    std::vector<std::int32_t> found(steps.size());
    std::fenv_t before;
    std::fegetenv(&before);
    unsettle();  // these set an environment of their own
    mask_bytes = encode_mask(mask_of, image);
    range_bytes = encode_ranges(range_of, image, step, steps.data());
    decode_mask(mask_of, height, width, mask_bytes.data(), mask_bytes.size(), found_mask.data());
    decode_ranges(range_of, image, step, range_bytes.data(), range_bytes.size(), found.data());
    std::fesetenv(&before);
    bool same = found_mask == mask;
    for (std::size_t p = 0; p < steps.size(); ++p) same = same && (!mask[p] || found[p] == steps[p]);
    if (!same) std::printf("a layer was not decoded to what it was encoded from\n");
    sum.add(mask_bytes.data(), mask_bytes.size());
    sum.add(range_bytes.data(), range_bytes.size());
}

void print(const char* name, const Checksum& sum) {
    std::printf("%s %016" PRIx64 "\n", name, sum.value);
}

}  // namespace

int main() {
    Random random{1};
    Checksum fields, functions, doubles, bytes, coded;
    for (int i = 0; i < 40; ++i) field(random, 1 + i % max_qubits, fields);
    for (int f = 0; f <= int(Function::sigmoid); ++f) function(Function(f), functions);
    constants(random, doubles);
    coder(random, bytes);
    layers(random, 40, 100, 0.0390625f, coded);
    layers(random, 150, 9, 0x1p-10f, coded);
    layers(random, 1, 200, 4.0f, coded);
    print("fields", fields);
    print("functions", functions);
    print("constants", doubles);
    print("bytes", bytes);
    print("layers", coded);
}
