// Runs `lockstep conformance` on every mutant, which must fail, and on the correct drivers, which must pass. `Mutants`
// run the suites of mutants.def until a case fails. `Killers` run only the case or suites that killers.txt lists for
// each mutant, which takes a tenth of a second. `StrictDevices` run what a device without fast mode runs. With
// LOCKSTEP_WRITE_KILLERS=FILE, `Mutants` append lines of killers.txt to FILE.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

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

std::string suites_and_ops(const MutantLine& m) {
  std::string arguments;
  if (m.suites[0]) arguments += std::string("--suite ") + m.suites;
  if (m.ops[0]) arguments += std::string(" --op '") + m.ops + "'";
  return arguments;
}

// Runs `lockstep conformance`; returns its exit status and output. The program limits the time of each case itself;
// `timeout` is needed only if the program hangs.
Outcome certify(const std::string& name, const std::string& arguments) {
  const std::string command = "timeout 1700 " LOCKSTEP_CLI " conformance --driver " MUTANT_FOLDER
                              "/liblockstep_driver_mutant_" +
                              name + ".so " + arguments + " 2>&1";
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
  return outcome;
}

Outcome certify(const MutantLine& m, const std::string& arguments) {
  return certify(m.name, std::string("--json --profile ") + m.profile + " " + arguments);
}

constexpr const char* until_one_fails = " --fail-fast --timeout 60";
// For one small case: a shorter time limit, because some faults hang.
constexpr const char* until_it_fails = " --fail-fast --timeout 10";

// Whether a case failed, rather than the driver not loading or no case running.
testing::AssertionResult is_turned_down(const Outcome& outcome) {
  const std::string tail =
      outcome.output.size() > 4000 ? "…" + outcome.output.substr(outcome.output.size() - 4000) : outcome.output;
  const nlohmann::json summary = nlohmann::json::parse(outcome.last_line, nullptr, false);
  if (outcome.status != 1 || !summary.is_object() || summary.at("cases").get<int>() == 0) {
    return testing::AssertionFailure() << "status " << outcome.status << "\n" << tail;
  }
  int found = 0;
  for (const char* kind : {"failed", "crashed", "timed_out", "required_missing"}) found += summary.at(kind).get<int>();
  if (found == 0) return testing::AssertionFailure() << outcome.last_line;
  return testing::AssertionSuccess();
}

// Returns "--case 'ID'" of the first case that fails, if it fails three times when run alone; else suites_and_ops(m).
std::string killer_of(const MutantLine& m) {
  // Reads the plain output, because the JSON summary does not contain the id.
  const std::string output =
      certify(m.name, std::string("--profile ") + m.profile + " " + suites_and_ops(m) + until_one_fails).output;
  const std::size_t start = output.find("--case '");
  const std::size_t end = start == std::string::npos ? start : output.find('\'', start + 8);
  if (end == std::string::npos) return suites_and_ops(m);
  std::string killer = output.substr(start, end + 1 - start);
  for (int n = 0; n < 3; ++n) {
    if (!is_turned_down(certify(m, killer + until_it_fails))) return suites_and_ops(m);
  }
  return killer;
}

class Mutants : public testing::TestWithParam<MutantLine> {};

TEST_P(Mutants, AreTurnedDown) {
  const char* file = std::getenv("LOCKSTEP_WRITE_KILLERS");
  const std::string killer = file ? killer_of(GetParam()) : suites_and_ops(GetParam());
  ASSERT_TRUE(is_turned_down(certify(GetParam(), killer + until_one_fails)));
  if (file) std::ofstream(file, std::ios::app) << GetParam().name << " " << killer << "\n";
}

INSTANTIATE_TEST_SUITE_P(All, Mutants, testing::ValuesIn(mutants + 2, std::end(mutants)),
                         [](const auto& line) { return line.param.name; });

std::map<std::string, std::string> read_killers() {
  std::map<std::string, std::string> killers;
  std::ifstream file(MUTANT_KILLERS);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') killers[line.substr(0, line.find(' '))] = line.substr(line.find(' ') + 1);
  }
  return killers;
}

