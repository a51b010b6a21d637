// Tests of DLPack arrays made from tensors, and of tensors made from DLPack arrays.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "lockstep/dlpack_abi.h"
#include "lockstep/lockstep.h"
#include "runtime/device_state.h"
#include "runtime/dlpack_types.h"
#include "runtime/expect_error.h"
#include "runtime/may_fork.h"
#include "runtime/test_devices.h"
#include "runtime/toy_device.h"

namespace lockstep {
namespace {

// The layout that every library relies on.
static_assert(sizeof(DLTensor) == 48 && offsetof(DLTensor, device) == 8 && offsetof(DLTensor, ndim) == 16);
static_assert(offsetof(DLTensor, dtype) == 20 && offsetof(DLTensor, shape) == 24 && offsetof(DLTensor, strides) == 32);
static_assert(offsetof(DLTensor, byte_offset) == 40 && sizeof(DLDataType) == 4);
static_assert(sizeof(DLManagedTensor) == 64 && offsetof(DLManagedTensor, manager_ctx) == 48);
static_assert(offsetof(DLManagedTensor, deleter) == 56);
static_assert(sizeof(DLManagedTensorVersioned) == 80 && offsetof(DLManagedTensorVersioned, manager_ctx) == 8);
static_assert(offsetof(DLManagedTensorVersioned, deleter) == 16 && offsetof(DLManagedTensorVersioned, flags) == 24);
static_assert(offsetof(DLManagedTensorVersioned, dl_tensor) == 32);

// An array as another library would make it. Its deleter counts, and destroys the elements.
template <class Managed>
class Foreign {
 public:
  template <class T>
  Foreign(const std::vector<T>& values, std::vector<std::int64_t> extents, std::vector<std::int64_t> distances = {})
      : shape(std::move(extents)), strides(std::move(distances)), bytes_(values.size() * sizeof(T)) {
    if (!values.empty()) std::memcpy(bytes_.data(), values.data(), bytes_.size());
    managed.manager_ctx = this;
    managed.deleter = [](Managed* self) {
      auto* owner = static_cast<Foreign*>(self->manager_ctx);
      ++owner->deletions;
      std::fill(owner->bytes_.begin(), owner->bytes_.end(), std::byte{0x5a});
    };
    if constexpr (requires { managed.version; }) managed.version = {1, 1};
    array().data = bytes_.data();
    array().device = {dlpack::cpu, 0};
    array().dtype = dlpack_type(DTypeOf<T>::value);
    array().ndim = static_cast<std::int32_t>(shape.size());
    array().shape = shape.data();
    array().strides = strides.empty() ? nullptr : strides.data();
  }
  Foreign(const Foreign&) = delete;
  Foreign& operator=(const Foreign&) = delete;

  DLTensor& array() { return managed.dl_tensor; }

  Managed managed{};
  std::vector<std::int64_t> shape, strides;
  int deletions = 0;

 private:
  std::vector<std::byte> bytes_;
};
using Versioned = Foreign<DLManagedTensorVersioned>;
using Unversioned = Foreign<DLManagedTensor>;

class DLPack : public testing::TestWithParam<std::string> {
 protected:
  void TearDown() override {
    set_option("toy.fail", std::nullopt);
    set_option("toy.delay_us", std::nullopt);
  }
  bool visible() const { return device.state().host_visible(); }
  // Whether the driver can use memory of others where it lies.
  bool shares() const { return device.state().import_group() != nullptr; }

