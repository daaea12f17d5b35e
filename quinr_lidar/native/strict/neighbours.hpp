// Which pixels a valid pixel is predicted from, and an order in which they are decoded before it.
#pragma once

#include <cstdint>
#include <vector>

namespace quinr::strict {

// A row runs `lag` columns behind the row above it. So all pixels of the rows above, up to lag - 1
// columns to the right, are decoded before a pixel, and the pixels of a step do not depend on each
// other. Calls step(v of the first pixel, its column, number of pixels) for every step; the
// k-th pixel is that of row v + k, column u - k lag.
template <class Step> void sweep(long height, long width, long lag, const Step& step) {
    const long last = width - 1 + lag * (height - 1);
    for (long s = 0; s <= last; ++s) {
        const long first = s < width ? 0 : (s - width) / lag + 1;
        const long end = s / lag < height ? s / lag + 1 : height;
        if (first < end) step(first, s - first * lag, end - first);
    }
}

// What is known of a pixel before its range: rows of an integer table, one column a pixel.
namespace range_context {
constexpr int left = 3;                            // nearest valid pixels to the left
constexpr int above_reach = 3;                     // columns to either side in the row above
constexpr int above = 2 * above_reach + 1;
constexpr int second = 3, third = 1;               // pixels two and three rows up
constexpr int neighbours = left + above + second + third;
constexpr int straight_up = left + above_reach;    // the pixel above, or the nearest further up
constexpr int second_left = 1, second_up = left + above + 1;  // two to the left, two rows up
constexpr int missing = -1;                        // in place of a neighbour
constexpr int left_gap = neighbours, up_gap = left_gap + 1;  // distance in pixels, 0 for none
constexpr int flags = up_gap + 1, flag_count = 4;  // valid: right, two to the right, below, above
constexpr int row = flags + flag_count;            // 2^16 (v + 1/2) / H
constexpr int rows = row + 1;
constexpr long lag = above_reach + 1;
}  // namespace range_context

// The valid pixels around each pixel of a mask. Memory: 8 bytes a pixel.
class Neighbourhood {
   public:
    Neighbourhood(const std::uint8_t* mask, long height, long width)
        : mask_(mask), height_(height), width_(width),
          left_(static_cast<std::size_t>(height * width)),
          up_(static_cast<std::size_t>(height * width)) {
        for (long v = 0; v < height; ++v) {
            std::int32_t nearest = range_context::missing;
            for (long u = 0; u < width; ++u) {
                const long p = v * width + u;
                left_[std::size_t(p)] = nearest;
                if (mask[p]) nearest = std::int32_t(p);
                up_[std::size_t(p)] = mask[p] ? std::int32_t(p)
                                      : v     ? up_[std::size_t(p - width)]
                                              : range_context::missing;
            }
        }
    }

    // Fills a column of the table; neighbours are pixel numbers, or `missing`.
    void look(long v, long u, std::int32_t* to, long stride) const {
        using namespace range_context;
        const long p = v * width_ + u;
        std::int32_t at = std::int32_t(p);
        for (int k = 0; k < left; ++k) {
            if (at != missing) at = left_[std::size_t(at)];
            *to = at;
            to += stride;
        }
        const std::int32_t first = left_[std::size_t(p)], up = above_pixel(v - 1, u);
        for (long d = -above_reach; d <= above_reach; ++d, to += stride) *to = above_pixel(v - 1, u + d);
        for (long d = -1; d <= 1; ++d, to += stride) *to = above_pixel(v - 2, u + d);
        *to = above_pixel(v - 3, u);
        to[stride] = first == missing ? 0 : std::int32_t(p) - first;
        to[2 * stride] = up == missing ? 0 : std::int32_t((p - up) / width_);
        to[3 * stride] = measured(v, u + 1);
        to[4 * stride] = measured(v, u + 2);
        to[5 * stride] = measured(v + 1, u);
        to[6 * stride] = measured(v - 1, u);
        to[7 * stride] = std::int32_t((2 * v + 1) * 32768 / height_);
    }

   private:
    // The nearest valid pixel of a column at row v or above. Columns wrap round to the right
    // only: those to the left of the image are not decoded yet.
    std::int32_t above_pixel(long v, long u) const {
        if (v < 0 || u < 0) return range_context::missing;
        return up_[std::size_t(v * width_ + u % width_)];
    }

    std::int32_t measured(long v, long u) const {
        if (v < 0 || v >= height_) return 0;
        return mask_[v * width_ + u % width_] != 0;
    }

    const std::uint8_t* mask_;
    long height_, width_;
    std::vector<std::int32_t> left_, up_;
};

}  // namespace quinr::strict
