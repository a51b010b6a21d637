#include "runtime/driver_status.h"

#include "runtime/memory/allocator.h"

namespace lockstep {
namespace {

ErrorId id_of(lks_status status) {
  switch (status) {
    case LKS_OUT_OF_MEMORY: return ErrorId::out_of_memory;
    case LKS_UNSUPPORTED: return ErrorId::no_kernel;
    case LKS_DEVICE_LOST: return ErrorId::device_lost;
    case LKS_UNAVAILABLE: return ErrorId::device_unavailable;
    default: return ErrorId::driver_failed;
  }
}

const char* name_of_status(lks_status status) {
  switch (status) {
    case LKS_INVALID_ARGUMENT: return "invalid argument";
    case LKS_UNSUPPORTED: return "unsupported";
    case LKS_OUT_OF_MEMORY: return "out of memory";
    case LKS_UNAVAILABLE: return "unavailable";
    case LKS_DEVICE_LOST: return "device lost";
    case LKS_TIMEOUT: return "timeout";
    case LKS_CANCELLED: return "cancelled";
    case LKS_ABI_MISMATCH: return "ABI mismatch";
    case LKS_DATA_CORRUPT: return "data corrupt";
    default: return "internal error";
  }
}

std::string default_hint(lks_status status) {
  switch (status) {
    case LKS_DEVICE_LOST: return "its tensors are gone: restart the process, or go on with another device";
    case LKS_OUT_OF_MEMORY: return "use smaller batches, or free tensors that are no longer needed";
    default: return "";
  }
}

}  // namespace

void raise_driver_failure(lks_status status, const lks_diag& diag, const std::string& device, const DriverCall& call) {
  std::string headline = "the driver of " + device + " reports: " + name_of_status(status);
  if (diag.what[0]) headline += std::string(": ") + diag.what;
  if (diag.reason == LKS_REASON_INDEX) headline = diag.what;
  ErrorBuilder error(diag.reason == LKS_REASON_INDEX ? ErrorId::index_out_of_range : id_of(status), call.op, headline);
  if (diag.native_name[0]) error.line("native", diag.native_name);
  if (diag.where[0]) error.line("driver", diag.where);
  if (call.first_of > 1) {
    error.line("launch", "the first of " + std::to_string(call.first_of) +
                             " that were submitted together; the driver does not say which one failed");
  }
  if (call.where) error.at(*call.where);
  error.fix(diag.hint[0] ? diag.hint : default_hint(status)).raise();
}

}  // namespace lockstep
