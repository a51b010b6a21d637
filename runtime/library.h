// Shared libraries: the one thing here that differs by operating system (library_posix.cpp).
#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// An open shared library; closed by the destructor unless released or pinned.
class SharedLibrary {
 public:
  SharedLibrary() = default;
  ~SharedLibrary();
  SharedLibrary(SharedLibrary&& other) noexcept;
  SharedLibrary& operator=(SharedLibrary&& other) noexcept;

  /// Opens with all symbols bound and none made global. On failure returns a closed library and fills `reason`.
  static SharedLibrary open(const std::string& path, std::string& reason);

  explicit operator bool() const { return handle_ != nullptr; }
  void* symbol(const char* name) const;
  /// The same, null for what is data.
  void* function(const char* name) const;
  /// Never close it: its threads or exit handlers may still run.
  void pin() { handle_ = nullptr; }

 private:
  void* handle_ = nullptr;
};

/// The folder that this library (or the program, if linked into it) lies in.
std::string own_folder();

/// Files in `folder` that look like driver libraries, sorted by name.
std::vector<std::string> driver_files_in(const std::string& folder);

/// The file-name pattern of driver libraries, for messages.
const char* driver_file_pattern();

/// Calls `handler` in every forked child.
void on_fork_in_child(void (*handler)());

bool is_main_thread();

}  // namespace lockstep
