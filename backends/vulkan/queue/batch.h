// Commands, and batches of commands that are submitted to the device together.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "backends/vulkan/queue/plan.h"

namespace vulkan {

/// Bytes to copy from staging memory to the host once a command is done.
struct HostCopy {
  std::uint64_t value;
  void* to;
  const std::byte* from;
  std::uint64_t bytes;
};

/// A command before it is recorded: its dispatches and its memory. A queue has one such object and reuses it.
class Command {
 public:
  Command(lks_device& device, ChunkSource& params_source, ChunkSource& staging_source, VkDeviceAddress state,
          bool by_commands)
      : params(params_source), staging(staging_source), plan(device, params, state, by_commands) {}

  void begin(std::uint64_t value) { plan.begin(value); }
  /// Releases the memory that the command has taken.
  void drop();

  Staging params, staging;
  std::vector<HostCopy> host_copies;
  Plan plan;
};

class Batch {
 public:
  /// `by_commands`: for a transfer queue, which uses Vulkan's transfer commands and no shaders.
  Batch(lks_device& device, bool by_commands);
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  /// Opens the command buffer. Throws Failure.
  void begin();
  /// Reserves memory for what `record` stores, so that recording cannot fail.
  void make_room(const Command& command);
  /// Records a command and takes over its memory.
  void record(Command& command, std::uint64_t value);
  /// Closes the command buffer. Throws Failure.
  void end();
  /// Called when the device is done with the batch: releases everything that it holds.
  void reset();

  VkCommandBuffer commands() const { return commands_; }
  bool empty() const { return count_ == 0; }
  unsigned count() const { return count_; }

  std::uint64_t first = 0, last = 0;  // values of its commands
  std::uint64_t staged_bytes = 0;
  std::vector<HostCopy> host_copies;

 private:
  // Dispatches and transfers run concurrently until one accesses what another has written, or writes what another has
  // read.
  bool conflicts(std::span<const Access> accesses) const;
  void order(std::span<const Access> accesses, bool after_all);
  void barrier();
  void barrier_to(VkPipelineStageFlags stage, VkAccessFlags accesses);
  void record(const Dispatch& dispatch);
  void record(const Transfer& transfer);

  lks_device& device_;
  const bool by_commands_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  Chunks chunks_;
  unsigned count_ = 0;
  VkPipeline bound_ = VK_NULL_HANDLE;
  std::vector<Access> since_barrier_;
  bool state_written_ = false;  // by the previous dispatch
};

}  // namespace vulkan
