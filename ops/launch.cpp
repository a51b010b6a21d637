#include "ops/launch.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "lockstep/driver_ops.h"
#include "ops/call_error.h"
#include "ops/kernel_description.h"
#include "ops/round_once.h"
#include "runtime/stream_order.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

// Truncates toward zero, saturates to the type's range and gives 0 for NaN, as casts do. Bits above the type's width
// are unspecified.
std::uint64_t saturated(double value, lks_dtype dtype) {
  if (std::isnan(value)) return 0;
  const auto width = static_cast<int>(LKS_DTYPE_BITS(dtype));
  const bool is_signed = LKS_DTYPE_CLASS(dtype) == LKS_CLASS_INT;
  const double end = std::ldexp(1.0, is_signed ? width - 1 : width);
  const std::uint64_t most = ~std::uint64_t{0} >> (64 - width + (is_signed ? 1 : 0));
  if (value >= end) return most;
  if (value >= 0) return static_cast<std::uint64_t>(value);
  if (!is_signed) return 0;
  return value <= -end ? ~most : static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
}

// The number in a floating type. Integers convert directly, because a conversion by way of double could round twice.
template <class T>
T number_in(const Scalar& scalar) {
  if (scalar.kind == Scalar::Kind::floating) return static_cast<T>(scalar.floating);
  return scalar.above_int64 ? static_cast<T>(static_cast<std::uint64_t>(scalar.integer))
                            : static_cast<T>(scalar.integer);
}

}  // namespace

std::uint64_t scalar_bits(const Scalar& scalar, lks_dtype dtype) {
  switch (dtype) {
    case LKS_F32: return std::bit_cast<std::uint32_t>(number_in<float>(scalar));
    case LKS_F64: return std::bit_cast<std::uint64_t>(number_in<double>(scalar));
    case LKS_F16: return half_of(number_in<long double>(scalar)).bits;
    case LKS_BF16: return bfloat16_of(number_in<long double>(scalar)).bits;
    case LKS_BOOL: return scalar.kind == Scalar::Kind::floating ? scalar.floating != 0 : scalar.integer != 0;
    default: {
      // Integers that do not fit were refused when the call was checked.
      const bool floating = scalar.kind == Scalar::Kind::floating;
      const auto integer = floating ? saturated(scalar.floating, dtype) : static_cast<std::uint64_t>(scalar.integer);
      const std::uint32_t bits = LKS_DTYPE_BITS(dtype);
      return bits == 64 ? integer : integer & ((std::uint64_t{1} << bits) - 1);
    }
  }
}

void PreparedCall::add_number(const OpCall& call, const Scalar& number, lks_dtype dtype, std::optional<DType> operand,
                              std::vector<OpenNumber>* open) {
  if (!number.is_known()) [[unlikely]] {
    if (!open) refuse_unknown(call, number);
    const auto slot = static_cast<std::uint32_t>(numbers.size());
    open->push_back({slot, dtype, operand, LaunchFormula(LaunchNumber(number))});
    numbers.push_back(0);
    return;
  }
  numbers.push_back(scalar_bits(number, dtype));
}

void PreparedCall::add_inputs(const OpCall& call, const CallTypes& types, std::vector<OpenNumber>* open) {
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Operand& operand = call.inputs[i];
    if (operand.is_tensor()) {
      tensors.push_back(kernel_tensor(*operand.impl()));
    } else if (operand.is_absent()) {
      KernelTensor none;
      none.absent = true;
      tensors.push_back(none);
    } else {
      const DType dtype = types.number(i);
      add_number(call, operand.scalar(), abi_dtype(dtype), dtype, open);
      while (number_dtypes.size() < i) number_dtypes.push_back(0);
      number_dtypes.push_back(static_cast<std::uint8_t>(1 + static_cast<int>(dtype)));
    }
  }
  input_count = static_cast<std::uint32_t>(tensors.size());
  for (std::size_t i = 0; i < call.op.scalars.size(); ++i) {
    const lks_dtype dtype = own_scalar_dtype(call.op, i, types.group(), types.result());
    add_number(call, call.scalars[i], dtype, std::nullopt, open);
  }
}

// --------------------------------------------------------------------------------------------------------- PlannedCall

const TensorImpl* PlannedCall::in_place_input(std::size_t output) const {
  const int input = call_.op.outputs[output].in_place_of;
  return input < 0 ? nullptr : call_.inputs[static_cast<std::size_t>(input)].impl();
}

