// Tensors as DLPack arrays.
#include <algorithm>
#include <memory>

#include "lockstep/dlpack.h"
#include "lockstep/dlpack_abi.h"
#include "runtime/dlpack_types.h"

namespace lockstep {
namespace {

// An array with what it refers to.
template <class Managed>
struct Exported {
  explicit Exported(HostView v) : view(std::move(v)) {
    std::copy_n(view.strides().begin(), view.strides().size(), strides);
    for (int d = 0; d < view.shape().rank(); ++d) shape[d] = view.shape()[d];
    managed.dl_tensor = {.data = const_cast<void*>(view.data()),
                         .device = {dlpack::cpu, 0},
                         .ndim = view.shape().rank(),
                         .dtype = dlpack_type(view.dtype()),
                         .shape = shape,
                         .strides = strides,
                         .byte_offset = 0};
    managed.manager_ctx = this;
    managed.deleter = [](Managed* self) { delete static_cast<Exported*>(self->manager_ctx); };
  }

  Managed managed{};
  HostView view;
  std::int64_t shape[max_rank] = {};
  std::int64_t strides[max_rank] = {};
};

std::uint64_t flags_of(const HostView& view) {
  if (view.is_copy()) return dlpack::copied_flag;
  if (view.data()) return dlpack::read_only_flag;
  return 0;  // without elements nothing is shared
}

}  // namespace

DLManagedTensorVersioned* to_dlpack(const Tensor& tensor, CopyPolicy copy, CallSite where) {
  auto exported = std::make_unique<Exported<DLManagedTensorVersioned>>(HostView(tensor, copy, where));
  exported->managed.version = {dlpack::major_version, dlpack::minor_version};
  exported->managed.flags = flags_of(exported->view);
  return &exported.release()->managed;
}

DLManagedTensor* to_dlpack_unversioned(const Tensor& tensor, CallSite where) {
  return &std::make_unique<Exported<DLManagedTensor>>(HostView(tensor, CopyPolicy::always, where)).release()->managed;
}

}  // namespace lockstep
