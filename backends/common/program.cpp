#include "backends/common/program.h"

#include "api/internal/instructions.h"

namespace common {

Program::Program(const lks_program& p)
    : input_dtypes(p.input_dtypes, p.input_dtypes + p.input_count),
      instrs(p.instrs, p.instrs + p.instr_count),
      outputs(p.outputs, p.outputs + p.output_count) {
  for (std::uint32_t f = 0; f < p.function_count; ++f) {
    functions.push_back(
        {p.functions[f].name, p.functions[f].version, std::make_shared<const Program>(*p.functions[f].body)});
  }
}

int arg_count(const lks_instr& instr, const Program& program) {
  if (instr.opcode == LKS_INSTR_CALL) return static_cast<int>(program.functions[instr.imm].body->input_dtypes.size());
  return lockstep::arg_count_of(instr.opcode);
}

namespace {

// Appends `program` to `out`. Inside the body of a function, `args` are the values of its inputs; at the outermost
// level `args` is nullptr and the inputs stay inputs. Returns the values of the program's outputs.
std::vector<std::uint32_t> append(const Program& program, const std::vector<std::uint32_t>* args,
                                  bool (*keep)(const Program::Function&, lks_dtype), std::vector<lks_instr>& out) {
  std::vector<std::uint32_t> values(program.instrs.size());
  for (std::size_t i = 0; i < program.instrs.size(); ++i) {
    lks_instr instr = program.instrs[i];
    const int count = arg_count(instr, program);
    for (int a = 0; a < count; ++a) instr.args[a] = values[instr.args[a]];
    if (instr.opcode == LKS_INSTR_INPUT && args) {
      values[i] = (*args)[instr.imm];
      continue;
    }
    if (instr.opcode == LKS_INSTR_CALL && !(keep && !args && keep(program.functions[instr.imm], instr.dtype))) {
      const std::vector<std::uint32_t> inner(instr.args, instr.args + count);
      values[i] = append(*program.functions[instr.imm].body, &inner, keep, out)[0];
      continue;
    }
    values[i] = static_cast<std::uint32_t>(out.size());
    out.push_back(instr);
  }
  std::vector<std::uint32_t> results;
  for (std::uint32_t o : program.outputs) results.push_back(values[o]);
  return results;
}

}  // namespace

std::vector<lks_instr> inline_calls(const Program& program, bool (*keep)(const Program::Function&, lks_dtype),
                                    std::vector<std::uint32_t>& outputs) {
  std::vector<lks_instr> out;
  outputs = append(program, nullptr, keep, out);
  return out;
}

}  // namespace common
