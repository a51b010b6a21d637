#include "program.h"

Program::Program(const lks_program& p) { outputs = append(p, nullptr); }

int argument_count(const lks_instr& instr, const lks_program& program) {
  switch (instr.opcode) {
    case LKS_INSTR_INPUT:
    case LKS_INSTR_SCALAR:
    case LKS_INSTR_CONST:
    case LKS_INSTR_INDEX:
    case LKS_INSTR_LINEAR: return 0;
    case LKS_INSTR_CALL: return static_cast<int>(program.functions[instr.imm].body->input_count);
    case LKS_INSTR_SQRT:
    case LKS_INSTR_NEG:
    case LKS_INSTR_ABS:
    case LKS_INSTR_CONVERT:
    case LKS_INSTR_BITCAST:
    case LKS_INSTR_NOT: return 1;
    case LKS_INSTR_SELECT: return 3;
    default: return 2;
  }
}

// Appends the steps of a program and returns the steps of its outputs. Inside the body of a function, `args` are the
// steps of its arguments; `args` is nullptr if the inputs are tensors.
std::vector<std::uint32_t> Program::append(const lks_program& p, const std::vector<std::uint32_t>* args) {
  std::vector<std::uint32_t> step_of(p.instr_count);
  for (std::uint32_t i = 0; i < p.instr_count; ++i) {
    const lks_instr& instr = p.instrs[i];
    if (instr.opcode == LKS_INSTR_INPUT && args) {
      step_of[i] = (*args)[instr.imm];
      continue;
    }
    Step step{instr.opcode, instr.dtype, {}, 0, instr.imm, nullptr};
    std::vector<std::uint32_t> own;
    for (int a = 0; a < argument_count(instr, p); ++a) own.push_back(step_of[instr.args[a]]);
    for (std::size_t a = 0; a < own.size(); ++a) step.args[a] = own[a];
    if (!own.empty()) step.arg_dtype = steps[own[0]].dtype;
    if (instr.opcode == LKS_INSTR_CALL) {
      const lks_function& f = p.functions[instr.imm];
      step.function = find_function(f.name, f.version, instr.dtype);
      if (!step.function) {
        step_of[i] = append(*f.body, &own)[0];
        continue;
      }
    }
    uses_index = uses_index || instr.opcode == LKS_INSTR_INDEX;
    step_of[i] = static_cast<std::uint32_t>(steps.size());
    steps.push_back(step);
  }
  std::vector<std::uint32_t> results;
  for (std::uint32_t o = 0; o < p.output_count; ++o) results.push_back(step_of[p.outputs[o]]);
  return results;
}
