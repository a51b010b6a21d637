#include "conformance/checks/probe.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "conformance/case_data.h"
#include "conformance/cases/values.h"
#include "conformance/checks/kernel_log.h"
#include "lockstep/driver.h"
#include "lockstep/driver_ops.h"
#include "lockstep/ops.h"

namespace lockstep::conformance {
namespace {

// Shapes m, k, n of products, from one dot product to sizes for which GPUs use their matrix units.
struct Sizes {
  std::int64_t m, k, n;
  std::string text() const { return std::to_string(m) + "×" + std::to_string(k) + "×" + std::to_string(n); }
};
constexpr Sizes product_sizes[] = {{1, 1, 1},    {1, 64, 1},    {3, 17, 5},    {1, 256, 33},
                                   {16, 16, 16}, {32, 128, 64}, {64, 130, 96}, {128, 256, 128},
                                   {7, 1024, 9}, {33, 2049, 3}, {4, 8192, 5}};

int bits_of(DType t) {
  switch (t) {
    case DType::f64: return 53;
    case DType::f16: return 11;
    case DType::bf16: return 8;
    default: return 24;
  }
}

// The dot products of the rows of a with the columns of b, computed by some op.
using Product = std::function<Tensor(const Tensor& a, const Tensor& b)>;

Tensor by_matmul(const Tensor& a, const Tensor& b) { return matmul(a, b); }

Tensor by_convolution(const Tensor& a, const Tensor& b) {
  const std::int64_t m = a.shape()[0], k = a.shape()[1], n = b.shape()[1];
  const Tensor image = reshape(a, Ints{1, m, 1, k}), filter = reshape(transpose(b), Ints{n, 1, 1, k});
  return reshape(conv2d(image, filter), Ints{m, n});
}

// Height and width of an image of k pixels, as close to a square as possible.
Ints window_of(std::int64_t k) {
  std::int64_t height = static_cast<std::int64_t>(std::sqrt(static_cast<double>(k)));
  while (k % height != 0) --height;
  return {height, k / height};
}

// By one window that covers the whole image of one channel, so that it has k taps.
Tensor by_window(const Tensor& a, const Tensor& b) {
  const std::int64_t m = a.shape()[0], n = b.shape()[1];
  const Ints w = window_of(a.shape()[1]);
  const Tensor image = reshape(a, Ints{m, w[0], w[1], 1}), filter = reshape(transpose(b), Ints{n, w[0], w[1], 1});
  return reshape(conv2d(image, filter), Ints{m, n});
}

// By the gradient of a one-pixel filter, which is a sum over all pixels of the image.
Tensor by_filter_gradient(const Tensor& a, const Tensor& b) {
  static const OpDef& op = *find_op("conv2d_backward_filter");
  const std::int64_t m = a.shape()[0], n = b.shape()[1];
  const Ints w = window_of(a.shape()[1]);
  const lks_conv2d_backward_filter_attrs attrs{.strides = {2, {1, 1}},
                                               .padding = {4, {0, 0, 0, 0}},
                                               .dilation = {2, {1, 1}},
                                               .groups = 1,
                                               .shape = {4, {n, 1, 1, m}}};
  const Tensor image = reshape(transpose(a), Ints{1, w[0], w[1], m}), dy = reshape(b, Ints{1, w[0], w[1], n});
  return transpose(reshape(invoke1(op, {image, dy}, &attrs), Ints{n, m}));
}

// By the gradient of a one-pixel image, which is a sum over the filters.
Tensor by_image_gradient(const Tensor& a, const Tensor& b) {
  static const OpDef& op = *find_op("conv2d_backward_input");
  const std::int64_t m = a.shape()[0], k = a.shape()[1], n = b.shape()[1];
  const lks_conv2d_backward_input_attrs attrs{.strides = {2, {1, 1}},
                                              .padding = {4, {0, 0, 0, 0}},
                                              .dilation = {2, {1, 1}},
                                              .groups = 1,
                                              .shape = {4, {m, 1, 1, n}}};
  return reshape(invoke1(op, {reshape(a, Ints{m, 1, 1, k}), reshape(b, Ints{k, 1, 1, n})}, &attrs), Ints{m, n});
}

// By a sum of products that are exact. All columns of b are equal, so one is enough.
Tensor by_sum(const Tensor& a, const Tensor& b) {
  const Tensor column = reshape(slice(b, {{1, 0, 1}}), Ints{1, b.shape()[0]});
  return sum(a * column, {.axes = {1}});
}

// By a sum along columns, whose terms are not adjacent in memory.
Tensor by_column_sum(const Tensor& a, const Tensor& b) {
  return sum(transpose(a) * slice(b, {{1, 0, 1}}), {.axes = {0}});
}

// By k updates of one slice.
Tensor by_scatter(const Tensor& a, const Tensor& b) {
  const std::int64_t m = a.shape()[0], k = a.shape()[1];
  const Tensor terms = transpose(a) * slice(b, {{1, 0, 1}});
  return reshape(scatter_add(terms, zeros(Shape{k}, DType::i64), 1, 0), Ints{m});
}

Tensor filled(DType dtype, const Shape& shape, const std::function<long double(std::int64_t, std::int64_t)>& f,
              Device device) {
  RefArray a = RefArray::zeros(dtype, shape);
  for (std::int64_t i = 0; i < shape[0]; ++i) {
    for (std::int64_t j = 0; j < shape[1]; ++j) a.values[static_cast<std::size_t>(i * shape[1] + j)] = f(i, j);
  }
  return to_tensor(a, device);
}

// The largest p, up to the bits of the dtype, such that operands of p bits are not shortened: an odd integer of p bits
// times one is exact.
int operand_bits(const Product& product, DType dtype, Sizes s, bool first, Device device) {
  const int wanted = bits_of(dtype);
  for (int p = wanted; p > 1; --p) {
    const long double value = std::ldexp(1.0L, p - 1) + 1;
    const auto probe = [&](std::int64_t at) { return at == s.k / 2 ? value : 0.0L; };
    const auto one = [&](std::int64_t at) { return at == s.k / 2 ? 1.0L : 0.0L; };
    const Tensor a = filled(
        dtype, {s.m, s.k}, [&](auto, auto j) { return first ? probe(j) : one(j); }, device);
    const Tensor b = filled(
        dtype, {s.k, s.n}, [&](auto i, auto) { return first ? one(i) : probe(i); }, device);
    const RefArray c = to_array(product(a, b));
    bool all = true;
    for (long double v : c.values) all = all && v == value;
    if (all) return p;
  }
  return 1;
}

// The bits that sums keep: p + 1 for the largest p up to `most` such that 2^p + 1 - 2^p is 1 in whatever order the
// kernel adds.
int accumulator_bits(const Product& product, DType dtype, Sizes s, int most, Device device) {
  if (s.k < 3) return most + 1;
  // 2^p is the product of two shorter factors, each of which is exact in any format.
  for (int p = most; p > 1; --p) {
    const long double high = std::ldexp(1.0L, p / 2), low = std::ldexp(1.0L, p - p / 2);
    const auto left = [&](std::int64_t j) { return j == 0 ? high : j == s.k / 2 ? 1.0L : j == s.k - 1 ? -high : 0.0L; };
    const auto right = [&](std::int64_t j) { return j == 0 || j == s.k - 1 ? low : 1.0L; };
    const Tensor a = filled(
        dtype, {s.m, s.k}, [&](auto, auto j) { return left(j); }, device);
    const Tensor b = filled(
        dtype, {s.k, s.n}, [&](auto i, auto) { return right(i); }, device);
    bool all = true;
    for (long double v : to_array(product(a, b)).values) all = all && v == 1;
    if (all) return p + 1;
  }
  return 1;
}

struct Outcomes {
  bool ok = true;
  std::string text;
  void note(bool good, const std::string& line) {
    if (good || !ok) return;
    ok = false;
    text = line;
  }
};

void probe_operands(const Product& product, const char* name, DType dtype, MathMode mode, Device device,
                    Outcomes& out) {
  const int wanted = may_shorten(mode, dtype) ? 8 : bits_of(dtype);
  for (Sizes s : product_sizes) {
    for (bool first : {true, false}) {
      const int bits = operand_bits(product, dtype, s, first, device);
      out.note(bits >= wanted, std::string(name_of(dtype)) + " " + name + " of " + s.text() + " keeps " +
                                   std::to_string(bits) + " bits of its " + (first ? "first" : "second") +
                                   " operand, where " + std::to_string(wanted) + " are promised" +
                                   (bits == 11  ? ": it computes in TF32 or f16"
                                    : bits == 8 ? ": it computes in bf16"
                                                : ""));
    }
  }
}

// The bits of sums that the kernels of a product claim to keep; 0 if they claim nothing.
int claimed_bits(const Product& product, const char* op, DType dtype, Sizes s, Device device) {
  const Tensor a = filled(
      dtype, {s.m, s.k}, [](auto, auto) { return 1.0L; }, device);
  const Tensor b = filled(
      dtype, {s.k, s.n}, [](auto, auto) { return 1.0L; }, device);
  const KernelLog log;
  product(a, b);
  int bits = 0;
  for (const KernelUse& use : log.used()) {
    const std::uint32_t accumulate_dtype = use.claims.accumulate_dtype;
    if (use.op == op) bits = accumulate_dtype == LKS_F64 ? 53 : accumulate_dtype == LKS_F32 ? 24 : 0;
  }
  return bits;
}

// Sums must keep the bits of the dtype, and those that the driver claims.
void probe_accumulator(const Product& product, const char* name, DType dtype, MathMode, Device device, Outcomes& out) {
  for (Sizes s : product_sizes) {
    const int claimed = claimed_bits(product, name, dtype, s, device);
    const int wanted = std::max(dtype == DType::f64 ? 53 : 24, claimed);
    const int bits = accumulator_bits(product, dtype, s, wanted - 1, device);
    out.note(bits >= wanted, std::string(name_of(dtype)) + " " + name + " of " + s.text() + " adds up in " +
                                 std::to_string(bits) + " bits, where " + std::to_string(wanted) + " are " +
                                 (claimed == wanted ? "claimed" : "promised"));
  }
}

// Sums of two terms that no format holds. Whatever the order and the accumulator, they must be rounded to nearest even.
// A sum that is truncated shows here, but not in long sums, whose bound is wider.
void probe_rounding(const Product& product, const char* name, DType dtype, MathMode mode, Device device,
                    Outcomes& out) {
  if (may_shorten(mode, dtype)) return;
  const long double u = std::ldexp(1.0L, -bits_of(dtype));  // half a unit in the last place of 1
  const long double terms[][3] = {{1, u, 1},
                                  {1, 1.5L * u, 1 + 2 * u},
                                  {1, 3 * u, 1 + 4 * u},
                                  {-1, -1.5L * u, -1 - 2 * u},
                                  {1, -0.75L * u, 1 - u},
                                  {-1, 0.75L * u, -1 + u}};
  for (Sizes s : product_sizes) {
    if (s.k < 2) continue;
    for (const auto& [first, second, expected] : terms) {
      const auto term = [&](std::int64_t j) { return j == 0 ? first : j == s.k - 1 ? second : 0.0L; };
      const Tensor a = filled(
          dtype, {s.m, s.k}, [&](auto, auto j) { return term(j); }, device);
      const Tensor b = filled(
          dtype, {s.k, s.n}, [](auto, auto) { return 1.0L; }, device);
      for (long double v : to_array(product(a, b)).values) {
        if (v == expected) continue;
        char text[200];
        std::snprintf(text, sizeof text, "%s %s of %s: %La %+La is rounded to %La, not %La",
                      std::string(name_of(dtype)).c_str(), name, s.text().c_str(), first, second, v, expected);
        out.note(false, text);
      }
    }
  }
}

// A pointwise expression, and its result if every step rounds correctly.
struct PointwiseProbe {
  const char* name;
  const char* what;
  std::function<Tensor(const Tensor&)> f;  // of a vector of equal elements
  long double x, expected;                 // in f32
};

Tensor like(const Tensor& x, float v) { return x * 0.0f + v; }

const std::vector<PointwiseProbe>& pointwise_probes() {
  static const OpDef& chain = *find_op("conformance::multiply_add");  // one kernel for both operations
  static const std::vector<PointwiseProbe> probes = {
      {"contraction", "a * b + c rounds the product before it adds",
       [](const Tensor& x) {
         return invoke1(chain, {x, x, like(x, -(1 + 0x1p-11f))});
       },
       1 + 0x1p-12L, 0},
      {"subnormal_kept", "a subnormal number times one is itself", [](const Tensor& x) { return x * 1.0f; },
       0x1.8p-140L, 0x1.8p-140L},
      {"subnormal_made", "a product may be subnormal", [](const Tensor& x) { return x * 0x1p-30f; }, 0x1p-110L,
       0x1p-140L},
      {"subnormal_sum", "a sum of subnormal numbers is exact", [](const Tensor& x) { return x + x; }, 0x1.8p-141L,
       0x1.8p-140L},
      {"ties_to_even", "a tie goes to the even neighbour", [](const Tensor& x) { return x + 0x1p-24f; }, 1, 1},
      {"above_tie", "just above a tie goes up", [](const Tensor& x) { return x + 0x1.000002p-24f; }, 1, 1 + 0x1p-23L},
      {"negative_tie", "a negative tie goes to the even neighbour", [](const Tensor& x) { return x - 0x1p-24f; },
       -1 - 0x1p-23L, -1 - 0x1p-22L},
      {"division", "1 / x is correctly rounded", [](const Tensor& x) { return like(x, 1) / x; }, 0x1.fffffep+0L,
       0x1.000002p-1L},
      {"square_root", "the square root is correctly rounded", [](const Tensor& x) { return sqrt(x); }, 0x1.fffffep+1L,
       0x1.fffffep+0L},
  };
  return probes;
}

struct ProductProbe {
  const char *op, *name;
  Tensor (*product)(const Tensor&, const Tensor&);
  void (*run)(const Product&, const char*, DType, MathMode, Device, Outcomes&);
};

constexpr ProductProbe product_probes[] = {
    {"matmul", "operand_bits", &by_matmul, &probe_operands},
    {"matmul", "accumulator_bits", &by_matmul, &probe_accumulator},
    {"conv2d", "operand_bits", &by_convolution, &probe_operands},
    {"conv2d", "accumulator_bits", &by_convolution, &probe_accumulator},
    {"conv2d", "window_operand_bits", &by_window, &probe_operands},
    {"conv2d", "window_accumulator_bits", &by_window, &probe_accumulator},
    {"conv2d", "window_rounding", &by_window, &probe_rounding},
    {"conv2d_backward_filter", "operand_bits", &by_filter_gradient, &probe_operands},
    {"conv2d_backward_filter", "accumulator_bits", &by_filter_gradient, &probe_accumulator},
    {"conv2d_backward_filter", "rounding", &by_filter_gradient, &probe_rounding},
    {"conv2d_backward_input", "operand_bits", &by_image_gradient, &probe_operands},
    {"conv2d_backward_input", "accumulator_bits", &by_image_gradient, &probe_accumulator},
    {"conv2d_backward_input", "rounding", &by_image_gradient, &probe_rounding},
    {"sum", "operand_bits", &by_sum, &probe_operands},
    {"sum", "accumulator_bits", &by_sum, &probe_accumulator},
    {"sum", "column_operand_bits", &by_column_sum, &probe_operands},
    {"sum", "column_accumulator_bits", &by_column_sum, &probe_accumulator},
    {"sum", "column_rounding", &by_column_sum, &probe_rounding},
    {"scatter_add", "operand_bits", &by_scatter, &probe_operands},
    {"scatter_add", "accumulator_bits", &by_scatter, &probe_accumulator},
    {"matmul", "rounding", &by_matmul, &probe_rounding},
    {"conv2d", "rounding", &by_convolution, &probe_rounding},
    {"sum", "rounding", &by_sum, &probe_rounding},
};

void run_pointwise(const PointwiseProbe& p, Device device, Outcomes& out) {
  RefArray x = RefArray::zeros(DType::f32, Shape{67});
  for (long double& v : x.values) v = p.x;
  const RefArray y = to_array(p.f(to_tensor(x, device)));
  for (long double v : y.values) {
    char text[200];
    std::snprintf(text, sizeof text, "%s: of %La it gives %La, not %La", p.what, p.x, v, p.expected);
    out.note(v == p.expected, text);
  }
}

}  // namespace

std::vector<std::string> probe_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  const auto wanted = [&](const char* op) {
    return request.options.op.empty() || fits_pattern(request.options.op, op);
  };
  for (MathMode mode : request.modes) {
    for (const ProductProbe& p : product_probes) {
      for (DType dtype : {DType::f32, DType::f64}) {
        if (!request.options.dtype.empty() && request.options.dtype != name_of(dtype)) continue;
        if (wanted(p.op))
          ids.push_back(std::string("probe/") + p.op + "/" + std::string(name_of(dtype)) + "/" +
                        std::string(name_of(mode)) + "/" + p.name);
      }
    }
    if (mode == MathMode::fast || !request.options.op.empty()) continue;
    if (!request.options.dtype.empty() && request.options.dtype != "f32") continue;
    for (const PointwiseProbe& p : pointwise_probes())
      ids.push_back("probe/pointwise/f32/" + std::string(name_of(mode)) + "/" + p.name);
  }
  return ids;
}

bool run_probe(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  if (parts.size() != 5) return false;
  const MathMode mode = find_mode(parts[3]).value_or(MathMode::strict);
  const MathModeScope scope(mode);
  const DeviceScope device(setting.device);
  Outcomes out;
  bool found = false;
  for (const ProductProbe& p : product_probes) {
    if (parts[1] != p.op || parts[4] != p.name) continue;
    found = true;
    p.run(p.product, p.op, parse_dtype(parts[2]), mode, setting.device, out);
  }
  for (const PointwiseProbe& p : pointwise_probes()) {
    if (parts[1] != "pointwise" || parts[4] != p.name) continue;
    found = true;
    run_pointwise(p, setting.device, out);
  }
  if (!out.ok) {
    result.outcome = Outcome::fail;
    result.text = out.text;
  }
  return found;
}

}  // namespace lockstep::conformance
