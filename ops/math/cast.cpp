#include "lockstep/ops/math.h"
#include "ops/built_in.h"
#include "ops/infer.h"
#include "ops/invoke.h"
#include "ops/pointwise.h"
#include "runtime/tensor_impl.h"

namespace lockstep {
namespace {

struct CastAttrs {
  std::int64_t to = 0;
};

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(51, cast) {
  OpDef op = make_pointwise_op("cast", 1,
                               [](ProgramBuilder&, const OpCall& call, std::span<const Expr> in) {
                                 const auto to = static_cast<DType>(call.attrs_as<CastAttrs>().to);
                                 return std::vector<Expr>{convert(in[0], abi_dtype(to))};
                               },
                               {.doc = "x in another dtype. Floats to integers truncate and saturate, NaN gives 0.",
                                .types = types::any,
                                .error_class = ErrorClass::exact,
                                .values = {CaseValues::Kind::range, -300, 300}});
  op.inputs = {{.name = "x", .types = types::any, .group = '-', .doc = "of any shape"}};
  op.outputs[0].doc = "of dtype `to`, extents of x";
  // A number gets the new dtype directly: by way of f32 or i32 it would lose digits.
  op.dtype_of_number = [](const OpCall& call) { return dtype_from_attribute(call, call.attrs_as<CastAttrs>().to); };
  op.attrs = attr_schema<CastAttrs>("lks_cast_attrs",
                                    attr("to", &CastAttrs::to, "the dtype, numbered as DType",
                                         {.kind = ArgumentKind::dtype, .doc = "of the result", .required = true}));
  op.infer = [](InferContext& c) { c.set(0, c.dtype_from_attribute(c.attrs<CastAttrs>().to), c.shape(0)); };
  op.gradient = [](GradContext& g) { g.set(0, lockstep::cast({g.upstream(), g.where()}, g.input_dtype(0))); };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (int from = 0; from < dtype_count; ++from) {
      for (int to = 0; to < dtype_count; ++to) {
        const auto source = static_cast<DType>(from), target = static_cast<DType>(to);
        CaseInput x{Shape{3, 41}, source, {CaseValues::Kind::range, -300, 300}};
        if (source == DType::u8 || source == DType::boolean) x.values.low = 0;
        OpCase c{std::string(name_of(source)) + "/" + std::string(name_of(target)), {x}};
        // If a cast narrows, the oracle rounds, so its difference quotients say nothing about the gradient.
        c.gradient = is_floating(source) && is_floating(target) &&
                     (source == target ? !is_half_width(source) : size_of(source) < size_of(target));
        cases.push_back(c.with(CastAttrs{to}));
      }
    }
    cases.push_back(OpCase{"error/dtype", {{Shape{3}}}, {}, {}, ErrorId::unknown_dtype}.with(CastAttrs{42}));
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(52, stop_gradient) {
  OpDef op;
  op.name = "stop_gradient";
  op.doc = "x, through which no gradient flows.";
  op.inputs = {{.name = "x", .types = types::any, .doc = "of any shape"}};
  op.outputs[0].doc = "extents of x";
  op.differentiable = false;
  op.infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); };
  op.view = [](const OpCall&, const ViewLayout& input, const Shape&, std::size_t) { return std::optional(input); };
  op.reference = [](RefContext& r) { r.outputs[0].values = r.inputs[0].values; };
  op.cases = [] { return std::vector<OpCase>{{"matrix", {{Shape{3, 5}}}, {}, {}, std::nullopt, false}}; };
  return op;
}

}  // namespace defs

Tensor cast_tensor(const Operand& x, DType to) {
  static const OpDef& op = built_in("cast");
  const CastAttrs attrs{static_cast<std::int64_t>(to)};
  return invoke1(op, std::span(&x, 1), &attrs);
}

Tensor cast(Operand x, DType to) {
  if (x.is_tensor() && x.impl()->dtype == to) return Tensor::share(x.impl());
  return cast_tensor(x, to);
}

LOCKSTEP_UNARY_FUNCTION(stop_gradient)

}  // namespace lockstep
