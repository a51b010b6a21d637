// Compares docs/driver_requirements.md with the suite: a driver that accepts only what the tables list passes, and the
// suite requires everything that they list. `Page` runs a part of the suite, `WholePage` all of it. `Guide` compares
// the instructions that docs/adding_a_driver.md lists with those that the suite runs. With
// LOCKSTEP_WRITE_REQUIREMENTS=FILE, `WholePage` instead writes the page to FILE, with the requirements recorded by a
// driver without these limits.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "conformance/minimal/requirements.h"

#define GRADIENT_SUITES "gradient,second_gradient,special_gradient,audit,trajectory"
#define FORWARD_SUITES "forward,refusal,beside,repeat,rows,sizes,numbers,instructions,positions,sweep,probe,vectors"
#define RUNTIME_SUITES "memory,queue,copy,abi,threads,fault"

namespace minimal {
namespace {

const std::string record_path = testing::TempDir() + "driver_requirements.record";

Requirements page() {
  std::ifstream file(REQUIREMENTS_PAGE);
  return read_requirements(file);
}

// Runs the suite on the driver, with driver options, and expects that it passes.
void expect_pass(const std::string& driver_options, const std::string& arguments) {
  const std::string command =
      driver_options + " " LOCKSTEP_CLI " conformance --driver " MINIMAL_DRIVER " --timeout 200 " + arguments + " 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  char text[4096];
  while (const std::size_t n = std::fread(text, 1, sizeof text, pipe)) output.append(text, n);
  const int status = pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
      << command << "\n"
      << output << "where a case asks more than the page says, it is to be written anew: see this file's head";
}

std::string limits(const std::string& profile) {
  return "LOCKSTEP_LEAST_REQUIREMENTS=" REQUIREMENTS_PAGE " LOCKSTEP_LEAST_PROFILE=" + profile;
}

// Runs all of `core`, or the additional suites of `train`, and returns the requirements of the required cases: those of
// the dtypes that a driver must support, and the core kernels. The suite `pair` is not recorded, because the first call
// of a pair may be refused.
Demand asked_by(const std::string& profile, const std::string& driver_options) {
  const bool is_core = profile == "core";
  const std::string arguments = "--profile " + profile,
                    record = driver_options + " LOCKSTEP_LEAST_RECORD=" + record_path;
  const std::string suites = is_core ? " --suite " FORWARD_SUITES : " --suite " GRADIENT_SUITES;
  std::remove(record_path.c_str());
  for (const char* dtype : {"f32", "i32", "bool"}) {
    if (!is_core && dtype != std::string("f32")) continue;  // gradients are required in f32 only
    expect_pass(record, arguments + suites + " --dtype " + dtype);
  }
  for (const char* dtype : {"f64", "f16", "bf16", "i8", "u8", "i64"}) {
    const bool is_float = std::string(dtype).find('f') != std::string::npos;
    if (is_core || is_float) expect_pass(driver_options, arguments + suites + " --dtype " + dtype);
  }
  if (is_core) {
    expect_pass(driver_options, arguments + " --suite pair," RUNTIME_SUITES);
    expect_pass(record + " LOCKSTEP_LEAST_QUERIES=1", arguments + " --case abi/core_is_offered");
  }
  std::ifstream file(record_path);
  return read_record(file);
}

TEST(Page, HasWhatAPartOfTheSuiteAsks) {
  expect_pass(limits("core"), "--profile core --shard 7/40");
  expect_pass(limits("train"), "--profile train --suite gradient,trajectory --dtype f32 --shard 3/60");
}

// The suite must fail if a driver lacks something in the tables.
TEST(Page, IsNotLongerThanNeeded) {
  for (const char* without : {"instruction|ADD|f32", "kernel|SUM|f32 → f32|8", "kernel|COPY|i32 → i32|0"}) {
    const std::string command = limits("core") + " LOCKSTEP_LEAST_WITHOUT='" + without +
                                "' " LOCKSTEP_CLI " conformance --driver " MINIMAL_DRIVER
                                " --profile core --suite forward,abi --fail-fast >/dev/null 2>&1";
    const int status = std::system(command.c_str());
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << command;
  }
}

// The instructions that the guide promises to test, as a record names them: "ADD" and "f32", "CONVERT" and "f32 → i8".
std::set<std::pair<std::string, std::string>> instructions_of_guide() {
  std::ifstream file(DRIVER_GUIDE);
  std::set<std::pair<std::string, std::string>> all;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "<!-- instructions -->" || line == "<!-- end of instructions -->") inside = !inside;
    if (!inside || !line.starts_with("| `")) continue;
    const std::string name = line.substr(3, line.find('`', 3) - 3);
    std::string dtypes = line.substr(line.find("` | ") + 4);
    dtypes.resize(dtypes.rfind(" |"));
    const std::string from_each = "from each of ", to_each = " to each other";
    if (!dtypes.starts_with(from_each)) {
      for (const std::string& dtype : split(dtypes, ", ")) {
        const std::vector<std::string> sides = split(dtype, "→");
        all.emplace(name, sides.size() == 1 ? dtype : sides[0] + " → " + sides[1]);
      }
      continue;
    }
    const std::string list = dtypes.substr(from_each.size(), dtypes.size() - from_each.size() - to_each.size());
    for (const std::string& from : split(list, ", ")) {
      for (const std::string& to : split(list, ", ")) {
        if (from != to) all.emplace(name, from + " → " + to);
      }
    }
  }
  return all;
}

// The kernels that the suite prepares are the evidence, not the list from which it makes its cases.
TEST(Guide, EveryInstructionItListsIsExecuted) {
  std::remove(record_path.c_str());
  expect_pass("LOCKSTEP_LEAST_RECORD=" + record_path, "--suite instructions");
  std::ifstream file(record_path);
  const Demand executed = read_record(file);
  const auto promised = instructions_of_guide();
  EXPECT_GT(promised.size(), 200u);
  for (const auto& [name, dtype] : promised) {
    EXPECT_TRUE(executed.instructions.count({name, dtype}))
        << name << " of " << dtype << " is promised, but never runs";
  }
}

TEST(Page, IsReadAsItWasWritten) {
  std::ifstream file(REQUIREMENTS_PAGE);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::istringstream once(text);
  EXPECT_EQ(with_requirements(once, page()), text);
  EXPECT_FALSE(page().core.kernels.empty());
}

TEST(WholePage, IsWhatTheSuiteAsks) {
  if (const char* path = std::getenv("LOCKSTEP_WRITE_REQUIREMENTS")) {
    // Without f64 arithmetic on the device, the host computes arange itself.
    const std::string without = "LOCKSTEP_LEAST_WITHOUT='instruction|ADD|f64'";
    Requirements asked{asked_by("core", without), asked_by("train", without)};
    asked.train.add(asked.core);
    std::ifstream old(REQUIREMENTS_PAGE);
    const std::string text = with_requirements(old, asked);
    std::ofstream(path) << text;
    return;
  }
  const Requirements told = page();
  Requirements asked{asked_by("core", limits("core")), asked_by("train", limits("train"))};
  asked.train.add(asked.core);
  // The reverse need not be checked: the driver refuses everything beyond the page.
  constexpr const char* mend =
      "no case asks for it any more; LOCKSTEP_WRITE_REQUIREMENTS=docs/driver_requirements.md requirements_test "
      "--gtest_filter=WholePage.* writes the page anew";
  EXPECT_EQ(asked.core.lacks(told.core).text, "") << mend;
  EXPECT_EQ(asked.train.lacks(told.train).text, "") << mend;
}

}  // namespace
}  // namespace minimal
