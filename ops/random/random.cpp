#include "lockstep/ops/random.h"

#include <algorithm>
#include <cmath>

#include "lockstep/ops/math.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/invoke.h"
#include "ops/pointwise.h"
#include "ops/random/philox_reference.h"
#include "ops/random/random_order.h"

namespace lockstep {
namespace {

thread_local RandomKey current_key;

// A short float rounded to nearest would reach the end that a uniform number stays below.
constexpr TypeSet drawn_dtypes = types::of(DType::f32, DType::f64);

// The key travels as launch-time numbers: another key prepares nothing.
std::vector<ScalarDef> key_scalars() {
  return {{"seed_low", LKS_U32}, {"seed_high", LKS_U32}, {"stream_low", LKS_U32}, {"stream_high", LKS_U32}};
}

void append_key(std::vector<Scalar>& scalars, RandomKey key) {
  for (std::uint64_t word : {key.seed, key.stream}) {
    scalars.push_back({Scalar::Kind::integer, static_cast<std::int64_t>(word & 0xffffffffu), 0});
    scalars.push_back({Scalar::Kind::integer, static_cast<std::int64_t>(word >> 32), 0});
  }
}

RandomKey key_from(std::span<const Scalar> scalars, std::size_t first) {
  const auto word = [&](std::size_t i) { return static_cast<std::uint64_t>(scalars[first + i].integer) & 0xffffffffu; };
  return {word(0) | word(1) << 32, word(2) | word(3) << 32};
}

std::vector<Scalar> case_scalars(std::vector<Scalar> own) {
  append_key(own, {0x123456789abcdefu, 0x2a0000001bu});  // both halves of both numbers
  return own;
}

Scalar number(double value) { return {Scalar::Kind::floating, 0, value}; }

AttrSchema random_schema(const char* name) {
  return attr_schema<RandomAttrs>(name, attr("shape", &RandomAttrs::shape, "of the result"),
                                  attr("dtype", &RandomAttrs::dtype, "numbered as DType"));
}

void infer_random(InferContext& c) {
  const auto& a = c.attrs<RandomAttrs>();
  c.set(0, static_cast<DType>(a.dtype), shape_of(a.shape));
}

void infer_random_numbers(InferContext& c) {
  const auto dtype = static_cast<DType>(c.attrs<RandomAttrs>().dtype);
  if (!drawn_dtypes.has(dtype)) {
    c.fail(ErrorId::dtype_not_accepted, "random numbers are f32 or f64, not " + std::string(name_of(dtype)),
           "draw f32 and cast");
  }
  infer_random(c);
}

DType bits_for(DType floating) { return floating == DType::f64 ? DType::i64 : DType::i32; }

// ------------------------------------------------------------------------------------- from bits to numbers, per
// element

struct Halves {
  Expr negative;   // the top bit
  Expr magnitude;  // the rest, as a float in (0, 1)
};

// In (0, 1): (m + 1/2) / 2^k for the k bits below the sign.
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

Expr uniform_value(Expr bits) {
  if (bits.dtype() == LKS_I64) return convert(bitcast(bits, LKS_U64) >> 11, LKS_F64) * 0x1p-53;
  return convert(bitcast(bits, LKS_U32) >> 8, LKS_F32) * 0x1p-24;
}

Expr normal_value(Expr bits) {
  const Halves h = sign_and_magnitude(bits);
  return with_sign(h, inverse_normal_cdf(h.magnitude * 0.5));
}

// Between the points below which 2.275 % of a normal distribution lie, and its median.
Expr truncated_value(Expr bits) {
  constexpr double below = 0.022750131948179207200;  // Phi(-2)
  const Halves h = sign_and_magnitude(bits);
  return with_sign(h, inverse_normal_cdf(h.magnitude * (0.5 - below) + below));
}

// scalars: offset and factor.
OpDef of_bits(std::string name, std::string doc, Expr (*value)(Expr bits), ErrorClass error_class) {
  OpDef op = make_pointwise_op(std::move(name), 1,
                               [value](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                                 const Expr v = value(in[0]);
                                 return std::vector<Expr>{in[1] + v * in[2]};
                               },
                               {.doc = std::move(doc), .types = types::index, .error_class = error_class});
  op.inputs = {{"bits", types::index}};
  op.scalars = {{"offset", ScalarDef::of_result}, {"factor", ScalarDef::of_result}};
  op.differentiable = false;
  op.infer = [](InferContext& c) { c.set(0, c.dtype(0) == DType::i64 ? DType::f64 : DType::f32, c.shape(0)); };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (DType bits : {DType::i32, DType::i64}) {
      const double most = bits == DType::i32 ? 0x1p31 - 1 : 0x1p62;
      const CaseInput x{Shape{3, 101}, bits, {CaseValues::Kind::indices, -most, most}};
      cases.push_back({std::string(name_of(bits)), {x}, {}, {number(0.5), number(2)}, {}, false});
    }
    return cases;
  };
  return op;
}

// A random op: bits, then one pointwise op on them.
OpDef random_op(std::string name, std::string doc, const char* of_bits_name, ErrorClass error_class) {
  OpDef op;
  op.name = std::move(name);
  op.doc = std::move(doc);
  op.attrs = random_schema(("lks_" + op.name + "_attrs").c_str());
  op.scalars = {{"offset", ScalarDef::of_result}, {"factor", ScalarDef::of_result}};
  for (ScalarDef& s : key_scalars()) op.scalars.push_back(std::move(s));
  op.effects = Effects::random;
  op.error_class = error_class;
  op.differentiable = false;
  op.infer = &infer_random_numbers;
  const std::string map_name = of_bits_name;
  op.decompose = [map_name](DecomposeContext& c) {
    const OpDef& map = built_in(map_name.c_str());
    const Spec& out = c.output_spec(0);
    const Tensor bits = random_bits(out.shape, bits_for(out.dtype), key_from(c.call().scalars, 2), c.call().where);
    c.set(0, invoke1(map, {Operand(bits, c.call().where)}, nullptr, c.call().scalars.first(2)));
  };
  op.reference = [map_name](RefContext& r) {
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
    const OpCall call{map, std::span(&operand, 1), nullptr, r.call.scalars.first(2), r.call.where};
    RefContext inner{call, std::span(&bits, 1), r.output_specs, std::move(r.outputs)};
    map.reference(inner);
    r.outputs = std::move(inner.outputs);
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (DType dtype : {DType::f32, DType::f64}) {
      for (std::int64_t n : {1, 7, 1031}) {
        OpCase c{std::string(name_of(dtype)) + "/n" + std::to_string(n),
                 {},
                 {},
                 case_scalars({number(-1), number(3)}),
                 {},
                 false};
        cases.push_back(c.with(RandomAttrs{{n}, static_cast<std::int64_t>(dtype)}));
      }
    }
    return cases;
  };
  return op;
}

Tensor call_random(const OpDef& op, const Shape& shape, double offset, double factor, const Random& options,
                   const std::source_location& where) {
  if (!drawn_dtypes.has(options.dtype)) {
    raise(ErrorId::dtype_not_accepted, op.name,
          "random numbers are f32 or f64, not " + std::string(name_of(options.dtype)), "draw f32 and cast", where);
  }
  const RandomAttrs attrs{list_of(shape), static_cast<std::int64_t>(options.dtype)};
  std::vector<Scalar> scalars = {number(offset), number(factor)};
  append_key(scalars, options.key ? *options.key : next_key());
  return invoke1(op, std::span<const Operand>(), &attrs, scalars, &where);
}

}  // namespace

