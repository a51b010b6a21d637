#include "ops/launch.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "lockstep/driver_ops.h"
#include "ops/call_error.h"
#include "ops/round_once.h"
#include "runtime/thread_owned.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

bool is_half_width(lks_dtype t) { return t == LKS_F16 || t == LKS_BF16; }

// Fills in the parts of a kernel description that describe the op itself. Used for one prepare or query.
class OpDescription {
 public:
  OpDescription(const OpCall& call, const CallTypes& types) : call_(call), types_(types) {}

  void fill(lks_kernel_desc& desc) {
    desc.op_version = call_.op.version;
    desc.op_name = call_.op.name.c_str();
    desc.op = call_.op.pointwise() ? LKS_OP_POINTWISE : call_.op.id ? call_.op.id : LKS_OP_NAMED;
    fill_scalars(desc);
    fill_aliases(desc);
    if (call_.op.pointwise()) fill_program(desc);
  }

 private:
  void fill_scalars(lks_kernel_desc& desc) {
    for (std::size_t i = 0; i < call_.inputs.size(); ++i) {
      if (call_.inputs[i].is_scalar()) scalars_.push_back(abi_dtype(types_.number(i)));
    }
    for (std::size_t i = 0; i < call_.op.scalars.size(); ++i) {
      scalars_.push_back(own_scalar_dtype(call_.op, i, types_.group(), types_.result()));
    }
    desc.scalar_count = static_cast<std::uint32_t>(scalars_.size());
    desc.scalar_dtypes = scalars_.data();
  }

  void fill_aliases(lks_kernel_desc& desc) {
    for (std::uint32_t o = 0; o < call_.op.outputs.size(); ++o) {
      const int input = call_.op.outputs[o].in_place_of;
      if (input >= 0) aliases_.push_back({o, static_cast<std::uint32_t>(input)});
    }
    desc.alias_count = static_cast<std::uint32_t>(aliases_.size());
    desc.aliases = aliases_.data();
  }

  void fill_program(lks_kernel_desc& desc) {
    std::vector<lks_dtype> results;
    for (std::uint32_t o = 0; o < desc.output_count; ++o) results.push_back(desc.outputs[o].dtype);
    program_ = record_program(call_, types_, results, static_cast<int>(desc.outputs[0].rank));
    for (std::uint32_t i = 0; i < desc.input_count; ++i) inputs_.push_back(i);
    for (std::uint32_t i = 0; i < desc.output_count; ++i) outputs_.push_back(i);
    attached_ = {&program_.abi(), inputs_.data(), outputs_.data()};
    desc.program_count = 1;
    desc.programs = &attached_;
    desc.operand_count = 0;
    desc.attrs = nullptr;  // their effect is in the program
    desc.attrs_size = 0;
  }

  const OpCall& call_;
  const CallTypes& types_;
  Program program_;
  lks_attached_program attached_{};
  std::vector<std::uint32_t> inputs_, outputs_;
  std::vector<lks_dtype> scalars_;
  std::vector<lks_alias> aliases_;
};

struct DescribeContext {
  const OpCall& call;
  const CallTypes& types;
  // The description points into this object, which is kept until the thread's next cache miss.
  static OpDescription& keep(const DescribeContext& context) {
    static thread_local ThreadOwned<std::optional<OpDescription>> current;
    return current.get().emplace(context.call, context.types);
  }
};

void describe_op(lks_kernel_desc& desc, const void* context) {
  DescribeContext::keep(*static_cast<const DescribeContext*>(context)).fill(desc);
}

}  // namespace

lks_dtype own_scalar_dtype(const OpDef& op, std::size_t i, DType group, DType result) {
  switch (const lks_dtype declared = op.scalars[i].dtype) {
    case ScalarDef::of_inputs: return abi_dtype(compute_dtype(group));
    case ScalarDef::of_result: return abi_dtype(compute_dtype(result));
    case ScalarDef::widest_of_result: return is_floating(result) ? LKS_F64 : LKS_I64;
    default: return declared;
  }
}

namespace {

void check_axes(const Program& program, const OpCall& call, int rank) {
  for (const lks_instr& instr : program.instrs()) {
    if (instr.opcode != LKS_INSTR_INDEX || instr.imm < static_cast<std::uint32_t>(rank)) continue;
    ErrorBuilder(ErrorId::axis_out_of_range, call.op.name,
                 "its program asks for the index along axis " + std::to_string(instr.imm) + " of a result of rank " +
                     std::to_string(rank))
        .fix("axes of results are counted from 0, at the front")
        .at(call.where)
        .raise();
  }
}

}  // namespace

