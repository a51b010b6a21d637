#include "runtime/host_fill.h"

#include <new>

#include "runtime/device_state.h"

namespace lockstep {

HostFill::HostFill(DeviceState& device, const TensorSpec& spec, const BlockPurpose& purpose)
    : tensor_(make_tensor(device, spec.dtype, spec.shape, purpose)) {
  if (spec.shape.is_empty()) return;
  if (device.host_visible() && device.queue().is_inline()) {
    mapping_.emplace(*tensor_, DriverCall{purpose.label ? purpose.label : "tensor", purpose.where});
    data_ = mapping_->data();
    return;
  }
  const auto bytes = static_cast<std::size_t>(spec.bytes());
  host_.reset(new (std::nothrow) std::byte[bytes]);
  if (!host_) {
    ErrorBuilder error = host_out_of_memory(purpose.label ? purpose.label : "tensor", bytes);
    if (purpose.where) error.at(*purpose.where);
    error.fix("make fewer elements at once").raise();
  }
  data_ = host_.get();
}

TensorRef HostFill::finish(CallSite where) {
  if (mapping_) {
    const auto bytes = static_cast<std::uint64_t>(TensorSpec{tensor_->dtype, tensor_->shape}.bytes());
    tensor_->device->uploads.mapped.fetch_add(bytes, std::memory_order_relaxed);
    mapping_.reset();
  } else if (host_) {
    write_owned(*tensor_, host_, where);
  }
  data_ = nullptr;
  return std::move(tensor_);
}

}  // namespace lockstep
