#include "lockstep/handle.h"

#include <string>

#include "lockstep/error.h"
#include "runtime/caller.h"

namespace lockstep {

void fail_moved_from(std::string_view what, CallSite where) {
  ErrorBuilder error(ErrorId::invalid_use, what, "the " + std::string(what) + " was moved from and holds nothing");
  if (!where.is_empty() && !is_library_line(where)) error.at(where);
  error.fix("copy it instead of moving it, or assign it another one first").raise();
}

}  // namespace lockstep