  Device device = device_named(GetParam());
  DeviceScope scope{device};
};

// ----------------------------------------------------------------------------------------------------------------- in

TEST_P(DLPack, ArraysBecomeTensorsAndAreFreedOnce) {
  if (GetParam() == "toy:0") set_option("toy.delay_us", "5000");
  Versioned array(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor x = from_dlpack(&array.managed);
  EXPECT_EQ(array.deletions, 1) << "the device has read the elements";
  EXPECT_EQ(x.spec(), (TensorSpec{DType::f32, {2, 3}}));
  EXPECT_EQ(x.device(), device);
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  Unversioned old(std::vector<std::int64_t>{7, 8}, {2});
  EXPECT_EQ(from_dlpack(&old.managed).to_vector<std::int64_t>(), (std::vector<std::int64_t>{7, 8}));
  EXPECT_EQ(old.deletions, 1);
  Unversioned written(std::vector<float>{1, 2}, {2});
  const Tensor copy = from_dlpack(&written.managed);
  EXPECT_EQ(written.deletions, 1) << "the old struct does not promise that nobody writes the elements";
  EXPECT_EQ(copy.to_vector<float>(), (std::vector<float>{1, 2}));
  array.managed.deleter = nullptr;  // nothing to free
  EXPECT_NO_THROW(from_dlpack(&array.managed));
}

TEST_P(DLPack, ArraysGoToTheDeviceThatIsNamed) {
  const DeviceScope elsewhere{Device("reference")};
  Versioned array(std::vector<float>{1, 2}, {2});
  EXPECT_EQ(from_dlpack(&array.managed, device).device(), device);
}

TEST_P(DLPack, ArraysMayHaveAnyStrides) {
  const std::vector<float> values{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const auto read = [&](std::vector<std::int64_t> shape, std::vector<std::int64_t> strides, std::uint64_t first) {
    Versioned array(values, std::move(shape), std::move(strides));
    array.array().byte_offset = first * sizeof(float);
    const std::vector<float> elements = from_dlpack(&array.managed).to_vector<float>();
    EXPECT_EQ(array.deletions, 1);
    return elements;
  };
  EXPECT_EQ(read({2, 3}, {3, 1}, 1), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(read({3, 2}, {1, 3}, 0), (std::vector<float>{0, 3, 1, 4, 2, 5})) << "transposed";
  EXPECT_EQ(read({2, 2}, {6, 2}, 1), (std::vector<float>{1, 3, 7, 9})) << "with gaps";
  EXPECT_EQ(read({4}, {-1}, 3), (std::vector<float>{3, 2, 1, 0})) << "backwards";
  EXPECT_EQ(read({2, 3}, {0, 1}, 2), (std::vector<float>{2, 3, 4, 2, 3, 4})) << "broadcast";
  EXPECT_EQ(read({2, 1, 2}, {1, INT64_MAX, 4}, 0), (std::vector<float>{0, 4, 1, 5})) << "of one element, any stride";
  EXPECT_EQ(read({2, 3, 2}, {1, 4, 2}, 0), (std::vector<float>{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}));
}

// In a new process, because the first op that is called makes the registry of ops.
TEST(DLPackInANewProcess, ASharedArrayIsReadBeforeAnyOpIsCalled) {
  if (!may_fork) GTEST_SKIP() << "not under this sanitizer";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto read = [] {
    Versioned array(std::vector<float>{0, 1, 2, 3, 4, 5}, {2, 2}, {3, 1});
    array.managed.flags = dlpack::read_only_flag;
    const Tensor x = from_dlpack(&array.managed, Device("cpu"), CopyPolicy::never);
    return x.to_vector<float>() == std::vector<float>{0, 1, 3, 4};
  };
  EXPECT_EXIT(_exit(read() ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST_P(DLPack, ArraysMayBeUnalignedEmptyOrScalars) {
  std::vector<std::uint8_t> bytes(9);
  const float value = 2.5f;
  std::memcpy(bytes.data() + 1, &value, sizeof value);
  Versioned unaligned(bytes, {});
  unaligned.array().dtype = dlpack_type(DType::f32);
  unaligned.array().byte_offset = 1;
  EXPECT_EQ(from_dlpack(&unaligned.managed).item<float>(), 2.5f);
  Versioned empty(std::vector<float>{}, {3, 0}, {-5, INT64_MIN});
  empty.array().data = nullptr;
  EXPECT_EQ(from_dlpack(&empty.managed, std::nullopt, CopyPolicy::never).shape(), (Shape{3, 0}));
  EXPECT_EQ(empty.deletions, 1);
}

TEST_P(DLPack, OnlyTheBooleansOfAnArrayAreChecked) {
  const auto read = [](const std::vector<std::uint8_t>& bytes) {
    Versioned array(bytes, {3}, {2});
    array.array().dtype = dlpack_type(DType::boolean);
    return from_dlpack(&array.managed).to_bytes();
  };
  EXPECT_EQ(read({1, 9, 0, 9, 1}), (std::vector{std::byte{1}, std::byte{0}, std::byte{1}}));
  expect_error_saying(
      [&] {
        read({1, 1, 0, 1, 9});
      },
      ErrorId::invalid_foreign_array, {"neither 0 nor 1"}, "dlpack_test.cpp:");
}

TEST_P(DLPack, MemoryThatIsPinnedForOtherDevicesIsTheHosts) {
  for (const std::int32_t type : {dlpack::cuda_host, dlpack::rocm_host}) {
    Versioned array(std::vector<float>{1, 2}, {2});
    array.array().device = {type, 0};
    EXPECT_EQ(from_dlpack(&array.managed).to_vector<float>(), (std::vector<float>{1, 2})) << type;
  }
}

TEST_P(DLPack, AnUploadBehindAFailureIsRepeatedBeforeTheArrayIsFreed) {
  if (GetParam() != "toy:0") GTEST_SKIP() << "only the toy fails on request";
  const Tensor one = ones({2});
  synchronize(device);
  set_option("toy.fail", "9001:1");
  const Tensor bad = one * 2.0f;
  Versioned array(std::vector<float>{1, 2}, {2});
  const Tensor x = from_dlpack(&array.managed);
  EXPECT_EQ(array.deletions, 1);
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{1, 2}));
  EXPECT_THROW(bad.to_vector<float>(), DeviceError);
}

TEST_P(DLPack, AnUploadThatFailsFreesTheArray) {
  if (GetParam() != "toy:0") GTEST_SKIP() << "only the toy fails on request";
  synchronize(device);
  set_option("toy.fail", "9002:1");
  Versioned array(std::vector<float>{1, 2}, {2});
  EXPECT_THROW(from_dlpack(&array.managed), DeviceError);
  EXPECT_EQ(array.deletions, 1);
}

TEST_P(DLPack, WrongArraysAreRefusedAndFreed) {
  const auto refuse = [](ErrorId id, const std::string& headline, auto&& change) {
    Versioned array(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3}, {3, 1});
    change(array);
    try {
      from_dlpack(&array.managed);
      ADD_FAILURE() << "accepted: " << headline;
    } catch (const Error& e) {
      EXPECT_EQ(e.id(), id) << e.what();
      EXPECT_EQ(e.headline(), headline);
      EXPECT_EQ(e.op(), "from_dlpack");
      EXPECT_NE(e.where().find("dlpack_test.cpp:"), std::string::npos) << e.what();
      EXPECT_FALSE(e.hint().empty()) << e.what();
    }
    EXPECT_EQ(array.deletions, 1) << headline;
  };
  refuse(ErrorId::foreign_device, "the array lies on kDLCUDA:1, whose memory the host does not read", [](Versioned& a) {
    a.array().device = {2, 1};
  });
  refuse(ErrorId::foreign_device, "the array lies on type 77:0, whose memory the host does not read", [](Versioned& a) {
    a.array().device = {77, 0};
  });
  refuse(ErrorId::foreign_device, "the array lies on type -1:0, whose memory the host does not read", [](Versioned& a) {
    a.array().device = {-1, 0};
  });
  refuse(ErrorId::foreign_dtype, "elements are complex64, which Lockstep does not have", [](Versioned& a) {
    a.array().dtype = {5, 64, 1};
  });
  refuse(ErrorId::foreign_dtype, "elements are int16, which Lockstep does not have", [](Versioned& a) {
    a.array().dtype = {0, 16, 1};
  });
  refuse(ErrorId::foreign_dtype, "elements are float32 with 4 lanes, which Lockstep does not have",
         [](Versioned& a) { a.array().dtype.lanes = 4; });
  refuse(ErrorId::foreign_dtype, "elements are code 12 of 8, which Lockstep does not have", [](Versioned& a) {
    a.array().dtype = {12, 8, 1};
  });
  refuse(ErrorId::invalid_shape, "the rank is 9, not from 0 to 8", [](Versioned& a) { a.array().ndim = 9; });
  refuse(ErrorId::invalid_shape, "the rank is -1, not from 0 to 8", [](Versioned& a) { a.array().ndim = -1; });
  refuse(ErrorId::invalid_shape, "extent 1 is the negative number -3", [](Versioned& a) { a.shape[1] = -3; });
  refuse(ErrorId::impossible_size,
         "f32 (4611686018427387904, 1) has more bytes than 64 bits count, too many in one tensor", [](Versioned& a) {
           a.shape = {std::int64_t{1} << 62, 1};
           a.array().shape = a.shape.data();
         });
  const std::string wrong = "the array contradicts itself: ";
  refuse(ErrorId::invalid_foreign_array, wrong + "it has no shape", [](Versioned& a) { a.array().shape = nullptr; });
  refuse(ErrorId::invalid_foreign_array, wrong + "it has elements, and no data",
         [](Versioned& a) { a.array().data = nullptr; });
  refuse(ErrorId::invalid_foreign_array, wrong + "its byte offset 18446744073709551615 leads out of memory",
         [](Versioned& a) { a.array().byte_offset = UINT64_MAX; });
  refuse(ErrorId::invalid_foreign_array, wrong + "stride 0 is 4611686018427387904, which leads out of memory",
         [](Versioned& a) { a.strides[0] = std::int64_t{1} << 62; });
  refuse(ErrorId::invalid_foreign_array, wrong + "stride 0 is -1152921504606846976, which leads out of memory",
         [](Versioned& a) { a.strides[0] = -(std::int64_t{1} << 60); });
  refuse(ErrorId::invalid_foreign_array, wrong + "stride 1 is 576460752303423488, which leads out of memory",
         [](Versioned& a) { a.strides[0] = a.strides[1] = std::int64_t{1} << 59; });
  refuse(ErrorId::invalid_foreign_array, wrong + "it has booleans that are neither 0 nor 1",
         [](Versioned& a) { a.array().dtype = dlpack_type(DType::boolean); });
  refuse(ErrorId::invalid_foreign_array, "the array is of DLPack 2.0, this library reads 1.x", [](Versioned& a) {
    a.managed.version = {2, 0};
  });
}

// One boolean that is repeated more often than the device has bytes: the size is checked before the elements are.
TEST_P(DLPack, ArraysThatNoDeviceCanHoldAreRefusedAtOnce) {
  Versioned array(std::vector<float>{0}, {std::int64_t{1} << 50}, {0});
  array.array().dtype = dlpack_type(DType::boolean);
  EXPECT_THROW(from_dlpack(&array.managed), OutOfMemoryError);
}

TEST_P(DLPack, NeverCopyingNeedsADriverThatSharesMemory) {
  Versioned array(std::vector<float>{1, 2}, {2});
  if (shares()) {
    EXPECT_EQ(from_dlpack(&array.managed, std::nullopt, CopyPolicy::never).to_vector<float>(),
              (std::vector<float>{1, 2}));
  } else {
    expect_error_saying([&] { from_dlpack(&array.managed, std::nullopt, CopyPolicy::never); }, ErrorId::copy_needed,
                        {"the driver of " + device.name() + " cannot use memory of other libraries"},
                        "dlpack_test.cpp:", true);
  }
  EXPECT_EQ(array.deletions, 1);
}

TEST_P(DLPack, ReadOnlyArraysAreUsedWhereTheyLie) {
  const std::vector<float> values{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  Versioned array(values, {2, 3}, {6, 2});
  array.managed.flags = dlpack::read_only_flag;
  array.array().byte_offset = sizeof(float);
  {
    std::optional<Tensor> x = from_dlpack(&array.managed);
    EXPECT_EQ(array.deletions, shares() ? 0 : 1);
    const Tensor part = slice(*x, {{0, 1}, {1, 0, 2}});
    EXPECT_EQ((*x + 1.0f).to_vector<float>(), (std::vector<float>{2, 4, 6, 8, 10, 12}));
    EXPECT_EQ(sum(transpose(*x), {.axes = {1}}).to_vector<float>(), (std::vector<float>{8, 12, 16}));
    x.reset();
    EXPECT_EQ(array.deletions, shares() ? 0 : 1) << "a view uses it";
    EXPECT_EQ(part.to_vector<float>(), (std::vector<float>{7, 9}));
  }
  EXPECT_EQ(array.deletions, 1);
}

// What no system lets anybody write must not be written in place by an update either.
TEST_P(DLPack, WriteProtectedMemoryIsOnlyRead) {
  const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* const page = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  const float values[] = {1, 2, 3, 4};
  std::memcpy(page, values, sizeof values);
  ASSERT_EQ(mprotect(page, bytes, PROT_READ), 0);
  bool unmapped = false;
  {
    const std::shared_ptr<const void> memory(page, [&](const void*) {
      munmap(page, bytes);
      unmapped = true;
    });
    const Variable v(from_memory(memory, sizeof values, {DType::f32, {2, 2}}, device), "v");
    v.assign_add(ones({2, 2}));
    EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{2, 3, 4, 5}));
    EXPECT_EQ(std::memcmp(page, values, sizeof values), 0);
    synchronize(device);
  }
  EXPECT_TRUE(unmapped);
}

TEST_P(DLPack, NoArrayIsRefused) {
  expect_error_saying([] { from_dlpack(static_cast<DLManagedTensorVersioned*>(nullptr)); },
                      ErrorId::invalid_foreign_array, {"the array is null"}, "dlpack_test.cpp:", true);
}

// Memory of a C++ program takes the same way.
TEST_P(DLPack, MemoryOfTheProgramIsReadAndReleasedOnce) {
  int releases = 0;
  std::vector<float> values{1, 2, 3};
  std::shared_ptr<const void> memory(values.data(), [&](const void*) {
    ++releases;
    values.assign(3, 0.0f);
  });
  const std::weak_ptr<const void> held = memory;
  if (GetParam() == "toy:0") set_option("toy.delay_us", "5000");
  const std::uint64_t staged = device.state().uploads.staged;
  {
    const Tensor x = from_memory(memory, 12, {DType::f32, {3}}, device);
    EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{1, 2, 3}));
    EXPECT_EQ(releases, 0) << "the program holds it, too";
  }
  synchronize(device);
  EXPECT_EQ(held.use_count(), 1) << "and nobody else any more";
  EXPECT_EQ(device.state().uploads.staged, staged);
  memory.reset();
  EXPECT_EQ(releases, 1);
}

// ---------------------------------------------------------------------------------------------------------------- out

TEST_P(DLPack, EmptyTensorsShareNoMemory) {
  for (const auto& [copy, flags] :
       {std::pair{CopyPolicy::if_needed, std::uint64_t{0}}, std::pair{CopyPolicy::never, std::uint64_t{0}},
        std::pair{CopyPolicy::always, std::uint64_t{dlpack::copied_flag}}}) {
    DLManagedTensorVersioned* array = to_dlpack(zeros({0, 3}), copy);
    EXPECT_EQ(array->flags, flags);
    EXPECT_EQ(array->dl_tensor.shape[1], 3);
    array->deleter(array);
  }
}

TEST_P(DLPack, TensorsBecomeArrays) {
  const Tensor x(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  DLManagedTensorVersioned* array = to_dlpack(transpose(x));
  const DLTensor& t = array->dl_tensor;
  EXPECT_EQ(array->version.major, 1u);
  EXPECT_EQ(array->flags, visible() ? dlpack::read_only_flag : dlpack::copied_flag);
  EXPECT_EQ(t.device.device_type, dlpack::cpu);
  EXPECT_EQ(t.device.device_id, 0);
  EXPECT_EQ(t.byte_offset, 0u);
  ASSERT_EQ(t.ndim, 2);
  EXPECT_EQ((std::vector<std::int64_t>{t.shape[0], t.shape[1]}), (std::vector<std::int64_t>{3, 2}));
  const auto* data = static_cast<const float*>(t.data);
  std::vector<float> values;
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int64_t j = 0; j < 2; ++j) values.push_back(data[i * t.strides[0] + j * t.strides[1]]);
  }
  EXPECT_EQ(values, (std::vector<float>{1, 4, 2, 5, 3, 6}));
  if (visible()) {
    EXPECT_EQ(t.data, HostView(x).data()) << "nothing was copied";
  }
  array->deleter(array);
}

TEST_P(DLPack, ArraysKeepTheirMemoryUntilTheyAreFreed) {
  const std::uint64_t before = memory_stats(device).live;
  DLManagedTensorVersioned* array = to_dlpack(Tensor({1.0f, 2.0f}));
  EXPECT_EQ(memory_stats(device).live > before, visible());
  EXPECT_EQ(static_cast<const float*>(array->dl_tensor.data)[1], 2.0f);
  array->deleter(array);
  EXPECT_EQ(memory_stats(device).live, before);
}

TEST_P(DLPack, ReadersOfTheOldStructGetACopyThatTheyMayWrite) {
  const Tensor x({1.0f, 2.0f});
  DLManagedTensor* array = to_dlpack_unversioned(x);
  auto* data = static_cast<float*>(array->dl_tensor.data);
  EXPECT_EQ(data[0], 1.0f);
  data[0] = 5;
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{1, 2}));
  array->deleter(array);
  DLManagedTensorVersioned* copy = to_dlpack(x, CopyPolicy::always);
  EXPECT_EQ(copy->flags, dlpack::copied_flag);
  copy->deleter(copy);
}

