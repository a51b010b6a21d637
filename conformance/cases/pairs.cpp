#include "conformance/cases/pairs.h"

#include <algorithm>
#include <charconv>

#include "conformance/cases/attributes.h"
#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/unique_cases.h"
#include "conformance/cases/values.h"

namespace lockstep::conformance {
namespace {

bool has_results(const OpDef& op, const OpCase& c) {
  const auto specs = infer_outputs(op, c);
  return specs && !specs->empty() && (*specs)[0].shape.size() > 0;
}

// The case with the extents f(group, extent).
template <class F>
std::optional<OpCase> with_extents(const OpDef& op, const OpCase& c, F&& f) {
  const Base base{c, extent_groups(op, c)};
  if (base.groups.empty()) return std::nullopt;
  std::vector<std::int64_t> extents;
  for (std::size_t g = 0; g < base.groups.size(); ++g) extents.push_back(f(g, base.groups[g].extent));
  return resized(op, c, base.groups, extents);
}

// An own case of the op with the same shapes and another dtype.
std::optional<OpCase> of_dtype(const OpDef& op, const OpCase& c, const std::string& dtype) {
  for (OpCase& other : op.cases()) {
    if (other.error || other.inputs.size() != c.inputs.size() || other.attrs != c.attrs) continue;
    if (name_of(dtype_of(op, other)) != dtype) continue;
    const auto same = [](const CaseInput& a, const CaseInput& b) {
      return a.shape == b.shape && a.absent == b.absent && a.scalar.has_value() == b.scalar.has_value();
    };
    if (std::equal(other.inputs.begin(), other.inputs.end(), c.inputs.begin(), same)) return std::move(other);
  }
  return std::nullopt;
}

std::optional<OpCase> changed_call(const TestCase& t, const std::string& what) {
  const OpDef& op = *t.op;
  if (what == "larger") return with_extents(op, t.call, [](std::size_t, std::int64_t e) { return 2 * e + 1; });
  if (what == "smaller") {
    const Base base{t.call, extent_groups(op, t.call)};
    return base.groups.empty() ? std::nullopt : resized(op, t.call, base.groups, smallest_extents(op, base));
  }
  if (what.starts_with("empty.")) {
    std::size_t empty = 0;
    const auto [end, error] = std::from_chars(what.data() + 6, what.data() + what.size(), empty);
    if (error != std::errc{} || end != what.data() + what.size()) return std::nullopt;
    return with_extents(op, t.call, [empty](std::size_t g, std::int64_t e) { return g == empty ? 0 : e; });
  }
  if (what.starts_with("attribute.")) return with_attributes(op, t.call, what.substr(10));
  if (what.starts_with("dtype.")) return of_dtype(op, t.call, what.substr(6));
  return std::nullopt;
}

class Collector : public CaseCollector {
 public:
  using CaseCollector::CaseCollector;

