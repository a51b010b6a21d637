// Tests what is specific to this driver: its number of submissions, its caches on disk, and its messages. The
// conformance suite tests the rest.
#include "backends/vulkan/driver_test.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "conformance/runtime/kernels.h"
#include "runtime/driver_registry.h"
#include "runtime/host_api.h"

namespace lockstep {
namespace {

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

// Up to 14 words of operands are push constants; more are in memory, before the strides of strided tensors.
TEST_F(VulkanDriver, OperandsArePushedOrLieInMemory) {
  Session s(target);
  Queue queue(s);
  constexpr std::int64_t rows = 7, columns = 5;
  for (const bool transposed : {false, true}) {
    for (const std::size_t inputs : {11u, 12u, 13u, 24u}) {  // the output and the count are two more words
      KernelSample sample;
      sample.op = LKS_OP_POINTWISE;
      sample.op_name = "pointwise";
      ProgramBuilder builder;
      std::optional<Expr> sum;
      Bytes expected(4 * rows * columns);
      for (std::size_t i = 0; i < inputs; ++i) {
        const Expr x = builder.input(LKS_I32);
        sum = sum ? *sum * sum->constant(3) + x : x;
        const bool turned = transposed && i % 5 == 1;
        sample.inputs.push_back({LKS_I32, {rows, columns}});
        if (turned) sample.inputs.back().strides = {1, rows};
        sample.values.push_back(TestRandom(i).bytes(4 * rows * columns));
        Bytes dense = sample.values.back();
        for (std::int64_t at = 0; turned && at < rows * columns; ++at) {
          std::memcpy(&dense[static_cast<std::size_t>(4 * at)],
                      &sample.values.back()[static_cast<std::size_t>(4 * (at % columns * rows + at / columns))], 4);
        }
        expected = i == 0 ? dense : multiply_add(expected, dense);
      }
      const Expr results[] = {*sum};
      sample.program = std::make_shared<Program>(builder.finish(results));
      sample.outputs = {{LKS_I32, {rows, columns}}};
      const Kernel kernel(s, sample);
      ASSERT_TRUE(static_cast<bool>(kernel));
      EXPECT_EQ(run_sample(s, queue, sample, kernel)[0], expected) << inputs << " inputs";
    }
  }
}

// Each flush submits a batch of its own, and most batches need little memory for their parameters.
TEST_F(VulkanDriver, BatchesInFlightShareMemory) {
  Session s(target);
  Queue queue(s);
  const Buffer data(s, 1 << 20);
  const auto free_bytes = [&] {
    std::uint64_t total = 0, free = 0;
    lks_diag diag = empty_diag();
    EXPECT_EQ(s.api.device_memory(s.driver, 0, s.device, 0, &total, &free, &diag), LKS_OK);
    return free;
  };
  queue.fill(data, 0, 1 << 20, 1);
  queue.finish();
  const std::uint64_t before = free_bytes();
  for (int i = 0; i < 400; ++i) {
    lks_diag diag = empty_diag();
    queue.fill(data, 0, 1 << 20, static_cast<std::uint64_t>(i));
    EXPECT_EQ(s.api.queue_flush(queue.handle(), &diag), LKS_OK);
  }
  EXPECT_LE(before - std::min(before, free_bytes()), 8u << 20);
  queue.finish();
}

// The output of a process that runs one op with this cache folder.
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
  // A folder that cannot be created.
  EXPECT_NE(run_with_cache("/proc/nowhere").find("0 failed, 0 crashed"), std::string::npos);
  std::filesystem::remove_all(folder);
}

TEST_F(VulkanDriver, CachesDoNotGrowForEver) {
  const std::filesystem::path folder = testing::TempDir() + "lockstep_vulkan_full_cache",
                              old = folder / "vulkan/old.spv";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "vulkan");
  std::ofstream(old).put('x');
  std::filesystem::resize_file(old, std::uintmax_t{300} << 20);  // sparse: it takes no room on the disk
  EXPECT_NE(run_with_cache(folder).find("0 failed, 0 crashed"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(old));
  EXPECT_FALSE(std::filesystem::is_empty(folder / "vulkan"));
  std::filesystem::remove_all(folder);
}

// Like most programs, this one never closes the device.
TEST_F(VulkanDriver, PipelinesAreKeptWhenTheProgramEnds) {
  const std::filesystem::path folder = testing::TempDir() + "lockstep_vulkan_kept_pipelines";
  std::filesystem::remove_all(folder);
  const auto kept_by_a_run = [&] {
    run("LOCKSTEP_CACHE_FOLDER=" + folder.string() +
        " " LOCKSTEP_PROGRAM " bench --suite ops --filter 'matmul/f32 64' --device vulkan");
    for (const auto& entry : std::filesystem::directory_iterator(folder / "vulkan")) {
      if (entry.path().filename().string().starts_with("pipelines-")) return entry;
    }
    return std::filesystem::directory_entry();
  };
  const auto kept = kept_by_a_run();
  ASSERT_TRUE(kept.exists());
  // The key and a header of 16 bytes or more: Vulkan 1.2, section 10.6.
  EXPECT_GT(kept.file_size(), 32u + 16u);
  EXPECT_EQ(kept_by_a_run().last_write_time(), kept.last_write_time());  // the second run compiles nothing new
  std::filesystem::remove_all(folder);
}

// The tensor is longer than what is staged in one piece, and is read back from an address that is not a multiple of 16.
TEST_F(VulkanDriver, LongTensorsGoThereAndBack) {
  std::vector<float> numbers((std::size_t{20} << 20) + 3);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i % 1000003);
  const auto count = static_cast<std::int64_t>(numbers.size());
  const Tensor there = Tensor(numbers, Shape{count}).to(Device("vulkan"));
  const std::vector<float> back = slice(there, {{.axis = 0, .start = 1}}).to_vector<float>();
  EXPECT_TRUE(std::equal(back.begin(), back.end(), numbers.begin() + 1, numbers.end()));
}

