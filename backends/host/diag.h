// Filling in a diagnosis.
#pragma once

#include <cstdio>
#include <cstring>

#include "lockstep/driver.h"

namespace host {

#define HOST_STRINGIFY_(x) #x
#define HOST_STRINGIFY(x) HOST_STRINGIFY_(x)
#define HOST_WHERE (__FILE__ ":" HOST_STRINGIFY(__LINE__))

// Not inline: they also run before a driver knows whether the processor has the instructions its kernels are built for.

[[gnu::format(printf, 4, 5)]] lks_status fail(lks_diag* diag, lks_status code, const char* where, const char* format,
                                              ...);

/// A refusal: LKS_UNSUPPORTED with its reason and the operand to blame (-1: none).
[[gnu::format(printf, 5, 6)]] lks_status refuse(lks_diag* diag, int reason, int operand, const char* where,
                                                const char* format, ...);

}  // namespace host
