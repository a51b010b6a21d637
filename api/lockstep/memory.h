// Device memory: statistics by owner, and limits.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/call_site.h"
#include "lockstep/device.h"
#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

/// What a block of memory is used for.
enum class MemoryOwner : std::uint8_t { activations, gradients, variables, optimizer, data, workspace, other };

inline constexpr int memory_owner_count = 7;
std::string_view name_of(MemoryOwner owner);

/// Memory of one device, in bytes. `reserved` was allocated from the driver; `live` is the part that tensors use;
/// `cached` = reserved - live is kept for reuse. Memory of other libraries that tensors share is not counted.
struct MemoryStats {
  std::uint64_t live = 0;
  std::uint64_t cached = 0;
  std::uint64_t reserved = 0;
  std::uint64_t peak_live = 0;
  std::uint64_t peak_reserved = 0;
  std::uint64_t largest_cached_block = 0;
  std::optional<std::uint64_t> limit;
  std::uint64_t allocations = 0;         // blocks allocated so far
  std::uint64_t driver_allocations = 0;  // how many of those needed a driver allocation
  std::array<std::uint64_t, memory_owner_count> live_by_owner{};
  std::array<std::uint64_t, memory_owner_count> peak_by_owner{};
};

MemoryStats memory_stats(Device device);
void reset_peak_memory(Device device);

/// Limits the memory allocated from the driver (`reserved`), exact to the byte; nullopt removes the limit. If an
/// allocation would exceed the limit, cached memory is released first. Drivers that expose the same physical device
/// share one limit.
void set_memory_limit(Device device, std::optional<std::uint64_t> bytes);

/// Returns all cached memory to the driver.
void release_cached_memory(Device device);

/// Fills every block with NaN patterns when it is freed, and when it is allocated if it was not filled before, so that
/// reads of uninitialised or freed memory become visible. Slow; for tests.
void set_memory_poison(Device device, bool on);

/// Blocks allocated on this thread until the end of the scope belong to `owner`.
class [[nodiscard]] MemoryOwnerScope {
 public:
  explicit MemoryOwnerScope(MemoryOwner owner, CallSite where = CallSite::current());
  ~MemoryOwnerScope();
  MemoryOwnerScope(const MemoryOwnerScope&) = delete;
  MemoryOwnerScope& operator=(const MemoryOwnerScope&) = delete;

 private:
  MemoryOwner previous_;
};

/// "1.53 GiB", "512 B".
std::string format_bytes(std::uint64_t bytes);

/// Parses "512MiB", "2 GiB", "1000000"; throws UsageError LS9001.
std::uint64_t parse_bytes(std::string_view text);

}  // namespace lockstep
