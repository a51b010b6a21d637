// Compute pipelines, made from SPIR-V when they are first requested and kept until the device closes.
#pragma once

#include <volk.h>

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/internal/mutex.h"
#include "backends/vulkan/device/pipeline_cache.h"
#include "backends/vulkan/device/properties.h"

namespace vulkan {

/// A built-in shader: a function that returns its SPIR-V. The functions are in shaders.h.
using Shader = std::string_view (*)();

/// The push constants of shaders: 128 bytes, which every device supports.
struct Push {
  VkDeviceAddress params = 0;  // where the dispatch's parameters are in memory
  VkDeviceAddress state = 0;   // the queue's state (gpu/queue/state.h)
  std::uint64_t words[14];     // the first parameters, or a pointwise program's operands: memory would take longer
};
static_assert(sizeof(Push) == 128);
constexpr std::size_t max_pushed_words = 14;

struct Pipeline {
  VkPipeline handle = VK_NULL_HANDLE;
};

/// Free-threaded.
class Pipelines {
 public:
  Pipelines(const lks_host_api& host, const DeviceProperties& properties, const gpu::DiskCache& disk, VkDevice device,
            const VolkDeviceTable& vk);
  ~Pipelines();
  Pipelines(const Pipelines&) = delete;
  Pipelines& operator=(const Pipelines&) = delete;

  VkPipelineLayout layout() const { return layout_; }

  // Both pass a map to find_or_make, which takes the lock before it uses it. The analysis does not follow that.

  /// `constants` are the 32-bit specialisation constants 0, 1 …. Throws Failure.
  const Pipeline& get(Shader shader, std::span<const std::uint32_t> constants = {}) LOCKSTEP_NO_THREAD_SAFETY_ANALYSIS;
  /// A shader that was compiled at run time, identified by `key`.
  const Pipeline& get(const std::string& key, std::span<const std::uint32_t> spirv,
                      std::span<const std::uint32_t> constants) LOCKSTEP_NO_THREAD_SAFETY_ANALYSIS;
  /// The pipeline if it exists already, else null.
  const Pipeline* find(const std::string& key);

 private:
  template <class Map, class Make>
  const Pipeline& find_or_make(Map& map, typename Map::key_type key, Make&& make_it);
  Pipeline make(std::span<const std::uint32_t> spirv, std::span<const std::uint32_t> constants);

  const lks_host_api& host_;
  const DeviceProperties& properties_;
  const VkDevice device_;
  const VolkDeviceTable& vk_;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  PipelineCache cache_;
  lockstep::Mutex mutex_;
  std::map<std::pair<Shader, std::vector<std::uint32_t>>, Pipeline> built_in_ LOCKSTEP_GUARDED_BY(mutex_);
  std::map<std::string, Pipeline> compiled_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace vulkan
