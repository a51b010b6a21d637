// A copy of a pointwise program. It stays valid after the kernel description that it came from is gone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lockstep/driver.h"

namespace common {

struct Program {
  struct Function {
    std::string name;
    std::uint32_t version = 0;
    std::shared_ptr<const Program> body;
  };
  std::vector<lks_dtype> input_dtypes;
  std::vector<lks_instr> instrs;
  std::vector<std::uint32_t> outputs;
  std::vector<Function> functions;

  explicit Program(const lks_program& p);
};

/// Number of arguments of an instruction. For a call this is the number of the function's inputs.
int arg_count(const lks_instr& instr, const Program& program);

/// Copies a program and inlines every call of a function for which `keep` returns false. A null `keep` inlines all
/// calls.
std::vector<lks_instr> inline_calls(const Program& program, bool (*keep)(const Program::Function&, lks_dtype),
                                    std::vector<std::uint32_t>& outputs);

}  // namespace common
