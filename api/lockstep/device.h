// Devices: listing them, choosing one, and math modes.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/call_site.h"
#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

// Internal classes, declared here so that their members are not exported: the namespace exports what it declares.
class LOCKSTEP_HIDDEN DeviceEntry;
class LOCKSTEP_HIDDEN DeviceState;
class LOCKSTEP_HIDDEN DriverRegistry;

/// One device of one driver, such as `cpu:0`. Cheap to copy; constructing a Device does not open the device.
class Device {
 public:
  /// Parses "cpu", "cpu:0", "cuda:1" …; without an index, the first device. Throws DeviceError LS3001, which lists the
  /// existing devices.
  explicit Device(std::string_view name);

  /// "cpu:0".
  const std::string& name() const;
  /// "cpu".
  std::string driver() const;
  int index() const;

  friend bool operator==(Device a, Device b) = default;

  /// For the runtime: opens the device on first use. Throws DeviceError LS3003 with the driver's reason.
  DeviceState& state() const;
  /// For the runtime: the device's list entry.
  const DeviceEntry& entry() const { return *entry_; }

 private:
  friend class DriverRegistry;
  friend class DeviceState;
  explicit Device(const DeviceEntry* entry) : entry_(entry) {}
  const DeviceEntry* entry_;  // never freed
};

std::ostream& operator<<(std::ostream& out, Device device);

/// How ops may compute (docs/lockstep_mode.md). `strict`: IEEE f32 everywhere. `fast`: sums and products of f32 and
/// shorter dtypes may use narrower formats internally. `lockstep`: the same bits on every device that offers the mode.
enum class MathMode : std::uint8_t { strict, fast, lockstep };

std::string_view name_of(MathMode mode);
/// The mode with that name; nullopt if there is none.
std::optional<MathMode> find_mode(std::string_view name);

/// Properties of a listed device. Reading them allocates nothing on the device.
struct DeviceInfo {
  std::string id;      // "cpu:0"
  std::string driver;  // "cpu"
  std::string name;    // of the hardware
  std::string vendor;
  std::string version;  // of the vendor library, and the instruction set if it matters
  std::string type;     // "cpu", "gpu", "integrated gpu", "accelerator"
  bool available = false;
  std::string reason;  // why it is not available
  std::uint64_t memory_total = 0;
  std::optional<std::uint64_t> memory_free;  // empty if reading it would allocate on the device
  std::vector<MathMode> modes;
  unsigned compute_units = 0;
  std::string uuid;                      // of the hardware, the same in every driver; empty if unknown
  std::uint64_t largest_allocation = 0;  // in bytes; a tensor cannot be larger
};

/// Every listed device, available or not, ordered by driver priority, then by index.
std::vector<DeviceInfo> devices();
DeviceInfo describe(Device device);

/// The available device that is expected to train fastest: a GPU if there is one, then another accelerator, then a CPU.
Device best_device();

/// The result of loading one candidate driver library.
struct DriverRecord {
  std::string path;
  std::string name;  // of the driver, if it was read
  std::string version;
  std::string stage;  // "open", "symbol", "negotiate", "probe", "enumerate", "ready" or "superseded"
  bool ready = false;
  std::string text;  // the reason if not ready, with the first missing dependency if there is one
};

/// One record per candidate library, in the order of loading. No candidate is skipped silently.
std::vector<DriverRecord> driver_records();

/// The folders that are searched for drivers: LOCKSTEP_DRIVER_PATH, then the folder that belongs to this library.
std::vector<std::string> driver_search_path();

/// Loads one more driver library and adds its devices to the list. Returns its record, which reports a failure.
DriverRecord load_driver(const std::string& path);

/// This thread's device for tensors that are created without one: the one set by DeviceScope, else the first available
/// `cpu` device, else the first available device.
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
  explicit MathModeScope(MathMode mode, CallSite where = CallSite::current());
  ~MathModeScope();
  MathModeScope(const MathModeScope&) = delete;
  MathModeScope& operator=(const MathModeScope&) = delete;

 private:
  MathMode previous_;
};

MathMode math_mode();

/// Waits until everything enqueued on the device is done, on all its streams. Throws the oldest failure of a stream
/// that was not reported yet; each of several failures is reported by a call of its own. This function reports a
/// failure, and so do Stream::synchronize and, on the stream that failed, the use or read of a dependent tensor. On
/// another stream, such a use throws the failure too, but does not report it: this function still throws it. Work that
/// was enqueued on the failed stream after the failed op was not executed (docs/errors.md).
void synchronize(Device device);

}  // namespace lockstep
