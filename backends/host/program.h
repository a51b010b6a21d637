// A pointwise program that outlives the kernel description it came in.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lockstep/driver.h"

namespace host {

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

/// Number of arguments of an instruction; those of a call are its function's.
int arg_count(const lks_instr& instr, const Program& program);

/// Copies a program with every call to a function for which `keep` is false replaced by the function's body.
std::vector<lks_instr> inline_calls(const Program& program, bool (*keep)(const Program::Function&, lks_dtype),
                                    std::vector<std::uint32_t>& outputs);

}  // namespace host
