// The floating-point environment that strict results are defined in.
#pragma once

#include <cfenv>

namespace quinr::strict {

// While it lives, this thread rounds to nearest and keeps denormal numbers, whatever its caller had
// set. A compiler knows nothing of that and may move arithmetic across the constructor: do the
// arithmetic in functions that are not inlined next to it.
class Environment {
   public:
    Environment() {
        std::fegetenv(&before_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~Environment() { std::fesetenv(&before_); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

   private:
    std::fenv_t before_;
};

}  // namespace quinr::strict