  void add(const OpCase& c, Layout layout, const std::string& after) {
    TestCase t = make("pair", c, false, layout, values_for(op_, c, mode_));
    t.after = after;
    if (first_of_pair(t)) keep(std::move(t));
  }
};

constexpr Layout turned[] = {Layout::transposed, Layout::padded_rows,      Layout::offset,
                             Layout::broadcast,  Layout::last_two_swapped, Layout::last_reversed,
                             Layout::sliced,     Layout::broadcast_first,  Layout::channels_second};

Layout layout_at(std::size_t turn, const OpDef& op, const OpCase& c) {
  for (std::size_t k = 0; k < std::size(turned); ++k) {
    const Layout layout = turned[(turn + k) % std::size(turned)];
    if (layout_takes_effect(layout, op, c)) return layout;
  }
  return Layout::dense;
}

// The properties in which the preceding call may differ. An empty extent is used only if the result has elements,
// because otherwise no kernel is prepared.
std::vector<std::string> properties_of(const OpDef& op, const OpCase& c, MathMode own_mode,
                                       const std::vector<MathMode>& modes, std::size_t turn) {
  std::vector<std::string> all = {"larger", "smaller"};
  const std::vector<ExtentGroup> groups = extent_groups(op, c);
  const TestCase t = test_case_of(op, c);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::string what = "empty." + std::to_string(g);
    const auto first = changed_call(t, what);
    if (first && has_results(op, *first)) all.push_back(what);
  }
  for (const MathMode mode : modes) {
    if (mode != own_mode) all.push_back("mode." + std::string(name_of(mode)));
  }
  constexpr const char* dtypes[] = {"f64", "i32", "f16", "i64", "bf16", "u8"};
  for (std::size_t k = 0; k < std::size(dtypes); ++k) {
    const char* dtype = dtypes[(turn + k) % std::size(dtypes)];
    if (!of_dtype(op, c, dtype)) continue;
    all.push_back(std::string("dtype.") + dtype);
    break;
  }
  const Base base{c, groups};
  for (const OpCase& other : attribute_variations(op, {base}, 1, turn + 1)) {
    all.push_back("attribute." + other.name.substr(other.name.find('@') + 1));
  }
  return all;
}

// The op's own case of the highest rank. Ops with their own kernels also get another case, and one of another dtype.
// Pointwise programs all use the same kernels.
std::vector<OpCase> bases_of(const OpDef& op, std::size_t turn) {
  std::vector<OpCase> main, others;
  for (OpCase& c : op.cases()) {
    if (c.error || has_empty_input(c) || !has_results(op, c)) continue;
    (dtype_of(op, c) == DType::f32 ? main : others).push_back(std::move(c));
  }
  if (main.empty()) main.swap(others);
  std::stable_sort(main.begin(), main.end(),
                   [](const OpCase& a, const OpCase& b) { return largest_rank(a) > largest_rank(b); });
  std::vector<OpCase> bases;
  if (!main.empty()) bases.push_back(main[0]);
  if (op.pointwise()) return bases;
  if (main.size() > 1) bases.push_back(main[1 + turn % (main.size() - 1)]);
  if (!others.empty()) bases.push_back(others[turn % others.size()]);
  return bases;
}

}  // namespace

std::optional<TestCase> first_of_pair(const TestCase& t) {
  TestCase first = t;
  first.after.clear();
  if (t.after.starts_with("layout.")) {
    const auto layout = find_layout(t.after.substr(7));
    if (!layout || *layout == t.layout) return std::nullopt;
    first.layout = *layout;
    return first;
  }
  if (t.after.starts_with("mode.")) {
    const auto mode = find_mode(t.after.substr(5));
    if (!mode) return std::nullopt;
    first.mode = *mode;
  } else {
    auto call = changed_call(t, t.after);
    if (!call) return std::nullopt;
    first.call = std::move(*call);
    first.resized = true;
  }
  first.values = values_for(*t.op, first.call, first.mode);
  return first;
}

std::vector<TestCase> pair_cases(const OpDef& op, MathMode mode, const Amount& amount,
                                 const std::vector<MathMode>& modes) {
  if (!op.cases || op.host || op.view) return {};
  Collector out(op, mode, amount.seed);
  std::size_t turn = hash_of(op.name) % 97;
  std::vector<OpCase> bases = bases_of(op, turn);
  if (amount.alone) {
    if (op.pointwise() && turn % 4 != 0) return {};
    bases.resize(std::min<std::size_t>(bases.size(), 1));
  }
  for (const OpCase& c : bases) {
    const std::vector<std::string> properties = properties_of(op, c, mode, modes, turn);
    for (std::size_t k = 0; k < properties.size(); ++k, ++turn) {
      if (op.pointwise() && (k + turn) % 3 != 0) continue;
      const bool is_empty_first = properties[k].starts_with("empty");
      out.add(c,
              is_empty_first ? Layout::transposed
              : turn % 2     ? Layout::dense
                             : layout_at(turn, op, c),
              properties[k]);
      if (is_empty_first) out.add(c, Layout::padded_rows, properties[k]);
    }
    for (std::size_t k = 0; k < (op.pointwise() ? 1u : 2u); ++k, ++turn) {
      const Layout layout = layout_at(turn, op, c), other = layout_at(turn + 3, op, c);
      if (layout == Layout::dense) break;
      out.add(c, layout, "layout.dense");
      out.add(c, Layout::dense, "layout." + name_of(layout));
      if (other != layout && !op.pointwise()) out.add(c, layout, "layout." + name_of(other));
    }
  }
  return out.take();
}

}  // namespace lockstep::conformance
