#include "ops/kept_call.h"

#include <algorithm>
#include <bit>

#include "lockstep/driver_ops.h"
#include "ops/call_error.h"
#include "ops/host_kernel.h"
#include "ops/infer.h"
#include "ops/placement.h"
#include "ops/promote.h"

namespace lockstep {
namespace {

// Strides of an abstract tensor are set only if it is not dense.
ViewLayout layout_of(const TensorImpl& tensor) {
  ViewLayout layout{tensor.shape, {}, tensor.offset};
  if (tensor.dense) {
    fill_dense_strides(tensor.shape, layout.strides);
  } else {
    std::copy_n(tensor.strides, max_rank, layout.strides);
  }
  return layout;
}

[[noreturn]] void refuse_symbolic(const OpCall& call) {
  raise_call_error(call, ErrorId::symbolic_value, "a call with extents that are not known yet cannot be kept",
                   "keep it with the extents of its launches");
}

void check_extents_and_devices(const OpCall& call, DeviceState& device, std::span<const TensorSpec> specs) {
  for (const TensorSpec& spec : specs) {
    if (!spec.shape.is_known()) refuse_symbolic(call);
  }
  for (const Operand& operand : call.inputs) {
    if (!operand.is_tensor()) continue;
    const TensorImpl& tensor = *operand.impl();
    if (!tensor.shape.is_known()) refuse_symbolic(call);
    if (tensor.device && tensor.device != &device) {
      raise_call_error(call, ErrorId::devices_differ,
                       "an operand lies on " + tensor.device->name() + ", and the call is kept for " + device.name(),
                       "move it, or give an abstract tensor in its place");
    }
    if (!call.op.pointwise()) check_operand_size(call, tensor);
  }
}

bool is_view(const OpCall& call, std::span<const TensorSpec> specs) {
  if (!call.op.view || !call.inputs[0].is_tensor()) return false;
  const ViewLayout input = layout_of(*call.inputs[0].impl());
  for (std::size_t o = 0; o < specs.size(); ++o) {
    if (!specs[o].shape.is_empty() && !call.op.view(call, input, specs[o].shape, o)) return false;
  }
  return true;
}

CallRoute route_after_refusal(const OpCall& call) {
  if (can_promote(call)) return CallRoute::promoted;
  return call.op.decompose ? CallRoute::decomposed : CallRoute::none;
}

// The route of a call that is not one kernel, as far as the driver need not be asked; else `kernel`.
CallRoute route_without_driver(const OpCall& call, DeviceState& device, std::span<const TensorSpec> specs) {
  if (is_view(call, specs)) return CallRoute::view;
  if (call.op.host) return CallRoute::host_function;
  check_math_mode(call, device);
  if (all_empty(specs)) return CallRoute::empty;
  for (const TensorSpec& spec : specs) {
    check_size(device, spec, {.label = call.op.name.c_str(), .where = &call.where});
  }
  if (has_host_kernel(call, device)) return CallRoute::host_kernel;
  if (call.op.count_outputs) return route_after_refusal(call);
  return call.op.copy_plan ? CallRoute::copies : CallRoute::kernel;
}

}  // namespace

Tensor laid_out(const TensorSpec& spec, std::span<const std::int64_t> strides, std::uint64_t alignment) {
  TensorRef tensor = make_abstract(spec);
  std::copy(strides.begin(), strides.end(), tensor->strides);
  tensor->dense = strides_are_dense(spec.shape, tensor->strides);
  tensor->offset = static_cast<std::int64_t>(alignment / size_of(spec.dtype));
  return Tensor::adopt(tensor.detach());
}

Tensor abstract_like(const Tensor& tensor) {
  const TensorImpl& like = *tensor.impl();
  TensorRef described = make_abstract({like.dtype, like.shape});
  std::copy_n(like.strides, max_rank, described->strides);
  described->dense = like.dense;
  described->offset = like.offset;
  return Tensor::adopt(described.detach());
}

KeepAnswer keep_call(const OpCall& call, DeviceState& device) {
  check_not_forked();
  check_call(call);
  CallTypes types(call);
  if (types.promotes() || numbers_become_tensors(call)) return {nullptr, CallRoute::rewritten, -1, ""};
  std::vector<TensorSpec> specs(output_count(call));
  infer_specs(call, types, specs);
  check_extents_and_devices(call, device, specs);
  if (const CallRoute route = route_without_driver(call, device, specs); route != CallRoute::kernel) {
    return {nullptr, route, -1, ""};
  }
  const std::shared_ptr<KeptCall> kept(new KeptCall(call.op, device));
  kept->add_slots(call, specs);
  if (kept->find_kernel(call, types)) return {kept, CallRoute::kernel, -1, ""};
  const std::string& reason = kept->prepared_.kernel.refusal().text;
  if (kept->copy_may_help(call)) return {nullptr, CallRoute::copied_operand, kept->refused_operand(call), reason};
  return {nullptr, route_after_refusal(call), -1, reason};
}

// ------------------------------------------------------------------------------------------------------------ KeptCall

KernelTensor KeptCall::Slot::tensor() const {
  KernelTensor t;
  t.dtype = spec.dtype;
  t.absent = absent;
  if (absent) return t;
  t.rank = static_cast<std::uint8_t>(spec.shape.rank());
  t.dims = reinterpret_cast<const std::int64_t*>(spec.shape.dims().data());  // see kernel_tensor()
  t.strides = strides;
  t.offset = offset;
  return t;
}

void KeptCall::add_slots(const OpCall& call, std::span<const TensorSpec> outputs) {
  std::vector<int> slot_of(call.inputs.size(), -1), given_of(call.inputs.size(), -1);
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Operand& operand = call.inputs[i];
    if (operand.is_scalar()) continue;
    slot_of[i] = static_cast<int>(slots_.size());
    Slot& slot = slots_.emplace_back();
    slot.name = input_name(call.op, i);
    slot.absent = operand.is_absent();
    if (slot.absent) continue;
    given_of[i] = static_cast<int>(given_count_++);
    const ViewLayout layout = layout_of(*operand.impl());
    slot.spec = {operand.impl()->dtype, layout.shape};
    std::copy_n(layout.strides, max_rank, slot.strides);
    slot.offset = layout.offset;
  }
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    const int input = call.op.outputs[o].in_place_of;
    in_place_inputs_.push_back(input < 0 ? -1 : given_of[static_cast<std::size_t>(input)]);
    Slot slot;
    if (input >= 0) slot = slots_[static_cast<std::size_t>(slot_of[static_cast<std::size_t>(input)])];
    if (input < 0) fill_dense_strides(outputs[o].shape, slot.strides);
    slot.spec = outputs[o];
    slot.name = call.op.outputs[o].name;
    slots_.push_back(std::move(slot));
  }
  output_specs_.assign(outputs.begin(), outputs.end());
}

