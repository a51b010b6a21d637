// Shared libraries and processes: the only parts that depend on the operating system (library_posix.cpp).
#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// An open shared library. The destructor closes it unless it was pinned.
class SharedLibrary {
 public:
  SharedLibrary() = default;
  ~SharedLibrary();
  SharedLibrary(SharedLibrary&& other) noexcept;
  SharedLibrary& operator=(SharedLibrary&& other) noexcept;

  /// Opens a library, binds all its symbols and makes none of them global. On failure, returns a closed library and
  /// sets `reason`.
  static SharedLibrary open(const std::string& path, std::string& reason);

  explicit operator bool() const { return handle_ != nullptr; }
  void* symbol(const char* name) const;
  /// The same, but nullptr if the symbol is data.
  void* function(const char* name) const;
  /// Prevents the library from being closed: its threads or exit handlers may still run.
  void pin() { handle_ = nullptr; }

 private:
  void* handle_ = nullptr;
};

/// The folder of this library, or of the program that it is linked into.
std::string own_folder();

/// Files in `folder` that look like driver libraries, sorted by name.
std::vector<std::string> driver_files_in(const std::string& folder);

/// The file-name pattern of driver libraries, for messages.
const char* driver_file_pattern();

/// Calls `handler` in every forked child.
void on_fork_in_child(void (*handler)());

bool is_main_thread();

}  // namespace lockstep
