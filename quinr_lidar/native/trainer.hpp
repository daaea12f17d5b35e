// The training loop: batches, loss, gradient and AdamW without a return to Python.
#pragma once

#include <cstdint>

#include "field.hpp"

namespace quinr {

// The word that follows `state` in SplitMix64 (Steele, Lea and Flood 2014).
constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;

inline std::uint64_t split_mix(std::uint64_t state) {
    std::uint64_t z = state + golden;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

// The samples of a step, as quinr_lidar.training.batches defines them: one from each of `batch`
// equal stretches of the image's rows.
inline void draw_batch(std::uint64_t seed, std::uint64_t step, long samples,
                       std::vector<int>& batch) {
    const std::uint64_t base = split_mix(seed ^ split_mix(step));
    const auto count = double(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
        const double uniform = double(split_mix(base + i * golden) >> 11) * 0x1p-53;
        const long sample = long((double(i) + uniform) * double(samples) / count);
        batch[i] = int(std::min(sample, samples - 1));
    }
}

struct TrainerSettings {
    long batch;
    double weight_decay;
    std::uint64_t seed;
    int threads;
};

// Trains the fields of several frames on the same coordinates, each on its own targets.
class Trainer {
   public:
    // coordinates [samples][inputs], targets [frames][samples][outputs], parameters
    // [frames][FieldSpec::size()], factors [FieldSpec::size()] of the learning rate.
    Trainer(const Kernels<float>& kernels, FieldSpec spec, long frames, long samples,
            std::vector<float> coordinates, std::vector<float> targets,
            std::vector<float> parameters, std::vector<float> factors, TrainerSettings settings)
        : kernels_(kernels), spec_(std::move(spec)), frames_(frames), samples_(samples),
          coordinates_(std::move(coordinates)), targets_(std::move(targets)),
          parameters_(std::move(parameters)), factors_(std::move(factors)), settings_(settings),
          batch_(std::size_t(settings.batch)), first_moment_(parameters_.size()),
          second_moment_(parameters_.size()), gradient_(std::size_t(spec_.size())) {
        for (long f = 0; f < frames_; ++f)
            fields_.emplace_back(spec_, &parameters_[std::size_t(f * spec_.size())]);
    }

    // The fields refer to the trainer's own specification.
    Trainer(const Trainer&) = delete;
    Trainer& operator=(const Trainer&) = delete;

    const std::vector<float>& parameters() const { return parameters_; }

    // One step for each learning rate. losses[i]: mean squared error of step i's batch over all
    // frames. Stops early, with the losses so far, once one is not finite.
    long run(const double* rates, long steps, double* losses) {
        const long chunks = chunk_count(settings_.batch), size = chunk_size(settings_.batch);
        const long slots = spec_.sums().size();
        Team team(useful_threads(settings_.threads, frames_ * chunks));
        Workspaces spaces(team.size(),
                          kernels_.workspace_bytes(fields_[0].circuit(), spec_.inputs));
        std::vector<double> sums(std::size_t(frames_ * chunks * slots));
        const auto weight = float(1.0 / double(settings_.batch * spec_.circuit.outputs));
        const std::function<void(long, int)> task = [&](long number, int worker) {
            const long frame = number / chunks, first = number % chunks * size;
            const auto& field = fields_[std::size_t(frame)];
            const LossChunk<float> chunk{
                coordinates_.data(),
                targets_.data() + frame * samples_ * spec_.circuit.outputs,
                batch_.data(),
                first,
                std::min(settings_.batch, first + size),
                weight,
                &sums[std::size_t(number * slots)]};
            kernels_.loss(field.circuit(), field.field(), chunk, spaces[worker]);
        };
        for (long step = 0; step < steps; ++step) {
            draw_batch(settings_.seed, std::uint64_t(steps_done_), samples_, batch_);
            team.run(frames_ * chunks, task);
            double squared = 0;
            for (long f = 0; f < frames_; ++f)
                squared += update(f, &sums[std::size_t(f * chunks * slots)], chunks, rates[step]);
            ++steps_done_;
            losses[step] = squared * double(weight) / double(frames_);
            if (!std::isfinite(losses[step])) return step + 1;
        }
        return steps;
    }

   private:
    // Adds up one frame's chunks and takes its AdamW step; returns the sum of squared errors.
    double update(long frame, double* sums, long chunks, double rate) {
        const long slots = spec_.sums().size();
        for (long k = 1; k < chunks; ++k)
            for (long s = 0; s < slots; ++s) sums[s] += sums[k * slots + s];
        field_gradient(spec_, sums, gradient_.data());
        // Constants of Adam as its authors and torch choose them.
        const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
        const double t = double(steps_done_ + 1);
        const double correction1 = 1 - std::pow(beta1, t), correction2 = 1 - std::pow(beta2, t);
        const auto at = std::size_t(frame * spec_.size());
        for (std::size_t i = 0; i < gradient_.size(); ++i) {
            const double g = gradient_[i], r = rate * factors_[i];
            const double m = beta1 * first_moment_[at + i] + (1 - beta1) * g;
            const double v = beta2 * second_moment_[at + i] + (1 - beta2) * g * g;
            first_moment_[at + i] = m;
            second_moment_[at + i] = v;
            const double p = parameters_[at + i] * (1 - r * settings_.weight_decay);
            const double scale = std::sqrt(v / correction2) + epsilon;
            parameters_[at + i] = float(p - r * m / correction1 / scale);
        }
        fields_[std::size_t(frame)].set(&parameters_[at]);
        return sums[spec_.sums().squared_error()];
    }

    Kernels<float> kernels_;
    FieldSpec spec_;
    long frames_, samples_;
    std::vector<float> coordinates_, targets_, parameters_, factors_;
    TrainerSettings settings_;
    std::vector<int> batch_;
    std::vector<double> first_moment_, second_moment_;
    std::vector<float> gradient_;
    std::vector<FrameField<float>> fields_;
    long steps_done_ = 0;
};

}  // namespace quinr
