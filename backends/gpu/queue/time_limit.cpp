#include "backends/gpu/queue/time_limit.h"

#include <charconv>
#include <string>

#include "backends/common/option.h"
#include "backends/gpu/failure.h"

namespace gpu {

TimeLimit TimeLimit::from(const lks_host_api& host, const char* option) {
  const std::string text = common::option(host, option);
  if (text.empty()) return {option};
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size() || !(seconds >= 1e-6 && seconds < 1e9)) {
    raise(LKS_INVALID_ARGUMENT, DRIVER_WHERE, "%s=\"%.40s\" is not a number of seconds from 1e-6 on", option,
          text.c_str());
  }
  return {option, static_cast<std::uint64_t>(seconds * 1e9)};
}

lks_diag TimeLimit::exceeded(unsigned commands) const {
  lks_diag diag = common::empty_diag();
  common::fail(&diag, LKS_DEVICE_LOST, DRIVER_WHERE,
               "the device has not finished %u commands within %g s, the limit of %s", commands,
               static_cast<double>(ns) * 1e-9, option);
  std::snprintf(diag.hint, sizeof diag.hint, "raise %s or give the device less at once, and restart the program",
                option);
  return diag;
}

}  // namespace gpu
