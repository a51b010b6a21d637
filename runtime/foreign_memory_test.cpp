// Tests of tensors over memory that somebody else owns, with a scripted driver that imports host memory: when the owner
// gets it back, what is shared and what is copied.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lockstep/dlpack_abi.h"
#include "lockstep/lockstep.h"
#include "runtime/expect_error.h"
#include "runtime/scripted_driver.h"
#include "runtime/stream_order.h"
#include "runtime/tensor_impl.h"

namespace lockstep {
namespace {

using Log = std::vector<std::string>;

struct Script {
  Log log;  // what was called, in order
  std::uint64_t newest = 0, handle = 0, bytes = 0;
  std::uint32_t kind = 0;
  bool refuses = false;
};
Script script;

lks_status import_buffer(lks_device*, std::uint32_t kind, std::uint64_t handle, std::uint64_t bytes, lks_buffer** out,
                         lks_diag* diag) {
  if (script.refuses) {
    std::snprintf(diag->what, sizeof diag->what, "not mine");
    return LKS_UNSUPPORTED;
  }
  script.log.emplace_back("import");
  script.kind = kind;
  script.handle = handle;
  script.bytes = bytes;
  *out = any_handle<lks_buffer>();
  return LKS_OK;
}

const lks_import_export_group group = {
    .hdr = {sizeof(lks_import_export_group), 0, nullptr},
    .buffer_import = &import_buffer,
};

const lks_driver_api& table() {
  static const lks_driver_api api = [] {
    lks_driver_api t = scripted_driver();
    t.get_group = [](lks_driver*, std::uint64_t bit) -> const void* {
      return bit == LKS_CAP_IMPORT_EXPORT ? &group : nullptr;
    };
    t.buffer_alloc = [](lks_device*, std::uint32_t, std::uint64_t, lks_buffer** out, lks_diag*) -> lks_status {
      *out = any_handle<lks_buffer>();
      return LKS_OK;
    };
    t.buffer_free = [](lks_device*, lks_buffer*) { script.log.emplace_back("free"); };
    t.queue_write = [](lks_queue*, lks_buffer*, std::uint64_t, const void*, std::uint64_t, std::uint64_t* value,
                       lks_diag*) -> lks_status {
      script.log.emplace_back("write");
      *value = ++script.newest;
      return LKS_OK;
    };
    t.queue_read = [](lks_queue*, void*, lks_buffer*, std::uint64_t, std::uint64_t, std::uint64_t* value,
                      lks_diag*) -> lks_status {
      script.log.emplace_back("read");
      *value = ++script.newest;
      return LKS_OK;
    };
    t.timeline_query = [](lks_timeline*, std::uint64_t* reached, lks_diag*) -> lks_status {
      *reached = script.newest;
      return LKS_OK;
    };
    t.timeline_wait = [](lks_timeline*, std::uint64_t, std::uint64_t, lks_diag*) -> lks_status {
      script.log.emplace_back("wait");
      return LKS_OK;
    };
    return t;
  }();
  return api;
}

class ForeignMemory : public testing::Test {
 protected:
  ForeignMemory() { script = {}; }

  // The array, flagged as read-only if `flags` says so. Its deleter notes that it was called.
  DLManagedTensorVersioned* array(std::uint64_t flags) {
    managed.version = {1, 0};
    managed.flags = flags;
    managed.deleter = [](DLManagedTensorVersioned*) { script.log.emplace_back("delete"); };
    managed.dl_tensor = {values, {dlpack::cpu, 0}, 2, {dlpack::float_code, 32, 1}, shape, strides, 0};
    return &managed;
  }
  Tensor import_as(CopyPolicy copy, std::uint64_t flags = dlpack::read_only_flag) {
    return from_dlpack(array(flags), device(), copy);
  }
  Device device() { return scripted.state().device(); }
  static bool shared() { return std::find(script.log.begin(), script.log.end(), "import") != script.log.end(); }
  static std::ptrdiff_t deletions() { return std::count(script.log.begin(), script.log.end(), "delete"); }

