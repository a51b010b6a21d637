// Runs every case on every driver that is built here. A case must pass, or be skipped if the driver lacks the feature.
// Unlike `lockstep conformance`, this runs the cases in its own process: a crash ends the test, which is good enough.
#include <gtest/gtest.h>

#include <set>

#include "conformance/runtime/runtime_case.h"
#include "lockstep/device.h"

namespace lockstep::conformance {
namespace {

struct DriverCase {
  std::string driver;
  RuntimeTarget target;
  const RuntimeCase* test;
};

std::vector<DriverCase> runs() {
  std::vector<RuntimeTarget> targets;
  std::vector<std::string> names;
  for (const DriverRecord& record : driver_records()) {
    if (!record.ready) continue;
    targets.push_back({record.path, 0, 1});
    names.push_back(record.name);
  }
  targets.push_back({TEST_DRIVERS "/liblockstep_driver_toy.so", 0, 1});
  names.push_back("toy");
  std::vector<DriverCase> all;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    for (const RuntimeCase& test : runtime_cases()) {
      if (!test.stress) all.push_back({names[i], targets[i], &test});
    }
  }
  return all;
}

class RuntimeSuite : public testing::TestWithParam<DriverCase> {};

TEST_P(RuntimeSuite, Passes) {
  const DriverCase& run = GetParam();
  try {
    run.test->run(run.target);
  } catch (const NotOffered& e) {
    EXPECT_NE(run.test->name, "older_host") << "a driver that is built here works with hosts of ABI 1.0: " << e.what();
    GTEST_SKIP() << e.what();
  } catch (const std::exception& e) {
    FAIL() << run.test->id() << ": " << e.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Drivers, RuntimeSuite, testing::ValuesIn(runs()), [](const auto& test) {
  return test.param.driver + "_" + test.param.test->suite + "_" + test.param.test->name;
});

TEST(RuntimeCases, HaveNamesOfTheirOwnAndSayWhatTheyProve) {
  std::set<std::string> ids;
  for (const RuntimeCase& test : runtime_cases()) {
    EXPECT_TRUE(ids.insert(test.id()).second) << test.id();
    EXPECT_FALSE(test.what.empty()) << test.id();
    EXPECT_NE(test.run, nullptr) << test.id();
  }
  EXPECT_GT(ids.size(), 50u);
}

}  // namespace
}  // namespace lockstep::conformance
