#include "ops/copy_plan.h"

#include <algorithm>
#include <deque>

#include "ops/built_in.h"
#include "ops/call_into.h"
#include "ops/observer.h"

namespace lockstep {
namespace {

void fill(const TensorImpl& tensor, const Scalar& number, const OpCall& call, DeviceState& device) {
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

}  // namespace

TensorRef run_copies(const OpCall& call, DeviceState& device, const TensorSpec& spec) {
  static const OpDef& copy = built_in("copy");
  const CopyPlan plan = call.op.copy_plan(call, spec.shape);
  TensorRef whole = make_tensor(device, spec.dtype, spec.shape, {.label = call.op.name.c_str(), .where = &call.where});
  if (plan.fill) fill(*whole, *plan.fill, call, device);

  // In deques, because a call refers to its operand and its target, and CallInto to the call.
  std::deque<Operand> operands;
  std::deque<TensorRef> targets;
  std::deque<OpCall> calls;
  std::deque<CallInto> pieces;
  std::vector<CallInto*> unit;
  const CallTypes types(spec.dtype);
  const PauseObservers pause;  // they are notified of the op, not of its copies
  for (const CopyPlan::Piece& piece : plan.pieces) {
    if (piece.place.shape.size() == 0) continue;
    operands.push_back(call.inputs[piece.input]);
    targets.push_back(view_of(whole, piece.place));
    calls.push_back({copy, std::span(&operands.back(), 1), nullptr, {}, call.where});
    unit.push_back(&pieces.emplace_back(calls.back(), types, device, std::span(&targets.back(), 1)));
  }
  CallInto::submit(unit);
  return whole;
}

}  // namespace lockstep