  alignas(64) float values[16] = {};
  std::int64_t shape[2] = {2, 3}, strides[2] = {4, 1};
  DLManagedTensorVersioned managed{};
  ScriptedDevice scripted{table(), LKS_CAP_IMPORT_EXPORT};
};

TEST_F(ForeignMemory, IsSharedAsItLies) {
  const Tensor x = import_as(CopyPolicy::never);
  EXPECT_EQ(script.log, Log{"import"});
  EXPECT_EQ(script.kind, static_cast<std::uint32_t>(LKS_HANDLE_HOST_POINTER));
  EXPECT_EQ(script.handle, reinterpret_cast<std::uintptr_t>(values));
  EXPECT_EQ(script.bytes, (4 + 2 + 1) * sizeof(float)) << "up to the last element";
  EXPECT_EQ(x.spec(), (TensorSpec{DType::f32, {2, 3}}));
  EXPECT_FALSE(x.impl()->dense);
  EXPECT_EQ(x.impl()->strides[0], 4);
  EXPECT_EQ(memory_stats(device()).live, 0u) << "it is not the device's memory";
}

// Other libraries align their arrays less than devices do. The driver still gets an aligned address.
TEST_F(ForeignMemory, MayBeginAtAnyElement) {
  DLManagedTensorVersioned* given = array(dlpack::read_only_flag);
  given->dl_tensor.byte_offset = 3 * sizeof(float);
  const Tensor x = from_dlpack(given, device(), CopyPolicy::never);
  EXPECT_EQ(script.handle, reinterpret_cast<std::uintptr_t>(values));
  EXPECT_EQ(script.bytes, (3 + 7) * sizeof(float)) << "still up to the last element";
  EXPECT_EQ(x.impl()->offset, 3);
}

TEST_F(ForeignMemory, GoesBackOnceAfterTheLastUse) {
  std::optional<Tensor> x = import_as(CopyPolicy::never);
  std::optional<Tensor> again = *x;
  float out = 0;
  scripted.state().queue().read(&out, *x->impl()->block, 0, sizeof out, {.op = "read"});
  x.reset();
  EXPECT_EQ(script.log, (Log{"import", "read"})) << "somebody holds it";
  again.reset();
  ASSERT_GE(script.log.size(), 5u);
  EXPECT_EQ(script.log[2], "wait") << "a command may still use it";
  EXPECT_EQ(Log(script.log.end() - 2, script.log.end()), (Log{"free", "delete"}));
  EXPECT_EQ(deletions(), 1);
}

TEST_F(ForeignMemory, WaitsForTheStreamsThatUseItOnly) {
  const Stream a = Stream::create(device()), b = Stream::create(device());
  std::optional<Tensor> x = import_as(CopyPolicy::never);
  const BlockRef other = scripted.state().allocator().allocate(64, {});
  float out = 0;
  const auto read = [&](const Stream& stream, Block& block) {
    const StreamScope in(stream);
    CommandQueue& queue = scripted.state().queue();
    prepare_read(block, queue, CallSite::current());
    note_read(block, queue, queue.read(&out, block, 0, sizeof out, {.op = "read"}));
  };
  read(a, *x->impl()->block);
  read(b, *other);
  script.log.clear();
  x.reset();
  EXPECT_EQ(script.log, (Log{"wait", "free", "delete"}));
}

TEST_F(ForeignMemory, OfAStreamWaitsForThatStream) {
  const Stream a = Stream::create(device()), b = Stream::create(device());
  const StreamScope in(a);
  std::optional<Tensor> x = import_as(CopyPolicy::never);
  float out = 0;
  scripted.state().queue().read(&out, *x->impl()->block, 0, sizeof out, {.op = "read"});
  script.log.clear();
  x.reset();
  EXPECT_EQ(script.log, (Log{"wait", "free", "delete"}));
}

TEST_F(ForeignMemory, IsCopiedIfItsOwnerMayWriteIt) {
  import_as(CopyPolicy::if_needed, 0);
  EXPECT_FALSE(shared());
  EXPECT_EQ(deletions(), 1);
  script.log.clear();
  import_as(CopyPolicy::always);
  EXPECT_FALSE(shared());
  EXPECT_EQ(deletions(), 1);
  script.log.clear();
  import_as(CopyPolicy::if_needed);
  EXPECT_TRUE(shared()) << "nobody writes it";
  script.log.clear();
  import_as(CopyPolicy::never, 0);
  EXPECT_TRUE(shared()) << "the caller asks for it";
}

TEST_F(ForeignMemory, ThatCannotBeSharedIsCopiedOrRefused) {
  const auto refuse = [&](const std::string& reason, auto&& change) {
    for (const CopyPolicy copy : {CopyPolicy::never, CopyPolicy::if_needed}) {
      script.log.clear();
      script.refuses = false;
      DLManagedTensorVersioned* given = array(dlpack::read_only_flag);
      change(*given);
      try {
        from_dlpack(given, device(), copy);
        EXPECT_EQ(copy, CopyPolicy::if_needed) << reason;
      } catch (const UnsupportedError& e) {
        EXPECT_EQ(copy, CopyPolicy::never);
        EXPECT_EQ(e.id(), ErrorId::copy_needed);
        EXPECT_EQ(e.headline(), reason);
      }
      EXPECT_FALSE(shared()) << reason;
      EXPECT_EQ(deletions(), 1) << reason;
    }
  };
  refuse("the elements are not aligned to their size of 4 bytes",
         [](DLManagedTensorVersioned& a) { a.dl_tensor.byte_offset = 2; });
  refuse("the driver of scripted:0 does not import the memory: not mine",
         [](DLManagedTensorVersioned&) { script.refuses = true; });
  refuse("the array runs backwards along dimension 1", [&](DLManagedTensorVersioned& a) {
    strides[1] = -1;
    a.dl_tensor.data = values + 2;
  });
}

// Bytes in front of the first element may lie on a page that nobody may read.
TEST_F(ForeignMemory, MustBeAlignedIfTheDeviceAlignsToMoreThanAPage) {
  alignas(8192) static const float aligned[64] = {};
  ScriptedDevice coarse(table(), LKS_CAP_IMPORT_EXPORT, 8192);
  const auto share = [&](const float* first) {
    const std::shared_ptr<const void> memory(std::shared_ptr<const void>(), first);
    return from_memory(memory, 24, {DType::f32, {2, 3}}, coarse.state().device(), CopyPolicy::never);
  };
  expect_error_saying([&] { share(aligned + 16); }, ErrorId::copy_needed,
                      {"from_memory: the elements are not aligned to the 8192 bytes that scripted:0 needs"},
                      "foreign_memory_test.cpp:", true);
  EXPECT_FALSE(shared());
  EXPECT_EQ(share(aligned).impl()->offset, 0);
  EXPECT_TRUE(shared());
}

TEST_F(ForeignMemory, OfATensorThatTheDeviceCannotHaveIsRefused) {
  ScriptedDevice small(table(), LKS_CAP_IMPORT_EXPORT, 64, 23);
  const std::shared_ptr<const void> memory(std::shared_ptr<const void>(), values);
  const auto share = [&](std::int64_t count) {
    const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
    return from_memory(memory, bytes, {DType::f32, {count}}, small.state().device(), CopyPolicy::never);
  };
  expect_error_saying([&] { share(6); }, ErrorId::impossible_size, {"from_memory", "f32 (6) needs 24 B,"},
                      "foreign_memory_test.cpp:", true);
  EXPECT_FALSE(shared());
  EXPECT_EQ(share(5).size(), 5);
}

TEST_F(ForeignMemory, IsDescribedByWhereItCameFrom) {
  const NameScope model("model");
  EXPECT_EQ(import_as(CopyPolicy::never).describe(), "Tensor f32 (2, 3) scripted:0   output of model/from_dlpack");
}

TEST_F(ForeignMemory, PoliciesThatThereAreNotAreRefused) {
  const auto odd = static_cast<CopyPolicy>(3);
  expect_error_saying([&] { import_as(odd); }, ErrorId::invalid_attribute,
                      {"from_dlpack: 3 is not a valid copy policy"}, "foreign_memory_test.cpp:", true);
  EXPECT_EQ(deletions(), 1);
  const std::shared_ptr<const void> memory(std::shared_ptr<const void>(), values);
  expect_error_saying(
      [&] {
        from_memory(memory, 24, {DType::f32, {2, 3}}, device(), odd);
      },
      ErrorId::invalid_attribute, {"from_memory: 3 is not a valid copy policy"}, "foreign_memory_test.cpp:", true);
}

TEST_F(ForeignMemory, OfTheProgramIsSharedOrRead) {
  const auto owner = [] {
    return std::shared_ptr<const void>(nullptr, [](const void*) { script.log.emplace_back("delete"); });
  };
  const TensorSpec spec{DType::f32, {2, 3}};
  {
    const Tensor x = from_memory(std::shared_ptr<const void>(owner(), values), 24, spec, device());
    EXPECT_EQ(script.log, Log{"import"});
    EXPECT_TRUE(x.impl()->dense);
  }
  EXPECT_EQ(Log(script.log.end() - 2, script.log.end()), (Log{"free", "delete"}));
  script.log.clear();
  const Tensor copy = from_memory(std::shared_ptr<const void>(owner(), values), 24, spec, device(), CopyPolicy::always);
  EXPECT_EQ(script.log, Log{"write"}) << "the device may still be reading";
  synchronize(device());
  EXPECT_EQ(deletions(), 1);
  script.refuses = true;
  expect_error_saying(
      [&] { from_memory(std::shared_ptr<const void>(owner(), values), 24, spec, device(), CopyPolicy::never); },
      ErrorId::copy_needed, {"from_memory: the driver of scripted:0 does not import the memory: not mine"},
      "foreign_memory_test.cpp:", true);
  EXPECT_EQ(deletions(), 2);
}

// The deleter may take the lock of an interpreter, for which a thread that allocates may wait.
TEST_F(ForeignMemory, GoesBackWithoutTheAllocatorsLock) {
  Allocator& allocator = device().state().allocator();
  std::future<MemoryStats> other;
  std::future_status answer = std::future_status::deferred;
  const auto ask = [&](const void*) {
    other = std::async(std::launch::async, [&] { return allocator.stats(); });
    answer = other.wait_for(std::chrono::seconds(10));
  };
  from_memory(std::shared_ptr<const void>(values, ask), 24, {DType::f32, {2, 3}}, device(), CopyPolicy::always);
  EXPECT_FALSE(other.valid()) << "the device may still be reading";
  release_cached_memory(device());
  EXPECT_EQ(answer, std::future_status::ready) << "another thread could not use the allocator";
}

TEST_F(ForeignMemory, OfTheWrongSizeIsRefused) {
  const std::shared_ptr<const void> memory(std::shared_ptr<const void>(), values);
  const std::string here = "\n  where  called at foreign_memory_test.cpp:N\n  fix    ";
  EXPECT_EQ(error_text([&] {
              from_memory(memory, 23, {DType::f32, {2, 3}}, device());
            }),
            "ShapeError[LS2006] from_memory: 23 bytes do not fill f32 (2, 3)" + here + "give 24 bytes");
  EXPECT_EQ(error_text([&] {
              from_memory(nullptr, 24, {DType::f32, {2, 3}}, device());
            }),
            "StateError[LS1008] from_memory: the memory is null" + here + "give the elements");
  EXPECT_EQ(from_memory(nullptr, 0, {DType::f32, {0}}, device(), CopyPolicy::never).shape(), (Shape{0}));
}

TEST_F(ForeignMemory, OfOtherBooleansThan0And1IsRefused) {
  static const std::uint8_t bytes[] = {0, 1, 255};
  const std::shared_ptr<const void> memory(std::shared_ptr<const void>(), bytes);
  for (const CopyPolicy copy : {CopyPolicy::never, CopyPolicy::always}) {
    expect_error_saying(
        [&] {
          from_memory(memory, 3, {DType::boolean, {3}}, device(), copy);
        },
        ErrorId::invalid_foreign_array, {"from_memory: there are booleans that are neither 0 nor 1"},
        "foreign_memory_test.cpp:", true);
    EXPECT_EQ(script.log, Log{}) << "the device has seen nothing";
  }
  EXPECT_EQ(from_memory(memory, 2, {DType::boolean, {2}}, device()).shape(), (Shape{2}));
}

TEST_F(ForeignMemory, IsNeverWrittenInPlaceNorAccounted) {
  strides[0] = 3;
  const Variable v(import_as(CopyPolicy::never), "v");
  EXPECT_TRUE(shared());
  const Tensor value = v.read();
  EXPECT_FALSE(value.impl()->block.unique());
  EXPECT_NE(value.impl()->block->foreign, nullptr) << "the variable has the memory itself";
  const MemoryStats stats = memory_stats(device());
  EXPECT_EQ(stats.live, 0u);
  EXPECT_EQ(stats.live_by_owner[static_cast<std::size_t>(MemoryOwner::variables)], 0u);
}

}  // namespace
}  // namespace lockstep
