// Commands that fail on the device: an index is out of bounds, which a driver can find only when it executes them.
#include <cstring>

#include "conformance/runtime/failing_launch.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

void index_outside(const RuntimeTarget& target) {
  Session s(target);
  for (std::uint32_t op : {LKS_OP_GATHER, LKS_OP_SCATTER_ADD}) {
    for (std::int64_t index : {std::int64_t{7}, std::int64_t{-1}, std::int64_t{1} << 40, std::int64_t{1} << 62}) {
      const BadIndex made = bad_index(op, index, target.seed);
      const Kernel kernel(s, made.sample);
      check(static_cast<bool>(kernel), made.sample.name + " is refused");
      Queue queue(s);
      const IndexMemory memory(s, queue, made.sample);
      queue.upload(memory.indices, made.bad);
      Launch launch(kernel, made.sample, memory.locations());
      u64 value = 0;
      const lks_diag failure = launch_and_fail(s, queue, launch, value);
      const std::string what = made.sample.name + text(" with index %lld of 7", static_cast<long long>(index));
      check(failure.code == LKS_INVALID_ARGUMENT && failure.reason == LKS_REASON_INDEX,
            what + text(" failed with %s and %s, not LKS_INVALID_ARGUMENT and LKS_REASON_INDEX",
                        status_name(failure.code).c_str(), reason_name(failure.reason).c_str()));
      check(s.is_inline() || value == 0 || failure.value == value,
            what + text(" took value %llu and its failure says %llu", static_cast<unsigned long long>(value),
                        static_cast<unsigned long long>(failure.value)));
      queue.recover();
      check_same_bytes(queue.download(memory.out), Bytes(memory.out.bytes(), 0xa5), what + ": its output");

      queue.upload(memory.indices, made.good);
      Launch again(kernel, made.sample, memory.locations());
      wait_for(s, queue.timeline(), launch_once(queue, again));
      const std::vector<Bytes> expected = run_sample(s, queue, made.sample, kernel);
      check_same_bytes(queue.download(memory.out), expected[0], made.sample.name + " after a launch that failed");
    }
  }
}

// One index of very many is out of bounds, in every math mode: no block of the launch may have written.
void one_of_many_outside(const RuntimeTarget& target) {
  Session s(target);
  constexpr std::int64_t many = 70'001;
  for (std::uint32_t op : {LKS_OP_GATHER, LKS_OP_SCATTER_ADD}) {
    for (std::uint32_t mode : {LKS_MODE_STRICT, LKS_MODE_FAST, LKS_MODE_LOCKSTEP}) {
      if (!s.offers(mode)) continue;
      KernelSample sample = bad_index(op, 0, target.seed).sample;
      sample.inputs[1].dims = {many};
      (op == LKS_OP_GATHER ? sample.outputs[0] : sample.inputs[0]).dims[0] = many;
      sample.values[0].resize(sample.inputs[0].span());
      const Kernel kernel(s, sample, mode);
      check(static_cast<bool>(kernel), sample.name + " of 70,001 indices is refused");
      Queue queue(s);
      const IndexMemory memory(s, queue, sample);
      for (const std::int64_t place : {many / 2, many - 1}) {
        Bytes indices(sample.inputs[1].span());
        constexpr std::int64_t outside = 7;
        std::memcpy(indices.data() + place * static_cast<std::int64_t>(sizeof outside), &outside, sizeof outside);
        queue.upload(memory.indices, indices);
        Launch launch(kernel, sample, memory.locations());
        u64 value = 0;
        const lks_diag failure = launch_and_fail(s, queue, launch, value);
        const std::string what = sample.name + text(" with index 7 of 7 at position %lld of 70001 in mode %u",
                                                    static_cast<long long>(place), mode);
        check(failure.reason == LKS_REASON_INDEX, what + " failed for " + reason_name(failure.reason));
        queue.recover();
        check_same_bytes(queue.download(memory.out), Bytes(memory.out.bytes(), 0xa5), what + ": its output");
      }
    }
  }
}

