#include "conformance/runtime/runtime_device.h"

#include <filesystem>

namespace lockstep::conformance {
namespace {

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || (std::filesystem::equivalent(a, b, error) && !error);
}

}  // namespace

Device runtime_device(const RuntimeTarget& target) {
  DriverRecord found;
  for (const DriverRecord& record : driver_records()) {
    if (record.ready && same_file(record.path, target.library)) found = record;
  }
  if (!found.ready) found = load_driver(target.library);
  if (!found.ready) throw CheckFailed("the runtime does not take the driver: " + found.stage + ": " + found.text);
  return Device(found.name + ":" + std::to_string(target.ordinal));
}

}  // namespace lockstep::conformance
