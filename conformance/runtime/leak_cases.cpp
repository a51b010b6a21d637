// Creates and destroys each kind of object up to two thousand times: the process must not grow.
#include <cstdio>

#include "conformance/runtime/failing_launch.h"
#include "conformance/runtime/footprint.h"
#include "conformance/runtime/guarded_memory.h"
#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

constexpr int many = 2000;

void buffers(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  check_no_growth("alloc, fill and free of 40 KB", many, [&] {
    const Buffer buffer(s, 40'000);
    queue.fill(buffer, 0, buffer.bytes(), 0x11);  // so that its pages are backed by memory
    queue.finish();
  });
  check_no_growth("alloc and free of 1 byte", many, [&] { const Buffer buffer(s, 1); });
  if (!s.is_host_visible()) return;
  const Buffer buffer(s, 4096);
  check_no_growth("map and unmap", many, [&] { const Mapping map(s, buffer, 0, 4096); });
}

// A device with its own memory reports how much is free; 2000 leaked buffers of 1 MiB show despite any noise.
void device_memory(const RuntimeTarget& target) {
  Session s(target);
  if (s.info.type == LKS_DEVICE_CPU)
    throw NotOffered("free memory of this device changes with all that the machine does");
  const auto free_bytes = [&] {
    u64 total = 0, now = 0;
    Call call("device_memory");
    call.ok(s.api.device_memory(s.driver, s.ordinal, s.device, 0, &total, &now, call.diag()));
    return now;
  };
  { const Buffer warm_up(s, 1 << 20); }
  const u64 before = free_bytes();
  for (int i = 0; i < many; ++i) const Buffer buffer(s, 1 << 20);
  const u64 after = free_bytes();
  check(after + (u64{512} << 20) >= before,
        text("%llu bytes of device memory were free before 2000 buffers of 1 MiB came and went, %llu after",
             static_cast<unsigned long long>(before), static_cast<unsigned long long>(after)));
}

void queues(const RuntimeTarget& target) {
  Session s(target);
  const int times = s.is_inline() ? many : many / 4;  // each queue may have a thread
  check_no_growth("create and destroy a queue", times, [&] { const Queue queue(s); });
  check_no_growth("create, signal, fail and destroy a timeline", many, [&] {
    Timeline timeline(s);
    timeline.signal(1);
    lks_diag failure = empty_diagnosis();
    failure.code = LKS_CANCELLED;
    timeline.fail(2, failure);
  });
}

template <std::uint32_t kind>
void commands(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s, kind), other(s, kind);
  const Buffer a(s, 4096), b(s, 4096);
  unsigned char host[64] = {};
  check_no_growth("fill, copy, write, read and wait", s.is_inline() ? many : many / 4, [&] {
    queue.fill(a, 0, 4096, 0x11);
    queue.copy(b, 0, a, 0, 4096);
    queue.write(b, 3, host, 64);
    const u64 value = queue.read(host, b, 0, 64);
    other.wait_on(queue.timeline(), value);
    other.fill(b, 0, 16, 0);
    other.finish();
  });
}

// Submissions of three launches.
void units(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const KernelSample sample = multiply_add_sample(100);
  const Kernel kernel(s, sample);
  check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
  const Buffer a(s, 400), b(s, 400), out(s, 400);
  queue.upload(a, sample.values[0]);
  queue.upload(b, sample.values[1]);
  Launch launch(kernel, sample, {{&a, 0}, {&b, 0}, {&out, 0}});
  const lks_launch unit[] = {launch.abi(), launch.abi(), launch.abi()};
  check_no_growth("a submission of three launches", s.is_inline() ? many : many / 4, [&] {
    queue.launch(unit, 3);
    queue.finish();
  });
}

// Calls that only ask. So few that lost files do not reach the limit of the process.
void questions(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const Buffer buffer(s, 64);
  queue.fill(buffer, 0, 64, 0x11);
  queue.finish();
  check_no_growth("questions about the driver, its device, a queue and a timeline", many / 50, [&] {
    s.api.device_count(s.driver);
    describe(s.api, s.driver, s.ordinal);
    free_memory(s);
    Call health("device_health");
    health.ok(s.api.device_health(s.device, health.diag()));
    for (std::uint64_t bit = 1; bit <= LKS_CAP_COPIES_WRITES; bit <<= 1) s.api.get_group(s.driver, bit);
    for (std::uint32_t i = 0; s.api.kernel_variant(s.driver, LKS_OP_POINTWISE, i); ++i) continue;
    queue.flush();
    query(s, queue.timeline());
  });
}

