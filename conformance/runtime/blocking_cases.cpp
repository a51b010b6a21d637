// Calls that must not block: all but those that driver.h lists under "Blocking".
#include <atomic>
#include <chrono>
#include <deque>
#include <future>
#include <optional>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

constexpr u64 large = 8 << 20;
constexpr std::int64_t elements = 1000;
constexpr int transfers = 9;  // 72 MiB; 64 MiB are a common size of staging memory
constexpr u64 fills = 1100;   // the queues of some vendors' libraries hold 1,024 commands

// A launch of any kernel, with its memory, and what it computes.
class HeldLaunch {
 public:
  HeldLaunch(Session& s, Queue& queue, const KernelSample& sample)
      : sample_(sample), what_("queue_launch of " + sample.name), kernel_(s, sample_) {
    if (!kernel_) return;
    expected_ = run_sample(s, queue, sample_, kernel_);
    buffers_.reserve(sample_.inputs.size() + sample_.outputs.size() + 1);
    std::vector<TensorLocation> locations;
    for (std::size_t i = 0; i < sample_.inputs.size(); ++i) {
      if (sample_.inputs[i].absent) {
        locations.push_back({});
        continue;
      }
      buffers_.emplace_back(s, sample_.inputs[i].span());
      queue.upload(buffers_.back(), sample_.values[i]);
      locations.push_back({&buffers_.back(), 0});
    }
    for (const Operand& output : sample_.outputs) {
      buffers_.emplace_back(s, output.span());
      queue.fill(buffers_.back(), 0, output.span(), 0xff);  // as run_sample does, for the gaps between elements
      locations.push_back({&buffers_.back(), 0});
    }
    queue.finish();
    outputs_.assign(locations.end() - static_cast<std::ptrdiff_t>(sample_.outputs.size()), locations.end());
    const u64 workspace = kernel_.info().workspace_bytes;
    if (workspace > 0) buffers_.emplace_back(s, workspace);
    launch_.emplace(kernel_, sample_, locations, workspace > 0 ? &buffers_.back() : nullptr);
  }

  const char* what() const { return what_.c_str(); }
  void enqueue(Queue& queue) {
    if (launch_) launch_once(queue, *launch_);
  }
  void check_result(Queue& queue) const {
    for (std::size_t o = 0; o < expected_.size(); ++o) {
      check_same_bytes(queue.download(*outputs_[o].buffer), expected_[o], what_ + " behind a wait: its output");
    }
  }

 private:
  const KernelSample sample_;
  const std::string what_;
  const Kernel kernel_;
  std::vector<Bytes> expected_;
  std::vector<Buffer> buffers_;
  std::vector<TensorLocation> outputs_;
  std::optional<Launch> launch_;
};

// The calls that are made while a queue is held back, and the memory of its commands. It outlives that queue.
class HeldCalls {
 public:
  HeldCalls(Session& s, u64 seed) : session_(s), written_(TestRandom(seed).bytes(large)) {
    check(kernel_ && *unused_kernel_, "a pointwise program on i32 is refused");
    Queue queue(s);
    queue.upload(a_, sample_.values[0]);
    queue.upload(b_, sample_.values[1]);
    for (const KernelSample& sample : kernel_samples(seed, 1)) launches_.emplace_back(s, queue, sample);
  }

  void make(Queue& held, const Timeline& gate) {
    enqueue(held, gate);
    use_timelines(held);
    use_memory();
    use_kernels();
    ask();
    newest_call_ = "queue_create";
    other_queue_.emplace(session_);
  }
  const char* newest_call() const { return newest_call_; }

  void check_results(Queue& queue) {
    check_same_bytes(read_, written_, "8 MiB that were written, copied and read behind a wait");
    check_same_bytes(queue.download(out_), multiply_add(sample_.values[0], sample_.values[1]),
                     "the output of a kernel that was launched behind a wait");
    Bytes expected(fills);
    for (u64 i = 0; i < fills; ++i) expected[i] = static_cast<unsigned char>(i);
    check_same_bytes(queue.download(filled_), expected, "1,100 bytes, each filled by a command behind a wait");
    for (const HeldLaunch& launch : launches_) launch.check_result(queue);
  }
  const Buffer& some_memory() const { return filled_; }

