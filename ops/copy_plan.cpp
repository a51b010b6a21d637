#include "ops/copy_plan.h"

#include <algorithm>
#include <deque>

#include "ops/built_in.h"
#include "ops/call_error.h"
#include "ops/call_into.h"
#include "ops/observer.h"

namespace lockstep {
namespace {

void fill(const TensorImpl& tensor, const Scalar& number, const OpCall& call, DeviceState& device) {
  check_known(call, number);
  CommandQueue& queue = device.queue();
  const std::uint64_t pattern = scalar_bits(number, abi_dtype(tensor.dtype));
  const std::uint64_t bytes = static_cast<std::uint64_t>(tensor.shape.size()) * size_of(tensor.dtype);
  Block& block = *tensor.block;
  block.write_value = queue.fill(block, 0, bytes, pattern, static_cast<std::uint32_t>(size_of(tensor.dtype)),
                                 {.op = call.op.name.c_str(), .where = call.where, .scope = current_scope()});
  block.write_queue = queue.is_inline() ? nullptr : &queue;
}

TensorRef view_of(const TensorRef& whole, const ViewLayout& place) {
  TensorRef view = TensorRef::adopt(new TensorImpl);
  view->dtype = whole->dtype;
  view->id = next_tensor_id();
  view->device = whole->device;
  view->block = whole->block;
  view->offset = place.offset;
  view->shape = place.shape;
  std::copy_n(place.strides, max_rank, view->strides);
  view->dense = strides_are_dense(view->shape, view->strides);
  return view;
}

// A call of `copy` that writes one piece, with what it points to.
struct PlannedCopy {
  PlannedCopy(const OpDef& copy, const Operand& from, TensorRef to, const CallTypes& types, CallSite where)
      : operand(from),
        target(std::move(to)),
        call{copy, std::span(&operand, 1), nullptr, {}, where},
        into(call, types, *target->device, std::span(&target, 1)) {}
  PlannedCopy(const PlannedCopy&) = delete;
  PlannedCopy& operator=(const PlannedCopy&) = delete;

  const Operand operand;
  const TensorRef target;
  const OpCall call;
  CallInto into;
};

}  // namespace

TensorRef run_copies(const OpCall& call, DeviceState& device, const TensorSpec& spec) {
  static const OpDef& copy = built_in("copy");
  const CopyPlan plan = call.op.copy_plan(call, spec.shape);
  TensorRef whole = make_tensor(device, spec.dtype, spec.shape, {.label = call.op.name.c_str(), .where = &call.where});
  if (plan.fill) fill(*whole, *plan.fill, call, device);

  const CallTypes types(spec.dtype);
  const PauseObservers pause;      // they are notified of the op, not of its copies
  std::deque<PlannedCopy> copies;  // not movable
  std::vector<CallInto*> unit;
  for (const CopyPlan::Copy& part : plan.copies) {
    if (part.place.shape.size() == 0) continue;
    PlannedCopy& made =
        copies.emplace_back(copy, call.inputs[part.input], view_of(whole, part.place), types, call.where);
    unit.push_back(&made.into);
  }
  CallInto::submit(unit);
  return whole;
}

}  // namespace lockstep
