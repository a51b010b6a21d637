// Threads: concurrent calls, and kernels whose parallel loops the host splits in different ways.
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

constexpr std::size_t thread_total = 8;

// Runs work(index) on eight threads at once; throws the failure of the lowest index.
template <class Work>
void on_threads(Work&& work) {
  std::vector<std::string> failures(thread_total);
  std::atomic<int> waiting{static_cast<int>(thread_total)};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < thread_total; ++t) {
    threads.emplace_back([&, t] {
      --waiting;
      while (waiting > 0) std::this_thread::yield();  // so that they start at the same time
      try {
        work(t);
      } catch (const std::exception& e) {
        failures[t] = e.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) check(failure.empty(), failure);
}

void check_results(const std::vector<Bytes>& got, const std::vector<Bytes>& expected, const std::string& what) {
  for (std::size_t o = 0; o < expected.size(); ++o)
    check_same_bytes(got[o], expected[o], what + text(", output %zu", o));
}

// Everything that threads may do concurrently on one device: query, prepare, allocate, launch, wait.
void one_device(const RuntimeTarget& target) {
  Session s(target);
  std::vector<KernelSample> samples = kernel_samples(target.seed, 3);
  std::vector<std::vector<Bytes>> expected;
  {
    Queue queue(s);
    std::erase_if(samples, [&](const KernelSample& sample) { return !Kernel(s, sample); });
    for (const KernelSample& sample : samples) expected.push_back(run_sample(s, queue, sample, Kernel(s, sample)));
  }
  check(!samples.empty(), "the driver refuses every kernel");
  on_threads([&](std::size_t t) {
    Queue queue(s);
    for (std::size_t i = 0; i < 2 * samples.size(); ++i) {
      const std::size_t which = (i * (2 * t + 1) + t) % samples.size();
      Description asked(samples[which], LKS_MODE_STRICT, s.info.min_alignment);
      check(query(s, asked), samples[which].name + " is refused while other threads work");
      const Kernel kernel(s, samples[which]);
      check_results(run_sample(s, queue, samples[which], kernel), expected[which],
                    samples[which].name + " while other threads work");
    }
  });
}

// The same kernels for each thread, with different inputs, so that interference between threads changes results.
std::vector<std::vector<KernelSample>> samples_by_thread(std::uint64_t seed) {
  std::vector<std::vector<KernelSample>> all;
  for (std::uint64_t t = 0; t < thread_total; ++t) {
    all.push_back(large_samples(seed + t));
    for (KernelSample& sample : kernel_samples(seed + t, 4)) all.back().push_back(std::move(sample));
  }
  return all;
}

// Runs `work` on its own thread. `ends_in_time` returns false if it takes more than five seconds.
class Visit {
 public:
  explicit Visit(const std::function<void()>& work)
      : thread_([this, work] {
          work();
          done_.set_value();
        }) {}
  ~Visit() { thread_.join(); }

  bool ends_in_time() { return done_.get_future().wait_for(std::chrono::seconds(5)) == std::future_status::ready; }

 private:
  std::promise<void> done_;
  std::thread thread_;
};

// At each fault point and parallel loop, uses the device on another thread, until one such use does not finish in time.
class Visitors {
 public:
  Visitors(Session& session, std::function<void()> visit) : session_(session), visit_(std::move(visit)) {
    session_.host.set_visitor([this] { at_call_of_host(); });
  }
  /// Waits for a visit that did not finish in time.
  ~Visitors() { session_.host.set_visitor(nullptr); }

  bool were_stopped() const { return were_stopped_; }

 private:
  void at_call_of_host() {
    if (were_stopped_ || is_visiting_.exchange(true)) return;
    visits_.emplace_back(visit_);
    if (visits_.back().ends_in_time()) {
      visits_.pop_back();
    } else {
      were_stopped_ = true;
    }
    is_visiting_ = false;
  }

  Session& session_;
  const std::function<void()> visit_;
  std::atomic<bool> is_visiting_{false}, were_stopped_{false};
  std::deque<Visit> visits_;
};

KernelSample large_product(std::uint64_t seed) {
  for (KernelSample& sample : large_samples(seed)) {
    if (sample.op == LKS_OP_MATMUL) return std::move(sample);
  }
  throw CheckFailed("there is no large product among the samples");
}

// Uses the device on another thread while the driver calls the host. If the driver holds a lock during that call, the
// other thread blocks.
void asks_without_locks(const RuntimeTarget& target) {
  Session s(target);
  const KernelSample sample = multiply_add_sample(1000), product = large_product(target.seed);
  const Kernel kernel(s, sample);
  check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
  const Buffer a(s, 4000), b(s, 4000), out(s, 4000);
  Queue queue(s), beside(s);  // only visits use the second
  std::atomic<bool> has_failed{false};
  bool were_stopped = false;
  {
    const Visitors visitors(s, [&] {
      std::uint64_t reached = 0;
      lks_diag diag = empty_diagnosis();
      if (s.api.timeline_query(queue.timeline(), &reached, &diag) != LKS_OK) has_failed = true;
      try {
        const Buffer small(s, 64);
        Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
        query(s, asked);
        const Kernel prepared(s, product);
        beside.fill(a, 0, 4000, 0x11, 4);
        Launch launch(kernel, sample, {{&a, 0}, {&b, 0}, {&out, 0}});
        wait_for(s, beside.timeline(), launch_once(beside, launch));
      } catch (const std::exception&) {
        has_failed = true;
      }
    });
    for (int i = 0; i < 20; ++i) run_sample(s, queue, sample, Kernel(s, sample));
    const Kernel prepared(s, product);
    queue.finish();
    were_stopped = visitors.were_stopped();
  }
  check(!were_stopped, "while the driver calls the host, another thread cannot use the device: it holds a lock");
  check(!has_failed, "while the driver calls the host, calls of another thread fail");
}

// Eight threads launch one kernel at once on different inputs. `queue_of` returns the queue of each thread.
template <class QueueOf>
void share_kernels(Session& s, std::uint64_t seed, int rounds, QueueOf&& queue_of) {
  const std::vector<std::vector<KernelSample>> samples = samples_by_thread(seed);
  for (std::size_t i = 0; i < samples[0].size(); ++i) {
    const Kernel kernel(s, samples[0][i]);
    if (!kernel) continue;
    std::vector<std::vector<Bytes>> expected;
    Queue alone(s);
    for (std::size_t t = 0; t < thread_total; ++t) expected.push_back(run_sample(s, alone, samples[t][i], kernel));
    on_threads([&](std::size_t t) {
      for (int round = 0; round < rounds; ++round) {
        check_results(run_sample(s, queue_of(t), samples[t][i], kernel), expected[t],
                      samples[t][i].name + " launched by eight threads at once");
      }
    });
  }
}

// Kernels are shared by all queues of a device.
void shared_kernel(const RuntimeTarget& target) {
  Session s(target);
  std::vector<std::unique_ptr<Queue>> queues;
  for (std::size_t t = 0; t < thread_total; ++t) queues.push_back(std::make_unique<Queue>(s));
  share_kernels(s, target.seed, 4, [&](std::size_t t) -> Queue& { return *queues[t]; });
}

// An inline queue may be used by several threads at once.
void shared_inline_queue(const RuntimeTarget& target) {
  Session s(target);
  if (!s.is_inline()) throw NotOffered("the host serialises the calls on an asynchronous queue");
  Queue queue(s);
  share_kernels(s, target.seed, 4, [&](std::size_t) -> Queue& { return queue; });
}

const std::vector<ParallelStyle>& styles() {
  static const std::vector<ParallelStyle> all = {
      {1, true, false, false}, {2, true, false, false}, {3, false, false, false}, {3, true, true, false},
      {7, false, true, false}, {7, true, false, true},  {2, false, true, true},   {16, false, false, true}};
  return all;
}

std::string style_text(const ParallelStyle& style) {
  return text("parallel_for in %u %s pieces%s%s", style.pieces, style.even ? "equal" : "unequal",
              style.reversed ? ", the last first" : "", style.threads ? ", on threads" : "");
}

// The results do not depend on how the host splits and orders parallel loops.
void pieces(const RuntimeTarget& target, std::uint32_t mode, const std::vector<KernelSample>& samples, bool sums_too) {
  Session s(target);
  if (!s.offers(mode)) throw NotOffered("the device does not offer this math mode");
  Queue queue(s);
  for (const KernelSample& sample : samples) {
    if (sample.sums_floats && !sums_too) continue;
    s.host.set_style({});
    const Kernel kernel(s, sample, mode);
    if (!kernel) continue;
    const std::vector<Bytes> expected = run_sample(s, queue, sample, kernel);
    for (const ParallelStyle& style : styles()) {
      s.host.set_style(style);
      check_results(run_sample(s, queue, sample, kernel), expected, sample.name + " with " + style_text(style));
      const Kernel made_for_it(s, sample, mode);
      check(static_cast<bool>(made_for_it), sample.name + " is refused with " + style_text(style));
      check_results(run_sample(s, queue, sample, made_for_it), expected,
                    sample.name + " prepared and launched with " + style_text(style));
    }
  }
}

// Without sums of floats, because strict mode does not specify their order.
void strict_pieces(const RuntimeTarget& target) {
  std::vector<KernelSample> samples = large_samples(target.seed);
  for (int size : {3, 5}) {
    for (KernelSample& s : kernel_samples(target.seed, size)) {
      // Core samples sum small integers, which is exact in any order; softmax sums exponentials, which is not.
      if (s.core) samples.push_back(std::move(s));
    }
  }
  pieces(target, LKS_MODE_STRICT, samples, false);
}

void lockstep_pieces(const RuntimeTarget& target) {
  std::vector<KernelSample> samples = large_samples(target.seed);
  for (int size : {3, 5}) {
    for (KernelSample& s : kernel_samples(target.seed, size)) samples.push_back(std::move(s));
  }
  pieces(target, LKS_MODE_LOCKSTEP, samples, true);
}

// The same launch, repeated, on threads that start in varying order.
void run_to_run(const RuntimeTarget& target, std::uint32_t mode) {
  Session s(target);
  if (!s.offers(mode)) throw NotOffered("the device does not offer this math mode");
  Queue queue(s);
  for (const KernelSample& sample : large_samples(target.seed)) {
    s.host.set_style({4, true, false, true});
    const Kernel kernel(s, sample, mode);
    if (!kernel || !must_repeat(sample, kernel, mode)) continue;
    const std::vector<Bytes> first = run_sample(s, queue, sample, kernel);
    for (int i = 1; i < 50; ++i) {
      check_results(run_sample(s, queue, sample, kernel), first,
                    sample.name + text(", run %d compared with the first", i + 1));
    }
  }
}

void strict_run_to_run(const RuntimeTarget& target) { run_to_run(target, LKS_MODE_STRICT); }
void fast_run_to_run(const RuntimeTarget& target) { run_to_run(target, LKS_MODE_FAST); }
void lockstep_run_to_run(const RuntimeTarget& target) { run_to_run(target, LKS_MODE_LOCKSTEP); }

// Eight threads wait for one timeline, which an asynchronous queue or another thread advances.
void many_waiters(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const Buffer data(s, 1 << 20);
  Timeline gate(s);
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 50; ++i) values.push_back(queue.fill(data, 0, 1 << 20, static_cast<std::uint64_t>(i)));
  std::thread signals([&] {
    for (std::uint64_t v = 1; v <= 50; ++v) gate.signal(v);
  });
  std::string failure;
  try {
    on_threads([&](std::size_t t) {
      for (std::size_t i = t; i < values.size(); ++i) {
        wait_for(s, queue.timeline(), values[i]);
        wait_for(s, gate.handle(), i + 1);
      }
    });
  } catch (const CheckFailed& e) {
    failure = e.what();
  }
  signals.join();
  check(failure.empty(), failure);
}

}  // namespace

std::vector<RuntimeCase> thread_cases() {
  return {
      {"threads", "one_device", "eight threads query, prepare, allocate and launch on one device", &one_device},
      {"threads", "shared_kernel", "one kernel serves eight queues at once", &shared_kernel},
      {"threads", "shared_inline_queue", "eight threads share one inline queue", &shared_inline_queue},
      {"threads", "asks_without_locks", "a driver holds no lock while it asks the host", &asks_without_locks},
      {"threads", "many_waiters", "eight threads wait for the same timelines", &many_waiters},
      {"threads", "strict_pieces", "results do not depend on how the host cuts parallel work, but for sums of floats",
       &strict_pieces},
      {"threads", "lockstep_pieces", "in lockstep mode no result depends on how the host cuts parallel work",
       &lockstep_pieces},
      {"threads", "strict_run_to_run", "in strict mode fifty runs give the same bits", &strict_run_to_run},
      {"threads", "fast_run_to_run", "fifty runs give the same bits if a kernel of fast mode claims that",
       &fast_run_to_run},
      {"threads", "lockstep_run_to_run", "in lockstep mode fifty runs give the same bits", &lockstep_run_to_run},
  };
}

}  // namespace lockstep::conformance
