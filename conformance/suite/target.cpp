#include "conformance/suite/target.h"

#include <algorithm>

#include "conformance/bounds.h"
#include "lockstep/error.h"
#include "lockstep/parallel.h"
#include "runtime/driver_registry.h"

namespace lockstep::conformance {
namespace {

// Changes whenever the same seed gives other cases or other verdicts.
constexpr const char* suite_version = "1";

Device device_of_library(const std::string& path) {
  const DriverRecord record = load_driver(path);
  if (!record.ready) {
    ErrorBuilder(ErrorId::bad_arguments, "--driver", path + " is not a driver that can be used: " + record.text)
        .line("stage", record.stage)
        .fix("give the path of a driver library; `lockstep devices --why` explains the stages")
        .raise();
  }
  return Device(record.name + ":0");
}

}  // namespace

bool Target::offers(MathMode mode) const { return std::find(modes.begin(), modes.end(), mode) != modes.end(); }

Target open_target(const Options& o) {
  const Device device = o.driver.empty() ? Device(o.device) : device_of_library(o.driver);
  device.state();  // throws if the device cannot be opened
  const DeviceEntry& entry = device.entry();
  return {device, Device("reference"), entry.driver.record.path, entry.ordinal, describe(device).modes};
}

RunInfo describe_run(const Options& o, const Target& target) {
  const DeviceEntry& entry = target.device.entry();
  const DeviceInfo device = describe(target.device);
  const lks_driver_api& api = *entry.driver.api;
  RunInfo run;
  run.driver = api.name;
  run.driver_vendor = api.vendor ? api.vendor : "";
  run.driver_version = api.version ? api.version : "";
  run.build_id = api.build_id ? api.build_id : "";
  run.library = target.library;
  run.driver_option = o.driver;
  run.device = device.id;
  run.device_name = device.name;
  run.device_version = device.version;
  run.device_type = device.type;
  run.device_uuid = device.uuid;
  run.abi_major = api.abi_major;
  run.abi_minor = api.abi_minor;
  run.profile = o.profile.empty() ? "default" : o.profile;
  for (MathMode mode : device.modes) run.modes.emplace_back(name_of(mode));
  run.seed = o.seed;
  if (o.shards > 1) run.shard = std::to_string(o.shard) + "/" + std::to_string(o.shards);
  run.op_filter = o.op;
  run.dtype_filter = o.dtype;
  run.mode_filter = o.mode;
  run.suite_filter = o.suite;
  run.case_filter = o.only_case;
  run.lockstep_version = LOCKSTEP_VERSION;
  run.suite_version = suite_version;
  run.threads = thread_count();
  run.bounds_file = o.bounds;
  return run;
}

}  // namespace lockstep::conformance
