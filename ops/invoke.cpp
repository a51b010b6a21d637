// Every op call that makes its results passes through this file: dtypes, casts and numbers, infer, then the first route
// of the table "The route of a call" in docs/architecture.md whose condition holds. Afterwards the observers of the
// thread (tapes) are notified.
#include <algorithm>

#include "lockstep/ops/shape.h"
#include "ops/call_error.h"
#include "ops/copy_plan.h"
#include "ops/host_kernel.h"
#include "ops/infer.h"
#include "ops/invoke.h"
#include "ops/launch.h"
#include "ops/placement.h"
#include "ops/promote.h"
#include "runtime/inline_vector.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

constexpr std::size_t usual_outputs = 8;  // at most; a variable number may be more

// An empty view gets the layout of a new tensor. Its strides and offset are never used, but the driver and the kernel
// cache must agree that it is dense.
ViewLayout empty_view(const ViewLayout& input, const Shape& shape) {
  ViewLayout view{shape, {}, input.offset};
  fill_dense_strides(shape, view.strides);
  return view;
}

TensorRef share_memory(const OpCall& call, const TensorSpec& spec, const ViewLayout& view) {
  const TensorImpl& input = *call.inputs[0].impl();
  TensorRef out = TensorRef::adopt(new TensorImpl);
  out->dtype = spec.dtype;
  out->id = next_tensor_id();
  out->device = input.device;
  out->block = input.block;
  out->offset = view.offset;
  out->shape = spec.shape;
  std::copy_n(view.strides, max_rank, out->strides);
  out->dense = strides_are_dense(out->shape, out->strides);
  out->producer = call.op.name.c_str();
  out->scope = current_scope();
  return out;
}

// Returns false if an output needs a copy. Then the outputs that are set already are overwritten by another route.
bool invoke_view(const OpCall& call, std::span<const TensorSpec> specs, std::span<TensorRef> outputs) {
  const TensorImpl& input = *call.inputs[0].impl();
  ViewLayout layout{input.shape, {}, input.offset};
  std::copy_n(input.strides, max_rank, layout.strides);
  for (std::size_t o = 0; o < specs.size(); ++o) {
    const Shape& shape = specs[o].shape;
    const std::optional<ViewLayout> view =
        shape.is_empty() ? empty_view(layout, shape) : call.op.view(call, layout, shape, o);
    if (!view) return false;
    outputs[o] = share_memory(call, specs[o], *view);
  }
  return true;
}

// The other routes refuse a number that is known only at launch when they read it. This one reads none.
void check_numbers(const OpCall& call) {
  for (const Operand& operand : call.inputs) {
    if (operand.is_scalar()) check_known(call, operand.scalar());
  }
  for (const Scalar& number : call.scalars) check_known(call, number);
}

void make_empty_outputs(const OpCall& call, DeviceState& device, std::span<const TensorSpec> specs,
                        std::span<TensorRef> outputs) {
  for (std::size_t o = 0; o < specs.size(); ++o) {
    outputs[o] =
        make_tensor(device, specs[o].dtype, specs[o].shape, {.label = call.op.name.c_str(), .where = &call.where});
  }
}

// The result of a decomposition as `infer` describes it. Two symbolic extents that are equal may be written
// differently.
std::optional<Tensor> fitted(const Tensor& result, const TensorSpec& spec, CallSite where) {
  if (result.spec() == spec) return result;
  const Shape& shape = result.shape();
  if (result.dtype() != spec.dtype || shape.rank() != spec.shape.rank()) return std::nullopt;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!may_equal(shape.dim(i), spec.shape.dim(i))) return std::nullopt;
  }
  return reshape({result, where}, spec.shape);
}

// Tapes know tensors by their identity: the result of an op that they record must not be one of its operands.
TensorRef distinct(const OpCall& call, const Tensor& result) {
  const auto is_result = [&](const Operand& x) { return x.is_tensor() && x.impl() == result.impl(); };
  if (!call.op.gradient || std::none_of(call.inputs.begin(), call.inputs.end(), is_result)) {
    return TensorRef::share(result.impl());
  }
  PauseObservers unseen;
  return TensorRef::share(reshape({result, call.where}, result.shape()).impl());
}

