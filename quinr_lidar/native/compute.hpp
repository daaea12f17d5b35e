// Whole computations: frames and pixels cut into chunks, chunks shared out over threads, sums
// put together in the order of the chunks, so that results do not depend on the threads.
#pragma once

#include <numeric>

#include "frame_circuit.hpp"
#include "team.hpp"
#include "workspace.hpp"

namespace quinr {

// Pixels of a chunk. Depends on nothing but the number of pixels: enough chunks to share out
// evenly, few enough that adding up their sums costs nothing.
inline long chunk_size(long pixels) {
    const long even = (pixels / 64 + 63) / 64 * 64;
    return std::min(4096L, std::max(128L, even));
}

inline long chunk_count(long pixels) { return (pixels + chunk_size(pixels) - 1) / chunk_size(pixels); }

template <class T> std::vector<FrameCircuit<T>> frame_circuits(const CircuitSpec& spec, long frames,
                                                               const T* rotations,
                                                               const T* controlled) {
    std::vector<FrameCircuit<T>> circuits;
    for (long f = 0; f < frames; ++f)
        circuits.emplace_back(spec, rotations + f * spec.rotations(),
                              controlled + f * spec.controlled());
    return circuits;
}

// Runs job(frame, first pixel, last pixel, chunk's number, workspace) for all chunks.
template <class Job>
void for_chunks(long frames, long pixels, int threads, long workspace_bytes, const Job& job) {
    const long chunks = chunk_count(pixels), size = chunk_size(pixels);
    Team team(useful_threads(threads, frames * chunks));
    Workspaces spaces(team.size(), workspace_bytes);
    team.run(frames * chunks, [&](long task, int worker) {
        const long frame = task / chunks, first = task % chunks * size;
        job(frame, first, std::min(pixels, first + size), task, spaces[worker]);
    });
}

// Probabilities, and gradients where a cotangent is given.
template <class T> struct AngleArrays {
    long frames, pixels;
    const T *embedding, *rotations, *controlled;
    const T* cotangent;  // or null
    T* probabilities;
    T *embedding_gradient, *rotation_gradient, *controlled_gradient;
};

template <class T>
void compute_angles(const Kernels<T>& kernels, const CircuitSpec& spec, const AngleArrays<T>& a,
                    int threads) {
    const auto circuits = frame_circuits(spec, a.frames, a.rotations, a.controlled);
    const long slots = spec.sums().size(), chunks = chunk_count(a.pixels);
    const bool backward = a.cotangent != nullptr;
    std::vector<double> sums(backward ? std::size_t(a.frames * chunks * slots) : 0);
    const long m = spec.features, o = spec.outputs;
    const long bytes = a.frames ? kernels.workspace_bytes(circuits[0].view(), {}) : 0;
    for_chunks(a.frames, a.pixels, threads, bytes,
               [&](long frame, long first, long last, long task, void* space) {
                   const long at = frame * a.pixels;
                   AngleChunk<T> chunk{a.embedding + at * m,
                                       first,
                                       last,
                                       a.probabilities + at * o,
                                       backward ? a.cotangent + at * o : nullptr,
                                       backward ? a.embedding_gradient + at * m : nullptr,
                                       backward ? &sums[std::size_t(task * slots)] : nullptr};
                   kernels.angles(circuits[std::size_t(frame)].view(), chunk, space);
               });
    if (!backward) return;
    std::vector<double> total(static_cast<std::size_t>(slots));
    for (long f = 0; f < a.frames; ++f) {
        std::fill(total.begin(), total.end(), 0.0);
        for (long k = f * chunks; k < (f + 1) * chunks; ++k)
            for (long s = 0; s < slots; ++s)
                total[std::size_t(s)] += sums[std::size_t(k * slots + s)];
        angle_gradients(spec, total.data(), a.rotation_gradient + f * spec.rotations(),
                        a.controlled_gradient + f * spec.controlled());
    }
}

template <class T> struct JacobianArrays {
    long frames, pixels;
    const T *embedding, *rotations, *controlled;
    T *probabilities, *embedding_jacobian, *rotation_jacobian, *controlled_jacobian;
};

template <class T>
void compute_jacobian(const Kernels<T>& kernels, const CircuitSpec& spec,
                      const JacobianArrays<T>& a, int threads) {
    const auto circuits = frame_circuits(spec, a.frames, a.rotations, a.controlled);
    const long o = spec.outputs;
    const long bytes = a.frames ? kernels.workspace_bytes(circuits[0].view(), {}) : 0;
    for_chunks(a.frames, a.pixels, threads, bytes,
               [&](long frame, long first, long last, long, void* space) {
                   const long at = frame * a.pixels;
                   JacobianChunk<T> chunk{a.embedding + at * spec.features,
                                          a.pixels,
                                          first,
                                          last,
                                          a.probabilities + at * o,
                                          a.embedding_jacobian + at * o * spec.features,
                                          a.rotation_jacobian + at * o * spec.rotations(),
                                          a.controlled_jacobian + at * o * spec.controlled(),
                                          spec.pairs.data(),
                                          spec.pair_count()};
                   kernels.jacobian(circuits[std::size_t(frame)].view(), chunk, space);
               });
}

}  // namespace quinr
