#include "conformance/cases/generate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "conformance/cases/attributes.h"
#include "conformance/cases/choice_values.h"
#include "conformance/cases/extents.h"
#include "conformance/cases/ranks.h"
#include "conformance/cases/unique_cases.h"
#include "conformance/cases/values.h"
#include "conformance/checks/gradient.h"

namespace lockstep::conformance {
namespace {

// Extents at which kernels change behaviour: around powers of two, primes, and the sizes of registers, blocks and
// chunks.
constexpr std::int64_t short_extents[] = {1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 15, 16, 17, 19, 23, 31, 32, 33};
constexpr std::int64_t long_extents[] = {47,   63,   64,   65,   97,   127,  128,  129,  191,  251,
                                         255,  256,  257,  384,  509,  511,  512,  513,  1021, 1023,
                                         1024, 1025, 2047, 2048, 2049, 4095, 4097, 10007};

// The oracle takes tens of nanoseconds per step.
constexpr double max_steps = 1.5e6, max_elements = 40000, max_gradient_steps = 2e4;
// More than a 16-bit counter holds: of elements, or of blocks in a grid.
constexpr std::int64_t beyond_16_bits = 65537;
// The number and length of rows with peaks: enough rows to have a peak in every kind of place; and fewer rows that are
// longer than blocks of a few thousand elements.
constexpr std::int64_t peak_rows = 36, peak_row = 1100, long_peak_rows = 4, long_peak_row = 9001;
constexpr std::uint64_t stream = 17;  // of random choices

}  // namespace

std::vector<std::int64_t> smallest_extents(const OpDef& op, const Base& base) {
  std::vector<std::int64_t> extents = base.extents();
  const bool has_indices = std::any_of(base.call.inputs.begin(), base.call.inputs.end(),
                                       [](const CaseInput& in) { return in.values.kind == CaseValues::Kind::indices; });
  for (std::size_t g = 0; g < extents.size(); ++g) {
    // Indices may point into an extent that an attribute gives, such as a window.
    if (has_indices && !base.groups[g].attributes.empty()) continue;
    const std::int64_t own = extents[g];
    for (extents[g] = 1; extents[g] < own; ++extents[g]) {
      if (resized(op, base.call, base.groups, extents)) break;
    }
  }
  return extents;
}

namespace {

bool has_mutable_input(const OpDef& op) {
  return std::any_of(op.inputs.begin(), op.inputs.end(), [](const InputDef& in) { return in.mutable_; });
}

bool has_shared_inputs(const OpDef& op, const OpCase& c) {
  if (has_mutable_input(op)) return false;  // a write would change the other inputs
  for (std::size_t i = 1; i < c.inputs.size(); ++i) {
    const CaseInput &a = c.inputs[0], &b = c.inputs[i];
    if (!a.absent && !b.absent && !a.scalar && !b.scalar && a.dtype == b.dtype && a.shape == b.shape) return true;
  }
  return false;
}

bool layout_applies(Layout layout, const OpDef& op, const OpCase& c) {
  if (layout == Layout::dense) return true;
  if (layout == Layout::shared) return has_shared_inputs(op, c);
  return layout_takes_effect(layout, op, c);
}

// The first layout, from position `turn` of a fixed order on, that differs from a dense one for this case.
Layout layout_at(std::size_t turn, const OpDef& op, const OpCase& c) {
  for (std::size_t tries = 0; tries < std::size(layouts); ++tries, ++turn) {
    const Layout layout = layouts[1 + turn % (std::size(layouts) - 1)];
    if (layout_applies(layout, op, c)) return layout;
  }
  return Layout::dense;
}

std::size_t tensor_count(const OpCase& c) {
  return static_cast<std::size_t>(std::count_if(c.inputs.begin(), c.inputs.end(), [](const CaseInput& in) {
    return !in.absent && !in.scalar && in.shape.rank() > 0;
  }));
}

// Whether the op converts elements to another dtype.
bool converts(const OpDef& op, const OpCase& c) {
  if (!op.pointwise() || c.inputs.size() != 1 || c.inputs[0].absent) return false;
  const auto outputs = infer_outputs(op, c);
  return outputs && (*outputs)[0].dtype != c.inputs[0].dtype;
}

std::int64_t largest_input(const OpCase& c) {
  std::int64_t most = 0;
  for (const CaseInput& in : c.inputs) most = std::max(most, in.absent ? 0 : in.shape.size());
  return most;
}

// Collects cases without duplicate ids.
class Collector : public CaseCollector {
 public:
  using CaseCollector::CaseCollector;

