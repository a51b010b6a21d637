// `lockstep devices`: lists the devices, and explains why others are not available. Allocates no device memory.
#include <cstdio>
#include <memory>

#include "lockstep/support.h"
#include "tools/cli/command.h"
#include "tools/cli/json.h"

namespace cli {
namespace {

using lockstep::OpSupport;

struct Options {
  bool why = false, json = false;
};

Json names_of(const std::vector<OpSupport>& support, OpSupport::Kind kind) {
  Json names = Json::array();
  for (const OpSupport& s : support) {
    if (s.kind == kind) names.push_back(s.op->name);
  }
  return names;
}

Json describe(const lockstep::DeviceInfo& device) {
  const std::vector<OpSupport> support = lockstep::op_support(lockstep::Device(device.id));
  Json modes = Json::array();
  for (auto mode : device.modes) modes.push_back(lockstep::name_of(mode));
  return {{"id", device.id},
          {"driver", device.driver},
          {"name", device.name},
          {"type", device.type},
          {"version", device.version},
          {"available", device.available},
          {"reason", device.reason},
          {"memory_total", device.memory_total},
          {"memory_free", device.memory_free ? Json(*device.memory_free) : Json(nullptr)},
          {"uuid", device.uuid},
          {"largest_allocation", device.largest_allocation},
          {"modes", modes},
          {"native", names_of(support, OpSupport::Kind::native)},
          {"decomposed", names_of(support, OpSupport::Kind::decomposed)},
          {"missing", names_of(support, OpSupport::Kind::missing)}};
}

std::string joined(const Json& list) {
  std::string text;
  for (const auto& item : list) text += (text.empty() ? "" : " ") + item.get<std::string>();
  return text;
}

std::string memory_text(const Json& d) {
  const std::string total = lockstep::format_bytes(d["memory_total"]);
  return d["memory_free"].is_null() ? total : lockstep::format_bytes(d["memory_free"]) + " of " + total;
}

void print_table(const Json& devices) {
  std::vector<std::vector<std::string>> rows = {
      {"device", "name", "version", "memory free", "modes", "native", "decomposed", "missing"}};
  for (const Json& d : devices) {
    rows.push_back({d["id"], d["name"], d["version"], memory_text(d), joined(d["modes"]),
                    std::to_string(d["native"].size()), std::to_string(d["decomposed"].size()),
                    std::to_string(d["missing"].size())});
    if (!d["available"]) rows.back()[2] = "unavailable: " + d["reason"].get<std::string>();
  }
  std::fputs(format_table(rows, {false, false, false, false, false, true, true, true}).c_str(), stdout);
}

void print_limits() {
  std::vector<std::vector<std::string>> rows = {{"  device", "type", "largest allocation", "uuid"}};
  for (const lockstep::DeviceInfo& d : lockstep::devices()) {
    rows.push_back({"  " + d.id, d.type, lockstep::format_bytes(d.largest_allocation), d.uuid.empty() ? "-" : d.uuid});
  }
  std::puts("\n limits:");
  std::fputs(format_table(rows, {}).c_str(), stdout);
}

// Prints only the number of ops that compute in f32 because they lack a kernel of their own; their names would fill a
// screen.
void print_half_width() {
  std::puts("\n ops on f16 and bf16:");
  std::vector<std::vector<std::string>> rows = {{"  device", "dtype", "native", "casts and f32", "missing", ""}};
  for (const lockstep::DeviceInfo& device : lockstep::devices()) {
    for (lockstep::DType dtype : {lockstep::f16, lockstep::bf16}) {
      const std::vector<OpSupport> support = lockstep::op_support(lockstep::Device(device.id), dtype);
      const Json missing = names_of(support, OpSupport::Kind::missing);
      rows.push_back({"  " + device.id, std::string(lockstep::name_of(dtype)),
                      std::to_string(names_of(support, OpSupport::Kind::native).size()),
                      std::to_string(names_of(support, OpSupport::Kind::decomposed).size()),
                      std::to_string(missing.size()), joined(missing)});
    }
  }
  std::fputs(format_table(rows, {false, false, true, true, true, false}).c_str(), stdout);
}

void print_why() {
  std::puts("\n searched:");
  for (const std::string& folder : lockstep::driver_search_path()) std::printf("   %s\n", folder.c_str());
  std::puts("\n driver libraries:");
  std::vector<std::vector<std::string>> rows = {{"  library", "driver", "stage", "why"}};
  for (const lockstep::DriverRecord& r : lockstep::driver_records())
    rows.push_back({"  " + r.path, r.name, r.stage, r.text});
  if (rows.size() == 1) rows.push_back({"  none found", "", "", ""});
  std::fputs(format_table(rows, {}).c_str(), stdout);
  std::puts("\n ops that are not native:");
  rows = {{"  device", "op", "how", ""}};
  for (const lockstep::DeviceInfo& device : lockstep::devices()) {
    for (const OpSupport& s : lockstep::op_support(lockstep::Device(device.id))) {
      if (s.kind == OpSupport::Kind::native) continue;
      const bool decomposed = s.kind == OpSupport::Kind::decomposed;
      rows.push_back({"  " + device.id, s.op->name, decomposed ? "decomposed into" : "missing:", s.text});
    }
  }
  std::fputs(format_table(rows, {}).c_str(), stdout);
  print_limits();
  print_half_width();
}

Json why_json() {
  Json records = Json::array();
  for (const lockstep::DriverRecord& r : lockstep::driver_records()) {
    records.push_back({{"path", r.path},
                       {"driver", r.name},
                       {"version", r.version},
                       {"stage", r.stage},
                       {"ready", r.ready},
                       {"reason", r.text}});
  }
  return records;
}

int run(const Options& options) {
  Json devices = Json::array();
  for (const lockstep::DeviceInfo& device : lockstep::devices()) devices.push_back(describe(device));
  if (options.json) {
    if (options.why) devices = {{"devices", devices}, {"drivers", why_json()}};
    std::printf("%s\n", devices.dump(2).c_str());
    return 0;
  }
  if (devices.empty()) std::puts(" no device: see below for every driver library that was looked at");
  if (!devices.empty()) print_table(devices);
  if (options.why || devices.empty()) print_why();
  return 0;
}

}  // namespace

Run add_devices(Program& program) {
  auto options = std::make_shared<Options>();
  Command command = program.command("devices", "List devices; allocates nothing on them");
  command.flag("--why", options->why,
               "Also every driver library that was looked at, and why devices or ops are missing");
  command.flag("--json", options->json, "An array of objects; with --why an object that holds it");
  return [options] { return run(*options); };
}

}  // namespace cli
