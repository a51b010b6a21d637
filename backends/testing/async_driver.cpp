// A toy device with real asynchrony, to test the host side without a GPU. Each queue is a thread, every command starts
// after a pseudo-random delay, and the memory is not visible to the host, unless an option says so.
//
// Options that are read while it runs:
//   toy.fail      "<generation>:<k>" makes the k-th command enqueued from now on fail when it runs; a new generation
//                 restarts the count
//   toy.fail_wait "<generation>:<value>" makes the next timeline_wait fail and report `value` as the failed command;
//                 a new generation makes one more wait fail
//   toy.delay_us  the longest delay of a command, in microseconds (default 50)
// Options that are read when the library is loaded:
//   toy.min_alignment     alignment of buffers (default 64)
//   toy.max_tensor_bytes  (default none)
//   toy.host_visible      1 if the host can map the memory
//   toy.copies_writes     1 if queue_write copies the host's bytes before it returns
//   toy.table             "older": a driver of ABI 1.0, which does not say which launch failed and has no capability
//                         of later versions; "newer": a table with more slots and a later minor version. The option's
//                         value is then also the driver's name
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "backends/common/diag.h"
#include "backends/common/driver_table.h"
#include "backends/common/float_environment.h"
#include "backends/common/queue_kind.h"
#include "backends/common/timeline.h"
#include "backends/host/kernel.h"
#include "backends/reference/kernels/kernels.h"
#include "backends/testing/aged_table.h"
#include "backends/testing/test_options.h"

struct lks_driver {
  const lks_host_api& host;
  std::mutex mutex;
  long generation = 0, countdown = 0;
  std::atomic<long> wait_generation{0};
  std::uint64_t min_alignment = 64, max_tensor_bytes = 0;
  bool host_visible = false, copies_writes = false;
  bool of_abi_1_0 = false;
};

struct lks_device {
  lks_driver& driver;
  std::atomic<std::uint64_t> used{0};
};

namespace {

using common::empty_diag;
using common::fail;
using common::refuse;
using test_options::number_option;
using test_options::option;
using test_options::test_option;
using test_options::TestOption;

constexpr std::uint64_t forever = ~std::uint64_t{0};
constexpr std::uint64_t max_bytes = std::uint64_t{1} << 30;  // per buffer, and in total
constexpr std::uint32_t math_modes = 1u << LKS_MODE_STRICT;

#define FAULT_POINT(api, kind, site)                                                               \
  if (const lks_status injected = (api).fault_point((api).host, kind, site); injected != LKS_OK) { \
    return fail(diag, injected, DRIVER_WHERE, "injected at " site);                                \
  }

// True if the command that is being enqueued is the one that must fail.
bool must_fail(lks_driver& driver) {
  const TestOption requested = test_option(driver.host, "toy.fail");
  if (requested.generation == 0) return false;
  std::lock_guard lock(driver.mutex);
  if (requested.generation != driver.generation) {
    driver.generation = requested.generation;
    driver.countdown = requested.number;
  }
  if (driver.countdown <= 0) return false;
  return --driver.countdown == 0;
}

}  // namespace

// A queue runs its commands in order on its own thread.
struct lks_queue {
  using Command = std::function<lks_status(lks_diag&)>;

  explicit lks_queue(lks_device& d) : device(d), seed_(reinterpret_cast<std::uintptr_t>(this)) {
    timeline.of_queue = true;
    timeline.driver = &d.driver;
    worker_ = std::thread([this] { run(); });
  }
  ~lks_queue() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    worker_.join();
  }

  std::uint64_t enqueue(Command command) {
    const bool fails = must_fail(device.driver);
    std::uint64_t value = 0;
    {
      std::lock_guard lock(mutex_);
      newest_ += 1 + newest_ % 3;  // values grow, but need not be consecutive
      value = newest_;
      commands_.push_back({value, fails, std::move(command)});
    }
    wake_.notify_all();
    return value;
  }

  // Skipped commands return immediately, so after a failure this waits only for the running command.
  std::uint64_t recover() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return commands_.empty() && !running_; });
    timeline.recover(newest_);
    return newest_;
  }

  lks_device& device;
  lks_timeline timeline;

 private:
  struct Pending {
    std::uint64_t value;
    bool fails;
    Command work;
  };

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stop_ || !commands_.empty(); });
      if (commands_.empty()) return;
      Pending next = std::move(commands_.front());
      commands_.pop_front();
      running_ = true;
      lock.unlock();
      execute(next);
      next.work = nullptr;
      lock.lock();
      running_ = false;
      if (commands_.empty()) idle_.notify_all();
    }
  }

  void execute(Pending& next) {
    if (timeline.failed()) return;  // skipped
    sleep_a_little();
    lks_diag diag = device.driver.of_abi_1_0 ? older_diag() : empty_diag();
    lks_status status = LKS_OK;
    if (next.fails) {
      status = fail(&diag, LKS_INTERNAL, DRIVER_WHERE, "the toy device was told to fail here");
    } else {
      const common::FloatEnvironment environment;
      status = next.work(diag);
    }
    if (status == LKS_OK) {
      timeline.reach(next.value);
    } else {
      timeline.fail(diag, next.value);
    }
  }

  void sleep_a_little() {
    const std::string most = option(device.driver.host, "toy.delay_us");
    const unsigned long limit = most.empty() ? 50 : std::strtoul(most.c_str(), nullptr, 10);
    seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;
    if (limit > 0) std::this_thread::sleep_for(std::chrono::microseconds((seed_ >> 33) % (limit + 1)));
  }

  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::deque<Pending> commands_;
  std::uint64_t newest_ = 0;
  std::uint64_t seed_;
  bool stop_ = false, running_ = false;
  std::thread worker_;
};