// The program ends without waiting, while shaders are still being compiled by libraries whose exit handlers run first.
TEST_F(VulkanDriver, AProgramMayEndWhileTheDeviceWorks) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  setenv("MESA_SHADER_CACHE_DISABLE", "true", 1);
  const auto end_at_work = [] {
    const DeviceScope scope{Device("vulkan")};
    Tensor x = full(Shape{100, 100}, 0.5f);
    for (int i = 0; i < 3; ++i) x = softmax(matmul(tanh(x), erf(x)));
    std::exit(0);
  };
  EXPECT_EXIT(end_at_work(), testing::ExitedWithCode(0), "");
  unsetenv("MESA_SHADER_CACHE_DISABLE");
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

// Few indices are checked by one workgroup, many by many workgroups and then by one. In the largest case, one index has
// more updates than llvmpipe allows an invocation iterations.
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

KernelSample gather_outside() {
  for (KernelSample& sample : kernel_samples(1, 1)) {
    if (sample.op != LKS_OP_GATHER) continue;
    sample.values[1].back() = 0x7f;
    return sample;
  }
  throw CheckFailed("no sample of gather");
}

// The second batch may fail while the first is being finished. What it read before the failing command must still
// arrive.
TEST_F(VulkanDriver, WhatABatchReadBeforeItFailedArrives) {
  Session s(target);
  Queue queue(s);
  const KernelSample sample = gather_outside();
  const Kernel kernel(s, sample);
  const Buffer x(s, sample.inputs[0].span()), indices(s, sample.inputs[1].span()), out(s, sample.outputs[0].span());
  const Buffer first(s, 64), small(s, 64);
  queue.upload(x, sample.values[0]);
  queue.upload(indices, sample.values[1]);
  lks_diag diag = empty_diag();
  for (int round = 0; round < 500; ++round) {
    const auto pattern = static_cast<unsigned char>(1 + round % 255);
    queue.fill(first, 0, first.bytes(), 0);
    ASSERT_EQ(s.api.queue_flush(queue.handle(), &diag), LKS_OK);
    Bytes read(64, 0);
    queue.fill(small, 0, 64, pattern);
    const std::uint64_t host_copy = queue.read(read.data(), small, 0, 64);
    Launch launch(kernel, sample, {{&x, 0}, {&indices, 0}, {&out, 0}});
    const std::uint64_t failing = launch_once(queue, launch);
    ASSERT_EQ(s.api.timeline_wait(queue.timeline(), host_copy, ~std::uint64_t{0}, &diag), LKS_OK);
    ASSERT_EQ(read, Bytes(64, pattern)) << "in round " << round;
    ASSERT_EQ(s.api.timeline_wait(queue.timeline(), failing, ~std::uint64_t{0}, &diag), LKS_INVALID_ARGUMENT);
    ASSERT_EQ(diag.value, failing);
    queue.recover();
  }
}

