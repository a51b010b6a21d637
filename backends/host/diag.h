// Filling in a diagnosis.
#pragma once

#include <cstdint>
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

/// A diagnosis in which nothing is said yet.
lks_diag empty_diag();

/// Copies a diagnosis that was kept into the caller's, whose header stays, and returns its status.
lks_status give(const lks_diag& kept, lks_diag* diag);

/// LKS_INVALID_ARGUMENT with LKS_REASON_INDEX: an index tensor points outside of what it indexes.
lks_status fail_index(lks_diag* diag, const char* where, std::int64_t index, std::int64_t position, int axis,
                      std::int64_t extent);

}  // namespace host
