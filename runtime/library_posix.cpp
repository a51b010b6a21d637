#include <dlfcn.h>
#include <pthread.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "runtime/library.h"

namespace lockstep {

SharedLibrary::~SharedLibrary() {
  if (handle_) dlclose(handle_);
}

SharedLibrary::SharedLibrary(SharedLibrary&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

SharedLibrary& SharedLibrary::operator=(SharedLibrary&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

SharedLibrary SharedLibrary::open(const std::string& path, std::string& reason) {
  SharedLibrary library;
  // Opening anything else may never return, as with a pipe that nobody writes to. What is not there, dlopen reports.
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    reason = std::filesystem::is_directory(status) ? "it is a folder, not a file" : "it is not a regular file";
    return library;
  }
  library.handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library.handle_) {
    const char* text = dlerror();
    reason = text ? text : "dlopen failed without a reason";
  }
  return library;
}

void* SharedLibrary::symbol(const char* name) const { return handle_ ? dlsym(handle_, name) : nullptr; }

std::string own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || !info.dli_fname) return "";
  std::error_code error;
  const auto path = std::filesystem::canonical(info.dli_fname, error);
  return error ? "" : path.parent_path().string();
}

const char* driver_file_pattern() { return "liblockstep_driver_*.so"; }

std::vector<std::string> driver_files_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("liblockstep_driver_") && name.ends_with(".so")) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());  // directory order is arbitrary
  return files;
}

void on_fork_in_child(void (*handler)()) { pthread_atfork(nullptr, nullptr, handler); }

}  // namespace lockstep