// The second of three launches in one submission fails: its output and that of the third are unchanged.
void unit_fails(const RuntimeTarget& target) {
  Session s(target);
  const BadIndex made = bad_index(LKS_OP_GATHER, 99, target.seed);
  const Kernel kernel(s, made.sample);
  check(static_cast<bool>(kernel), "gather is refused");
  Queue queue(s);
  const IndexMemory good(s, queue, made.sample), bad(s, queue, made.sample), after(s, queue, made.sample);
  queue.upload(good.indices, made.good);
  queue.upload(bad.indices, made.bad);
  queue.upload(after.indices, made.good);
  Launch one(kernel, made.sample, good.locations()), two(kernel, made.sample, bad.locations()),
      three(kernel, made.sample, after.locations());
  const lks_launch unit[] = {one.abi(), two.abi(), three.abi()};
  bool failed = false;
  try {
    queue.launch(unit, 3);
    queue.finish();
  } catch (const DriverFailure& e) {
    failed = true;
    check(e.diag.reason == LKS_REASON_INDEX, "the second of three launches failed for " + reason_name(e.diag.reason) +
                                                 ", not for LKS_REASON_INDEX: " + e.what());
  }
  check(failed, "three launches, the second with an index outside, succeeded");
  queue.recover();
  check_same_bytes(queue.download(bad.out), Bytes(bad.out.bytes(), 0xa5), "output of the launch that failed");
  check_same_bytes(queue.download(after.out), Bytes(after.out.bytes(), 0xa5), "output of the launch after it");
  const lks_launch alone[] = {one.abi()};
  wait_for(s, queue.timeline(), queue.launch(alone, 1));
  check_same_bytes(queue.download(good.out), run_sample(s, queue, made.sample, kernel)[0],
                   "the first of the three, launched again");
}

