// dropout: sets random elements to 0.
#include <cmath>

#include "lockstep/ops/random.h"
#include "ops/built_in.h"
#include "ops/pointwise.h"
#include "ops/random/key_scalars.h"
#include "ops/random/philox_reference.h"
#include "ops/sum_oracle.h"

namespace lockstep {
namespace defs {

LOCKSTEP_BUILT_IN(129, dropout_by_bits) {
  OpDef op = make_pointwise_op(
      "dropout_by_bits", 2,
      [](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
        const Expr x = in[0], bits = in[1], threshold = in[2], scale = in[3];
        return std::vector<Expr>{select((bitcast(bits, LKS_U32) >> 8) < threshold, x.constant(0), x * scale)};
      },
      {.doc = "x times scale, or 0 where the upper 24 of its random bits are a number below threshold.",
       .error_class = ErrorClass::composed});
  op.internal = true;
  op.inputs = {{"x", types::floating}, {"bits", types::of(i32), 'B'}};
  op.scalars = {{"threshold", LKS_U32}, {"scale", ScalarDef::of_inputs}};
  op.cases = [] {
    std::vector<OpCase> cases;
    for (DType dtype : floating_dtypes) {
      const CaseInput bits{Shape{5, 67}, DType::i32, {CaseValues::Kind::indices, -0x1p31, 0x1p31 - 1}};
      cases.push_back({std::string(name_of(dtype)), {{Shape{5, 67}, dtype}, bits}, {}, {1 << 22, 1 / 0.7}});
    }
    return cases;
  };
  return op;
}

// A uniform number k 2^-24, with an integer k below 2^24, is below the rate if k is below this.
std::int64_t dropout_threshold(double rate) { return static_cast<std::int64_t>(std::ceil(rate * 0x1p24)); }

LOCKSTEP_BUILT_IN(125, dropout) {
  OpDef op;
  op.name = "dropout";
  op.doc = "x / (1 - rate), with each element set to 0 with probability rate.";
  op.inputs = {{.name = "x", .types = types::floating, .doc = "of any shape"}};
  op.outputs[0].doc = "extents of x";
  op.scalars = {{"rate", LKS_F64, "in [0, 1)"}};
  for (ScalarDef& s : key_scalars()) op.scalars.push_back(std::move(s));
  op.arguments = {{.name = "rate",
                   .kind = ArgumentKind::number,
                   .doc = "in [0, 1): probability with which an element becomes 0",
                   .required = true}};
  add_key_arguments(op);
  op.by_name = [](const CallByName& c) { return invoke_with_key(c, nullptr, {c.number("rate").as_double()}); };
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
    const CallSite at = c.call().where;
    const Tensor bits = bits_for_key(c.output_spec(0).shape, DType::i32, c.call().scalars.subspan(1), at);
    const double rate = c.scalar(0).as_double();
    const Scalar scalars[] = {dropout_threshold(rate), 1 / (1 - rate)};
    c.set(0, invoke1(apply, {c.input(0), Operand(bits, at)}, nullptr, scalars));
  };
  op.gradient = [](GradContext& g) {
    const std::vector<Scalar> scalars = {g.scalar(0), g.scalar(1), g.scalar(2), g.scalar(3), g.scalar(4)};
    g.set(0, invoke1(g.op(), {Operand(g.upstream(), g.where())}, nullptr, scalars));
  };
  op.reference = [](RefContext& r) {
    const double rate = r.call.scalars[0].as_double();
    const RandomKey key = key_from(r.call.scalars, 1);
    for (std::size_t i = 0; i < r.outputs[0].values.size(); ++i) {
      const double u = (random_word(key, i) >> 8) * 0x1p-24;
      r.outputs[0].values[i] = u < rate ? 0 : r.inputs[0].values[i] / (1 - static_cast<long double>(rate));
      // The factor is rounded, and so is the product, which may be subnormal.
      const long double y = r.outputs[0].values[i];
      r.outputs[0].budget.push_back(std::fabs(y) + rounding_scale(y, r.outputs[0].dtype));
    }
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (DType dtype : floating_dtypes) {
      cases.push_back({std::string(name_of(dtype)), {{Shape{6, 71}, dtype}}, {}, case_scalars({0.3})});
      cases.push_back({std::string(name_of(dtype)) + "/most", {{Shape{6, 71}, dtype}}, {}, case_scalars({0.999})});
    }
    // Rates close to the uniform number of one element. A rate half a step below it keeps the element, half a step
    // above it drops the element.
    constexpr std::uint64_t element = 417;
    const double number = random_word(key_from(case_scalars({}), 0), element) >> 8;
    for (const auto& [name, step] : {std::pair{"f32/just_kept", -0.5}, std::pair{"f32/just_dropped", 0.5}}) {
      cases.push_back({name, {{Shape{6, 71}}}, {}, case_scalars({(number + step) * 0x1p-24})});
    }
    cases.push_back({"error/rate", {{Shape{3}}}, {}, case_scalars({1.0}), ErrorId::invalid_attribute});
    for (DType dtype : floating_dtypes) {
      cases.push_back({std::string(name_of(dtype)) + "/none", {{Shape{5, 13}, dtype}}, {}, case_scalars({0.0})});
    }
    return cases;
  };
  return op;
}

}  // namespace defs

Tensor dropout(Operand x, double rate, std::optional<RandomKey> key) {
  static const OpDef& op = built_in("dropout");
  std::vector<Scalar> scalars = {rate};
  append_key(scalars, key ? *key : next_key());
  return invoke1(op, {x}, nullptr, scalars);
}

}  // namespace lockstep
