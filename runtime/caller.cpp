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

CallSite user_line(CallSite where) {
  const CallSite caller = thread_state().caller;
  return !caller.is_empty() && is_library_line(where) ? caller : where;
}

bool is_library_line(CallSite where) {
  return where.is_external() ? is_external_library_line(where) : is_of_library(where.cpp().file_name());
}

}  // namespace lockstep
