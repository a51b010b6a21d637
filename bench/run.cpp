#include <algorithm>
#include <cmath>

#include "bench/workload.h"

namespace bench {
namespace {

namespace ls = lockstep;

bool is_time(const std::string& unit) { return unit == "ns" || unit == "us" || unit == "ms" || unit == "s"; }

double in_unit(const std::string& unit, double seconds, double amount) {
  if (unit == "ns") return seconds * 1e9 / amount;
  if (unit == "us") return seconds * 1e6 / amount;
  if (unit == "ms") return seconds * 1e3 / amount;
  if (unit == "GFLOP/s" || unit == "GB/s") return amount / seconds * 1e-9;
  return amount / seconds;
}

Row row_for(const Workload& w, const std::string& device, ls::MathMode mode, const Timing& t) {
  Row row{w.group, w.name, device, std::string(ls::name_of(mode)), w.unit};
  row.median = in_unit(w.unit, t.median, w.amount);
  row.min = in_unit(w.unit, is_time(w.unit) ? t.min : t.max, w.amount);
  row.max = in_unit(w.unit, is_time(w.unit) ? t.max : t.min, w.amount);
  return row;
}

std::vector<Workload> workloads_of(const std::string& suite, bool for_gpus) {
  if (suite == "overhead") return overhead_workloads();
  if (suite == "ops") return op_workloads(for_gpus);
  if (suite == "models") return model_workloads();
  if (suite == "lockstep") return lockstep_workloads(for_gpus);
  ls::ErrorBuilder(ls::ErrorId::bad_arguments, "--suite", "there is no suite \"" + suite + "\"")
      .fix("use overhead, ops, models or lockstep")
      .raise();
}

struct Measured {
  Row row;
  double seconds = 0;
};

Measured measure_on(const Workload& w, ls::Device device, ls::MathMode mode) {
  const ls::DeviceScope device_scope(device);
  const ls::MathModeScope mode_scope(mode);
  const Work work = w.prepare(device);
  const std::optional<Peer> peer = w.peer ? w.peer(device) : std::nullopt;
  if (!peer) {
    const Timing t = measure(work);
    return {row_for(w, device.name(), mode, t), t.median};
  }
  const Pair pair = measure_pair(work, peer->work);
  Measured m{row_for(w, device.name(), mode, pair.a), pair.a.median};
  m.row.ratio = pair.speed_ratio * (peer->amount > 0 ? w.amount / peer->amount : 1);
  m.row.of = peer->name;
  return m;
}

}  // namespace

namespace {

std::vector<Workload> chosen_workloads(const Options& options) {
  const bool for_gpus = std::any_of(options.devices.begin(), options.devices.end(), is_gpu);
  std::vector<Workload> chosen;
  for (const std::string& suite : options.suites) {
    for (Workload& w : workloads_of(suite, for_gpus)) {
      if ((w.group + "/" + w.name).find(options.filter) != std::string::npos) chosen.push_back(std::move(w));
    }
  }
  if (!chosen.empty()) return chosen;
  ls::ErrorBuilder(ls::ErrorId::bad_arguments, "--filter",
                   "no workload's group/name contains \"" + options.filter + "\"")
      .fix("run the suite without a filter to see the names")
      .raise();
}

}  // namespace

void run(const Options& options, const std::function<void(const Row&)>& done) {
  for (const Workload& w : chosen_workloads(options)) {
    for (ls::MathMode mode : w.mode ? std::vector{*w.mode} : options.modes) {
      double first = 0;
      for (std::size_t d = 0; d < options.devices.size(); ++d) {
        if (w.for_gpus_only && !is_gpu(options.devices[d])) continue;
        Measured m = measure_on(w, options.devices[d], mode);
        if (first == 0) first = m.seconds;
        // Every device but the first is compared with the first device. The first device is compared with a limit or a
        // library if the workload has one. A workload with its own math mode is compared with another mode on every
        // device.
        if ((d > 0 && !w.mode) || m.row.of.empty()) {
          m.row.ratio = first / m.seconds;
          m.row.of = options.devices[0].name();
        }
        done(m.row);
      }
    }
  }
}

}  // namespace bench
