// Fault injection: each scenario runs with its k-th fault point failing, for every k up to the number of fault points.
// Each time the driver returns the injected status with a text, a failed command has written nothing, nothing leaks,
// and the same work, repeated without a fault, gives the same bits.
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

#include "conformance/runtime/footprint.h"
#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

constexpr std::int64_t elements = 513;
constexpr u64 bytes = 4 * elements;

// Returns the bytes that it computed.
using Scenario = std::function<Bytes(Session&)>;

// Runs `command`. If it fails, checks that `buffer` is unchanged and rethrows the failure.
template <class Command>
void guarded(Queue& queue, const Buffer& buffer, Command&& command) {
  const Bytes before = queue.download(buffer);
  try {
    command();
    queue.finish();
  } catch (const DriverFailure& failure) {
    if (is_of_the_wait(failure)) throw;  // the command itself may have succeeded
    queue.recover_if_failed();
    check_same_bytes(queue.download(buffer), before, "memory that a failed command would have written");
    throw;
  }
}

// Reads. If the read fails, its target is unchanged.
Bytes guarded_read(Queue& queue, const Buffer& buffer) {
  constexpr unsigned char before = 0x5a;
  Bytes target(bytes, before);
  try {
    queue.read(target.data(), buffer, 0, bytes);
    queue.finish();
  } catch (const DriverFailure& failure) {
    if (is_of_the_wait(failure)) throw;
    queue.recover_if_failed();
    check_same_bytes(target, Bytes(bytes, before), "host memory that a failed read would have written");
    throw;
  }
  return target;
}