Program record_program(const OpCall& call, const CallTypes& types, std::span<const lks_dtype> output_dtypes, int rank) {
  ProgramBuilder builder;
  std::vector<Expr> values;
  std::uint32_t next_scalar = 0;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const bool is_number = call.inputs[i].is_scalar();
    const lks_dtype dtype = abi_dtype(is_number ? types.number(i) : types.operand(i));
    const Expr value = is_number ? builder.scalar(next_scalar++, dtype) : builder.input(dtype);
    values.push_back(is_half_width(dtype) ? convert(value, LKS_F32) : value);
  }
  for (std::size_t i = 0; i < call.op.scalars.size(); ++i) {
    values.push_back(builder.scalar(next_scalar++, own_scalar_dtype(call.op, i, types.group(), types.result())));
  }
  std::vector<Expr> results = call.op.body(builder, call, values);
  if (results.size() != call.op.outputs.size()) {
    raise(ErrorId::invalid_op_definition, call.op.name,
          "its body gives " + std::to_string(results.size()) + " results for " +
              std::to_string(call.op.outputs.size()) + " outputs",
          "give one for each output of the OpDef", call.where);
  }
  for (std::size_t o = 0; o < std::min(results.size(), output_dtypes.size()); ++o) {
    const lks_dtype to = output_dtypes[o];
    if (is_half_width(to) && results[o].dtype() == LKS_F32) results[o] = convert(results[o], to);
  }
  Program program = builder.finish(results);
  check_axes(program, call, rank);
  return program;
}

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

void PlannedCall::bind_inputs() {
  for (std::size_t i = 0; i < call_.inputs.size(); ++i) {
    const Operand& operand = call_.inputs[i];
    if (operand.is_tensor()) {
      tensors_.push_back(kernel_tensor(*operand.impl()));
    } else if (operand.is_absent()) {
      KernelTensor none;
      none.absent = true;
      tensors_.push_back(none);
    } else {
      const DType dtype = types_.number(i);
      check_known(call_, operand.scalar());
      scalars_.push_back(scalar_bits(operand.scalar(), abi_dtype(dtype)));
      while (number_dtypes_.size() < i) number_dtypes_.push_back(0);
      number_dtypes_.push_back(static_cast<std::uint8_t>(1 + static_cast<int>(dtype)));
    }
  }
  input_count_ = static_cast<std::uint32_t>(tensors_.size());
  for (std::size_t i = 0; i < call_.op.scalars.size(); ++i) {
    check_known(call_, call_.scalars[i]);
    scalars_.push_back(scalar_bits(call_.scalars[i], own_scalar_dtype(call_.op, i, types_.group(), types_.result())));
  }
}

PlannedCall::PlannedCall(const OpCall& call, const CallTypes& types, DeviceState& device,
                         std::span<const TensorRef> outputs)
    : call_(call), types_(types), device_(device) {
  bind_inputs();
  for (const TensorRef& out : outputs) {
    tensors_.push_back(kernel_tensor(*out));
    outputs_.push_back(out);
  }
}

PlannedCall::PlannedCall(const OpCall& call, const CallTypes& types, DeviceState& device,
                         std::span<const TensorSpec> specs)
    : call_(call), types_(types), device_(device) {
  bind_inputs();
  for (std::size_t o = 0; o < specs.size(); ++o) {
    TensorRef out = TensorRef::adopt(new TensorImpl);
    out->dtype = specs[o].dtype;
    out->shape = specs[o].shape;
    out->id = next_tensor_id();
    out->device = &device;
    out->producer = call.op.name.c_str();
    out->scope = current_scope();
    fill_dense_strides(out->shape, out->strides);
    if (const int input = call.op.outputs[o].in_place_of; input >= 0) {
      std::copy_n(call.inputs[static_cast<std::size_t>(input)].impl()->strides, max_rank, out->strides);
    }
    tensors_.push_back(kernel_tensor(*out));
    outputs_.push_back(std::move(out));
  }
}

KernelRequest PlannedCall::request() const {
  KernelRequest r;
  r.op = call_.op.identity.number();
  r.number_dtypes = number_dtypes_;
  r.attrs = call_.attrs;
  r.attrs_size = static_cast<std::uint32_t>(call_.op.attrs.size);
  r.mode = math_mode();
  r.tensors = tensors_;
  r.input_count = input_count_;
  r.borrows = submits_before_others_;
  r.describe = &describe_op;
  return r;
}

