// Failed calls of Vulkan become failures of the driver (backends/gpu/failure.h).
#pragma once

#include <volk.h>

#include "backends/gpu/failure.h"

namespace vulkan {

using common::empty_diag;
using common::return_stored;
using gpu::Failure;
using gpu::guard;
using gpu::raise;
using gpu::raise_out_of_memory;

/// Throws Failure if `result` is an error; its message names the call and the result.
void check(VkResult result, const char* call, const char* where);
#define VULKAN_CHECK(call) ::vulkan::check((call), #call, DRIVER_WHERE)

lks_status status_of(VkResult result);
const char* name_of(VkResult result);

}  // namespace vulkan