PlannedCall::PlannedCall(const OpCall& call, const CallTypes& types, DeviceState& device,
                         std::span<const TensorRef> outputs)
    : call_(call), types_(types), device_(device), launch_(call, device, prepared_) {
  prepared_.add_inputs(call, types);
  for (const TensorRef& out : outputs) {
    prepared_.tensors.push_back(kernel_tensor(*out));
    launch_.outputs().push_back(out);
  }
}

PlannedCall::PlannedCall(const OpCall& call, const CallTypes& types, DeviceState& device,
                         std::span<const TensorSpec> specs)
    : call_(call), types_(types), device_(device), launch_(call, device, prepared_) {
  prepared_.add_inputs(call, types);
  for (std::size_t o = 0; o < specs.size(); ++o) {
    TensorRef out = new_output(call, device, specs[o], in_place_input(o));
    prepared_.tensors.push_back(kernel_tensor(*out));
    launch_.outputs().push_back(std::move(out));
  }
}

bool PlannedCall::plan() {
  while (!prepared_.find_kernel(call_, types_, device_, submits_before_others_)) {
    if (refusal().reason != LKS_REASON_LAYOUT || !copy_input(refusal().operand)) return false;
  }
  for (std::size_t o = 0; o < outputs().size(); ++o) {
    TensorImpl& out = *outputs()[o];
    if (out.block) continue;  // given by the caller
    give_memory(out, call_, in_place_input(o));
    KernelTensor& bound = prepared_.tensors[prepared_.input_count + o];
    bound.block = out.block.get();
    bound.offset = out.offset;
  }
  launch_.bind(prepared_.tensors, prepared_.numbers);
  return true;
}

