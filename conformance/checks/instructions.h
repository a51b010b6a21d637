// Checks every instruction of pointwise programs, in every dtype that drivers must support, bit by bit.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// The op whose attribute selects a group of instruction_table.h.
OpDef instruction_op();

/// Ids such as "instructions/conformance::instructions/u8/strict/add.sub.mul.div.u8".
std::vector<std::string> instruction_ids(const SpecialRequest& request);
bool run_instructions(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

/// The table of instructions and dtypes in docs/adding_a_driver.md, as Markdown.
std::string instructions_as_markdown();

}  // namespace lockstep::conformance
