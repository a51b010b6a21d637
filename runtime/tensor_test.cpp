// Tests of Tensor: identity, elements, and invalid uses.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "backends/common/dense.h"
#include "lockstep/lockstep.h"
#include "runtime/device_state.h"
#include "runtime/expect_error.h"
#include "runtime/tensor_impl.h"

namespace lockstep {
namespace {

class Tensors : public testing::Test {
 protected:
  DeviceScope scope{Device("reference")};
  const std::string here = "\n  where  called at tensor_test.cpp:N\n  fix    ";
};

TEST_F(Tensors, HaveIdsThatNoOtherHas) {
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 9000; ++i) ids.push_back(next_tensor_id());
  std::thread([&] {
    for (int i = 0; i < 9000; ++i) ids.push_back(next_tensor_id());
  }).join();
  for (int i = 0; i < 10; ++i) ids.push_back(next_tensor_id());
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.begin() + 9000)) << "on one thread, later ones are larger";
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
  EXPECT_GT(ids.front(), 0u);
}

TEST_F(Tensors, TooFewOrTooManyElementsAreRefused) {
  EXPECT_EQ(error_text([] {
              Tensor(std::vector<float>{1, 2, 3}, {2, 2});
            }),
            "ShapeError[LS2006] tensor: 3 elements do not fill shape (2, 2), which has 4" + here +
                "give as many elements as the shape has");
  const std::uint8_t bytes[8] = {};
  EXPECT_EQ(error_text([&] {
              Tensor::from_bytes(bytes, 7, {DType::f32, {2}});
            }),
            "ShapeError[LS2006] tensor: 7 bytes do not fill f32 (2)" + here + "give 8 bytes");
  EXPECT_EQ(Tensor::from_bytes(bytes, 8, {DType::f32, {2}}).to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(error_text([] {
              Tensor::from_bytes(nullptr, 8, {DType::f32, {2}});
            }),
            "StateError[LS1008] tensor: the memory is null" + here + "give the elements");
  EXPECT_EQ(Tensor::from_bytes(nullptr, 0, {DType::f32, {0}}).shape(), (Shape{0}));
}

TEST_F(Tensors, BooleansOfBytesAre0Or1) {
  const std::uint8_t bytes[] = {1, 0, 1, 2};
  EXPECT_EQ(Tensor::from_bytes(bytes, 3, {DType::boolean, {3}}).to_bools(), (std::vector<std::uint8_t>{1, 0, 1}));
  EXPECT_EQ(error_text([&] {
              Tensor::from_bytes(bytes, 4, {DType::boolean, {4}});
            }),
            "StateError[LS1010] tensor: there are booleans that are neither 0 nor 1" + here +
                "give the bytes 0 and 1, or give u8 elements and cast them to bool");
  EXPECT_EQ(Tensor::from_bytes(bytes, 4, {DType::u8, {4}}).to_vector<std::uint8_t>()[3], 2);
  EXPECT_EQ(Tensor::from_bytes(nullptr, 0, {DType::boolean, {0}}).size(), 0);
}

TEST_F(Tensors, ElementsAreReadAsWhatTheyAre) {
  const Tensor x({1.0f, 2.0f});
  const std::string line = "\n  tensor Tensor f32 (2) reference:0   output of tensor";
  EXPECT_EQ(error_text([&] { x.to_vector<double>(); }), "DTypeError[LS2103] to_vector: elements are f32, not f64" +
                                                            line + here + "read them as f32, or cast(tensor, f64)");
  EXPECT_EQ(error_text([&] { x.item<float>(); }), "ShapeError[LS2006] item: the tensor has 2 elements, not one" + line +
                                                      here + "reduce it first, or read all elements with to_vector");
  EXPECT_EQ(reshape(Tensor(3.0f), {1, 1}).item<float>(), 3.0f);
  EXPECT_EQ(equal(x, Tensor({1.0f, 1.0f})).to_bools(), (std::vector<std::uint8_t>{1, 0}));
}

TEST_F(Tensors, DescriptionsHaveNoElementsAndNoDevice) {
  const Tensor x = Tensor::abstract({DType::f32, {2}});
  const std::string rest = ": the tensor is abstract and has no elements\n  tensor Tensor f32 (2) abstract" + here +
                           "run the model on real data; use `where` instead of branching on a value";
  EXPECT_EQ(error_text([&] { x.item<float>(); }), "TraceError[LS4101] item" + rest);
  EXPECT_EQ(error_text([&] { x.to_vector<float>(); }), "TraceError[LS4101] to_vector" + rest);
  EXPECT_EQ(error_text([&] { x.to_bytes(); }), "TraceError[LS4101] to_vector" + rest);
  EXPECT_EQ(error_text([&] { x.device(); }), "TraceError[LS4101] device" + rest);
}

TEST_F(Tensors, SizesThatNothingCanCountAreRefused) {
  const std::int64_t many = std::int64_t{1} << 31;
  EXPECT_EQ(
      error_text([&] {
        Tensor::abstract({DType::f64, {many, many}});
      }),
      "OutOfMemoryError[LS5002] abstract: f64 (2147483648, 2147483648) has more bytes than 64 bits count, too many "
      "in one tensor" +
          here + "check the shape");
  EXPECT_EQ(
      error_text([&] {
        Tensor::abstract({DType::u8, {many, many, many}});
      }),
      "ShapeError[LS2005] abstract: a tensor of shape (2147483648, 2147483648, 2147483648) has more elements than 64 "
      "bits count" +
          here + "check the shape");
  EXPECT_NO_THROW(Tensor::abstract({DType::f64, {many, many, 0}}));
}

TEST_F(Tensors, SizesOfNewOnesAreCheckedBeforeMemoryIsAsked) {
  const std::int64_t many = std::int64_t{1} << 31;
  DeviceState& device = Device("reference").state();
  const auto size = [&](const TensorSpec& spec) { return check_size(device, spec, {.label = "made"}); };
  EXPECT_EQ(size({DType::f64, {3, 5}}), 120u);
  EXPECT_EQ(size({DType::f32, {}}), 4u);
  EXPECT_EQ(size({DType::f64, {many, many, many, 0}}), 0u);
  const auto text = [&](const TensorSpec& spec) { return error_text([&] { size(spec); }); };
  EXPECT_TRUE(text({DType::u8, {many, many, many}}).starts_with("ShapeError[LS2005] made: a tensor of shape ("));
  EXPECT_TRUE(text({DType::f64, {many, many}}).starts_with("OutOfMemoryError[LS5002] made: f64 ("));
  const std::string large = text({DType::u8, {many, many}});
  EXPECT_TRUE(large.starts_with(
      "OutOfMemoryError[LS5002] reference:0: made output u8 (2147483648, 2147483648) needs 4194304 TiB, "
      "the device takes at most "))
      << large;
}

TEST_F(Tensors, SmallOnesShareTheThreadsFreeMemory) {
  std::vector<Tensor> many;  // more than the free list keeps
  for (int i = 0; i < 1500; ++i) many.push_back(Tensor::abstract({DType::f32, {i}}));
  many.clear();
  for (int i = 0; i < 1500; ++i) many.push_back(Tensor::abstract({DType::f32, {i}}));
  for (int i = 0; i < 1500; ++i) EXPECT_EQ(many[static_cast<std::size_t>(i)].shape(), (Shape{i}));
}

TEST_F(Tensors, StridesAreDenseWhateverThoseOfSingleElementsAre) {
  const std::int64_t dense[] = {3, 1}, odd[] = {77, 1}, wide[] = {4, 1}, turned[] = {1, 2};
  EXPECT_TRUE(strides_are_dense({2, 3}, dense));
  EXPECT_TRUE(strides_are_dense({1, 3}, odd));
  EXPECT_FALSE(strides_are_dense({2, 3}, wide));
  EXPECT_FALSE(strides_are_dense({2, 3}, turned));
  EXPECT_TRUE(strides_are_dense({}, nullptr));
}

// If they did not agree, the host would copy an operand again and again that the driver refuses.
TEST_F(Tensors, HostAndDriversAgreeWhichAreDense) {
  struct Case {
    Shape shape;
    std::vector<std::int64_t> dense;  // what the host passes
  };
  for (const Case& c : {Case{{2, 3, 4}, {12, 4, 1}}, Case{{0}, {1}}, Case{{2, 0, 3}, {0, 3, 1}}, Case{{0, 5}, {5, 1}},
                        Case{{4, 1, 0}, {0, 0, 1}}}) {
    const int rank = c.shape.rank();
    std::int64_t strides[max_rank];
    fill_dense_strides(c.shape, strides);
    EXPECT_EQ(std::vector<std::int64_t>(strides, strides + rank), c.dense);
    std::int64_t dims[max_rank];
    for (int d = 0; d < rank; ++d) dims[d] = c.shape[d];
    EXPECT_TRUE(strides_are_dense(c.shape, strides)) << c.shape.to_string();
    EXPECT_TRUE(common::is_dense(rank, dims, strides)) << c.shape.to_string();
    ++strides[rank - 1];
    EXPECT_FALSE(strides_are_dense(c.shape, strides)) << c.shape.to_string();
    EXPECT_FALSE(common::is_dense(rank, dims, strides)) << c.shape.to_string();
  }
}

}  // namespace
}  // namespace lockstep
