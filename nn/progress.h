// The progress line that fit() shows.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "lockstep/device.h"
#include "lockstep/model.h"

namespace lockstep::nn {

/// A value to show after the bar.
struct Shown {
  std::string name;
  double value = 0;
  double spread = -1;  // standard error; negative: none
};

class Progress {
 public:
  Progress(Verbose verbose, Device device, std::int64_t epoch, std::int64_t epochs, std::int64_t steps);

  /// True if it is time to redraw: at most twenty times a second, and never if nothing is drawn.
  bool due() const;
  void step(std::int64_t examples) {
    ++done_;
    examples_ += examples;
    if (done_ == 1) first_step_ended_ = Clock::now();
  }
  void draw(const std::vector<Shown>& values);
  /// Prints the final line of the epoch.
  void finish(const std::vector<Shown>& values);
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(const std::vector<Shown>& values, bool final) const;
  double seconds_per_step() const;

  Verbose verbose_;
  bool redraws_;
  Device device_;
  std::int64_t epoch_, epochs_, steps_, done_ = 0, examples_ = 0;
  Clock::time_point started_, first_step_ended_, drawn_;
  std::size_t drawn_width_ = 0;
};

}  // namespace lockstep::nn
