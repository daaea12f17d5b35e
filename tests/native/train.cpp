// Trains small fields with the baseline kernel and prints what came out: the same numbers on
// every machine, but for rounding. For test_other_machines.py.
#include <cstdio>

#include "instruction_sets.hpp"
#include "trainer.hpp"

using namespace quinr;

namespace {

std::uint64_t state = 0;

float random_number() {
    state = split_mix(state);
    return float(double(state >> 11) * 0x1p-53 * 2 - 1);
}

std::vector<float> random_numbers(long count) {
    std::vector<float> numbers(static_cast<std::size_t>(count));
    for (float& number : numbers) number = random_number();
    return numbers;
}

void train(int qubits) {
    const int features = 2 * qubits + 1, blocks = 2;
    std::vector<int> order, pairs;
    for (int block = 0; block < blocks; ++block)
        for (int f = 0; f < features; ++f) order.push_back((2 * f + block) % features);
    for (int i = 0; i < qubits; ++i)
        for (int j = i + 1; j < qubits; ++j) {
            pairs.push_back(i);
            pairs.push_back(j);
        }
    const FieldSpec spec(CircuitSpec(qubits, features, blocks, 1, 1, order, pairs), 2, 1, 30.0, 1, false);
    const long samples = 1000;
    const std::vector<float> factors(static_cast<std::size_t>(spec.size()), 1.0f);
    const auto coordinates = random_numbers(2 * samples);
    const auto targets = random_numbers(samples);
    const auto parameters = random_numbers(spec.size());
    Trainer trainer(instruction_sets().back()->single, spec, 1, samples, coordinates, targets,
                    parameters, factors, {300, 0.0, 0.9, 0.999, 7, 3});
    const std::vector<double> rates(20, 1e-3);
    std::vector<double> losses(rates.size());
    trainer.run(rates.data(), long(rates.size()), losses.data());
    double sum = 0;
    for (float parameter : trainer.parameters()) sum += parameter;
    std::printf("%d %.6f %.6f %.4f\n", qubits, losses.front(), losses.back(), sum);
}

}  // namespace

int main() {
    for (int qubits = 1; qubits <= 9; ++qubits) train(qubits);
}
