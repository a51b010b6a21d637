// Rewrites a pointwise program before the correct driver prepares it.
#pragma once

#include <string_view>
#include <vector>

#include "backends/common/program.h"
#include "conformance/mutants/mutant.h"

namespace mutants {

/// The program under construction. Each call appends an instruction and returns the index of its value.
class Emitter {
 public:
  Emitter(const lks_program& from, std::vector<lks_instr>& out) : from_(from), out_(out) {}

  std::uint32_t add(std::uint32_t opcode, lks_dtype t, std::uint32_t a = 0, std::uint32_t b = 0, std::uint32_t c = 0,
                    std::uint64_t imm = 0) {
    out_.push_back({opcode, t, {a, b, c}, 0, imm});
    return static_cast<std::uint32_t>(out_.size() - 1);
  }
  std::uint32_t keep(const lks_instr& instr) {
    out_.push_back(instr);
    return static_cast<std::uint32_t>(out_.size() - 1);
  }
  std::uint32_t constant(lks_dtype t, std::uint64_t bits) { return add(LKS_INSTR_CONST, t, 0, 0, 0, bits); }
  std::uint32_t constant(float x) { return constant(LKS_F32, __builtin_bit_cast(std::uint32_t, x)); }
  std::uint32_t constant(double x) { return constant(LKS_F64, __builtin_bit_cast(std::uint64_t, x)); }
  std::uint32_t convert(lks_dtype t, std::uint32_t a) { return add(LKS_INSTR_CONVERT, t, a); }
  std::uint32_t bits(lks_dtype t, std::uint32_t a) { return add(LKS_INSTR_BITCAST, t, a); }
  std::uint32_t select(lks_dtype t, std::uint32_t c, std::uint32_t a, std::uint32_t b) {
    return add(LKS_INSTR_SELECT, t, c, a, b);
  }
  std::uint32_t less(std::uint32_t a, std::uint32_t b) { return add(LKS_INSTR_LT, LKS_BOOL, a, b); }
  const lks_instr& at(std::uint32_t value) const { return out_[value]; }
  lks_dtype dtype(std::uint32_t value) const { return out_[value].dtype; }
  /// Whether the instruction calls the named function.
  bool calls(const lks_instr& instr, std::string_view name) const {
    return instr.opcode == LKS_INSTR_CALL && name == from_.functions[instr.imm].name;
  }
  /// The original program.
  const lks_program& program() const { return from_; }

 private:
  const lks_program& from_;
  std::vector<lks_instr>& out_;
};

/// Emits a replacement for `instr`, whose arguments already refer to the new program, and returns its value.
using Step = std::uint32_t (*)(Emitter& emit, const lks_instr& instr);

/// A Step that computes instructions with this opcode and dtype in another dtype.
template <std::uint32_t Opcode, lks_dtype Of, lks_dtype In>
std::uint32_t computed_in(Emitter& e, const lks_instr& i) {
  if (i.opcode != Opcode || i.dtype != Of) return e.keep(i);
  const std::uint32_t a = e.convert(In, i.args[0]), b = e.convert(In, i.args[1]);
  return e.convert(Of, e.add(Opcode, In, a, b));
}

/// Rewrites the only program of a pointwise kernel, instruction by instruction. If `Open`, function calls are inlined
/// first, so that the step is applied to the instructions of their bodies too.
template <Step Instead, bool Open>
void rewrite(EditableDesc& e) {
  if (e.desc.program_count != 1) return;
  struct Storage {
    std::vector<lks_instr> instrs;
    std::vector<std::uint32_t> outputs;
    lks_program program;
    lks_attached_program attached;
  };
  auto storage = std::make_shared<Storage>();
  const lks_program& original = *e.desc.programs[0].program;
  const common::Program copy(original);
  std::vector<std::uint32_t> outputs;
  const std::vector<lks_instr> flat = common::inline_calls(
      copy, [](const common::Program::Function&, lks_dtype) { return !Open; }, outputs);
  Emitter emit(original, storage->instrs);
  std::vector<std::uint32_t> values;
  for (lks_instr instr : flat) {
    const int count = common::arg_count(instr, copy);
    for (int a = 0; a < count; ++a) instr.args[a] = values[instr.args[a]];
    values.push_back(Instead(emit, instr));
  }
  for (std::uint32_t o : outputs) storage->outputs.push_back(values[o]);
  storage->program = original;
  storage->program.instrs = storage->instrs.data();
  storage->program.instr_count = static_cast<std::uint32_t>(storage->instrs.size());
  storage->program.outputs = storage->outputs.data();
  storage->attached = e.desc.programs[0];
  storage->attached.program = &storage->program;
  e.desc.programs = &storage->attached;
  e.storage = storage;
}

}  // namespace mutants
