// Functions that fill in a lks_diag.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "lockstep/driver.h"

namespace common {

#define DRIVER_STRINGIFY_(x) #x
#define DRIVER_STRINGIFY(x) DRIVER_STRINGIFY_(x)
#define DRIVER_WHERE (__FILE__ ":" DRIVER_STRINGIFY(__LINE__))

// Not inline: a driver also calls these before it knows whether the processor supports the instructions that its
// kernels are compiled for.

[[gnu::format(printf, 4, 5)]] lks_status fail(lks_diag* diag, lks_status code, const char* where, const char* format,
                                              ...);

/// Returns LKS_UNSUPPORTED and stores the reason and the index of the operand at fault (-1: none).
[[gnu::format(printf, 5, 6)]] lks_status refuse(lks_diag* diag, int reason, int operand, const char* where,
                                                const char* format, ...);

/// A lks_diag with an empty message.
lks_diag empty_diag();

/// Says that the launch with this index in a queue_launch failed. Does nothing if the host is older than ABI 1.1.
void set_launch(lks_diag* diag, std::uint32_t index);
/// Says that no particular launch failed, for a failure that is passed on to a queue that waited.
void clear_launch(lks_diag* diag);

/// Copies a diag to another one, which may belong to a host or driver of another version: copies only the fields that
/// both have, and keeps the header of `to`.
void copy_diag(const lks_diag& from, lks_diag* to);

/// A copy in the size that this driver knows. Fields that `from` does not have are zero.
lks_diag own_copy(const lks_diag& from);

/// Copies a stored lks_diag into the caller's, and returns the stored status.
lks_status return_stored(const lks_diag& kept, lks_diag* diag);

/// LKS_INVALID_ARGUMENT with LKS_REASON_INDEX: an element of an index tensor is out of range.
lks_status fail_index(lks_diag* diag, const char* where, std::int64_t index, std::int64_t position, int axis,
                      std::int64_t extent);

}  // namespace common
