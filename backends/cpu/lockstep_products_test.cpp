// Tests that matrix products and convolutions in lockstep mode give the bits of plain loops written from the
// specification, for all extents, layouts and numbers of threads.
#include <cmath>

#include "backends/cpu/lockstep_spec.h"
#include "lockstep/driver_ops.h"

namespace lockstep::testing {
namespace {

using spec::expect_bits;

// ------------------------------------------------------------------------------------------------------------ matmul

// The product of (batch, m, k) and (batch, k, n).
template <class T>
Tensor expected_product(const Tensor& a, const Tensor& b) {
  const std::int64_t batch = a.shape()[0], m = a.shape()[1], k = a.shape()[2], n = b.shape()[2];
  const std::vector<T> x = a.to_vector<T>(), y = b.to_vector<T>();
  std::vector<T> out;
  for (std::int64_t g = 0; g < batch; ++g) {
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        std::vector<std::optional<T>> terms;
        for (std::int64_t p = 0; p < k; ++p) {
          const T product =
              x[static_cast<std::size_t>((g * m + i) * k + p)] * y[static_cast<std::size_t>((g * k + p) * n + j)];
          terms.push_back(product);
        }
        out.push_back(spec::chain_sum(terms));
      }
    }
  }
  return spec::tensor(out, {batch, m, n});
}

Tensor expected_product(const Tensor& a, const Tensor& b) {
  return a.dtype() == f64 ? expected_product<double>(a, b) : expected_product<float>(a, b);
}

std::string text(DType t, std::int64_t m, std::int64_t k, std::int64_t n) {
  return std::string(name_of(t)) + " " + std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n);
}

TEST(LockstepMatmul, SumsSlicesOf256AsATree) {
  constexpr std::int64_t depths[] = {0,   1,   2,   255,  256,  257,  511,  512,  513,
                                     767, 768, 769, 1000, 1024, 1025, 2049, 25088};
  for (DType t : {f32, f64}) {
    for (std::int64_t k : depths) {
      const std::int64_t m = k > 20000 ? 2 : 13, n = k > 20000 ? 3 : 35;
      const Tensor a = random_tensor(cpu(), t, {1, m, k}, 1), b = random_tensor(cpu(), t, {1, k, n}, 2);
      expect_bits(text(t, m, k, n), expected_product(a, b), [&] { return matmul(a, b); });
    }
  }
}

TEST(LockstepMatmul, HoldsForAllExtentsAndAwkwardValues) {
  constexpr std::int64_t extents[] = {1, 2, 5, 12, 13, 31, 32, 33, 65, 150};
  for (DType t : {f32, f64}) {
    for (std::int64_t m : extents) {
      for (std::int64_t n : extents) {
        const std::int64_t k = extents[(m * 5 + n * 3) % 9];
        const Values values = (m + n) % 3 == 0 ? Values::awkward : Values::plain;
        const Tensor a = random_tensor(cpu(), t, {1, m, k}, 1, values),
                     b = random_tensor(cpu(), t, {1, k, n}, 2, values);
        expect_bits(text(t, m, k, n), expected_product(a, b), [&] { return matmul(a, b); });
      }
    }
  }
}

TEST(LockstepMatmul, AFewRowsTimesManyColumns) {
  for (DType t : {f32, f64}) {
    for (std::int64_t m : {1, 2, 3, 8, 9}) {
      for (std::int64_t n : {16, 17, 100, 1030}) {
        const std::int64_t k = n > 1000 ? 300 : 1291;
        const Tensor a = random_tensor(cpu(), t, {2, m, k}, 1), b = random_tensor(cpu(), t, {2, k, n}, 2);
        expect_bits(text(t, m, k, n), expected_product(a, b), [&] { return matmul(a, b); });
      }
    }
  }
}

TEST(LockstepMatmul, LargeBlocksAndManyOfThem) {
  for (const auto& [m, k, n] : {std::array<std::int64_t, 3>{300, 300, 40}, {20, 600, 1100}, {170, 1300, 70}}) {
    const Tensor a = random_tensor(cpu(), f32, {1, m, k}, 1), b = random_tensor(cpu(), f32, {1, k, n}, 2);
    expect_bits(text(f32, m, k, n), expected_product(a, b), [&, m = m, n = n] { return matmul(a, b); });
  }
}

