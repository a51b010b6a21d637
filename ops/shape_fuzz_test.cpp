// Fuzzes shapes: calls every op with random extents, attributes and numbers. Each call must be refused with a Lockstep
// error, or give specs whose sizes fit 63 bits and layouts that stay inside them. LOCKSTEP_FUZZ_ROUNDS and
// LOCKSTEP_FUZZ_SEED set the number of rounds and the seed.
#include <gtest/gtest.h>

#include "ops/fuzzed_call.h"
#include "ops/infer.h"
#include "ops/invoke.h"
#include "ops/kernel_description.h"
#include "ops/observer.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

ViewLayout dense_layout(const Shape& shape) {
  ViewLayout layout{shape, {}, 0};
  fill_dense_strides(shape, layout.strides);
  return layout;
}

// Checks that every element of the layout lies among the first `count`.
void check_inside(const ViewLayout& layout, Wide count) {
  if (layout.shape.is_empty()) return;
  Wide lowest = layout.offset, highest = layout.offset;
  for (int i = 0; i < layout.shape.rank(); ++i) {
    const Wide reach = (Wide{layout.shape[i]} - 1) * layout.strides[i];
    (reach < 0 ? lowest : highest) += reach;
  }
  ASSERT_GE(lowest, 0);
  ASSERT_LT(highest, count);
}

bool all_known(const FuzzedCall& c, std::span<const TensorSpec> specs) {
  const auto known = [](const auto& x) { return x.shape().is_known(); };
  return std::all_of(c.tensors.begin(), c.tensors.end(), known) &&
         std::all_of(specs.begin(), specs.end(), [](const TensorSpec& s) { return s.shape.is_known(); });
}

void check_layouts(const FuzzedCall& c, const OpCall& call, std::span<const TensorSpec> specs) {
  const Shape& out = specs[0].shape;
  for (std::size_t o = 0; o < specs.size(); ++o) {
    if (!call.op.view || !call.inputs[0].is_tensor() || specs[o].shape.is_empty()) continue;
    const Shape& in = call.inputs[0].impl()->shape;
    const auto view = call.op.view(call, dense_layout(in), specs[o].shape, o);
    if (view) check_inside(*view, elements(in));
  }
  if (!call.op.copy_plan || out.is_empty()) return;
  for (const Operand& operand : c.operands) {
    if (!operand.is_tensor()) return;  // numbers become tensors first
  }
  for (const CopyPlan::Copy& part : call.op.copy_plan(call, out).copies) {
    ASSERT_EQ(part.place.shape, call.inputs[part.input].impl()->shape);
    check_inside(part.place, elements(out));
  }
}

// Checks what executes the call, on abstract tensors: its program, or the calls of its decomposition.
void check_parts(const OpCall& call, const CallTypes& types, std::span<const TensorSpec> specs) {
  if (call.op.pointwise() && !types.promotes()) {
    std::vector<lks_dtype> results;
    for (const TensorSpec& spec : specs) results.push_back(abi_dtype(spec.dtype));
    record_program(call, types, results, specs[0].shape.rank());
  }
  if (!call.op.decompose || types.promotes() || numbers_become_tensors(call)) return;
  DecomposeContext parts(call, specs);
  try {
    AbstractCallsScope describing;
    call.op.decompose(parts);
  } catch (const Error&) {
    return;
  }
  for (std::size_t o = 0; !parts.refused && o < specs.size(); ++o) ASSERT_EQ(parts.results[o]->spec(), specs[o]);
}

struct Tally {
  std::uint64_t accepted = 0, refused = 0;
};

void ask(const FuzzedCall& c, Tally& tally) {
  const OpCall call = c.call();
  try {
    check_call(call);
    std::vector<TensorSpec> specs(output_count(call));
    CallTypes types(call);
    infer_specs(call, types, specs);
    for (const TensorSpec& spec : specs) check_spec(spec);
    if (!all_known(c, specs)) return;
    ++tally.accepted;
    check_layouts(c, call, specs);
    check_parts(call, types, specs);
  } catch (const Error& e) {
    ++tally.refused;
    EXPECT_FALSE(e.headline().empty());
    EXPECT_FALSE(e.hint().empty()) << e.what();
    EXPECT_NE(e.op(), "shape") << "which op?\n" << e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "untyped: " << e.what();
  }
}

TEST(ShapeFuzz, EveryOpRefusesOrCountsRight) {
  const std::uint64_t rounds = setting("LOCKSTEP_FUZZ_ROUNDS", 1500);
  Draw draw(setting("LOCKSTEP_FUZZ_SEED", 16));
  for (const OpDef* op : registered_ops()) {
    Fuzzer fuzzer(*op, draw);
    Tally tally;
    for (std::uint64_t i = 0; i < rounds; ++i) {
      const FuzzedCall c = fuzzer.next();
      ask(c, tally);
      ASSERT_FALSE(HasFailure()) << c.text();
    }
    EXPECT_GT(tally.accepted, 0u) << op->name << ": nothing is accepted, so that nothing is tried";
    EXPECT_GT(tally.refused, 0u) << op->name << ": nothing is refused";
  }
}

}  // namespace
}  // namespace lockstep
