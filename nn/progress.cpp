#include "nn/progress.h"

#include <unistd.h>

#include <cstdio>

#include "lockstep/memory.h"

namespace lockstep::nn {
namespace {

constexpr int bar_width = 20;
constexpr double redraw_seconds = 0.05;

std::string formatted(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string metric_text(double value) {
  const double magnitude = value < 0 ? -value : value;
  return formatted(magnitude != 0 && magnitude < 1e-3 ? "%.3e" : "%.4f", value);
}

std::string duration(double seconds) {
  if (seconds < 60) return formatted("%.0fs", seconds);
  if (seconds < 3600) return formatted("%.0fm", seconds / 60);
  return formatted("%.1fh", seconds / 3600);
}

std::string rate(double per_second) {
  return per_second >= 1e4 ? formatted("%.1fk img/s", per_second / 1e3) : formatted("%.0f img/s", per_second);
}

// Number of columns that UTF-8 text takes on a terminal: continuation bytes take none.
std::size_t width_of(const std::string& text) {
  std::size_t width = 0;
  for (unsigned char c : text) width += (c & 0xc0u) != 0x80u;
  return width;
}

}  // namespace

Progress::Progress(Verbose verbose, Device device, std::int64_t epoch, std::int64_t epochs, std::int64_t steps)
    : verbose_(verbose),
      redraws_(verbose == Verbose::bar && isatty(STDERR_FILENO)),
      device_(device),
      epoch_(epoch),
      epochs_(epochs),
      steps_(steps),
      started_(Clock::now()),
      first_step_ended_(started_),
      drawn_(started_) {}

bool Progress::due() const {
  return redraws_ && std::chrono::duration<double>(Clock::now() - drawn_).count() >= redraw_seconds;
}

double Progress::seconds() const { return std::chrono::duration<double>(Clock::now() - started_).count(); }

// Ignores the first step, because it prepares kernels.
double Progress::seconds_per_step() const {
  if (done_ <= 1) return seconds();
  return std::chrono::duration<double>(Clock::now() - first_step_ended_).count() / static_cast<double>(done_ - 1);
}

std::string Progress::line(const std::vector<Shown>& values, bool final) const {
  std::string text = "Epoch " + std::to_string(epoch_) + "/" + std::to_string(epochs_) + "  ";
  const std::int64_t filled = steps_ ? bar_width * done_ / steps_ : bar_width;
  for (std::int64_t i = 0; i < bar_width; ++i) text += i < filled ? "━" : "─";
  const double per_step = seconds_per_step();
  text += "  " + std::to_string(done_) + "/" + std::to_string(steps_);
  text += final ? "  " + duration(seconds()) : "  ETA " + duration(per_step * static_cast<double>(steps_ - done_));
  text += "  " + formatted(per_step < 0.1 ? "%.1f ms/step" : "%.0f ms/step", per_step * 1e3);
  if (per_step > 0 && done_ > 0)
    text += "  " + rate(static_cast<double>(examples_) / static_cast<double>(done_) / per_step);
  const MemoryStats memory = memory_stats(device_);
  text += "  " + format_bytes(memory.peak_live);
  if (memory.limit) text += "/" + format_bytes(*memory.limit);
  for (const Shown& v : values) {
    text += "  " + v.name + " " + metric_text(v.value);
    if (v.spread >= 0) text += " ±" + formatted("%.2g", v.spread);
  }
  return text;
}

void Progress::draw(const std::vector<Shown>& values) {
  const std::string text = line(values, false);
  const std::size_t width = width_of(text);
  std::fprintf(stderr, "\r%s%*s", text.c_str(), static_cast<int>(drawn_width_ > width ? drawn_width_ - width : 0), "");
  std::fflush(stderr);
  drawn_width_ = width;
  drawn_ = Clock::now();
}

void Progress::finish(const std::vector<Shown>& values) {
  if (verbose_ == Verbose::silent) return;
  if (redraws_) {
    draw(values);
    std::fprintf(stderr, "\r%s\n", line(values, true).c_str());
  } else {
    std::fprintf(stderr, "%s\n", line(values, true).c_str());
  }
}

}  // namespace lockstep::nn
