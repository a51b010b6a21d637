#include "lockstep/options.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <functional>

namespace lockstep {
namespace {

TEST(Options, ComeFromTheProgramElseFromTheEnvironment) {
  EXPECT_EQ(option("options_test.some_key"), std::nullopt);
  setenv("LOCKSTEP_OPTIONS_TEST_SOME_KEY", "of the environment", 1);
  EXPECT_EQ(option("options_test.some_key"), "of the environment");
  set_option("options_test.some_key", "of the program");
  EXPECT_EQ(option("options_test.some_key"), "of the program");
  set_option("options_test.some_key", "again");
  EXPECT_EQ(option("options_test.some_key"), "again");
  set_option("options_test.some_key", std::nullopt);
  EXPECT_EQ(option("options_test.some_key"), "of the environment");
  setenv("LOCKSTEP_OPTIONS_TEST_SOME_KEY", "", 1);
  EXPECT_EQ(option("options_test.some_key"), std::nullopt) << "empty is not set";
  set_option("options_test.some_key", "");
  EXPECT_EQ(option("options_test.some_key"), "") << "a program may mean it";
  set_option("options_test.some_key", std::nullopt);
  EXPECT_NO_THROW(set_option("options_test.never_set", std::nullopt));
  unsetenv("LOCKSTEP_OPTIONS_TEST_SOME_KEY");
}

std::string printed(const std::function<void()>& act) {
  testing::internal::CaptureStderr();
  act();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, WarningsGoToStandardErrorAndNothingBelow) {
  EXPECT_EQ(printed([] { log(2, "toy", "it is warm"); }), "lockstep: toy: it is warm\n");
  EXPECT_EQ(printed([] { log(1, "toy", "it burns"); }), "lockstep: toy: it burns\n");
  EXPECT_EQ(printed([] { log(3, "toy", "it runs"); }), "");
}

TEST(Log, GoesWhereTheProgramWants) {
  static int level = 0;
  set_log_sink([](int l, std::string_view, std::string_view) { level = l; });
  EXPECT_EQ(printed([] { log(3, "toy", "it runs"); }), "");
  EXPECT_EQ(level, 3);
  set_log_sink(nullptr);
  EXPECT_EQ(printed([] { log(2, "toy", "it is warm"); }), "lockstep: toy: it is warm\n") << "as before";
}

}  // namespace
}  // namespace lockstep
