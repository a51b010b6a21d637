// Transfer queues beside compute queues.
#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

// Batches stream through two sets of buffers: while one is computed, the next goes there and the last one comes back.
void beside_launches(const RuntimeTarget& target) {
  Session s(target);
  constexpr std::int64_t n = 100'003;
  constexpr std::size_t batches = 12;
  const KernelSample sample = multiply_add_sample(n);
  const Kernel kernel(s, sample);
  check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
  struct Set {
    Buffer a, b, out;
  };
  Set sets[] = {{Buffer(s, 4 * n), Buffer(s, 4 * n), Buffer(s, 4 * n)},
                {Buffer(s, 4 * n), Buffer(s, 4 * n), Buffer(s, 4 * n)}};
  std::vector<Bytes> inputs, results(batches, Bytes(4 * n, 0xee));
  for (std::size_t i = 0; i < batches; ++i) inputs.push_back(Dice(target.seed + i).bytes(4 * n));
  Queue compute(s), transfer(s, LKS_QUEUE_TRANSFER);
  // A set is written again behind the reading of its result, on the same queue.
  for (std::size_t i = 0; i < batches; ++i) {
    const Set& set = sets[i % 2];
    transfer.write(set.a, 0, inputs[i].data(), 4 * n);
    const u64 there = transfer.write(set.b, 0, inputs[(i + 1) % batches].data(), 4 * n);
    compute.wait_on(transfer.timeline(), there);
    Launch launch(kernel, sample, {{&set.a, 0}, {&set.b, 0}, {&set.out, 0}});
    const u64 computed = launch_once(compute, launch);
    transfer.wait_on(compute.timeline(), computed);
    transfer.read(results[i].data(), set.out, 0, 4 * n);
  }
  transfer.finish();
  compute.finish();
  for (std::size_t i = 0; i < batches; ++i) {
    check_same_bytes(results[i], multiply_add(inputs[i], inputs[(i + 1) % batches]), text("batch %zu of a stream", i));
  }
}

void launch(const RuntimeTarget& target) {
  Session s(target);
  const KernelSample sample = multiply_add_sample(1000);
  const Kernel kernel(s, sample);
  check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
  Queue transfer(s, LKS_QUEUE_TRANSFER);
  const Buffer a(s, 4000), b(s, 4000), out(s, 4000);
  transfer.upload(a, sample.values[0]);
  transfer.upload(b, sample.values[1]);
  transfer.fill(out, 0, 4000, 0xee);
  Launch launch(kernel, sample, {{&a, 0}, {&b, 0}, {&out, 0}});
  Bytes expected = multiply_add(sample.values[0], sample.values[1]);
  try {
    launch_once(transfer, launch);
  } catch (const DriverFailure& e) {
    check(e.status == LKS_UNSUPPORTED, std::string("a launch on a transfer queue: ") + e.what());
    expected = Bytes(4000, 0xee);
  }
  transfer.finish();
  check_same_bytes(transfer.download(out), expected, "the output of a launch on a transfer queue");
}

}  // namespace

std::vector<RuntimeCase> transfer_cases() {
  return {
      {"queue", "transfer_beside_launches", "batches go to the device and come back while kernels work on others",
       &beside_launches},
      {"queue", "transfer_launch", "a transfer queue runs a launch or refuses it, and goes on", &launch},
  };
}

}  // namespace lockstep::conformance