  void add(const char* suite, const OpCase& call, bool resized, Layout layout = Layout::dense,
           Values values = Values::drawn) {
    if (!layout_applies(layout, op_, call) || !applies(values, op_, call)) return;
    values = values_for(op_, call, mode_, values);
    keep(make(suite, call, resized, layout, values));
  }
};

// The approximate number of steps of the oracle: the product of all variable extents, or the number of elements if that
// is larger. Infinite if there are too many elements.
double cost_of(const OpDef& op, const OpCase& c, const std::vector<std::int64_t>& extents,
               double elements_allowed = max_elements) {
  double product = 1, elements = 0;
  for (std::int64_t extent : extents) product *= static_cast<double>(std::max<std::int64_t>(extent, 1));
  for (const CaseInput& in : c.inputs) {
    if (!in.absent) elements += static_cast<double>(in.shape.size());
  }
  if (const auto outputs = infer_outputs(op, c)) {
    for (const TensorSpec& s : *outputs) elements += static_cast<double>(s.shape.size());
  }
  return std::max(product, elements > elements_allowed ? INFINITY : elements);
}

// One case with extents drawn from the lists. At most two are long; the largest is shortened until the oracle can
// afford the case.
std::optional<OpCase> draw_resized(const OpDef& op, const OpCase& base, const std::vector<ExtentGroup>& groups,
                                   Choice& choice, double steps) {
  std::vector<std::int64_t> extents;
  for (std::size_t g = 0; g < groups.size(); ++g) extents.push_back(choice.of(short_extents));
  extents[choice.below(extents.size())] = choice.of(long_extents);
  if (choice.below(2)) extents[choice.below(extents.size())] = choice.of(long_extents);
  for (int tries = 0; tries < 40; ++tries) {
    auto c = resized(op, base, groups, extents);
    if (c && cost_of(op, *c, extents) <= steps) return c;
    std::int64_t& largest = *std::max_element(extents.begin(), extents.end());
    largest = largest > 40 ? largest / 2 + 1 : choice.of(short_extents);
  }
  return std::nullopt;
}

// The op's own cases of a dtype that can be resized.
std::vector<Base> bases_of(const OpDef& op, const std::vector<OpCase>& own, DType dtype) {
  std::vector<Base> bases;
  for (const OpCase& c : own) {
    if (c.error || has_empty_input(c) || dtype_of(op, c) != dtype) continue;
    std::vector<ExtentGroup> groups = extent_groups(op, c);
    if (!groups.empty()) bases.push_back({c, std::move(groups)});
  }
  return bases;
}

// The case with this extent in group g and all others minimal; nullopt if that costs too much.
std::optional<OpCase> stretched(const OpDef& op, const Base& base, std::size_t g, std::int64_t extent) {
  std::vector<std::int64_t> extents = smallest_extents(op, base);
  extents[g] = extent;
  auto c = resized(op, base.call, base.groups, extents);
  return c && cost_of(op, *c, extents, 8.0 * beyond_16_bits) <= max_steps ? std::move(c) : std::nullopt;
}

// All extents minimal; then each extent zero, and each extent long, while the others are minimal.
void add_edges(Collector& out, const OpDef& op, const Base& base, bool beyond) {
  // An op that divides a long sum has no exact result, and the bound of such a sum is too wide to reveal errors.
  if (op.error_class == ErrorClass::sum && op.decompose) beyond = false;
  if (auto c = resized(op, base.call, base.groups, smallest_extents(op, base))) out.add("forward", *c, true);
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    for (std::int64_t extent : {std::int64_t{0}, std::int64_t{10007}, beyond_16_bits}) {
      if (extent == beyond_16_bits && !beyond) continue;
      if (const auto c = stretched(op, base, g, extent)) out.add("forward", *c, true);
    }
  }
}

// One base for each distinct combination of ranks and attributes.
std::vector<const Base*> unlike_bases(const OpDef& op, const std::vector<Base>& bases) {
  std::vector<const Base*> unlike;
  std::set<std::string> seen;
  for (const Base& base : bases) {
    std::string key;
    for (const CaseInput& in : base.call.inputs) key += std::to_string(in.absent ? -1 : in.shape.rank()) + ",";
    for (std::byte b : attribute_bytes(op, base.call)) key += static_cast<char>(b);
    if (seen.insert(key).second) unlike.push_back(&base);
  }
  return unlike;
}

// For ops that choose or move: more elements than a 16-bit counter holds, with values in which all bits matter.
void add_long_choices(Collector& out, const OpDef& op, const Base& base) {
  if (op.pointwise() || base.call.inputs.empty()) return;
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    const auto c = stretched(op, base, g, beyond_16_bits + 2);
    if (!c) continue;
    out.add("forward", *c, true, Layout::dense, Values::bits);
    // Values from a small range have ties already.
    const bool few = c->inputs[0].values.kind == CaseValues::Kind::indices;
    if (!few) out.add("forward", *c, true, Layout::dense, Values::extremes);
  }
}