namespace defs {

OpDef random_bits() {
  OpDef op;
  op.name = "random_bits";
  op.doc = "Uniformly random bits from Philox 4x32-10, a function of key and row-major index alone.";
  op.attrs = random_schema("lks_random_bits_attrs");
  op.scalars = key_scalars();
  op.effects = Effects::random;
  op.differentiable = false;
  op.infer = [](InferContext& c) {
    const auto dtype = static_cast<DType>(c.attrs<RandomAttrs>().dtype);
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
    }
    return cases;
  };
  return op;
}

OpDef uniform_of_bits() {
  return of_bits("uniform_of_bits", "offset + factor u, u uniform in [0, 1), from random bits.", &uniform_value,
                 ErrorClass::rounded);
}
OpDef normal_of_bits() {
  return of_bits("normal_of_bits", "offset + factor z, z normal, from random bits.", &normal_value,
                 ErrorClass::composed);
}
OpDef truncated_normal_of_bits() {
  return of_bits("truncated_normal_of_bits", "offset + factor z, z normal within [-2, 2], from random bits.",
                 &truncated_value, ErrorClass::composed);
}

OpDef random_uniform() {
  return random_op("random_uniform", "offset + factor u, u uniform in [0, 1).", "uniform_of_bits", ErrorClass::rounded);
}
OpDef random_normal() {
  return random_op("random_normal", "offset + factor z, z normal.", "normal_of_bits", ErrorClass::composed);
}
OpDef random_truncated_normal() {
  return random_op("random_truncated_normal", "offset + factor z, z normal within [-2, 2].", "truncated_normal_of_bits",
                   ErrorClass::composed);
}

