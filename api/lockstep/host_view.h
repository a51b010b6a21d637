// HostView: a tensor's elements in host memory, read-only, without a copy where that is possible.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "lockstep/call_site.h"
#include "lockstep/dtype.h"
#include "lockstep/export.h"
#include "lockstep/handle.h"
#include "lockstep/shape.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

/// Whether elements are copied when Lockstep and other code exchange an array. The names follow `copy=None`,
/// `copy=True` and `copy=False` of the Python array API.
enum class CopyPolicy : std::uint8_t {
  if_needed,  // memory is shared where both sides can use it
  always,
  never  // throws UnsupportedError LS6003 if a copy is needed
};

/// The elements of a tensor in host memory, for reading only. Nothing is copied if the host sees the device's memory
/// (`cpu`, `reference`, integrated GPUs). Elsewhere the view has a dense copy in host memory.
///
/// The view keeps its memory alive. What it shows never changes: a variable that is updated meanwhile gets new memory.
/// Copies of a view share the memory. Several threads may read one view.
class HostView {
 public:
  /// Waits for the elements. A failure of the command that writes them is thrown here (docs/errors.md). Throws
  /// TraceError LS4101 for an abstract tensor, UnsupportedError LS6003 if a copy is needed and `copy` is `never`, and
  /// OutOfMemoryError LS5001 if a copy does not fit into host memory.
  explicit HostView(const Tensor& tensor, CopyPolicy copy = CopyPolicy::if_needed,
                    CallSite where = CallSite::current());

  DType dtype(CallSite where = CallSite::current()) const;
  const Shape& shape(CallSite where = CallSite::current()) const;
  /// The distance between neighbours along each dimension, in elements. 0 along a dimension that was broadcast. A view
  /// of the tensor's own memory has the tensor's strides; a copy is dense.
  std::span<const std::int64_t> strides(CallSite where = CallSite::current()) const;
  /// The first element; nullptr if there are no elements. bool elements are bytes, 0 or 1.
  const void* data(CallSite where = CallSite::current()) const;
  /// Whether the elements are in row-major order without gaps.
  bool is_dense(CallSite where = CallSite::current()) const;
  /// Whether the view has a copy of the elements.
  bool is_copy(CallSite where = CallSite::current()) const;

  /// All elements of a dense view in row-major order, valid while a copy of this view exists. Throws DTypeError LS2103
  /// if T does not match the dtype, StateError LS1008 if the view is not dense.
  template <Element T>
  std::span<const T> elements(CallSite where = CallSite::current()) const {
    const void* first = dense_data(DTypeOf<T>::value, where);
    return {static_cast<const T*>(first), static_cast<std::size_t>(shape(where).size())};
  }

  struct LOCKSTEP_HIDDEN State;

 private:
  const void* dense_data(DType as, CallSite where) const;

  HandlePointer<std::shared_ptr<const State>, "host view"> state_;
};

}  // namespace lockstep