// Buffers over memory of the host.
void imports(const RuntimeTarget& target) {
  Session s(target);
  if (!(s.info.capabilities & LKS_CAP_IMPORT_EXPORT)) throw NotOffered("the driver does not import memory");
  const auto* group = static_cast<const lks_import_export_group*>(s.api.get_group(s.driver, LKS_CAP_IMPORT_EXPORT));
  check(group != nullptr, "LKS_CAP_IMPORT_EXPORT is claimed and has no group");
  const GuardedMemory memory(Bytes(4096, 1), GuardedMemory::Edge::before);
  if (reinterpret_cast<std::uintptr_t>(memory.bytes().data()) % s.info.min_alignment != 0) {
    throw NotOffered("buffers are aligned to more than a page of the host");
  }
  check_no_growth("import and free of a page", many, [&] { const Buffer buffer(s, *group, memory.bytes()); });
}

// A driver may stage large transfers in memory of its own.
void large_transfers(const RuntimeTarget& target) {
  Session s(target);
  constexpr u64 bytes = (u64{3} << 20) + 1;
  const Buffer a(s, bytes), b(s, bytes);
  Bytes host(bytes);
  Queue queue(s);
  check_no_growth("write, copy, fill and read of 3 MiB", 20, [&] {
    queue.write(a, 0, host.data(), bytes);
    queue.copy(b, 0, a, 0, bytes);
    queue.fill(a, 0, bytes, 0x11);
    queue.read(host.data(), b, 0, bytes);
    queue.finish();
  });
}

// Waits that time out, and waits of queues for a timeline that has failed.
void failed_waits(const RuntimeTarget& target) {
  Session s(target);
  const Buffer buffer(s, 64);
  const Timeline never(s);
  check_no_growth("a wait that times out", 500, [&] {
    Call call("timeline_wait");
    call.fails(s.api.timeline_wait(never.handle(), 1, 1000, call.diag()), LKS_TIMEOUT);
  });
  lks_diag failure = empty_diagnosis();
  failure.code = LKS_CANCELLED;
  std::snprintf(failure.what, sizeof failure.what, "cancelled by the suite");
  Queue queue(s);
  queue.fill(buffer, 0, 64, 0x22);  // the first command that runs may allocate for good
  queue.finish();
  check_no_growth("a queue's wait for a failed timeline, and queue_recover", s.is_inline() ? 300 : 60, [&] {
    Timeline failed(s);
    failed.fail(1, failure);
    bool told = false;
    try {
      queue.wait_on(failed.handle(), 1);
      queue.fill(buffer, 0, 64, 0x11);
      queue.finish();
    } catch (const DriverFailure&) {
      told = true;
    }
    check(told, "a command behind a wait on a failed timeline succeeded");
    queue.recover();
  });
}

void kernels(const RuntimeTarget& target) {
  Session s(target);
  for (const KernelSample& sample : kernel_samples(target.seed, 1)) {
    if (!Kernel(s, sample)) continue;
    check_no_growth("prepare and release of " + sample.name, 300, [&] { const Kernel kernel(s, sample); });
    check_no_growth("query of " + sample.name, 300, [&] {
      Description description(sample, LKS_MODE_STRICT, s.info.min_alignment);
      query(s, description);
    });
  }
}

void launches(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  for (const KernelSample& sample : kernel_samples(target.seed, 1)) {
    const Kernel kernel(s, sample);
    if (!kernel) continue;
    check_no_growth("launch of " + sample.name, s.is_inline() ? 200 : 60,
                    [&] { run_sample(s, queue, sample, kernel); });
  }
}

