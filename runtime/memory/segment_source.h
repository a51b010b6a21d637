// Sources of segments for the caching pool. Each class adds one behaviour; the allocator stacks them: limit -> driver.
#pragma once

#include <memory>

#include "runtime/fault.h"
#include "runtime/memory/block.h"
#include "runtime/memory/budget.h"

namespace lockstep {

/// Why a segment could not be allocated.
enum class Shortage : std::uint8_t { none, limit, driver };

struct SegmentResult {
  lks_buffer* buffer = nullptr;
  Shortage shortage = Shortage::none;
  lks_status status = LKS_OK;
  std::unique_ptr<lks_diag> diag = {};  // of the driver, if it failed
};

class SegmentSource {
 public:
  virtual ~SegmentSource() = default;
  virtual SegmentResult allocate(std::uint64_t bytes) = 0;
  virtual void free(lks_buffer* buffer, std::uint64_t bytes) = 0;
  /// Bytes that can still be allocated within the limit; UINT64_MAX if there is no limit.
  virtual std::uint64_t room() const { return UINT64_MAX; }
};

/// Raw memory from the driver.
class DriverSegments : public SegmentSource {
 public:
  DriverSegments(const lks_driver_api& api, lks_device* device) : api_(api), device_(device) {}
  SegmentResult allocate(std::uint64_t bytes) override;
  void free(lks_buffer* buffer, std::uint64_t bytes) override;

 private:
  const lks_driver_api& api_;
  lks_device* device_;
};

/// Refuses segments that would exceed the device's budget.
class LimitedSegments : public SegmentSource {
 public:
  LimitedSegments(SegmentSource& upstream, std::shared_ptr<MemoryBudget> budget)
      : upstream_(upstream), budget_(std::move(budget)) {}
  SegmentResult allocate(std::uint64_t bytes) override;
  void free(lks_buffer* buffer, std::uint64_t bytes) override;
  std::uint64_t room() const override;

 private:
  SegmentSource& upstream_;
  std::shared_ptr<MemoryBudget> budget_;
};

}  // namespace lockstep
