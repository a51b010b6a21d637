// Files that appear only when they are complete.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

namespace lockstep {

/// A file that appears under its name only when it is complete; an existing file stays until then. If the name is a
/// symbolic link, the link stays and its target is replaced. The new file gets the permissions of the file that it
/// replaces, and its owner if that is allowed. Errors are IoError LS8005 and name `writer`.
class AtomicFile {
 public:
  AtomicFile(std::string writer, std::string path);
  /// Removes the temporary file unless finish() has succeeded.
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
