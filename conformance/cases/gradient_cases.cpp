// The cases whose first and second gradients are checked.
#include <algorithm>
#include <map>

#include "conformance/cases/collector.h"
#include "conformance/checks/gradient.h"

namespace lockstep::conformance {
namespace {

constexpr double max_gradient_steps = 2e4;
constexpr std::uint64_t stream = 17;  // of random choices

// Per dtype, the largest case below a limit, in which all pairs of corner values occur, and another case, where
// operands may broadcast or axes be removed. They have corner values or, if the op takes none, special values. The
// largest also has ordinary values, for derivatives that are small.
void add_special_gradients(Collector& out, const OpDef& op, const std::vector<OpCase>& own, MathMode mode) {
  // The check calls the oracle several times for each element, which takes long for sums of products.
  const std::int64_t most = op.error_class == ErrorClass::sum ? 500 : 1100;
  constexpr std::int64_t least = 4;
  std::map<DType, std::vector<const OpCase*>> by_dtype;
  for (const OpCase& c : own) {
    if (has_derivative(op, c) && largest_input(c) <= most && largest_input(c) >= least) {
      by_dtype[dtype_of(op, c)].push_back(&c);
    }
  }
  for (const auto& [dtype, cases] : by_dtype) {
    if (mode == MathMode::fast && dtype != DType::f32) continue;
    const OpCase* largest = *std::max_element(cases.begin(), cases.end(), [](const OpCase* a, const OpCase* b) {
      return largest_input(*a) < largest_input(*b);
    });
    const OpCase* other = cases.front() == largest ? cases.back() : cases.front();
    for (const OpCase* c : {largest, other}) {
      const Values values = applies(Values::corners, op, *c) ? Values::corners : Values::special;
      out.add("special_gradient", *c, false, Layout::dense, values);
    }
    out.add("special_gradient", *largest, false, Layout::dense, Values::drawn);
    if (!op.pointwise()) {
      out.add("special_gradient", *largest, false, Layout::dense, Values::special);
      out.add("special_gradient", *largest, false, Layout::dense, Values::infinite);
    }
    out.add("special_gradient", *largest, false, Layout::dense, Values::peaks);
  }
}

}  // namespace

std::vector<TestCase> gradient_cases(const OpDef& op, MathMode mode, const Amount& amount) {
  Collector out(op, mode, amount.seed);
  if (!op.cases) return {};
  const std::vector<OpCase> own = op.cases();
  for (const OpCase& c : own) {
    if (!has_gradient(op, c)) continue;
    // Differences take two oracle calls per compared element, and four for second order.
    std::int64_t elements = 0;
    for (const CaseInput& in : c.inputs) elements += in.absent || in.scalar ? 0 : in.shape.size();
    const bool main = mode == MathMode::strict && c.inputs[0].dtype == DType::f32;
    const bool heavy = elements > (main ? 4000 : 1500);
    if (mode == MathMode::fast && (heavy || c.inputs[0].dtype != DType::f32)) continue;
    if (!heavy || main) out.add("gradient", c, false);
    if (!heavy && mode != MathMode::fast) out.add("second_gradient", c, false);
  }
  add_special_gradients(out, op, own, mode);
  if (mode == MathMode::fast) return out.take();
  std::vector<Base> bases = bases_of(op, own, DType::f32);
  std::erase_if(bases, [&](const Base& b) { return !has_gradient(op, b.call); });
  if (bases.empty()) return out.take();
  Choice choice(hash_of(op.name + "/gradient") ^ amount.seed, stream);
  for (int n = 0; n < 2; ++n) {
    const Base& base = bases[choice.below(bases.size())];
    const auto c = draw_resized(op, base.call, base.groups, choice, max_gradient_steps);
    if (c) out.add("gradient", *c, true, choice.of(layouts) == Layout::transposed ? Layout::transposed : Layout::dense);
  }
  return out.take();
}

}  // namespace lockstep::conformance
