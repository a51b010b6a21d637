// HandlePointer: the pointer inside handles such as Variable. Use of a handle that was moved from throws.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include "lockstep/call_site.h"
#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

/// Throws StateError LS1008, which says that the `what`, such as "tensor", was moved from.
[[noreturn]] void fail_moved_from(std::string_view what, CallSite where);

template <std::size_t N>
struct HandleName {
  constexpr HandleName(const char (&name)[N]) {  // NOLINT: implicit, so that a literal is enough
    for (std::size_t i = 0; i < N; ++i) text[i] = name[i];
  }
  char text[N] = {};
};

/// A unique_ptr or shared_ptr that throws if it is dereferenced while it is null.
template <class Pointer, HandleName name>
class HandlePointer {
 public:
  HandlePointer() = default;
  HandlePointer(Pointer pointer) : pointer_(std::move(pointer)) {}  // NOLINT: implicit, as a pointer would be

  /// Throws StateError LS1008 if the handle was moved from.
  void check(CallSite where) const {
    if (!pointer_) fail_moved_from(name.text, where);
  }
  auto& at(CallSite where) const {
    check(where);
    return *pointer_;
  }
  auto& operator*() const { return at(CallSite()); }
  auto* operator->() const {
    check(CallSite());
    return pointer_.get();
  }
  auto* get() const { return pointer_.get(); }
  explicit operator bool() const { return static_cast<bool>(pointer_); }
  friend bool operator==(const HandlePointer& a, const HandlePointer& b) { return a.pointer_ == b.pointer_; }

 private:
  Pointer pointer_;
};

}  // namespace lockstep
