#include "lockstep/variable.h"

#include <algorithm>
#include <atomic>

#include "autodiff/variable_impl.h"
#include "lockstep/error.h"
#include "lockstep/ops/math.h"
#include "ops/built_in.h"
#include "ops/call_into.h"
#include "runtime/device_state.h"

namespace lockstep {
namespace {

std::uint64_t next_variable_id() {
  static std::atomic<std::uint64_t> next{1};
  return next++;
}

// The same memory under a new tensor id.
TensorRef alias_of(const TensorImpl& tensor, std::shared_ptr<const VariableInfo> info) {
  TensorRef alias = TensorRef::adopt(new TensorImpl);
  alias->dtype = tensor.dtype;
  alias->id = next_tensor_id();
  alias->device = tensor.device;
  alias->block = tensor.block;
  alias->offset = tensor.offset;
  alias->shape = tensor.shape;
  fill_dense_strides(tensor.shape, alias->strides);
  alias->variable = std::move(info);
  return alias;
}

void check_fits(const VariableImpl& variable, const Tensor& value, const char* op, CallSite where) {
  const TensorImpl& present = variable.value();
  if (value.is_abstract(where)) {
    ErrorBuilder(ErrorId::symbolic_value, op, "the value is abstract and has no elements")
        .line("value", value.describe())
        .line("variable", describe(present))
        .at(where)
        .fix("give a tensor with elements")
        .raise();
  }
  const bool same_dtype = value.dtype() == present.dtype;
  if (same_dtype && value.shape() == present.shape) return;
  ErrorBuilder(same_dtype ? ErrorId::shapes_differ : ErrorId::dtypes_differ, op,
               "a variable keeps its shape and dtype: " + std::string(name_of(present.dtype)) + " " +
                   present.shape.to_string() + ", given " + std::string(name_of(value.dtype())) + " " +
                   value.shape().to_string())
      .line("value", value.describe())
      .line("variable", describe(present))
      .at(where)
      .fix("give a value of that shape and dtype, or make a new Variable")
      .raise();
}

}  // namespace

VariableImpl::VariableImpl(const Tensor& initial, std::string name, bool trainable)
    : info_(std::make_shared<VariableInfo>(VariableInfo{next_variable_id(), std::move(name), trainable})) {
  replace(TensorRef::share(initial.impl()));
}

void VariableImpl::replace(const TensorRef& tensor) {
  // A slice is copied even if it is dense, because it would keep its whole block alive.
  const auto bytes = static_cast<std::uint64_t>(TensorSpec{tensor->dtype, tensor->shape}.bytes());
  const bool own_block = tensor->block->requested <= std::max<std::uint64_t>(bytes, 1);
  const TensorRef dense = tensor->dense && own_block ? tensor : make_dense_copy(*tensor, CallSite::current());
  TensorRef next = alias_of(*dense, info_);
  std::vector<TensorRef> undone;  // destroyed without the lock
  {
    // The undo, should it run at once, comes after the change that it undoes.
    const LockGuard lock(mutex_);
    if (held_) {
      CommandQueue& queue = held_->device->queue();
      undone_with_ = queue.undo_if_failed([self = weak_from_this(), old = held_] {
        if (const auto variable = self.lock()) variable->put_back(old);
      });
      undone_by_ = undone_with_ ? &queue : nullptr;
    }
    hold(next, undone);
  }
  dense->device->allocator().set_owner(dense->block.get(), MemoryOwner::variables, intern_scope(nullptr, info_->name));
}

// Exchanges the value for `next`, which the caller destroys after it has released the lock, with `undone`.
void VariableImpl::hold(TensorRef& next, std::vector<TensorRef>& undone) {
  std::swap(held_, next);
  value_.store(held_.get(), std::memory_order_release);
  undone.swap(undone_);
}

void VariableImpl::put_back(const TensorRef& value) {
  const LockGuard lock(mutex_);
  undone_.push_back(held_);
  held_ = value;
  value_.store(held_.get(), std::memory_order_release);
}

void VariableImpl::replace_by_sound(const TensorRef& tensor) {
  TensorRef old = TensorRef::share(&value());
  // This stream's failures are undone. Another one's would leave the variable without contents.
  const CommandQueue* writer = tensor->block->write_queue;
  if (writer && writer != &tensor->device->queue()) wait_for_contents(*tensor->block, CallSite::current());
  replace(tensor);
  try {
    check_contents(value());  // after replace(), so that a failure found later is undone
  } catch (...) {
    std::vector<TensorRef> undone;
    const LockGuard lock(mutex_);
    hold(old, undone);
    throw;
  }
}

void VariableImpl::renew() {
  TensorRef next;
  std::vector<TensorRef> undone;
  {
    const LockGuard lock(mutex_);
    next = alias_of(*held_, info_);
    hold(next, undone);
  }
  const BlockWrite write = last_write(*value().block);
  undone_by_ = write.queue;
  undone_with_ = write.value;
}

void VariableImpl::note_undo(CommandQueue& queue, std::uint64_t value) {
  if (queue.is_inline()) return;
  undone_by_ = &queue;
  undone_with_ = value;
}

void VariableImpl::settle(CallSite where) const {
  if (undone_by_ && undone_by_ != &value().device->queue()) undone_by_->settle(undone_with_, &where);
}

bool VariableImpl::owns_memory() const {
  const TensorImpl& present = value();
  return present.refs.load(std::memory_order_acquire) == 1 && present.block.unique();
}

Variable::Variable(const Tensor& initial, std::string name, bool trainable) {
  check_not_forked();
  if (initial.is_abstract()) {
    ErrorBuilder(ErrorId::symbolic_value, "Variable", "an abstract tensor cannot be the value of a variable")
        .fix("give a tensor with elements, such as zeros(shape)")
        .raise();
  }
  impl_ = std::make_shared<VariableImpl>(initial, std::move(name), trainable);
}

Tensor Variable::read(CallSite where) const { return Tensor::share(&impl(where).value()); }

void Variable::assign(const Tensor& value, CallSite where) const {
  check_not_forked();
  check_fits(impl(where), value, "assign", where);
  impl_->settle(where);
  check_contents(*value.impl());
  static const OpDef& copy = built_in("copy");
  const Operand operand(value, where);
  const OpCall call{copy, std::span(&operand, 1), nullptr, {}, where};
  const bool same_device = value.device() == device();
  if (same_device && impl_->owns_memory()) {
    const TensorRef target = TensorRef::share(&impl_->value());
    const CallTypes types(value.dtype());
    CallInto::run(call, types, *target->device, std::span(&target, 1), CallInto::OnFailure::old_contents);
    impl_->renew();
    return;
  }
  const std::vector<TensorRef> before = copies_for_observers(call);
  impl_->replace_by_sound(TensorRef::share((same_device ? value : value.to(device(), where)).impl()));
  const TensorRef now = TensorRef::share(&impl_->value());
  notify_of_update(call, before, std::span(&now, 1));
}

void Variable::assign_add(const Tensor& amount, CallSite where) const {
  check_not_forked();
  check_fits(impl(where), amount, "assign_add", where);
  const Tensor sum = [&] {
    const PauseObservers pause;
    return add({*this, where}, {amount, where});
  }();
  assign(sum, where);
}

const std::string& Variable::name(CallSite where) const { return impl(where).info().name; }
bool Variable::trainable(CallSite where) const { return impl(where).info().trainable; }
const Shape& Variable::shape(CallSite where) const { return impl(where).value().shape; }
DType Variable::dtype(CallSite where) const { return impl(where).value().dtype; }
Device Variable::device(CallSite where) const { return impl(where).value().device->device(); }
std::uint64_t Variable::id(CallSite where) const { return impl(where).info().id; }

Operand::Operand(const Variable& variable, CallSite at) : impl_(&variable.impl(at).value()), where_(at) {}

}  // namespace lockstep
