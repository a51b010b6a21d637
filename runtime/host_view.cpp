#include "lockstep/host_view.h"

#include <algorithm>
#include <new>
#include <optional>
#include <string>

#include "lockstep/error.h"
#include "runtime/caller.h"
#include "runtime/device_state.h"
#include "runtime/enums.h"
#include "runtime/forked.h"
#include "runtime/tensor_mapping.h"

namespace lockstep {
namespace {

// Aligned for vector instructions: some readers of DLPack copy arrays that are aligned to less.
constexpr std::align_val_t copy_alignment{64};

struct FreeAligned {
  void operator()(std::byte* memory) const { ::operator delete(memory, copy_alignment); }
};
using HostMemory = std::unique_ptr<std::byte, FreeAligned>;

HostMemory allocate_host(const TensorImpl& impl, std::size_t bytes, CallSite where) {
  HostMemory memory(static_cast<std::byte*>(::operator new(bytes, copy_alignment, std::nothrow)));
  if (memory) return memory;
  host_out_of_memory("HostView", bytes)
      .line("tensor", describe(impl))
      .at(where)
      .fix("view a part of it: slice it first")
      .raise();
}

[[noreturn]] void fail_copy_needed(const TensorImpl& impl, CallSite where) {
  ErrorBuilder(ErrorId::copy_needed, "HostView", "the host does not see the memory of " + impl.device->name())
      .line("tensor", describe(impl))
      .at(where)
      .fix("allow a copy: CopyPolicy::if_needed")
      .raise();
}

}  // namespace

struct HostView::State {
  TensorSpec spec;
  std::int64_t strides[max_rank] = {};  // in elements
  bool dense = true;
  const void* data = nullptr;
  bool is_copy = false;                  // a copy was asked for or needed
  HostMemory copy;                       // if it is one and has elements
  TensorRef shared;                      // else the tensor that is mapped
  std::optional<TensorMapping> mapping;  // ends before `shared` does

  // The contents are complete, and no later command writes the block while `shared` refers to it.
  void map(TensorImpl& impl, CallSite where) {
    wait_for_contents(*impl.block, where);
    mapping.emplace(impl, DriverCall{"HostView", &where});
    shared = TensorRef::share(&impl);
    data = mapping->data();
    dense = impl.dense;
    std::copy_n(impl.strides, impl.shape.rank(), strides);
  }

  void read_copy(TensorImpl& impl, CallSite where) {
    // A view of few elements may stand for more than fit into memory, as its dense copy on the device must.
    if (!impl.dense) check_size(*impl.device, spec, {.label = "HostView", .where = &where});
    const TensorRef source = impl.dense ? TensorRef::share(&impl) : completed_dense_copy(impl, where);
    is_copy = true;
    copy = allocate_host(impl, static_cast<std::size_t>(spec.bytes()), where);
    read_dense(*source, copy.get(), where);
    data = copy.get();
  }
};

HostView::HostView(const Tensor& tensor, CopyPolicy copy, CallSite where) {
  check_not_forked();
  const CallerScope caller(where);
  check_enum(copy, CopyPolicy::never, "copy policy", "HostView", where);
  TensorImpl& impl = *tensor.impl(where);
  check_concrete(impl, "HostView", where);
  report_value_read(impl, "HostView", where);
  const auto state = std::make_shared<State>();
  state->spec = {impl.dtype, impl.shape};
  fill_dense_strides(impl.shape, state->strides);
  state->is_copy = copy == CopyPolicy::always;
  if (!impl.shape.is_empty()) {
    if (copy != CopyPolicy::always && impl.device->host_visible()) {
      state->map(impl, where);
    } else if (copy == CopyPolicy::never) {
      fail_copy_needed(impl, where);
    } else {
      state->read_copy(impl, where);
    }
  }
  state_ = std::shared_ptr<const State>(state);
}

DType HostView::dtype(CallSite where) const { return state_.at(where).spec.dtype; }
const Shape& HostView::shape(CallSite where) const { return state_.at(where).spec.shape; }
const void* HostView::data(CallSite where) const { return state_.at(where).data; }
bool HostView::is_dense(CallSite where) const { return state_.at(where).dense; }
bool HostView::is_copy(CallSite where) const { return state_.at(where).is_copy; }

std::span<const std::int64_t> HostView::strides(CallSite where) const {
  const State& state = state_.at(where);
  return {state.strides, static_cast<std::size_t>(state.spec.shape.rank())};
}

const void* HostView::dense_data(DType as, CallSite where) const {
  const State& state = state_.at(where);
  if (state.spec.dtype != as) {
    raise(ErrorId::wrong_element_type, "HostView",
          "elements are " + std::string(name_of(state.spec.dtype)) + ", not " + std::string(name_of(as)),
          "read them as " + std::string(name_of(state.spec.dtype)), where);
  }
  if (!state.dense) {
    raise(ErrorId::invalid_use, "HostView", "the elements of " + state.spec.shape.to_string() + " are not dense",
          "use data() and strides(), or make the view with CopyPolicy::always", where);
  }
  return state.data;
}

}  // namespace lockstep