// 1 and zeros, whatever the device can compute.
Tensor one_and_zeros(DType dtype) {
  std::vector<std::byte> bytes(3 * size_of(dtype));
  bytes[0] = std::byte{1};  // in floating dtypes a subnormal number
  return Tensor::from_bytes(bytes.data(), bytes.size(), {dtype, {3}});
}

TEST_P(DLPack, EveryDtypeGoesOutAndComesBack) {
  for (int i = 0; i < dtype_count; ++i) {
    const auto dtype = static_cast<DType>(i);
    const Tensor x = one_and_zeros(dtype);
    DLManagedTensorVersioned* array = to_dlpack(x);
    const DLDataType type = array->dl_tensor.dtype;
    EXPECT_EQ(type.bits, 8 * size_of(dtype)) << name_of(dtype);
    EXPECT_EQ(type.lanes, 1) << name_of(dtype);
    const int code = dtype == DType::bf16      ? 4
                     : dtype == DType::boolean ? 6
                     : is_floating(dtype)      ? 2
                     : dtype == DType::u8      ? 1
                                               : 0;
    EXPECT_EQ(type.code, code) << name_of(dtype);
    const Tensor back = from_dlpack(array);
    EXPECT_EQ(back.spec(), x.spec());
    EXPECT_EQ(back.to_bytes(), x.to_bytes()) << name_of(dtype);
  }
}

TEST_P(DLPack, AbstractTensorsAreNoArrays) {
  const Tensor x = Tensor::abstract({DType::f32, {2}});
  EXPECT_THROW(to_dlpack(x), TraceError);
  EXPECT_THROW(to_dlpack_unversioned(x), TraceError);
}

INSTANTIATE_TEST_SUITE_P(Devices, DLPack, testing::ValuesIn(devices_and_toy()), &by_device);

}  // namespace
}  // namespace lockstep
