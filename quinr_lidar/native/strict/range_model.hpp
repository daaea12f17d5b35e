// What the field of the ranges layer sees and says, as plain data.
#pragma once

#include <cstdint>

#include "neighbours.hpp"

namespace quinr::strict {

namespace range_model {
// Inputs: for each neighbour, in units of `unit` metres from the base, sign log(1 + |x|) / 4,
// x / (8 + |x|) and whether it is known; then the rest. Differences shrink to the noise of a
// sensor where steps are finer than that, so that one entropy model serves all bounds.
constexpr int row = 3 * range_context::neighbours, distance = row + 1, unit = row + 2,
              left_gap = row + 3, up_gap = row + 4, flags = row + 5,
              inputs = flags + range_context::flag_count;
constexpr float noise = 0.03f;  // metres; unit^2 = step^2 + noise^2

// Outputs: for each component of the mixture its offset / 2, the logarithm of its scale and that of
// its weight.
constexpr int components = 10, outputs = 3 * components;
constexpr float farthest_slope = 50.0f, farthest_linear = 20.0f;
constexpr float smallest_log_scale = -6.0f, largest_log_scale = 8.0f;

// Metres from which the first pixels are predicted, where there is no neighbour.
constexpr float first_guess = 10.0f;
}  // namespace range_model

// Pixels side by side in memory, rows `stride` apart; memory up to the next multiple of batch_step
// must be there.
struct RangeBatch {
    const std::int32_t* context;  // [range_context::rows][stride]; neighbours are steps or `missing`
    const std::int32_t* base;     // [stride] steps
    const float* step;            // [stride] metres
    const float* unit;            // [stride] metres
    float* differences;           // [range_context::neighbours][stride] in units
    float* inputs;                // [range_model::inputs][stride]
    long stride;
};

// Distributions of a pixel's distance from its base, in steps.
struct MixtureBatch {
    const float* differences;  // see RangeBatch
    const float* outputs;      // [range_model::outputs][stride] of the field
    const float* linear;       // [components][neighbours]: how neighbours move the means
    const float* step;
    const float* unit;
    float* mean;       // [components][stride]
    float* sharpness;  // [components][stride]: 1 / scale
    float* weight;     // [components][stride], of sum 1
    long stride;
};

}  // namespace quinr::strict
