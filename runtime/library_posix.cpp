#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "runtime/library.h"

namespace lockstep {
namespace {

// Checks that the file contains all parts that its ELF headers declare. Returns the error, or an empty text if the file
// is complete or not an ELF file. dlopen maps the parts without this check, and an access beyond the end of a file
// raises SIGBUS.
std::string missing_part(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  ElfW(Ehdr) header{};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return "";
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(ElfW(Phdr))) return "";
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(path, error);
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) part{};
    const bool whole = file.read(reinterpret_cast<char*>(&part), sizeof part) &&
                       (part.p_type != PT_LOAD || (part.p_offset <= size && part.p_filesz <= size - part.p_offset));
    if (!whole) return "the file is cut off: it ends after " + std::to_string(size) + " bytes, inside of a segment";
  }
  return "";
}

}  // namespace

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
  if (path.find('\0') != std::string::npos) {
    reason = "its path has a NUL byte";  // the system would open the file that the part before it names
    return library;
  }
  // Opening another kind of file may block for ever, such as a pipe without a writer. dlopen reports missing files.
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    reason = std::filesystem::is_directory(status) ? "it is a folder, not a file" : "it is not a regular file";
    return library;
  }
  reason = missing_part(path);
  if (!reason.empty()) return library;
  library.handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library.handle_) {
    const char* text = dlerror();
    reason = text ? text : "dlopen failed without a reason";
  }
  return library;
}

void* SharedLibrary::symbol(const char* name) const { return handle_ ? dlsym(handle_, name) : nullptr; }

void* SharedLibrary::function(const char* name) const {
  void* address = symbol(name);
  Dl_info info{};
  const ElfW(Sym)* entry = nullptr;
  void** const out = reinterpret_cast<void**>(const_cast<ElfW(Sym)**>(&entry));
  if (address && dladdr1(address, &info, out, RTLD_DL_SYMENT) != 0 && entry) {
    const unsigned type = ELF64_ST_TYPE(entry->st_info);
    if (type == STT_OBJECT || type == STT_TLS) return nullptr;
  }
  return address;
}

std::string own_folder() {
  Dl_info info{};
  void* found = nullptr;
  if (dladdr1(reinterpret_cast<const void*>(&own_folder), &info, &found, RTLD_DL_LINKMAP) == 0 || !found) return "";
  // The loader has no name for the program itself; dladdr() returns argv[0], which need not be a path: a shell that
  // finds a program in PATH gives it the bare name.
  const char* const name = static_cast<const link_map*>(found)->l_name;
  std::error_code error;
  const auto path = std::filesystem::canonical(*name ? name : "/proc/self/exe", error);
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

bool is_main_thread() { return syscall(SYS_gettid) == getpid(); }

void on_fork_in_child(void (*handler)()) { pthread_atfork(nullptr, nullptr, handler); }

}  // namespace lockstep
