#include "runtime/device_state.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "lockstep/options.h"
#include "runtime/driver_registry.h"
#include "runtime/host_api.h"

namespace lockstep {
namespace {

lks_device* open_device(const DeviceEntry& entry) {
  lks_diag diag = empty_diag();
  lks_device* device = nullptr;
  const lks_status status = entry.driver.api->device_open(entry.driver.handle(), entry.ordinal, &device, &diag);
  check_driver(status, diag, entry.name, {"device", nullptr});
  return device;
}

// The largest size of a tensor. A limit of 0 means no limit.
std::uint64_t max_tensor_bytes_of(const lks_device_info& info) {
  std::uint64_t most = INT64_MAX;
  for (std::uint64_t limit : {info.max_allocation, info.max_tensor_bytes}) {
    if (limit > 0) most = std::min(most, limit);
  }
  return most;
}

// A copy, in which slots that the driver's version lacks are empty. All are empty if it has no such group.
lks_import_export_group import_group_of(const DeviceEntry& entry) {
  lks_import_export_group own{};
  if (!(entry.info.capabilities & LKS_CAP_IMPORT_EXPORT)) return own;
  const void* group = entry.driver.api->get_group(entry.driver.handle(), LKS_CAP_IMPORT_EXPORT);
  const std::size_t bytes = static_cast<const lks_header*>(group)->size;
  std::memcpy(static_cast<void*>(&own), group, std::min(bytes, sizeof own));
  return own;
}

}  // namespace

DeviceState::DeviceState(const DeviceEntry& entry)
    : entry_(entry),
      api_(*entry.driver.api),
      info_(entry.info),
      handle_(open_device(entry)),
      import_group_(import_group_of(entry)),
      max_tensor_bytes_(max_tensor_bytes_of(entry.info)) {
  try {
    allocator_ = std::make_unique<Allocator>(*this, entry.budget);
    queue_ = std::make_unique<CommandQueue>(*this, LKS_QUEUE_COMPUTE);
    kernels_ = std::make_unique<KernelCache>(*this);
    if (const auto limit = option("memory.limit")) allocator_->set_limit(parse_bytes(*limit));
    if (option("memory.poison").value_or("0") == "1") allocator_->set_poison(true);
  } catch (...) {
    kernels_.reset();
    destroy_queues();
    allocator_.reset();
    api_.device_close(handle_);
    throw;
  }
}

DeviceState::~DeviceState() {
  wait_idle();
  destroy_queues();  // their last commands hold kernels
  kernels_.reset();
  allocator_.reset();
  api_.device_close(handle_);
}

void DeviceState::destroy_queues() {
  if (has_streams()) allocator_->forget_streams();
  queue_.reset();
  for (StreamQueue* s = streams_.exchange(nullptr); s;) delete std::exchange(s, s->next);
}

void DeviceState::synchronize() {
  queue_->wait_for_all();
  for_each_stream([](CommandQueue& queue) { queue.wait_for_all(); });
  queue_->report_from(0);
  for_each_stream([](CommandQueue& queue) { queue.report_from(0); });
}

const std::string& DeviceState::name() const { return entry_.name; }
const std::string& DeviceState::driver_name() const { return entry_.prefix; }
Device DeviceState::device() const { return Device(&entry_); }

bool DeviceState::host_visible() const {
  return info().heap_count > 0 && (info().heaps[0].flags & LKS_HEAP_HOST_VISIBLE);
}

// The pattern is a quiet NaN in f32, f64, f16 and bf16, and an unlikely value in other dtypes.
void DeviceState::poison(Block& block) {
  CommandQueue& queue = block.home ? *block.home : own_queue();
  queue.fill(block, 0, block.bytes, 0x7ffdfffd7ffdfffdu, 8, {.op = "poison"});
}

std::uint64_t DeviceState::memory_total() const { return info().heap_count ? info().heaps[0].bytes : 0; }

std::optional<std::uint64_t> DeviceState::memory_free() const {
  std::uint64_t total = 0, free_bytes = 0;
  lks_diag diag = empty_diag();
  const lks_status status =
      api_.device_memory(entry_.driver.handle(), entry_.ordinal, handle_, 0, &total, &free_bytes, &diag);
  if (status != LKS_OK) return std::nullopt;
  return free_bytes;
}

MemoryStats memory_stats(Device device) { return device.state().allocator().stats(); }
void reset_peak_memory(Device device) { device.state().allocator().reset_peak(); }
void set_memory_limit(Device device, std::optional<std::uint64_t> bytes) {
  device.state().allocator().set_limit(bytes);
}
void release_cached_memory(Device device) { device.state().allocator().release_cached(); }
void set_memory_poison(Device device, bool on) { device.state().allocator().set_poison(on); }

}  // namespace lockstep
