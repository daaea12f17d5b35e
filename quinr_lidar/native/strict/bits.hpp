// One model codes and decodes: what differs is who knows the bit.
#pragma once

#include "range_coder.hpp"

namespace quinr::strict {

// Zeros behind the end of the bytes. Decisions that come out as 1 one after the other are zeros, so
// that there may be any number: an encoder leaves out so many of them, a decoder takes 8 more, its
// look-ahead, and knows beyond that that the bytes are not sound.
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
    // Whether more was read than an encoder leaves out.
    bool exhausted() const { return coder_.overrun() > most_left_out + look_ahead; }

   private:
    RangeDecoder coder_;
};

}  // namespace quinr::strict
