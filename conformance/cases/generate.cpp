#include "conformance/cases/generate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "conformance/cases/attributes.h"
#include "conformance/cases/choice_values.h"
#include "conformance/cases/collector.h"
#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/ranks.h"
#include "conformance/cases/unique_cases.h"
#include "conformance/cases/values.h"

namespace lockstep::conformance {
namespace {

// The oracle takes tens of nanoseconds per step.
constexpr double max_steps = 1.5e6;
// More than a 16-bit counter holds: of elements, or of blocks in a grid.
constexpr std::int64_t beyond_16_bits = 65537;
// The number and length of rows with peaks: enough rows to have a peak in every kind of place; and fewer rows that are
// longer than blocks of a few thousand elements.
constexpr std::int64_t peak_rows = 36, peak_row = 1100, long_peak_rows = 4, long_peak_row = 9001;
// Wide rows for each of many indices take long, and say nothing about the check of indices.
constexpr double max_beside_indices = 1 << 20;
constexpr std::uint64_t stream = 17;  // of random choices

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

// Long rows of exponentials, along each dimension in turn. Unless `thorough`, only the longest.
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

// The dtype of the first indices among the inputs; nullopt if there are none.
std::optional<DType> dtype_of_indices(const OpCase& c) {
  for (const CaseInput& in : c.inputs) {
    if (!in.absent && !in.scalar && in.values.kind == CaseValues::Kind::indices) return in.dtype;
  }
  return std::nullopt;
}

// Calls that must be refused because of one out-of-range index, at many positions. Unless `thorough`, only the first
// base with indices of each dtype.
void add_bad_indices(Collector& out, const OpDef& op, const std::vector<Base>& bases, bool thorough) {
  std::set<std::optional<DType>> seen;
  for (const Base& base : bases) {
    if (!checks_indices(op, base.call)) continue;
    if (!thorough) {
      if (seen.insert(dtype_of_indices(base.call)).second) {
        out.add("refusal", base.call, false, Layout::dense, Values::bad_index);
      }
      continue;
    }
    for (std::size_t g = 0; g < base.groups.size(); ++g) {
      const auto has_indices = [&](const ExtentGroup::Dimension& d) {
        return base.call.inputs[d.input].values.kind == CaseValues::Kind::indices;
      };
      if (std::none_of(base.groups[g].dims.begin(), base.groups[g].dims.end(), has_indices)) continue;
      std::vector<std::int64_t> extents = base.extents();
      extents[g] = beyond_16_bits + 77;
      const auto c = resized(op, base.call, base.groups, extents);
      if (c && total_elements(op, *c) <= max_beside_indices)
        out.add("refusal", *c, true, Layout::dense, Values::bad_index);
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

// The first base with several extents, all of them equal: to the first number that the oracle can afford.
std::optional<OpCase> with_equal_extents(const OpDef& op, const std::vector<Base>& bases,
                                         std::initializer_list<std::int64_t> numbers) {
  const auto base = std::find_if(bases.begin(), bases.end(), [](const Base& b) { return b.groups.size() >= 2; });
  if (base == bases.end()) return std::nullopt;
  for (const std::int64_t extent : numbers) {
    const std::vector<std::int64_t> extents(base->groups.size(), extent);
    auto c = resized(op, base->call, base->groups, extents);
    if (c && cost_of(op, *c, extents) <= max_steps / 4) return c;
  }
  return std::nullopt;
}

// Every layout, with extents of several blocks of 16 or 32 and a tail.
void add_uneven_layouts(Collector& out, const OpDef& op, const std::vector<Base>& bases) {
  const auto c = with_equal_extents(op, bases, {67, 35, 19, 9});
  for (Layout layout : layouts) {
    if (c) out.add("forward", *c, true, layout);
  }
}

// Rows of whole vectors of several elements, also in tensors that do not begin at such a vector.
void add_whole_vectors(Collector& out, const OpDef& op, const std::vector<Base>& bases) {
  const auto c = with_equal_extents(op, bases, {64, 32, 16, 8});
  if (!c) return;
  for (Layout layout : {Layout::offset, Layout::eight_bytes_in, Layout::sixteen_bytes_in, Layout::dense}) {
    out.add("forward", *c, true, layout);
  }
}

// Pointwise programs in which an operand is repeated along rows of whole vectors, or along whole vectors of rows: one
// of the op's cases that do so.
void add_repeated_vectors(Collector& out, const OpDef& op, const std::vector<Base>& bases, std::size_t turn) {
  std::vector<const Base*> repeating;
  for (const Base& base : bases) {
    const std::vector<CaseInput>& in = base.call.inputs;
    const bool unlike = std::any_of(
        in.begin(), in.end(), [&](const CaseInput& other) { return !other.scalar && !(other.shape == in[0].shape); });
    if (unlike && largest_rank(base.call) <= 3) repeating.push_back(&base);
  }
  if (repeating.empty()) return;
  const Base& base = *repeating[turn % repeating.size()];
  const auto c = resized(op, base.call, base.groups, std::vector<std::int64_t>(base.groups.size(), 16));
  if (c) out.add("forward", *c, true);
}

// One operand has gaps, and all others are dense: the case with the most operands, and the first one.
void add_alone(Collector& out, const OpDef& op, const std::vector<Base>& bases) {
  if (op.pointwise()) return;
  const auto most = std::max_element(bases.begin(), bases.end(), [](const Base& a, const Base& b) {
    return tensor_count(a.call) < tensor_count(b.call);
  });
  for (const OpCase* c : {&bases[0].call, &most->call}) {
    if (tensor_count(*c) < 2) continue;
    for (Layout layout : {Layout::first_alone, Layout::last_alone}) out.add("forward", *c, false, layout);
  }
}

void add_copies(Collector& out, const OpDef& op, const OpCase& call, const std::vector<std::int64_t>& extents,
                std::initializer_list<Layout> layouts) {
  const auto c = resized(op, call, extent_groups(op, call), extents);
  for (Layout layout : layouts) {
    if (c) out.add("forward", *c, true, layout);
  }
}

// Copies in which two dimensions of a batch change places, both longer than a block of 32.
void add_batched_transposes(Collector& out, const OpDef& op, const std::vector<Base>& bases) {
  const auto base = std::find_if(bases.begin(), bases.end(), [](const Base& b) { return largest_rank(b.call) == 3; });
  if (op.name != "copy" || base == bases.end()) return;
  const auto call = with_rank(op, base->call, 4);
  if (!call) return;
  add_copies(out, op, *call, {2, 35, 3, 67},
             {Layout::channels_second, Layout::channels_last, Layout::first_two_swapped});
  add_copies(out, op, *call, {2, 3, 35, 67}, {Layout::last_two_swapped});
  add_copies(out, op, *call, {2, 35, 67, 3}, {Layout::middles_swapped});
}

// Transposes that whole blocks of 32 fill, of one matrix and of several.
void add_whole_transposes(Collector& out, const OpDef& op, const std::vector<Base>& bases) {
  if (op.name != "copy") return;
  const auto add = [&](const std::vector<std::int64_t>& extents, Layout layout) {
    const auto base =
        std::find_if(bases.begin(), bases.end(), [&](const Base& b) { return b.groups.size() == extents.size(); });
    if (base != bases.end()) add_copies(out, op, base->call, extents, {layout});
  };
  add({64, 96}, Layout::transposed);
  add({3, 64, 32}, Layout::last_two_swapped);
}

// Conversions of several blocks of elements: ties and special numbers at every position of a vector.
void add_long_conversions(Collector& out, const OpDef& op, const std::vector<Base>& bases) {
  for (const Base& base : bases) {
    if (!converts(op, base.call) || base.groups.size() != 2) continue;
    const auto c = resized(op, base.call, base.groups, {5, 257});
    if (!c) continue;
    for (Values values : {Values::ties, Values::corners}) out.add("forward", *c, true, Layout::dense, values);
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
    for (const Layout layout :
         {mixed_layout(Layout::dense, Layout::transposed), mixed_layout(Layout::transposed, Layout::dense),
          mixed_layout(Layout::dense, Layout::last_two_swapped),
          mixed_layout(Layout::dense, Layout::first_two_swapped)}) {
      out.add("forward", c, is_resized, layout);
    }
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
    for (const Base* base : bases) {
      if (add(*base, rank, view)) return;
    }
  };
  if (!main && op.pointwise()) return add_first(5 + static_cast<int>(turn % 4), false);
  add_first(5, main);
  add_first(8, main);
  for (const Base* base : bases) {
    if (main && !op.pointwise()) add(*base, 6 + static_cast<int>(turn++ % 2), false);
  }
  // More dimensions in front, as where softmax runs along the last of four.
  for (const Base* base : bases) {
    const auto c = with_rank(op, base->call, largest_rank(base->call) + 1 + static_cast<int>(turn++ % 2), true);
    if (c && cost_of(op, *c, {}) <= max_elements) out.add("forward", *c, false);
  }
}

}  // namespace

Values values_for(const OpDef& op, const OpCase& c, MathMode mode, Values wanted) {
  if (wanted == Values::bad_index || wanted == Values::counted) return wanted;
  const bool shortens = may_shorten(mode, dtype_of(op, c));
  // The bound of a long or half-width sum in fast mode is so wide that a finite result would pass too.
  const bool has_tight_bound = !shortens || (largest_input(c) <= 1500 && !is_half_width(dtype_of(op, c)));
  if (wanted == Values::huge && has_tight_bound) return wanted;
  if (op.error_class != ErrorClass::sum || !applies(Values::exact, op, c)) return wanted;
  // Values that are exact in every format that fast mode may use.
  const bool has_infinities = wanted == Values::special || wanted == Values::infinite;
  const bool is_wide = wanted == Values::wide_first || wanted == Values::wide_last;
  if (shortens && (!is_wide || divides_sums(op))) return has_infinities ? Values::infinite : Values::exact;
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
    out.add("forward", c, false, Layout::dense, Values::huge);
    out.add("forward", c, false, Layout::dense, Values::ends);
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
    if (!may_shorten(mode, dtype_of(op, c)) && op.error_class == ErrorClass::sum) {
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
    // Each kind of values, with the first base that takes it.
    for (Values values : value_kinds) {
      const auto base =
          std::find_if(bases.begin(), bases.end(), [&](const Base& b) { return applies(values, op, b.call); });
      if (base != bases.end()) out.add("forward", base->call, false, Layout::dense, values);
    }
    // The largest case has room for all pairs of corner values. With `shared`, each value is paired with itself.
    const auto largest = std::max_element(bases.begin(), bases.end(), [](const Base& a, const Base& b) {
      return largest_input(a.call) < largest_input(b.call);
    });
    out.add("forward", largest->call, false, Layout::dense, Values::corners);
    out.add("forward", largest->call, false, Layout::shared, Values::corners);
    add_bad_indices(out, op, bases, main || (mode == MathMode::strict && dtype == DType::i64));
    add_ranks(out, op, unlike_bases(op, bases), main && mode != MathMode::lockstep,
              hash_of(op.name + std::string(name_of(dtype))));
    if (mode == MathMode::strict) {
      add_batched_transposes(out, op, bases);
      add_whole_transposes(out, op, bases);
      add_long_conversions(out, op, bases);
      if (main || !op.pointwise()) add_whole_vectors(out, op, bases);
      if (op.pointwise()) {
        add_repeated_vectors(out, op, bases, hash_of(op.name) / 7 + static_cast<std::size_t>(dtype));
      }
    }
    if (main || mode == MathMode::strict) add_alone(out, op, bases);
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
      if (dtype == DType::f32) add_alone(out, op, bases);
    }
    const OpCase* largest = *std::max_element(cases.begin(), cases.end(), [](const OpCase* a, const OpCase* b) {
      return largest_input(*a) < largest_input(*b);
    });
    for (const OpCase* c : {cases.front(), largest}) {
      for (Values values :
           {Values::special, Values::corners, Values::extremes, Values::bits, Values::ties, Values::ends}) {
        out.add("forward", *c, false, Layout::dense, values);
      }
    }
  }
  return out.take();
}

}  // namespace lockstep::conformance
