// What lies in front of the circuit of a tile, and behind it.
#pragma once

#include "circuit.hpp"

namespace {

using quinr::Field;
using quinr::FieldSumLayout;

// The sine embedding: angles scale * sin(w0 W x + b). Keeps what the backward pass needs.
template <class T, int Q> struct Embedding {
    using V = VecOf<T>;
    Tile<T, Q>& tile;
    const Field<T>& field;
    V* coordinate;  // [inputs]
    V* sine;        // [M] of the argument
    V* cosine;      // [M]

    Embedding(Tile<T, Q>& t, const Field<T>& f) : tile(t), field(f) {
        coordinate = t.rest;
        sine = coordinate + f.inputs;
        cosine = sine + t.circuit.features;
        t.rest = cosine + t.circuit.features;
    }

    QUINR_INLINE void forward() {
        const T half_scale = T(0.5) * field.embedding_scale;
        V largest{};
        for (int f = 0; f < tile.circuit.features; ++f) {
            sincos<T>(argument(f), sine[f], cosine[f], largest);
            sincos<T>(half_scale * sine[f], tile.sine[f], tile.cosine[f], largest);
        }
        if (__builtin_expect(beyond_limit<T>(largest), 0)) {
            for (int f = 0; f < tile.circuit.features; ++f) {
                any_sincos<T>(argument(f), sine[f], cosine[f]);
                any_sincos<T>(half_scale * sine[f], tile.sine[f], tile.cosine[f]);
            }
        }
    }

    QUINR_INLINE V argument(int f) const {
        V x = broadcast<T>(field.bias[f]);
        for (int d = 0; d < field.inputs; ++d)
            x += coordinate[d] * field.weight[f * field.inputs + d];
        return x;
    }

    QUINR_INLINE void backward(const FieldSumLayout& layout, V* sums) const {
        V by_scale{};
        for (int f = 0; f < tile.circuit.features; ++f) {
            const V gradient = tile.angle_gradient[f];
            by_scale += gradient * sine[f];
            const V x = gradient * cosine[f] * field.embedding_scale;
            sums[layout.bias(f)] += x;
            for (int d = 0; d < field.inputs; ++d) sums[layout.weight(f) + d] += x * coordinate[d];
        }
        sums[layout.embedding_scale()] += by_scale;
    }
};

// Probabilities to channels: offset + scale . p.
template <class T> struct ReadOutLayer {
    using V = VecOf<T>;
    const Field<T>& field;
    V* probability;     // [outputs]
    V* by_probability;  // [outputs]: derivatives of the loss

    ReadOutLayer(const Field<T>& f, V*& rest) : field(f) {
        probability = rest;
        by_probability = probability + f.read_out.outputs;
        rest = by_probability + f.read_out.outputs;
    }

    QUINR_INLINE V value(int channel) const {
        const int first = field.read_out.first(channel), count = field.read_out.count();
        V v = broadcast<T>(field.output_offset[channel]);
        for (int i = 0; i < count; ++i)
            v += probability[first + i] * field.output_scale[channel * count + i];
        return v;
    }

    QUINR_INLINE void backward(const FieldSumLayout& layout, V* sums, int channel, V gradient) {
        const int first = field.read_out.first(channel), count = field.read_out.count();
        for (int i = 0; i < count; ++i) {
            sums[layout.output_scale(channel * count + i)] += gradient * probability[first + i];
            by_probability[first + i] += gradient * field.output_scale[channel * count + i];
        }
        sums[layout.output_offset(channel)] += gradient;
    }
};

}  // namespace
