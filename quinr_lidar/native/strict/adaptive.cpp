// Compiled like lanes.cpp, for the baseline only: its tables are part of the format.
#include "adaptive.hpp"

#include "arithmetic.hpp"
#include "environment.hpp"

namespace quinr::strict {

namespace {

__attribute__((noinline)) void fill(LogisticTables& tables) {
    for (int x = -logit_limit; x <= logit_limit; ++x) {
        const float p = strict_sigmoid(float(x) * (1.0f / logit_one)) * 65536.0f;
        const std::int32_t rounded = to_nearest(p);
        tables.squash[std::size_t(x + logit_limit)] =
            std::uint16_t(rounded < 1 ? 1 : rounded > 65535 ? 65535 : rounded);
    }
    for (int i = 0; i < 4096; ++i) {
        const float p = (float(i) + 0.5f) * (1.0f / 4096.0f);
        tables.stretch[std::size_t(i)] =
            std::int16_t(to_nearest(logit_one * (strict_log(p) - strict_log(1.0f - p))));
    }
}

}  // namespace

LogisticTables::LogisticTables() {
    const Environment environment;
    fill(*this);
}

const LogisticTables& logistic_tables() {
    static const LogisticTables tables;
    return tables;
}

}  // namespace quinr::strict
