// Workloads: what is measured, in which unit, and what it is compared with.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "bench/measure.h"
#include "bench/row.h"
#include "lockstep/lockstep.h"

namespace bench {

/// A limit or library to compare a workload with, in the same process. Empty if there is none.
struct Peer {
  std::string name;
  Work work;
  double amount = 0;  // work of one call, in the workload's unit; 0: the same as the workload's
};

/// One thing to measure. `prepare` creates the data on the device, inside the scopes of device and mode, and returns
/// the work.
struct Workload {
  std::string group, name;
  std::string unit;   // "ns", "us", "ms": time per `amount`; else amount per second: "GFLOP/s", "GB/s", "images/s" …
  double amount = 1;  // work of one call: operations, bytes or images
  std::function<Work(lockstep::Device)> prepare;
  std::function<std::optional<Peer>(lockstep::Device)> peer = nullptr;
  bool for_gpus_only = false;                             // takes minutes on other devices
  std::optional<lockstep::MathMode> mode = std::nullopt;  // runs only in this mode, whichever modes are requested
};

std::vector<Workload> overhead_workloads();
/// `for_gpus`: adds sizes that are large enough for a GPU.
std::vector<Workload> op_workloads(bool for_gpus);
std::vector<Workload> model_workloads();
/// The ops and models in lockstep mode, each compared with itself in strict mode.
std::vector<Workload> lockstep_workloads(bool for_gpus);

/// Copies between two blocks of 64 MiB with non-temporal stores, on all threads; `amount` is the number of bytes read
/// and written.
Peer non_temporal_copy();

/// Calls oneDNN directly; empty if this build does not include it.
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

/// Waits until the device has finished all enqueued work. Used inside a call to measure latency.
inline void finish(lockstep::Device device) { lockstep::synchronize(device); }

/// Work whose calls may be in flight together, as in a program that reads its results only at the end.
template <class F>
Work throughput_of(lockstep::Device device, F call) {
  return {std::move(call), [device] { finish(device); }};
}

}  // namespace bench
