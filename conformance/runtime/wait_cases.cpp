// Waiting: timelines after queue_recover, waits that fail themselves, timeouts of a few milliseconds, and signals that
// must be refused.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <future>
#include <thread>

#include "conformance/runtime/failing_launch.h"
#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;
using Clock = std::chrono::steady_clock;

constexpr u64 millisecond = 1'000'000, minute = 60'000 * millisecond, large = 8 << 20;

void check_recovered(Session& s, Queue& queue, u64 last, const char* when) {
  const u64 reached = query(s, queue.timeline());
  check(reached == last, text("%s timeline_query says %llu, the newest value was %llu", when,
                              static_cast<unsigned long long>(reached), static_cast<unsigned long long>(last)));
  for (u64 value = 1; value <= last; ++value) {
    const lks_status status = wait_within(s, queue.timeline(), value, 0);
    check(status == LKS_OK,
          text("%s timeline_wait for %llu of %llu gives %s, not LKS_OK", when, static_cast<unsigned long long>(value),
               static_cast<unsigned long long>(last), status_name(status).c_str()));
  }
}

// Until queue_recover, the timeline tells which command failed, whatever value is waited for. `before` is the value of
// the command before it, `last` that of a command that was skipped.
void check_failed(Session& s, Queue& queue, u64 before, u64 value, u64 last) {
  const auto check_named = [&](lks_status status, u64 named, const std::string& call) {
    check(status == LKS_INVALID_ARGUMENT, call + " on a queue with an index outside gives " + status_name(status));
    check(named == value, call + text(" says that command %llu failed, it was %llu",
                                      static_cast<unsigned long long>(named), static_cast<unsigned long long>(value)));
  };
  lks_diag failure = empty_diagnosis();
  for (const u64 wanted : {last, value}) {
    const lks_status status = wait_within(s, queue.timeline(), wanted, minute, &failure);
    check_named(status, failure.value, text("timeline_wait for command %llu", static_cast<unsigned long long>(wanted)));
  }
  u64 reached = 0;
  Call call("timeline_query");
  const lks_status status = call.done(s.api.timeline_query(queue.timeline(), &reached, call.diag()));
  check_named(status, call.filled().value, "timeline_query");
  check(reached >= before && reached < value,
        text("timeline_query of a queue that failed at %llu, after %llu, says that %llu is reached",
             static_cast<unsigned long long>(value), static_cast<unsigned long long>(before),
             static_cast<unsigned long long>(reached)));
}

// After queue_recover the timeline stands at the newest value and has not failed.
void after_recover(const RuntimeTarget& target) {
  Session s(target);
  if (s.is_inline()) throw NotOffered("an inline queue fails in the call and has no failed timeline");
  const Buffer data(s, 4096);
  Queue queue(s);
  FailingLaunch failing(s, queue, target.seed);
  for (int round = 0; round < 3; ++round) {
    const u64 before = queue.fill(data, 0, 4096, 0x11);
    const u64 value = failing.enqueue(queue);
    for (int i = 0; i < 5; ++i) queue.fill(data, 0, 4096, 0x22);
    check_failed(s, queue, before, value, queue.newest());
    const u64 last = queue.recover();
    check_recovered(s, queue, last, "after queue_recover");
    check(queue.recover() == last, "queue_recover of a queue that has not failed gives another newest value");
    check_recovered(s, queue, last, "after a second queue_recover");
    const u64 next = queue.fill(data, 64, 64, 0x33);
    check(next > last, "a command after queue_recover has a value that was given out before");
    wait_for(s, queue.timeline(), next);
    Bytes expected(4096, 0x11);
    std::fill(expected.begin() + 64, expected.begin() + 128, static_cast<unsigned char>(0x33));
    check_same_bytes(queue.download(data), expected, "memory after a queue has failed and recovered");
  }
}

// Enqueues fills of a buffer of 8 MiB and recovers at once. No command has failed, so all have run. Each fill leaves
// the last MiB of the one before, so that the bytes show every one of them.
void check_nothing_is_lost(Session& s, Queue& queue, Queue& other, const Buffer& data) {
  constexpr u64 fills = 5;
  Bytes expected(large);
  for (u64 i = 0; i < fills; ++i) {
    const u64 bytes = large - (i << 20);
    queue.fill(data, 0, bytes, 0x60 + i);
    std::fill_n(expected.begin(), bytes, static_cast<unsigned char>(0x60 + i));
  }
  check_recovered(s, queue, queue.recover(), "after queue_recover of a queue that has not failed");
  check_same_bytes(other.download(data), expected, "memory after five fills and queue_recover, without a failure");
}