// An op that divides a sum counts its terms. A 16-bit counter takes 2^16 terms for 0. About three times as many
// terms reveal a counter that saturates.
void add_long_counts(Collector& out, const OpDef& op, const Base& base) {
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    for (std::int64_t extent : {beyond_16_bits - 1, 3 * beyond_16_bits}) {
      if (const auto c = stretched(op, base, g, extent)) out.add("forward", *c, true, Layout::dense, Values::counted);
    }
  }
}

// Long rows of exponentials, along each dimension in turn. Otherwise than `thorough`, the longest alone.
void add_peaks(Collector& out, const OpDef& op, const Base& base, bool thorough) {
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    for (const auto& [rows, row] : {std::pair{peak_rows, peak_row}, std::pair{long_peak_rows, long_peak_row}}) {
      if (!thorough && row != long_peak_row) continue;
      std::vector<std::int64_t> extents(base.groups.size(), rows);
      extents[g] = row;
      const auto c = resized(op, base.call, base.groups, extents);
      if (c && cost_of(op, *c, extents, 2 * max_elements) <= max_steps) {
        out.add("forward", *c, true, Layout::dense, Values::peaks);
      }
    }
  }
}

// Calls that must be refused because of one out-of-range index, at many positions. Otherwise than `thorough`, the first
// base alone.
void add_bad_indices(Collector& out, const OpDef& op, const std::vector<Base>& bases, bool thorough) {
  for (const Base& base : bases) {
    if (!checks_indices(op, base.call)) continue;
    if (!thorough) return out.add("refusal", base.call, false, Layout::dense, Values::bad_index);
    for (std::size_t g = 0; g < base.groups.size(); ++g) {
      const auto has_indices = [&](const ExtentGroup::Dimension& d) {
        return base.call.inputs[d.input].values.kind == CaseValues::Kind::indices;
      };
      if (std::none_of(base.groups[g].dims.begin(), base.groups[g].dims.end(), has_indices)) continue;
      std::vector<std::int64_t> extents = base.extents();
      extents[g] = beyond_16_bits + 77;
      const auto c = resized(op, base.call, base.groups, extents);
      if (c) out.add("refusal", *c, true, Layout::dense, Values::bad_index);
      for (Layout layout : {Layout::dense, Layout::sliced, Layout::reversed}) {
        out.add("refusal", base.call, false, layout, Values::bad_index);
      }
      break;
    }
  }
}

void add_resized(Collector& out, const OpDef& op, const std::vector<Base>& bases, int count, Choice& choice) {
  for (int n = 0; n < count; ++n) {
    const Base& base = bases[static_cast<std::size_t>(n) % bases.size()];
    const auto c = draw_resized(op, base.call, base.groups, choice, max_steps);
    if (!c) continue;
    Values values = choice.of(value_kinds);
    if (!applies(values, op, *c)) values = Values::drawn;
    const bool mixes = tensor_count(*c) > 1 && choice.below(3) == 0;
    const Layout layout = mixes ? mixed_layout(static_cast<unsigned>(choice.below(mixed_layouts)))
                                : layout_at(choice.below(2 * std::size(layouts)), op, *c);
    out.add("forward", *c, true, layout, values);
  }
}

// Every layout, with extents of several blocks of 16 or 32 and a tail.
void add_uneven_layouts(Collector& out, const OpDef& op, const std::vector<Base>& bases) {
  const auto flat = std::find_if(bases.begin(), bases.end(), [](const Base& b) { return b.groups.size() >= 2; });
  if (flat == bases.end()) return;
  const Base& base = *flat;
  for (const std::int64_t extent : {67, 35, 19, 9}) {
    const std::vector<std::int64_t> extents(base.groups.size(), extent);
    const auto c = resized(op, base.call, base.groups, extents);
    if (!c || cost_of(op, *c, extents) > max_steps / 4) continue;
    for (Layout layout : layouts) out.add("forward", *c, true, layout);
    return;
  }
}

