// One result of a benchmark.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lockstep/device.h"

namespace bench {

struct Row {
  std::string group, workload, device, mode, unit;
  double median = 0, min = 0, max = 0;
  double ratio = 1;  // of this row's speed to that of `of`: above 1 is faster
  std::string of;
};

struct Options {
  std::vector<std::string> suites;
  std::vector<lockstep::Device> devices;  // the first is what the others are compared with
  std::vector<lockstep::MathMode> modes;
  std::string filter;  // part of "group/workload"; empty: all
};

/// Runs the suites; calls `done` for each row as it is ready.
void run(const Options& options, const std::function<void(const Row&)>& done);

}  // namespace bench