void refusals(const RuntimeTarget& target) {
  Session s(target);
  KernelSample unknown = multiply_add_sample(10);
  unknown.op = 0x7fff'fff0;
  unknown.op_name = "no_such_op";
  check_no_growth("a refused kernel", many, [&] { check(!Kernel(s, unknown), "an unknown op was prepared"); });
  const KernelSample sample = multiply_add_sample(10);
  const auto refused = [&](const char* what, auto&& change) {
    check_no_growth(what, many / 4, [&] {
      Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
      change(asked);
      check(refusal_of(s, asked, what).has_value(), std::string(what) + " is offered");
    });
  };
  refused("a kernel with an unknown flag", [](Description& asked) { asked.tensors[0].flags |= 1u << 9; });
  refused("a kernel of rank 9", [](Description& asked) { asked.tensors[0].rank = LKS_MAX_RANK + 1; });
  refused("a pointwise kernel without a program", [](Description& asked) { asked.desc.program_count = 0; });
  check_no_growth("a refused allocation", many, [&] {
    lks_buffer* buffer = nullptr;
    Call call("buffer_alloc");
    check(call.done(s.api.buffer_alloc(s.device, 0, u64{1} << 60, &buffer, call.diag())) != LKS_OK,
          "2^60 bytes were allocated");
  });
}

// Launches that fail for their data, and recovery.
void failures(const RuntimeTarget& target) {
  Session s(target);
  for (std::uint32_t op : {LKS_OP_GATHER, LKS_OP_SCATTER_ADD}) {
    const BadIndex made = bad_index(op, 1'000'000, target.seed);
    const Kernel kernel(s, made.sample);
    if (!kernel) continue;
    Queue queue(s);
    const IndexMemory memory(s, queue, made.sample);
    queue.upload(memory.indices, made.bad);
    check_no_growth("a failed launch of " + made.sample.name + " and queue_recover", s.is_inline() ? 300 : 60, [&] {
      Launch launch(kernel, made.sample, memory.locations());
      u64 value = 0;
      launch_and_fail(s, queue, launch, value);
      queue.recover();
    });
  }
}

void large_programs(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const KernelSample sample = long_program_sample(300);
  if (!Kernel(s, sample)) throw NotOffered("there is no kernel for it");
  check_no_growth("prepare and release of " + sample.name, 100, [&] { const Kernel kernel(s, sample); });
  const Kernel kernel(s, sample);
  check_no_growth("launch of " + sample.name, s.is_inline() ? 200 : 60, [&] { run_sample(s, queue, sample, kernel); });
}

void opening(const RuntimeTarget& target) {
  { const Session warm_up(target); }
  check_no_growth("open and close a driver and its device", 300, [&] { const Session s(target); });
}

}  // namespace

std::vector<RuntimeCase> leak_cases() {
  return {
      {"memory", "no_leak_buffers", "allocating, mapping and freeing loses nothing", &buffers},
      {"memory", "no_leak_device_memory", "what the device says is free comes back", &device_memory},
      {"memory", "no_leak_queues", "queues and timelines lose nothing", &queues},
      {"memory", "no_leak_commands", "commands and waits lose nothing", &commands<LKS_QUEUE_COMPUTE>},
      {"memory", "no_leak_transfers", "the same on transfer queues", &commands<LKS_QUEUE_TRANSFER>},
      {"memory", "no_leak_units", "submissions of several launches lose nothing", &units},
      {"memory", "no_leak_questions", "calls that only ask lose nothing", &questions},
      {"memory", "no_leak_imports", "buffers over the host's memory lose nothing", &imports},
      {"memory", "no_leak_large_transfers", "transfers of 3 MiB lose nothing", &large_transfers},
      {"memory", "no_leak_failed_waits", "waits that time out, and waits of queues that fail, lose nothing",
       &failed_waits},
      {"memory", "no_leak_kernels", "queries, prepared and released kernels lose nothing", &kernels},
      {"memory", "no_leak_launches", "launches lose nothing", &launches},
      {"memory", "no_leak_refusals", "refused kernels and allocations lose nothing", &refusals},
      {"memory", "no_leak_failures", "launches that fail on the device, and recoveries, lose nothing", &failures},
      {"memory", "no_leak_large_programs", "long programs on tensors of rank 8 lose nothing", &large_programs},
      {"memory", "no_leak_opening", "opening and closing the driver loses nothing", &opening},
  };
}

}  // namespace lockstep::conformance