OpDef random_permutation() {
  OpDef op;
  op.name = "random_permutation";
  op.doc = "0 … n-1 in random order: the order of n random 64-bit keys, ties by index.";
  op.attrs = attr_schema<ShapeAttrs>("lks_random_permutation_attrs", attr("shape", &ShapeAttrs::shape, "(n,)"));
  op.scalars = key_scalars();
  op.effects = Effects::random;
  op.differentiable = false;
  op.infer = [](InferContext& c) { c.set(0, DType::i64, shape_of(c.attrs<ShapeAttrs>().shape)); };
  op.decompose = [](DecomposeContext& c) {
    const Tensor keys =
        lockstep::random_bits(c.output_spec(0).shape, DType::i64, key_from(c.call().scalars, 0), c.call().where);
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
    return cases;
  };
  return op;
}

OpDef dropout_by_bits() {
  OpDef op = make_pointwise_op("dropout_by_bits", 2,
                               [](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                                 const Expr x = in[0], rate = in[2];
                                 const Expr keep = convert(1.0 - rate, x.dtype());
                                 return std::vector<Expr>{select(uniform_value(in[1]) < rate, x.constant(0), x / keep)};
                               },
                               {.doc = "x / (1 - rate), or 0 where the uniform number made of the bits is below rate.",
                                .error_class = ErrorClass::rounded});
  op.inputs = {{"x", types::floating}, {"bits", types::of(i32), 'B'}};
  op.scalars = {{"rate", LKS_F32}};
  op.cases = [] {
    std::vector<OpCase> cases;
    for (DType dtype : floating_dtypes) {
      const CaseInput bits{Shape{5, 67}, DType::i32, {CaseValues::Kind::indices, -0x1p31, 0x1p31 - 1}};
      cases.push_back({std::string(name_of(dtype)), {{Shape{5, 67}, dtype}, bits}, {}, {number(0.25)}});
    }
    return cases;
  };
  return op;
}

