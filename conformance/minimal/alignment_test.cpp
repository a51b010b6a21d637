// Tests of the host's copies for kernels that take only dense operands that are aligned to min_alignment.
#include <gtest/gtest.h>

#include <cstdlib>

#include "lockstep/lockstep.h"
#include "runtime/device_state.h"

namespace lockstep {
namespace {

class Alignment : public testing::Test {
 protected:
  static Device minimal() {
    static const DriverRecord record = [] {
      setenv("LOCKSTEP_LEAST_WITHOUT", "kernel|COPY|bf16 → bf16|1", 1);
      return load_driver(MINIMAL_DRIVER);
    }();
    EXPECT_TRUE(record.ready) << record.text;
    return Device(record.name + ":0");
  }
  // The number of operands that the host copies in `call`.
  template <class Call>
  static std::uint64_t copies_for(Call&& call) {
    std::atomic<std::uint64_t>& copies = minimal().state().counters.layout_copies;
    const std::uint64_t before = copies;
    call();
    return copies - before;
  }

  const DeviceScope scope{minimal()};
  const Tensor x = arange(100, DType::f32);
};

TEST_F(Alignment, AnOddBeginningIsCopied) {
  EXPECT_EQ(copies_for([&] { EXPECT_EQ(sum(slice(x, {{0, 1, 4}})).item<float>(), 6.0f); }), 1u);
  EXPECT_EQ(copies_for([&] {
              EXPECT_EQ((slice(x, {{0, 1, 4}}) + slice(x, {{0, 2, 5}})).to_vector<float>()[2], 7.0f);
            }),
            2u);
}

TEST_F(Alignment, WhatIsAlignedStaysWhereItIs) {
  EXPECT_EQ(copies_for([&] { EXPECT_EQ(sum(slice(x, {{0, 16, 18}})).item<float>(), 33.0f); }), 0u);
  EXPECT_EQ(copies_for([&] { EXPECT_EQ(sum(x).item<float>(), 4950.0f); }), 0u);
}

TEST_F(Alignment, PartsOfResultsAreWrittenWhereTheyAre) {
  EXPECT_EQ(copies_for([&] { EXPECT_EQ(concat({slice(x, {{0, 3, 5}}), x}, 0).to_vector<float>()[2], 0.0f); }), 0u);
}

TEST_F(Alignment, VariablesAreUpdatedWhereTheyAre) {
  const Variable v(slice(x, {{0, 1, 4}}));
  optim::Optimizer optimizer(optim::Sgd{.learning_rate = 1});
  const Variable variables[] = {v};
  const Tensor gradients[] = {ones({3})};
  EXPECT_EQ(copies_for([&] { optimizer.apply(gradients, variables); }), 0u);
  EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{0, 1, 2}));
}

// To make such an operand dense, the host would cast it, and for that it must be dense.
TEST_F(Alignment, ADTypeWithoutCopiesIsRefusedWhereItIsNotDense) {
  const Tensor short_ones = cast(ones({3, 5}), DType::bf16);
  EXPECT_EQ(exp(short_ones).shape(), (Shape{3, 5}));
  try {
    exp(transpose(short_ones));
    ADD_FAILURE() << "a strided operand was accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), ErrorId::no_kernel);
    EXPECT_NE(std::string(e.what()).find("has no copies of bf16"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("alignment_test.cpp:"), std::string::npos) << e.what();
  }
  EXPECT_EQ(exp(short_ones).shape(), (Shape{3, 5})) << "the device is usable";
  EXPECT_EQ(exp(transpose(cast(short_ones, DType::f16))).shape(), (Shape{5, 3}));
}

}  // namespace
}  // namespace lockstep
