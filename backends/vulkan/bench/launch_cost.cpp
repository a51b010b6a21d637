// Measures the cost of a small op on the Vulkan driver: a thousand dependent additions of 256 numbers through the
// public interface, alternating with the same in a hand-written command buffer, in several processes (argument: how
// many). Prints microseconds per op and the ratio of the two, for the medians and for the fastest processes.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "backends/vulkan/device/device.h"
#include "lockstep/lockstep.h"
#include "runtime/host_api.h"

namespace lockstep::embedded {
std::string_view vulkan_add_one();
}

namespace {

using Clock = std::chrono::steady_clock;

constexpr int ops = 1000;
constexpr std::int64_t count = 256;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// A hand-written command buffer; each run records, submits and waits for it.
class ByHand {
 public:
  explicit ByHand(lks_device& device)
      : d_(device), a_(device.buffers.allocate(4 * count)), b_(device.buffers.allocate(4 * count)) {
    make_pipeline();
    VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    pool.queueFamilyIndex = d_.properties.compute_family;
    VULKAN_CHECK(d_.vk.vkCreateCommandPool(d_.handle, &pool, nullptr, &pool_));
    VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, nullptr, pool_,
                                     VK_COMMAND_BUFFER_LEVEL_PRIMARY, 1};
    VULKAN_CHECK(d_.vk.vkAllocateCommandBuffers(d_.handle, &info, &commands_));
    const VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, nullptr,
                                         VK_SEMAPHORE_TYPE_TIMELINE, 0};
    const VkSemaphoreCreateInfo semaphore{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type, 0};
    VULKAN_CHECK(d_.vk.vkCreateSemaphore(d_.handle, &semaphore, nullptr, &done_));
  }
  ~ByHand() {
    d_.vk.vkDestroySemaphore(d_.handle, done_, nullptr);
    d_.vk.vkDestroyCommandPool(d_.handle, pool_, nullptr);
    d_.vk.vkDestroyPipeline(d_.handle, pipeline_, nullptr);
    d_.vk.vkDestroyPipelineLayout(d_.handle, layout_, nullptr);
    d_.buffers.free(a_);
    d_.buffers.free(b_);
  }
  ByHand(const ByHand&) = delete;
  ByHand& operator=(const ByHand&) = delete;

  double run() {
    const Clock::time_point start = Clock::now();
    record();
    submit_and_wait();
    return microseconds_since(start) / ops;
  }

 private:
  struct Push {
    VkDeviceAddress from, to;
    std::uint32_t count;
  };

  void make_pipeline() {
    const VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(Push)};
    VkPipelineLayoutCreateInfo layout{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
    layout.pushConstantRangeCount = 1;
    layout.pPushConstantRanges = &range;
    VULKAN_CHECK(d_.vk.vkCreatePipelineLayout(d_.handle, &layout, nullptr, &layout_));
    const std::string_view bytes = lockstep::embedded::vulkan_add_one();
    std::vector<std::uint32_t> code(bytes.size() / 4);
    std::memcpy(code.data(), bytes.data(), bytes.size());
    VkShaderModuleCreateInfo module_info{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, nullptr, 0, bytes.size(),
                                         code.data()};
    VkShaderModule module = VK_NULL_HANDLE;
    VULKAN_CHECK(d_.vk.vkCreateShaderModule(d_.handle, &module_info, nullptr, &module));
    VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
    info.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  nullptr,
                  0,
                  VK_SHADER_STAGE_COMPUTE_BIT,
                  module,
                  "main",
                  nullptr};
    info.layout = layout_;
    VULKAN_CHECK(d_.vk.vkCreateComputePipelines(d_.handle, VK_NULL_HANDLE, 1, &info, nullptr, &pipeline_));
    d_.vk.vkDestroyShaderModule(d_.handle, module, nullptr);
  }

  void record() {
    VULKAN_CHECK(d_.vk.vkResetCommandPool(d_.handle, pool_, 0));
    VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    VULKAN_CHECK(d_.vk.vkBeginCommandBuffer(commands_, &begin));
    d_.vk.vkCmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_);
    VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, VK_ACCESS_SHADER_WRITE_BIT,
                            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT};
    for (int i = 0; i < ops; ++i) {
      const Push push{i % 2 ? b_->address : a_->address, i % 2 ? a_->address : b_->address, count};
      d_.vk.vkCmdPushConstants(commands_, layout_, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof push, &push);
      d_.vk.vkCmdDispatch(commands_, 1, 1, 1);
      d_.vk.vkCmdPipelineBarrier(commands_, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                 0, 1, &barrier, 0, nullptr, 0, nullptr);
    }
    VULKAN_CHECK(d_.vk.vkEndCommandBuffer(commands_));
  }

  void submit_and_wait() {
    ++serial_;
    VkTimelineSemaphoreSubmitInfo signal{VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
    signal.signalSemaphoreValueCount = 1;
    signal.pSignalSemaphoreValues = &serial_;
    VkSubmitInfo submit{VK_STRUCTURE_TYPE_SUBMIT_INFO, &signal};
    submit.commandBufferCount = submit.signalSemaphoreCount = 1;
    submit.pCommandBuffers = &commands_;
    submit.pSignalSemaphores = &done_;
    d_.submit(submit);
    const VkSemaphoreWaitInfo wait{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO, nullptr, 0, 1, &done_, &serial_};
    VULKAN_CHECK(d_.vk.vkWaitSemaphores(d_.handle, &wait, ~std::uint64_t{0}));
  }

  lks_device& d_;
  lks_buffer *a_, *b_;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkPipeline pipeline_ = VK_NULL_HANDLE;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkSemaphore done_ = VK_NULL_HANDLE;
  std::uint64_t serial_ = 0;
};

