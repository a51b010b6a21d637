// What is this driver's own: how few submissions it takes, its caches on disk, and its messages. The conformance suite
// tests the rest.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/runtime_case.h"
#include "lockstep/lockstep.h"
#include "runtime/driver_registry.h"
#include "runtime/host_api.h"

namespace lockstep {
namespace {

using namespace conformance;

const RuntimeTarget target{VULKAN_DRIVER, 0, 1};

class VulkanDriver : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<DeviceInfo> all = devices();
    const bool there =
        std::any_of(all.begin(), all.end(), [](const DeviceInfo& d) { return d.driver == "vulkan" && d.available; });
    if (!there) GTEST_SKIP() << "no Vulkan device";
  }
};

TEST_F(VulkanDriver, AThousandSmallOpsTakeAtMostFiveSubmissions) {
  Session s(target);
  constexpr std::int64_t n = 256;
  const KernelSample sample = multiply_add_sample(n);
  const Kernel kernel(s, sample);
  ASSERT_TRUE(static_cast<bool>(kernel));
  Queue queue(s);
  const Buffer ping(s, 4 * n), pong(s, 4 * n), b(s, 4 * n);
  queue.upload(ping, sample.values[0]);
  queue.upload(b, sample.values[1]);
  const std::uint64_t before = s.host.passed(LKS_FAULT_SUBMIT);
  Bytes expected = sample.values[0];
  for (int i = 0; i < 1000; ++i) {
    const Buffer &from = i % 2 ? pong : ping, &to = i % 2 ? ping : pong;
    Launch launch(kernel, sample, {{&from, 0}, {&b, 0}, {&to, 0}});
    launch_once(queue, launch);
    expected = multiply_add(expected, sample.values[1]);
  }
  queue.finish();
  EXPECT_LE(s.host.passed(LKS_FAULT_SUBMIT) - before, 5u);
  EXPECT_EQ(queue.download(ping), expected);
}

std::string run(const std::string& command) {
  std::string text;
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  std::array<char, 512> part;
  while (std::fgets(part.data(), part.size(), pipe)) text += part.data();
  pclose(pipe);
  return text;
}

// What one op gives in a process of its own, with this folder for caches.
std::string run_with_cache(const std::filesystem::path& folder) {
  return run("LOCKSTEP_CACHE_FOLDER=" + folder.string() +
             " " LOCKSTEP_PROGRAM " conformance --device vulkan --op tanh --suite forward --dtype f32");
}

TEST_F(VulkanDriver, BrokenCachesAreAsGoodAsNone) {
  const std::filesystem::path folder = testing::TempDir() + "lockstep_vulkan_cache";
  std::filesystem::remove_all(folder);
  EXPECT_NE(run_with_cache(folder).find("0 failed, 0 crashed"), std::string::npos);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "vulkan")) files.push_back(entry.path());
  ASSERT_GT(files.size(), 1u);
  std::size_t n = 0;
  for (const auto& file : files) {
    const auto size = std::filesystem::file_size(file);
    switch (n++ % 3) {
      case 0: std::filesystem::resize_file(file, size / 2); break;
      case 1: std::filesystem::resize_file(file, 0); break;
      default: {
        std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
        bytes.seekp(static_cast<std::streamoff>(size - 9));
        bytes.put('\x5a');
      }
    }
  }
  EXPECT_NE(run_with_cache(folder).find("0 failed, 0 crashed"), std::string::npos);
  // A folder that cannot be made.
  EXPECT_NE(run_with_cache("/proc/nowhere").find("0 failed, 0 crashed"), std::string::npos);
  std::filesystem::remove_all(folder);
}

TEST_F(VulkanDriver, UnknownDevicesAreNamed) {
  try {
    Device("vulkan:7");
    FAIL();
  } catch (const DeviceError& e) {
    EXPECT_NE(std::string(e.what()).find("no device \"vulkan:7\""), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("vulkan:0"), std::string::npos) << e.what();
  }
}

TEST_F(VulkanDriver, MemoryThatTheDeviceHasNotIsAnException) {
  const DeviceScope scope{Device("vulkan")};
  const auto elements = static_cast<std::int64_t>(describe(Device("vulkan")).memory_total / 4 + (1 << 20));
  EXPECT_THROW(full(Shape{elements}, 1.0f), OutOfMemoryError);
  EXPECT_EQ((Tensor(2.0f) + 1.0f).item<float>(), 3.0f);
}

TEST_F(VulkanDriver, ADeviceWithoutANeededFeatureSaysWhich) {
  const std::string text = run("LOCKSTEP_VULKAN_HIDE=shaderInt64 " LOCKSTEP_PROGRAM " devices --why");
  EXPECT_NE(text.find("the device lacks shaderInt64"), std::string::npos) << text;
  EXPECT_NE(run("LOCKSTEP_VULKAN_HIDE=shaderInt64 " LOCKSTEP_PROGRAM " conformance --device vulkan --op add")
                .find("the device lacks shaderInt64"),
            std::string::npos);
}

