// What a queue's wait holds back: every later command and no earlier one, while its value is not reached.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "conformance/runtime/session.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

constexpr u64 millisecond = 1'000'000, in_time = 8'000 * millisecond, a_while = 20 * millisecond, bytes = 4096;

constexpr std::uint32_t compute = LKS_QUEUE_COMPUTE, transfer = LKS_QUEUE_TRANSFER;

void require_asynchronous(const Session& s) {
  if (s.is_inline()) throw NotOffered("an inline queue waits in the call, so nothing can be queued behind it");
}

// A command that was enqueued before a wait is done, and is told to be done, while the wait is not fulfilled.
template <std::uint32_t kind>
void earlier_commands_run(const RuntimeTarget& target) {
  Session s(target);
  require_asynchronous(s);
  const Buffer data(s, bytes);
  Timeline gate(s);
  Queue queue(s, kind), other(s);
  const SignalledAtEnd opened(s, gate, 1);
  const u64 before = queue.fill(data, 0, bytes, 0x11);
  queue.wait_on(gate.handle(), 1);
  const u64 behind = queue.fill(data, 0, bytes / 2, 0x22);
  check(wait_within(s, queue.timeline(), before, in_time) == LKS_OK,
        "a command is not done after 8 s, while its queue waits only with a later one");
  const u64 reached = query(s, queue.timeline());
  check(reached >= before && reached < behind,
        text("timeline_query says %llu between a command of value %llu, which is done, and one of %llu, which is held "
             "back",
             static_cast<unsigned long long>(reached), static_cast<unsigned long long>(before),
             static_cast<unsigned long long>(behind)));
  check_same_bytes(other.download(data), Bytes(bytes, 0x11), "memory that was filled before its queue waits");
  gate.signal(1);
  queue.finish();
  Bytes expected(bytes, 0x11);
  std::fill_n(expected.begin(), bytes / 2, static_cast<unsigned char>(0x22));
  check_same_bytes(other.download(data), expected, "memory that was filled after its queue has waited");
}

// A queue that waits twice in a row is held back until both timelines are signalled, in either order.
template <std::uint32_t kind>
void waits_in_a_row(const RuntimeTarget& target) {
  Session s(target);
  require_asynchronous(s);
  const Buffer data(s, bytes);
  for (const bool second_first : {false, true}) {
    Timeline one(s), two(s);
    Queue queue(s, kind), other(s);
    const SignalledAtEnd first_opened(s, one, 1), second_opened(s, two, 1);
    other.fill(data, 0, bytes, 0x11);
    other.finish();
    queue.wait_on(one.handle(), 1);
    queue.wait_on(two.handle(), 1);
    const u64 value = queue.fill(data, 0, bytes, 0x22);
    (second_first ? two : one).signal(1);
    const char* const which = second_first ? "second" : "first";
    check(wait_within(s, queue.timeline(), value, a_while) == LKS_TIMEOUT,
          text("a queue that waits for two timelines goes on when the %s is signalled", which));
    check_same_bytes(other.download(data), Bytes(bytes, 0x11),
                     text("memory behind two waits, of which the %s is fulfilled", which));
    (second_first ? one : two).signal(1);
    check(wait_within(s, queue.timeline(), value, in_time) == LKS_OK, "a queue does not go on after both of its waits");
    check_same_bytes(other.download(data), Bytes(bytes, 0x22), "memory behind two waits that are fulfilled");
  }
}

// Four queues wait for one timeline, two for each of its values.
void many_queues_wait(const RuntimeTarget& target) {
  Session s(target);
  require_asynchronous(s);
  constexpr std::size_t count = 4;
  constexpr u64 part = bytes / count;
  const Buffer data(s, bytes);
  Timeline gate(s);
  std::vector<std::unique_ptr<Queue>> queues;
  for (std::size_t i = 0; i < count; ++i) {
    queues.push_back(std::make_unique<Queue>(s, i % 2 ? transfer : compute));
  }
  Queue other(s);
  const SignalledAtEnd opened(s, gate, 2);
  other.fill(data, 0, bytes, 0x11);
  other.finish();
  for (std::size_t i = 0; i < count; ++i) {
    queues[i]->wait_on(gate.handle(), 1 + i / 2);
    queues[i]->fill(data, i * part, part, 0x21 + i);
    queues[i]->flush();
  }
  Bytes expected(bytes, 0x11);
  std::this_thread::sleep_for(std::chrono::nanoseconds(a_while));
  check_same_bytes(other.download(data), expected, "memory of four queues that wait for one timeline");
  for (u64 value : {1, 2}) {
    gate.signal(value);
    for (std::size_t i = 0; i < count; ++i) {
      const bool may_run = 1 + i / 2 <= value;
      if (may_run) std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(i * part), part, 0x21 + i);
      const lks_status status = wait_within(s, queues[i]->timeline(), queues[i]->newest(), may_run ? in_time : a_while);
      check(status == (may_run ? LKS_OK : LKS_TIMEOUT),
            text("of four queues, number %zu waits for %zu, and gives %s after a signal of %llu", i, 1 + i / 2,
                 status_name(status).c_str(), static_cast<unsigned long long>(value)));
    }
    check_same_bytes(
        other.download(data), expected,
        text("memory of four queues that wait for 1 or 2, after %llu", static_cast<unsigned long long>(value)));
  }
}

// A queue's wait for a value that the timeline had reached before it failed is fulfilled. `first` waits before that.
void waits_below_failure(const RuntimeTarget& target) {
  Session s(target);
  const Buffer data(s, bytes);
  lks_diag failure = empty_diagnosis();
  failure.code = LKS_CANCELLED;
  std::snprintf(failure.what, sizeof failure.what, "cancelled by the suite");
  for (const bool first : {false, true}) {
    if (first && s.is_inline()) break;  // the call would wait for a signal that comes after it
    Timeline timeline(s);
    Queue queue(s);
    const SignalledAtEnd opened(s, timeline, 2);
    const auto wait = [&] {
      queue.wait_on(timeline.handle(), 1);
      queue.wait_on(timeline.handle(), 2);
    };
    if (first) wait();
    timeline.signal(2);
    if (first) {  // the waits are fulfilled before the failure
      const u64 value = queue.fill(data, 0, 64, 0x11);
      wait_for(s, queue.timeline(), value);
    }
    timeline.fail(4, failure);
    if (!first) wait();
    queue.fill(data, 0, bytes, first ? 0x22 : 0x33);
    check_same_bytes(queue.download(data), Bytes(bytes, first ? 0x22 : 0x33),
                     "memory behind waits for 1 and 2 on a timeline that failed at 4");
  }
}

}  // namespace

std::vector<RuntimeCase> order_cases() {
  return {
      {"queue", "earlier_commands_run", "a queue's wait holds back no command that was enqueued before it",
       &earlier_commands_run<compute>},
      {"queue", "transfer_earlier_commands_run", "the same on a transfer queue", &earlier_commands_run<transfer>},
      {"queue", "waits_in_a_row", "a queue that waits for two timelines waits for both", &waits_in_a_row<compute>},
      {"queue", "transfer_waits_in_a_row", "the same on a transfer queue", &waits_in_a_row<transfer>},
      {"queue", "many_queues_wait", "several queues wait for one timeline, each for its value", &many_queues_wait},
      {"queue", "waits_below_failure", "a wait for a value that was reached before a failure is fulfilled",
       &waits_below_failure},
  };
}

}  // namespace lockstep::conformance