namespace {

// ------------------------------------------------------------------------------------------------- driver and device

lks_status LKS_CALL driver_open(const lks_host_api* api, lks_driver** out, lks_diag*) {
  *out = new lks_driver{*api,
                        {},
                        0,
                        0,
                        {0},
                        number_option(*api, "toy.min_alignment", 64),
                        number_option(*api, "toy.max_tensor_bytes", 0),
                        number_option(*api, "toy.host_visible", 0) == 1,
                        number_option(*api, "toy.copies_writes", 0) == 1,
                        option(*api, "toy.table") == "older"};
  return LKS_OK;
}
void LKS_CALL driver_close(lks_driver* driver) { delete driver; }
std::uint32_t LKS_CALL device_count(lks_driver*) { return 1; }

lks_status no_device(std::uint32_t ordinal, lks_diag* diag) {
  return fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "there is no device %u", ordinal);
}

lks_status LKS_CALL device_describe(lks_driver* driver, std::uint32_t ordinal, lks_device_info* info, lks_diag* diag) {
  if (ordinal != 0) return no_device(ordinal, diag);
  lks_device_info full;
  std::memset(&full, 0, sizeof full);
  full.type = LKS_DEVICE_ACCELERATOR;
  if (driver->copies_writes && !driver->of_abi_1_0) full.capabilities = LKS_CAP_COPIES_WRITES;
  full.math_modes = math_modes;
  full.max_rank = LKS_MAX_RANK;
  full.compute_units = 1;
  full.heap_count = 1;
  full.heaps[0] = {max_bytes, LKS_HEAP_DEVICE_LOCAL, 0};
  if (driver->host_visible) full.heaps[0].flags |= LKS_HEAP_HOST_VISIBLE;
  full.min_alignment = driver->min_alignment;
  full.max_tensor_bytes = driver->max_tensor_bytes;
  full.max_allocation = max_bytes;
  std::snprintf(full.name, sizeof full.name, "asynchronous toy");
  full.hdr = info->hdr;
  std::memcpy(info, &full, std::min<std::size_t>(info->hdr.size, sizeof full));
  return LKS_OK;
}

const void* LKS_CALL get_group(lks_driver*, std::uint64_t) { return nullptr; }

lks_status LKS_CALL device_open(lks_driver* driver, std::uint32_t ordinal, lks_device** out, lks_diag* diag) {
  if (ordinal != 0) return no_device(ordinal, diag);
  *out = new lks_device{*driver};
  return LKS_OK;
}
void LKS_CALL device_close(lks_device* device) { delete device; }

lks_status LKS_CALL device_memory(lks_driver*, std::uint32_t ordinal, lks_device* device, std::uint32_t heap,
                                  std::uint64_t* total, std::uint64_t* free_bytes, lks_diag* diag) {
  if (ordinal != 0) return no_device(ordinal, diag);
  if (heap != 0) return fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "there is no heap %u", heap);
  if (!device) return fail(diag, LKS_UNAVAILABLE, DRIVER_WHERE, "asking needs an open device");
  *total = max_bytes;
  *free_bytes = max_bytes - device->used;
  return LKS_OK;
}
lks_status LKS_CALL device_health(lks_device*, lks_diag*) { return LKS_OK; }

// Reserves the bytes, unless fewer are free.
bool take(lks_device& device, std::uint64_t bytes) {
  std::uint64_t used = device.used;
  do {
    if (bytes > max_bytes - used) return false;
  } while (!device.used.compare_exchange_weak(used, used + bytes));
  return true;
}