Bytes joined(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// Both of two launches in one submission are done, or none is.
Bytes whole_life(Session& s) {
  const KernelSample sample = multiply_add_sample(elements);
  const Buffer a(s, bytes), b(s, bytes), out(s, bytes), last(s, bytes);
  Queue queue(s);  // destroyed before the memory that its commands use, whatever fails
  queue.write(a, 0, sample.values[0].data(), bytes);
  queue.write(b, 0, sample.values[1].data(), bytes);
  queue.fill(out, 0, bytes, 0xa5);
  queue.fill(last, 0, bytes, 0xb6);
  queue.finish();
  const Kernel kernel(s, sample);
  check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
  Launch one(kernel, sample, {{&a, 0}, {&b, 0}, {&out, 0}}), two(kernel, sample, {{&out, 0}, {&b, 0}, {&last, 0}});
  const lks_launch unit[] = {one.abi(), two.abi()};
  guarded(queue, out, [&] { guarded(queue, last, [&] { queue.launch(unit, 2); }); });
  if (!s.is_host_visible()) return joined(queue.download(out), queue.download(last));
  const Mapping map(s, out, 0, bytes);
  return joined(Bytes(map.data(), map.data() + bytes), queue.download(last));
}

template <std::uint32_t kind>
Bytes two_queues(Session& s) {
  const Buffer a(s, bytes), b(s, bytes);
  Queue first(s), second(s, kind);
  try {
    first.fill(a, 0, bytes, 0x3c);
    const u64 value = first.fill(a, 0, bytes / 2, 0x1234'5678, 4);
    second.wait_on(first.timeline(), value);
    second.copy(b, 0, a, 0, bytes);
    second.fill(b, 0, 32, 0x77);
    const u64 copied = second.copy(b, 64, a, 8, 64);
    first.wait_on(second.timeline(), copied);
    first.fill(a, 0, bytes, 0xee);
    first.finish();
    return second.download(b);
  } catch (...) {
    // Each queue may be waiting for the timeline of the other, and a timeline must outlive the waits for it.
    first.drain(a);
    second.drain(a);
    throw;
  }
}

template <std::uint32_t kind>
Bytes copy_chain(Session& s) {
  const Buffer a(s, bytes), b(s, bytes);
  Bytes source(bytes);
  for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<unsigned char>(i * 7);
  Queue queue(s, kind);
  queue.upload(a, source);
  queue.fill(b, 0, bytes, 0xa5);
  queue.finish();
  guarded(queue, b, [&] { queue.copy(b, 3, a, 5, 1000); });
  guarded(queue, a, [&] { queue.copy(a, 1, b, 0, 2000); });
  guarded(queue, a, [&] { queue.write(a, 17, source.data(), 333); });
  guarded(queue, b, [&] { queue.fill(b, 16, 160, 0x0102'0304'0506'0708, 8); });
  return joined(guarded_read(queue, a), guarded_read(queue, b));
}

bool names_site(const lks_diag& diag, const std::string& site) {
  return std::string(diag.what).find(site) != std::string::npos ||
         std::string(diag.where).find(site) != std::string::npos;
}

// The result of one run of a scenario.
struct Run {
  Bytes got;
  std::optional<DriverFailure> failure;
};

Run run(Session& s, const Scenario& scenario, u64 k) {
  Run result;
  s.host.fail_at(k);
  try {
    result.got = scenario(s);
  } catch (const DriverFailure& e) {
    result.failure = e;
  }
  s.host.disarm();
  return result;
}

// Checks that the run failed exactly if a fault was injected, with the injected status and the site in the diag.
void check_injected(const TestHost& host, const Run& result, u64 k) {
  const std::string point = text("fault point %llu, %s", static_cast<unsigned long long>(k), host.site().c_str());
  if (!host.fired()) {
    check(!result.failure, point + ": a run without a fault failed: " + (result.failure ? result.failure->what() : ""));
    return;
  }
  check(!host.site().empty(), point + ": it has no name");
  check(result.failure.has_value(), point + ": the injected failure was swallowed");
  const DriverFailure& failure = *result.failure;
  check(failure.status == host.injected(),
        point + ": injected " + status_name(host.injected()) + ", got " + failure.what());
  check(names_site(failure.diag, host.site()), point + ": the failure does not name the place: " + failure.diag.what);
}

void check_usable(Session& s, const std::string& point) {
  Call call("device_health");
  check(call.done(s.api.device_health(s.device, call.diag())) == LKS_OK,
        point + ": the device is not healthy after it");
}

void every_fault(const RuntimeTarget& target, const Scenario& scenario) {
  Session s(target);
  const Run undisturbed = run(s, scenario, 0);
  if (undisturbed.failure) throw CheckFailed(undisturbed.failure->what());
  u64 points = 0;
  for (bool fired = true; fired; ++points) {
    check(points < 10'000, "a small scenario passes 10000 fault points");
    const Run failed = run(s, scenario, points + 1);
    check_injected(s.host, failed, points + 1);
    fired = s.host.fired();
    const std::string point =
        text("fault point %llu, %s", static_cast<unsigned long long>(points) + 1, s.host.site().c_str());
    check_usable(s, point);
    const Run again = run(s, scenario, 0);
    check(!again.failure, point + ": the same work failed afterwards: " + (again.failure ? again.failure->what() : ""));
    check_same_bytes(again.got, undisturbed.got, point + ": the same work afterwards");
  }
  check(points > 3, text("the scenario passes %llu fault points only", static_cast<unsigned long long>(points) - 1));
  // A step passes every fault point, so a leak at one of them is at least the smallest chunk of malloc in each step: 16
  // bytes. Less is no leak of the driver: each step makes some hundred native objects, and tables that know them by
  // their addresses, such as those of Vulkan's validation layer, grow slowly as new addresses occur.
  constexpr double below_any_leak = 15;
  check_no_growth(
      "every failure of the scenario in turn", 50,
      [&] {
        for (u64 k = 1; k < points; ++k) run(s, scenario, k);
      },
      below_any_leak);
}

void fault_whole_life(const RuntimeTarget& target) { every_fault(target, whole_life); }
template <std::uint32_t kind>
void fault_two_queues(const RuntimeTarget& target) {
  every_fault(target, two_queues<kind>);
}
template <std::uint32_t kind>
void fault_copy_chain(const RuntimeTarget& target) {
  every_fault(target, copy_chain<kind>);
}

// ------------------------------------------------------------------------------------------------------------ opening

template <class Object>
using Owner = std::unique_ptr<Object, void(LKS_CALL*)(Object*)>;

// Opens a driver and its device, makes a timeline and a queue, and destroys them all.
void open_and_close(const RuntimeTarget& target, TestHost& host) {
  DriverLibrary library(target.library);
  const lks_driver_api& api = library.table(host.api());
  lks_driver* driver = nullptr;
  Call open_driver("driver_open");
  open_driver.ok(api.driver_open(&host.api(), &driver, open_driver.diag()));
  const Owner<lks_driver> owned_driver(driver, api.driver_close);
  lks_device* device = nullptr;
  Call open_device("device_open");
  open_device.ok(api.device_open(driver, target.ordinal, &device, open_device.diag()));
  const Owner<lks_device> owned_device(device, api.device_close);
  lks_timeline *timeline = nullptr, *timeline_of_queue = nullptr;
  Call create_timeline("timeline_create");
  create_timeline.ok(api.timeline_create(device, &timeline, create_timeline.diag()));
  const Owner<lks_timeline> owned_timeline(timeline, api.timeline_destroy);
  lks_queue* queue = nullptr;
  Call create_queue("queue_create");
  create_queue.ok(api.queue_create(device, LKS_QUEUE_COMPUTE, &queue, &timeline_of_queue, create_queue.diag()));
  const Owner<lks_queue> owned_queue(queue, api.queue_destroy);
  host.disarm();  // what follows cannot report a failure
}

Run run_opening(const RuntimeTarget& target, TestHost& host, u64 k) {
  Run result;
  host.fail_at(k);
  try {
    open_and_close(target, host);
  } catch (const DriverFailure& e) {
    result.failure = e;
  }
  return result;
}

// Returns whether there was a k-th fault point.
bool fails_opening(const RuntimeTarget& target, u64 k) {
  TestHost host, quiet;
  check_injected(host, run_opening(target, host, k), k);
  const Run again = run_opening(target, quiet, 0);
  check(!again.failure, text("after fault point %llu, %s, opening failed: %s", static_cast<unsigned long long>(k),
                             host.site().c_str(), again.failure ? again.failure->what() : ""));
  return host.fired();
}

// A driver may open without any native work that could fail.
void opening(const RuntimeTarget& target) {
  u64 points = 0;
  while (fails_opening(target, points + 1)) check(++points < 1000, "opening passes 1000 fault points");
  if (points == 0) return;
  // Five steps run each point once, because opening a GPU may take so long that a round has only five steps.
  u64 next = 0;
  check_no_growth(
      "every failure of opening in turn", 50,
      [&] {
        for (u64 i = 0; i < (points + 4) / 5; ++i) {
          TestHost host;
          run_opening(target, host, 1 + next++ % points);
        }
      },
      64);
}

// Drivers call fault_point before each kind of native work; without that, no test could make it fail.
void points_exist(const RuntimeTarget& target) {
  Session s(target);
  const KernelSample sample = multiply_add_sample(elements);
  Queue queue(s);
  const auto passes = [&](std::uint32_t kind, const char* what, const std::function<void()>& work) {
    s.host.fail_at(0);
    work();
    check(s.host.passed(kind) >= 1, std::string(what) + " passes no fault point of its kind");
  };
  std::vector<Buffer> held;
  for (int i = 0; i < 4; ++i) passes(LKS_FAULT_ALLOC, "buffer_alloc", [&] { held.emplace_back(s, bytes); });
  const Buffer &a = held[0], &b = held[1], &out = held[2];
  std::vector<Kernel> kernels;
  passes(LKS_FAULT_COMPILE, "kernel_prepare", [&] { kernels.emplace_back(s, sample); });
  check(static_cast<bool>(kernels[0]), "a pointwise program on i32 is refused");
  const auto submits = [&](const char* what, const std::function<void()>& work) {
    passes(LKS_FAULT_SUBMIT, what, [&] {
      work();
      queue.finish();
    });
  };
  Bytes host(bytes);
  submits("queue_fill", [&] { queue.fill(a, 0, bytes, 1); });
  submits("queue_copy", [&] { queue.copy(b, 0, a, 0, bytes); });
  submits("queue_write", [&] { queue.write(a, 0, host.data(), bytes); });
  submits("queue_read", [&] { queue.read(host.data(), a, 0, bytes); });
  Launch launch(kernels[0], sample, {{&a, 0}, {&b, 0}, {&out, 0}});
  submits("queue_launch", [&] { queue.launch(&launch.abi()); });
  if (!s.is_host_visible()) return;
  passes(LKS_FAULT_MAP, "buffer_map", [&] { const Mapping map(s, a, 0, 64); });
}

// A failed compilation is not reported as LKS_UNSUPPORTED: the runtime would then choose another implementation.
void compile_is_no_refusal(const RuntimeTarget& target) {
  Session s(target);
  const KernelSample sample = multiply_add_sample(elements);
  s.host.fail_at(1);
  lks_status status = LKS_OK;
  try {
    const Kernel kernel(s, sample);
    check(static_cast<bool>(kernel), "a failed compilation was reported as LKS_UNSUPPORTED");
  } catch (const DriverFailure& e) {
    status = e.status;
  }
  check(status == s.host.injected(), "a failed compilation gave " + status_name(status));
  s.host.fail_at(0);
  check(static_cast<bool>(Kernel(s, sample)), "after a failed compilation the kernel is refused");
}

}  // namespace

std::vector<RuntimeCase> fault_cases() {
  return {
      {"fault", "points_exist", "every allocation, map, submission and compilation can be made to fail", &points_exist},
      {"fault", "whole_life",
       "any failure between allocation and result leaves the device usable and the bits the same", &fault_whole_life},
      {"fault", "two_queues", "the same with two queues that wait for each other",
       &fault_two_queues<LKS_QUEUE_COMPUTE>},
      {"fault", "copy_chain", "the same in a chain of copies, writes and fills", &fault_copy_chain<LKS_QUEUE_COMPUTE>},
      {"fault", "compute_and_transfer", "the same with a compute and a transfer queue",
       &fault_two_queues<LKS_QUEUE_TRANSFER>},
      {"fault", "transfer_chain", "the same in a chain on a transfer queue", &fault_copy_chain<LKS_QUEUE_TRANSFER>},
      {"fault", "opening",
       "any failure while the driver, its device, a timeline or a queue is opened is told, and loses nothing",
       &opening},
      {"fault", "compile", "a failed compilation is a failure and no refusal", &compile_is_no_refusal},
  };
}

}  // namespace lockstep::conformance
