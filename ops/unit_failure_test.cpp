// Calls that are submitted as one unit: its failure names the call that failed, not the first one.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <source_location>

#include "lockstep/driver_ops.h"
#include "lockstep/lockstep.h"
#include "ops/built_in.h"
#include "ops/call_into.h"
#include "runtime/test_devices.h"
#include "runtime/toy_device.h"

namespace lockstep {
namespace {

// Two rows of a table, gathered into new memory.
struct Gather {
  Gather(const Tensor& table, std::int64_t last, CallSite where)
      : indices({std::int64_t{1}, last}),
        target(zeros({2, 4})),
        output(TensorRef::share(target.impl())),
        operands{Operand(table, where), Operand(indices, where)},
        call{built_in("gather"), operands, &attrs, {}, where},
        into(call, types, *output->device, std::span(&output, 1)) {}
  Gather(const Gather&) = delete;

  const lks_gather_attrs attrs{0};
  const Tensor indices, target;
  const TensorRef output;
  const std::array<Operand, 2> operands;
  const OpCall call;
  const CallTypes types{call};
  CallInto into;
};

// A sum of two tensors, written into new memory.
struct Add {
  Add(const Tensor& a, CallSite where)
      : target(zeros({3, 4})),
        output(TensorRef::share(target.impl())),
        operands{Operand(a, where), Operand(a, where)},
        call{built_in("add"), operands, nullptr, {}, where},
        into(call, types, *output->device, std::span(&output, 1)) {}
  Add(const Add&) = delete;

  const Tensor target;
  const TensorRef output;
  const std::array<Operand, 2> operands;
  const OpCall call;
  const CallTypes types{call};
  CallInto into;
};

class UnitFailure : public testing::TestWithParam<std::string> {
 protected:
  UnitFailure() : device(device_named(GetParam())), scope(device) {}
  const Device device;
  const DeviceScope scope;
};

// Submits calls of which one has an index of 7 in 3 rows, and passes the error to `check`.
template <class Check>
void expect_bad_index(Device device, std::span<CallInto* const> unit, Check&& check) {
  try {
    CallInto::submit(unit);
    synchronize(device);
    ADD_FAILURE() << "an index of 7 in 3 rows was accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), ErrorId::index_out_of_range) << e.what();
    check(e);
  }
}

TEST_P(UnitFailure, NamesTheCallThatFailed) {
  const Tensor table = ones({3, 4});
  for (int failing = 1; failing < 4; ++failing) {
    const CallSite first = CallSite::current();
    Add add(table, first);
    const auto row = [&](int i) { return std::int64_t{i == failing ? 7 : 2}; };
    const std::source_location where_1 = std::source_location::current();
    Gather one(table, row(1), where_1);
    const std::source_location where_2 = std::source_location::current();
    Gather two(table, row(2), where_2);
    const std::source_location where_3 = std::source_location::current();
    Gather three(table, row(3), where_3);
    const std::uint32_t line = failing == 1 ? where_1.line() : failing == 2 ? where_2.line() : where_3.line();
    CallInto* const unit[] = {&add.into, &one.into, &two.into, &three.into};
    expect_bad_index(device, unit, [&](const Error& e) {
      EXPECT_EQ(e.op(), "gather") << "the first call of the unit is an add";
      EXPECT_NE(e.where().find("unit_failure_test.cpp:" + std::to_string(line)), std::string::npos) << e.what();
    });
  }
}

// A driver of ABI 1.0 has no field in which it could say it.
TEST(UnitFailureOfAnOlderDriver, IsSaidToBeOfSomeCallOfTheUnit) {
  const Device device = older_toy();
  const DeviceScope scope(device);
  const Tensor table = ones({3, 4});
  Add add(table, CallSite::current());
  Gather gather(table, 7, CallSite::current());
  CallInto* const unit[] = {&add.into, &gather.into};
  expect_bad_index(device, unit, [](const Error& e) {
    EXPECT_EQ(e.op(), "add") << "the first call of the unit";
    EXPECT_NE(std::string(e.what()).find("the first of 2 that were submitted together"), std::string::npos) << e.what();
  });
}

INSTANTIATE_TEST_SUITE_P(Devices, UnitFailure, testing::ValuesIn(devices_and_toy()), &by_device);

}  // namespace
}  // namespace lockstep
