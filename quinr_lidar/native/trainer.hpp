// The training loop: batches, loss, gradient and the steps of AdamW, on the axes of the parameters
// or on rotated ones, without a return to Python.
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

// Samples [first, last) of a step's batch, as quinr_lidar.training.batches defines them: one from
// each of `size` equal stretches of the image's rows.
inline void draw_batch(std::uint64_t seed, std::uint64_t step, long samples, long size, long first,
                       long last, int* batch) {
    const std::uint64_t base = split_mix(seed ^ split_mix(step));
    const double stretch = double(samples) / double(size);
    for (long i = first; i < last; ++i) {
        const double uniform = double(split_mix(base + std::uint64_t(i) * golden) >> 11) * 0x1p-53;
        *batch++ = int(std::min(long((double(i) + uniform) * stretch), samples - 1));
    }
}

struct TrainerSettings {
    long batch;
    double weight_decay, beta1, beta2;
    std::uint64_t seed;
    int threads;
};

// Trains the fields of several frames on the same coordinates, each on its own targets.
class Trainer {
   public:
    // coordinates [samples][inputs], targets [frames][samples][channels], parameters
    // [frames][FieldSpec::size()], factors [FieldSpec::size()] of the learning rate.
    Trainer(const Kernels<float>& kernels, FieldSpec spec, long frames, long samples,
            std::vector<float> coordinates, std::vector<float> targets,
            std::vector<float> parameters, std::vector<float> factors, TrainerSettings settings)
        : kernels_(kernels), spec_(std::move(spec)), frames_(frames), samples_(samples),
          coordinates_(std::move(coordinates)), targets_(std::move(targets)),
          parameters_(std::move(parameters)), factors_(std::move(factors)), settings_(settings),
          first_moment_(parameters_.size()), second_moment_(parameters_.size()), gradient_(std::size_t(spec_.size())),
          rotated_(gradient_.size()) {
        for (long f = 0; f < frames_; ++f)
            fields_.emplace_back(spec_, &parameters_[std::size_t(f * spec_.size())]);
    }

    // The fields refer to the trainer's own specification.
    Trainer(const Trainer&) = delete;
    Trainer& operator=(const Trainer&) = delete;

