// Commands behind a failed one: nothing of them is done, whatever they are. And queues that end while they have failed.
#include <chrono>
#include <future>
#include <optional>

#include "conformance/runtime/failing_launch.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

constexpr u64 bytes = 4096, minute = 60'000'000'000;
constexpr std::int64_t elements = 1000;

void require_asynchronous(const Session& s) {
  if (s.is_inline()) throw NotOffered("an inline queue fails in the call and has no failed timeline");
}

// One command of each kind, and memory that shows whether it was done. It outlives the queue.
class EveryCommand {
 public:
  EveryCommand(Session& s, Queue& queue) : s_(s) {
    check(static_cast<bool>(kernel_), "a pointwise program on i32 is refused");
    queue.upload(a_, sample_.values[0]);
    queue.upload(b_, sample_.values[1]);
    queue.fill(source_, 0, bytes, 0x77);
    for (const Buffer* untouched : {&filled_, &copied_, &written_, &out_}) {
      queue.fill(*untouched, 0, untouched->bytes(), 0x11);
    }
    queue.finish();
  }

  // A queue that is known to have failed may refuse a command in its call.
  void enqueue(Queue& queue, bool may_refuse) {
    const auto attempt = [&](auto&& command) {
      try {
        command();
      } catch (const DriverFailure&) {
        if (!may_refuse) throw;
      }
    };
    attempt([&] { queue.fill(filled_, 0, bytes, 0x66); });
    attempt([&] { queue.copy(copied_, 0, source_, 0, bytes); });
    attempt([&] { queue.write(written_, 0, given_.data(), bytes); });
    attempt([&] { queue.read(read_.data(), source_, 0, bytes); });
    if (!with_launch_) return;
    Launch launch(kernel_, sample_, {{&a_, 0}, {&b_, 0}, {&out_, 0}});
    attempt([&] { launch_once(queue, launch); });
  }
  void leave_out_launches() { with_launch_ = false; }

  void check_skipped(Queue& other) const {
    check_same_bytes(read_, Bytes(bytes, 0x33), "host memory of a read behind a failed command");
    check_same_bytes(other.download(filled_), Bytes(bytes, 0x11), "memory of a fill behind a failed command");
    check_same_bytes(other.download(copied_), Bytes(bytes, 0x11), "memory of a copy behind a failed command");
    check_same_bytes(other.download(written_), Bytes(bytes, 0x11), "memory of a write behind a failed command");
    check_same_bytes(other.download(out_), Bytes(out_.bytes(), 0x11), "the output of a launch behind a failed command");
  }
  void check_done(Queue& other) const {
    check_same_bytes(read_, Bytes(bytes, 0x77), "host memory of a read after queue_recover");
    check_same_bytes(other.download(filled_), Bytes(bytes, 0x66), "memory of a fill after queue_recover");
    check_same_bytes(other.download(copied_), Bytes(bytes, 0x77), "memory of a copy after queue_recover");
    check_same_bytes(other.download(written_), given_, "memory of a write after queue_recover");
    if (!with_launch_) return;
    check_same_bytes(other.download(out_), multiply_add(sample_.values[0], sample_.values[1]),
                     "the output of a launch after queue_recover");
  }

 private:
  Session& s_;
  bool with_launch_ = true;
  const KernelSample sample_ = multiply_add_sample(elements);
  const Kernel kernel_{s_, sample_};
  const Bytes given_ = Bytes(bytes, 0x55);
  Bytes read_ = Bytes(bytes, 0x33);
  const Buffer source_{s_, bytes}, filled_{s_, bytes}, copied_{s_, bytes}, written_{s_, bytes};
  const Buffer a_{s_, 4 * elements}, b_{s_, 4 * elements}, out_{s_, 4 * elements};
};

// The queue has been made to fail. Commands that are enqueued before and after this is known are skipped.
void check_all_are_skipped(Session& s, Queue& queue, Queue& other, EveryCommand& commands) {
  commands.enqueue(queue, false);
  check(wait_within(s, queue.timeline(), queue.newest(), minute) != LKS_OK, "a command behind a failed one succeeded");
  commands.enqueue(queue, true);
  queue.recover();
  commands.check_skipped(other);
  commands.enqueue(queue, false);
  queue.finish();
  commands.check_done(other);
}

