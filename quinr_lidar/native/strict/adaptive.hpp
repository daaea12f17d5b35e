// Corrects the field's probabilities by what was seen before in the same file, in integers. The
// field's probability and its corrections in several contexts are mixed in the logistic domain, as
// in PAQ (Mahoney, 2005).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace quinr::strict {

// Logits in 1/256, of probabilities in 1/65536.
constexpr int logit_one = 256, logit_limit = 12 * logit_one - 1;

// Computed once, with the strict functions of the baseline.
struct LogisticTables {
    std::array<std::uint16_t, 2 * logit_limit + 1> squash;  // by logit + logit_limit
    std::array<std::int16_t, 4096> stretch;                 // by probability / 16
    LogisticTables();
};
const LogisticTables& logistic_tables();

inline int clamp_logit(int x) { return x < -logit_limit ? -logit_limit : x > logit_limit ? logit_limit : x; }

// A probability for each context and each logit of the field. At first it is the field's own.
class Correction {
   public:
    Correction(int contexts, const LogisticTables& tables)
        : tables_(&tables), cells_(std::size_t(contexts) * cells_a_context) {
        for (std::size_t i = 0; i < cells_.size(); ++i)
            cells_[i] = tables.squash[std::size_t(
                clamp_logit((int(i % cells_a_context) - half) * width) + logit_limit)];
    }

    // The corrected logit; update() then refers to it.
    int correct(int context, int logit) {
        const int limit = half * width;
        const int at = (logit < -limit ? -limit : logit >= limit ? limit - 1 : logit) + limit;
        const int cell = at / width, part = at % width;
        std::uint16_t* c = &cells_[std::size_t(context) * cells_a_context + std::size_t(cell)];
        chosen_ = c + (2 * part >= width);
        const int p = (int(c[0]) * (width - part) + int(c[1]) * part) / width;
        return tables_->stretch[std::size_t(p >> 4)];
    }

    void update(bool bit) {
        const int error = (bit ? 65535 : 0) - int(*chosen_);
        *chosen_ = std::uint16_t(int(*chosen_) + error / rate);
    }

   private:
    static constexpr int half = 12, cells_a_context = 2 * half + 1, width = 192, rate = 28;
    const LogisticTables* tables_;
    std::vector<std::uint16_t> cells_;
    std::uint16_t* chosen_ = nullptr;
};

// `contexts` corrections and the weights of their mixture, one set of weights for each `set`.
template <int contexts> class AdaptiveBit {
   public:
    AdaptiveBit(const std::array<int, contexts>& sizes, int sets)
        : tables_(logistic_tables()), weights_(std::size_t(sets) * inputs) {
        for (int size : sizes) corrections_.emplace_back(size, tables_);
        for (std::size_t i = 0; i < weights_.size(); ++i)
            weights_[i] = i % inputs == 0 ? weight_one / 2 : weight_one / 2 / contexts;
    }

    // Probability of a 1 in 1/65536, from the field's logit.
    std::uint32_t predict(int logit, const std::array<int, contexts>& context, int set) {
        logits_[0] = clamp_logit(logit);
        for (int i = 0; i < contexts; ++i)
            logits_[std::size_t(i + 1)] = corrections_[std::size_t(i)].correct(context[std::size_t(i)], logits_[0]);
        weight_ = &weights_[std::size_t(set) * inputs];
        std::int64_t sum = 0;
        for (int i = 0; i < inputs; ++i) sum += std::int64_t(weight_[i]) * logits_[std::size_t(i)];
        sum /= weight_one;
        const int mixed = sum < -logit_limit ? -logit_limit : sum > logit_limit ? logit_limit : int(sum);
        probability_ = tables_.squash[std::size_t(mixed + logit_limit)];
        return probability_;
    }

    void update(bool bit) {
        const std::int64_t error = (bit ? 65536 : 0) - std::int64_t(probability_);
        for (int i = 0; i < inputs; ++i) {
            const std::int64_t w = weight_[i] + error * logits_[std::size_t(i)] / weight_rate;
            weight_[i] = std::int32_t(w < -weight_limit ? -weight_limit : w > weight_limit ? weight_limit : w);
        }
        for (Correction& correction : corrections_) correction.update(bit);
    }

   private:
    static constexpr int inputs = contexts + 1;
    static constexpr std::int32_t weight_one = 65536, weight_limit = 16 * weight_one;
    static constexpr std::int64_t weight_rate = 1 << 17;
    const LogisticTables& tables_;
    std::vector<Correction> corrections_;
    std::vector<std::int32_t> weights_;
    std::array<int, inputs> logits_{};
    std::int32_t* weight_ = nullptr;
    std::uint32_t probability_ = 0;
};

}  // namespace quinr::strict
