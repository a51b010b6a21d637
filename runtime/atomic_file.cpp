#include "runtime/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "lockstep/error.h"
#include "runtime/file_path.h"

namespace lockstep {
namespace {

// In the folder of the file, so that it can be renamed to it, and different for each writer.
std::string temporary_name(const std::string& path) {
  static std::atomic<std::uint64_t> count{0};
  return path + ".part-" + std::to_string(getpid()) + "-" + std::to_string(++count);
}

}  // namespace

void AtomicFile::fail(const std::string& what, const std::string& fix) const {
  ErrorBuilder(ErrorId::cannot_write, writer_, path_ + ": " + what).fix(fix).raise();
}

// The path to save to: the target of symbolic links, which need not exist yet. Refuses to replace anything that is not
// a regular file, such as a pipe or a device.
std::string AtomicFile::resolve_target() const {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path_, ignored);
  if (status.type() == std::filesystem::file_type::directory) fail("is a folder", "give the name of a file");
  if (std::filesystem::exists(status) && status.type() != std::filesystem::file_type::regular)
    fail("exists and is not a regular file", "give the name of a file");
  std::filesystem::path target = path_;
  constexpr int max_links = 40;  // as in the Linux kernel
  for (int i = 0; std::filesystem::is_symlink(target, ignored); ++i) {
    if (i == max_links) fail("is a symbolic link that leads to itself", "remove the link");
    const std::filesystem::path next = std::filesystem::read_symlink(target, ignored);
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  return target.string();
}

AtomicFile::AtomicFile(std::string writer, std::string path) : writer_(std::move(writer)), path_(std::move(path)) {
  check_path(ErrorId::cannot_write, writer_, path_);
  target_ = resolve_target();
  open_temporary();
}

// Creates a new file and never opens an existing one. The replacement of a private file must be private from the start.
void AtomicFile::open_temporary() {
  struct stat replaced {};
  const mode_t mode = stat(target_.c_str(), &replaced) == 0 ? 0600 : 0666;
  int descriptor = -1;
  do {
    temporary_ = temporary_name(target_);
    descriptor = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  } while (descriptor < 0 && errno == EEXIST);
  if (descriptor >= 0) file_ = fdopen(descriptor, "wb");
  if (!file_) fail(std::strerror(errno), "check that the folder exists and can be written");
}

// Called last, since the permissions of the replaced file may have changed meanwhile.
void AtomicFile::take_over_permissions() const {
  struct stat replaced {};
  const int descriptor = fileno(file_);
  if (stat(target_.c_str(), &replaced) != 0) return;
  mode_t mode = replaced.st_mode & 0777;
  // Only root can change the owner. If the group cannot be kept, the new group must not get the old one's permissions.
  if (fchown(descriptor, replaced.st_uid, replaced.st_gid) != 0 &&
      fchown(descriptor, static_cast<uid_t>(-1), replaced.st_gid) != 0) {
    mode = (mode & ~mode_t{070}) | (mode & (mode << 3) & 070);
  }
  // On a file system without modes, the file keeps the private mode that it was created with.
  static_cast<void>(fchmod(descriptor, mode) == 0);
}

AtomicFile::~AtomicFile() {
  if (file_) std::fclose(file_);
  if (!done_) std::remove(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t size) {
  if (size > 0 && std::fwrite(data, 1, size, file_) != size) fail(std::strerror(errno), "free some disk space");
}

void AtomicFile::finish() {
  take_over_permissions();
  const bool flushed = std::fflush(file_) == 0 && fsync(fileno(file_)) == 0;
  std::FILE* file = std::exchange(file_, nullptr);
  if (std::fclose(file) != 0 || !flushed || std::rename(temporary_.c_str(), target_.c_str()) != 0)
    fail(std::strerror(errno), "check the disk and the permissions");
  done_ = true;
}

}  // namespace lockstep
