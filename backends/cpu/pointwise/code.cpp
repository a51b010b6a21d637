#include "backends/cpu/pointwise/code.h"

#include <algorithm>

#include "backends/cpu/element.h"

namespace cpu {
namespace {

bool is_comparison(std::uint32_t opcode) { return opcode >= LKS_INSTR_LT && opcode <= LKS_INSTR_NE; }

// Whether a conversion leaves every bit as it is.
bool keeps_bits(lks_dtype from, lks_dtype to) {
  if (from == to) return true;
  const bool whole = LKS_DTYPE_CLASS(from) >= LKS_CLASS_INT && LKS_DTYPE_CLASS(from) <= LKS_CLASS_BOOL &&
                     (LKS_DTYPE_CLASS(to) == LKS_CLASS_INT || LKS_DTYPE_CLASS(to) == LKS_CLASS_UINT);
  return whole && LKS_DTYPE_BITS(from) == LKS_DTYPE_BITS(to);
}

class Lowering {
 public:
  explicit Lowering(const lks_program& given)
      : program_(given), instrs_(common::inline_calls(program_, &keep, outputs_)), values_(instrs_.size()) {}

  Code run() {
    for (const common::Program::Function& f : program_.functions) code_.functions.push_back({f.name, f.version});
    for (std::size_t i = 0; i < instrs_.size(); ++i) values_[i] = lower(instrs_[i]);
    for (std::uint32_t o : outputs_) code_.outputs.push_back(values_[o]);
    return std::move(code_);
  }

 private:
  static bool keep(const common::Program::Function& f, lks_dtype type) {
    return knows_function(f.name, f.version, type);
  }

  lks_dtype arg_type(const lks_instr& instr, int a) const { return instrs_[instr.args[a]].dtype; }

  std::uint32_t add(const Op& op) {
    code_.ops.push_back(op);
    return static_cast<std::uint32_t>(code_.ops.size() - 1);
  }

  std::uint32_t promoted(std::uint32_t value, lks_dtype from) {
    return add({.opcode = LKS_INSTR_CONVERT, .type = from, .result = LKS_F32, .arg_count = 1, .args = {value}});
  }

  std::uint32_t lower(const lks_instr& instr) {
    Op op{.opcode = instr.opcode,
          .result = instr.dtype,
          .arg_count = common::arg_count(instr, program_),
          .imm = instr.imm};
    for (int a = 0; a < op.arg_count; ++a) op.args[a] = values_[instr.args[a]];
    if (op.is_leaf()) return add(op);
    op.type = arg_type(instr, instr.opcode == LKS_INSTR_SELECT ? 1 : 0);
    if (instr.opcode == LKS_INSTR_BITCAST) return op.args[0];
    if (instr.opcode == LKS_INSTR_CONVERT && keeps_bits(op.type, op.result)) return op.args[0];
    if (instr.opcode == LKS_INSTR_CALL) op.function = static_cast<std::uint32_t>(instr.imm);
    if (is_comparison(instr.opcode) && is_half_width(op.type)) {
      for (int a = 0; a < 2; ++a) op.args[a] = promoted(op.args[a], op.type);
      op.type = LKS_F32;
    }
    return add(op);
  }

  common::Program program_;
  std::vector<std::uint32_t> outputs_;
  std::vector<lks_instr> instrs_;
  std::vector<std::uint32_t> values_;  // for each instruction, its op in code_
  Code code_;
};

std::vector<std::uint32_t> use_counts(const Code& code) {
  std::vector<std::uint32_t> uses(code.ops.size(), 0);
  for (const Op& op : code.ops) {
    for (int a = 0; a < op.arg_count; ++a) ++uses[op.args[a]];
  }
  for (std::uint32_t o : code.outputs) ++uses[o];
  return uses;
}

std::uint32_t choose_opcode(std::uint32_t comparison) {
  switch (comparison) {
    case LKS_INSTR_LT: return choose_lt;
    case LKS_INSTR_LE: return choose_le;
    default: return choose_eq;
  }
}

void join_comparisons_with_selects(Code& code) {
  const std::vector<std::uint32_t> uses = use_counts(code);
  for (Op& op : code.ops) {
    if (op.opcode != LKS_INSTR_SELECT) continue;
    const Op& condition = code.ops[op.args[0]];
    if (!is_comparison(condition.opcode) || uses[op.args[0]] != 1) continue;
    if (condition.type != LKS_F32 && condition.type != LKS_F64) continue;
    if (bytes_of(condition.type) != bytes_of(op.type)) continue;
    Op joined{.opcode = choose_opcode(condition.opcode),
              .type = condition.type,
              .result = op.result,
              .arg_count = 4,
              .args = {condition.args[0], condition.args[1], op.args[1], op.args[2]}};
    if (condition.opcode == LKS_INSTR_NE) std::swap(joined.args[2], joined.args[3]);
    op = joined;
  }
}

void drop_unused(Code& code) {
  std::vector<bool> used(code.ops.size(), false);
  for (std::uint32_t o : code.outputs) used[o] = true;
  for (std::size_t i = code.ops.size(); i-- > 0;) {
    for (int a = 0; used[i] && a < code.ops[i].arg_count; ++a) used[code.ops[i].args[a]] = true;
  }
  std::vector<std::uint32_t> renamed(code.ops.size());
  std::vector<Op> kept;
  for (std::size_t i = 0; i < code.ops.size(); ++i) {
    if (!used[i]) continue;
    renamed[i] = static_cast<std::uint32_t>(kept.size());
    kept.push_back(code.ops[i]);
    Op& op = kept.back();
    for (int a = 0; a < op.arg_count; ++a) op.args[a] = renamed[op.args[a]];
  }
  code.ops = std::move(kept);
  for (std::uint32_t& o : code.outputs) o = renamed[o];
}

}  // namespace

LoopKey Code::key(const Op& op, const Uniform& uniform) const {
  LoopKey key{.opcode = op.opcode, .type = op.type, .result = op.result, .uniform = uniform};
  if (op.opcode == LKS_INSTR_CALL) {
    key.function = functions[op.function].name;
    key.version = functions[op.function].version;
  }
  return key;
}

Code make_code(const lks_program& program) {
  Code code = Lowering(program).run();
  join_comparisons_with_selects(code);
  drop_unused(code);
  return code;
}

const Op* first_without_loop(const Code& code) {
  const auto lacks = [&](const Op& op) { return !op.is_leaf() && !find_loop(code.key(op, {})); };
  const auto found = std::find_if(code.ops.begin(), code.ops.end(), lacks);
  return found == code.ops.end() ? nullptr : &*found;
}

}  // namespace cpu
