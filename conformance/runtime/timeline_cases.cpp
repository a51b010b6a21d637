// Timelines that the host creates: values, timeouts, failures.
#include <chrono>
#include <cstring>
#include <thread>

#include "conformance/runtime/session.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t marked_launch = 6;

// Every field is set, but those of the header. The timeline that it is signalled to replaces the value.
lks_diag marked_failure() {
  lks_diag failure = empty_diagnosis();
  failure.code = LKS_DATA_CORRUPT;
  failure.reason = LKS_REASON_RESOURCE;
  failure.operand = 2;
  failure.heap = 3;
  failure.native_code = 7777;
  failure.requested_bytes = (std::uint64_t{1} << 40) + 5;
  failure.free_bytes = (std::uint64_t{1} << 33) + 9;
  failure.value = 31;
  failure.launch = marked_launch;
  std::snprintf(failure.what, sizeof failure.what, "a failure that the suite made up, number 4711");
  std::snprintf(failure.where, sizeof failure.where, "somewhere.cpp:1234");
  std::snprintf(failure.hint, sizeof failure.hint, "nothing to be done");
  std::snprintf(failure.native_name, sizeof failure.native_name, "SUITE_FAILURE");
  return failure;
}

// `launch`: of the diag. A driver of ABI 1.0 does not know it.
void check_marked(const Session& s, const lks_diag& got, std::uint32_t launch, const std::string& where) {
  const lks_diag expected = marked_failure();
  const auto same_text = [&](const char* field, const char* wanted, const char* name) {
    check(std::strcmp(field, wanted) == 0, where + " changed diag." + name + " of the original failure to: " + field);
  };
  same_text(got.what, expected.what, "what");
  same_text(got.where, expected.where, "where");
  same_text(got.hint, expected.hint, "hint");
  same_text(got.native_name, expected.native_name, "native_name");
  check(got.code == expected.code && got.reason == expected.reason && got.native_code == expected.native_code,
        where + " lost code, reason or native code of the original failure");
  check(got.operand == expected.operand && got.heap == expected.heap &&
            got.requested_bytes == expected.requested_bytes && got.free_bytes == expected.free_bytes,
        where + " lost operand, heap, requested or free bytes of the original failure");
  check(s.api.abi_minor < 1 || got.launch == launch,
        where + text(" says diag.launch %u, not %u, for a failure with %u", got.launch, launch, expected.launch));
}

void values(const RuntimeTarget& target) {
  Session s(target);
  Timeline timeline(s);
  check(timeline.query() == 0, "a new timeline is not at 0");
  check(wait_within(s, timeline.handle(), 0, 0) == LKS_OK, "waiting for 0 on a new timeline");
  timeline.signal(5);
  check(timeline.query() == 5, "a timeline that was signalled to 5 is not at 5");
  for (u64 reached : {0, 1, 4, 5}) {
    check(wait_within(s, timeline.handle(), reached, 0) == LKS_OK,
          text("waiting for %llu on a timeline at 5", static_cast<unsigned long long>(reached)));
  }
  check(wait_within(s, timeline.handle(), 6, 0) == LKS_TIMEOUT,
        "waiting for 6 on a timeline at 5, with a timeout of 0");
  lks_diag ignored = empty_diagnosis();
  s.api.timeline_signal(timeline.handle(), 3, nullptr, &ignored);  // must not go back, even if accepted
  check(timeline.query() == 5, "a timeline went backwards");
}

// Values that differ in one half only, and values around the borders of shorter integers.
void wide_values(const RuntimeTarget& target) {
  Session s(target);
  Timeline timeline(s);
  constexpr u64 one = 1;
  u64 before = 0;
  for (const u64 value :
       {one << 16, (one << 31) - 1, one << 31, (one << 32) - 1, one << 32, (one << 32) + 7, (one << 33) + 3,
        (one << 40) + 1, one << 53, (one << 53) + 1, (one << 62) + 5, (one << 63) + 9, ~u64{0} - 1}) {
    const auto number = static_cast<unsigned long long>(value);
    check(wait_within(s, timeline.handle(), value, 0) == LKS_TIMEOUT,
          text("a wait for %llu on a timeline at %llu did not time out", number,
               static_cast<unsigned long long>(before)));
    timeline.signal(value);
    check(timeline.query() == value, text("a timeline does not hold %llu", number));
    check(wait_within(s, timeline.handle(), value, 0) == LKS_OK, text("a wait for %llu on a timeline at it", number));
    check(wait_within(s, timeline.handle(), value + 1, 0) == LKS_TIMEOUT,
          text("a wait for the value after %llu on a timeline at it did not time out", number));
    before = value;
  }
}

