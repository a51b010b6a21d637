// A pointwise program as this driver stores it: one list of steps, in which calls of unknown functions are inlined.
#pragma once

#include <lockstep/driver.h>

#include <vector>

#include "convert.h"

// A built-in function of this driver, for n elements; args[a] are the n values of argument a.
using Function = void (*)(Bits* out, const Bits* const* args, int n);

// Returns the function with this name and version, or nullptr; then the body that comes with the program is used. The
// function must give the same bits as the body. It does if it is compiled from the installed scalar headers.
Function find_function(const char* name, std::uint32_t version, lks_dtype dtype);

struct Step {
  std::uint32_t opcode;
  lks_dtype dtype;
  std::uint32_t args[3];  // indices of earlier steps
  lks_dtype arg_dtype;    // of the first argument
  std::uint64_t imm;
  Function function;  // of a call instruction
};

struct Program {
  std::vector<Step> steps;
  std::vector<std::uint32_t> outputs;  // indices of steps
  bool uses_index = false;

  explicit Program(const lks_program& p);

 private:
  std::vector<std::uint32_t> append(const lks_program& p, const std::vector<std::uint32_t>* args);
};

int argument_count(const lks_instr& instr, const lks_program& program);
