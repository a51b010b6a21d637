// Tests of the functions that `lockstep train` and `lockstep evaluate` share.
#include "tools/cli/training.h"

#include <gtest/gtest.h>

#include "runtime/expect_error.h"

namespace cli {
namespace {

namespace ls = lockstep;

TEST(ValueOf, ReturnsTheValueOfThatName) {
  EXPECT_EQ(value_of({{"accuracy", 0.5}, {"loss", 2.0}}, "accuracy", "evaluate"), 0.5);
}

TEST(ValueOf, AValueThatIsMissingIsNamed) {
  for (const char* command : {"train", "evaluate"}) {
    const std::string start = std::string(command) + ": the model gives no value named \"accuracy\"";
    ls::expect_error_saying(
        [&] {
          value_of({{"loss", 2.0}, {"top_5", 0.5}}, "accuracy", command);
        },
        ls::ErrorId::invalid_use, {start, "loss, top_5"}, "training_test.cpp:", true);
    ls::expect_error_saying([&] { value_of({}, "accuracy", command); }, ls::ErrorId::invalid_use, {start, "none"},
                            "training_test.cpp:", true);
  }
}

}  // namespace
}  // namespace cli
