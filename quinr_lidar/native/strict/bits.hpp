// The same model encodes and decodes; only where a bit comes from differs.
#pragma once

#include "range_coder.hpp"

namespace quinr::strict {

// Zero bytes behind the end. Many decisions in a row that come out as 1 may be coded as zero bytes.
// An encoder leaves out at most so many of them. A decoder reads up to 8 more, its look-ahead; if
// it needs more than that, the bytes are damaged.
constexpr std::size_t most_left_out = 56, look_ahead = 8;

class BitWriter {
   public:
    static constexpr bool reads = false;
    bool code(bool bit, std::uint32_t probability_of_one) {
        coder_.encode(bit, probability_of_one);
        return bit;
    }
    bool exhausted() const { return false; }
    std::vector<std::uint8_t> finish() { return coder_.finish(most_left_out); }

   private:
    RangeEncoder coder_;
};

class BitReader {
   public:
    static constexpr bool reads = true;
    // The bytes must outlive it.
    BitReader(const std::uint8_t* bytes, std::size_t size) : coder_(bytes, size) {}
    bool code(bool, std::uint32_t probability_of_one) { return coder_.decode(probability_of_one); }
    // Whether more zeros were needed than an encoder leaves out.
    bool exhausted() const { return coder_.overrun() > most_left_out + look_ahead; }

   private:
    RangeDecoder coder_;
};

}  // namespace quinr::strict
