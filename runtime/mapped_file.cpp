#include "runtime/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lockstep/error.h"
#include "runtime/file_path.h"

namespace lockstep {
namespace {

class OpenFile {
 public:
  // Without O_NONBLOCK the call would wait until somebody writes to a pipe.
  explicit OpenFile(const std::string& path) : file_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~OpenFile() {
    if (file_ >= 0) close(file_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int get() const { return file_; }

 private:
  int file_;
};

}  // namespace

MappedFile::MappedFile(std::string_view reader, const std::string& path, const std::string& hint) {
  const auto fail = [&](const std::string& what, const std::string& fix) {
    ErrorBuilder(ErrorId::file_not_found, reader, path + ": " + what).fix(fix).raise();
  };
  check_path(ErrorId::file_not_found, reader, path);
  const OpenFile file(path);
  if (file.get() < 0) fail(std::strerror(errno), hint);
  struct stat info {};
  if (fstat(file.get(), &info) != 0) fail(std::strerror(errno), "check the path");
  if (S_ISDIR(info.st_mode)) fail("is a folder, not a regular file", "give the path of a file");
  if (!S_ISREG(info.st_mode)) fail("is not a regular file", "give the path of a file");
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ == 0) return;
  void* data = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) fail(std::strerror(errno), "check the permissions");
  data_ = {static_cast<const std::byte*>(data),
           [size = size_](const std::byte* p) { munmap(const_cast<std::byte*>(p), size); }};
}

}  // namespace lockstep
