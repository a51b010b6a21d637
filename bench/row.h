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
  double ratio = 1;  // speed of this row divided by the speed of `of`: above 1, this row is faster
  std::string of;
};

struct Options {
  std::vector<std::string> suites;
  std::vector<lockstep::Device> devices;  // the others are compared with the first
  std::vector<lockstep::MathMode> modes;
  std::string filter;  // a part of "group/workload"; empty selects all
};

/// Runs the suites and calls `done` for each row when it is measured.
void run(const Options& options, const std::function<void(const Row&)>& done);

}  // namespace bench