// Replaces an input by a dense copy at the start of a block. Returns false if no copy helps: the driver refuses even
// that layout, or the refused kernel is the one that copies.
bool PlannedCall::copy_input(std::int32_t operand) {
  if (operand < 0 || operand >= static_cast<std::int32_t>(prepared_.input_count) || call_.op.id == LKS_OP_COPY)
    return false;
  const auto wanted = static_cast<std::size_t>(operand);
  std::size_t tensor = 0;
  for (const Operand& input : call_.inputs) {
    if (input.is_scalar()) continue;
    if (tensor++ != wanted) continue;
    const bool is_copy_already = input.is_tensor() && prepared_.tensors[wanted].block != input.impl()->block.get();
    if (!input.is_tensor() || is_copy_already) return false;
    const TensorImpl& given = *input.impl();
    if (has_fresh_layout(device_, given.dtype, given.dense, given.offset)) return false;
    PauseObservers pause;
    copies_.push_back(make_dense_copy(given, call_.where));
    prepared_.tensors[wanted] = kernel_tensor(*copies_.back());
    device_.counters.layout_copies.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  return false;
}

// -------------------------------------------------------------------------------------------------------------- Launch

void Launch::bind(std::span<const KernelTensor> tensors, std::span<const std::uint64_t> numbers) {
  tensors_ = tensors;
  lks_binding* binding = bindings_.extend(tensors.size());
  for (const KernelTensor& t : tensors) {
    if (t.absent) {
      *binding++ = {nullptr, 0, nullptr, nullptr};
      continue;
    }
    // Sizes are powers of two, and a division takes much longer than a shift.
    const auto start = static_cast<std::int64_t>(t.block->offset >> std::countr_zero(size_of(t.dtype)));
    *binding++ = {t.block->buffer, start + t.offset, t.dims, t.strides};
  }
  const Kernel& kernel = *prepared_.kernel.get();
  launch_.hdr.size = sizeof launch_;
  launch_.kernel = kernel.handle();
  launch_.bindings = bindings_.data();
  launch_.binding_count = static_cast<std::uint32_t>(bindings_.size());
  launch_.scalars = numbers.data();
  launch_.scalar_count = static_cast<std::uint32_t>(numbers.size());
  if (kernel.workspace_bytes() > 0) {
    MemoryOwnerScope owner(MemoryOwner::workspace);
    workspace_ = device_.allocator().allocate(
        kernel.workspace_bytes(), {.label = call_.op.name.c_str(), .what = "workspace", .where = &call_.where});
    launch_.workspace = workspace_->buffer;
    launch_.workspace_offset = workspace_->offset;
  }
}

bool Launch::is_restored(std::size_t output) const {
  return keeps_old_contents_ || call_.op.outputs[output].in_place_of >= 0;
}

namespace {

bool has_elements(const KernelTensor& t) {
  return !t.absent && std::find(t.dims, t.dims + t.rank, 0) == t.dims + t.rank;
}

}  // namespace

// Waits for what other streams do with the memory of the launch.
void Launch::follow_other_streams(CommandQueue& queue) const {
  const auto read = [&](const KernelTensor& t) {
    if (has_elements(t)) prepare_read(*t.block, queue, call_.where);
  };
  std::for_each_n(tensors_.begin(), prepared_.input_count, read);
  if (!keeps_old_contents_) std::for_each(tensors_.begin() + prepared_.input_count, tensors_.end(), read);
  for (const TensorRef& out : outputs_) take_over(*out->block, queue, call_.where);
  // A kept call's launch may be submitted on another stream than the one for which its workspace was allocated.
  if (workspace_) take_over(*workspace_, queue, call_.where);
}

void Launch::note_reads(CommandQueue& queue, std::uint64_t value) const {
  std::for_each_n(tensors_.begin(), prepared_.input_count, [&](const KernelTensor& t) {
    if (has_elements(t)) note_read(*t.block, queue, value);
  });
}

// Checks everything that the launch reads, and given outputs, because the launch may write only a part of them.
void Launch::verify_contents(CommandQueue& queue) const {
  const auto verify = [&](const KernelTensor& t) {
    if (t.absent || t.block->write_queue != &queue) return;
    if (has_elements(t)) queue.verify_written(t.block->write_value);
  };
  std::for_each_n(tensors_.begin(), prepared_.input_count, verify);
  if (!keeps_old_contents_) std::for_each(tensors_.begin() + prepared_.input_count, tensors_.end(), verify);
}

// What keeps the kernels alive. For a single call that is its kernel itself, so that nothing is allocated.
std::shared_ptr<const void> Launch::kernels_of(std::span<Launch* const> calls) {
  if (calls.size() == 1) return calls.front()->prepared_.kernel.shared();
  std::vector<std::shared_ptr<const KernelAnswer>> kernels;
  for (const Launch* c : calls) kernels.push_back(c->prepared_.kernel.shared());
  return std::make_shared<std::vector<std::shared_ptr<const KernelAnswer>>>(std::move(kernels));
}

void Launch::submit(std::span<Launch* const> calls, DeviceState& device, std::function<void()> undo) {
  if (calls.empty()) return;
  InlineVector<lks_launch, 4> several;
  std::span<lks_launch> launches(&calls.front()->launch_, 1);
  if (calls.size() > 1) {
    for (Launch* c : calls) several.push_back(c->launch_);
    launches = several;
  }
  if (auto* used = thread_state().kernels_used) {
    for (Launch* c : calls) {
      const Kernel& kernel = *c->prepared_.kernel.get();
      used->push_back({c->call_.op.pointwise() ? "pointwise" : c->call_.op.name, kernel.variant(), kernel.claims()});
    }
  }
  const Launch& first = *calls.front();
  CommandQueue& queue = device.queue();
  if (device.has_streams()) [[unlikely]] {
    for (const Launch* c : calls) c->follow_other_streams(queue);
  }
  const auto call_of = [&calls](std::size_t launch) {
    const OpCall& call = calls[launch]->call_;
    return DriverCall{call.op.name, &call.where};
  };

  // If the command fails, memory written in place gets its old contents and its earlier writer back.
  struct Written {
    UndoRef block;
    BlockWrite before;
  };
  auto make_info = [&] {
    std::vector<Written> written;
    for (Launch* c : calls) {
      for (std::size_t o = 0; o < c->outputs_.size(); ++o) {
        if (!c->is_restored(o)) continue;
        const BlockRef& block = c->outputs_[o]->block;
        written.push_back({UndoRef(block), last_write(*block)});
      }
    }
    CommandInfo info{.op = first.call_.op.name.c_str(), .where = first.call_.where, .scope = current_scope()};
    if (calls.size() > 1) {
      for (const Launch* c : calls) info.launches.push_back({c->call_.op.name.c_str(), c->call_.where});
    }
    info.keep = kernels_of(calls);
    if (!written.empty() || undo) {
      info.undo = [written = std::move(written), undo = std::move(undo)] {
        for (const Written& w : written) set_last_write(*w.block.get(), w.before);
        if (undo) undo();
      };
    }
    return info;
  };
  const auto verify = [&calls, &queue] {
    for (const Launch* c : calls) c->verify_contents(queue);
  };
  const auto enqueued = [&calls, &queue](std::uint64_t value) {
    for (Launch* c : calls) {
      for (TensorRef& out : c->outputs_) set_last_write(*out->block, {&queue, value});
    }
    if (!calls.front()->device_.has_streams()) return;
    for (const Launch* c : calls) c->note_reads(queue, value);
  };
  queue.launch(launches, call_of, make_info, verify, enqueued);
}

}  // namespace lockstep
