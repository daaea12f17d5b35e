// A binary range coder. Its interval has 64 bits and at least 56 of them are in use, so that even
// the least likely of 2^16 probabilities loses nothing measurable to rounding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace quinr::strict {

constexpr std::uint32_t probability_bits = 16;

// The part of the interval that stands for a 1; `probability` of 2^16 is taken for 1..65535.
inline std::uint64_t part_of_one(std::uint64_t range, std::uint32_t probability) {
    probability = probability < 1 ? 1 : probability > 65535 ? 65535 : probability;
    return (range >> probability_bits) * probability;
}

constexpr std::uint64_t narrowest = std::uint64_t(1) << 56;

class RangeEncoder {
   public:
    void encode(bool bit, std::uint32_t probability_of_one) {
        const std::uint64_t one = part_of_one(range_, probability_of_one);
        if (bit) {
            range_ = one;
        } else {
            add(one);
            range_ -= one;
        }
        widen();
    }

    // The shortest bytes that decode to what was encoded when zeros follow them, but for a decoder
    // that takes no more than `most_left_out` zeros beside its look-ahead. Ends the coder.
    std::vector<std::uint8_t> finish(std::size_t most_left_out = SIZE_MAX) {
        const std::size_t fewest = bytes_.size() > most_left_out ? bytes_.size() - most_left_out : 0;
        // The number of the interval with the most trailing zeros.
        int kept = 0;
        std::uint64_t below = ~std::uint64_t(0);
        for (; ((0 - low_) & below) >= range_; ++kept) below >>= 8;
        add((0 - low_) & below);
        for (; kept > 0; --kept, low_ <<= 8) bytes_.push_back(std::uint8_t(low_ >> 56));
        while (bytes_.size() > fewest && bytes_.back() == 0) bytes_.pop_back();
        return std::move(bytes_);
    }

   private:
    void add(std::uint64_t part) {
        low_ += part;
        if (low_ >= part) return;
        // A carry into what was written; it ends there, as the whole stays below 1.
        std::size_t i = bytes_.size();
        while (i > 0 && ++bytes_[--i] == 0) {
        }
    }

    void widen() {
        for (; range_ < narrowest; range_ <<= 8, low_ <<= 8)
            bytes_.push_back(std::uint8_t(low_ >> 56));
    }

    std::uint64_t low_ = 0, range_ = ~std::uint64_t(0);
    std::vector<std::uint8_t> bytes_;
};

// Any bytes decode to something: how wide the interval is depends on the probabilities and on what
// was decoded, never on how the bytes fit it.
class RangeDecoder {
   public:
    // The bytes must outlive it.
    RangeDecoder(const std::uint8_t* bytes, std::size_t size) : next_(bytes), end_(bytes + size) {
        for (int i = 0; i < 8; ++i) take_byte();
    }

    bool decode(std::uint32_t probability_of_one) {
        const std::uint64_t one = part_of_one(range_, probability_of_one);
        const bool bit = code_ < one;
        if (bit) {
            range_ = one;
        } else {
            code_ -= one;
            range_ -= one;
        }
        widen();
        return bit;
    }

    // Zeros taken for bytes behind the end. The decoder reads 8 bytes ahead and the encoder leaves
    // out trailing zeros, so sound bytes have some, too.
    std::size_t overrun() const { return overrun_; }

   private:
    void take_byte() {
        code_ <<= 8;
        if (next_ != end_)
            code_ |= *next_++;
        else
            ++overrun_;
    }

    void widen() {
        for (; range_ < narrowest; range_ <<= 8) take_byte();
    }

    const std::uint8_t *next_, *end_;
    std::uint64_t code_ = 0, range_ = ~std::uint64_t(0);
    std::size_t overrun_ = 0;
};

}  // namespace quinr::strict
