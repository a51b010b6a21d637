// Every mutant is certified by the program that a stranger would use, and must be turned down; the honest drivers must
// not.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

namespace {

struct MutantLine {
  const char *name, *base, *profile, *suites, *ops, *text;
};

constexpr MutantLine mutants[] = {
#define MUTANT(name, base, profile, suites, ops, text) {#name, #base, #profile, suites, ops, text},
#include "conformance/mutants/mutants.def"
#undef MUTANT
};

void PrintTo(const MutantLine& m, std::ostream* out) { *out << m.name << ": " << m.text; }

struct Outcome {
  int status = -1;
  std::string output, last_line;
};

// The program's exit status and what it prints. It limits its cases itself; `timeout` is for a program that hangs.
Outcome certify(const MutantLine& m, std::string more) {
  if (m.suites[0]) more += std::string(" --suite ") + m.suites;
  if (m.ops[0]) more += std::string(" --op '") + m.ops + "'";
  const std::string command =
      std::string("timeout 850 " LOCKSTEP_CLI " conformance --driver " MUTANT_FOLDER "/liblockstep_driver_mutant_") +
      m.name + ".so --profile " + m.profile + " --json " + more + " 2>&1";
  Outcome outcome;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return outcome;
  char text[4096];
  while (const std::size_t n = std::fread(text, 1, sizeof text, pipe)) outcome.output.append(text, n);
  const int status = pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  std::string rest = outcome.output;
  while (!rest.empty() && rest.back() == '\n') rest.pop_back();
  outcome.last_line = rest.substr(rest.find_last_of('\n') + 1);
  if (outcome.output.size() > 4000) outcome.output = "…" + outcome.output.substr(outcome.output.size() - 4000);
  return outcome;
}

class Mutants : public testing::TestWithParam<MutantLine> {};

TEST_P(Mutants, AreTurnedDown) {
  const Outcome outcome = certify(GetParam(), "--fail-fast --timeout 60");
  ASSERT_EQ(outcome.status, 1) << outcome.output;
  // Turned down for what a case found, not because it could not be loaded or nothing ran.
  const nlohmann::json summary = nlohmann::json::parse(outcome.last_line, nullptr, false);
  ASSERT_TRUE(summary.is_object()) << outcome.output;
  EXPECT_GT(summary.at("cases").get<int>(), 0);
  int found = 0;
  for (const char* kind : {"failed", "crashed", "timed_out", "required_missing"}) found += summary.at(kind).get<int>();
  EXPECT_GT(found, 0) << outcome.last_line;
}

INSTANTIATE_TEST_SUITE_P(All, Mutants, testing::ValuesIn(mutants + 2, std::end(mutants)),
                         [](const auto& line) { return line.param.name; });

class Honest : public testing::TestWithParam<MutantLine> {};

// Otherwise the mutants would die of something else.
TEST_P(Honest, DriversPass) {
  const Outcome outcome = certify(GetParam(), "--timeout 200");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
}

INSTANTIATE_TEST_SUITE_P(All, Honest, testing::ValuesIn(mutants, mutants + 2),
                         [](const auto& line) { return line.param.name; });

}  // namespace
