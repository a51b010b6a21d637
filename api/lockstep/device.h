// Devices: listing them, choosing one, and limits on their memory.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

class DeviceEntry;
class DeviceState;

/// One device of one driver, such as `cpu:0`. A cheap value; naming a device opens nothing.
class Device {
 public:
  /// Parses "cpu", "cpu:0", "cuda:1" …; without an index the first. Throws DeviceError LS3001, listing what exists.
  explicit Device(std::string_view name);

  /// "cpu:0".
  const std::string& name() const;
  /// "cpu".
  std::string driver() const;
  int index() const;

  friend bool operator==(Device a, Device b) = default;

  /// For the runtime: opens the device on first use. Throws DeviceError LS3003 with the driver's reason.
  DeviceState& state() const;
  /// For the runtime: what is listed of it.
  const DeviceEntry& entry() const { return *entry_; }

 private:
  friend class DriverRegistry;
  friend class DeviceState;
  explicit Device(const DeviceEntry* entry) : entry_(entry) {}
  const DeviceEntry* entry_;  // lives as long as the process
};

std::ostream& operator<<(std::ostream& out, Device device);

/// How ops may compute (docs/lockstep_mode.md). `strict`: IEEE f32 everywhere. `fast`: matmul and convolution may use
/// shorter types inside. `lockstep`: bit-identical results on every device that offers it.
enum class MathMode : std::uint8_t { strict, fast, lockstep };

std::string_view name_of(MathMode mode);
/// The mode of that name; empty where there is none.
std::optional<MathMode> find_mode(std::string_view name);

/// What is known of a listed device. Reading it allocates nothing on the device.
struct DeviceInfo {
  std::string id;      // "cpu:0"
  std::string driver;  // "cpu"
  std::string name;    // the hardware's
  std::string vendor;
  std::string version;  // of the vendor library, and the instruction set where it matters
  std::string type;     // "cpu", "gpu", "integrated gpu", "accelerator"
  bool available = false;
  std::string reason;  // why not, where not available
  std::uint64_t memory_total = 0;
  std::optional<std::uint64_t> memory_free;  // empty where reading it would allocate
  std::vector<MathMode> modes;
  unsigned compute_units = 0;
  std::string uuid;                      // of the hardware, the same in every driver; empty where unknown
  std::uint64_t largest_allocation = 0;  // in bytes, of one piece of memory and so of one tensor
};

/// Every listed device, available or not: by driver priority, then index.
std::vector<DeviceInfo> devices();
DeviceInfo describe(Device device);

/// The available device that is expected to train fastest: a GPU where there is one, else `cpu`.
Device best_device();

/// What became of one driver library that was looked at.
struct DriverRecord {
  std::string path;
  std::string name;  // the driver's, where it got that far
  std::string version;
  std::string stage;  // "open", "symbol", "negotiate", "probe", "enumerate", "ready" or "superseded"
  bool ready = false;
  std::string text;  // the reason, with the first missing dependency where that is it
};

/// One record per candidate library, in the order in which they were looked at. Nothing is skipped silently.
std::vector<DriverRecord> driver_records();

/// Where drivers are searched: LOCKSTEP_DRIVER_PATH, then the folder that belongs to this library.
std::vector<std::string> driver_search_path();

/// Loads one more driver library; its devices join the list. Returns its record, which tells of failure.
DriverRecord load_driver(const std::string& path);

/// The device of tensors that are made without naming one, for this thread: set by DeviceScope, else `cpu`.
Device default_device();

/// Makes `device` the default for this thread until the end of the scope.
class [[nodiscard]] DeviceScope {
 public:
  explicit DeviceScope(Device device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  std::optional<Device> previous_;
};

/// The math mode of ops on this thread until the end of the scope; `strict` outside all scopes. A device that does not
/// offer the mode throws UnsupportedError LS6002 at the first op.
class [[nodiscard]] MathModeScope {
 public:
  explicit MathModeScope(MathMode mode, std::source_location where = std::source_location::current());
  ~MathModeScope();
  MathModeScope(const MathModeScope&) = delete;
  MathModeScope& operator=(const MathModeScope&) = delete;

 private:
  MathMode previous_;
};

MathMode math_mode();

/// Waits until everything enqueued on the device is done; throws the oldest failure that was not reported yet, by this
/// or by a read of what depends on it. What was enqueued after the failed op has not happened (docs/errors.md).
void synchronize(Device device);

}  // namespace lockstep
