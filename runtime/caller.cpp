#include "runtime/caller.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace lockstep {
namespace {

// The root folder of the library's sources, as it was passed to the compiler.
std::string_view source_root() {
  constexpr std::string_view here = __FILE__, own = "runtime/caller.cpp";
  static_assert(here.ends_with(own));
  return here.substr(0, here.size() - own.size());
}

bool is_of_library(std::string_view file) {
  if (!file.starts_with(source_root()) || file.ends_with("_test.cpp")) return false;
  file.remove_prefix(source_root().size());
  static constexpr std::array folders = {"api/", "runtime/", "ops/", "autodiff/", "nn/"};
  return std::any_of(folders.begin(), folders.end(), [&](std::string_view f) { return file.starts_with(f); });
}

}  // namespace

std::source_location user_line(const std::source_location& where) {
  const std::source_location* caller = thread_state().caller;
  return caller && is_of_library(where.file_name()) ? *caller : where;
}

bool is_library_line(const std::source_location& where) { return is_of_library(where.file_name()); }

}  // namespace lockstep
