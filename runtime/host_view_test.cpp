// Tests of HostView: whether elements are copied, what a view shows and keeps alive, and what it refuses.
#include <gtest/gtest.h>

#include <optional>

#include "lockstep/lockstep.h"
#include "runtime/device_state.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"
#include "runtime/toy_device.h"

namespace lockstep {
namespace {

class HostViews : public testing::TestWithParam<std::string> {
 protected:
  bool visible() const { return device.state().host_visible(); }
  std::uint64_t live() const { return memory_stats(device).live; }

  Device device = device_named(GetParam());
  DeviceScope scope{device};
};

template <class T>
std::vector<T> values(const HostView& view) {
  const std::span<const T> elements = view.elements<T>();
  return {elements.begin(), elements.end()};
}

TEST_P(HostViews, ShowTheElementsWithoutACopyIfTheHostSeesThem) {
  const Tensor x = Tensor({1.0f, 2.0f, 3.0f}) * 2;
  const HostView view(x);
  EXPECT_EQ(values<float>(view), (std::vector<float>{2, 4, 6}));
  EXPECT_EQ(view.is_copy(), !visible());
  EXPECT_TRUE(view.is_dense());
  EXPECT_EQ(view.dtype(), DType::f32);
  EXPECT_EQ(view.shape(), (Shape{3}));
  const HostView again(x);
  EXPECT_EQ(view.data() == again.data(), visible()) << "views share memory if it is the tensor's";
  const HostView same = view;
  EXPECT_EQ(same.data(), view.data());
}

TEST_P(HostViews, CopyIfTheyAreTold) {
  const Tensor x({1.0f, 2.0f});
  const HostView view(x, CopyPolicy::always);
  EXPECT_TRUE(view.is_copy());
  EXPECT_EQ(values<float>(view), (std::vector<float>{1, 2}));
  EXPECT_NE(view.data(), HostView(x).data());
}

TEST_P(HostViews, RefuseACopyIfTheyAreTold) {
  const Tensor x({1.0f, 2.0f});
  if (visible()) {
    EXPECT_FALSE(HostView(x, CopyPolicy::never).is_copy());
    return;
  }
  EXPECT_EQ(error_text([&] { HostView view(x, CopyPolicy::never); }),
            "UnsupportedError[LS6003] HostView: the host does not see the memory of " + device.name() +
                "\n  tensor Tensor f32 (2) " + device.name() +
                "   output of tensor\n  where  called at host_view_test.cpp:N\n  fix    allow a copy: "
                "CopyPolicy::if_needed");
}

TEST_P(HostViews, HaveTheStridesOfTheirMemory) {
  const Tensor x(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor turned = transpose(x), part = slice(turned, {{0, 1, 3}});
  const HostView view(part);  // (2, 2): 2 5, 3 6
  const auto* first = static_cast<const float*>(view.data());
  const auto at = [&](std::int64_t i, std::int64_t j) { return first[i * view.strides()[0] + j * view.strides()[1]]; };
  EXPECT_EQ((std::vector{at(0, 0), at(0, 1), at(1, 0), at(1, 1)}), (std::vector<float>{2, 5, 3, 6}));
  EXPECT_EQ(view.is_dense(), !visible()) << "a copy is dense";
  const HostView dense(part, CopyPolicy::always);
  EXPECT_TRUE(dense.is_dense());
  EXPECT_EQ((std::vector<std::int64_t>{dense.strides()[0], dense.strides()[1]}), (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(values<float>(dense), (std::vector<float>{2, 5, 3, 6}));
  if (!visible()) return;
  EXPECT_EQ(first, static_cast<const float*>(HostView(x).data()) + 1) << "a view of a view starts within the block";
  EXPECT_EQ(error_text([&] { view.elements<float>(); }),
            "StateError[LS1008] HostView: the elements of (2, 2) are not dense\n  where  called at "
            "host_view_test.cpp:N\n  fix    use data() and strides(), or make the view with CopyPolicy::always");
}

TEST_P(HostViews, KeepMemoryAliveAndGiveItBack) {
  const std::uint64_t before = live();
  std::optional<HostView> view;
  {
    const Tensor x({5.0f, 6.0f});
    view.emplace(x);
  }
  EXPECT_EQ(live() > before, visible()) << "a copy does not keep the device's memory";
  EXPECT_EQ(values<float>(*view), (std::vector<float>{5, 6}));
  view.reset();
  EXPECT_EQ(live(), before);
}

TEST_P(HostViews, DoNotChangeWhenTheirVariableDoes) {
  const Variable v(Tensor({1.0f, 2.0f}), "v");
  v.assign(Tensor({3.0f, 4.0f}));  // possibly in place, and still in flight
  const HostView view(v.read());
  EXPECT_EQ(values<float>(view), (std::vector<float>{3, 4}));
  v.assign(Tensor({5.0f, 6.0f}));
  EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{5, 6}));
  EXPECT_EQ(values<float>(view), (std::vector<float>{3, 4}));
}

TEST_P(HostViews, OfNoElementsHaveNoData) {
  const HostView view(zeros({3, 0}), CopyPolicy::never);
  EXPECT_EQ(view.data(), nullptr);
  EXPECT_TRUE(view.elements<float>().empty());
  EXPECT_FALSE(view.is_copy());
  EXPECT_TRUE(HostView(zeros({3, 0}), CopyPolicy::always).is_copy());
}

// 1 and zeros, whatever the device can compute.
Tensor one_and_zeros(DType dtype) {
  std::vector<std::byte> bytes(3 * size_of(dtype));
  bytes[0] = std::byte{1};  // in floating dtypes a subnormal number
  return Tensor::from_bytes(bytes.data(), bytes.size(), {dtype, {3}});
}

TEST_P(HostViews, ShowEveryDtype) {
  for (int i = 0; i < dtype_count; ++i) {
    const auto dtype = static_cast<DType>(i);
    const Tensor x = one_and_zeros(dtype);
    const HostView view(x);
    EXPECT_EQ(view.dtype(), dtype);
    const auto* bytes = static_cast<const std::byte*>(view.data());
    EXPECT_EQ(std::vector<std::byte>(bytes, bytes + 3 * size_of(dtype)), x.to_bytes()) << name_of(dtype);
  }
  const Tensor flags = greater(Tensor({1.0f, 3.0f}), 2);
  EXPECT_EQ(values<bool>(HostView(flags)), (std::vector<bool>{false, true}));
}

TEST_P(HostViews, WrongUsesAreNamed) {
  const Tensor x({1.0f, 2.0f});
  HostView view(x);
  const std::string here = "\n  where  called at host_view_test.cpp:N\n  fix    ";
  EXPECT_EQ(error_text([&] { view.elements<double>(); }),
            "DTypeError[LS2103] HostView: elements are f32, not f64" + here + "read them as f32");
  EXPECT_EQ(error_text([&] {
              HostView none(Tensor::abstract({DType::f32, {2}}));
            }),
            "TraceError[LS4101] HostView: the tensor is abstract and has no elements\n  tensor Tensor f32 (2) "
            "abstract" +
                here + "run the model on real data; use `where` instead of branching on a value");
  expect_error_saying([&] { HostView none(x, static_cast<CopyPolicy>(3)); }, ErrorId::invalid_attribute,
                      {"3 is not a valid copy policy"}, "host_view_test.cpp:", true);
  const HostView taken = std::move(view);
  EXPECT_EQ(taken.shape(), (Shape{2}));
  expect_error_saying([&] { view.data(); }, ErrorId::invalid_use, {"host view"},  // NOLINT: used after the move
                      "host_view_test.cpp:");
}

// A tensor whose producer failed has no elements that a view could show.
TEST(HostView, ThrowsTheFailureOfItsProducer) {
  for (const Device& device : {toy(), host_visible_toy()}) {
    const DeviceScope scope(device);
    const Tensor x({1.0f, 2.0f}), index(std::vector<std::int64_t>{0, 7}, {2});
    const Tensor picked = gather(x, index);
    expect_error_saying([&] { HostView view(picked); }, ErrorId::index_out_of_range, {"gather"}, "host_view_test.cpp:");
    EXPECT_EQ(values<float>(HostView(x)), (std::vector<float>{1, 2})) << "what came before is shown";
  }
}

TEST(HostView, CutsThePathOfAGradientAsAReadDoes) {
  const DeviceScope scope{Device("reference")};
  const Variable v(Tensor({1.0f, 2.0f}), "v");
  GradientTape tape;
  const float read = HostView(v * 2).elements<float>()[0];
  const Tensor y = Tensor(read) * 3;
  expect_error_saying([&] { tape.gradient(y, v); }, ErrorId::unconnected, {"HostView"}, nullptr);
}

INSTANTIATE_TEST_SUITE_P(Devices, HostViews, testing::ValuesIn(devices_and_toys()), &by_device);

}  // namespace
}  // namespace lockstep
