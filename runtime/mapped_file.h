// Files that are read through memory.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace lockstep {

/// A regular file that is mapped for reading. Only what is touched is read from the disk, and the pages do not count
/// against the process where memory is short. Nobody may truncate the file meanwhile; AtomicFile replaces files
/// instead.
class MappedFile {
 public:
  /// Throws IoError LS8001 of the op `reader` if there is no regular file under `path`, or it cannot be read. `hint` is
  /// what to do about a missing file.
  MappedFile(std::string_view reader, const std::string& path, const std::string& hint = "check the path");

  /// nullptr if the file is empty.
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  /// Keeps the file mapped.
  const std::shared_ptr<const std::byte>& owner() const { return data_; }

 private:
  std::shared_ptr<const std::byte> data_;
  std::size_t size_ = 0;
};

}  // namespace lockstep