// Returns false if the op refuses to decompose this call.
bool invoke_decomposed(const OpCall& call, std::span<const TensorSpec> specs, std::span<TensorRef> outputs) {
  DecomposeContext context(call, specs);
  if (call.op.gradient) {
    PauseObservers pause;  // tapes record the op, not its parts
    call.op.decompose(context);
  } else {
    call.op.decompose(context);
  }
  if (context.refused) return false;
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    const bool given = o < context.results.size() && context.results[o];
    const std::optional<Tensor> result = given ? fitted(*context.results[o], specs[o], call.where) : std::nullopt;
    if (!result) {
      raise_call_error(call, ErrorId::invalid_op_definition,
                       "the decomposition gives output " + std::to_string(o) + " other than `infer` says",
                       "correct the OpDef: set(" + std::to_string(o) + ", …) with " +
                           std::string(name_of(specs[o].dtype)) + " " + specs[o].shape.to_string());
    }
    outputs[o] = distinct(call, *result);
  }
  return true;
}

void fail_unsupported(const OpCall& call, DeviceState& device, const std::string& refusal) {
  raise_call_error(call, ErrorId::no_kernel,
                   device.name() + " has no kernel for it" + (refusal.empty() ? "" : ": " + refusal) +
                       ", and it has no decomposition",
                   "use another dtype or device; `lockstep devices` shows what each device has");
}

// A composite without a gradient rule of its own is differentiated through its parts. A composite with a variable
// number of outputs is not a kernel that a driver could have.
bool must_decompose(const OpCall& call) {
  if (!call.op.decompose) return false;
  if (call.op.count_outputs) return true;
  if (call.op.gradient || !op_observers().active()) return false;
  const auto observers = op_observers().watching();
  return std::any_of(observers.begin(), observers.end(), [&](const OpObserver* o) { return o->watches_any(call); });
}

// The same condition as check_size, in one inlined pass: with is_countable() and bytes() an eager add executes 1.5 %
// more instructions.
bool fits(const DeviceState& device, const TensorSpec& spec) {
  auto bytes = static_cast<std::int64_t>(size_of(spec.dtype));
  for (Dim d : spec.shape.dims()) {
    if (__builtin_mul_overflow(bytes, d.value(), &bytes)) return false;
  }
  return static_cast<std::uint64_t>(bytes) <= device.max_tensor_bytes();
}

void execute(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const TensorSpec> specs,
             std::span<TensorRef> outputs) {
  check_math_mode(call, device);
  if (all_empty(specs) && (has_host_kernel(call, device) || !must_decompose(call))) {
    check_numbers(call);
    return make_empty_outputs(call, device, specs, outputs);
  }
  // Checked before the runtime or the driver computes with these extents.
  for (const TensorSpec& spec : specs) {
    if (fits(device, spec)) continue;
    check_results(call, specs);
    check_size(device, spec, {.label = call.op.name.c_str(), .where = &call.where});
  }
  for (const Operand& operand : call.inputs) {
    if (!operand.is_tensor()) continue;
    check_contents(*operand.impl());
    // A pointwise op with an empty operand has returned above.
    if (!call.op.pointwise()) check_operand_size(call, *operand.impl());
  }
  if (has_host_kernel(call, device)) {
    if (promotes_host_kernel(call)) return invoke_promoted(call, specs, outputs);
    return run_host_kernel(call, device, specs, outputs);
  }
  if (call.op.copy_plan) {
    outputs[0] = run_copies(call, device, specs[0]);
    return;
  }
  KernelLookup refused;
  if (!must_decompose(call)) {
    PlannedCall planned(call, types, device, specs);
    planned.submit_before_others();
    if (planned.plan()) {
      Launch* const one[] = {&planned.launch()};
      Launch::submit(one, device);
      for (std::size_t o = 0; o < outputs.size(); ++o) outputs[o] = std::move(planned.outputs()[o]);
      return;
    }
    refused = planned.take_answer();
  }
  device.counters.decompositions.fetch_add(1, std::memory_order_relaxed);
  if (can_promote(call)) return invoke_promoted(call, specs, outputs);
  DeviceScope scope(device.device());  // the device of parts without inputs
  if (!call.op.decompose || !invoke_decomposed(call, specs, outputs)) {
    fail_unsupported(call, device, refused.refusal().text);
  }
}

// Describes the parts of a composite, so that tapes record them. Returns false if that needs more than is known: if the
// decomposition refuses the call, or reads elements or symbolic extents.
bool describe_parts(const OpCall& call, std::span<const TensorSpec> specs, std::span<TensorRef> outputs) {
  AbstractCallsScope describing;
  try {
    if (!can_promote(call)) return invoke_decomposed(call, specs, outputs);
    invoke_promoted(call, specs, outputs);
    return true;
  } catch (const TraceError&) {
    return false;  // the tape notes that the path ends here
  }
}