TEST(LockstepMatmul, LayoutsDoNotMatter) {
  const std::pair<const char*, Tensor (*)(const Tensor&)> views[] = {
      {"dense", [](const Tensor& x) { return x; }},
      {"transposed",
       [](const Tensor& x) {
         const std::vector<std::byte> bytes = swap_axes(x, 1, 2).to_bytes();
         const Tensor stored = Tensor::from_bytes(bytes.data(), bytes.size(),
                                                  {x.dtype(), {x.shape()[0], x.shape()[2], x.shape()[1]}}, cpu());
         return swap_axes(stored, 1, 2);
       }},
      {"columns apart",
       [](const Tensor& x) {
         return slice(concat({x, x}, 2), {{.axis = 2, .step = 2}});
       }},
      {"reversed", [](const Tensor& x) {
         return slice(x, {{.axis = 1, .start = -1, .step = -1}, {.axis = 2, .start = -1, .step = -1}});
       }}};
  for (DType t : {f32, f64}) {
    for (const auto& [a_name, a_view] : views) {
      for (const auto& [b_name, b_view] : views) {
        const Tensor a = a_view(random_tensor(cpu(), t, {2, 14, 1100}, 1));
        const Tensor b = b_view(random_tensor(cpu(), t, {2, 1100, 34}, 2));
        expect_bits(std::string(a_name) + " by " + b_name, expected_product(a, b), [&] { return matmul(a, b); });
      }
    }
  }
}

TEST(LockstepMatmul, IntegersWrapAsEver) {
  for (DType t : {i32, i64}) {
    const Tensor a = random_tensor(cpu(), t, {9, 700}, 1, Values::awkward), b = random_tensor(cpu(), t, {700, 9}, 2);
    expect_bits("integers", matmul(a, b), [&] { return matmul(a, b); });
  }
}

// ------------------------------------------------------------------------------------------------------- convolution

struct Geometry {
  const char* name;
  Shape x, w;
  Pair strides{1, 1};
  std::array<std::int64_t, 4> padding{0, 0, 0, 0};
  Pair dilation{1, 1};
  std::int64_t groups = 1;

  Convolution options() const {
    return {strides, Padding::of(padding[0], padding[1], padding[2], padding[3]), dilation, groups};
  }
  Shape result() const {
    const auto extent = [&](int i) {
      const auto s = static_cast<std::size_t>(i);
      return (x[i + 1] + padding[2 * s] + padding[2 * s + 1] - (w[i + 1] - 1) * dilation[s] - 1) / strides[s] + 1;
    };
    return {x[0], extent(0), extent(1), w[0]};
  }
};

const Geometry geometries[] = {
    {"depthwise, many pixels", {3, 33, 35, 5}, {5, 3, 3, 1}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 5},
    {"first layer", {2, 14, 13, 1}, {33, 3, 3, 1}},
    {"three channels, padded", {2, 12, 13, 3}, {8, 7, 7, 3}, {2, 2}, {3, 3, 3, 3}},
    {"over one slice", {1, 7, 9, 64}, {40, 3, 3, 64}, {1, 1}, {1, 1, 1, 1}},
    {"channels that do not divide a slice", {1, 6, 6, 90}, {34, 3, 3, 90}, {1, 1}, {1, 1, 1, 1}},
    {"pointwise", {2, 5, 7, 300}, {17, 1, 1, 300}},
    {"unequal padding", {2, 6, 7, 5}, {7, 3, 3, 5}, {1, 1}, {2, 0, 1, 3}},
    {"strided, with a rest", {1, 11, 14, 4}, {6, 3, 2, 4}, {3, 2}, {1, 0, 0, 1}},
    {"stride larger than the window", {1, 12, 9, 3}, {5, 2, 2, 3}, {4, 3}},
    {"pointwise, strided", {2, 9, 8, 40}, {300, 1, 1, 40}, {2, 2}},
    {"strided over several slices", {1, 9, 8, 20}, {130, 3, 3, 20}, {2, 2}, {1, 1, 1, 1}},
    {"dilated", {1, 13, 11, 30}, {40, 3, 3, 30}, {1, 1}, {1, 2, 2, 1}, {3, 2}},
    {"dilated and strided", {2, 15, 13, 2}, {3, 3, 3, 2}, {2, 3}, {2, 1, 0, 2}, {2, 2}},
    {"two groups", {2, 6, 6, 66}, {70, 3, 3, 33}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 2},
    {"five groups, strided", {1, 9, 9, 10}, {15, 3, 3, 2}, {2, 2}, {0, 1, 1, 0}, {1, 1}, 5},
    {"depthwise", {2, 8, 7, 67}, {67, 3, 3, 1}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 67},
    {"depthwise, strided and dilated", {1, 22, 23, 19}, {19, 3, 2, 1}, {2, 3}, {2, 1, 0, 1}, {2, 1}, 19},
    {"depthwise, more taps than a slice", {1, 19, 18, 5}, {5, 17, 17, 1}, {1, 1}, {2, 1, 1, 2}, {1, 1}, 5},
    {"two filters a channel", {1, 7, 7, 5}, {10, 3, 3, 1}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 5},
    {"many pixels", {5, 20, 21, 2}, {3, 3, 3, 2}, {1, 1}, {1, 1, 1, 1}},
    {"no images", {0, 6, 6, 3}, {4, 3, 3, 3}},
};

