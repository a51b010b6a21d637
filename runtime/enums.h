// Checks for enum values that callers may have created by a cast.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "lockstep/call_site.h"
#include "lockstep/error.h"
#include "runtime/caller.h"

namespace lockstep {

/// Throws ShapeError LS2007 if `value` is above `last`. The enum must count from 0; `what` names it.
template <class E>
void check_enum(E value, E last, std::string_view what, std::string_view op, CallSite where = {}) {
  static_assert(std::is_unsigned_v<std::underlying_type_t<E>>);
  if (value <= last) return;
  ErrorBuilder error(ErrorId::invalid_attribute, op,
                     std::to_string(static_cast<unsigned>(value)) + " is not a valid " + std::string(what));
  if (!where.is_empty() && !is_library_line(where)) error.at(where);
  error.fix("use the names that the enum has").raise();
}

}  // namespace lockstep
