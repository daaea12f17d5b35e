// What the field of the mask layer sees: pixels decoded before, and the row.
#pragma once

#include <cstdint>

namespace quinr::strict {

namespace mask_model {
struct Offset {
    int rows, columns;  // rows <= 0; columns < 0 in the pixel's own row
};
constexpr Offset neighbours[] = {
    {0, -1},  {0, -2},  {0, -3}, {0, -4},  {0, -6},  {-1, -3}, {-1, -2}, {-1, -1},
    {-1, 0},  {-1, 1},  {-1, 2}, {-1, 3},  {-1, 5},  {-2, -2}, {-2, -1}, {-2, 0},
    {-2, 1},  {-2, 2},  {-3, -1}, {-3, 0}, {-3, 1},  {-4, 0},  {-5, 0},  {-6, 0}};
constexpr int neighbour_count = sizeof neighbours / sizeof *neighbours;
constexpr long lag = 6;  // one more than the farthest column to the right in the row above
// 1 valid, 0 not, -1 outside the image; then the row in [-1, 1] and sine and cosine of it, twice.
constexpr int row = neighbour_count, harmonics = row + 1, inputs = harmonics + 4;
constexpr float frequencies[] = {8.0f, 30.0f};
constexpr int outputs = 1;  // the logit of "valid"
}  // namespace mask_model

}  // namespace quinr::strict