bool KeptCall::find_kernel(const OpCall& call, const CallTypes& types) {
  prepared_.add_inputs(call, types, &open_);
  for (std::size_t k = 0; k < slots_.size(); ++k) {
    if (k < prepared_.input_count) {
      prepared_.tensors[k] = slots_[k].tensor();
    } else {
      prepared_.tensors.push_back(slots_[k].tensor());
    }
  }
  return prepared_.find_kernel(call, types, device_, false);
}

// Whether the driver refused the layout of an input that is not the one of a new tensor.
bool KeptCall::copy_may_help(const OpCall& call) const {
  const KernelRefusal& refusal = prepared_.kernel.refusal();
  if (refusal.reason != LKS_REASON_LAYOUT || call.op.id == LKS_OP_COPY) return false;
  if (refusal.operand < 0 || refusal.operand >= static_cast<std::int32_t>(prepared_.input_count)) return false;
  const Slot& slot = slots_[static_cast<std::size_t>(refusal.operand)];
  const bool dense = strides_are_dense(slot.spec.shape, slot.strides);
  return !slot.absent && !has_fresh_layout(device_, slot.spec.dtype, dense, slot.offset);
}

// Drivers count tensors, without numbers.
int KeptCall::refused_operand(const OpCall& call) const {
  int tensors = 0;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    if (call.inputs[i].is_scalar()) continue;
    if (tensors++ == prepared_.kernel.refusal().operand) return static_cast<int>(i);
  }
  return -1;
}

std::vector<LaunchNumber> KeptCall::symbols() const {
  std::vector<LaunchNumber> all;
  for (const OpenNumber& open : open_) {
    for (const LaunchNumber& symbol : open.formula.symbols()) {
      const auto same = [&](const LaunchNumber& s) { return s.scalar().at_launch == symbol.scalar().at_launch; };
      if (std::none_of(all.begin(), all.end(), same)) all.push_back(symbol);
    }
  }
  return all;
}

void KeptCall::fail(ErrorId id, const std::string& what, const char* fix, const Slot* slot, const TensorImpl* tensor,
                    CallSite where) const {
  ErrorBuilder error(id, op_.name, what);
  if (tensor) error.line(slot ? slot->name : "given", describe(*tensor));
  if (slot) {
    error.line("kept for",
               std::string(name_of(slot->spec.dtype)) + " " + slot->spec.shape.to_string() + " on " + device_.name());
  }
  error.at(where).fix(fix).raise();
}

void KeptCall::check_fits(const Slot& slot, const TensorImpl& tensor, CallSite where) const {
  check_concrete(tensor, op_.name.c_str(), where);
  const char* keep_another = "give a tensor like the one that the call was kept for, or keep another call";
  const auto refuse = [&](ErrorId id, const char* what) {
    fail(id, slot.name + (" has another " + std::string(what) + " than the call was kept for"), keep_another, &slot,
         &tensor, where);
  };
  if (tensor.device != &device_) refuse(ErrorId::devices_differ, "device");
  if (tensor.dtype != slot.spec.dtype) refuse(ErrorId::dtypes_differ, "dtype");
  if (!(tensor.shape == slot.spec.shape)) refuse(ErrorId::shapes_differ, "shape");
  const std::span<const Dim> dims = tensor.shape.dims();
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (tensor.strides[i] != slot.strides[i] && dims[i].raw() != 1) refuse(ErrorId::layout_differs, "layout");
  }
  const std::uint64_t most = device_.info().min_alignment;
  if (alignment_of(kernel_tensor(tensor), most) < alignment_of(slot.tensor(), most)) {
    refuse(ErrorId::layout_differs, "alignment");
  }
}

