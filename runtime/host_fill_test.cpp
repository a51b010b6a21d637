// Tests of HostFill: where the host writes, how often bytes are copied, and what is left after a failure.
#include <gtest/gtest.h>

#include <cstring>
#include <optional>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"
#include "runtime/device_state.h"
#include "runtime/host_fill.h"
#include "runtime/test_devices.h"
#include "runtime/toy_device.h"

namespace lockstep {
namespace {

class HostFills : public testing::TestWithParam<std::string> {
 protected:
  static Tensor finish(HostFill& fill) { return Tensor::adopt(fill.finish(CallSite::current()).detach()); }
  static void write(HostFill& fill, const std::vector<float>& values) {
    std::memcpy(fill.data(), values.data(), values.size() * sizeof(float));
  }
  std::uint64_t live() const { return memory_stats(device).live; }

  Device device = device_named(GetParam());
  DeviceState& state = device.state();
  bool direct = state.host_visible() && state.queue().is_inline();
};

TEST_P(HostFills, MakeTensorsOfWhatWasWritten) {
  const std::uint64_t staged = state.uploads.staged, written = state.uploads.written, mapped = state.uploads.mapped;
  std::optional<HostFill> fill(std::in_place, state, TensorSpec{DType::f32, {2, 2}}, BlockPurpose{.label = "made"});
  write(*fill, {1, 2, 3, 4});
  const Tensor x = finish(*fill);
  EXPECT_EQ(fill->data(), nullptr) << "nobody may write the tensor any more";
  fill.reset();
  EXPECT_EQ(x.spec(), (TensorSpec{DType::f32, {2, 2}}));
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(state.uploads.staged, staged);
  EXPECT_EQ(state.uploads.written - written, direct ? 0u : 16u);
  EXPECT_EQ(state.uploads.mapped - mapped, direct ? 16u : 0u);
}

TEST_P(HostFills, ThatAreNotFinishedLeaveNothing) {
  const std::uint64_t before = live();
  {
    HostFill fill(state, {DType::f32, {2}}, {.label = "made"});
    write(fill, {1, 2});
    EXPECT_GT(live(), before);
  }
  EXPECT_EQ(live(), before);
}

TEST_P(HostFills, OfNoElementsHaveNothingToWrite) {
  HostFill fill(state, {DType::f32, {0, 3}}, {.label = "made"});
  EXPECT_EQ(fill.data(), nullptr);
  EXPECT_EQ(finish(fill).shape(), (Shape{0, 3}));
}

TEST_P(HostFills, CopiesToOtherDevicesAreStagedByNobody) {
  const DeviceScope scope{Device("reference")};
  const Tensor x({1.0f, 2.0f, 3.0f});
  const std::uint64_t staged = state.uploads.staged;
  EXPECT_EQ(x.to(device).to_vector<float>(), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(state.uploads.staged, staged);
}

// Memory that the caller may free at once has to be copied for an asynchronous queue, unless its driver does so.
TEST_P(HostFills, TensorsOfBorrowedValuesAreStagedIfTheQueueIsAsynchronous) {
  synchronize(device);
  const bool copied_by_driver = (state.info().capabilities & LKS_CAP_COPIES_WRITES) != 0;
  const DeviceScope scope{device};
  const std::uint64_t staged = state.uploads.staged, written = state.uploads.written;
  const Tensor x({1.0f, 2.0f});
  EXPECT_EQ(state.uploads.staged - staged, state.queue().is_inline() || copied_by_driver ? 0u : 8u);
  EXPECT_EQ(state.uploads.written - written, 8u);
}

INSTANTIATE_TEST_SUITE_P(Devices, HostFills, testing::ValuesIn(devices_and_toys()), &by_device);

}  // namespace
}  // namespace lockstep