lks_status LKS_CALL buffer_alloc(lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                                 lks_diag* diag) {
  if (heap != 0 || bytes == 0) {
    return fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "%llu bytes of heap %u",
                static_cast<unsigned long long>(bytes), heap);
  }
  FAULT_POINT(device->driver.host, LKS_FAULT_ALLOC, "toy.buffer_alloc");
  const std::uint64_t alignment = device->driver.min_alignment;
  const bool fits = take(*device, bytes);
  void* data = fits ? std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment) : nullptr;
  if (!data) {
    if (fits) device->used -= bytes;
    fail(diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE, "the toy has no such piece of memory");
    diag->requested_bytes = bytes;
    diag->free_bytes = max_bytes - device->used;
    return LKS_OUT_OF_MEMORY;
  }
  *out = new lks_buffer{data, bytes};
  return LKS_OK;
}
void LKS_CALL buffer_free(lks_device* device, lks_buffer* buffer) {
  device->used -= buffer->bytes;
  std::free(buffer->data);
  delete buffer;
}
lks_status LKS_CALL buffer_map(lks_device* device, lks_buffer* buffer, std::uint64_t offset, std::uint64_t, void** out,
                               lks_diag* diag) {
  if (device->driver.host_visible) {
    *out = static_cast<char*>(buffer->data) + offset;
    return LKS_OK;
  }
  return refuse(diag, LKS_REASON_HARDWARE, -1, DRIVER_WHERE, "the host cannot see this memory");
}
void LKS_CALL buffer_unmap(lks_device*, lks_buffer*) {}

// ------------------------------------------------------------------------------------------------------------- queues

lks_status LKS_CALL queue_create(lks_device* device, std::uint32_t kind, lks_queue** out, lks_timeline** timeline,
                                 lks_diag* diag) {
  if (const lks_status status = common::check_queue_kind(kind, diag); status != LKS_OK) return status;
  *out = new lks_queue(*device);
  *timeline = &(*out)->timeline;
  return LKS_OK;
}
void LKS_CALL queue_destroy(lks_queue* queue) { delete queue; }

// Copies the data that a launch points to, which is valid only during the host's call.
struct OwnedLaunch {
  lks_launch launch;
  std::vector<lks_binding> bindings;
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<std::uint64_t> scalars;

  explicit OwnedLaunch(const lks_launch& l)
      : launch(l), bindings(l.bindings, l.bindings + l.binding_count), scalars(l.scalars, l.scalars + l.scalar_count) {
    for (std::size_t i = 0; i < bindings.size(); ++i) {
      if (!bindings[i].buffer) continue;
      const auto rank = static_cast<std::size_t>(l.kernel->ranks[i]);
      shapes.emplace_back(bindings[i].dims, bindings[i].dims + rank);
      bindings[i].dims = shapes.back().data();
      shapes.emplace_back(bindings[i].strides, bindings[i].strides + rank);
      bindings[i].strides = shapes.back().data();
    }
    launch.scalars = scalars.data();
  }
};

lks_status LKS_CALL queue_launch(lks_queue* queue, const lks_launch* launches, std::uint32_t count,
                                 std::uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "toy.queue_launch");
  auto owned = std::make_shared<std::vector<OwnedLaunch>>();
  for (std::uint32_t i = 0; i < count; ++i) owned->emplace_back(LKS_ELEMENT(lks_launch, launches, i));
  *value = queue->enqueue([owned](lks_diag& failure) {
    for (std::uint32_t i = 0; i < owned->size(); ++i) {
      OwnedLaunch& o = (*owned)[i];
      o.launch.bindings = o.bindings.data();
      if (const lks_status status = o.launch.kernel->check(o.launch, &failure); status != LKS_OK) {
        common::set_launch(&failure, i);
        return status;
      }
      o.launch.kernel->run(o.launch);
    }
    return lks_status{LKS_OK};
  });
  return LKS_OK;
}

lks_status LKS_CALL queue_copy(lks_queue* queue, lks_buffer* dst, std::uint64_t dst_offset, lks_buffer* src,
                               std::uint64_t src_offset, std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "toy.queue_copy");
  *value = queue->enqueue([=](lks_diag&) {
    std::memcpy(static_cast<char*>(dst->data) + dst_offset, static_cast<char*>(src->data) + src_offset, bytes);
    return lks_status{LKS_OK};
  });
  return LKS_OK;
}

lks_status LKS_CALL queue_write(lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src,
                                std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "toy.queue_write");
  const char* const from = static_cast<const char*>(src);
  std::shared_ptr<const std::vector<char>> copied;
  if (queue->device.driver.copies_writes) copied = std::make_shared<std::vector<char>>(from, from + bytes);
  *value = queue->enqueue([=](lks_diag&) {
    std::memcpy(static_cast<char*>(dst->data) + offset, copied ? copied->data() : from, bytes);
    return lks_status{LKS_OK};
  });
  return LKS_OK;
}

lks_status LKS_CALL queue_read(lks_queue* queue, void* dst, lks_buffer* src, std::uint64_t offset, std::uint64_t bytes,
                               std::uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "toy.queue_read");
  *value = queue->enqueue([=](lks_diag&) {
    std::memcpy(dst, static_cast<char*>(src->data) + offset, bytes);
    return lks_status{LKS_OK};
  });
  return LKS_OK;
}