void KeptCall::launch(std::span<TensorImpl* const> inputs, std::span<TensorRef> outputs, const LaunchValues& values,
                      CallSite where) const {
  KeptLaunch launch(*this, inputs, outputs, values, where);
  KeptLaunch* const one[] = {&launch};
  KeptLaunch::submit(one);
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    if (!outputs[o]) outputs[o] = std::move(launch.outputs()[o]);
  }
}

// ---------------------------------------------------------------------------------------------------------- KeptLaunch

KeptLaunch::KeptLaunch(const KeptCall& call, std::span<TensorImpl* const> inputs, std::span<const TensorRef> outputs,
                       const LaunchValues& values, CallSite where)
    : kept_(call), call_{call.op_, {}, nullptr, {}, where}, launch_(call_, call.device_, call.prepared_) {
  if (inputs.size() != kept_.given_count_) {
    kept_.fail(ErrorId::wrong_input_count,
               "takes " + std::to_string(kept_.given_count_) + " tensors, not " + std::to_string(inputs.size()),
               "give one for each operand that was an abstract tensor", nullptr, nullptr, where);
  }
  if (!outputs.empty() && outputs.size() != kept_.output_specs_.size()) {
    kept_.fail(ErrorId::wrong_input_count,
               "has " + std::to_string(kept_.output_specs_.size()) + " outputs, not " + std::to_string(outputs.size()),
               "give an entry for each output, or none", nullptr, nullptr, where);
  }
  add_inputs(inputs);
  set_numbers(values);
  add_outputs(inputs, outputs);
  launch_.bind(tensors_, numbers_);
}

void KeptLaunch::add_inputs(std::span<TensorImpl* const> inputs) {
  std::size_t next = 0;
  for (std::size_t k = 0; k < kept_.prepared_.input_count; ++k) {
    const KeptCall::Slot& slot = kept_.slots_[k];
    if (slot.absent) {
      tensors_.push_back(slot.tensor());
      continue;
    }
    const TensorImpl& tensor = *inputs[next++];
    kept_.check_fits(slot, tensor, call_.where);
    check_contents(tensor);
    tensors_.push_back(kernel_tensor(tensor));
  }
}

void KeptLaunch::add_outputs(std::span<TensorImpl* const> inputs, std::span<const TensorRef> outputs) {
  for (std::size_t o = 0; o < kept_.output_specs_.size(); ++o) {
    const int in_place = kept_.in_place_inputs_[o];
    const TensorImpl* updated = in_place < 0 ? nullptr : inputs[static_cast<std::size_t>(in_place)];
    TensorRef out = outputs.empty() ? TensorRef() : outputs[o];
    if (out) {
      const KeptCall::Slot& slot = kept_.slots_[kept_.prepared_.input_count + o];
      kept_.check_fits(slot, *out, call_.where);
      if (updated && (out->block.get() != updated->block.get() || out->offset != updated->offset)) {
        kept_.fail(ErrorId::invalid_use, "output " + slot.name + " is updated in place, and lies elsewhere",
                   "give the input itself, or nothing", &slot, out.get(), call_.where);
      }
    } else {
      out = new_output(call_, kept_.device_, kept_.output_specs_[o], updated);
      give_memory(*out, call_, updated);
    }
    tensors_.push_back(kernel_tensor(*out));
    launch_.outputs().push_back(std::move(out));
  }
}

void KeptLaunch::set_numbers(const LaunchValues& values) {
  for (std::uint64_t bits : kept_.prepared_.numbers) numbers_.push_back(bits);
  for (const OpenNumber& open : kept_.open_) {
    Scalar number;
    try {
      number = open.formula.value(values);
    } catch (const Error& e) {  // it knows neither the op nor the place
      kept_.fail(e.id(), e.headline(), e.hint().c_str(), nullptr, nullptr, call_.where);
    }
    if (open.operand && !fits_in(number, *open.operand)) {
      kept_.fail(ErrorId::invalid_attribute,
                 "the number " + LaunchNumber(number).to_string() + " is outside the range of " +
                     std::string(name_of(*open.operand)),
                 "give a number in that range, or keep a call on a dtype that holds it", nullptr, nullptr, call_.where);
    }
    numbers_[open.slot] = scalar_bits(number, open.dtype);
  }
}

void KeptLaunch::submit(std::span<KeptLaunch* const> launches, std::function<void()> undo) {
  if (launches.empty()) return;
  InlineVector<Launch*, 4> all;
  for (KeptLaunch* launch : launches) all.push_back(&launch->launch_);
  Launch::submit(all, launches.front()->kept_.device_, std::move(undo));
}

}  // namespace lockstep