 private:
  void enqueue(Queue& held, const Timeline& gate) {
    newest_call_ = "queue_wait";
    held.wait_on(gate.handle(), 1);
    newest_call_ = "queue_write";
    for (int i = 0; i < transfers; ++i) held.write(data_, 0, written_.data(), large);
    newest_call_ = "queue_copy";
    held.copy(copied_, 0, data_, 0, large);
    newest_call_ = "queue_read";
    for (int i = 0; i < transfers; ++i) held.read(read_.data(), copied_, 0, large);
    newest_call_ = "queue_launch";
    Launch launch(kernel_, sample_, {{&a_, 0}, {&b_, 0}, {&out_, 0}});
    launch_once(held, launch);
    for (HeldLaunch& other : launches_) {
      newest_call_ = other.what();
      other.enqueue(held);
    }
    newest_call_ = "queue_fill";
    for (u64 i = 0; i < fills; ++i) held.fill(filled_, i, 1, i);
    newest_call_ = "queue_flush";
    held.flush();
  }

  void use_timelines(Queue& held) {
    newest_call_ = "timeline_query";
    query(session_, held.timeline());
    newest_call_ = "timeline_create, timeline_signal or timeline_destroy";
    Timeline(session_).signal(1);
  }

  void use_memory() {
    newest_call_ = "buffer_alloc";
    std::optional<Buffer> other(std::in_place, session_, large);
    if (session_.is_host_visible()) {
      newest_call_ = "buffer_map or buffer_unmap";
      const Mapping mapping(session_, *other, 0, large);
    }
    newest_call_ = "buffer_free";
    other.reset();
    newest_call_ = "device_memory";
    u64 total = 0, free = 0;
    Call call("device_memory");
    const Session& s = session_;
    call.ok(s.api.device_memory(s.driver, s.ordinal, s.device, 0, &total, &free, call.diag()));
  }

  // kernel_prepare may block, so the kernel that is released here was prepared before.
  void use_kernels() {
    newest_call_ = "kernel_query";
    Description description(sample_, LKS_MODE_STRICT, session_.info.min_alignment);
    query(session_, description);
    newest_call_ = "kernel_release";
    unused_kernel_.reset();
  }

  void ask() {
    const Session& s = session_;
    newest_call_ = "device_health";
    Call health("device_health");
    health.ok(s.api.device_health(s.device, health.diag()));
    newest_call_ = "device_describe";
    describe(s.api, s.driver, s.ordinal);
    newest_call_ = "kernel_variant";
    s.api.kernel_variant(s.driver, LKS_OP_POINTWISE, 0);
  }

  Session& session_;
  const KernelSample sample_ = multiply_add_sample(elements);
  const Kernel kernel_{session_, sample_};
  std::optional<Kernel> unused_kernel_{std::in_place, session_, sample_};
  const Bytes written_;
  Bytes read_ = Bytes(large, 0xee);
  const Buffer data_{session_, large}, copied_{session_, large}, filled_{session_, fills};
  const Buffer a_{session_, 4 * elements}, b_{session_, 4 * elements}, out_{session_, 4 * elements};
  std::deque<HeldLaunch> launches_;
  std::optional<Queue> other_queue_;
  std::atomic<const char*> newest_call_ = "";
};

// A queue waits for a timeline that only this thread signals. Another thread must get through its calls before that. If
// it does not within 8 s, the signal ends the call that blocks.
void nothing_blocks(const RuntimeTarget& target) {
  Session s(target);
  if (s.is_inline()) throw NotOffered("an inline queue waits in the call, so nothing can be queued behind it");
  HeldCalls calls(s, target.seed);
  Timeline gate(s);
  Queue queue(s);
  std::future<void> made = std::async(std::launch::async, [&] { calls.make(queue, gate); });
  const bool in_time = made.wait_for(std::chrono::seconds(8)) == std::future_status::ready;
  const char* const blocked = calls.newest_call();
  try {
    gate.signal(1);
    made.get();
    queue.finish();
  } catch (...) {
    queue.drain(calls.some_memory());
    throw;
  }
  check(in_time, std::string(blocked) + " did not return within 8 s, while a queue waited for a timeline");
  calls.check_results(queue);
}

}  // namespace

std::vector<RuntimeCase> blocking_cases() {
  return {
      {"queue", "nothing_blocks", "while a queue is held back, only calls that may block do", &nothing_blocks},
  };
}

}  // namespace lockstep::conformance