bool PlannedCall::plan() {
  const DescribeContext context{call_, types_};
  const DriverCall caller{call_.op.name, &call_.where};
  while (true) {
    KernelRequest r = request();
    r.context = &context;
    kernel_ = device_.kernels().find(r, caller);
    if (kernel_.get()) break;
    if (refusal().reason != LKS_REASON_LAYOUT || !copy_input(refusal().operand)) return false;
  }
  bind();
  return true;
}

// Whether the tensor has the layout and alignment of a new tensor, so that a copy would not help.
bool PlannedCall::has_fresh_layout(const TensorImpl& tensor) const {
  const auto bytes = static_cast<std::uint64_t>(tensor.offset) * size_of(tensor.dtype);
  return tensor.dense && bytes % device_.info().min_alignment == 0;
}

// Replaces an input by a dense copy at the start of a block. Returns false if no copy helps: the driver refuses even
// that layout, or the refused kernel is the one that copies.
bool PlannedCall::copy_input(std::int32_t operand) {
  if (operand < 0 || operand >= static_cast<std::int32_t>(input_count_) || call_.op.id == LKS_OP_COPY) return false;
  const auto wanted = static_cast<std::size_t>(operand);
  std::size_t tensor = 0;
  for (const Operand& input : call_.inputs) {
    if (input.is_scalar()) continue;
    if (tensor++ != wanted) continue;
    const bool is_copy_already = input.is_tensor() && tensors_[wanted].block != input.impl()->block.get();
    if (!input.is_tensor() || is_copy_already || has_fresh_layout(*input.impl())) return false;
    PauseObservers pause;
    copies_.push_back(make_dense_copy(*input.impl(), call_.where));
    tensors_[wanted] = kernel_tensor(*copies_.back());
    device_.counters.layout_copies.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  return false;
}

void PlannedCall::bind() {
  for (std::size_t o = 0; o < outputs_.size(); ++o) {
    TensorImpl& out = *outputs_[o];
    if (out.block) continue;  // given by the caller
    const int in_place_of = call_.op.outputs[o].in_place_of;
    if (in_place_of >= 0) {
      const TensorImpl& input = *call_.inputs[static_cast<std::size_t>(in_place_of)].impl();
      out.block = input.block;
      out.offset = input.offset;
      std::copy_n(input.strides, max_rank, out.strides);
      out.dense = input.dense;
    } else {
      const TensorSpec spec{out.dtype, out.shape};
      out.block = allocate_elements(device_, spec, {.label = call_.op.name.c_str(), .where = &call_.where});
    }
    tensors_[input_count_ + o] = kernel_tensor(out);
  }
  for (const KernelTensor& t : tensors_) {
    if (t.absent) {
      bindings_.push_back({nullptr, 0, nullptr, nullptr});
      continue;
    }
    const auto start = static_cast<std::int64_t>(t.block->offset / size_of(t.dtype));
    bindings_.push_back({t.block->buffer, start + t.offset, t.dims, t.strides});
  }
  const Kernel& kernel = *kernel_.get();
  launch_.hdr.size = sizeof launch_;
  launch_.kernel = kernel.handle();
  launch_.bindings = bindings_.data();
  launch_.binding_count = static_cast<std::uint32_t>(bindings_.size());
  launch_.scalars = scalars_.data();
  launch_.scalar_count = static_cast<std::uint32_t>(scalars_.size());
  if (kernel.workspace_bytes() > 0) {
    MemoryOwnerScope owner(MemoryOwner::workspace);
    workspace_ = device_.allocator().allocate(
        kernel.workspace_bytes(), {.label = call_.op.name.c_str(), .what = "workspace", .where = &call_.where});
    launch_.workspace = workspace_->buffer;
    launch_.workspace_offset = workspace_->offset;
  }
}

bool PlannedCall::is_restored(std::size_t output) const {
  return keeps_old_contents_ || call_.op.outputs[output].in_place_of >= 0;
}

// Checks everything that the launch reads, and given outputs, because the launch may write only a part of them.
void PlannedCall::verify_contents(CommandQueue& queue) const {
  const auto verify = [&](const KernelTensor& t) {
    if (t.absent || t.block->write_queue != &queue) return;
    if (std::find(t.dims, t.dims + t.rank, 0) == t.dims + t.rank) queue.verify_written(t.block->write_value);
  };
  std::for_each_n(tensors_.begin(), input_count_, verify);
  if (!keeps_old_contents_) std::for_each(tensors_.begin() + input_count_, tensors_.end(), verify);
}

void PlannedCall::submit(std::span<PlannedCall* const> calls, DeviceState& device, std::function<void()> undo) {
  if (calls.empty()) return;
  InlineVector<lks_launch, 4> launches;
  for (PlannedCall* c : calls) launches.push_back(c->launch_);
  if (auto* used = thread_state().kernels_used) {
    for (PlannedCall* c : calls) {
      const Kernel& kernel = *c->kernel_.get();
      used->push_back({c->call_.op.pointwise() ? "pointwise" : c->call_.op.name, kernel.variant(), kernel.claims()});
    }
  }
  const PlannedCall& first = *calls.front();
  CommandQueue& queue = device.queue();
  const auto call_of = [&calls](std::size_t launch) {
    const OpCall& call = calls[launch]->call_;
    return DriverCall{call.op.name, &call.where};
  };

  // If the command fails, memory written in place gets its old contents and its earlier writer back.
  struct Written {
    UndoRef block;
    CommandQueue* queue;
    std::uint64_t value;
  };
  auto make_info = [&] {
    std::vector<std::shared_ptr<const KernelAnswer>> kernels;
    std::vector<Written> written;
    for (PlannedCall* c : calls) {
      kernels.push_back(c->kernel_.shared());
      for (std::size_t o = 0; o < c->outputs_.size(); ++o) {
        if (!c->is_restored(o)) continue;
        const BlockRef& block = c->outputs_[o]->block;
        written.push_back({UndoRef(block), block->write_queue, block->write_value});
      }
    }
    CommandInfo info{.op = first.call_.op.name.c_str(), .where = first.call_.where, .scope = current_scope()};
    if (calls.size() > 1) {
      for (const PlannedCall* c : calls) info.launches.push_back({c->call_.op.name.c_str(), c->call_.where});
    }
    info.keep = std::make_shared<std::vector<std::shared_ptr<const KernelAnswer>>>(std::move(kernels));
    if (!written.empty() || undo) {
      info.undo = [written = std::move(written), undo = std::move(undo)] {
        for (const Written& w : written) {
          w.block->write_queue = w.queue;
          w.block->write_value = w.value;
        }
        if (undo) undo();
      };
    }
    return info;
  };
  const auto verify = [&calls, &queue] {
    for (const PlannedCall* c : calls) c->verify_contents(queue);
  };
  const auto enqueued = [&calls, &queue](std::uint64_t value) {
    for (PlannedCall* c : calls) {
      for (TensorRef& out : c->outputs_) {
        out->block->write_queue = &queue;
        out->block->write_value = value;
      }
    }
  };
  queue.launch(launches, call_of, make_info, verify, enqueued);
}

KernelQuery query_kernel(const DeviceEntry& device, const OpCall& call, const CallTypes& types,
                         std::span<const TensorSpec> inputs, std::span<const TensorSpec> outputs, MathMode mode) {
  std::vector<KernelTensor> tensors;
  std::vector<std::vector<std::int64_t>> strides;
  const auto add = [&](const TensorSpec& spec) {
    strides.emplace_back(static_cast<std::size_t>(max_rank));
    fill_dense_strides(spec.shape, strides.back().data());
    KernelTensor t;
    t.dtype = spec.dtype;
    t.rank = static_cast<std::uint8_t>(spec.shape.rank());
    t.dims = reinterpret_cast<const std::int64_t*>(spec.shape.dims().data());
    t.strides = strides.back().data();
    tensors.push_back(t);
  };
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (call.inputs[i].is_scalar()) continue;
    add(inputs[i]);
    tensors.back().absent = call.inputs[i].is_absent();
  }
  const auto input_count = static_cast<std::uint32_t>(tensors.size());
  for (const TensorSpec& spec : outputs) add(spec);
  const DescribeContext context{call, types};
  KernelRequest r;
  r.op = call.op.identity.number();
  r.attrs = call.attrs;
  r.attrs_size = static_cast<std::uint32_t>(call.op.attrs.size);
  r.mode = mode;
  r.tensors = tensors;
  r.input_count = input_count;
  r.describe = &describe_op;
  r.context = &context;
  return KernelCache::query(device, r);
}

}  // namespace lockstep
