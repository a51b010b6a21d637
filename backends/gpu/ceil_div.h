// Division that rounds up.
#pragma once

#include <cstdint>

namespace gpu {

/// How many parts of length `part` cover `whole`. The last one may be partial.
constexpr std::int64_t ceil_div(std::int64_t whole, std::int64_t part) { return (whole + part - 1) / part; }

}  // namespace gpu