// queue_recover is called before the command fails. When it returns, the failure is cleared, the commands before the
// failed one are done, and no command runs.
void recover_waits(const RuntimeTarget& target) {
  Session s(target);
  if (s.is_inline()) throw NotOffered("an inline queue fails in the call and has no failed timeline");
  const Buffer slow(s, large), data(s, 4096);
  Queue queue(s), other(s);
  FailingLaunch failing(s, queue, target.seed);
  for (int round = 1; round <= 10; ++round) {
    other.fill(data, 0, 4096, 0x44);
    other.finish();
    for (int i = 0; i < round; ++i) queue.fill(slow, 0, large, static_cast<u64>(i));
    failing.enqueue(queue);
    queue.fill(slow, 0, large, 0xee);
    queue.fill(data, 0, 4096, 0x55);
    const u64 last = queue.recover();
    check_recovered(s, queue, last, "after queue_recover, called before the failure was found,");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    check_recovered(s, queue, last, "a while after queue_recover, called before the failure was found,");
    check_same_bytes(other.download(data), Bytes(4096, 0x44), "what a skipped command would have written");
    check_same_bytes(other.download(slow, large - 64, 64), Bytes(64, static_cast<unsigned char>(round - 1)),
                     "what was written before a command that failed during queue_recover");
  }
  check_nothing_is_lost(s, queue, other, slow);
}

// While one queue fails and recovers, another one has commands that cannot run yet. The recovery does not wait for
// them, and they run afterwards. If queue_recover has not returned within 8 s, the signal ends its wait.
void recover_leaves_others(const RuntimeTarget& target) {
  Session s(target);
  if (s.is_inline()) throw NotOffered("an inline queue waits in the call, so nothing can be queued behind it");
  const Buffer data(s, 4096);
  Timeline gate(s);
  Queue queue(s), held(s), other(s);
  FailingLaunch failing(s, queue, target.seed);
  for (u64 round = 1; round <= 3; ++round) {
    other.fill(data, 0, 4096, 0x11);
    other.finish();
    held.wait_on(gate.handle(), round);
    held.fill(data, 0, 4096, 0x20 + round);
    held.flush();
    failing.enqueue(queue);
    queue.fill(data, 0, 4096, 0x66);
    std::future<u64> recovered = std::async(std::launch::async, [&] { return queue.recover(); });
    const bool in_time = recovered.wait_for(std::chrono::seconds(8)) == std::future_status::ready;
    try {
      gate.signal(round);
      recovered.get();
      held.finish();
    } catch (...) {
      held.drain(data);
      throw;
    }
    check(in_time, "queue_recover did not return within 8 s, while another queue waited for a timeline");
    check_same_bytes(other.download(data), Bytes(4096, static_cast<unsigned char>(0x20 + round)),
                     "what a queue wrote that was held back while another one recovered");
  }
}

// When a wait itself fails, the commands that it waits for still run and succeed.
void failed_wait(const RuntimeTarget& target) {
  Session s(target);
  const Buffer data(s, large);
  Queue queue(s);
  for (int round = 0; round < 3; ++round) {
    queue.fill(data, 0, large, 0x10);
    const u64 value = queue.fill(data, 0, large, 0x20 + static_cast<u64>(round));
    Call call("timeline_wait");
    s.host.fail_at(1, LKS_FAULT_WAIT);
    const lks_status status = call.done(s.api.timeline_wait(queue.timeline(), value, ~u64{0}, call.diag()));
    s.host.disarm();
    if (!s.host.fired()) {
      if (status == LKS_OK) throw NotOffered("waits pass no fault point");
      throw DriverFailure("timeline_wait", status, call.filled());
    }
    check(status == s.host.injected(), "a wait whose fault point failed gives " + status_name(status));
    check(call.filled().value == 0,
          text("a wait that failed itself names command %llu", static_cast<unsigned long long>(call.filled().value)));
    wait_for(s, queue.timeline(), value);
    query(s, queue.timeline());
    check_same_bytes(queue.download(data, large - 64, 64), Bytes(64, static_cast<unsigned char>(0x20 + round)),
                     "what a command has written, the first wait for which failed");
  }
}

// Checks the fastest of five waits against the upper limit, because the machine may be busy.
void check_timeout(Session& s, lks_timeline* timeline, u64 value, u64 milliseconds, const char* whose) {
  double least = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = Clock::now();
    const lks_status status = wait_within(s, timeline, value, milliseconds * millisecond);
    const double passed = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    const auto ms = static_cast<unsigned long long>(milliseconds);
    check(status == LKS_TIMEOUT, text("a wait of %llu ms on %s gives %s", ms, whose, status_name(status).c_str()));
    check(passed >= static_cast<double>(milliseconds),
          text("a wait of %llu ms on %s ended after %.3f ms", ms, whose, passed));
    least = std::min(least, passed);
  }
  check(least < static_cast<double>(milliseconds) + 500,
        text("a wait of %llu ms on %s takes %.0f ms", static_cast<unsigned long long>(milliseconds), whose, least));
}

// On a busy machine, a wait that is defective and ends early may still last long enough, so this waits many times.
void check_short_timeouts(Session& s, lks_timeline* timeline, u64 value, const char* what) {
  for (int times = 0; times < 6; ++times) {
    for (u64 milliseconds : {1, 2, 3, 7}) check_timeout(s, timeline, value, milliseconds, what);
  }
}

