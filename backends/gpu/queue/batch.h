// What commands and batches are on every device: the memory that they use, and what is copied to the host once they are
// done. A driver's own types derive from these.
#pragma once

#include "backends/gpu/memory/staging.h"

namespace gpu {

/// Bytes to copy from staging memory to the host once a command is done.
struct HostCopy {
  std::uint64_t value;
  void* to;
  const std::byte* from;
  std::uint64_t bytes;
};

/// The memory of a command before it is recorded. A queue has one such object and reuses it.
template <class Allocation>
struct CommandMemory {
  CommandMemory(ChunkSource<Allocation>& params_source, ChunkSource<Allocation>& staging_source)
      : params(params_source), staging(staging_source) {}

  /// Releases the memory that the command has taken.
  void drop() {
    params.release();
    staging.release();
    host_copies.clear();
  }

  Staging<Allocation> params, staging;
  std::vector<HostCopy> host_copies;
};

/// Commands that are submitted together.
template <class Allocation>
class BatchContents {
 public:
  bool empty() const { return count_ == 0; }
  unsigned count() const { return count_; }

  std::uint64_t first = 0, last = 0;  // values of its commands
  std::uint64_t staged_bytes = 0;
  std::vector<HostCopy> host_copies;

 protected:
  /// Reserves memory for what take_over() stores, so that it cannot fail.
  void make_room(const CommandMemory<Allocation>& command) {
    chunks_.reserve(chunks_.size() + command.params.chunk_count() + command.staging.chunk_count());
    host_copies.reserve(host_copies.size() + command.host_copies.size());
  }
  /// Takes over the memory of a command.
  void take_over(CommandMemory<Allocation>& command, std::uint64_t value) {
    if (count_++ == 0) first = value;
    last = value;
    staged_bytes += command.staging.bytes();
    command.params.move_to(chunks_);
    command.staging.move_to(chunks_);
    host_copies.insert(host_copies.end(), command.host_copies.begin(), command.host_copies.end());
    command.host_copies.clear();
  }
  /// Releases everything.
  void clear() {
    chunks_.clear();
    host_copies.clear();
    count_ = 0;
    staged_bytes = 0;
    first = last = 0;
  }

 private:
  Chunks<Allocation> chunks_;
  unsigned count_ = 0;
};

}  // namespace gpu
