#include "runtime/memory/segment_source.h"

#include <algorithm>

#include "runtime/host_api.h"

namespace lockstep {

SegmentResult DriverSegments::allocate(std::uint64_t bytes) {
  SegmentResult result;
  lks_diag diag = empty_diag();
  result.status = api_.buffer_alloc(device_, 0, bytes, &result.buffer, &diag);
  if (result.status != LKS_OK) {
    result.buffer = nullptr;
    result.shortage = Shortage::driver;
    result.diag = std::make_unique<lks_diag>(diag);
  }
  return result;
}

void DriverSegments::free(lks_buffer* buffer, std::uint64_t) { api_.buffer_free(device_, buffer); }

SegmentResult LimitedSegments::allocate(std::uint64_t bytes) {
  if (!budget_->take(bytes)) return {nullptr, Shortage::limit, LKS_OUT_OF_MEMORY};
  SegmentResult result = upstream_.allocate(bytes);
  if (!result.buffer) budget_->give_back(bytes);
  return result;
}

std::uint64_t LimitedSegments::room() const {
  const std::optional<std::uint64_t> limit = budget_->limit();
  return limit ? *limit - std::min(*limit, budget_->used()) : upstream_.room();
}

void LimitedSegments::free(lks_buffer* buffer, std::uint64_t bytes) {
  upstream_.free(buffer, bytes);
  budget_->give_back(bytes);
}

}  // namespace lockstep
