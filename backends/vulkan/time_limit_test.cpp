// Tests the option vulkan.timeout: a device that takes longer is lost, and nothing that it may still use is freed.
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "backends/vulkan/driver_test.h"
#include "conformance/runtime/session.h"
#include "runtime/host_api.h"

namespace lockstep {
namespace {

// Exceeds a device's time limit, then uses another device and ends the program while the first still works. Exits with
// status 0 if all is right.
[[noreturn]] void exceed_time_limit(const char* kernels) {
  setenv("LOCKSTEP_VULKAN_TIMEOUT", "0.002", 1);
  setenv("LOCKSTEP_VULKAN_KERNELS", kernels, 1);
  const Device gpu("vulkan");
  try {
    const DeviceScope scope(gpu);
    const Tensor x = full(Shape{1500, 1500}, 0.5f);
    for (int i = 0; i < 64; ++i) matmul(x, x);  // one batch
    synchronize(gpu);
    std::exit(1);
  } catch (const DeviceError& e) {
    std::fprintf(stderr, "%s\n", e.what());
  }
  try {
    Tensor(2.0f).to(gpu);
    std::exit(2);
  } catch (const DeviceError& e) {
    std::fprintf(stderr, "%s\n", e.what());
  }
  const DeviceScope other(Device("reference"));
  std::exit((Tensor(2.0f) + 1.0f).item<float>() == 3.0f ? 0 : 3);
}

// At exit, a thread of Mesa's lavapipe may free compiled code while LLVM's destructors run, and crash (LLVM 15, in
// ~MCJIT). This is rare, so a few tries suffice; a fault of this driver would crash each time.
void expect_end_after_the_time_limit(const char* kernels) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  bool has_ended = false;
  const auto ends = [&has_ended](int status) {
    has_ended = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return has_ended || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  };
  for (int tries = 0; tries < 4 && !has_ended; ++tries) {
    EXPECT_EXIT(exceed_time_limit(kernels), ends, "LS3004.*has not finished [0-9]+ commands within 0.002 s");
  }
  EXPECT_TRUE(has_ended);
}

TEST_F(VulkanDriver, ADeviceThatTakesLongerThanTheUserWaitsIsLost) { expect_end_after_the_time_limit(""); }
TEST_F(VulkanDriver, ATrialThatTakesLongerThanTheUserWaitsLosesTheDevice) { expect_end_after_the_time_limit("gpu"); }

// A driver and a device, opened through the driver's table.
struct OpenDevice {
  DriverLibrary library{target.library};
  const lks_driver_api& api = library.table(host_api());
  lks_diag diag = empty_diag();
  lks_driver* driver = nullptr;
  lks_device* device = nullptr;

  OpenDevice() {
    if (api.driver_open(&host_api(), &driver, &diag) != LKS_OK) std::exit(10);
    if (api.device_open(driver, 0, &device, &diag) != LKS_OK) std::exit(11);
  }
  void close() {
    api.device_close(device);
    api.driver_close(driver);
  }
};

struct OpenQueue {
  const lks_driver_api& api;
  lks_queue* queue = nullptr;
  lks_timeline* timeline = nullptr;
  std::uint64_t newest = 0;