lks_status LKS_CALL queue_fill(lks_queue* queue, lks_buffer* dst, std::uint64_t offset, std::uint64_t bytes,
                               std::uint64_t pattern, std::uint32_t pattern_bytes, std::uint64_t* value,
                               lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "toy.queue_fill");
  *value = queue->enqueue([=](lks_diag&) {
    char* to = static_cast<char*>(dst->data) + offset;
    for (std::uint64_t i = 0; i < bytes; i += pattern_bytes) std::memcpy(to + i, &pattern, pattern_bytes);
    return lks_status{LKS_OK};
  });
  return LKS_OK;
}

lks_status LKS_CALL queue_wait(lks_queue* queue, lks_timeline* timeline, std::uint64_t value, lks_diag*) {
  queue->enqueue([=](lks_diag& failure) {
    const lks_status status = timeline->wait(value, forever, &failure);
    common::clear_launch(&failure);
    return status;
  });
  return LKS_OK;
}

lks_status LKS_CALL queue_flush(lks_queue*, lks_diag*) { return LKS_OK; }

lks_status LKS_CALL queue_recover(lks_queue* queue, std::uint64_t* last, lks_diag*) {
  *last = queue->recover();
  return LKS_OK;
}

// ---------------------------------------------------------------------------------------------------------- timelines

lks_status LKS_CALL timeline_create(lks_device* device, lks_timeline** out, lks_diag*) {
  *out = new lks_timeline;
  (*out)->driver = &device->driver;
  return LKS_OK;
}
void LKS_CALL timeline_destroy(lks_timeline* timeline) { delete timeline; }

lks_status LKS_CALL timeline_query(lks_timeline* timeline, std::uint64_t* reached, lks_diag* diag) {
  return timeline->query(reached, diag);
}

lks_status LKS_CALL timeline_wait(lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                                  lks_diag* diag) {
  // On a real device this would be a native call.
  FAULT_POINT(timeline->driver->host, LKS_FAULT_WAIT, "toy.timeline_wait");
  const TestOption requested = test_option(timeline->driver->host, "toy.fail_wait");
  if (requested.generation != 0 &&
      timeline->driver->wait_generation.exchange(requested.generation) != requested.generation) {
    fail(diag, LKS_INTERNAL, DRIVER_WHERE, "the toy device was told to fail this wait");
    diag->value = static_cast<std::uint64_t>(requested.number);
    return LKS_INTERNAL;
  }
  return timeline->wait(value, timeout_ns, diag);
}

lks_status LKS_CALL timeline_signal(lks_timeline* timeline, std::uint64_t value, const lks_diag* failure,
                                    lks_diag* diag) {
  return timeline->signal(value, failure, diag);
}

// ------------------------------------------------------------------------------------------------------------ kernels

lks_status LKS_CALL kernel_query(lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc,
                                 lks_kernel_info* info, lks_diag* diag) {
  if (ordinal != 0) return no_device(ordinal, diag);
  return common::answer_from_table({reference::kernels(), math_modes}, driver->host, *desc, *info, nullptr, diag);
}

lks_status LKS_CALL kernel_prepare(lks_device* device, const lks_kernel_desc* desc, lks_kernel** out,
                                   lks_kernel_info* info, lks_diag* diag) {
  FAULT_POINT(device->driver.host, LKS_FAULT_COMPILE, "toy.kernel_prepare");
  std::unique_ptr<lks_kernel> kernel;
  const lks_status status =
      common::answer_from_table({reference::kernels(), math_modes}, device->driver.host, *desc, *info, &kernel, diag);
  if (status == LKS_OK) *out = kernel.release();
  return status;
}
void LKS_CALL kernel_release(lks_device*, lks_kernel* kernel) { delete kernel; }
const char* LKS_CALL kernel_variant(lks_driver*, std::uint32_t op, std::uint32_t index) {
  return common::variant_of(reference::kernels(), op, index);
}

constexpr common::DriverIdentity identity = {
    .name = "toy", .version = "1.0", .flags = LKS_DRIVER_UNLOADABLE, .priority = -200};
constexpr lks_driver_api table = DRIVER_TABLE(identity);

}  // namespace

extern "C" LKS_EXPORT lks_status LKS_CALL lks_driver_entry_v1(const lks_host_api* host, const lks_driver_api** out,
                                                              lks_diag* diag) {
  if (const lks_status status = common::enter(table, host, out, diag); status != LKS_OK) return status;
  const std::string age = option(*host, "toy.table");
  if (age == "older") *out = &older_table(table);
  if (age == "newer") *out = &newer_table(table);
  return LKS_OK;
}
