// Which compiled kernels this machine can run.
#pragma once

#include <vector>

#include "plan.hpp"

namespace quinr {

#if defined(QUINR_HAS_X86)
extern const InstructionSet avx512_kernels;
extern const InstructionSet avx2_kernels;
#endif
extern const InstructionSet baseline_kernels;

// Best first; never empty.
inline std::vector<const InstructionSet*> instruction_sets() {
    std::vector<const InstructionSet*> usable;
#if defined(QUINR_HAS_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        usable.push_back(&avx512_kernels);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        usable.push_back(&avx2_kernels);
#endif
    usable.push_back(&baseline_kernels);
    return usable;
}

}  // namespace quinr
