// A safetensors file whose tensors are loaded one by one, each to its device.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "lockstep/device.h"
#include "lockstep/tensor.h"
#include "runtime/mapped_file.h"

namespace lockstep {

/// An open safetensors file. All of the header is checked; of the data only booleans are read before they are loaded.
/// Tensors go from the mapped file to their device, without a copy in other host memory.
class TensorArchive {
 public:
  struct Entry {
    TensorSpec spec;
    std::uint64_t begin = 0, end = 0;  // bytes within the data
  };

  /// Throws IoError LS8001 (missing), LS8002 (not safetensors), LS8003 (truncated), LS8004 (inconsistent).
  explicit TensorArchive(const std::string& path);

  const std::map<std::string, Entry>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// The tensor of that name, which must exist. An asynchronous device may still be reading the file; it keeps the file
  /// mapped.
  Tensor load(const std::string& name, Device device) const;

 private:
  MappedFile file_;
  std::uint64_t data_begin_ = 0;  // bytes before the data
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace lockstep
