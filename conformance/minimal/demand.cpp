#include "conformance/minimal/demand.h"

#include <algorithm>
#include <cctype>

#include "backends/common/kernel_table.h"
#include "lockstep/driver_ops.h"

namespace minimal {
namespace {

constexpr const char* in_place = "store in place";

struct Named {
  std::uint32_t opcode;
  const char* name;
};
constexpr Named instructions[] = {
    {LKS_INSTR_SCALAR, "SCALAR"}, {LKS_INSTR_CONST, "CONST"},     {LKS_INSTR_INDEX, "INDEX"},
    {LKS_INSTR_LINEAR, "LINEAR"}, {LKS_INSTR_ADD, "ADD"},         {LKS_INSTR_SUB, "SUB"},
    {LKS_INSTR_MUL, "MUL"},       {LKS_INSTR_DIV, "DIV"},         {LKS_INSTR_SQRT, "SQRT"},
    {LKS_INSTR_NEG, "NEG"},       {LKS_INSTR_ABS, "ABS"},         {LKS_INSTR_LT, "LT"},
    {LKS_INSTR_LE, "LE"},         {LKS_INSTR_EQ, "EQ"},           {LKS_INSTR_NE, "NE"},
    {LKS_INSTR_SELECT, "SELECT"}, {LKS_INSTR_CONVERT, "CONVERT"}, {LKS_INSTR_BITCAST, "BITCAST"},
    {LKS_INSTR_AND, "AND"},       {LKS_INSTR_OR, "OR"},           {LKS_INSTR_XOR, "XOR"},
    {LKS_INSTR_NOT, "NOT"},       {LKS_INSTR_SHL, "SHL"},         {LKS_INSTR_SHR, "SHR"},
    {LKS_INSTR_MULHI, "MULHI"}};

std::string name_of_instruction(std::uint32_t opcode) {
  const auto* at = std::find_if(std::begin(instructions), std::end(instructions),
                                [opcode](const Named& n) { return n.opcode == opcode; });
  return at == std::end(instructions) ? "instruction " + std::to_string(opcode) : at->name;
}

std::string dtype_name(const lks_tensor_desc& t) {
  return t.flags & LKS_TENSOR_OPTIONAL_ABSENT ? "absent" : name_of(t.dtype);
}

void raise(std::uint64_t& most, std::uint64_t value) { most = std::max(most, value); }

// Adds the instructions of a program. A driver may run the bodies of functions that it does not know, so it needs their
// instructions too. Returns the number of instructions with the bodies inlined.
std::uint64_t add_program(Demand& demand, const lks_program& program) {
  std::uint64_t count = 0;
  for (std::uint32_t i = 0; i < program.instr_count; ++i) {
    const lks_instr& instr = program.instrs[i];
    if (instr.opcode == LKS_INSTR_CALL) {
      count += add_program(demand, *program.functions[instr.imm].body);
      continue;
    }
    ++count;
    if (instr.opcode == LKS_INSTR_INPUT) continue;  // the loads are added by add_pointwise
    const auto argument = [&](int a) { return program.instrs[instr.args[a]].dtype; };
    std::string dtypes = name_of(instr.dtype);
    if (instr.opcode == LKS_INSTR_CONVERT || instr.opcode == LKS_INSTR_BITCAST) {
      dtypes = name_of(argument(0)) + " → " + dtypes;
    } else if (instr.opcode >= LKS_INSTR_LT && instr.opcode <= LKS_INSTR_NE) {
      dtypes = name_of(argument(0));
    }
    demand.instructions.insert({name_of_instruction(instr.opcode), dtypes});
  }
  return count;
}

void add_pointwise(Demand& demand, const lks_kernel_desc& desc) {
  for (std::uint32_t i = 0; i < desc.input_count; ++i)
    demand.instructions.insert({"load", dtype_name(common::tensor_of(desc, i))});
  for (std::uint32_t i = 0; i < desc.output_count; ++i)
    demand.instructions.insert({"store", dtype_name(common::tensor_of(desc, desc.input_count + i))});
  for (std::uint32_t i = 0; i < desc.alias_count; ++i) {
    demand.instructions.insert(
        {in_place, dtype_name(common::tensor_of(desc, desc.input_count + desc.aliases[i].output))});
  }
  for (std::uint32_t i = 0; i < desc.program_count; ++i) {
    raise(demand.sizes["instructions of a program, with the bodies of its functions"],
          add_program(demand, *desc.programs[i].program));
  }
  raise(demand.sizes["tensors of a program, inputs and outputs"], desc.input_count + desc.output_count);
  raise(demand.sizes["outputs of a program"], desc.output_count);
  raise(demand.sizes["numbers (scalars) of a program"], desc.scalar_count);
}

std::uint64_t bytes_of(const lks_tensor_desc& t) {
  std::uint64_t bytes = LKS_DTYPE_BITS(t.dtype) / 8;
  for (std::int32_t d = 0; d < t.rank; ++d) bytes *= static_cast<std::uint64_t>(t.dims[d]);
  return bytes;
}

std::string joined(const lks_tensor_desc* tensors, std::uint32_t count) {
  std::string all;
  for (std::uint32_t i = 0; i < count; ++i)
    all += (i ? ", " : "") + dtype_name(LKS_ELEMENT(lks_tensor_desc, tensors, i));
  return all.empty() ? "nothing" : all;
}

}  // namespace

std::string name_of(lks_dtype t) {
  if (t == LKS_BOOL) return "bool";
  const char* letters[] = {"?", "f", "bf", "i", "u"};
  const std::uint32_t kind = LKS_DTYPE_CLASS(t);
  return (kind < 5 ? letters[kind] : "?") + std::to_string(LKS_DTYPE_BITS(t));
}

void Demand::add(const Demand& other) {
  for (const auto& [kernel, rank] : other.kernels) raise(kernels[kernel], rank);
  instructions.insert(other.instructions.begin(), other.instructions.end());
  for (const auto& [what, size] : other.sizes) raise(sizes[what], size);
}

Gap Demand::lacks(const Demand& other) const {
  for (const auto& [kernel, rank] : other.kernels) {
    const auto known = kernels.find(kernel);
    const std::string text = kernel.first + " of " + kernel.second;
    if (known == kernels.end()) return {text, LKS_REASON_DTYPE};
    if (rank > known->second) return {text + " and rank " + std::to_string(rank), LKS_REASON_RANK};
  }
  for (const auto& instruction : other.instructions) {
    if (instructions.contains(instruction)) continue;
    const bool is_alias = instruction.first == in_place;
    return {instruction.first + " of " + instruction.second, is_alias ? LKS_REASON_ALIAS : LKS_REASON_DTYPE};
  }
  for (const auto& [what, size] : other.sizes) {
    const auto known = sizes.find(what);
    if (known == sizes.end() || size > known->second) return {std::to_string(size) + " " + what, LKS_REASON_SIZE};
  }
  return {};
}

Demand demand_of(const lks_kernel_desc& desc) {
  Demand demand;
  std::uint64_t rank = 0;
  for (std::uint32_t i = 0; i < desc.input_count + desc.output_count; ++i) {
    const lks_tensor_desc& t = common::tensor_of(desc, i);
    if (t.flags & LKS_TENSOR_OPTIONAL_ABSENT) continue;
    raise(rank, static_cast<std::uint64_t>(t.rank));
    raise(demand.sizes["bytes of a tensor"], bytes_of(t));
  }
  std::string name = desc.op == LKS_OP_POINTWISE ? "POINTWISE" : desc.op_name;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  if (desc.op == LKS_OP_POINTWISE) {
    demand.kernels[{name, "see below"}] = rank;
    add_pointwise(demand, desc);
  } else {
    demand.kernels[{name, joined(desc.inputs, desc.input_count) + " → " + joined(desc.outputs, desc.output_count)}] =
        rank;
  }
  return demand;
}

}  // namespace minimal
