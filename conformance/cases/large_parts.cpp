#include "conformance/cases/large_parts.h"

#include <algorithm>
#include <cmath>

#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/values.h"

namespace lockstep::conformance::large {
namespace {

constexpr double max_steps = 2e7;  // of ops that sum
// Limits on the number of elements. Composed ops are slow on the trusted device, and pointwise programs have the suite
// "sizes".
constexpr std::int64_t max_program_elements = 150000, max_composed = 30000;

double count_of(const Shape& shape) { return static_cast<double>(std::max<std::int64_t>(shape.size(), 1)); }

}  // namespace

std::int64_t elements_of(const OpDef& op, const OpCase& c) {
  std::int64_t most = 0;
  for (const CaseInput& in : c.inputs) most = std::max(most, in.absent || in.scalar ? 0 : in.shape.size());
  for (const TensorSpec& s : infer_outputs(op, c).value_or(std::vector<TensorSpec>()))
    most = std::max(most, s.shape.size());
  return most;
}

double steps_of(const OpDef& op, const OpCase& c) {
  double product = 1;
  int tensors = 0;
  for (const CaseInput& in : c.inputs) {
    const bool counts = !in.absent && !in.scalar && in.values.kind != CaseValues::Kind::indices;
    if (counts && tensors++ < 2) product *= count_of(in.shape);
  }
  const auto outputs = infer_outputs(op, c);
  if (outputs && tensors > 1) product *= count_of((*outputs)[0].shape);
  double window = 1;  // for convolutions; the product includes one of its two sides
  for (const CaseInput& in : c.inputs) {
    if (tensors > 1 && !in.absent && in.shape.rank() == 4) window = std::max(window, std::min(9.0, count_of(in.shape)));
  }
  return tensors > 1 ? std::sqrt(product) * window : product;
}

bool is_composed(const OpDef& op) {
  const bool draws = op.effects == Effects::random && op.error_class != ErrorClass::exact;
  return op.decompose && !op.pointwise() && !draws;
}

namespace {

bool affordable(const OpDef& op, const OpCase& c) {
  const bool sums = op.error_class == ErrorClass::sum;
  const std::int64_t most = is_composed(op) ? max_composed : op.pointwise() ? max_program_elements : max_elements;
  return elements_of(op, c) <= most && (!sums || steps_of(op, c) <= max_steps);
}

}  // namespace

std::optional<OpCase> at(const OpDef& op, const Base& base, const Extents& extents) {
  auto c = resized(op, base.call, base.groups, extents);
  return c && affordable(op, *c) ? c : std::nullopt;
}

namespace {

// The values for sums. All are exact in any order, and some need more bits than half-width formats hold. Integers have
// arbitrary bits.
constexpr Values sum_values[] = {Values::sparse_first, Values::exact, Values::sparse_last, Values::wide_first,
                                 Values::wide_last,    Values::exact, Values::bits};
constexpr Values fast_values[] = {Values::wide_first, Values::wide_last, Values::exact, Values::bits};
constexpr Values choice_kinds[] = {Values::extremes, Values::bits, Values::neighbours, Values::drawn};

}  // namespace

Values values_at(std::size_t turn, const OpDef& op, const OpCase& c, MathMode mode) {
  const auto pick = [&](const auto& all) {
    for (std::size_t k = 0; k < std::size(all); ++k) {
      const Values values = all[(turn + k) % std::size(all)];
      if (applies(values, op, c)) return values;
    }
    return Values::drawn;
  };
  if (op.error_class == ErrorClass::sum && may_shorten(mode, dtype_of(op, c))) return pick(fast_values);
  if (op.error_class == ErrorClass::sum && mode != MathMode::lockstep) return pick(sum_values);
  return op.error_class == ErrorClass::exact ? pick(choice_kinds) : Values::drawn;
}

namespace {

// A random layout, of all inputs alike or of each input its own.
Layout random_layout(Choice& choice) {
  constexpr std::size_t singles = std::size(layouts);
  const std::size_t k = choice.below(singles + 6);
  if (k >= singles) return mixed_layout(static_cast<unsigned>(choice.below(mixed_layouts)));
  return layouts[k] == Layout::shared ? Layout::padded_rows : layouts[k];
}

// Whether a tensor of that layout is stored in a few times its own elements. At high ranks, a margin on each side of
// each dimension takes far more.
bool is_compact(const Shape& shape, Layout layout) {
  if (shared_dimension(shape, layout)) return true;
  const Placement placement = placement_of(shape, layout);
  double stored = 1;
  for (int d = 0; d < shape.rank(); ++d) {
    const Placement::Dimension& p = placement.dims[static_cast<std::size_t>(d)];
    stored *= static_cast<double>(p.before + p.after + shape[d] * std::abs(p.step));
  }
  return stored <= 5.0 * static_cast<double>(shape.size());
}

}  // namespace

Layout fitting_layout(const OpDef& op, const OpCase& c, Choice& choice, bool must_be_strided) {
  for (int tries = 0; tries < 20; ++tries) {
    const Layout layout = random_layout(choice);
    bool is_strided = false, compact = true;
    for (std::size_t i = 0; i < c.inputs.size(); ++i) {
      const CaseInput& in = c.inputs[i];
      if (in.absent || in.scalar || in.shape.rank() == 0) continue;
      const Layout own = layout_of_input(op, c, i, layout);
      is_strided = is_strided || (own != Layout::dense && own != Layout::offset && !shared_dimension(in.shape, own));
      compact = compact && is_compact(in.shape, own);
    }
    if (compact && (must_be_strided ? is_strided : layout_takes_effect(layout, op, c))) return layout;
  }
  return Layout::dense;
}

void add_special_values(Collector& out, const OpDef& op, const std::optional<OpCase>& c) {
  if (!c) return;
  for (const Values values : {Values::infinite, Values::huge, Values::tiny}) {
    // A shorter format may flush subnormal numbers, and sums of them that are divided are not exact.
    const bool is_vague = values == Values::tiny && (may_shorten(out.mode(), dtype_of(op, *c)) || divides_sums(op));
    if (!is_vague && applies(values, op, *c)) out.add("beside", c, Layout::dense, values);
  }
}

}  // namespace lockstep::conformance::large
