#include "runtime/tensor_mapping.h"

#include "runtime/device_state.h"
#include "runtime/forked.h"
#include "runtime/host_api.h"

namespace lockstep {

TensorMapping::TensorMapping(const TensorImpl& tensor, const DriverCall& call) : block_(*tensor.block) {
  DeviceState& device = *block_.device;
  void* start = nullptr;
  lks_diag diag = empty_diag();
  const lks_status status =
      device.api().buffer_map(device.handle(), block_.buffer, block_.offset, block_.bytes, &start, &diag);
  check_driver(status, diag, device.name(), call);
  data_ = static_cast<std::byte*>(start) + static_cast<std::size_t>(tensor.offset) * size_of(tensor.dtype);
}

TensorMapping::~TensorMapping() {
  // In a forked child the device belongs to the parent.
  if (in_forked_child.load(std::memory_order_relaxed)) return;
  block_.device->api().buffer_unmap(block_.device->handle(), block_.buffer);
}

}  // namespace lockstep
