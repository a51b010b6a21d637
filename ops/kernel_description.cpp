#include "ops/kernel_description.h"

#include <algorithm>

#include "api/internal/instructions.h"
#include "lockstep/driver_ops.h"
#include "ops/call_error.h"
#include "runtime/tensor_impl.h"
#include "runtime/thread_owned.h"

namespace lockstep {
namespace {

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

// The description points into this object, which is kept until the thread's next cache miss.
OpDescription& kept_description(const DescribedCall& described) {
  static thread_local ThreadOwned<std::optional<OpDescription>> current;
  return current.get().emplace(described.call, described.types);
}

}  // namespace

void describe_call(lks_kernel_desc& desc, const void* described) {
  kept_description(*static_cast<const DescribedCall*>(described)).fill(desc);
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
  const DescribedCall described{call, types};
  KernelRequest r;
  r.op = call.op.identity.number();
  r.attrs = call.attrs;
  r.attrs_size = static_cast<std::uint32_t>(call.op.attrs.size);
  r.mode = mode;
  r.tensors = tensors;
  r.input_count = input_count;
  r.describe = &describe_call;
  r.context = &described;
  return KernelCache::query(device, r);
}

}  // namespace lockstep
