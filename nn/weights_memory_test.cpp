// Tests that weights go from a file straight to their device: how much memory loading takes, where, and how often the
// bytes are copied.
#include <gtest/gtest.h>

#include <vector>

#include "lockstep/lockstep.h"
#include "nn/test_files.h"
#include "runtime/device_state.h"
#include "runtime/test_devices.h"
#include "runtime/toy_device.h"

namespace lockstep {
namespace {

constexpr std::int64_t count = 3, elements = 256 * 1024;
constexpr std::uint64_t model_bytes = count * elements * sizeof(float);  // whole size classes of the pool

class WeightsMemory : public testing::TestWithParam<std::string> {
 protected:
  static std::vector<Variable> variables_of(float value, Device device) {
    const DeviceScope scope(device);
    std::vector<Variable> variables;
    for (std::int64_t i = 0; i < count; ++i) {
      const Tensor values(std::vector<float>(elements, value + static_cast<float>(i)), Shape{elements});
      variables.emplace_back(values, "v" + std::to_string(i));
    }
    return variables;
  }
  static void expect_values(const std::vector<Variable>& variables, float value) {
    for (std::size_t i = 0; i < variables.size(); ++i) {
      EXPECT_EQ(variables[i].read().to_vector<float>(), std::vector<float>(elements, value + static_cast<float>(i)));
    }
  }

  // Calls `load` while another device is the default. Expects that the target's memory grows by `bytes` at most, the
  // other's not at all, and that no byte is copied in host memory.
  void expect_one_copy(std::uint64_t bytes, const std::function<void()>& load) {
    const DeviceScope scope(other);
    synchronize(device);
    release_cached_memory(device);
    const std::uint64_t live = memory_stats(device).live, elsewhere = memory_stats(other).live;
    const UploadCounters &uploads = device.state().uploads, &others = other.state().uploads;
    const std::uint64_t staged = uploads.staged, written = uploads.written, others_written = others.written;
    reset_peak_memory(device);
    reset_peak_memory(other);
    load();
    EXPECT_LE(memory_stats(device).peak_live - live, bytes);
    EXPECT_EQ(memory_stats(other).peak_live, elsewhere) << "the tensors made no detour";
    EXPECT_EQ(uploads.staged, staged);
    EXPECT_EQ(uploads.written - written, bytes) << "each byte is given to the device once";
    EXPECT_EQ(others.written, others_written);
  }

  Device device = device_named(GetParam());
  Device other{GetParam() == "reference:0" ? "cpu" : "reference"};
  TemporaryFolder folder;
  std::string path = folder.file("weights.safetensors");
};

TEST_P(WeightsMemory, LoadingWeightsTakesOneModelOnTheirDevice) {
  save_weights(path, variables_of(1, device));
  const std::vector<Variable> variables = variables_of(5, device);
  expect_one_copy(model_bytes, [&] { load_weights(path, variables); });
  expect_values(variables, 1);
}

TEST_P(WeightsMemory, TensorsAreLoadedToTheDeviceThatIsNamed) {
  save_weights(path, variables_of(1, device));
  TensorFile file;
  expect_one_copy(model_bytes, [&] { file = load_tensors(path, device); });
  ASSERT_EQ(file.tensors.size(), static_cast<std::size_t>(count));
  EXPECT_EQ(file.tensors.at("v1").device(), device);
  EXPECT_EQ(file.tensors.at("v1").to_vector<float>(), std::vector<float>(elements, 2));
  const DeviceScope scope(other);
  EXPECT_EQ(load_tensors(path).tensors.at("v1").device(), other) << "without a name, the default device";
}

// A wrong file is found out before a tensor is loaded.
TEST_P(WeightsMemory, AFileThatDoesNotMatchIsNotLoaded) {
  save_weights(path, variables_of(1, device));
  std::vector<Variable> variables = variables_of(5, device);
  variables.pop_back();
  expect_one_copy(0, [&] { EXPECT_THROW(load_weights(path, variables), IoError); });
}

TEST_P(WeightsMemory, AnOptimizersStateGoesToTheDevicesOfItsVariables) {
  const DeviceScope scope(device);
  const std::vector<Variable> variables = variables_of(1, device);
  const auto step = [&](optim::Optimizer& optimizer) {
    std::vector<Tensor> gradients;
    for (const Variable& v : variables) gradients.push_back(ones(v.shape()));
    optimizer.apply(gradients, variables);
  };
  optim::Optimizer saved{optim::Sgd{.momentum = 0.5}}, loaded{optim::Sgd{.momentum = 0.5}};
  step(saved);
  save_optimizer(path, saved);
  expect_one_copy(model_bytes, [&] { load_optimizer(path, loaded, variables); });
  ASSERT_EQ(loaded.state().size(), static_cast<std::size_t>(count));
  for (const Variable& slot : loaded.state()) EXPECT_EQ(slot.device(), device);
  EXPECT_EQ(weights_sha256(loaded.state()), weights_sha256(saved.state()));
}

// The file may go as soon as a function that loads it has returned.
TEST_P(WeightsMemory, NothingReadsTheFileLater) {
  save_weights(path, variables_of(1, device));
  if (GetParam() == "toy:0") set_option("toy.delay_us", "5000");
  const TensorFile file = load_tensors(path, device);
  std::filesystem::resize_file(path, 0);
  for (const auto& [name, tensor] : file.tensors) EXPECT_EQ(tensor.to_vector<float>().size(), 1u * elements) << name;
  set_option("toy.delay_us", std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Devices, WeightsMemory, testing::ValuesIn(devices_and_toy()), &by_device);

}  // namespace
}  // namespace lockstep
