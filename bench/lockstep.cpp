// What lockstep mode costs: the same work in lockstep and in strict mode, in turn, on the same device.
#include "bench/workload.h"

namespace bench {
namespace {

namespace ls = lockstep;

Workload against_strict_mode(Workload w) {
  w.mode = ls::MathMode::lockstep;
  w.peer = [prepare = w.prepare](ls::Device device) {
    const ls::MathModeScope strict(ls::MathMode::strict);
    return std::optional(Peer{"strict mode", [work = prepare(device)] {
                                const ls::MathModeScope mode(ls::MathMode::strict);
                                work();
                              }});
  };
  return w;
}

}  // namespace

std::vector<Workload> lockstep_workloads() {
  std::vector<Workload> all;
  for (Workload& w : op_workloads()) all.push_back(against_strict_mode(std::move(w)));
  for (Workload& w : model_workloads()) all.push_back(against_strict_mode(std::move(w)));
  return all;
}

}  // namespace bench
