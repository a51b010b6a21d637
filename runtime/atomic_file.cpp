#include "runtime/atomic_file.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "lockstep/error.h"

namespace lockstep {
namespace {

// Next to the file, so that it can be renamed to it; no two writers share one.
std::string temporary_name(const std::string& path) {
  static std::atomic<std::uint64_t> count{0};
  return path + ".part-" + std::to_string(getpid()) + "-" + std::to_string(++count);
}

}  // namespace

void AtomicFile::fail(const std::string& what, const std::string& fix) const {
  ErrorBuilder(ErrorId::cannot_write, writer_, path_ + ": " + what).fix(fix).raise();
}

// Where a file is really saved: what symbolic links lead to, whether it exists yet or not. Anything but a file, such as
// a pipe or a device, is not replaced by one.
std::string AtomicFile::resolve_target() const {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path_, ignored);
  if (status.type() == std::filesystem::file_type::directory) fail("is a folder", "give the name of a file");
  if (std::filesystem::exists(status) && status.type() != std::filesystem::file_type::regular)
    fail("exists and is not a regular file", "give the name of a file");
  std::filesystem::path target = path_;
  constexpr int most_links = 40;  // as the kernel has it
  for (int i = 0; std::filesystem::is_symlink(target, ignored); ++i) {
    if (i == most_links) fail("is a symbolic link that leads to itself", "remove the link");
    const std::filesystem::path next = std::filesystem::read_symlink(target, ignored);
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  return target.string();
}

AtomicFile::AtomicFile(std::string writer, std::string path) : writer_(std::move(writer)), path_(std::move(path)) {
  target_ = resolve_target();
  temporary_ = temporary_name(target_);
  file_ = std::fopen(temporary_.c_str(), "wb");
  if (!file_) fail(std::strerror(errno), "check that the folder exists and can be written");
}

AtomicFile::~AtomicFile() {
  if (file_) std::fclose(file_);
  if (!done_) std::remove(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t size) {
  if (size > 0 && std::fwrite(data, 1, size, file_) != size) fail(std::strerror(errno), "free some disk space");
}

void AtomicFile::finish() {
  const bool flushed = std::fflush(file_) == 0 && fsync(fileno(file_)) == 0;
  std::FILE* file = std::exchange(file_, nullptr);
  if (std::fclose(file) != 0 || !flushed || std::rename(temporary_.c_str(), target_.c_str()) != 0)
    fail(std::strerror(errno), "check the disk and the permissions");
  done_ = true;
}

}  // namespace lockstep
