// Uploads to a device whose driver copies the host's bytes before queue_write returns: the host keeps no copy of its
// own unless it may need one.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"

namespace lockstep {
namespace {

class Uploads : public testing::Test {
 protected:
  static Device copying_device() {
    set_option("toy.copies_writes", "1");
    const DriverRecord record = load_driver(TEST_DRIVERS "/liblockstep_driver_toy.so");
    set_option("toy.copies_writes", std::nullopt);
    EXPECT_TRUE(record.ready) << record.text;
    return Device(record.name);
  }
  // A tensor of memory that is overwritten and freed as soon as the tensor is there.
  static Tensor upload(float value) {
    const auto memory = std::make_unique<std::vector<float>>(count, value);
    const Tensor tensor = Tensor::from_bytes(memory->data(), count * sizeof(float), {f32, {count}});
    std::fill(memory->begin(), memory->end(), -1.0f);
    return tensor;
  }
  void TearDown() override { set_option("toy.delay_us", std::nullopt); }

  static constexpr int count = 1000;
  const Device device = copying_device();
  const DeviceScope scope{device};
};

TEST_F(Uploads, OneAfterTheOtherKeepTheirElements) {
  std::vector<Tensor> tensors;
  for (int i = 0; i < 300; ++i) tensors.push_back(upload(static_cast<float>(i)));
  for (int i = 0; i < 300; ++i) {
    const std::vector<float> expected(count, static_cast<float>(i));
    EXPECT_EQ(tensors[static_cast<std::size_t>(i)].to_vector<float>(), expected);
  }
}

TEST_F(Uploads, AfterACommandThatFailsAreNotLost) {
  const Tensor table = ones({3, 4}), outside({std::int64_t{1}, std::int64_t{7}});
  synchronize(device);
  set_option("toy.delay_us", "20000");
  gather(table, outside);
  const Tensor tensor = upload(5);
  EXPECT_THROW(synchronize(device), ShapeError);
  EXPECT_EQ(tensor.to_vector<float>(), std::vector<float>(count, 5));
}

// Whether the second upload follows the first one, whose bytes nobody keeps, or a failure that is known already,
// depends on the moment.
TEST_F(Uploads, BehindAnUploadThatFailsArriveOrReportIt) {
  set_option("toy.delay_us", "500");
  const std::vector<float> expected(count, 2);
  for (int round = 0; round < 40; ++round) {
    synchronize(device);
    set_option("toy.fail", std::to_string(9200 + round) + ":1");
    const Tensor failing = upload(1), behind = upload(2);
    set_option("toy.fail", std::nullopt);
    EXPECT_THROW(failing.to_vector<float>(), DeviceError);
    try {
      EXPECT_EQ(behind.to_vector<float>(), expected) << round;
    } catch (const DeviceError&) {
      EXPECT_THROW(behind + 1.0f, DeviceError) << "it has no contents later either";
    }
    EXPECT_EQ(upload(2).to_vector<float>(), expected) << "the queue works";
  }
}

}  // namespace
}  // namespace lockstep
