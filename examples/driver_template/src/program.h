// A pointwise program as this driver keeps it: one list of steps, in which calls of unknown functions are replaced by
// their bodies.
#pragma once

#include <lockstep/driver.h>

#include <vector>

#include "convert.h"

// A function of this driver's own, for n elements; args[a] are those of argument a.
using Function = void (*)(Bits* out, const Bits* const* args, int n);

// The function with that name and version, or nullptr: then the program's body of it runs. It must give the body's
// bits, which it does when it is compiled from the installed scalar headers.
Function find_function(const char* name, std::uint32_t version, lks_dtype dtype);

struct Step {
  std::uint32_t opcode;
  lks_dtype dtype;
  std::uint32_t args[3];  // earlier steps
  lks_dtype arg_dtype;    // of the first argument
  std::uint64_t imm;
  Function function;  // of a call
};

struct Program {
  std::vector<Step> steps;
  std::vector<std::uint32_t> outputs;  // steps
  bool uses_index = false;

  explicit Program(const lks_program& p);

 private:
  std::vector<std::uint32_t> append(const lks_program& p, const std::vector<std::uint32_t>* args);
};

int argument_count(const lks_instr& instr, const lks_program& program);