// llvmpipe silently ends loops of more than 65,535 iterations.
TEST_F(VulkanDriver, WindowsOfMoreTapsThanTheDeviceCanTakeAreRefused) {
  const DeviceScope scope{Device("vulkan")};
  const Tensor x = full({1, 300, 300, 1}, 1.0f);
  for (auto* pool : {&max_pool2d, &avg_pool2d}) {
    try {
      EXPECT_EQ(pool(x, {.window = {300, 300}}).item<float>(), 1.0f);
    } catch (const UnsupportedError& e) {
      EXPECT_NE(std::string(e.what()).find("llvmpipe"), std::string::npos) << e.what();
    }
  }
  EXPECT_EQ(sum(avg_pool2d(x, {.window = {150, 150}})).item<float>(), 4.0f);
}

// Mesa 22.3 miscompiles the comparison of a widened int with a constant.
TEST_F(VulkanDriver, MagnitudesOfWidenedIntegers) {
  const DeviceScope scope{Device("vulkan")};
  static const OpDef& op = register_op(pointwise_op("vulkan_test::widened_magnitude",
                                                    [](Expr x) { return convert(abs(convert(x, LKS_I64)), LKS_I32); },
                                                    {.types = types::of(i32)}));
  const Tensor x(std::vector<std::int32_t>{-3, 0, 5, -2147483647}, {4});
  EXPECT_EQ(invoke1(op, {x}).to_vector<std::int32_t>(), (std::vector<std::int32_t>{3, 0, 5, 2147483647}));
}

// A host whose fault points report a lost device once `lost` is set.
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

// The other tests are skipped if there is no device. This one fails then, if LOCKSTEP_VULKAN_REQUIRED is set.
TEST(VulkanLoader, ADeviceIsThereWhereItMustBe) {
  if (!std::getenv("LOCKSTEP_VULKAN_REQUIRED")) GTEST_SKIP() << "LOCKSTEP_VULKAN_REQUIRED is not set";
  EXPECT_NE(run(LOCKSTEP_PROGRAM " devices").find("vulkan:0"), std::string::npos);
  EXPECT_NE(run("LOCKSTEP_VULKAN_VALIDATION=1 " LOCKSTEP_PROGRAM " devices").find("vulkan:0"), std::string::npos);
}

TEST(VulkanLoader, WithoutAVulkanDriverTheReasonIsListed) {
  const std::string text =
      run("VK_DRIVER_FILES=/nowhere.json VK_ICD_FILENAMES=/nowhere.json " LOCKSTEP_PROGRAM " devices --why");
  EXPECT_NE(text.find("VK_DRIVER_FILES"), std::string::npos) << text;
  EXPECT_NE(text.find("cpu:0"), std::string::npos) << text;
  const std::string asked = run("VK_DRIVER_FILES=/nowhere.json VK_ICD_FILENAMES=/nowhere.json " LOCKSTEP_PROGRAM
                                " train --device vulkan --steps 1");
  EXPECT_NE(asked.find("there is no device \"vulkan\""), std::string::npos) << asked;
  EXPECT_NE(asked.find("VK_DRIVER_FILES"), std::string::npos) << asked;
}

}  // namespace
}  // namespace lockstep