// Few indices are looked at by one group of invocations, many by many groups and then by one. All updates of one index
// are more than llvmpipe lets a loop turn.
TEST_F(VulkanDriver, TheFirstOfManyIndicesOutsideIsNamed) {
  const Device device("vulkan");
  const DeviceScope scope(device);
  for (const std::int64_t n : {100, 20'000, 100'000}) {
    std::vector<std::int64_t> indices(static_cast<std::size_t>(n), 3);
    const std::int64_t first = n * 3 / 4;
    const Tensor table = full({50, 4}, 1.0f), updates = full({n, 4}, 1.0f);
    EXPECT_EQ(sum(scatter_add(updates, Tensor(indices, Shape{n}), 50)).item<float>(), static_cast<float>(4 * n));
    indices.back() = 1000;
    indices[static_cast<std::size_t>(first)] = -7;
    const std::string expected = "index -7 at position " + std::to_string(first) + " is outside axis 0 of extent 50";
    for (const bool scatters : {false, true}) {
      try {
        const Tensor outside(indices, Shape{n});
        const Tensor result = scatters ? scatter_add(updates, outside, 50) : gather(table, outside);
        synchronize(device);
        FAIL();
      } catch (const ShapeError& e) {
        EXPECT_NE(std::string(e.what()).find(expected), std::string::npos) << e.what();
      }
    }
  }
}

// A host whose fault points say, from some time on, that the device is lost.
struct LosingHost {
  TestHost host;
  lks_host_api api = host.api();
  static inline std::atomic<bool> lost{false};

  LosingHost() {
    lost = false;
    api.fault_point = [](void*, std::uint32_t kind, const char*) -> lks_status {
      return lost && kind == LKS_FAULT_SUBMIT ? LKS_DEVICE_LOST : LKS_OK;
    };
  }
};

TEST_F(VulkanDriver, ALostDeviceIsAStatusFromThenOn) {
  LosingHost losing;
  DriverLibrary library(target.library);
  const lks_driver_api& api = library.table(losing.api);
  lks_diag diag = empty_diag();
  lks_driver* driver = nullptr;
  lks_device* device = nullptr;
  lks_queue* queue = nullptr;
  lks_timeline* timeline = nullptr;
  lks_buffer* buffer = nullptr;
  ASSERT_EQ(api.driver_open(&losing.api, &driver, &diag), LKS_OK);
  ASSERT_EQ(api.device_open(driver, 0, &device, &diag), LKS_OK);
  ASSERT_EQ(api.queue_create(device, LKS_QUEUE_COMPUTE, &queue, &timeline, &diag), LKS_OK);
  ASSERT_EQ(api.buffer_alloc(device, 0, 4096, &buffer, &diag), LKS_OK);
  std::uint64_t value = 0, last = 0;
  ASSERT_EQ(api.queue_fill(queue, buffer, 0, 4096, 1, 1, &value, &diag), LKS_OK);
  ASSERT_EQ(api.timeline_wait(timeline, value, ~std::uint64_t{0}, &diag), LKS_OK);

  LosingHost::lost = true;
  ASSERT_EQ(api.queue_fill(queue, buffer, 0, 4096, 2, 1, &value, &diag), LKS_OK);
  EXPECT_EQ(api.timeline_wait(timeline, value, ~std::uint64_t{0}, &diag), LKS_DEVICE_LOST);
  EXPECT_EQ(diag.value, value);
  diag = empty_diag();
  EXPECT_EQ(api.queue_fill(queue, buffer, 0, 4096, 3, 1, &value, &diag), LKS_DEVICE_LOST);
  EXPECT_NE(diag.hint[0], '\0');
  EXPECT_EQ(api.device_health(device, &diag), LKS_DEVICE_LOST);
  EXPECT_EQ(api.queue_recover(queue, &last, &diag), LKS_DEVICE_LOST);
  api.buffer_free(device, buffer);
  api.queue_destroy(queue);
  api.device_close(device);
  api.driver_close(driver);
}

TEST(VulkanLoader, WithoutAVulkanDriverTheReasonIsListed) {
  const std::string text =
      run("VK_DRIVER_FILES=/nowhere.json VK_ICD_FILENAMES=/nowhere.json " LOCKSTEP_PROGRAM " devices --why");
  EXPECT_NE(text.find("VK_DRIVER_FILES"), std::string::npos) << text;
  EXPECT_NE(text.find("cpu:0"), std::string::npos) << text;
}

}  // namespace
}  // namespace lockstep
