// The mask layer: which pixels were measured, coded with a conditional field.
#pragma once

#include "ranges.hpp"

namespace quinr::strict {

// Throws std::invalid_argument unless the sizes fit those of mask_model.hpp.
void check_mask_model(const Model& model);

// mask: [height][width], 0 or 1.
std::vector<std::uint8_t> encode_mask(const Model& model, const Image& image);

// Fills `mask`. Returns false where the bytes end long before the pixels do.
bool decode_mask(const Model& model, long height, long width, const std::uint8_t* bytes,
                 std::size_t size, std::uint8_t* mask);

// The field's inputs of every pixel, for its training: [mask_model::inputs][height * width].
void mask_inputs(const Image& image, float* inputs);

}  // namespace quinr::strict