/// The elements of a tensor, by four indices.
template <class T>
struct Array {
  Shape shape;
  std::vector<T> values;

  explicit Array(const Tensor& t) : shape(t.shape()), values(t.to_vector<T>()) {}
  T at(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) const {
    return values[static_cast<std::size_t>(((a * shape[1] + b) * shape[2] + c) * shape[3] + d)];
  }
};

// The position in the image, along side i, of tap k of result p; nothing if it is in the padding.
std::optional<std::int64_t> met(const Geometry& g, int i, std::int64_t p, std::int64_t k) {
  const auto s = static_cast<std::size_t>(i);
  const std::int64_t at = p * g.strides[s] - g.padding[2 * s] + k * g.dilation[s];
  return at >= 0 && at < g.x[i + 1] ? std::optional(at) : std::nullopt;
}

template <class T>
using Terms = std::vector<std::optional<T>>;

template <class T>
std::vector<T> expected_forward(const Geometry& g, const Tensor& x_tensor, const Tensor& w_tensor) {
  const Array<T> x(x_tensor), w(w_tensor);
  std::vector<T> out;
  spec::for_each_index(g.result(), [&](const std::vector<std::int64_t>& i) {
    const std::int64_t n = i[0], o = i[3], group = o / (g.w[0] / g.groups), channels = g.w[3];
    Terms<T> terms;
    for (std::int64_t kh = 0; kh < g.w[1]; ++kh) {
      for (std::int64_t kw = 0; kw < g.w[2]; ++kw) {
        const auto h = met(g, 0, i[1], kh), v = met(g, 1, i[2], kw);
        for (std::int64_t c = 0; c < channels; ++c) {
          terms.push_back(h && v ? std::optional<T>(x.at(n, *h, *v, group * channels + c) * w.at(o, kh, kw, c))
                                 : std::nullopt);
        }
      }
    }
    out.push_back(spec::chain_sum(terms));
  });
  return out;
}

template <class T>
std::vector<T> expected_input_gradient(const Geometry& g, const Tensor& dy_tensor, const Tensor& w_tensor) {
  const Array<T> dy(dy_tensor), w(w_tensor);
  const std::int64_t filters = g.w[0] / g.groups, channels = g.w[3];
  std::vector<T> out;
  spec::for_each_index(g.x, [&](const std::vector<std::int64_t>& i) {
    const std::int64_t group = i[3] / channels, c = i[3] % channels;
    // The result position along a side whose tap k meets this pixel.
    const auto result = [&](int side, std::int64_t k) -> std::optional<std::int64_t> {
      for (std::int64_t p = 0; p < dy.shape[side + 1]; ++p) {
        if (met(g, side, p, k) == i[static_cast<std::size_t>(side + 1)]) return p;
      }
      return std::nullopt;
    };
    Terms<T> terms;
    for (std::int64_t kh = 0; kh < g.w[1]; ++kh) {
      for (std::int64_t kw = 0; kw < g.w[2]; ++kw) {
        const auto p = result(0, kh), q = result(1, kw);
        for (std::int64_t o = group * filters; o < (group + 1) * filters; ++o) {
          terms.push_back(p && q ? std::optional<T>(dy.at(i[0], *p, *q, o) * w.at(o, kh, kw, c)) : std::nullopt);
        }
      }
    }
    out.push_back(spec::chain_sum(terms));
  });
  return out;
}

