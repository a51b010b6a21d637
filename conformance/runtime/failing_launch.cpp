#include "conformance/runtime/failing_launch.h"

#include <cstring>

namespace lockstep::conformance {

BadIndex bad_index(std::uint32_t op, std::int64_t index, std::uint64_t seed) {
  for (KernelSample& s : kernel_samples(seed, 1)) {
    if (s.op != op) continue;
    BadIndex made{s, s.values[1], s.values[1]};
    std::memcpy(made.bad.data() + 4 * sizeof index, &index, sizeof index);
    return made;
  }
  throw CheckFailed("the suite has no sample of that op");
}

IndexMemory::IndexMemory(Session& s, Queue& queue, const KernelSample& sample)
    : x(s, sample.inputs[0].span()), indices(s, sample.inputs[1].span()), out(s, sample.outputs[0].span()) {
  queue.upload(x, sample.values[0]);
  queue.fill(out, 0, out.bytes(), 0xa5);
  queue.finish();
}

FailingLaunch::FailingLaunch(Session& s, Queue& queue, std::uint64_t seed)
    : made_(bad_index(LKS_OP_GATHER, 99, seed)), kernel_(s, made_.sample), memory_(s, queue, made_.sample) {
  check(static_cast<bool>(kernel_), "gather is refused");
  queue.upload(memory_.indices, made_.bad);
}

std::uint64_t FailingLaunch::enqueue(Queue& queue) {
  Launch launch(kernel_, made_.sample, memory_.locations());
  return launch_once(queue, launch);
}

lks_diag launch_and_fail(Session& s, Queue& queue, Launch& launch, std::uint64_t& value) {
  try {
    value = 0;
    value = launch_once(queue, launch);
  } catch (const DriverFailure& e) {
    return e.diag;
  }
  try {
    wait_for(s, queue.timeline(), value);
  } catch (const DriverFailure& e) {
    return e.diag;
  }
  throw CheckFailed("a launch with an index outside its tensor succeeded");
}

}  // namespace lockstep::conformance
