// Workloads: what is measured, on which device, against what.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "bench/measure.h"
#include "bench/row.h"
#include "lockstep/lockstep.h"

namespace bench {

/// What a workload can be compared with in the same process. Empty work: nothing of the kind is here.
struct Peer {
  std::string name;
  Work work;
  double amount = 0;  // of the workload's unit of work in one call; 0: as much as the workload's
};

/// One thing to measure. `prepare` makes its data on the device, in the scope of device and mode, and returns the work.
struct Workload {
  std::string group, name;
  std::string unit;   // "ns", "us", "ms": time per `amount`; else amount per second: "GFLOP/s", "GB/s", "images/s" …
  double amount = 1;  // calls' worth of work: operations, bytes, images
  std::function<Work(lockstep::Device)> prepare;
  std::function<std::optional<Peer>(lockstep::Device)> peer = nullptr;
  bool for_gpus_only = false;                             // would take minutes elsewhere
  std::optional<lockstep::MathMode> mode = std::nullopt;  // runs in this one alone, whichever are asked for
};

std::vector<Workload> overhead_workloads();
/// `for_gpus`: also sizes that fill one.
std::vector<Workload> op_workloads(bool for_gpus);
std::vector<Workload> model_workloads();
/// The ops and models in lockstep mode, each compared with itself in strict mode.
std::vector<Workload> lockstep_workloads(bool for_gpus);

/// Copies between two blocks of 64 MiB past the caches, on all threads; amount is in bytes read and written.
Peer non_temporal_copy();

/// oneDNN called directly; empty where it is not part of this build.
std::optional<Peer> onednn_matmul(std::int64_t m, std::int64_t k, std::int64_t n);
struct ConvShape {
  std::int64_t batch, channels, size, filters, kernel, stride, padding, groups;
  double flops() const;
  std::int64_t output_size() const { return (size + 2 * padding - kernel) / stride + 1; }
};
enum class ConvPass : std::uint8_t { forward, backward_input, backward_filter };
std::optional<Peer> onednn_conv(const ConvShape& shape, ConvPass pass);

inline bool is_gpu(lockstep::Device device) {
  const std::string type = lockstep::describe(device).type;
  return type == "gpu" || type == "integrated gpu";
}

/// Waits until the device has done what it was given: in a call, where the time until a result is there is asked for.
inline void finish(lockstep::Device device) { lockstep::synchronize(device); }

/// Work of which a device may have several calls at once, as in a program that reads its results at the end.
template <class F>
Work throughput_of(lockstep::Device device, F call) {
  return {std::move(call), [device] { finish(device); }};
}

}  // namespace bench
