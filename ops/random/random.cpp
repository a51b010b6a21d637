#include "lockstep/ops/random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "lockstep/ops/math.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/invoke.h"
#include "ops/pointwise.h"
#include "ops/random/key_scalars.h"
#include "ops/random/philox_reference.h"
#include "ops/random/random_order.h"

namespace lockstep {
namespace {

struct RandomAttrs {
  IntList shape;
  std::int64_t dtype = 0;  // numbered as DType
};

// Not f16 and bf16: rounded to nearest, a uniform number could reach the excluded upper end.
constexpr TypeSet drawn_dtypes = types::of(DType::f32, DType::f64);

AttrSchema random_schema(const char* name) {
  return attr_schema<RandomAttrs>(
      name, attr("shape", &RandomAttrs::shape, "of the result", extents_argument()),
      attr("dtype", &RandomAttrs::dtype, "number of the result's dtype", result_dtype_argument()));
}

void infer_random(InferContext& c) {
  const auto& a = c.attrs<RandomAttrs>();
  c.set(0, c.dtype_from_attribute(a.dtype), shape_of(a.shape));
}

void infer_random_numbers(InferContext& c) {
  const DType dtype = c.dtype_from_attribute(c.attrs<RandomAttrs>().dtype);
  if (!drawn_dtypes.has(dtype)) {
    c.fail(ErrorId::dtype_not_accepted, "random numbers are f32 or f64, not " + std::string(name_of(dtype)),
           "draw f32 and cast");
  }
  infer_random(c);
}

ArgumentDef shape_argument() {
  return {.name = "shape", .kind = ArgumentKind::extents, .doc = "of the result", .required = true};
}

ArgumentDef dtype_argument(const char* doc, DType unless_given) {
  return {.name = "dtype", .kind = ArgumentKind::dtype, .doc = doc, .unless_given = ArgumentValue(unless_given)};
}

Tensor call_random(const OpDef& op, const Shape& shape, double first, double second, const Random& options,
                   CallSite where) {
  const RandomAttrs attrs{list_of(shape), static_cast<std::int64_t>(options.dtype)};
  std::vector<Scalar> scalars = {first, second};
  append_key(scalars, options.key ? *options.key : next_key());
  return invoke1(op, std::span<const Operand>(), &attrs, scalars, &where);
}

std::vector<Tensor> draw_by_name(const CallByName& c, std::vector<Scalar> numbers) {
  const RandomAttrs attrs{list_of(Shape(std::span(c.list("shape")))), static_cast<std::int64_t>(c.dtype("dtype"))};
  return invoke_with_key(c, &attrs, std::move(numbers));
}

DType bits_for(DType floating) { return floating == DType::f64 ? DType::i64 : DType::i32; }

// ------------------------------------------------------------------------------------------------ from bits to numbers

struct Halves {
  Expr negative;   // the top bit
  Expr magnitude;  // the rest, as a float in (0, 1)
};

// The magnitude is (m + 1/2) / 2^k, in (0, 1), where m is the number in the k bits below the sign.
Halves sign_and_magnitude(Expr bits) {
  const bool wide = bits.dtype() == LKS_I64;
  const Expr zero = bits.constant(0);
  if (wide) {
    const Expr m = convert(bitcast(bits << 1, LKS_U64) >> 11, LKS_F64);
    return {bits < zero, (m + 0.5) * 0x1p-53};
  }
  const Expr m = convert(bitcast(bits << 1, LKS_U32) >> 1, LKS_F32);
  return {bits < zero, (m + 0.5) * 0x1p-31};
}

Expr with_sign(const Halves& h, Expr negative_value) { return select(h.negative, negative_value, -negative_value); }

Expr unit_value(Expr bits) {
  if (bits.dtype() == LKS_I64) return convert(bitcast(bits, LKS_U64) >> 11, LKS_F64) * 0x1p-53;
  return convert(bitcast(bits, LKS_U32) >> 8, LKS_F32) * 0x1p-24;
}

Expr normal_value(Expr bits) {
  const Halves h = sign_and_magnitude(bits);
  return with_sign(h, inverse_normal_cdf(h.magnitude * 0.5));
}

// Maps the magnitude to quantiles between Phi(-2) = 2.275 % and the median.
Expr truncated_value(Expr bits) {
  constexpr double below = 0.022750131948179207200;  // Phi(-2)
  const Halves h = sign_and_magnitude(bits);
  return with_sign(h, inverse_normal_cdf(h.magnitude * (0.5 - below) + below));
}

using Exprs = std::span<const Expr>;

// A pointwise op on bits; its scalars have the result's dtype.
OpDef of_bits(std::string name, std::string doc, OpDef::Body body, std::vector<std::string> scalars,
              std::vector<Scalar> case_numbers) {
  OpDef op = make_pointwise_op(std::move(name), 1, std::move(body),
                               {.doc = std::move(doc), .types = types::index, .error_class = ErrorClass::composed});
  op.internal = true;
  op.inputs = {{"bits", types::index}};
  for (std::string& s : scalars) op.scalars.push_back({std::move(s), ScalarDef::of_result});
  op.differentiable = false;
  op.infer = [](InferContext& c) { c.set(0, c.dtype(0) == DType::i64 ? DType::f64 : DType::f32, c.shape(0)); };
  op.cases = [case_numbers] {
    std::vector<OpCase> cases;
    for (DType bits : {DType::i32, DType::i64}) {
      const double most = bits == DType::i32 ? 0x1p31 - 1 : 0x1p62;
      const CaseInput x{Shape{3, 101}, bits, {CaseValues::Kind::indices, -most, most}};
      cases.push_back({std::string(name_of(bits)), {x}, {}, case_numbers, {}, false});
    }
    return cases;
  };
  return op;
}

// The parts of a distribution's op: its own two scalars, the op that maps bits to numbers, and that op's scalars.
struct Distribution {
  std::vector<ScalarDef> scalars;
  const char* map;
  std::vector<Scalar> (*map_scalars)(std::span<const Scalar> own, DType dtype);
  void (*check)(InferContext& c, DType dtype);
  std::vector<Scalar> case_numbers;
};

// A random op: random bits, then one pointwise op on them.
OpDef random_op(std::string name, std::string doc, Distribution d) {
  OpDef op;
  op.name = std::move(name);
  op.doc = std::move(doc);
  op.outputs[0].doc = "dtype of the attribute, f32 or f64";
  op.attrs = random_schema(("lks_" + op.name + "_attrs").c_str());
  op.scalars = d.scalars;
  for (ScalarDef& s : key_scalars()) op.scalars.push_back(std::move(s));
  op.effects = Effects::random;
  op.error_class = ErrorClass::composed;
  op.differentiable = false;
  op.arguments = {shape_argument()};
  for (std::size_t i = 0; i < 2; ++i) {
    op.arguments.push_back({.name = d.scalars[i].name,
                            .kind = ArgumentKind::number,
                            .doc = d.scalars[i].doc,
                            .unless_given = ArgumentValue(static_cast<double>(i))});
  }
  op.arguments.push_back(dtype_argument("f32 or f64", DType::f32));
  add_key_arguments(op);
  op.by_name = [names = std::array{d.scalars[0].name, d.scalars[1].name}](const CallByName& c) {
    return draw_by_name(c, {c.number(names[0]).as_double(), c.number(names[1]).as_double()});
  };
  op.infer = [check = d.check](InferContext& c) {
    infer_random_numbers(c);
    check(c, static_cast<DType>(c.attrs<RandomAttrs>().dtype));
  };
  const std::string map_name = d.map;
  op.decompose = [map_name, of = d.map_scalars](DecomposeContext& c) {
    const OpDef& map = built_in(map_name.c_str());
    const TensorSpec& out = c.output_spec(0);
    const Tensor bits = bits_for_key(out.shape, bits_for(out.dtype), c.call().scalars.subspan(2), c.call().where);
    const std::vector<Scalar> scalars = of(c.call().scalars.first(2), out.dtype);
    c.set(0, invoke1(map, {Operand(bits, c.call().where)}, nullptr, scalars));
  };
  op.reference = [map_name, of = d.map_scalars](RefContext& r) {
    const OpDef& map = built_in(map_name.c_str());
    const RandomKey key = key_from(r.call.scalars, 2);
    RefArray bits = RefArray::zeros(bits_for(r.output_specs[0].dtype), r.output_specs[0].shape);
    for (std::size_t i = 0; i < bits.values.size(); ++i) {
      bits.values[i] = bits.dtype == DType::i64
                           ? static_cast<long double>(static_cast<std::int64_t>(random_long_word(key, i)))
                           : static_cast<long double>(static_cast<std::int32_t>(random_word(key, i)));
    }
    // The operand only tells the map's oracle that its input is a tensor.
    const Tensor sample = Tensor::abstract({bits.dtype, bits.shape});
    const Operand operand(sample);
    const std::vector<Scalar> scalars = of(r.call.scalars.first(2), r.output_specs[0].dtype);
    const OpCall call{map, std::span(&operand, 1), nullptr, scalars, r.call.where};
    RefContext inner{call, std::span(&bits, 1), r.output_specs, std::move(r.outputs)};
    map.reference(inner);
    r.outputs = std::move(inner.outputs);
  };
  op.cases = [numbers = d.case_numbers] {
    std::vector<OpCase> cases;
    for (DType dtype : {DType::f32, DType::f64}) {
      for (std::int64_t n : {1, 7, 1031}) {
        OpCase c{std::string(name_of(dtype)) + "/n" + std::to_string(n), {}, {}, case_scalars(numbers), {}, false};
        cases.push_back(c.with(RandomAttrs{{n}, static_cast<std::int64_t>(dtype)}));
      }
      OpCase c{std::string(name_of(dtype)) + "/rank3", {}, {}, case_scalars(numbers), {}, false};
      cases.push_back(c.with(RandomAttrs{{3, 5, 7}, static_cast<std::int64_t>(dtype)}));
    }
    const auto refuse = [&](const char* what, double first, double second) {
      OpCase c{what, {}, {}, case_scalars({first, second}), ErrorId::invalid_attribute, false};
      cases.push_back(c.with(RandomAttrs{{3}, static_cast<std::int64_t>(DType::f32)}));
    };
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    refuse("error/order", 1, -1);  // low above high, or a negative deviation
    refuse("error/nan", 0, nan);
    refuse("error/infinite", 0, std::numeric_limits<double>::infinity());
    refuse("error/too_large", 0, 1e39);
    return cases;
  };
  return op;
}

double largest(DType t) {
  return t == DType::f64 ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max();
}

std::string text_of(double number) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", number);
  return text;
}

// The first and the last number of the dtype in [low, high). If both ends are the same number, that number.
struct Ends {
  double first, last;
};

template <class T>
Ends ends_of(double low, double high) {
  T first = static_cast<T>(low), last = static_cast<T>(high);
  if (low == high) return {first, first};
  if (first < low) first = std::nextafter(first, std::numeric_limits<T>::infinity());
  if (last >= high) last = std::nextafter(last, -std::numeric_limits<T>::infinity());
  return {first, last};
}

Ends ends_of(double low, double high, DType t) {
  return t == DType::f64 ? ends_of<double>(low, high) : ends_of<float>(low, high);
}

void check_range(InferContext& c, DType dtype) {
  const double low = c.call().scalars[0].as_double(), high = c.call().scalars[1].as_double();
  const auto refuse = [&](const std::string& what, const char* fix) {
    c.fail(ErrorId::invalid_attribute, "the range is [" + text_of(low) + ", " + text_of(high) + "), " + what, fix);
  };
  const double most = largest(dtype);
  // Written so that NaN is refused.
  if (!(std::fabs(low) <= most && std::fabs(high) <= most && high - low <= most)) {
    refuse("whose ends or width " + std::string(name_of(dtype)) + " does not hold", "give a narrower range");
  }
  if (low > high) refuse("and low is above high", "exchange them");
  const Ends ends = ends_of(low, high, dtype);
  if (ends.first > ends.last) {
    refuse("in which no number of " + std::string(name_of(dtype)) + " lies", "give a wider range, or draw f64");
  }
}

ShapeAttrs permutation_attrs(std::int64_t n, CallSite where) {
  if (n < 0) {
    raise(ErrorId::invalid_attribute, "random_permutation", "n is " + std::to_string(n), "n is 0 or more", where);
  }
  return {list_of(Shape{n})};
}

// offset, factor, and the last number below high, which rounding must not exceed.
std::vector<Scalar> uniform_scalars(std::span<const Scalar> own, DType dtype) {
  const double low = own[0].as_double(), high = own[1].as_double();
  const Ends ends = ends_of(low, high, dtype);
  return {ends.first, high - low, ends.last};
}

void check_deviation(InferContext& c, DType dtype) {
  const double mean = c.call().scalars[0].as_double(), deviation = c.call().scalars[1].as_double();
  if (std::fabs(mean) <= largest(dtype) && deviation >= 0 && deviation <= largest(dtype)) return;
  c.fail(ErrorId::invalid_attribute,
         "the mean is " + text_of(mean) + " and the standard deviation " + text_of(deviation),
         "the mean is a number that the dtype holds, the deviation one of 0 or more");
}

std::vector<Scalar> same_scalars(std::span<const Scalar> own, DType) { return {own.begin(), own.end()}; }

Distribution normal_like(const char* map) {
  return {{{"mean", ScalarDef::of_result, "finite", "of the numbers"},
           {"deviation", ScalarDef::of_result, "finite, 0 or more", "standard deviation of the numbers"}},
          map,
          &same_scalars,
          &check_deviation,
          {-1.1, 3.3}};
}

// A case with numbers or a shape of its own, or whose stream contains an element that is one in a million.
struct StreamCase {
  const char* name;
  DType dtype;
  std::vector<Scalar> numbers;
  std::uint64_t seed;
  IntList shape{1031};
};

OpDef with_stream(OpDef op, StreamCase of) {
  op.cases = [others = op.cases, of] {
    std::vector<OpCase> cases = others();
    std::vector<Scalar> scalars = of.numbers;
    append_key(scalars, {of.seed, 0x2a0000001bu});
    OpCase c{std::string(name_of(of.dtype)) + "/" + of.name, {}, {}, std::move(scalars), {}, false};
    cases.push_back(c.with(RandomAttrs{of.shape, static_cast<std::int64_t>(of.dtype)}));
    return cases;
  };
  return op;
}

// Element 42 of the first stream is 0x80000009, element 210 of the second 0x8000000951f77a1b. Both give numbers more
// than 5.8 deviations from the mean.
OpDef with_far_out(OpDef op) {
  op = with_stream(std::move(op), {"far_out", DType::f32, {-1.1, 3.3}, 1806});
  return with_stream(std::move(op), {"far_out", DType::f64, {-1.1, 3.3}, 209143});
}

// What callers mostly ask for, which a kernel may treat by itself: numbers from 0 to 1, or of mean 0 and deviation 1.
// And a result of many dimensions.
OpDef with_usual_numbers(OpDef op) {
  for (DType dtype : {DType::f32, DType::f64}) {
    op = with_stream(std::move(op), {"usual", dtype, {0.0, 1.0}, 3041});
    op = with_stream(std::move(op), {"rank8", dtype, {-1.1, 2.3}, 3041, {2, 1, 3, 1, 2, 1, 2, 3}});
  }
  return op;
}

// Nothing is rounded if the range has only one number. Other numbers may be off by what the steps round, but not by so
// much that they are below the range.
void keep_in_range(RefContext& r) {
  RefArray& out = r.outputs[0];
  const double low = r.call.scalars[0].as_double(), high = r.call.scalars[1].as_double();
  if (low == high) return out.budget.assign(out.values.size(), 0);
  const long double first = ends_of(low, high, out.dtype).first;
  // The bound of composed ops allows two roundings for each unit of the budget.
  const long double unit = 2 * (out.dtype == DType::f64 ? 0x1p-53L : 0x1p-24L);
  constexpr long double more = 1 + 0x1p-10L;  // the product with the width is rounded, too
  for (std::size_t i = 0; i < out.values.size(); ++i) {
    out.budget[i] = std::min(out.budget[i], (out.values[i] - first) * more / unit);
  }
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(120, random_bits) {
  OpDef op;
  op.name = "random_bits";
  op.doc = "Uniformly random bits from Philox 4x32-10, a function of key and row-major index alone.";
  op.outputs[0].doc = "dtype of the attribute, i32 or i64";
  op.arguments = {shape_argument(), dtype_argument("i32 or i64", DType::i32)};
  add_key_arguments(op);
  op.by_name = [](const CallByName& c) { return draw_by_name(c, {}); };
  op.attrs = random_schema("lks_random_bits_attrs");
  op.scalars = key_scalars();
  op.effects = Effects::random;
  op.differentiable = false;
  op.infer = [](InferContext& c) {
    const DType dtype = c.dtype_from_attribute(c.attrs<RandomAttrs>().dtype);
    if (!types::index.has(dtype)) {
      c.fail(ErrorId::dtype_not_accepted, "random bits are i32 or i64, not " + std::string(name_of(dtype)),
             "ask for i32 or i64");
    }
    infer_random(c);
  };
  op.reference = [](RefContext& r) {
    const RandomKey key = key_from(r.call.scalars, 0);
    for (std::size_t i = 0; i < r.outputs[0].values.size(); ++i) {
      r.outputs[0].values[i] = r.outputs[0].dtype == DType::i64
                                   ? static_cast<long double>(static_cast<std::int64_t>(random_long_word(key, i)))
                                   : static_cast<long double>(static_cast<std::int32_t>(random_word(key, i)));
    }
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (DType dtype : {DType::i32, DType::i64}) {
      for (std::int64_t n : {1, 6, 4099}) {
        OpCase c{std::string(name_of(dtype)) + "/n" + std::to_string(n), {}, {}, case_scalars({}), {}, false};
        cases.push_back(c.with(RandomAttrs{{n}, static_cast<std::int64_t>(dtype)}));
      }
      OpCase c{std::string(name_of(dtype)) + "/rank3", {}, {}, case_scalars({}), {}, false};
      cases.push_back(c.with(RandomAttrs{{3, 5, 7}, static_cast<std::int64_t>(dtype)}));
    }
    for (DType dtype : {DType::i32, DType::i64}) {
      OpCase c{std::string(name_of(dtype)) + "/rank8", {}, {}, case_scalars({}), {}, false};
      cases.push_back(c.with(RandomAttrs{{2, 1, 3, 1, 2, 1, 2, 3}, static_cast<std::int64_t>(dtype)}));
    }
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(126, uniform_of_bits) {
  return of_bits("uniform_of_bits", "offset + factor u, but no more than last; u uniform in [0, 1), from random bits.",
                 [](ProgramBuilder&, const OpCall&, Exprs in) {
                   const Expr last = in[3], v = in[1] + unit_value(in[0]) * in[2];
                   return std::vector<Expr>{select(last < v, last, v)};
                 },
                 {"offset", "factor", "last"}, {0.5, 2.1, 2.5});
}
LOCKSTEP_BUILT_IN(127, normal_of_bits) {
  return of_bits(
      "normal_of_bits", "offset + factor z, z normal, from random bits.",
      [](ProgramBuilder&, const OpCall&, Exprs in) { return std::vector<Expr>{in[1] + normal_value(in[0]) * in[2]}; },
      {"offset", "factor"}, {0.5, 2.1});
}
LOCKSTEP_BUILT_IN(128, truncated_normal_of_bits) {
  return of_bits("truncated_normal_of_bits", "offset + factor z, z normal within [-2, 2], from random bits.",
                 [](ProgramBuilder&, const OpCall&, Exprs in) {
                   return std::vector<Expr>{in[1] + truncated_value(in[0]) * in[2]};
                 },
                 {"offset", "factor"}, {0.5, 2.1});
}

LOCKSTEP_BUILT_IN(121, random_uniform) {
  const char* values =
      "finite in the dtype of y, as is high - low; low <= high; a number of that dtype is in the range, or low = high: "
      "then every element is that number, rounded";
  OpDef op = random_op("random_uniform", "Uniform in [low, high).",
                       {{{"low", LKS_F64, values, "the least number"}, {"high", LKS_F64, values, "above all numbers"}},
                        "uniform_of_bits",
                        &uniform_scalars,
                        &check_range,
                        {-1.1, 2.3}});
  op.reference = [general = std::move(op.reference)](RefContext& r) {
    general(r);
    keep_in_range(r);
  };
  // Element 984 of this stream has all of its upper 24 bits set, and 2.1 + 6.9 (1 - 2^-24) rounds to 9.
  op = with_stream(std::move(op), {"next_to_high", DType::f32, {2.1, 9.0}, 3041});
  // A stream with 53 set bits cannot be found by trial. This range has eight numbers, and one sum in 16 rounds to high.
  op = with_stream(std::move(op), {"next_to_high", DType::f64, {1.0, 1.0 + 0x1p-49}, 3041});
  op = with_stream(std::move(op), {"one_number", DType::f32, {2.5, 2.5}, 3041});
  op = with_stream(std::move(op), {"one_number", DType::f64, {2.5, 2.5}, 3041});
  // The lower end lies between two numbers of f32, of which the range has seven.
  op = with_stream(std::move(op), {"few_numbers", DType::f32, {1 + 0x1p-25, 1 + 0x1p-20}, 3041});
  return with_usual_numbers(std::move(op));
}
LOCKSTEP_BUILT_IN(122, random_normal) {
  OpDef op = random_op("random_normal", "mean + deviation z, z normal.", normal_like("normal_of_bits"));
  return with_usual_numbers(with_far_out(std::move(op)));
}
LOCKSTEP_BUILT_IN(123, random_truncated_normal) {
  OpDef op = random_op("random_truncated_normal", "mean + deviation z, z normal within [-2, 2].",
                       normal_like("truncated_normal_of_bits"));
  return with_usual_numbers(with_far_out(std::move(op)));
}

LOCKSTEP_BUILT_IN(124, random_permutation) {
  OpDef op;
  op.name = "random_permutation";
  op.doc = "0 … n-1 in random order: the order of n random 64-bit keys, ties by index.";
  op.outputs[0].doc = "i64";
  op.arguments = {{.name = "n", .kind = ArgumentKind::integer, .doc = "how many numbers", .required = true}};
  add_key_arguments(op);
  op.by_name = [](const CallByName& c) {
    const ShapeAttrs attrs = permutation_attrs(c.integer("n"), c.where());
    return invoke_with_key(c, &attrs, {});
  };
  op.attrs = attr_schema<ShapeAttrs>("lks_random_permutation_attrs",
                                     attr("shape", &ShapeAttrs::shape, "(n,)", extents_argument()));
  op.scalars = key_scalars();
  op.effects = Effects::random;
  op.differentiable = false;
  op.infer = [](InferContext& c) {
    c.require_count(c.attrs<ShapeAttrs>().shape, 1, "shape");
    c.set(0, DType::i64, shape_of(c.attrs<ShapeAttrs>().shape));
  };
  op.decompose = [](DecomposeContext& c) {
    const Tensor keys = bits_for_key(c.output_spec(0).shape, DType::i64, c.call().scalars, c.call().where);
    c.set(0, lockstep::argsort({keys, c.call().where}));
  };
  op.reference = [](RefContext& r) {
    const RandomKey key = key_from(r.call.scalars, 0);
    const std::vector<std::int64_t> order = random_order(key, r.outputs[0].size());
    std::copy(order.begin(), order.end(), r.outputs[0].values.begin());
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (std::int64_t n : {1, 10, 257}) {
      OpCase c{"n" + std::to_string(n), {}, {}, case_scalars({}), {}, false};
      cases.push_back(c.with(ShapeAttrs{{n}}));
    }
    // The upper halves of keys 1528 and 3197 of this stream are equal, and the lower ones decide against the indices.
    std::vector<Scalar> scalars;
    append_key(scalars, {339, 0x2a0000001bu});
    OpCase c{"equal_upper_halves", {}, {}, std::move(scalars), {}, false};
    cases.push_back(c.with(ShapeAttrs{{4000}}));
    return cases;
  };
  return op;
}

}  // namespace defs

Tensor bits_for_key(const Shape& shape, DType dtype, std::span<const Scalar> key, CallSite where) {
  static const OpDef& op = built_in("random_bits");
  const RandomAttrs attrs{list_of(shape), static_cast<std::int64_t>(dtype)};
  return invoke1(op, std::span<const Operand>(), &attrs, key, &where);
}

Tensor random_uniform(const Shape& shape, double low, double high, Random options, CallSite where) {
  static const OpDef& op = built_in("random_uniform");
  return call_random(op, shape, low, high, options, where);
}

Tensor random_normal(const Shape& shape, double mean, double stddev, Random options, CallSite where) {
  static const OpDef& op = built_in("random_normal");
  return call_random(op, shape, mean, stddev, options, where);
}

Tensor random_truncated_normal(const Shape& shape, double mean, double stddev, Random options, CallSite where) {
  static const OpDef& op = built_in("random_truncated_normal");
  return call_random(op, shape, mean, stddev, options, where);
}

Tensor random_permutation(std::int64_t n, std::optional<RandomKey> key, CallSite where) {
  static const OpDef& op = built_in("random_permutation");
  const ShapeAttrs attrs = permutation_attrs(n, where);
  std::vector<Scalar> scalars;
  append_key(scalars, key ? *key : next_key());
  return invoke1(op, std::span<const Operand>(), &attrs, scalars, &where);
}

Tensor random_bits(const Shape& shape, DType dtype, std::optional<RandomKey> key, CallSite where) {
  static const OpDef& op = built_in("random_bits");
  const RandomAttrs attrs{list_of(shape), static_cast<std::int64_t>(dtype)};
  std::vector<Scalar> scalars;
  append_key(scalars, key ? *key : next_key());
  return invoke1(op, std::span<const Operand>(), &attrs, scalars, &where);
}

}  // namespace lockstep
