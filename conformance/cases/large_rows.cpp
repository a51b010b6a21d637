// Calls with very many rows that repeat.
#include <algorithm>
#include <set>

#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/large_parts.h"
#include "conformance/cases/values.h"

namespace lockstep::conformance::large {
namespace {

// Indices of the groups whose dimensions are all the first of their inputs, so that an input repeats along them if its
// bytes do. An attribute `shape` may begin with the same extent.
std::vector<std::size_t> leading_groups(const OpDef& op, const Base& base) {
  const std::optional<std::size_t> shape = shape_list(op);
  std::vector<std::size_t> leading;
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    const ExtentGroup& group = base.groups[g];
    const bool first = !group.dims.empty() && std::all_of(group.dims.begin(), group.dims.end(),
                                                          [](const ExtentGroup::Dimension& d) { return d.dim == 0; });
    const bool free = std::all_of(group.attributes.begin(), group.attributes.end(),
                                  [&](std::size_t at) { return shape && at == *shape + offsetof(IntList, values); });
    if (first && free) leading.push_back(g);
  }
  return leading;
}

// Elements of the largest tensor of a case of the suite "rows": beyond 2^18, and for the main dtype rarely more, which
// takes longer.
constexpr std::int64_t many = 1 << 18;
constexpr std::int64_t row_elements[] = {many + 1,   many + 5000, many + 77, many + 33,
                                         many + 129, many + 1021, many + 2,  many + 4099};
constexpr std::int64_t rare_row_elements[] = {2 * many + 77, 2 * many + 5, 4 * many + 99, 8 * many + 33};

std::int64_t row_elements_for(bool main, Choice& choice) {
  const std::size_t k = choice.below(std::size(row_elements) + (main ? std::size(rare_row_elements) : 0));
  return k < std::size(row_elements) ? row_elements[k] : rare_row_elements[k - std::size(row_elements)];
}

// Whether results repeat if rows do: the op treats each row by itself. An axis of 0 runs across the rows.
bool treats_rows_alike(const OpDef& op, const OpCase& c) {
  // They depend on positions.
  for (const char* name : {"argsort", "bitonic_partner", "bitonic_exchange", "max_pool2d_positions"}) {
    if (op.name == name) return false;
  }
  if (op.effects == Effects::random) return false;
  const std::vector<std::int64_t> axis = attribute_numbers(op, c, "axis");
  // The rows of gather may be those of the indices.
  if (!axis.empty() && axis[0] == 0 && op.name != "gather") return false;
  // Composites without an axis, such as layer_norm, compute along the last dimension.
  const bool along_last = op.error_class == ErrorClass::composed && !op.pointwise() && axis.empty();
  return !along_last || c.inputs.empty() || c.inputs[0].shape.rank() > 1;
}

// Whether tensor operands differ in shape.
bool broadcasts(const OpCase& c) {
  std::set<std::string> shapes;
  for (const CaseInput& in : c.inputs) {
    if (!in.absent && !in.scalar) shapes.insert(in.shape.to_string());
  }
  return shapes.size() > 1;
}

// Group g of the base with so many rows that the largest tensor has at least `elements` elements; nullopt if results
// have no such rows.
std::optional<OpCase> with_many_rows(const OpDef& op, const Base& base, std::size_t g, std::int64_t elements) {
  Extents extents = base.extents();
  extents[g] = row_period;
  const auto small = resized(op, base.call, base.groups, extents);
  if (!small) return std::nullopt;
  const std::int64_t row = std::max<std::int64_t>(elements_of(op, *small) / row_period, 1);
  extents[g] = std::max(elements / row, 3 * row_period) + 1;
  auto c = resized(op, base.call, base.groups, extents);
  if (!c || elements_of(op, *c) > 2 * elements + 100000) return std::nullopt;
  const auto outputs = infer_outputs(op, *c);
  const bool has_rows = std::all_of(outputs->begin(), outputs->end(), [&](const TensorSpec& s) {
    return s.shape.rank() > 0 && s.shape[0] == extents[g];
  });
  return has_rows ? c : std::nullopt;
}

// How the operands of a call lie.
enum class Kind : std::uint8_t { any, alike, broadcast, strided, transposed };

// The calls of a dtype in a mode: the most where faults are most likely to begin, and a few elsewhere.
std::vector<Kind> kinds_for(const OpDef& op, MathMode mode, bool main, std::size_t turn) {
  if (mode == MathMode::strict && main) {
    if (op.pointwise()) return {Kind::broadcast, Kind::alike, Kind::strided, Kind::strided};
    if (op.name == "copy") return {Kind::transposed, Kind::any, Kind::strided, Kind::any, Kind::strided};
    return {Kind::any, Kind::strided, Kind::any, Kind::strided};
  }
  if (op.name == "copy" && mode == MathMode::lockstep) return {Kind::transposed, Kind::strided};
  const Kind one = turn % 2 ? Kind::strided : Kind::broadcast;
  if (mode == MathMode::lockstep && op.error_class != ErrorClass::sum) {
    // Programs are many, and their kernels differ little in dtype.
    return main || !op.pointwise() || turn / 2 % 4 == 0 ? std::vector{one} : std::vector<Kind>();
  }
  if (mode == MathMode::fast && !main) return {one};
  // A copy of each dtype may have its own kernels for each order of the dimensions.
  if (op.name == "copy") return {Kind::transposed, Kind::any, Kind::strided};
  return {Kind::broadcast, Kind::strided};
}

}  // namespace

// The trusted device does not need to compute the whole result, so ops can be called that are slow there.
void add_rows(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases, bool main,
              Choice& choice) {
  std::vector<std::pair<std::size_t, std::size_t>> open;  // bases and their leading groups, in random order
  for (std::size_t b = 0; b < bases.size(); ++b) {
    if (!treats_rows_alike(op, bases[b].call) || has_empty_input(bases[b].call)) continue;
    for (const std::size_t g : leading_groups(op, bases[b])) {
      open.insert(open.begin() + static_cast<std::ptrdiff_t>(choice.below(open.size() + 1)), {b, g});
    }
  }
  const bool may_broadcast = op.pointwise() && std::any_of(open.begin(), open.end(), [&](const auto& at) {
                               return broadcasts(bases[at.first].call);
                             });
  std::size_t turn = choice.below(2);  // of kinds of values
  for (const Kind kind : kinds_for(op, mode, main, choice.below(8))) {
    const std::int64_t elements = row_elements_for(main, choice);
    for (auto at = open.begin(); at != open.end(); ++at) {
      const Base& base = bases[at->first];
      const bool asks = kind == Kind::broadcast || kind == Kind::alike;
      if (asks && may_broadcast && broadcasts(base.call) != (kind == Kind::broadcast)) continue;
      const auto c = with_many_rows(op, base, at->second, elements);
      if (!c) continue;
      if (kind == Kind::transposed && (largest_rank(*c) != 2 || elements_of(op, *c) == c->inputs[0].shape[0])) continue;
      const Layout layout = kind == Kind::transposed ? Layout::transposed
                            : kind == Kind::strided  ? fitting_layout(op, *c, choice, true)
                                                     : Layout::dense;
      if (kind == Kind::strided && layout == Layout::dense) continue;
      Values values = values_at(choice.below(6), op, *c, mode);
      // Kernels for whole vectors or for large tensors may treat special numbers in their own way.
      if (op.pointwise() && turn++ % 2 == 1 && applies(Values::corners, op, *c)) values = Values::corners;
      out.add("rows", c, layout, values);
      // A base serves again if there are few.
      if (open.size() > 1) open.erase(at);
      break;
    }
  }
}

}  // namespace lockstep::conformance::large