// The base of the highest rank that can have the layout; nullptr if there is none.
const OpCase* highest_rank_with(Layout layout, const OpDef& op, const std::vector<Base>& bases) {
  const OpCase* best = nullptr;
  for (const Base& base : bases) {
    if (!layout_applies(layout, op, base.call) || (best && largest_rank(base.call) <= largest_rank(*best))) continue;
    best = &base.call;
  }
  return best;
}

// Every layout, on the base of the highest rank that can have it and on the last base. Calls with several operands also
// get some layouts that differ per operand.
void add_layouts(Collector& out, const OpDef& op, const std::vector<Base>& bases, Choice& choice) {
  for (Layout layout : layouts) {
    for (const OpCase* c : {highest_rank_with(layout, op, bases), &bases.back().call}) {
      if (c) out.add("forward", *c, false, layout);
    }
  }
  // Inputs of the same shape that are stored in the same number of elements, in different orders.
  std::vector<std::pair<OpCase, bool>> alike;
  for (const Base& base : bases) {
    if (has_shared_inputs(op, base.call)) alike.emplace_back(base.call, false);
  }
  for (std::size_t b = 0; alike.empty() && b < bases.size(); ++b) {
    auto c = resized(op, bases[b].call, bases[b].groups, std::vector<std::int64_t>(bases[b].groups.size(), 9));
    if (c && has_shared_inputs(op, *c)) alike.emplace_back(std::move(*c), true);
  }
  for (const auto& [c, is_resized] : alike) {
    for (unsigned n : {18u, 272u, 108u, 198u}) out.add("forward", c, is_resized, mixed_layout(n));
  }
  add_uneven_layouts(out, op, bases);
  constexpr int mixes = 8;
  for (int n = 0; n < mixes; ++n) {
    const OpCase& c = bases[choice.below(bases.size())].call;
    const auto layout = mixed_layout(static_cast<unsigned>(choice.below(mixed_layouts)));
    if (tensor_count(c) > 1) out.add("forward", c, false, layout);
  }
}

// The layouts of a dtype that does not get all of them on several bases: all for ops with their own kernels, which may
// treat each dtype by itself; a few in rotation for pointwise programs.
void add_layouts_of_dtype(Collector& out, const OpDef& op, const std::vector<Base>& bases, std::size_t turn) {
  for (std::size_t n = 1; n < std::size(layouts); ++n) {
    if (op.pointwise() && (n + turn) % 6 != 0) continue;
    if (const OpCase* best = highest_rank_with(layouts[n], op, bases)) out.add("forward", *best, false, layouts[n]);
  }
}

// Calls of higher rank than the op's own cases. The main dtype gets several, the others one or two.
void add_ranks(Collector& out, const OpDef& op, const std::vector<const Base*>& bases, bool main, std::size_t turn) {
  const auto add = [&](const Base& base, int rank, bool view) {
    const auto c = with_rank(op, base.call, rank);
    if (!c || cost_of(op, *c, {}) > max_elements) return false;
    out.add("forward", *c, false);
    if (view) out.add("forward", *c, false, layout_at(turn, op, *c));
    return true;
  };
  const auto add_first = [&](int rank, bool view) {
    std::find_if(bases.begin(), bases.end(), [&](const Base* base) { return add(*base, rank, view); });
  };
  if (!main && op.pointwise()) return add_first(5 + static_cast<int>(turn % 4), false);
  add_first(5, main);
  add_first(8, main);
  for (const Base* base : bases) {
    if (main && !op.pointwise()) add(*base, 6 + static_cast<int>(turn++ % 2), false);
  }
}

}  // namespace

Values values_for(const OpDef& op, const OpCase& c, MathMode mode, Values wanted) {
  if (wanted == Values::bad_index || wanted == Values::counted) return wanted;
  if (op.error_class != ErrorClass::sum || !applies(Values::exact, op, c)) return wanted;
  // Values that are exact in every format that fast mode may use.
  const bool has_infinities = wanted == Values::special || wanted == Values::infinite;
  const bool is_wide = wanted == Values::wide_first || wanted == Values::wide_last;
  if (mode == MathMode::fast && (!is_wide || divides_sums(op)))
    return has_infinities ? Values::infinite : Values::exact;
  // The limit for `tiny` is above the size of every own case of the ops.
  const std::int64_t most = wanted == Values::cancelling ? 1500 : wanted == Values::tiny ? 11000 : 6000;
  return largest_input(c) > most && !are_exact(wanted) ? Values::exact : wanted;
}

