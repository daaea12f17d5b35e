// The ranges layer: measured pixels as numbers of steps, coded with a conditional field.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "conditional_field.hpp"
#include "range_model.hpp"

namespace quinr::strict {

constexpr std::int32_t most_steps = 1 << 30;
constexpr float smallest_step = 1e-6f, largest_step = 1e6f;  // metres

// What the coder of a layer is given: a field and where it runs.
struct Model {
    const ConditionalField& field;
    const Lanes& lanes;
};

struct RangeModel : Model {
    const std::vector<float>& linear;  // [components][neighbours]
};

struct Image {
    const std::uint8_t* mask;  // [height][width]
    long height, width;
};

// Throws std::invalid_argument unless the sizes fit those of range_model.hpp.
void check_range_model(const RangeModel& model);

// steps: [height][width], 0 .. most_steps where measured.
std::vector<std::uint8_t> encode_ranges(const RangeModel& model, const Image& image, float step,
                                        const std::int32_t* steps);

// Fills `steps` where measured. Returns false where the bytes end long before the pixels do.
bool decode_ranges(const RangeModel& model, const Image& image, float step,
                   const std::uint8_t* bytes, std::size_t size, std::int32_t* steps);

}  // namespace quinr::strict