struct Times {
  double enqueue, total;  // microseconds per op
};

Times through_lockstep(const lockstep::Tensor& x) {
  const Clock::time_point start = Clock::now();
  lockstep::Tensor y = x;
  for (int i = 0; i < ops; ++i) y = y + 1.0f;
  const double enqueue = microseconds_since(start) / ops;
  lockstep::synchronize(x.device());
  return {enqueue, microseconds_since(start) / ops};
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

struct Measured {
  double enqueue, total, by_hand;  // microseconds per op
  std::string device;
};

// Measures both alternately in this process.
Measured measure() {
  const lockstep::DeviceScope scope{lockstep::Device("vulkan")};
  const lockstep::Tensor x = lockstep::full({count}, 0.0f);
  lks_driver driver(lockstep::host_api());
  lks_device device(driver, driver.instance.devices().at(0));
  ByHand by_hand(device);
  std::vector<double> hand, enqueue, total;
  for (int round = 0; round < 15; ++round) {
    const double h = by_hand.run();
    const Times t = through_lockstep(x);
    if (round < 4) continue;  // warm-up
    hand.push_back(h);
    enqueue.push_back(t.enqueue);
    total.push_back(t.total);
  }
  return {median(enqueue), median(total), median(hand), device.properties.name};
}

// Measures in a process of its own. Lavapipe's threads are placed on processors arbitrarily and stay there: each of the
// two measurements has one of two speeds throughout a process, and may have the other in another process.
Measured measure_elsewhere() {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  std::FILE* const child = popen(("'" + program + "' --once").c_str(), "r");
  if (!child) throw std::runtime_error("no process can be started");
  Measured m{};
  char name[256] = "";
  const int read = std::fscanf(child, "%lf %lf %lf %255[^\n]", &m.enqueue, &m.total, &m.by_hand, name);
  if (pclose(child) != 0 || read != 4) throw std::runtime_error("a process that measures has failed");
  m.device = name;
  return m;
}

void measure_in_processes(int processes) {
  std::vector<double> enqueue, total, hand;
  std::string device;
  for (int i = 0; i < processes; ++i) {
    const Measured m = measure_elsewhere();
    enqueue.push_back(m.enqueue);
    total.push_back(m.total);
    hand.push_back(m.by_hand);
    device = m.device;
  }
  const double least = *std::min_element(total.begin(), total.end());
  const double min_by_hand = *std::min_element(hand.begin(), hand.end());
  std::printf(
      "{\"device\":\"%s\",\"processes\":%d,\"enqueue_us\":%.3f,\"total_us\":%.3f,\"by_hand_us\":%.3f,\"ratio\":%.3f,"
      "\"min_total_us\":%.3f,\"min_by_hand_us\":%.3f,\"min_ratio\":%.3f}\n",
      device.c_str(), processes, median(enqueue), median(total), median(hand), median(total) / median(hand), least,
      min_by_hand, least / min_by_hand);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc > 1 && std::string_view(argv[1]) == "--once") {
      const Measured m = measure();
      std::printf("%f %f %f %s\n", m.enqueue, m.total, m.by_hand, m.device.c_str());
    } else {
      measure_in_processes(argc > 1 ? std::max(1, std::atoi(argv[1])) : 9);
    }
  } catch (const vulkan::Failure& e) {
    std::fprintf(stderr, "%s\n", e.diag().what);
    return 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
