// Copies of tensors from one device to another.
#include <gtest/gtest.h>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "runtime/expect_error.h"

namespace lockstep {
namespace {

const Device reference("reference"), cpu("cpu");

Tensor made(const std::vector<float>& values) {
  return Tensor(values, {static_cast<std::int64_t>(values.size())}, reference);
}

TEST(ToDevice, KeepsTheElementsAndTheirDtype) {
  const Tensor x = made({1.5f, -2.0f, 3.25f}), there = x.to(cpu), back = there.to(reference);
  EXPECT_EQ(there.device(), cpu);
  EXPECT_EQ(back.device(), reference);
  EXPECT_EQ(there.to_vector<float>(), (std::vector<float>{1.5f, -2.0f, 3.25f}));
  EXPECT_EQ(back.to_vector<float>(), there.to_vector<float>());
  EXPECT_EQ(x.to(reference).id(), x.id()) << "it is there already";
  const Tensor columns = transpose(reshape(arange(6), {2, 3}));
  EXPECT_EQ(columns.to(cpu).to_vector<std::int64_t>(), (std::vector<std::int64_t>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(slice(arange(6), {Slice{0, 2, 5}}).to(reference).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{2, 3, 4}));
  EXPECT_EQ(zeros({0, 3}).to(reference).shape(), (Shape{0, 3}));
}

TEST(ToDevice, GradientsGoBack) {
  const Tensor x = made({1.5f, -2.0f});
  GradientTape tape({.persistent = true});
  tape.watch(x);
  const Tensor moved = x.to(cpu);
  const Tensor y = sum(moved * moved), once = sum(3.0f * square(x).to(cpu));
  const Tensor g = tape.gradient(y, x), h = tape.gradient(once, x);
  EXPECT_EQ(g.device(), reference);
  EXPECT_EQ(g.to_vector<float>(), (std::vector<float>{3, -4}));
  EXPECT_EQ(h.device(), reference);
  EXPECT_EQ(h.to_vector<float>(), (std::vector<float>{9, -12}));
}

TEST(ToDevice, NumbersOfNoDeviceAreRefused) {
  const OpDef& op = *find_op("to_device");
  const Tensor x = made({1.0f});
  const std::vector<DeviceInfo> all = devices();
  const auto moved = [&](std::int64_t number) {
    return invoke1(op, {Operand(x)}, &number);  // the op's only attribute
  };
  const auto count = static_cast<std::int64_t>(all.size());
  for (std::int64_t i = 0; i < count; ++i) {
    if (!all[static_cast<std::size_t>(i)].available) continue;
    EXPECT_EQ(moved(i).device().name(), all[static_cast<std::size_t>(i)].id);
  }
  for (std::int64_t number : {std::int64_t{-1}, count}) {
    EXPECT_EQ(error_text([&] { moved(number); }), "DeviceError[LS3001] to_device: there is no device number " +
                                                      std::to_string(number) +
                                                      "\n  x      Tensor f32 (1) reference:0   output of tensor\n"
                                                      "  where  called at to_device_test.cpp:N\n"
                                                      "  fix    `lockstep devices` lists what there is");
  }
}

}  // namespace
}  // namespace lockstep