// Queues wait for wide values too.
void queue_waits_for_wide_values(const RuntimeTarget& target) {
  Session s(target);
  if (s.is_inline()) throw NotOffered("its queues wait within the call");
  constexpr u64 low = 5, high = (u64{1} << 32) + 3;
  Timeline timeline(s);
  timeline.signal(low);
  Queue queue(s), other(s);
  const Buffer data(s, 64);
  queue.fill(data, 0, 64, 0x11);
  queue.finish();
  queue.wait_on(timeline.handle(), high);
  const u64 value = queue.fill(data, 0, 64, 0x22);
  check(wait_within(s, queue.timeline(), value, 20'000'000) == LKS_TIMEOUT,
        "a queue that waits for 2^32 + 3 goes on when the timeline is at 5");
  check_same_bytes(other.download(data), Bytes(64, 0x11), "memory behind a wait for 2^32 + 3");
  timeline.signal(high);
  queue.finish();
  check_same_bytes(queue.download(data), Bytes(64, 0x22), "memory after the timeline reached 2^32 + 3");
}

void timeout(const RuntimeTarget& target) {
  Session s(target);
  Timeline timeline(s);
  for (int milliseconds : {1, 20, 60}) {
    const auto start = Clock::now();
    const lks_status status = wait_within(s, timeline.handle(), 1, static_cast<u64>(milliseconds) * 1'000'000u);
    const auto passed = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    check(status == LKS_TIMEOUT, "a wait without a signal returned " + status_name(status));
    check(passed >= milliseconds, text("a wait of %d ms ended after %.3f ms", milliseconds, passed));
    check(passed < milliseconds + 10'000, text("a wait of %d ms took %.0f ms", milliseconds, passed));
  }
}

// A signal wakes waiters, also with timeouts that overflow when they are added to the current time.
void late_signal(const RuntimeTarget& target) {
  Session s(target);
  for (u64 timeout_ns : {u64{20'000'000'000}, u64{1} << 62, (u64{1} << 63) - 1, u64{1} << 63, ~u64{0} - 1, ~u64{0}}) {
    Timeline timeline(s);
    std::vector<lks_status> results(3, LKS_INTERNAL);
    std::vector<std::string> failures(3);
    std::vector<std::thread> waiters;
    for (std::size_t i = 0; i < results.size(); ++i) {
      waiters.emplace_back([&, i] {
        try {
          results[i] = wait_within(s, timeline.handle(), 1 + i, timeout_ns);
        } catch (const std::exception& e) {
          failures[i] = e.what();
        }
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    timeline.signal(1);
    timeline.signal(3);
    for (std::thread& waiter : waiters) waiter.join();
    for (std::size_t i = 0; i < results.size(); ++i) {
      check(failures[i].empty(), failures[i]);
      check(results[i] == LKS_OK, text("a waiter with a timeout of %llu ns, signalled after 10 ms, got %s",
                                       static_cast<unsigned long long>(timeout_ns), status_name(results[i]).c_str()));
    }
  }
}

void host_failure(const RuntimeTarget& target) {
  Session s(target);
  Timeline timeline(s);
  timeline.signal(2);
  lks_diag failure = marked_failure();
  timeline.fail(4, failure);
  std::memset(&failure, 0x5c, sizeof failure);  // timeline_signal has copied it
  lks_diag got = empty_diagnosis();
  check(wait_within(s, timeline.handle(), 2, 0) == LKS_OK,
        "a value reached before the failure does not count any more");
  for (u64 value : {3, 4, 9}) {
    check(wait_within(s, timeline.handle(), value, 20'000'000'000u, &got) == LKS_DATA_CORRUPT,
          text("waiting for %llu on a timeline that failed at 4", static_cast<unsigned long long>(value)));
    check_marked(s, got, marked_launch, "timeline_wait");
    check(got.value == 4, text("diag.value is %llu for a failure at 4", static_cast<unsigned long long>(got.value)));
  }
  u64 reached = 0;
  Call call("timeline_query");
  call.fails(s.api.timeline_query(timeline.handle(), &reached, call.diag()), LKS_DATA_CORRUPT);
  check_marked(s, call.filled(), marked_launch, "timeline_query");
  check(reached == 2,
        text("timeline_query of a timeline that failed after 2 says %llu", static_cast<unsigned long long>(reached)));
}

void failure_wakes(const RuntimeTarget& target) {
  Session s(target);
  Timeline timeline(s);
  lks_status status = LKS_OK;
  std::string broken;
  lks_diag got = empty_diagnosis();
  std::thread waiter([&] {
    try {
      status = wait_within(s, timeline.handle(), 1, 30'000'000'000u, &got);
    } catch (const std::exception& e) {
      broken = e.what();
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  timeline.fail(1, marked_failure());
  waiter.join();
  check(broken.empty(), broken);
  check(status == LKS_DATA_CORRUPT, "a waiter on a timeline that then failed got " + status_name(status));
  check_marked(s, got, marked_launch, "timeline_wait");
}

// Commands behind a wait for a failed timeline fail with the same diag and are skipped; then the queue recovers.
void failure_propagates(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const Buffer data(s, 4096);
  for (bool queued_first : {false, true}) {
    if (queued_first && s.is_inline()) break;  // the call would wait for a failure that comes after it
    Timeline timeline(s);
    const u64 before = queue.fill(data, 0, 4096, 0x11);
    if (!queued_first) timeline.fail(1, marked_failure());
    Call call("queue_wait");
    lks_status status = call.done(s.api.queue_wait(queue.handle(), timeline.handle(), 1, call.diag()));
    lks_diag got = call.filled();
    if (status == LKS_OK) {
      const u64 value = queue.fill(data, 0, 4096, 0x22);
      queue.fill(data, 0, 64, 0x33);
      if (queued_first) timeline.fail(1, marked_failure());
      status = wait_within(s, queue.timeline(), value, 60'000'000'000u, &got);
      check(got.value > before && got.value <= value,
            text("a failure between the values %llu and %llu of a queue has diag.value %llu",
                 static_cast<unsigned long long>(before), static_cast<unsigned long long>(value),
                 static_cast<unsigned long long>(got.value)));
      check(wait_within(s, queue.timeline(), before, 0) == LKS_OK,
            "a command done before the failure counts as failed");
    }
    check(status == LKS_DATA_CORRUPT, "a command behind a failed timeline got " + status_name(status));
    check_marked(s, got, 0, "the queue that waited");
    queue.recover();
    check_same_bytes(queue.download(data), Bytes(4096, 0x11), "memory of commands that were skipped after a failure");
    queue.fill(data, 0, 4096, 0x44);
    check_same_bytes(queue.download(data), Bytes(4096, 0x44), "a command after queue_recover");
  }
}

}  // namespace

std::vector<RuntimeCase> timeline_cases() {
  return {
      {"queue", "timeline_values", "a host-made timeline starts at 0 and only grows", &values},
      {"queue", "wide_timeline_values", "a host-made timeline and its waits hold 64 bits", &wide_values},
      {"queue", "wide_queue_waits", "a queue that waits for a value beyond 2^32 stays behind smaller ones",
       &queue_waits_for_wide_values},
      {"queue", "timeout", "a wait that is not fulfilled gives LKS_TIMEOUT, and not before its time", &timeout},
      {"queue", "late_signal", "a signal wakes every waiter that it fulfils, whatever their timeouts", &late_signal},
      {"queue", "host_failure", "a failed timeline gives back the failure as it was signalled", &host_failure},
      {"queue", "failure_wakes", "a failure wakes who waits already", &failure_wakes},
      {"queue", "failure_propagates", "commands behind a failed timeline fail with its diag, and are skipped",
       &failure_propagates},
  };
}

}  // namespace lockstep::conformance
