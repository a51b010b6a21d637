#include "ops/update/update.h"

#include <algorithm>
#include <iterator>

#include "ops/built_in.h"
#include "ops/infer.h"
#include "ops/pointwise.h"

namespace lockstep {
namespace {

// The variable comes first, then the optimizer's slots, the gradient last; all but the gradient are updated in place.
// Slots have the dtype in which the update computes: sums over many steps would stop growing in f16 and bf16, and
// squares of gradients would vanish.
// `usual` are the numbers of some calls that training makes, which a kernel may treat by themselves.
OpDef update_op(std::string name, std::string doc, std::vector<std::string> state, std::vector<std::string> scalars,
                std::vector<std::vector<double>> usual, OpDef::Body body) {
  OpDef op = make_pointwise_op(
      std::move(name), state.size() + 1, std::move(body),
      {.doc = std::move(doc), .error_class = ErrorClass::composed, .values = {CaseValues::Kind::range, 0.1, 1}});
  op.outputs.clear();
  for (std::size_t i = 0; i < state.size(); ++i) {
    const bool slot = i > 0;
    op.inputs[i] = {.name = state[i],
                    .types = slot ? types::of(DType::f32, DType::f64) : types::floating,
                    .group = slot ? 'S' : 'T',
                    .mutable_ = true};
    op.outputs.push_back({.name = state[i], .in_place_of = static_cast<int>(i)});
  }
  op.inputs.back().name = "gradient";
  for (std::string& s : scalars) op.scalars.push_back({std::move(s), ScalarDef::of_inputs});
  op.effects = Effects::state;
  op.internal = true;
  op.differentiable = false;
  const std::size_t count = state.size();
  op.infer = [count](InferContext& c) {
    for (std::size_t i = 1; i <= count; ++i) {
      if (!(c.shape(i) == c.shape(0))) {
        c.fail(ErrorId::shapes_differ,
               "the variable is " + c.shape(0).to_string() + ", its " + c.call().op.inputs[i].name + " " +
                   c.shape(i).to_string(),
               "updates never broadcast: give the gradient of this variable");
      }
    }
    const DType computed = compute_dtype(c.group_dtype());
    for (std::size_t i = 1; i < count; ++i) {
      if (c.dtype(i) == computed) continue;
      c.fail(ErrorId::dtypes_differ,
             "the variable is " + std::string(name_of(c.group_dtype())) + ", its " + c.call().op.inputs[i].name + " " +
                 std::string(name_of(c.dtype(i))),
             "the optimizer's state is f64 for variables of f64, and f32 for all others");
    }
    for (std::size_t i = 0; i < count; ++i) c.set(i, i == 0 ? c.group_dtype() : computed, c.shape(0));
  };
  const std::string registered = op.name;
  op.cases = [registered, count, usual = std::move(usual)] {
    const OpDef* self = find_op(registered);
    std::vector<OpCase> all = pointwise_cases(*self, {{CaseValues::Kind::range, 0.1, 1}}), kept;
    for (OpCase& c : all) {
      bool same = true;
      for (const CaseInput& in : c.inputs) same = same && !in.scalar && in.shape == c.inputs[0].shape;
      for (std::size_t i = 1; i < count; ++i) c.inputs[i].dtype = compute_dtype(c.inputs[0].dtype);
      c.gradient = false;
      if (same && !c.error) kept.push_back(std::move(c));
    }
    const auto is_vector = [](const OpCase& c) { return c.inputs[0].shape == Shape{17}; };
    std::vector<OpCase> vectors;  // one of each dtype
    std::copy_if(kept.begin(), kept.end(), std::back_inserter(vectors), is_vector);
    for (const OpCase& vector : vectors) {
      for (std::size_t k = 0; k < usual.size(); ++k) {
        OpCase c = vector;
        c.name = std::string(name_of(c.inputs[0].dtype)) + "/usual" + std::to_string(k);
        c.scalars.assign(usual[k].begin(), usual[k].end());
        kept.push_back(std::move(c));
      }
    }
    return kept;
  };
  return op;
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(140, sgd_update) {
  return update_op("sgd_update", "w - rate g.", {"w"}, {"rate"}, {{0.0}, {1.0}},
                   [](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                     const Expr w = in[0], g = in[1], rate = in[2];
                     return std::vector<Expr>{w - rate * g};
                   });
}

LOCKSTEP_BUILT_IN(141, momentum_update) {
  return update_op("momentum_update", "Momentum: v' = momentum v + g; w' = w - rate (blend v' + direct g).", {"w", "v"},
                   {"rate", "momentum", "blend", "direct"},
                   // Plain, Nesterov's, and without momentum.
                   {{0.01, 0.9, 1, 0}, {0.01, 0.9, 0.9, 1}, {0.01, 0, 1, 0}},
                   [](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                     const Expr w = in[0], v = in[1], g = in[2], rate = in[3], momentum = in[4], blend = in[5],
                                direct = in[6];
                     const Expr velocity = momentum * v + g;
                     return std::vector<Expr>{w - rate * (blend * velocity + direct * g), velocity};
                   });
}

LOCKSTEP_BUILT_IN(142, adam_update) {
  return update_op("adam_update",
                   "Adam, with decoupled weight decay. What follows from the betas comes as numbers, computed in f64.",
                   {"w", "m", "u"},
                   {"rate", "b1", "b2", "one_minus_b1", "one_minus_b2", "c1", "c2", "epsilon", "decay"},
                   // The first step, a late step, and one with decay and a large epsilon.
                   {{0.001, 0.9, 0.999, 0.1, 0.001, 10, 1000, 1e-8, 0},
                    {0.001, 0.9, 0.999, 0.1, 0.001, 1, 1, 1e-8, 0},
                    {0.01, 0, 0.9, 1, 0.1, 1, 10, 1, 0.1}},
                   [](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                     const Expr w = in[0], m = in[1], u = in[2], g = in[3];
                     const Expr rate = in[4], b1 = in[5], b2 = in[6], one_minus_b1 = in[7], one_minus_b2 = in[8];
                     const Expr c1 = in[9], c2 = in[10], epsilon = in[11], decay = in[12];
                     const Expr first = b1 * m + one_minus_b1 * g;
                     const Expr second = b2 * u + one_minus_b2 * (g * g);
                     const Expr step = (first * c1) / (sqrt(second * c2) + epsilon) + decay * w;
                     return std::vector<Expr>{w - rate * step, first, second};
                   });
}

}  // namespace defs

const OpDef& sgd_update_op() {
  static const OpDef& op = built_in("sgd_update");
  return op;
}
const OpDef& momentum_update_op() {
  static const OpDef& op = built_in("momentum_update");
  return op;
}
const OpDef& adam_update_op() {
  static const OpDef& op = built_in("adam_update");
  return op;
}

}  // namespace lockstep
