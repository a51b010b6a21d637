// Commands, and batches of commands that are submitted to the device together.
#pragma once

#include <vector>

#include "backends/gpu/queue/batch.h"
#include "backends/vulkan/queue/plan.h"

namespace vulkan {

/// A command before it is recorded: its dispatches and its memory.
class Command : public gpu::CommandMemory<Allocation> {
 public:
  Command(lks_device& device, ChunkSource& params_source, ChunkSource& staging_source, VkDeviceAddress state,
          bool by_commands)
      : CommandMemory(params_source, staging_source), plan(device, params, state, by_commands) {}

  void begin(std::uint64_t value) { plan.begin(value); }

  Plan plan;
};

class Batch : public gpu::BatchContents<Allocation> {
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
  VkPipeline bound_ = VK_NULL_HANDLE;
  std::vector<Access> since_barrier_;
  bool state_written_ = false;  // by the previous dispatch
};

}  // namespace vulkan
