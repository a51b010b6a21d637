#include "backends/vulkan/device/pipeline_cache.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <set>

namespace vulkan {
namespace {

// The file's name. A Vulkan driver can use only what it has compiled itself, so the name has its cache UUID.
std::string name_of(const DeviceProperties& properties) {
  std::string name = "pipelines-";
  for (const std::uint8_t byte : properties.cache_uuid) {
    constexpr char digits[] = "0123456789abcdef";
    name += digits[byte >> 4];
    name += digits[byte & 15];
  }
  return name + ".bin";
}

// The number of bytes in a file. The first word holds it, because the last word may be padded.
std::size_t bytes_in(const std::vector<std::uint32_t>& words) {
  return std::min<std::size_t>(words[0], (words.size() - 1) * sizeof words[0]);
}

// The caches of open devices. Never destroyed, because threads may end at any time.
class OpenCaches {
 public:
  static OpenCaches& instance() {
    static auto* caches = new OpenCaches;
    return *caches;
  }

  void add(PipelineCache* cache) {
    const lockstep::LockGuard lock(mutex_);
    all_.insert(cache);
  }
  void remove(PipelineCache* cache) {
    const lockstep::LockGuard lock(mutex_);
    all_.erase(cache);
  }
  void save() {
    if (getpid() != process_) return;  // Vulkan drivers do not work after a fork
    const lockstep::LockGuard lock(mutex_);
    if (is_over_) return;
    for (PipelineCache* cache : all_) cache->save();
  }
  /// Called at exit: from now on exit handlers may destroy what Vulkan drivers need.
  void end() {
    const lockstep::LockGuard lock(mutex_);
    is_over_ = true;
  }

 private:
  OpenCaches() {
    std::atexit([] { instance().end(); });
  }

  lockstep::Mutex mutex_;
  std::set<PipelineCache*> all_ LOCKSTEP_GUARDED_BY(mutex_);
  bool is_over_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  const pid_t process_ = getpid();
};

// Used as a thread-local object. That of the main thread is destroyed before any exit handler runs.
struct SavesWhenThreadEnds {
  ~SavesWhenThreadEnds() { OpenCaches::instance().save(); }
};

}  // namespace

PipelineCache::PipelineCache(const DeviceProperties& properties, const gpu::DiskCache& disk, VkDevice device,
                             const VolkDeviceTable& vk)
    : properties_(properties), disk_(disk), device_(device), vk_(vk) {
  const auto words = disk_.load(name_of(properties_), properties_.version);
  OpenCaches::instance().add(this);
  const lockstep::LockGuard lock(mutex_);
  VkPipelineCacheCreateInfo info{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  if (words && words->size() > 1) {
    stored_bytes_ = info.initialDataSize = bytes_in(*words);
    info.pInitialData = words->data() + 1;
  }
  VkResult result = vk_.vkCreatePipelineCache(device_, &info, nullptr, &handle_);
  if (result != VK_SUCCESS && stored_bytes_ > 0) {
    stored_bytes_ = info.initialDataSize = 0;
    info.pInitialData = nullptr;
    is_refused_ = true;
    result = vk_.vkCreatePipelineCache(device_, &info, nullptr, &handle_);
  }
  if (result != VK_SUCCESS) handle_ = VK_NULL_HANDLE;
}

PipelineCache::~PipelineCache() {
  OpenCaches::instance().remove(this);
  save();
  vk_.vkDestroyPipelineCache(device_, handle_, nullptr);
}

void PipelineCache::note_compilation() {
  static thread_local const SavesWhenThreadEnds saves;
  static_cast<void>(saves);
}

void PipelineCache::save() try {
  const lockstep::LockGuard lock(mutex_);
  std::size_t bytes = 0;
  if (!handle_ || vk_.vkGetPipelineCacheData(device_, handle_, &bytes, nullptr) != VK_SUCCESS) return;
  if (bytes <= stored_bytes_) return;
  // Another device of the same kind, or another process, may have stored more since.
  const auto there = disk_.load(name_of(properties_), properties_.version);
  if (!is_refused_ && there && there->size() > 1 && bytes_in(*there) >= bytes) return;
  std::vector<std::uint32_t> words(1 + (bytes + 3) / 4);
  if (vk_.vkGetPipelineCacheData(device_, handle_, &bytes, words.data() + 1) != VK_SUCCESS) return;
  words[0] = static_cast<std::uint32_t>(bytes);
  disk_.store(name_of(properties_), properties_.version, words);
  stored_bytes_ = bytes;
} catch (const std::bad_alloc&) {
  return;  // what is not stored is compiled again
}

}  // namespace vulkan