    long frames() const { return frames_; }
    long size() const { return spec_.size(); }
    std::vector<float> parameters() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return parameters_;
    }

    // From now on moments and steps are along new axes. basis [frames][S][S]: a row for each axis,
    // what a step of size 1 adds; turn [frames][S][S]: from the old axes to the new.
    void rotate(const float* basis, const float* turn) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto size = std::size_t(spec_.size());
        basis_.assign(basis, basis + std::size_t(frames_) * size * size);
        std::vector<double> first(size), second(size);
        for (std::size_t f = 0; f < std::size_t(frames_); ++f) {
            double *m = &first_moment_[f * size], *v = &second_moment_[f * size];
            for (std::size_t k = 0; k < size; ++k) {
                const float* row = turn + (f * size + k) * size;
                first[k] = second[k] = 0;
                for (std::size_t i = 0; i < size; ++i) {
                    first[k] += double(row[i]) * m[i];
                    second[k] += double(row[i]) * double(row[i]) * v[i];
                }
            }
            std::copy(first.begin(), first.end(), m);
            std::copy(second.begin(), second.end(), v);
        }
    }

    // One step for each learning rate. losses[i]: mean squared error of step i's batch over all
    // frames. Stops early, with the losses so far, once one is not finite.
    long run(const double* rates, long steps, double* losses) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const long chunks = chunk_count(settings_.batch), size = chunk_size(settings_.batch);
        const long slots = spec_.sums().size();
        Team team(useful_threads(settings_.threads, frames_ * chunks));
        Workspaces spaces(team.size(),
                          kernels_.workspace_bytes(fields_[0].circuit(), spec_.sizes));
        std::vector<double> sums(std::size_t(frames_ * chunks * slots));
        std::vector<int> batches(std::size_t(team.size() * size));
        const auto weight = float(1.0 / double(settings_.batch * spec_.sizes.read_out.channels));
        const std::function<void(long, int)> task = [&](long number, int worker) {
            const long frame = number / chunks, first = number % chunks * size;
            const auto& field = fields_[std::size_t(frame)];
            // Every worker draws what it needs: the same samples for all frames.
            const long last = std::min(settings_.batch, first + size);
            int* batch = &batches[std::size_t(worker * size)];
            draw_batch(settings_.seed, std::uint64_t(steps_done_), samples_, settings_.batch, first,
                       last, batch);
            const LossChunk<float> chunk{
                coordinates_.data(),
                targets_.data() + frame * samples_ * spec_.sizes.read_out.channels,
                batch,
                last - first,
                weight,
                &sums[std::size_t(number * slots)]};
            kernels_.loss(field.circuit(), field.field(), chunk, spaces[worker]);
        };
        for (long step = 0; step < steps; ++step) {
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
        to_axes(frame);
        const double epsilon = 1e-8, t = double(steps_done_ + 1);
        const double beta1 = settings_.beta1, beta2 = settings_.beta2;
        const double correction1 = 1 - std::pow(beta1, t), correction2 = 1 - std::pow(beta2, t);
        const auto at = std::size_t(frame * spec_.size());
        for (std::size_t i = 0; i < gradient_.size(); ++i) {
            const double g = gradient_[i];
            const double m = beta1 * first_moment_[at + i] + (1 - beta1) * g;
            const double v = beta2 * second_moment_[at + i] + (1 - beta2) * g * g;
            first_moment_[at + i] = m;
            second_moment_[at + i] = v;
            gradient_[i] = float(m / correction1 / (std::sqrt(v / correction2) + epsilon));
        }
        from_axes(frame);
        for (std::size_t i = 0; i < gradient_.size(); ++i) {
            const double r = rate * factors_[i];
            const double p = parameters_[at + i] * (1 - r * settings_.weight_decay);
            parameters_[at + i] = float(p - r * gradient_[i]);
        }
        fields_[std::size_t(frame)].set(&parameters_[at]);
        return sums[spec_.sums().squared_error()];
    }

    // gradient_ in the coordinates of the axes.
    void to_axes(long frame) {
        if (basis_.empty()) return;
        const std::size_t size = gradient_.size();
        const float* row = &basis_[std::size_t(frame) * size * size];
        for (std::size_t k = 0; k < size; ++k, row += size) {
            float parts[8] = {};  // in several sums, which compilers turn into a vector
            std::size_t i = 0;
            for (; i + 8 <= size; i += 8)
                for (std::size_t j = 0; j < 8; ++j) parts[j] += row[i + j] * gradient_[i + j];
            for (; i < size; ++i) parts[0] += row[i] * gradient_[i];
            rotated_[k] = std::accumulate(parts, parts + 8, 0.0f);
        }
        gradient_.swap(rotated_);
    }

    // A step along the axes, in parameters.
    void from_axes(long frame) {
        if (basis_.empty()) return;
        const std::size_t size = gradient_.size();
        const float* row = &basis_[std::size_t(frame) * size * size];
        std::fill(rotated_.begin(), rotated_.end(), 0.0f);
        for (std::size_t k = 0; k < size; ++k, row += size)
            for (std::size_t i = 0; i < size; ++i) rotated_[i] += row[i] * gradient_[k];
        gradient_.swap(rotated_);
    }

    mutable std::mutex mutex_;  // Python's threads may share a trainer
    Kernels<float> kernels_;
    FieldSpec spec_;
    long frames_, samples_;
    std::vector<float> coordinates_, targets_, parameters_, factors_;
    TrainerSettings settings_;
    std::vector<double> first_moment_, second_moment_;
    std::vector<float> gradient_, rotated_, basis_;
    std::vector<FrameField<float>> fields_;
    long steps_done_ = 0;
};

}  // namespace quinr
