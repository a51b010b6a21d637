// The cost of lockstep mode: the same work in lockstep mode and in strict mode, alternating, on the same device.
#include "bench/workload.h"

namespace bench {
namespace {

namespace ls = lockstep;

Workload against_strict_mode(Workload w) {
  w.mode = ls::MathMode::lockstep;
  w.peer = [prepare = w.prepare](ls::Device device) {
    const ls::MathModeScope strict(ls::MathMode::strict);
    const Work work = prepare(device);
    const auto in_strict_mode = [call = work.call] {
      const ls::MathModeScope mode(ls::MathMode::strict);
      call();
    };
    return std::optional(Peer{"strict mode", {in_strict_mode, work.finish}});
  };
  return w;
}

}  // namespace

std::vector<Workload> lockstep_workloads(bool for_gpus) {
  std::vector<Workload> all;
  for (Workload& w : op_workloads(for_gpus)) all.push_back(against_strict_mode(std::move(w)));
  for (Workload& w : model_workloads()) all.push_back(against_strict_mode(std::move(w)));
  return all;
}

}  // namespace bench