OpDef dropout() {
  OpDef op;
  op.name = "dropout";
  op.doc = "x / (1 - rate), with each element set to 0 with probability rate.";
  op.inputs = {{"x", types::floating}};
  op.scalars = {{"rate", LKS_F32}};
  for (ScalarDef& s : key_scalars()) op.scalars.push_back(std::move(s));
  op.effects = Effects::random;
  op.error_class = ErrorClass::rounded;
  op.infer = [](InferContext& c) {
    const double rate = c.call().scalars[0].as_double();
    if (!(rate >= 0 && rate < 1)) {
      c.fail(ErrorId::invalid_attribute, "the rate is " + std::to_string(rate), "the rate lies in [0, 1)");
    }
    c.set(0, c.dtype(0), c.shape(0));
  };
  op.decompose = [](DecomposeContext& c) {
    static const OpDef& apply = built_in("dropout_by_bits");
    const std::source_location at = c.call().where;
    const Tensor bits = lockstep::random_bits(c.output_spec(0).shape, DType::i32, key_from(c.call().scalars, 1), at);
    c.set(0, invoke1(apply, {c.input(0), Operand(bits, at)}, nullptr, c.call().scalars.first(1)));
  };
  op.gradient = [](GradContext& g) {
    const std::vector<Scalar> scalars = {g.scalar(0), g.scalar(1), g.scalar(2), g.scalar(3), g.scalar(4)};
    g.set(0, invoke1(g.op(), {Operand(g.upstream(), g.where())}, nullptr, scalars));
  };
  op.reference = [](RefContext& r) {
    const auto rate = static_cast<float>(r.call.scalars[0].as_double());
    const RandomKey key = key_from(r.call.scalars, 1);
    for (std::size_t i = 0; i < r.outputs[0].values.size(); ++i) {
      const float u = static_cast<float>(random_word(key, i) >> 8) * 0x1p-24f;
      r.outputs[0].values[i] = u < rate ? 0 : r.inputs[0].values[i] / (1 - static_cast<long double>(rate));
      r.outputs[0].budget.push_back(3 * std::fabs(r.outputs[0].values[i]));  // 1 - rate, and the division
    }
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (DType dtype : floating_dtypes) {
      cases.push_back({std::string(name_of(dtype)), {{Shape{6, 71}, dtype}}, {}, case_scalars({number(0.3)})});
    }
    cases.push_back({"error/rate", {{Shape{3}}}, {}, case_scalars({number(1)}), ErrorId::invalid_attribute});
    return cases;
  };
  return op;
}

}  // namespace defs

void set_seed(std::uint64_t seed) { current_key = {seed, 0}; }

RandomKey next_key() {
  const RandomKey key = current_key;
  ++current_key.stream;
  return key;
}

RandomKey random_position() { return current_key; }
void set_random_position(RandomKey position) { current_key = position; }

RandomScope::RandomScope(RandomKey key) : previous_(current_key) { current_key = key; }
RandomScope::~RandomScope() { current_key = previous_; }

Tensor random_uniform(const Shape& shape, double low, double high, Random options, std::source_location where) {
  static const OpDef& op = built_in("random_uniform");
  return call_random(op, shape, low, high - low, options, where);
}

Tensor random_normal(const Shape& shape, double mean, double stddev, Random options, std::source_location where) {
  static const OpDef& op = built_in("random_normal");
  return call_random(op, shape, mean, stddev, options, where);
}

Tensor random_truncated_normal(const Shape& shape, double mean, double stddev, Random options,
                               std::source_location where) {
  static const OpDef& op = built_in("random_truncated_normal");
  return call_random(op, shape, mean, stddev, options, where);
}

Tensor random_permutation(std::int64_t n, std::optional<RandomKey> key, std::source_location where) {
  static const OpDef& op = built_in("random_permutation");
  const ShapeAttrs attrs{list_of(Shape{n})};
  std::vector<Scalar> scalars;
  append_key(scalars, key ? *key : next_key());
  return invoke1(op, std::span<const Operand>(), &attrs, scalars, &where);
}

Tensor random_bits(const Shape& shape, DType dtype, std::optional<RandomKey> key, std::source_location where) {
  static const OpDef& op = built_in("random_bits");
  const RandomAttrs attrs{list_of(shape), static_cast<std::int64_t>(dtype)};
  std::vector<Scalar> scalars;
  append_key(scalars, key ? *key : next_key());
  return invoke1(op, std::span<const Operand>(), &attrs, scalars, &where);
}

Tensor dropout(Operand x, double rate, std::optional<RandomKey> key) {
  static const OpDef& op = built_in("dropout");
  std::vector<Scalar> scalars = {number(rate)};
  append_key(scalars, key ? *key : next_key());
  return invoke1(op, {x}, nullptr, scalars);
}

}  // namespace lockstep
