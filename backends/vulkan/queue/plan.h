// The dispatches of a command, or its copies on a transfer queue. All are planned before any is recorded, so that a
// command is enqueued as a whole or not at all.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "backends/gpu/ceil_div.h"
#include "backends/vulkan/device/device.h"

namespace vulkan {

using gpu::ceil_div;

struct Groups {
  std::uint32_t x = 1, y = 1, z = 1;
};

/// Bytes of device memory that a dispatch reads or writes.
struct Access {
  VkDeviceAddress begin = 0, end = 0;
  bool write = false;
};

struct Dispatch {
  const Pipeline* pipeline = nullptr;
  Push push;
  std::uint32_t pushed_words = 0;
  Groups groups;
  std::uint32_t first_access = 0, access_count = 0;
  bool checks = false;  // writes the queue's state, which every dispatch after it reads

  void push_words(const void* from, std::size_t bytes) {
    pushed_words = static_cast<std::uint32_t>(ceil_div(static_cast<std::int64_t>(bytes), 8));
    if (bytes > 0) std::memcpy(push.words, from, bytes);
  }
};

/// A copy or a fill by a Vulkan transfer command.
struct Transfer {
  DeviceLocation to, from;  // `from` without a buffer: a fill of whole 32-bit words
  std::uint64_t bytes = 0;
  std::uint32_t word = 0;
};

/// A bound tensor.
struct Tensor {
  VkDeviceAddress address = 0;  // of the first element
  const std::int64_t* dims = nullptr;
  const std::int64_t* strides = nullptr;  // in elements
  int rank = 0;
  lks_dtype dtype = 0;

  std::int64_t count() const {
    std::int64_t n = 1;
    for (int d = 0; d < rank; ++d) n *= dims[d];
    return n;
  }
  /// The bytes from the lowest to the highest element; none if the tensor is empty.
  Access access(bool write) const;
};

inline std::uint32_t size_of(lks_dtype t) { return LKS_DTYPE_BITS(t) / 8; }

class Plan {
 public:
  /// `by_commands`: for a transfer queue, which uses Vulkan's transfer commands and no shaders.
  Plan(lks_device& device, Staging& params, VkDeviceAddress state, bool by_commands)
      : device_(device), params_(params), state_(state), by_commands_(by_commands) {}

  /// Discards the previous plan and starts that of the command that will have this timeline value.
  void begin(std::uint64_t value) {
    value_ = value;
    launch_ = 0;
    dispatches_.clear();
    accesses_.clear();
    transfers_.clear();
  }

  lks_device& device() const { return device_; }
  bool by_commands() const { return by_commands_; }
  /// The timeline value that the command will have.
  std::uint64_t value() const { return value_; }
  /// Starts the dispatches of the launch with this number in the command.
  void begin_launch(std::uint32_t number) { launch_ = number; }
  std::uint32_t launch() const { return launch_; }

  /// What a kernel with any number of operands gathers for one dispatch.
  struct Arguments {
    std::vector<std::uint64_t> words;  // operands and parameters
    std::vector<Access> accesses;
  };
  /// Empty lists. They are valid until the next call, and keep their memory, so that launches need not allocate any.
  Arguments& arguments() {
    arguments_.words.clear();
    arguments_.accesses.clear();
    return arguments_;
  }

  /// `params` is copied. Its first 112 bytes are pushed; if there are more, the shader finds all at Push::params. If
  /// there are no groups, nothing is dispatched.
  template <class P>
  void dispatch(const Pipeline& pipeline, const P& params, Groups groups, std::span<const Access> accesses) {
    add_with(pipeline, params, groups, accesses);
  }
  /// The same with parameters of 8 bytes each in memory, possibly none, and at most `max_pushed_words` operands.
  void dispatch_words(const Pipeline& pipeline, std::span<const std::uint64_t> operands,
                      std::span<const std::uint64_t> params, Groups groups, std::span<const Access> accesses) {
    if (!add(pipeline, params.data(), params.size_bytes(), groups, accesses)) return;
    dispatches_.back().push_words(operands.data(), operands.size_bytes());
  }
  /// A dispatch that may write the queue's state.
  template <class P>
  void dispatch_check(const Pipeline& pipeline, const P& params, Groups groups, Access reads) {
    if (add_with(pipeline, params, groups, {&reads, 1})) dispatches_.back().checks = true;
  }

  void transfer(const Transfer& transfer) { transfers_.push_back(transfer); }

  /// Workgroups of `per_group` items each, in as many rows (y) as the device's limit in x requires. Shaders number them
  /// row by row. Throws Failure if the device cannot start that many.
  Groups groups_for(std::int64_t items, std::int64_t per_group) const;

  std::span<const Transfer> transfers() const { return transfers_; }
  std::span<const Dispatch> dispatches() const { return dispatches_; }
  std::span<const Access> accesses(const Dispatch& d) const {
    return {accesses_.data() + d.first_access, d.access_count};
  }

 private:
  // Whether there are groups. Puts `bytes` of parameters into memory.
  bool add(const Pipeline& pipeline, const void* params, std::uint64_t bytes, Groups groups,
           std::span<const Access> accesses);
  // The same with parameters that are pushed as far as they fit.
  template <class P>
  bool add_with(const Pipeline& pipeline, const P& params, Groups groups, std::span<const Access> accesses) {
    static_assert(std::is_trivially_copyable_v<P>);
    constexpr std::size_t pushed = std::min(sizeof params, sizeof Push::words);
    if (!add(pipeline, &params, sizeof params > pushed ? sizeof params : 0, groups, accesses)) return false;
    dispatches_.back().push_words(&params, pushed);
    return true;
  }

  lks_device& device_;
  Staging& params_;
  const VkDeviceAddress state_;
  const bool by_commands_;
  std::uint64_t value_ = 0;
  std::uint32_t launch_ = 0;
  std::vector<Dispatch> dispatches_;
  std::vector<Access> accesses_;
  std::vector<Transfer> transfers_;
  Arguments arguments_;
};

}  // namespace vulkan