void describe_results(const OpCall& call, std::span<const TensorSpec> specs, std::span<TensorRef> outputs) {
  check_results(call, specs);
  if (must_decompose(call) && describe_parts(call, specs, outputs)) return;
  for (std::size_t o = 0; o < specs.size(); ++o) {
    outputs[o] = make_abstract(specs[o]);
    outputs[o]->producer = call.op.name.c_str();
  }
}

void carry_out(const OpCall& call, const CallTypes& types, std::span<const TensorSpec> specs,
               std::span<TensorRef> outputs) {
  const Placement placement = place(call);
  const auto symbolic = [](const TensorSpec& s) { return !s.shape.is_known(); };
  if (placement.abstract || std::any_of(specs.begin(), specs.end(), symbolic)) {
    return describe_results(call, specs, outputs);
  }
  if (call.op.view || call.op.host) check_results(call, specs);
  if (call.op.view && call.inputs[0].is_tensor() && invoke_view(call, specs, outputs)) return;
  if (call.op.host) {
    const std::vector<Tensor> results = call.op.host(call, specs);
    for (std::size_t o = 0; o < outputs.size(); ++o) outputs[o] = TensorRef::share(results[o].impl());
    return;
  }
  execute(call, types, *placement.device, specs, outputs);
}

// Operands have the dtypes that the call decided on. Numbers remain where programs take them.
void invoke_rewritten(const OpCall& call, CallTypes& types, std::span<TensorRef> outputs) {
  InlineVector<TensorSpec, 2> inferred;
  for (std::size_t o = 0; o < outputs.size(); ++o) inferred.emplace_back();
  const std::span<TensorSpec> specs = inferred;
  infer_unchecked_specs(call, types, specs);  // carry_out checks sizes, on each of its paths in its own way
  carry_out(call, types, specs, outputs);
  if (op_observers().active()) {
    for (OpObserver* observer : op_observers().watching()) observer->record(call, outputs);
  }
}

RewrittenOperands rewritten(const OpCall& call, const CallTypes& types) {
  const Placement placement = place(call);
  const ResultScope results(placement.abstract ? nullptr : placement.device);
  return {call, types, &cast_tensor, [&](const Scalar& number, DType dtype) {
            if (!placement.abstract) check_known(call, number);
            return number_tensor(number, dtype, call.where);
          }};
}

}  // namespace

void invoke_into(const OpCall& call, std::span<TensorRef> outputs) {
  if (OpObservers& observers = op_observers(); !observers.list.empty()) observers.destroy_returned();
  check_not_forked();
  check_call(call);
  CallTypes types(call);
  if (!types.promotes() && !numbers_become_tensors(call)) return invoke_rewritten(call, types, outputs);
  const RewrittenOperands operands = rewritten(call, types);
  invoke_rewritten({call.op, operands.operands(), call.attrs, call.scalars, call.where}, types, outputs);
}

std::vector<Tensor> invoke(const OpDef& op, std::span<const Operand> inputs, const void* attrs,
                           std::span<const Scalar> scalars, const CallSite* where) {
  const OpCall call{op, inputs, attrs, scalars, location_of(inputs, where)};
  InlineVector<TensorRef, usual_outputs> outputs;
  for (std::size_t o = output_count(call); o > 0; --o) outputs.push_back({});
  invoke_into(call, outputs);
  std::vector<Tensor> results;
  results.reserve(outputs.size());
  for (TensorRef& out : outputs) results.push_back(Tensor::adopt(out.detach()));
  return results;
}

Tensor invoke1(const OpDef& op, std::span<const Operand> inputs, const void* attrs, std::span<const Scalar> scalars,
               const CallSite* where) {
  TensorRef output;
  invoke_into({op, inputs, attrs, scalars, location_of(inputs, where)}, std::span(&output, 1));
  return Tensor::adopt(output.detach());
}

Tensor Operand::tensor() const {
  if (absent_) raise(ErrorId::wrong_input_count, "operand", "an input is missing", "give it", where_);
  return impl_ ? Tensor::share(impl_) : number_tensor(scalar_, dtype_of_number(scalar_), where_);
}

}  // namespace lockstep
