// Files that are there in full or not at all.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

namespace lockstep {

/// A file that appears under its name only when it is complete; what was there before stays until then. A symbolic link
/// stays and leads to it. A file that is replaced hands on who may read and write it, and its owner where that is
/// allowed. Errors are IoError LS8005 that name `writer`.
class AtomicFile {
 public:
  AtomicFile(std::string writer, std::string path);
  /// Leaves nothing behind unless it was finished.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t size);
  void finish();

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& fix) const;
  std::string resolve_target() const;
  void open_temporary();
  void take_over_permissions() const;

  std::string writer_, path_, target_, temporary_;
  std::FILE* file_ = nullptr;
  bool done_ = false;
};

}  // namespace lockstep