std::vector<TestCase> forward_cases(const OpDef& op, MathMode mode, const Amount& amount) {
  Collector out(op, mode, amount.seed);
  if (!op.cases) return {};
  const std::vector<OpCase> own = op.cases();
  std::size_t turn = 0;
  std::set<DType> dtypes;
  for (const OpCase& c : own) {
    if (c.error) {
      if (mode == MathMode::strict || *c.error == ErrorId::index_out_of_range) out.add("refusal", c, false);
      continue;
    }
    dtypes.insert(dtype_of(op, c));
    out.add("forward", c, false);
    if (has_empty_input(c)) continue;
    out.add("forward", c, false, Layout::dense, Values::ties);
    out.add("forward", c, false, Layout::dense, Values::stray);
    if (converts(op, c)) out.add("forward", c, false, Layout::dense, Values::corners);
    // Fast mode has its own kernels, and only these values reveal errors in its sums.
    if (mode == MathMode::fast && op.error_class == ErrorClass::sum) {
      out.add("forward", c, false, Layout::dense, Values::infinite);
      out.add("forward", c, false, Layout::transposed, Values::infinite);
    }
    if (op.error_class == ErrorClass::composed && !op.pointwise()) {
      out.add("forward", c, false, Layout::dense, Values::infinite);
      out.add("forward", c, false, Layout::dense, Values::peaks);
    }
    // Kernels are chosen by shape, and a compiler that flushes denormals may do so in only some of them.
    if (mode != MathMode::fast && op.error_class == ErrorClass::sum) {
      out.add("forward", c, false, Layout::dense, Values::tiny);
    }
    // Each case also runs in two other layouts and with two other kinds of values, in rotation, so that all of them
    // occur.
    for (int more = 0; more < 2; ++more, ++turn) {
      out.add("forward", c, false, layout_at(turn, op, c));
      out.add("forward", c, false, Layout::dense, value_kinds[1 + turn % (std::size(value_kinds) - 1)]);
    }
  }
  for (DType dtype : dtypes) {
    const std::vector<Base> bases = bases_of(op, own, dtype);
    if (bases.empty()) continue;
    const bool main = dtype == main_dtype(dtypes);
    Choice choice(hash_of(op.name + std::string(name_of(dtype)) + std::string(name_of(mode))) ^ amount.seed, stream);
    add_resized(out, op, bases, main ? amount.resized : amount.resized / 3, choice);
    for (Values values : value_kinds) out.add("forward", bases[0].call, false, Layout::dense, values);
    // The largest case has room for all pairs of corner values. With `shared`, each value is paired with itself.
    const auto largest = std::max_element(bases.begin(), bases.end(), [](const Base& a, const Base& b) {
      return largest_input(a.call) < largest_input(b.call);
    });
    out.add("forward", largest->call, false, Layout::dense, Values::corners);
    out.add("forward", largest->call, false, Layout::shared, Values::corners);
    add_bad_indices(out, op, bases, main || (mode == MathMode::strict && dtype == DType::i64));
    add_ranks(out, op, unlike_bases(op, bases), main && mode != MathMode::lockstep,
              hash_of(op.name + std::string(name_of(dtype))));
    if (!main) {
      if (mode == MathMode::strict) add_layouts_of_dtype(out, op, bases, static_cast<std::size_t>(dtype));
      if (mode != MathMode::lockstep) add_peaks(out, op, bases[0], false);
      continue;
    }
    add_edges(out, op, bases[0], mode == MathMode::strict);
    for (const Base* base : unlike_bases(op, bases)) {
      if (mode != MathMode::strict || op.pointwise()) break;
      if (base != &bases[0] && op.error_class != ErrorClass::composed) add_edges(out, op, *base, true);
      add_long_choices(out, op, *base);
    }
    if (mode != MathMode::lockstep) add_long_counts(out, op, bases[0]);
    add_peaks(out, op, bases[0], true);
    if (auto c = resized(op, bases[0].call, bases[0].groups, std::vector<std::int64_t>(bases[0].groups.size(), 300))) {
      out.add("forward", *c, true, Layout::dense, Values::stray);
    }
    const auto max_groups = std::max_element(
        bases.begin(), bases.end(), [](const Base& a, const Base& b) { return a.groups.size() < b.groups.size(); });
    if (max_groups->groups.size() > bases[0].groups.size()) add_edges(out, op, *max_groups, mode == MathMode::strict);
    add_layouts(out, op, bases, choice);
    for (const OpCase& c : attribute_variations(op, bases, amount.attributes, amount.seed))
      out.add("forward", c, false);
  }
  return out.take();
}

