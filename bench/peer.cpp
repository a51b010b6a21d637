// Loads the library that calls oneDNN directly, if this build has it.
#include <dlfcn.h>

#include "bench/peers/peer.h"
#include "bench/workload.h"

namespace bench {
namespace {

const peer_api* onednn() {
  static const peer_api* api = [] {
    for (const std::string& folder : lockstep::driver_search_path()) {
      void* library = dlopen((folder + "/liblockstep_bench_onednn.so").c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!library) continue;
      const auto entry = reinterpret_cast<decltype(&lockstep_bench_peer)>(dlsym(library, "lockstep_bench_peer"));
      if (entry) return entry();
    }
    return static_cast<const peer_api*>(nullptr);
  }();
  return api;
}

std::optional<Peer> as_peer(peer_work* work) {
  if (!work) return std::nullopt;
  const std::shared_ptr<peer_work> owned(work, onednn()->release);
  return Peer{"oneDNN directly", [owned] { onednn()->run(owned.get()); }};
}

}  // namespace

std::optional<Peer> onednn_matmul(std::int64_t m, std::int64_t k, std::int64_t n) {
  if (!onednn()) return std::nullopt;
  return as_peer(onednn()->matmul(m, k, n, static_cast<int>(lockstep::thread_count())));
}

std::optional<Peer> onednn_conv(const ConvShape& s, ConvPass pass) {
  if (!onednn()) return std::nullopt;
  const peer_conv shape{
      s.batch, s.channels, s.size, s.filters, s.kernel, s.stride, s.padding, s.groups, static_cast<int64_t>(pass)};
  return as_peer(onednn()->conv(&shape, static_cast<int>(lockstep::thread_count())));
}

}  // namespace bench