void skipped_after_launch(const RuntimeTarget& target) {
  Session s(target);
  require_asynchronous(s);
  Queue other(s);
  EveryCommand commands(s, other);
  FailingLaunch failing(s, other, target.seed);
  Queue queue(s);
  failing.enqueue(queue);
  check_all_are_skipped(s, queue, other, commands);
}

// The queue fails because it waits for a timeline that has failed.
template <std::uint32_t kind>
void skipped_after_wait(const RuntimeTarget& target) {
  Session s(target);
  require_asynchronous(s);
  Queue other(s);
  EveryCommand commands(s, other);
  if (kind == LKS_QUEUE_TRANSFER) commands.leave_out_launches();
  lks_diag failure = empty_diagnosis();
  failure.code = LKS_CANCELLED;
  std::snprintf(failure.what, sizeof failure.what, "cancelled by the suite");
  Timeline failed(s);
  failed.fail(1, failure);
  Queue queue(s, kind);
  queue.wait_on(failed.handle(), 1);
  check_all_are_skipped(s, queue, other, commands);
}

// A wait is skipped as well: queue_recover does not wait for a timeline that nobody signals. If it has not returned
// within 8 s, the signal ends its wait.
void recover_skips_waits(const RuntimeTarget& target) {
  Session s(target);
  require_asynchronous(s);
  const Buffer data(s, bytes);
  Timeline never(s);
  Queue other(s), queue(s);
  FailingLaunch failing(s, other, target.seed);
  const SignalledAtEnd ended(s, never, 1);
  other.fill(data, 0, bytes, 0x11);
  other.finish();
  failing.enqueue(queue);
  queue.wait_on(never.handle(), 1);
  queue.fill(data, 0, bytes, 0x22);
  std::future<u64> recovered = std::async(std::launch::async, [&] { return queue.recover(); });
  const bool in_time = recovered.wait_for(std::chrono::seconds(8)) == std::future_status::ready;
  if (!in_time) never.signal(1);
  recovered.get();
  check(in_time, "queue_recover did not return within 8 s: it waits for what a skipped queue_wait names");
  check_same_bytes(other.download(data), Bytes(bytes, 0x11), "memory of a skipped command");
  queue.fill(data, 0, bytes, 0x33);
  check_same_bytes(queue.download(data), Bytes(bytes, 0x33), "memory after a queue whose wait was skipped recovered");
}

// A queue may be destroyed without queue_recover after it has failed. That concerns nothing else.
void failed_queue_ends(const RuntimeTarget& target) {
  Session s(target);
  require_asynchronous(s);
  const Buffer data(s, bytes);
  Queue other(s);
  FailingLaunch failing(s, other, target.seed);
  for (int round = 0; round < 3; ++round) {
    other.fill(data, 0, bytes, 0x11);
    other.finish();
    Queue queue(s);
    failing.enqueue(queue);
    queue.fill(data, 0, bytes, 0x22);
    check(wait_within(s, queue.timeline(), queue.newest(), minute) != LKS_OK, "an index outside did not fail a launch");
    queue.end();
    check_same_bytes(other.download(data), Bytes(bytes, 0x11), "memory of a skipped command of a queue that is gone");
    Call health("device_health");
    health.ok(s.api.device_health(s.device, health.diag()));
    Queue next(s);
    const Buffer fresh(s, bytes);
    next.fill(fresh, 0, bytes, 0x33);
    check_same_bytes(next.download(fresh), Bytes(bytes, 0x33),
                     "memory of a queue that was made after a failed one ended");
  }
}

}  // namespace

std::vector<RuntimeCase> skipped_cases() {
  return {
      {"queue", "skipped_after_launch", "behind a failed launch no command of any kind is done, until queue_recover",
       &skipped_after_launch},
      {"queue", "skipped_after_wait", "the same behind a wait that failed", &skipped_after_wait<LKS_QUEUE_COMPUTE>},
      {"queue", "transfer_skipped_after_wait", "the same on a transfer queue", &skipped_after_wait<LKS_QUEUE_TRANSFER>},
      {"queue", "recover_skips_waits", "queue_recover does not wait for timelines that only skipped waits name",
       &recover_skips_waits},
      {"queue", "failed_queue_ends", "a queue that has failed can be destroyed, and the others go on",
       &failed_queue_ends},
  };
}

}  // namespace lockstep::conformance
