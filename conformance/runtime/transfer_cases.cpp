// Transfer queues that run concurrently with compute queues.
#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

// Streams batches through two sets of buffers: while one is computed, the next is written and the previous one read.
class Stream {
 public:
  Stream(Session& s, u64 seed)
      : session_(s),
        sample_(multiply_add_sample(n)),
        kernel_(s, sample_),
        compute_(s),
        transfer_(s, LKS_QUEUE_TRANSFER) {
    check(static_cast<bool>(kernel_), "a pointwise program on i32 is refused");
    for (u64 i = 0; i <= batches; ++i) inputs_.push_back(TestRandom(seed + i).bytes(bytes));
  }

  void run() {
    try {
      write(0);
      for (std::size_t i = 0; i < batches; ++i) {
        compute(i);
        if (i + 1 < batches) write(i + 1);  // while batch i is computed
        read(i);
      }
      transfer_.finish();
      compute_.finish();
    } catch (...) {
      transfer_.drain(sets_[0].a);
      compute_.drain(sets_[0].a);
      throw;
    }
    for (std::size_t i = 0; i < batches; ++i) {
      check_same_bytes(results_[i], multiply_add(inputs_[i], inputs_[i + 1]), text("batch %zu of a stream", i));
    }
  }

 private:
  static constexpr std::int64_t n = 100'003;
  static constexpr u64 bytes = 4 * n;
  static constexpr std::size_t batches = 12;
  struct Set {
    Buffer a, b, out;
  };

  // Batch i - 2, which used the same buffers, is done: this queue has already waited for it to read its result.
  void write(std::size_t i) {
    const Set& set = sets_[i % 2];
    transfer_.write(set.a, 0, inputs_[i].data(), bytes);
    written_ = transfer_.write(set.b, 0, inputs_[i + 1].data(), bytes);
  }
  void compute(std::size_t i) {
    const Set& set = sets_[i % 2];
    compute_.wait_on(transfer_.timeline(), written_);
    Launch launch(kernel_, sample_, {{&set.a, 0}, {&set.b, 0}, {&set.out, 0}});
    computed_ = launch_once(compute_, launch);
  }
  void read(std::size_t i) {
    transfer_.wait_on(compute_.timeline(), computed_);
    transfer_.read(results_[i].data(), sets_[i % 2].out, 0, bytes);
  }

  Session& session_;
  const KernelSample sample_;
  const Kernel kernel_;
  std::vector<Bytes> inputs_, results_{batches, Bytes(bytes, 0xee)};
  const Set sets_[2] = {{Buffer(session_, bytes), Buffer(session_, bytes), Buffer(session_, bytes)},
                        {Buffer(session_, bytes), Buffer(session_, bytes), Buffer(session_, bytes)}};
  u64 written_ = 0, computed_ = 0;
  Queue compute_, transfer_;  // destroyed before the memory that their commands use
};

void beside_launches(const RuntimeTarget& target) {
  Session s(target);
  Stream(s, target.seed).run();
}

void launch(const RuntimeTarget& target) {
  Session s(target);
  const KernelSample sample = multiply_add_sample(1000);
  const Kernel kernel(s, sample);
  check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
  const Buffer a(s, 4000), b(s, 4000), out(s, 4000);
  Queue transfer(s, LKS_QUEUE_TRANSFER);
  transfer.upload(a, sample.values[0]);
  transfer.upload(b, sample.values[1]);
  transfer.fill(out, 0, 4000, 0xee);
  Launch launch(kernel, sample, {{&a, 0}, {&b, 0}, {&out, 0}});
  Bytes expected = multiply_add(sample.values[0], sample.values[1]);
  try {
    launch_once(transfer, launch);
  } catch (const DriverFailure& e) {
    check(e.status == LKS_UNSUPPORTED && e.diag.reason != LKS_REASON_NONE,
          "a launch on a transfer queue, refused for " + reason_name(e.diag.reason) + ": " + e.what());
    expected = Bytes(4000, 0xee);
  }
  transfer.finish();
  check_same_bytes(transfer.download(out), expected, "the output of a launch on a transfer queue");
}

// The bytes of a write change when the call has returned, before the command can run.
template <std::uint32_t kind>
void copied_writes(const RuntimeTarget& target) {
  Session s(target);
  if (!(s.info.capabilities & LKS_CAP_COPIES_WRITES))
    throw NotOffered("the driver does not say that writes are copied");
  TestRandom random(target.seed);
  for (const u64 size : {u64{1}, u64{100}, u64{70'001}, (u64{5} << 20) + 3}) {
    const Buffer to(s, size);
    const Bytes expected = random.bytes(size);
    Bytes given = expected;
    Timeline start(s);
    Queue queue(s, kind);
    if (!s.is_inline()) queue.wait_on(start.handle(), 1);  // an inline queue would wait in the call
    queue.write(to, 0, given.data(), size);
    std::fill(given.begin(), given.end(), static_cast<unsigned char>(0x5c));
    start.signal(1);
    queue.finish();
    const std::string what = text("%llu bytes that changed after queue_write", static_cast<unsigned long long>(size));
    check_same_bytes(queue.download(to), expected, what);
  }
}

}  // namespace

std::vector<RuntimeCase> transfer_cases() {
  return {
      {"queue", "transfer_beside_launches", "batches go to the device and come back while kernels work on others",
       &beside_launches},
      {"copy", "copied_writes", "LKS_CAP_COPIES_WRITES is true: bytes may change when queue_write has returned",
       &copied_writes<LKS_QUEUE_COMPUTE>},
      {"copy", "transfer_copied_writes", "the same on a transfer queue", &copied_writes<LKS_QUEUE_TRANSFER>},
      {"queue", "transfer_launch", "a transfer queue runs a launch or refuses it, and goes on", &launch},
  };
}

}  // namespace lockstep::conformance