namespace {

// Per dtype, the largest case below a limit, in which all pairs of corner values occur, and another case, where
// operands may broadcast or axes be removed. They have corner values or, if the op takes none, special values. The
// largest also has ordinary values, for derivatives that are small.
void add_special_gradients(Collector& out, const OpDef& op, const std::vector<OpCase>& own) {
  constexpr std::int64_t most = 1100, least = 4;
  std::map<DType, std::vector<const OpCase*>> by_dtype;
  for (const OpCase& c : own) {
    if (has_derivative(op, c) && largest_input(c) <= most && largest_input(c) >= least) {
      by_dtype[dtype_of(op, c)].push_back(&c);
    }
  }
  for (const auto& [dtype, cases] : by_dtype) {
    const OpCase* largest = *std::max_element(cases.begin(), cases.end(), [](const OpCase* a, const OpCase* b) {
      return largest_input(*a) < largest_input(*b);
    });
    const OpCase* other = cases.front() == largest ? cases.back() : cases.front();
    for (const OpCase* c : {largest, other}) {
      const Values values = applies(Values::corners, op, *c) ? Values::corners : Values::special;
      out.add("special_gradient", *c, false, Layout::dense, values);
    }
    out.add("special_gradient", *largest, false, Layout::dense, Values::drawn);
    if (!op.pointwise()) out.add("special_gradient", *largest, false, Layout::dense, Values::special);
    out.add("special_gradient", *largest, false, Layout::dense, Values::peaks);
  }
}

}  // namespace

std::vector<TestCase> own_cases(const OpDef& op, MathMode mode, const Amount& amount) {
  Collector out(op, mode, amount.seed);
  if (!op.cases) return {};
  const std::vector<OpCase> own = op.cases();
  std::size_t turn = hash_of(op.name) % 54;
  for (const OpCase& c : own) {
    if (c.error) {
      if (*c.error == ErrorId::index_out_of_range) out.add("refusal", c, false);
      continue;
    }
    out.add("forward", c, false);
    if (turn++ % 3 == 0) out.add("forward", c, false, layout_at(turn / 3, op, c));
  }
  // Short cuts of fast mode may lose NaN, infinities, the signs of zeros, ties or the last bit.
  std::map<DType, std::vector<const OpCase*>> by_dtype;
  for (const OpCase& c : own) {
    if (!c.error && !has_empty_input(c)) by_dtype[dtype_of(op, c)].push_back(&c);
  }
  for (const auto& [dtype, cases] : by_dtype) {
    const std::vector<Base> bases = bases_of(op, own, dtype);
    if (!bases.empty()) {
      add_ranks(out, op, unlike_bases(op, bases), false, hash_of(op.name + std::string(name_of(dtype))));
      add_bad_indices(out, op, bases, dtype == DType::f32);
    }
    const OpCase* largest = *std::max_element(cases.begin(), cases.end(), [](const OpCase* a, const OpCase* b) {
      return largest_input(*a) < largest_input(*b);
    });
    for (const OpCase* c : {cases.front(), largest}) {
      for (Values values : {Values::special, Values::corners, Values::extremes, Values::bits, Values::ties}) {
        out.add("forward", *c, false, Layout::dense, values);
      }
    }
  }
  return out.take();
}

std::vector<TestCase> gradient_cases(const OpDef& op, MathMode mode, const Amount& amount) {
  Collector out(op, mode, amount.seed);
  if (!op.cases) return {};
  const std::vector<OpCase> own = op.cases();
  for (const OpCase& c : own) {
    if (!has_gradient(op, c)) continue;
    // Differences take two oracle calls per compared element, and four for second order.
    std::int64_t elements = 0;
    for (const CaseInput& in : c.inputs) elements += in.absent || in.scalar ? 0 : in.shape.size();
    const bool heavy = elements > 4000;
    const bool main = mode == MathMode::strict && c.inputs[0].dtype == DType::f32;
    if (mode == MathMode::fast && (heavy || c.inputs[0].dtype != DType::f32)) continue;
    if (!heavy || main) out.add("gradient", c, false);
    if (!heavy && mode != MathMode::fast) out.add("second_gradient", c, false);
  }
  if (mode == MathMode::fast) return out.take();
  add_special_gradients(out, op, own);
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