// What killers.txt says of the mutant; nullptr, and a failure of the test, if it says nothing.
const std::string* listed_killer(const MutantLine& m) {
  static const std::map<std::string, std::string> killers = read_killers();
  const auto killer = killers.find(m.name);
  if (killer != killers.end()) return &killer->second;
  ADD_FAILURE() << "no line of killers.txt begins with " << m.name
                << "; LOCKSTEP_WRITE_KILLERS=FILE mutants_test --gtest_filter='*AreTurnedDown/" << m.name
                << "' writes it to FILE";
  return nullptr;
}

class Killers : public testing::TestWithParam<MutantLine> {};

TEST_P(Killers, TurnMutantsDown) {
  const MutantLine& m = GetParam();
  const std::string* killer = listed_killer(m);
  ASSERT_TRUE(killer);
  if (is_turned_down(certify(m, *killer + until_it_fails))) return;
  // The case has changed, or the fault depends on the clock, so run the suites.
  std::cout << "not by " << *killer << "; if that case has changed, write its line of killers.txt again\n";
  EXPECT_TRUE(is_turned_down(certify(m, suites_and_ops(m) + until_one_fails)));
}

INSTANTIATE_TEST_SUITE_P(All, Killers, testing::ValuesIn(mutants + 2, std::end(mutants)),
                         [](const auto& line) { return line.param.name; });

class StrictDevices : public testing::TestWithParam<MutantLine> {};

// Many mutants fail first in fast or lockstep mode, which not every device offers. They must fail in strict mode too,
// unless the fault is in the other mode only.
TEST_P(StrictDevices, TurnMutantsDown) {
  const MutantLine& m = GetParam();
  const std::string* killer = listed_killer(m);
  ASSERT_TRUE(killer);
  const auto has = [](std::string_view text, std::string_view part) { return text.find(part) != text.npos; };
  const bool names_a_case = has(*killer, "--case"), concerns_lockstep = m.profile == std::string_view("lockstep");
  const bool fails_in_another_mode = has(*killer, "/fast/") || (has(*killer, "/lockstep/") && !concerns_lockstep);
  const bool is_of_fast_mode = has(m.name, "fast") || has(m.text, "fast");
  if ((names_a_case && !fails_in_another_mode) || is_of_fast_mode) return;
  EXPECT_TRUE(is_turned_down(certify(m, suites_and_ops(m) + " --mode strict" + until_one_fails)));
}

INSTANTIATE_TEST_SUITE_P(All, StrictDevices, testing::ValuesIn(mutants + 2, std::end(mutants)),
                         [](const auto& line) { return line.param.name; });

class CorrectDriver : public testing::TestWithParam<MutantLine> {};

// Otherwise mutants might fail for another reason than their fault.
TEST_P(CorrectDriver, DriversPass) {
  const Outcome outcome = certify(GetParam(), suites_and_ops(GetParam()) + " --timeout 200");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
}

INSTANTIATE_TEST_SUITE_P(All, CorrectDriver, testing::ValuesIn(mutants, mutants + 2),
                         [](const auto& line) { return line.param.name; });

// After one failed call, this driver fails all later calls in the same process.
TEST(CorrectDriver, CasesAfterAFailureAreNotItsVictims) {
  const Outcome outcome = certify("stuck_after_fault", "--profile core --suite fault,copy --jobs 1");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.output.find(" fail        fault/"), std::string::npos) << outcome.output;
  EXPECT_EQ(outcome.output.find("  copy/"), std::string::npos) << outcome.output;
}

// The text of a failure says if the case passes in a fresh process.
TEST(CorrectDriver, WhatPassesAloneSaysSo) {
  const Outcome outcome = certify("forgets_a_launch", "--profile core --suite forward --op add --jobs 1");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.output.find("; alone, in a fresh process, it passes"), std::string::npos) << outcome.output;
}

}  // namespace
