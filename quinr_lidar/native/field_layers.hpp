// The layers before and behind the circuit of a tile.
#pragma once

#include "circuit.hpp"

namespace {

using quinr::Field;
using quinr::FieldSumLayout;

// The sine layers: angles scale * sin(w0 W ... sin(w0 W x + b) ... + b). Keeps what the backward
// pass needs.
template <class T, int Q> struct Embedding {
    using V = VecOf<T>;
    Tile<T, Q>& tile;
    const Field<T>& field;
    V* coordinate;  // [inputs]
    V* sine;        // [sine layers][M] of the arguments
    V* cosine;      // [sine layers][M]
    V* gradient;    // [M] by a layer's sines
    V* before;      // [M] by the sines of the layer before

    Embedding(Tile<T, Q>& t, const Field<T>& f) : tile(t), field(f) {
        const int sines = f.sizes.sine_layers * features();
        coordinate = t.rest;
        sine = coordinate + f.sizes.inputs;
        cosine = sine + sines;
        gradient = cosine + sines;
        before = gradient + features();
        t.rest = before + features();
    }

    QUINR_INLINE int features() const { return tile.circuit.features; }
    QUINR_INLINE V* sines(int layer) const { return sine + layer * features(); }
    QUINR_INLINE V* cosines(int layer) const { return cosine + layer * features(); }
    QUINR_INLINE const T* hidden_weight(int layer, int f) const {
        return field.hidden + (layer - 1) * features() * (features() + 1) + f * features();
    }

    QUINR_INLINE void forward() {
        for (int layer = 0; layer < field.sizes.sine_layers; ++layer) {
            V largest{};
            for (int f = 0; f < features(); ++f)
                sincos<T>(argument(layer, f), sines(layer)[f], cosines(layer)[f], largest);
            if (__builtin_expect(beyond_limit<T>(largest), 0))
                for (int f = 0; f < features(); ++f)
                    any_sincos<T>(argument(layer, f), sines(layer)[f], cosines(layer)[f]);
        }
        const V* last = sines(field.sizes.sine_layers - 1);
        const T half_scale = T(0.5) * field.embedding_scale;
        V largest{};
        for (int f = 0; f < features(); ++f)
            sincos<T>(half_scale * last[f], tile.sine[f], tile.cosine[f], largest);
        if (__builtin_expect(beyond_limit<T>(largest), 0))
            for (int f = 0; f < features(); ++f)
                any_sincos<T>(half_scale * last[f], tile.sine[f], tile.cosine[f]);
    }

    QUINR_INLINE V argument(int layer, int f) const {
        if (layer == 0) return sum(field.bias[f], field.weight + f * field.sizes.inputs, coordinate,
                                   field.sizes.inputs);
        return sum(*(hidden_weight(layer, features()) + f), hidden_weight(layer, f),
                   sines(layer - 1), features());
    }

    static QUINR_INLINE V sum(T bias, const T* weight, const V* values, int count) {
        V x = broadcast<T>(bias);
        for (int i = 0; i < count; ++i) x += values[i] * weight[i];
        return x;
    }

    QUINR_INLINE void backward(const FieldSumLayout& layout, V* sums) {
        V by_scale{};
        const V* last = sines(field.sizes.sine_layers - 1);
        for (int f = 0; f < features(); ++f) {
            by_scale += tile.angle_gradient[f] * last[f];
            gradient[f] = tile.angle_gradient[f] * field.embedding_scale;
        }
        sums[layout.embedding_scale()] += by_scale;
        for (int layer = field.sizes.sine_layers - 1; layer > 0; --layer)
            backward_hidden(layout, sums, layer);
        for (int f = 0; f < features(); ++f) {
            const V x = gradient[f] * cosines(0)[f];
            sums[layout.bias(f)] += x;
            for (int d = 0; d < field.sizes.inputs; ++d)
                sums[layout.weight(f) + d] += x * coordinate[d];
        }
    }

    QUINR_INLINE void backward_hidden(const FieldSumLayout& layout, V* sums, int layer) {
        const V* inputs = sines(layer - 1);
        for (int g = 0; g < features(); ++g) before[g] = V{};
        for (int f = 0; f < features(); ++f) {
            const V x = gradient[f] * cosines(layer)[f];
            const T* weight = hidden_weight(layer, f);
            V* by_weight = sums + layout.hidden_weight(layer, f);
            sums[layout.hidden_bias(layer, f)] += x;
            for (int g = 0; g < features(); ++g) {
                by_weight[g] += x * inputs[g];
                before[g] += x * weight[g];
            }
        }
        V* swap = gradient;
        gradient = before;
        before = swap;
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
        by_probability = probability + f.sizes.read_out.outputs;
        rest = by_probability + f.sizes.read_out.outputs;
    }

    QUINR_INLINE V value(int channel) const {
        const int first = field.sizes.read_out.first(channel), count = field.sizes.read_out.count();
        V v = broadcast<T>(field.output_offset[channel]);
        for (int i = 0; i < count; ++i)
            v += probability[first + i] * field.output_scale[channel * count + i];
        return v;
    }

    QUINR_INLINE void backward(const FieldSumLayout& layout, V* sums, int channel, V gradient) {
        const int first = field.sizes.read_out.first(channel), count = field.sizes.read_out.count();
        for (int i = 0; i < count; ++i) {
            sums[layout.output_scale(channel * count + i)] += gradient * probability[first + i];
            by_probability[first + i] += gradient * field.output_scale[channel * count + i];
        }
        sums[layout.output_offset(channel)] += gradient;
    }
};

}  // namespace