  OpenQueue(OpenDevice& on, std::uint32_t kind) : api(on.api) {
    if (api.queue_create(on.device, kind, &queue, &timeline, &on.diag) != LKS_OK) std::exit(12);
  }
  // Fills the buffer in a batch of its own.
  void fill(lks_buffer* buffer, std::uint64_t bytes) {
    lks_diag diag = empty_diag();
    if (api.queue_fill(queue, buffer, 0, bytes, 7, 1, &newest, &diag) != LKS_OK) std::exit(13);
    if (api.queue_flush(queue, &diag) != LKS_OK) std::exit(14);
  }
  lks_status wait() {
    lks_diag diag = empty_diag();
    return api.timeline_wait(timeline, newest, ~std::uint64_t{0}, &diag);
  }
};

constexpr std::uint64_t much = std::uint64_t{64} << 20;

// Frees and closes everything while the device may still be writing.
void close_what_was_given_up(std::chrono::seconds before_closing) {
  setenv("LOCKSTEP_VULKAN_TIMEOUT", "0.0001", 1);
  OpenDevice on;
  OpenQueue first(on, LKS_QUEUE_COMPUTE), second(on, LKS_QUEUE_COMPUTE), third(on, LKS_QUEUE_TRANSFER);
  lks_buffer* buffer = nullptr;
  if (on.api.buffer_alloc(on.device, 0, much, &buffer, &on.diag) != LKS_OK) std::exit(15);
  for (OpenQueue* queue : {&first, &second, &third}) {
    lks_diag diag = empty_diag();
    for (int i = 0; i < 16; ++i) on.api.queue_fill(queue->queue, buffer, 0, much, 7, 1, &queue->newest, &diag);
  }
  for (OpenQueue* queue : {&third, &first, &second}) {
    if (queue->wait() != LKS_DEVICE_LOST) std::exit(16);
  }
  on.api.buffer_free(on.device, buffer);
  std::this_thread::sleep_for(before_closing);
  for (OpenQueue* queue : {&first, &second, &third}) on.api.queue_destroy(queue->queue);
  on.close();
  std::this_thread::sleep_for(std::chrono::seconds(before_closing.count() == 0 ? 1 : 0));
  std::exit(0);
}

TEST_F(VulkanDriver, ADeviceThatWasGivenUpMayBeClosed) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(close_what_was_given_up(std::chrono::seconds(0)), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(close_what_was_given_up(std::chrono::seconds(2)), testing::ExitedWithCode(0), "");
}

// Together, the batches of three queues take longer than the limit, but each batch alone is fast.
void wait_behind_others() {
  double batch_seconds = 0;
  constexpr std::uint64_t bytes = much / 4;
  for (int round = 0; round < 2; ++round) {
    // The first round has no limit and measures a batch.
    if (round > 0) setenv("LOCKSTEP_VULKAN_TIMEOUT", std::to_string(std::max(0.1, 20 * batch_seconds)).c_str(), 1);
    OpenDevice on;
    OpenQueue first(on, LKS_QUEUE_COMPUTE), second(on, LKS_QUEUE_COMPUTE), third(on, LKS_QUEUE_TRANSFER);
    lks_buffer* buffer = nullptr;
    if (on.api.buffer_alloc(on.device, 0, bytes, &buffer, &on.diag) != LKS_OK) std::exit(15);
    for (int i = 0; i < (round > 0 ? 80 : 4); ++i) {
      const auto start = std::chrono::steady_clock::now();
      first.fill(buffer, bytes);
      if (round > 0) continue;
      if (first.wait() != LKS_OK) std::exit(16);
      batch_seconds =
          std::max(batch_seconds, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    second.fill(buffer, 64);
    third.fill(buffer, 64);
    for (OpenQueue* queue : {&second, &third, &first}) {
      if (queue->wait() != LKS_OK) std::exit(17);
    }
    for (OpenQueue* queue : {&first, &second, &third}) on.api.queue_destroy(queue->queue);
    on.api.buffer_free(on.device, buffer);
    on.close();
  }
  std::exit(0);
}

TEST_F(VulkanDriver, WaitingBehindOtherQueuesIsNoTimeOfADevice) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(wait_behind_others(), testing::ExitedWithCode(0), "");
}

TEST_F(VulkanDriver, ATimeoutThatIsNoNumberIsRefused) {
  const std::string text = run("LOCKSTEP_VULKAN_TIMEOUT=soon " LOCKSTEP_PROGRAM " train --device vulkan --steps 1");
  EXPECT_NE(text.find("vulkan.timeout=\"soon\" is not a number of seconds"), std::string::npos) << text;
}

}  // namespace
}  // namespace lockstep
