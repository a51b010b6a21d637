#include "conformance/cases/beside.h"

#include <algorithm>
#include <set>

#include "conformance/cases/attributes.h"
#include "conformance/cases/extents.h"
#include "conformance/cases/values.h"
#include "ops/random/philox_reference.h"

namespace lockstep::conformance {
namespace {

// Above the sizes of caches, blocks, stacks of partial sums and 16-bit counters.
constexpr std::int64_t extents_to_draw[] = {1, 3, 33, 48, 64, 67, 130, 257, 1000, 4099, 16411, 70001, 131085};
constexpr double most_steps = 1e6;  // of sums, window extents apart
constexpr std::size_t most_cases = 4;

// Compositions of many steps take the trusted device long: all but those that draw numbers, which move none afterwards.
std::int64_t most_elements(const OpDef& op) {
  const bool draws = op.effects == Effects::random && op.error_class != ErrorClass::exact;
  return op.decompose && !op.pointwise() && !draws ? 20000 : 140000;
}

std::int64_t elements_of(const OpDef& op, const OpCase& c) {
  std::int64_t most = 0;
  for (const CaseInput& in : c.inputs) most = std::max(most, in.absent || in.scalar ? 0 : in.shape.size());
  for (const Spec& s : infer_outputs(op, c).value_or(std::vector<Spec>())) most = std::max(most, s.shape.size());
  return most;
}

// Values of which every device must make the same bits in this mode; nullopt where there are none.
std::optional<Values> values_for_bits(const OpDef& op, const OpCase& c, MathMode mode) {
  if (mode == MathMode::lockstep || op.pointwise() || op.error_class == ErrorClass::exact ||
      op.effects == Effects::random) {
    return Values::drawn;
  }
  const bool exact = op.error_class == ErrorClass::sum && applies(Values::exact, op, c) && op.name != "mean";
  return exact ? std::optional(Values::exact) : std::nullopt;
}

// The largest case that the limits allow: one extent after the other grows, in random order, to a drawn one.
std::optional<OpCase> draw_large(const OpDef& op, const Base& base, RandomKey key) {
  std::vector<std::int64_t> extents;
  for (const ExtentGroup& g : base.groups) extents.push_back(std::max<std::int64_t>(g.extent, 1));
  std::optional<OpCase> best;
  for (std::uint64_t draw = 0; draw < 24; ++draw) {
    std::vector<std::int64_t> tried = extents;
    const std::uint64_t word = random_long_word(key, draw);
    tried[word % tried.size()] = extents_to_draw[(word >> 16) % std::size(extents_to_draw)];
    double steps = 1;
    for (std::int64_t e : tried) steps *= static_cast<double>(e);
    auto c = resized(op, base.call, base.groups, tried);
    const bool sums = op.error_class == ErrorClass::sum;
    if (!c || (sums && steps > most_steps) || elements_of(op, *c) > most_elements(op)) continue;
    if (best && elements_of(op, *c) < elements_of(op, *best)) continue;
    best = std::move(c);
    extents = tried;
  }
  return best;
}

}  // namespace

std::vector<TestCase> beside_cases(const OpDef& op, MathMode mode, const Amount& amount) {
  std::vector<TestCase> cases;
  if (!op.cases || op.host || mode == MathMode::fast) return cases;
  std::set<std::string> seen;
  std::set<DType> dtypes;
  for (const OpCase& own : op.cases()) {
    if (own.error) continue;
    const Base base{own, extent_groups(op, own)};
    if (base.groups.empty()) continue;
    TestCase t{"beside", &op, own, true, mode, Layout::dense, Values::drawn, amount.seed};
    const bool once_more = dtypes.insert(t.dtype()).second || t.dtype() == DType::f32;
    if (!once_more || cases.size() >= most_cases) continue;
    auto call = draw_large(op, base, {hash_of(op.name + own.name) ^ amount.seed, 3});
    const auto values = call ? values_for_bits(op, *call, mode) : std::nullopt;
    if (!values) continue;
    t.call = std::move(*call);
    t.values = *values;
    if (seen.insert(t.id()).second) cases.push_back(std::move(t));
  }
  return cases;
}

}  // namespace lockstep::conformance
