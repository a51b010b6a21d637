// arange: equally spaced numbers.
#include <cmath>
#include <cstdio>
#include <limits>

#include "lockstep/ops/shape.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/call_types.h"
#include "ops/pointwise.h"
#include "runtime/kernel_cache.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

struct ArangeAttrs {
  IntList shape;
  std::int64_t dtype = static_cast<std::int64_t>(DType::i64);
};

constexpr TypeSet counted_dtypes = types::of(DType::f32, DType::f64, DType::i32, DType::i64);

std::string text_of(double number) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", number);
  return text;
}

// Whether the integer dtype can represent start + n * step for all n below count; `count` is 0 if it is not known.
bool stays_inside(DType dtype, double start, double step, std::int64_t count) {
  const IntegerRange range = integer_range(dtype);
  const auto inside = [&](double v) {
    return v == std::trunc(v) && v >= static_cast<double>(range.least) && v < -static_cast<double>(range.least);
  };
  if (!inside(start) || !(step == std::trunc(step)) || std::isinf(step)) return false;
  if (count <= 1) return true;
  if (!inside(step)) return false;
  const auto last = static_cast<__int128>(start) + static_cast<__int128>(step) * (count - 1);
  return last >= range.least && last <= range.most;
}

void check_numbers(InferContext& c, DType dtype, const Shape& shape) {
  if (!counted_dtypes.has(dtype)) {
    c.fail(ErrorId::dtype_not_accepted,
           "counts are " + counted_dtypes.to_string() + ", not " + std::string(name_of(dtype)),
           "count in one of these and cast");
  }
  if (is_floating(dtype)) return;
  const double start = c.call().scalars[0].as_double(), step = c.call().scalars[1].as_double();
  const std::int64_t count = shape.is_known() ? shape.size() : 0;
  if (stays_inside(dtype, start, step, count)) return;
  c.fail(ErrorId::invalid_attribute,
         "from " + text_of(start) + " in steps of " + text_of(step) +
             (count > 1 ? ", " + std::to_string(count) + " numbers are" : " is") + " nothing that " +
             std::string(name_of(dtype)) + " can count",
         "give whole numbers within the dtype's range, or count in f32 or f64");
}

// For devices without f64: does the program's arithmetic on the host.
template <class T>
Tensor counted_on_the_host(const Shape& shape, double start, double step) {
  if (thread_state().abstract_calls) return Tensor::abstract({DTypeOf<T>::value, shape});
  std::vector<T> values(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(start + static_cast<double>(i) * step);
  return Tensor(values, shape);
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(111, arange) {
  OpDef op = make_pointwise_op(
      "arange", 0,
      [](ProgramBuilder& p, const OpCall& call, std::span<const Expr> in) {
        const Expr start = in[0], step = in[1];
        const Expr position = convert(p.linear_index(), start.dtype());
        const auto to = static_cast<DType>(call.attrs_as<ArangeAttrs>().dtype);
        return std::vector<Expr>{convert(start + position * step, abi_dtype(to))};
      },
      {.doc = "start + n step, n the row-major index of each element; floats are computed in f64 and rounded once.",
       .error_class = ErrorClass::rounded});
  op.differentiable = false;
  op.attrs = attr_schema<ArangeAttrs>("lks_arange_attrs",
                                      attr("shape", &ArangeAttrs::shape, "of the result", extents_argument()),
                                      attr("dtype", &ArangeAttrs::dtype, "numbered as DType", result_dtype_argument()));
  op.outputs[0].doc = "of the dtype and shape that are given";
  op.scalars = {
      {.name = "start", .dtype = ScalarDef::widest_of_result, .doc = "the first number", .unless_given = 0},
      {.name = "step", .dtype = ScalarDef::widest_of_result, .doc = "from one number to the next", .unless_given = 1}};
  op.infer = [](InferContext& c) {
    const auto& a = c.attrs<ArangeAttrs>();
    const DType dtype = c.dtype_from_attribute(a.dtype);
    const Shape shape = shape_of(a.shape);
    check_numbers(c, dtype, shape);
    c.set(0, dtype, shape);
  };
  op.decompose = [](DecomposeContext& c) {
    const TensorSpec& out = c.output_spec(0);
    if (!is_floating(out.dtype)) return c.refuse();
    const double start = c.scalar(0).as_double(), step = c.scalar(1).as_double();
    c.set(0, out.dtype == DType::f64 ? counted_on_the_host<double>(out.shape, start, step)
                                     : counted_on_the_host<float>(out.shape, start, step));
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    const auto add = [&](const char* name, IntList shape, DType dtype, double start, double step) {
      cases.push_back(
          OpCase{name, {}, {}, {start, step}, {}, false}.with(ArangeAttrs{shape, static_cast<std::int64_t>(dtype)}));
    };
    add("vector", {1031}, DType::i64, 0, 1);
    add("matrix", {3, 7}, DType::i64, 0, 1);
    add("i64", {77}, DType::i64, -0x1p53, 0x1p40);
    add("i32", {515}, DType::i32, -1000, 7);
    add("f32", {1031}, DType::f32, 0, 0.1);
    add("f64", {1031}, DType::f64, -3.7, 0.1);
    add("back", {5, 9}, DType::f32, 1, -1.0 / 3);
    const auto refuse = [&](const char* name, DType dtype, double start, double step, ErrorId id) {
      add(name, {4}, dtype, start, step);
      cases.back().error = id;
    };
    refuse("error/fraction", DType::i32, 0.5, 1, ErrorId::invalid_attribute);
    refuse("error/fractional_step", DType::i64, 0, 0.5, ErrorId::invalid_attribute);
    refuse("error/nan", DType::i64, 0, std::numeric_limits<double>::quiet_NaN(), ErrorId::invalid_attribute);
    refuse("error/overflow", DType::i32, 0x1p31 - 3, 1, ErrorId::invalid_attribute);
    refuse("error/dtype", DType::u8, 0, 1, ErrorId::dtype_not_accepted);
    return cases;
  };
  return op;
}

}  // namespace defs

Tensor arange(std::int64_t count, DType dtype, double start, double step, CallSite where) {
  static const OpDef& op = built_in("arange");
  if (count < 0) {
    raise(ErrorId::invalid_attribute, "arange", "count is " + std::to_string(count), "count is 0 or more", where);
  }
  const ArangeAttrs attrs{list_of(Shape{count}), static_cast<std::int64_t>(dtype)};
  const Scalar numbers[] = {start, step};
  return invoke1(op, std::span<const Operand>(), &attrs, numbers, &where);
}

}  // namespace lockstep
