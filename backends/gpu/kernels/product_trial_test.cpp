#include "backends/gpu/kernels/product_trial.h"

#include <gtest/gtest.h>

#include <cstring>

namespace gpu {
namespace {

constexpr ProductShape shape{1, 8, 4, trial_depth};
constexpr ProductStrides dense{trial_depth, 1, 4, 1, 4, 1};

// The product in double, which holds it exactly. Denormal numbers are flushed to zero if `loses` says so.
void multiply(ProductTrial& trial, bool loses) {
  std::vector<float> memory(trial.bytes() / sizeof(float));
  trial.write_operands(reinterpret_cast<std::byte*>(memory.data()));
  const float *const left = memory.data(), *const right = left + trial.right_offset() / sizeof(float);
  std::vector<float> result;
  for (std::int64_t row = 0; row < shape.rows; ++row) {
    for (std::int64_t column = 0; column < shape.columns; ++column) {
      double sum = 0;
      for (std::int64_t k = 0; k < shape.depth; ++k) {
        sum += static_cast<double>(left[row * dense.left_row + k]) * right[k * dense.right_position + column];
      }
      result.push_back(loses ? 0.0f : static_cast<float>(sum));
    }
  }
  ASSERT_EQ(result.size() * sizeof result[0], trial.result_bytes());
  std::memcpy(trial.result(), result.data(), trial.result_bytes());
}

TEST(ProductTrial, is_passed_by_an_exact_product_and_by_no_other) {
  for (const TrialUnits& units : trial_units) {
    ProductTrial trial(shape, dense, units, false);
    multiply(trial, false);
    EXPECT_TRUE(trial.is_exact());
    multiply(trial, true);
    EXPECT_FALSE(trial.is_exact());
  }
}

TEST(ProductTrial, can_expect_losses) {
  ProductTrial trial(shape, dense, trial_units[0], true);
  multiply(trial, true);
  EXPECT_TRUE(trial.is_exact());
  multiply(trial, false);
  EXPECT_FALSE(trial.is_exact());
}

}  // namespace
}  // namespace gpu
