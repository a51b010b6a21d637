// Tests softmax and the cross entropies against their decompositions on the reference driver. The arithmetic is the
// same, except that rows are summed in double and in another order, so the bits are nearly always the same.
#include <limits>

#include "backends/cpu/test_support.h"

namespace lockstep::testing {
namespace {

const std::vector<Shape>& row_shapes() {
  static const std::vector<Shape> shapes = {{1, 1},    {5, 10},    {1000, 10}, {3, 33},      {2, 2047}, {2, 2048},
                                            {3, 2049}, {2, 10007}, {7, 5, 3},  {300, 1, 17}, {100}};
  return shapes;
}

// Tensors whose last axis has different strides.
std::vector<Tensor> layouts(Device d, DType t, const Shape& shape) {
  Shape reversed;
  std::vector<Slice> backwards;
  for (int i = 0; i < shape.rank(); ++i) {
    reversed.append(shape[shape.rank() - 1 - i]);
    backwards.push_back({i, -1, std::nullopt, -1});
  }
  return {random_tensor(d, t, shape, 1) * 8, transpose(random_tensor(d, t, reversed, 2) * 8),
          slice(random_tensor(d, t, shape, 3) * 8, backwards)};
}

void expect_nearly(const Tensor& ours, const Tensor& theirs, const std::string& what) {
  // In f64 the round-off of the reference driver's sums grows with the length of a row, here ten thousand at most.
  const double tolerance = ours.dtype() == f32 ? 0x1p-22 : 1e4 * 0x1p-53;
  EXPECT_TRUE(close(ours, theirs, abs(theirs) + 1, tolerance)) << what;
}

TEST(Softmax, Rows) {
  for (DType t : {f32, f64}) {
    for (const Shape& shape : row_shapes()) {
      const std::vector<Tensor> ours = layouts(cpu(), t, shape), theirs = layouts(reference(), t, shape);
      for (std::size_t i = 0; i < ours.size(); ++i) {
        const std::string what = shape.to_string() + " layout " + std::to_string(i);
        expect_nearly(softmax(ours[i]), softmax(theirs[i]), "softmax " + what);
        expect_nearly(log_softmax(ours[i]), log_softmax(theirs[i]), "log_softmax " + what);
        expect_nearly(cross_entropy(ours[i], abs(ours[i])) * 0x1p-10,
                      cross_entropy(theirs[i], abs(theirs[i])) * 0x1p-10, "cross_entropy " + what);
      }
    }
  }
}

TEST(Softmax, OtherAxes) {
  for (std::int64_t axis : {0, 1}) {
    const auto f = [&](Device d) { return softmax(random_tensor(d, f32, {30, 20, 11}, 1), axis); };
    expect_nearly(f(cpu()), f(reference()), "axis " + std::to_string(axis));
  }
}

TEST(Softmax, SpecialRows) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (std::int64_t columns : {4, 3000}) {
    expect_same("special rows", [&](Device d) {
      std::vector<float> values(static_cast<std::size_t>(5 * columns), 0.5f);
      const auto at = [&](std::int64_t row) { return values.begin() + row * columns; };
      *at(0) = nan;
      std::fill_n(at(1), columns, -inf);
      *at(2) = -inf;
      *at(3) = inf;
      *at(4) = 88.0f;
      const Tensor x = Tensor::from_bytes(values.data(), values.size() * sizeof(float), {f32, {5, columns}}, d);
      return softmax(x) + log_softmax(x);
    });
  }
}

TEST(Softmax, LabelsOutsideGiveNan) {
  for (DType label : {i32, i64}) {
    const auto f = [&](Device d) {
      const Tensor labels = random_tensor(d, label, {50}, 1);  // in [-9, 9]
      return sparse_cross_entropy(random_tensor(d, f32, {50, 7}, 2), labels);
    };
    const Tensor ours = f(cpu()), theirs = f(reference());
    const auto is_nan = [](const Tensor& x) { return not_equal(x, x); };
    EXPECT_TRUE(same_bits(is_nan(ours), is_nan(theirs)));
    expect_nearly(where(is_nan(ours), 0.0, ours), where(is_nan(theirs), 0.0, theirs), "losses");
  }
  const auto images = [](Device d) {
    return sparse_cross_entropy(random_tensor(d, f64, {4, 9, 300}, 2), abs(random_tensor(d, i64, {4, 9}, 1)));
  };
  expect_nearly(images(cpu()), images(reference()), "images");
}

TEST(Softmax, ThreadsDoNotMatter) {
  for (const Shape& shape : {Shape{5000, 10}, Shape{300, 1000}, Shape{20, 5000}}) {
    expect_same_for_threads("softmax", [&](Device d) { return softmax(random_tensor(d, f32, shape, 1)); });
    expect_same_for_threads("loss", [&](Device d) {
      return sparse_cross_entropy(random_tensor(d, f32, shape, 1), abs(random_tensor(d, i32, {shape[0]}, 2)));
    });
  }
}

}  // namespace
}  // namespace lockstep::testing