// A failure says which launch of its submission failed, in the call or, later, in a wait and in a query.
void failed_launch(const RuntimeTarget& target) {
  Session s(target);
  if (s.api.abi_minor < 1) throw NotOffered("a driver of ABI 1.0 does not say which launch failed");
  const BadIndex made = bad_index(LKS_OP_GATHER, 99, target.seed);
  const Kernel kernel(s, made.sample);
  check(static_cast<bool>(kernel), "gather is refused");
  Queue queue(s);
  const IndexMemory good(s, queue, made.sample), bad(s, queue, made.sample);
  queue.upload(good.indices, made.good);
  queue.upload(bad.indices, made.bad);
  Launch works(kernel, made.sample, good.locations()), fails(kernel, made.sample, bad.locations());
  for (const std::uint32_t count : {1u, 2u, 5u}) {
    for (std::uint32_t failing = 0; failing < count; ++failing) {
      const std::string what = text("launch %u of %u in one submission", failing, count);
      std::vector<lks_launch> unit(count, works.abi());
      unit[failing] = fails.abi();
      u64 value = 0, reached = 0;
      Call launch("queue_launch"), query("timeline_query");
      lks_diag failure = empty_diagnosis();
      if (launch.done(s.api.queue_launch(queue.handle(), unit.data(), count, &value, launch.diag())) != LKS_OK) {
        failure = launch.filled();
      } else {
        check(wait_within(s, queue.timeline(), value, 60'000'000'000u, &failure) != LKS_OK, what + " did not fail");
        check(query.done(s.api.timeline_query(queue.timeline(), &reached, query.diag())) != LKS_OK,
              what + ": timeline_query does not report the failure");
        check(query.filled().launch == failure.launch,
              what + text(" failed: timeline_query says diag.launch %u, timeline_wait %u", query.filled().launch,
                          failure.launch));
      }
      check(
          failure.launch == failing + 1,
          what + text(" failed (they are counted from 0), and diag.launch is %u, not %u", failure.launch, failing + 1));
      queue.recover();
    }
  }
}

// The dependent queue waits for the failed queue's value.
void check_dependent_fails(Queue& dependent) {
  bool failed = false;
  try {
    dependent.finish();
  } catch (const DriverFailure& e) {
    failed = true;
    check(e.diag.reason == LKS_REASON_INDEX && e.status == LKS_INVALID_ARGUMENT,
          "a queue that waited for a failed one failed for " + reason_name(e.diag.reason) +
              ", not for LKS_REASON_INDEX: " + e.what());
    check(e.diag.launch == 0, "a queue that waited for a failed one says that a launch of its own failed");
  }
  check(failed, "a command behind a wait on a failed queue succeeded");
}

// A failure of one queue affects another queue only if that queue waits for it: then it fails with the same diag. After
// queue_recover, other queues can wait for the value that failed and for later ones.
template <std::uint32_t kind>
void other_queues(const RuntimeTarget& target) {
  Session s(target);
  if (s.is_inline()) throw NotOffered("an inline queue fails in the call and has no failed timeline");
  const BadIndex made = bad_index(LKS_OP_GATHER, 99, target.seed);
  const Kernel kernel(s, made.sample);
  check(static_cast<bool>(kernel), "gather is refused");
  const Buffer data(s, 4096);
  Queue failing(s), dependent(s, kind), innocent(s);
  const IndexMemory memory(s, failing, made.sample), own(s, innocent, made.sample);
  const Bytes gathered = run_sample(s, innocent, made.sample, kernel)[0];
  failing.upload(memory.indices, made.bad);
  innocent.upload(own.indices, made.good);
  innocent.fill(data, 0, 4096, 0x11);
  innocent.finish();
  Launch launch(kernel, made.sample, memory.locations()), same(kernel, made.sample, own.locations());
  const u64 value = launch_once(failing, launch);
  dependent.wait_on(failing.timeline(), value);
  dependent.fill(data, 0, 2048, 0x22);
  innocent.fill(data, 2048, 2048, 0x33);
  innocent.finish();
  check_dependent_fails(dependent);
  launch_once(innocent, same);
  innocent.finish();
  check_same_bytes(innocent.download(own.out), gathered, "the output of a kernel that has failed on another queue");
  Bytes expected(4096, 0x11);
  std::fill(expected.begin() + 2048, expected.end(), 0x33);
  check_same_bytes(innocent.download(data), expected, "memory after one of three queues failed");
  failing.recover();
  dependent.recover();
  dependent.fill(data, 0, 2048, 0x44);
  std::fill(expected.begin(), expected.begin() + 2048, 0x44);
  dependent.finish();
  check_same_bytes(failing.download(data), expected, "memory after the queues recovered");

  dependent.wait_on(failing.timeline(), value);
  dependent.fill(data, 0, 1024, 0x55);
  dependent.finish();
  dependent.wait_on(failing.timeline(), failing.fill(data, 1024, 1024, 0x66));
  dependent.fill(data, 2048, 1024, 0x77);
  dependent.finish();
  std::fill(expected.begin(), expected.begin() + 1024, 0x55);
  std::fill(expected.begin() + 1024, expected.begin() + 2048, 0x66);
  std::fill(expected.begin() + 2048, expected.begin() + 3072, 0x77);
  check_same_bytes(innocent.download(data), expected, "memory after waits for a queue that had failed and recovered");
}

void health(const RuntimeTarget& target) {
  Session s(target);
  Call call("device_health");
  call.ok(s.api.device_health(s.device, call.diag()));
}

}  // namespace

std::vector<RuntimeCase> failure_cases() {
  return {
      {"queue", "index_outside", "a launch that fails for its data writes nothing, says why, and the queue recovers",
       &index_outside},
      {"queue", "one_of_many_outside", "one index of 70,001 is out of bounds, and nothing is written",
       &one_of_many_outside},
      {"queue", "unit_fails", "in a submission of several launches nothing after the failed one is done", &unit_fails},
      {"queue", "failed_launch", "a failure says which launch of its submission failed", &failed_launch},
      {"queue", "other_queues", "a failed queue fails those that wait for it and no others, until it recovers",
       &other_queues<LKS_QUEUE_COMPUTE>},
      {"queue", "failed_before_transfer", "a failed queue fails a transfer queue that waits for it",
       &other_queues<LKS_QUEUE_TRANSFER>},
      {"queue", "health", "a device that has done nothing wrong is healthy", &health},
  };
}

}  // namespace lockstep::conformance
