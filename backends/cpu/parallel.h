// Parallel loops on the thread pool that the application chose. Only oneDNN uses other threads.
#pragma once

#include <type_traits>

#include "backends/common/float_environment.h"
#include "lockstep/driver.h"

namespace cpu {

/// Calls body(begin, end) for pieces of [0, n) with at least `grain` items. Bodies must not throw, and results must not
/// depend on where pieces begin and end.
template <class Body>
void parallel(const lks_host_api& api, std::int64_t n, std::int64_t grain, Body&& body) {
  using B = std::remove_reference_t<Body>;
  const auto piece = [](void* arg, std::int64_t begin, std::int64_t end) {
    const common::FloatEnvironment environment;
    (*static_cast<B*>(arg))(begin, end);
  };
  api.parallel_for(api.host, n, grain, piece, const_cast<void*>(static_cast<const void*>(&body)));
}

/// Pieces that take less than this are not worth another thread: waking one costs one to two microseconds.
constexpr double min_piece_ns = 6000;

/// The grain for items that take about `ns_per_item` each.
inline std::int64_t grain_for(double ns_per_item) {
  const double items = min_piece_ns / ns_per_item;
  return items > 1 ? static_cast<std::int64_t>(items) : 1;
}

}  // namespace cpu
