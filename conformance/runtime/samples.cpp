// Sample calls of the core ops, with attributes and shapes as a driver sees them.
#include <cstring>

#include "api/internal/instructions.h"
#include "conformance/checks/instruction_table.h"
#include "conformance/runtime/kernels.h"
#include "ops/round_once.h"

namespace lockstep::conformance {
namespace {

using Dims = std::vector<std::int64_t>;

template <class T>
void put(Bytes& bytes, std::size_t i, T value) {
  std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
}

// Small integers, whose sums are exact.
Bytes whole_numbers(const Operand& operand, TestRandom& random) {
  Bytes bytes(operand.span());
  const std::size_t n = bytes.size() / operand.element_size();
  for (std::size_t i = 0; i < n; ++i) {
    const auto value = static_cast<std::int64_t>(random.below(15)) - 7;
    switch (operand.dtype) {
      case LKS_F32: put(bytes, i, static_cast<float>(value)); break;
      case LKS_F64: put(bytes, i, static_cast<double>(value)); break;
      case LKS_I32: put(bytes, i, static_cast<std::int32_t>(value)); break;
      case LKS_I64: put(bytes, i, value); break;
      case LKS_I8: put(bytes, i, static_cast<std::int8_t>(value)); break;
      case LKS_U8: put(bytes, i, static_cast<std::uint8_t>(value + 7)); break;
      case LKS_F16: put(bytes, i, half_of(static_cast<long double>(value))); break;
      case LKS_BF16: put(bytes, i, bfloat16_of(static_cast<long double>(value))); break;
      default: bytes[i] = static_cast<unsigned char>(value & 1); break;
    }
  }
  return bytes;
}

// f32 numbers of both signs, over sixteen binades.
Bytes mixed_magnitudes(const Operand& operand, TestRandom& random) {
  Bytes bytes(operand.span());
  for (std::size_t i = 0; i < bytes.size() / sizeof(float); ++i) {
    const std::uint64_t bits = random.bits();
    const auto exponent = static_cast<std::uint32_t>(119 + (bits >> 40) % 16);
    put(bytes, i, static_cast<std::uint32_t>(bits & 0x807fffffu) | exponent << 23);
  }
  return bytes;
}

Bytes index_values(const Operand& operand, std::uint64_t extent, TestRandom& random) {
  Bytes bytes(operand.span());
  for (std::size_t i = 0; i < bytes.size() / operand.element_size(); ++i) {
    const std::uint64_t index = random.below(extent);
    if (operand.dtype == LKS_I64) {
      put(bytes, i, static_cast<std::int64_t>(index));
    } else {
      put(bytes, i, static_cast<std::int32_t>(index));
    }
  }
  return bytes;
}

KernelSample sample(std::uint32_t op, const char* op_name, std::vector<Operand> inputs, std::vector<Operand> outputs,
                    Bytes attrs, TestRandom& random) {
  KernelSample s;
  s.op = op;
  s.op_name = op_name;
  s.name = op_name;
  s.inputs = std::move(inputs);
  s.outputs = std::move(outputs);
  s.attrs = std::move(attrs);
  for (const Operand& input : s.inputs) s.values.push_back(whole_numbers(input, random));
  return s;
}

// s x + y, where y is one row that is broadcast.
KernelSample scaled_sum(std::int64_t rows, std::int64_t columns, TestRandom& random) {
  KernelSample s = sample(LKS_OP_POINTWISE, "pointwise", {{LKS_F32, {rows, columns}}, {LKS_F32, {columns}}},
                          {{LKS_F32, {rows, columns}}}, {}, random);
  ProgramBuilder builder;
  const Expr x = builder.input(LKS_F32), y = builder.input(LKS_F32), factor = builder.scalar(0, LKS_F32);
  const Expr result[] = {x * factor + y};
  s.program = std::make_shared<Program>(builder.finish(result));
  s.scalar_dtypes = {LKS_F32};
  const float three = 3;
  std::uint32_t bits = 0;
  std::memcpy(&bits, &three, sizeof bits);
  s.scalars = {bits};
  s.name = "pointwise f32 with a scalar and a broadcast";
  return s;
}

// Two outputs of different dtypes.
KernelSample compare_and_square(std::int64_t n, TestRandom& random) {
  KernelSample s =
      sample(LKS_OP_POINTWISE, "pointwise", {{LKS_F32, {n}}}, {{LKS_F32, {n}}, {LKS_BOOL, {n}}}, {}, random);
  ProgramBuilder builder;
  const Expr x = builder.input(LKS_F32);
  const Expr results[] = {x * x, x < x.constant(1)};
  s.program = std::make_shared<Program>(builder.finish(results));
  s.name = "pointwise with two outputs";
  return s;
}

void add_movement(std::vector<KernelSample>& all, std::int64_t n, TestRandom& random) {
  all.push_back(sample(LKS_OP_COPY, "copy", {{LKS_F32, {n, 3, 5}, {1, 5 * n, n}}}, {{LKS_F32, {n, 3, 5}}}, {}, random));
  all.back().name = "copy f32 of a transposed tensor";
  all.push_back(sample(LKS_OP_COPY, "copy", {{LKS_U8, {n, 7}}}, {{LKS_U8, {n, 7}}}, {}, random));
  all.back().name = "copy u8";
  all.push_back(sample(LKS_OP_COPY, "copy", {{LKS_I64, {3, n}}}, {{LKS_I64, {3, n}, {2 * n + 5, 2}}}, {}, random));
  all.back().name = "copy i64 into a tensor with gaps";
  all.push_back(sample(LKS_OP_COPY, "copy", {{LKS_F16, {n, 9}, {1, 0}}}, {{LKS_F16, {n, 9}}}, {}, random));
  all.back().name = "copy f16 of a broadcast tensor";
  const lks_gather_attrs axis{.axis = 0};
  all.push_back(sample(LKS_OP_GATHER, "gather", {{LKS_F32, {7, n}}, {LKS_I64, {9}}}, {{LKS_F32, {9, n}}},
                       attr_bytes(axis), random));
  all.back().values[1] = index_values(all.back().inputs[1], 7, random);
  const lks_scatter_add_attrs scatter{.axis = 0, .extent = 7};
  all.push_back(sample(LKS_OP_SCATTER_ADD, "scatter_add", {{LKS_F32, {9, n}}, {LKS_I64, {9}}}, {{LKS_F32, {7, n}}},
                       attr_bytes(scatter), random));
  all.back().values[1] = index_values(all.back().inputs[1], 7, random);
}

void add_reductions(std::vector<KernelSample>& all, std::int64_t n, TestRandom& random) {
  const lks_reduce_attrs last{.axes = int_list({1}), .keep = 0}, first{.axes = int_list({0}), .keep = 1};
  for (const auto& [op, name] : {std::pair{LKS_OP_SUM, "sum"}, {LKS_OP_MAX, "max"}, {LKS_OP_MIN, "min"}}) {
    all.push_back(sample(op, name, {{LKS_F32, {5, n}}}, {{LKS_F32, {5}}}, attr_bytes(last), random));
    all.back().name = std::string(name) + " of rows";
    all.push_back(sample(op, name, {{LKS_F32, {n, 5}}}, {{LKS_F32, {1, 5}}}, attr_bytes(first), random));
    all.back().name = std::string(name) + " of columns";
  }
  const lks_argmax_attrs axis{.axis = 1};
  all.push_back(sample(LKS_OP_ARGMAX, "argmax", {{LKS_F32, {3, n}}}, {{LKS_I64, {3}}}, attr_bytes(axis), random));
  const Dims m{5, n}, k{n, 3}, y{5, 3};
  all.push_back(sample(LKS_OP_MATMUL, "matmul", {{LKS_F32, m}, {LKS_F32, k}}, {{LKS_F32, y}}, {}, random));
  all.push_back(sample(LKS_OP_MATMUL, "matmul", {{LKS_F32, {2, n, 5}}, {LKS_F32, {2, 5, n}, {5 * n, 1, 5}}},
                       {{LKS_F32, {2, n, n}}}, {}, random));
  all.back().name = "matmul of a batch, second operand transposed";
}

// `image` is NHWC.
void add_convolutions(std::vector<KernelSample>& all, const Dims& image, std::int64_t filters, TestRandom& random) {
  const Dims filter{filters, 3, 3, image[3]}, result{image[0], image[1], image[2], filters};
  lks_conv2d_attrs forward{
      .strides = int_list({1, 1}), .padding = int_list({1, 1, 1, 1}), .dilation = int_list({1, 1}), .groups = 1};
  all.push_back(sample(LKS_OP_CONV2D, "conv2d", {{LKS_F32, image}, {LKS_F32, filter}, {LKS_F32, {}, {}, true}},
                       {{LKS_F32, result}}, attr_bytes(forward), random));
  all.back().name = "conv2d without bias";
  all.push_back(sample(LKS_OP_CONV2D, "conv2d", {{LKS_F32, image}, {LKS_F32, filter}, {LKS_F32, {filters}}},
                       {{LKS_F32, result}}, attr_bytes(forward), random));
  all.back().name = "conv2d with bias";
  all.back().core = false;  // if the driver does not offer it, the host adds the bias
  const lks_conv2d_backward_input_attrs input{.strides = forward.strides,
                                              .padding = forward.padding,
                                              .dilation = forward.dilation,
                                              .groups = 1,
                                              .shape = int_list({image[0], image[1], image[2], image[3]})};
  all.push_back(sample(LKS_OP_CONV2D_BACKWARD_INPUT, "conv2d_backward_input", {{LKS_F32, result}, {LKS_F32, filter}},
                       {{LKS_F32, image}}, attr_bytes(input), random));
  const lks_conv2d_backward_filter_attrs weights{.strides = forward.strides,
                                                 .padding = forward.padding,
                                                 .dilation = forward.dilation,
                                                 .groups = 1,
                                                 .shape = int_list({filters, 3, 3, image[3]})};
  all.push_back(sample(LKS_OP_CONV2D_BACKWARD_FILTER, "conv2d_backward_filter", {{LKS_F32, image}, {LKS_F32, result}},
                       {{LKS_F32, filter}}, attr_bytes(weights), random));
}

void add_pooling(std::vector<KernelSample>& all, std::int64_t h, TestRandom& random) {
  const Dims image{2, h, 7, 3}, pooled{2, h / 2, 3, 3};
  const lks_int_list two = int_list({2, 2}), none = int_list({0, 0, 0, 0}), shape = int_list({2, h, 7, 3});
  const lks_max_pool2d_attrs max{.window = two, .strides = two, .padding = none};
  all.push_back(sample(LKS_OP_MAX_POOL2D, "max_pool2d", {{LKS_F32, image}}, {{LKS_F32, pooled}, {LKS_I32, pooled}},
                       attr_bytes(max), random));
  const lks_max_pool2d_backward_attrs back{.window = two, .strides = two, .padding = none, .shape = shape};
  all.push_back(sample(LKS_OP_MAX_POOL2D_BACKWARD, "max_pool2d_backward", {{LKS_F32, pooled}, {LKS_I32, pooled}},
                       {{LKS_F32, image}}, attr_bytes(back), random));
  all.back().values[1] = index_values(all.back().inputs[1], 4, random);
  const lks_avg_pool2d_attrs mean{.window = two, .strides = two, .padding = none};
  all.push_back(
      sample(LKS_OP_AVG_POOL2D, "avg_pool2d", {{LKS_F32, image}}, {{LKS_F32, pooled}}, attr_bytes(mean), random));
  const lks_avg_pool2d_backward_attrs share{.window = two, .strides = two, .padding = none, .shape = shape};
  all.push_back(sample(LKS_OP_AVG_POOL2D_BACKWARD, "avg_pool2d_backward", {{LKS_F32, pooled}}, {{LKS_F32, image}},
                       attr_bytes(share), random));
}

void add_random(std::vector<KernelSample>& all, std::int64_t n, TestRandom& random) {
  constexpr std::int64_t i32_as_dtype = 6;
  const lks_random_bits_attrs attrs{.shape = int_list({n, 3}), .dtype = i32_as_dtype};
  all.push_back(sample(LKS_OP_RANDOM_BITS, "random_bits", {}, {{LKS_I32, {n, 3}}}, attr_bytes(attrs), random));
  all.back().scalar_dtypes = {LKS_U32, LKS_U32, LKS_U32, LKS_U32};
  all.back().scalars = {1, 2, 3, 4};
}

// Ops that most drivers lack, so that the runtime decomposes them.
void add_optional(std::vector<KernelSample>& all, std::int64_t n, TestRandom& random) {
  const std::size_t first = all.size();
  const lks_softmax_attrs axis{.axis = 1};
  all.push_back(sample(LKS_OP_SOFTMAX, "softmax", {{LKS_F32, {3, n}}}, {{LKS_F32, {3, n}}}, attr_bytes(axis), random));
  all.push_back(
      sample(LKS_OP_LOG_SOFTMAX, "log_softmax", {{LKS_F32, {3, n}}}, {{LKS_F32, {3, n}}}, attr_bytes(axis), random));
  all.push_back(sample(LKS_OP_ARGSORT, "argsort", {{LKS_F32, {n}}}, {{LKS_I64, {n}}}, {}, random));
  const lks_reduce_attrs last{.axes = int_list({1}), .keep = 0};
  all.push_back(sample(LKS_OP_MEAN, "mean", {{LKS_F32, {5, n}}}, {{LKS_F32, {5}}}, attr_bytes(last), random));
  for (std::size_t i = first; i < all.size(); ++i) all[i].core = false;
}

// x y + x. No device needs arithmetic in 16 bits, so such operands are converted to f32 and the result back.
KernelSample product_and_sum(lks_dtype dtype, std::int64_t n, TestRandom& random) {
  KernelSample s = sample(LKS_OP_POINTWISE, "pointwise", {{dtype, {n}}, {dtype, {n}}}, {{dtype, {n}}}, {}, random);
  ProgramBuilder builder;
  const bool converts = is_half_width(dtype);
  const auto input = [&] {
    const Expr given = builder.input(dtype);
    return converts ? convert(given, LKS_F32) : given;
  };
  const Expr x = input(), y = input();
  const Expr result[] = {converts ? convert(x * y + x, dtype) : x * y + x};
  s.program = std::make_shared<Program>(builder.finish(result));
  return s;
}

}  // namespace

KernelSample multiply_add_sample(std::int64_t n) {
  TestRandom random(static_cast<std::uint64_t>(n));
  KernelSample s =
      sample(LKS_OP_POINTWISE, "pointwise", {{LKS_I32, {n}}, {LKS_I32, {n}}}, {{LKS_I32, {n}}}, {}, random);
  ProgramBuilder builder;
  const Expr a = builder.input(LKS_I32), b = builder.input(LKS_I32);
  const Expr result[] = {a * a.constant(3) + b};
  s.program = std::make_shared<Program>(builder.finish(result));
  s.name = "pointwise i32 3 a + b";
  return s;
}

KernelSample long_program_sample(int instructions) {
  TestRandom random(static_cast<std::uint64_t>(instructions));
  const Operand tensor{LKS_I32, {2, 1, 3, 1, 2, 1, 2, 2}};
  KernelSample s = sample(LKS_OP_POINTWISE, "pointwise", {tensor, tensor, tensor, tensor}, {tensor}, {}, random);
  ProgramBuilder builder;
  std::vector<Expr> values;
  for (int i = 0; i < 4; ++i) values.push_back(builder.input(LKS_I32));
  while (static_cast<int>(builder.instrs().size()) < instructions) {
    const Expr a = values[values.size() - 1], b = values[values.size() - 3];
    values.push_back(values.size() % 2 ? a * b : a + b);
  }
  const Expr result[] = {values.back()};
  s.program = std::make_shared<Program>(builder.finish(result));
  s.name = "a program of " + std::to_string(instructions) + " instructions on rank 8";
  return s;
}

KernelSample exponential_sample() {
  TestRandom random(35);
  KernelSample s = sample(LKS_OP_POINTWISE, "pointwise", {{LKS_F32, {35}}}, {{LKS_F32, {35}}}, {}, random);
  ProgramBuilder builder;
  const Expr result[] = {exp(builder.input(LKS_F32))};
  s.program = std::make_shared<Program>(builder.finish(result));
  s.name = "pointwise f32 exp";
  return s;
}

Bytes multiply_add(const Bytes& a, const Bytes& b) {
  Bytes result(a.size());
  for (std::size_t i = 0; i + 4 <= a.size(); i += 4) {
    std::uint32_t x = 0, y = 0;
    std::memcpy(&x, a.data() + i, 4);
    std::memcpy(&y, b.data() + i, 4);
    x = 3 * x + y;
    std::memcpy(result.data() + i, &x, 4);
  }
  return result;
}

std::vector<KernelSample> kernel_samples(std::uint64_t seed, int size) {
  TestRandom random(seed * 31 + static_cast<std::uint64_t>(size));
  const std::int64_t n = std::vector<std::int64_t>{1, 5, 17, 37, 67, 129}[static_cast<std::size_t>(size) % 6];
  std::vector<KernelSample> all;
  all.push_back(multiply_add_sample(n));
  all.push_back(scaled_sum(3, n, random));
  all.push_back(compare_and_square(n, random));
  add_movement(all, n, random);
  add_reductions(all, n, random);
  add_convolutions(all, {2, 3 + n % 8, 6, 3}, 5, random);
  add_pooling(all, 3 + n % 8, random);
  add_random(all, n, random);
  add_optional(all, n, random);
  return all;
}

std::vector<KernelSample> samples_of_other_dtypes(std::uint64_t seed) {
  TestRandom random(seed + 77);
  std::vector<KernelSample> all;
  const lks_reduce_attrs last{.axes = int_list({1}), .keep = 0};
  const lks_argmax_attrs axis{.axis = 1};
  const lks_gather_attrs first{.axis = 0};
  const auto add = [&](const char* name, KernelSample s) {
    s.name = std::string(name) + " " + name_of_lks(s.inputs[0].dtype);
    for (const Operand& input : s.inputs) {
      s.name += " ";
      for (std::size_t d = 0; d < input.dims.size(); ++d) s.name += (d ? "x" : "") + std::to_string(input.dims[d]);
    }
    s.core = false;
    all.push_back(std::move(s));
  };
  // Whole vectors, and an odd number of elements.
  for (const std::int64_t n : {37, 64}) {
    for (const lks_dtype t : {LKS_F64, LKS_I64, LKS_F16, LKS_BF16, LKS_U8, LKS_I8}) {
      add("x y + x", product_and_sum(t, n, random));
    }
    for (const lks_dtype t : {LKS_F64, LKS_I32, LKS_I64}) {
      add("sum", sample(LKS_OP_SUM, "sum", {{t, {5, n}}}, {{t, {5}}}, attr_bytes(last), random));
      add("max", sample(LKS_OP_MAX, "max", {{t, {5, n}}}, {{t, {5}}}, attr_bytes(last), random));
      add("argmax", sample(LKS_OP_ARGMAX, "argmax", {{t, {5, n}}}, {{LKS_I64, {5}}}, attr_bytes(axis), random));
      add("matmul", sample(LKS_OP_MATMUL, "matmul", {{t, {5, n}}, {t, {n, 19}}}, {{t, {5, 19}}}, {}, random));
    }
    for (const lks_dtype t : {LKS_U8, LKS_F16, LKS_I32, LKS_I64, LKS_F64}) {
      add("gather",
          sample(LKS_OP_GATHER, "gather", {{t, {7, n}}, {LKS_I32, {9}}}, {{t, {9, n}}}, attr_bytes(first), random));
      all.back().values[1] = index_values(all.back().inputs[1], 7, random);
    }
  }
  return all;
}

// Channels and rows that fill several blocks and leave a rest.
std::vector<KernelSample> block_samples(std::uint64_t seed) {
  TestRandom random(seed + 12);
  std::vector<KernelSample> all;
  add_convolutions(all, {1, 9, 9, 72}, 80, random);
  const Operand rows{LKS_F32, {5, 1031}}, columns{LKS_F32, {1031}};
  const lks_softmax_attrs axis{.axis = 1};
  all.push_back(sample(LKS_OP_SOFTMAX, "softmax", {rows}, {rows}, attr_bytes(axis), random));
  all.push_back(sample(LKS_OP_LAYER_NORM, "layer_norm", {rows, columns, columns}, {rows}, {}, random));
  all.back().scalar_dtypes = {LKS_F32};
  constexpr std::uint64_t one_thousandth = 0x3a83126f;  // as f32
  all.back().scalars = {one_thousandth};
  for (KernelSample& s : all) {
    s.core = false;
    s.name += " of several blocks";
  }
  return all;
}

std::vector<KernelSample> all_samples(std::uint64_t seed) {
  std::vector<KernelSample> all;
  const auto add = [&](std::vector<KernelSample> some) {
    for (KernelSample& s : some) all.push_back(std::move(s));
  };
  for (int size = 0; size < 6; ++size) add(kernel_samples(seed, size));
  add(large_samples(seed));
  add(block_samples(seed));
  add(samples_of_other_dtypes(seed));
  return all;
}

std::vector<KernelSample> large_samples(std::uint64_t seed) {
  TestRandom random(seed);
  std::vector<KernelSample> all;
  const lks_reduce_attrs every{.axes = int_list({0, 1}), .keep = 0}, rows{.axes = int_list({1}), .keep = 0},
      columns{.axes = int_list({0}), .keep = 0};
  all.push_back(sample(LKS_OP_SUM, "sum", {{LKS_F32, {37, 3001}}}, {{LKS_F32, {}}}, attr_bytes(every), random));
  all.back().name = "sum of all of 37x3001";
  all.push_back(sample(LKS_OP_SUM, "sum", {{LKS_F32, {37, 3001}}}, {{LKS_F32, {37}}}, attr_bytes(rows), random));
  all.back().name = "sum of rows of 37x3001";
  all.push_back(sample(LKS_OP_SUM, "sum", {{LKS_F32, {3001, 37}}}, {{LKS_F32, {37}}}, attr_bytes(columns), random));
  all.back().name = "sum of columns of 3001x37";
  all.push_back(
      sample(LKS_OP_MATMUL, "matmul", {{LKS_F32, {67, 301}}, {LKS_F32, {301, 45}}}, {{LKS_F32, {67, 45}}}, {}, random));
  all.back().name = "matmul 67x301x45";
  add_convolutions(all, {2, 29, 6, 3}, 5, random);
  for (KernelSample& s : all) {
    s.sums_floats = true;
    for (std::size_t i = 0; i < s.inputs.size(); ++i) s.values[i] = mixed_magnitudes(s.inputs[i], random);
  }
  const lks_scatter_add_attrs scatter{.axis = 0, .extent = 7};
  all.push_back(sample(LKS_OP_SCATTER_ADD, "scatter_add", {{LKS_F32, {501, 33}}, {LKS_I64, {501}}},
                       {{LKS_F32, {7, 33}}}, attr_bytes(scatter), random));
  all.back().values = {mixed_magnitudes(all.back().inputs[0], random), index_values(all.back().inputs[1], 7, random)};
  all.push_back(scaled_sum(301, 401, random));
  all.back().values = {mixed_magnitudes(all.back().inputs[0], random), mixed_magnitudes(all.back().inputs[1], random)};
  return all;
}

}  // namespace lockstep::conformance
