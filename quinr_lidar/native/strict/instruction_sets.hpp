// Which strict functions this machine can run. All give the same bits.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "plan.hpp"

namespace quinr::strict {

#if defined(QUINR_HAS_X86)
extern const Lanes avx512_lanes;
extern const Lanes avx2_lanes;
#endif
extern const Lanes baseline_lanes;

// Best first; never empty; the names of quinr::instruction_sets().
inline std::vector<const Lanes*> lanes() {
    std::vector<const Lanes*> usable;
#if defined(QUINR_HAS_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        usable.push_back(&avx512_lanes);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        usable.push_back(&avx2_lanes);
#endif
    usable.push_back(&baseline_lanes);
    return usable;
}

inline const Lanes& find_lanes(const std::string& name) {
    for (const Lanes* set : lanes())
        if (name == set->name) return *set;
    throw std::invalid_argument("instruction set: this machine has no " + name);
}

}  // namespace quinr::strict
