// Checks the decompositions that are used if a driver has no kernel for an op. The drivers here have kernels for nearly
// all ops, so each op is registered again under a name that no driver knows, and its own cases are judged like those of
// any other op.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "conformance/cases/generate.h"
#include "conformance/checks/run_case.h"
#include "lockstep/lockstep.h"
#include "ops/built_in.h"

namespace lockstep::conformance {
namespace {

// The op with its decomposition as the only implementation.
OpDef only_decomposed(OpDef op) {
  // The oracle of a pointwise op runs its body. The new op has none, so its reference calls that of the original op.
  const auto whole = std::make_shared<const OpDef>(op);
  op.reference = [whole](RefContext& r) {
    const OpCall call{*whole, r.call.inputs, r.call.attrs, r.call.scalars, r.call.where};
    RefContext same{call, r.inputs, r.output_specs, std::move(r.outputs)};
    whole->reference(same);
    r.outputs = std::move(same.outputs);
  };
  op.name = "decompose_test::" + op.name;
  op.body = nullptr;
  op.view = nullptr;
  op.copy_plan = nullptr;
  op.host = nullptr;
  op.kernels.clear();
  op.commutative = false;
  return op;
}

TEST(Decompositions, ComputeWhatTheOpDoes) {
  const Device device("reference");
  const Setting setting{device, device, Bounds::built_in()};
  int ops = 0;
  for (const BuiltInOp& built_in : built_in_ops()) {
    OpDef made = built_in.make();
    if (!made.decompose || made.effects == Effects::state) continue;
    const OpDef& op = register_op(only_decomposed(std::move(made)));
    ++ops;
    for (const TestCase& t : own_cases(op, MathMode::strict, Amount{})) {
      const CaseResult r = run_case(t, setting);
      EXPECT_TRUE(r.outcome == Outcome::pass || r.outcome == Outcome::unsupported) << r.id << ": " << r.text;
      const auto is_empty = [](const CaseInput& input) { return input.shape.is_empty(); };
      const bool has_empty = std::ranges::any_of(t.call.inputs, is_empty);
      EXPECT_TRUE(has_empty || !r.native) << r.id;
    }
  }
  EXPECT_GT(ops, 10);
}

}  // namespace
}  // namespace lockstep::conformance