template <class T>
std::vector<T> expected_filter_gradient(const Geometry& g, const Tensor& x_tensor, const Tensor& dy_tensor) {
  const Array<T> x(x_tensor), dy(dy_tensor);
  std::vector<T> out;
  spec::for_each_index(g.w, [&](const std::vector<std::int64_t>& i) {
    const std::int64_t channel = i[0] / (g.w[0] / g.groups) * g.w[3] + i[3];
    Terms<T> terms;
    for (std::int64_t n = 0; n < dy.shape[0]; ++n) {
      for (std::int64_t p = 0; p < dy.shape[1]; ++p) {
        for (std::int64_t q = 0; q < dy.shape[2]; ++q) {
          const auto h = met(g, 0, p, i[1]), v = met(g, 1, q, i[2]);
          terms.push_back(h && v ? std::optional<T>(x.at(n, *h, *v, channel) * dy.at(n, p, q, i[0])) : std::nullopt);
        }
      }
    }
    out.push_back(spec::chain_sum(terms));
  });
  return out;
}

Tensor gradient(const char* op, const Geometry& g, const Tensor& a, const Tensor& b, const Shape& shape) {
  lks_conv2d_backward_input_attrs attrs{};
  static_assert(sizeof(lks_conv2d_backward_input_attrs) == sizeof(lks_conv2d_backward_filter_attrs));
  attrs.strides = {2, {g.strides[0], g.strides[1]}};
  attrs.padding = {4, {g.padding[0], g.padding[1], g.padding[2], g.padding[3]}};
  attrs.dilation = {2, {g.dilation[0], g.dilation[1]}};
  attrs.groups = g.groups;
  attrs.shape.count = 4;
  for (int i = 0; i < 4; ++i) attrs.shape.values[i] = shape[i];
  return invoke1(*find_op(op), {a, b}, &attrs);
}

template <class T>
void expect_convolutions(const Geometry& g, const Tensor& x, const Tensor& w, const Tensor& dy) {
  const std::string what = std::string(name_of(x.dtype())) + " " + g.name;
  const std::vector<T> y = expected_forward<T>(g, x, w);
  expect_bits(what + " forward", spec::tensor(y, g.result()), [&] { return conv2d(x, w, g.options()); });
  const Tensor bias = random_tensor(cpu(), x.dtype(), {g.w[0]}, 4);
  const std::vector<T> added = bias.to_vector<T>();
  std::vector<T> with_bias = y;
  for (std::size_t i = 0; i < y.size(); ++i) with_bias[i] = y[i] + added[i % added.size()];
  expect_bits(what + " with bias", spec::tensor(with_bias, g.result()),
              [&] { return conv2d(x, w, bias, g.options()); });
  expect_bits(what + " gradient of the input", spec::tensor(expected_input_gradient<T>(g, dy, w), g.x),
              [&] { return gradient("conv2d_backward_input", g, dy, w, g.x); });
  expect_bits(what + " gradient of the filter", spec::tensor(expected_filter_gradient<T>(g, x, dy), g.w),
              [&] { return gradient("conv2d_backward_filter", g, x, dy, g.w); });
}

TEST(LockstepConv, AllPassesForEveryGeometry) {
  for (const Geometry& g : geometries) {
    for (DType t : {f32, f64}) {
      const Tensor x = random_tensor(cpu(), t, g.x, 1), w = random_tensor(cpu(), t, g.w, 2),
                   dy = random_tensor(cpu(), t, g.result(), 3);
      t == f64 ? expect_convolutions<double>(g, x, w, dy) : expect_convolutions<float>(g, x, w, dy);
    }
  }
}

// Infinite factors must not be multiplied by padding.
TEST(LockstepConv, PaddingIsLeftOutUnderInfiniteFactors) {
  const auto some_infinite = [](const Shape& shape, std::uint64_t seed) {
    const Tensor x = random_tensor(cpu(), f32, shape, seed);
    return where(less(x, -1.8), to_device(full({}, HUGE_VAL, f32), cpu()), abs(x) + 0.5);
  };
  for (const Geometry& g : geometries) {
    const Tensor x = abs(random_tensor(cpu(), f32, g.x, 1)) + 0.5;
    expect_convolutions<float>(g, x, some_infinite(g.w, 2), some_infinite(g.result(), 3));
  }
}

}  // namespace
}  // namespace lockstep::testing