// Waits that cannot end before the command with this value, which is held back. A later value may not have been given
// out yet: it can be waited for all the same.
void check_held_timeouts(Session& s, lks_timeline* timeline, u64 value) {
  check_timeout(s, timeline, value, 0, "a queue's timeline");
  for (const u64 milliseconds : {0, 1}) {
    check_timeout(s, timeline, value + 1000, milliseconds, "a queue's timeline, for a value that no command has yet,");
  }
  check_short_timeouts(s, timeline, value, "a queue's timeline");
}

void short_timeouts(const RuntimeTarget& target) {
  Session s(target);
  {
    Timeline timeline(s);
    check_short_timeouts(s, timeline.handle(), 1, "a host-made timeline");
  }
  if (s.is_inline()) return;  // commands of an inline queue are done when they return
  const Buffer data(s, 4096);
  Timeline gate(s);
  Queue queue(s);
  queue.wait_on(gate.handle(), 1);
  const u64 value = queue.fill(data, 0, 4096, 0x66);
  std::promise<void> finished;
  std::thread opener([&, done = finished.get_future()] {  // ends the wait of a driver that ignores timeouts
    done.wait_for(std::chrono::seconds(10));
    lks_diag ignored = empty_diagnosis();
    s.api.timeline_signal(gate.handle(), 1, nullptr, &ignored);
  });
  std::exception_ptr failure;
  try {
    check_held_timeouts(s, queue.timeline(), value);
  } catch (...) {
    failure = std::current_exception();
  }
  finished.set_value();
  opener.join();
  if (failure) {
    queue.drain(data);
    std::rethrow_exception(failure);
  }
  wait_for(s, queue.timeline(), value);
  check_timeout(s, queue.timeline(), value + 1000, 1, "a queue's timeline that is below the value");
  check_same_bytes(queue.download(data), Bytes(4096, 0x66), "a command that several waits were too short for");
}

void refused_signals(const RuntimeTarget& target) {
  Session s(target);
  const auto refused = [&](lks_timeline* timeline, u64 value, const lks_diag* failure, const char* what) {
    Call call("timeline_signal");
    const lks_status status = call.done(s.api.timeline_signal(timeline, value, failure, call.diag()));
    check(status == LKS_INVALID_ARGUMENT, std::string(what) + " gives " + status_name(status));
  };
  lks_diag failure = empty_diagnosis();
  failure.code = LKS_DATA_CORRUPT;
  std::snprintf(failure.what, sizeof failure.what, "made up by the suite");
  Timeline timeline(s);
  refused(timeline.handle(), 0, nullptr, "a signal of 0");
  timeline.signal(5);
  for (u64 value : {5, 4, 0}) {
    refused(timeline.handle(), value, nullptr, "a signal that is not above the value reached");
    refused(timeline.handle(), value, &failure, "a failure that is not above the value reached");
    check(timeline.query() == 5, "a refused signal has moved a timeline");
  }
  timeline.fail(7, failure);
  for (u64 value : {6, 7, 8}) {
    refused(timeline.handle(), value, nullptr, "a signal to a timeline that failed");
    refused(timeline.handle(), value, &failure, "a failure of a timeline that failed");
    check(wait_within(s, timeline.handle(), value, 0) == LKS_DATA_CORRUPT, "a failed timeline advances by a signal");
  }

  const Buffer data(s, 64);
  Queue queue(s);
  queue.fill(data, 0, 64, 1);
  queue.finish();
  refused(queue.timeline(), queue.newest() + 1000, nullptr, "a signal to a queue's timeline");
  refused(queue.timeline(), queue.newest() + 1000, &failure, "a failure of a queue's timeline by the host");
  if (!s.is_inline()) {
    check(query(s, queue.timeline()) == queue.newest(), "a refused signal has moved a queue's timeline");
  }
  queue.fill(data, 0, 64, 0x77);
  check_same_bytes(queue.download(data), Bytes(64, 0x77), "a command after refused signals");
}

}  // namespace

std::vector<RuntimeCase> wait_cases() {
  return {
      {"queue", "after_recover", "a queue that recovered has all its commands behind it, and has not failed",
       &after_recover},
      {"queue", "recover_waits", "when queue_recover returns, nothing of the queue runs or fails any more",
       &recover_waits},
      {"queue", "recover_leaves_others", "queue_recover neither waits for other queues nor drops their commands",
       &recover_leaves_others},
      {"queue", "failed_wait", "a wait that fails itself names no command, and can be done again", &failed_wait},
      {"queue", "short_timeouts", "a timeout of a few milliseconds is one of a few milliseconds", &short_timeouts},
      {"queue", "refused_signals", "signals that lead nowhere are refused and change nothing", &refused_signals},
  };
}

}  // namespace lockstep::conformance
