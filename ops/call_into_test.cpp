#include "ops/call_into.h"

#include <gtest/gtest.h>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"
#include "ops/built_in.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

// A call of `copy` on a tensor.
struct Copy {
  explicit Copy(Tensor tensor, CallSite where = CallSite::current())
      : from(std::move(tensor)),
        operand(from, where),
        call{built_in("copy"), std::span(&operand, 1), nullptr, {}, where} {}
  Copy(const Copy&) = delete;
  const Tensor from;
  const Operand operand;
  const OpCall call;
};

TensorRef memory_of(const Tensor& tensor) { return TensorRef::share(tensor.impl()); }

std::vector<float> values(const Tensor& tensor) { return tensor.to_vector<float>(); }

class CallsIntoMemory : public testing::TestWithParam<std::string> {
 protected:
  CallsIntoMemory() : scope_(Device(GetParam())) {}

  DeviceState& device = Device(GetParam()).state();
  const CallTypes types{DType::f32};

 private:
  DeviceScope scope_;
};
INSTANTIATE_TEST_SUITE_P(EachDevice, CallsIntoMemory, testing::ValuesIn(available_devices()), by_device);

TEST_P(CallsIntoMemory, WriteThere) {
  const Tensor target = zeros({2, 3}), source = full({3, 2}, 5);
  const Copy copy(transpose(source));
  const TensorRef output = memory_of(target);
  CallInto::run(copy.call, types, device, std::span(&output, 1));
  EXPECT_EQ(values(target), std::vector<float>(6, 5));
}

TEST_P(CallsIntoMemory, WriteIntoViewsAndLeaveTheRestAlone) {
  const Tensor target = zeros({2, 3});
  const Copy copy(full({2}, 5));
  const TensorRef column = memory_of(select_index(target, 1, 1));
  CallInto::run(copy.call, types, device, std::span(&column, 1));
  EXPECT_EQ(values(target), (std::vector<float>{0, 5, 0, 0, 5, 0}));
}

TEST_P(CallsIntoMemory, AreSubmittedTogether) {
  const Tensor a = zeros({2}), b = zeros({3});
  const Copy first(full({2}, 1)), second(full({3}, 2));
  const TensorRef into_a = memory_of(a), into_b = memory_of(b);
  CallInto one(first.call, types, device, std::span(&into_a, 1));
  CallInto two(second.call, types, device, std::span(&into_b, 1));
  EXPECT_EQ(values(a), std::vector<float>(2, 0)) << "nothing is written before the unit is submitted";
  CallInto* const unit[] = {&one, &two};
  CallInto::submit(unit);
  EXPECT_EQ(values(a), std::vector<float>(2, 1));
  EXPECT_EQ(values(b), std::vector<float>(3, 2));
}

TEST_P(CallsIntoMemory, OfNothingWriteNothing) {
  const Tensor target = zeros({0, 3});
  const Copy copy(ones({0, 3}));
  const TensorRef output = memory_of(target);
  CallInto::run(copy.call, types, device, std::span(&output, 1));
  CallInto::submit({});
}

}  // namespace
}  // namespace lockstep
