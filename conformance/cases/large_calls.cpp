#include "conformance/cases/large_calls.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/large_parts.h"
#include "conformance/cases/lines.h"
#include "conformance/cases/values.h"

namespace lockstep::conformance {
namespace {

using namespace large;

// Around the sizes of blocks, stacks of partial sums and 16-bit counters.
constexpr std::int64_t middle_extents[] = {257, 256, 255, 192, 144, 131, 129, 128, 127, 96, 65, 64, 48, 33};
constexpr std::int64_t long_extents[] = {65537, 70001, 65536, 32769, 131085, 16411, 65535, 4099, 16384};
constexpr std::uint64_t stream = 3;  // of random choices

// All extents of medium size, raised in random order as far as that is affordable.
std::optional<OpCase> balanced(const OpDef& op, const Base& base, Choice& choice) {
  Extents extents = smallest_extents(op, base);
  std::optional<OpCase> best = at(op, base, extents);
  std::vector<std::size_t> order;
  for (std::size_t g = 0; g < extents.size(); ++g) {
    order.insert(order.begin() + static_cast<std::ptrdiff_t>(choice.below(g + 1)), g);
  }
  for (const std::size_t g : order) {
    const std::int64_t before = extents[g];
    for (std::size_t k = choice.below(6); k < std::size(middle_extents); ++k) {
      extents[g] = middle_extents[k];
      auto c = at(op, base, extents);
      if (!c) continue;
      best = std::move(c);
      break;
    }
    if (!best || !at(op, base, extents)) extents[g] = before;
  }
  return best;
}

// One long extent. The others are those of the op's own case if that is affordable, else minimal.
std::optional<OpCase> with_long(const OpDef& op, const Base& base, std::size_t g, Choice& choice) {
  Extents small = smallest_extents(op, base), own = base.extents();
  for (std::size_t k = choice.below(4); k < std::size(long_extents); ++k) {
    small[g] = own[g] = long_extents[k];
    if (auto c = at(op, base, own)) return c;
    if (auto c = at(op, base, small)) return c;
  }
  return std::nullopt;
}

// Whether the op does little per element.
bool is_cheap(const OpDef& op) {
  for (const char* name : {"sum", "copy", "max", "min", "argmax", "gather", "random_bits"}) {
    if (op.name == name) return true;
  }
  return false;
}

// One extent beyond 20-bit counters, or beyond 24-bit counters for ops that do little per element.
std::optional<OpCase> huge(const OpDef& op, const Base& base, std::size_t g) {
  if (is_composed(op)) return std::nullopt;
  const bool cheap = is_cheap(op);
  Extents extents = smallest_extents(op, base);
  extents[g] = cheap ? (std::int64_t{1} << 24) + 3 : (std::int64_t{1} << 20) + 1;
  auto c = resized(op, base.call, base.groups, extents);
  const auto most = static_cast<std::int64_t>(cheap ? 1.1 * 0x1p24 : 2.2 * 0x1p20);
  return c && elements_of(op, *c) <= most && steps_of(op, *c) <= 0x1p25 ? c : std::nullopt;
}

// `count` large calls, alternately balanced and with one long extent.
void add_large(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases, int count,
               Choice& choice) {
  const std::size_t start = count < 3 ? 0 : choice.below(6);  // few start with wide values
  for (std::size_t n = 0; n < static_cast<std::size_t>(count); ++n) {
    const Base& base = bases[n / 2 % bases.size()];
    const auto c = n % 2 == 0 ? balanced(op, base, choice) : with_long(op, base, (n / 2) % base.groups.size(), choice);
    if (!c) continue;
    const Layout layout = (n / 2 + start) % 2 == 0 ? Layout::dense : fitting_layout(op, *c, choice, false);
    out.add("beside", c, layout, values_at(n / 2 + n + start, op, *c, mode));
    // An operand that is read with reduced precision shows only if its own values need all bits.
    for (Values values : {Values::wide_first, Values::wide_last}) {
      if (mode != MathMode::lockstep && n % 2 == 0 && applies(values, op, *c)) out.add("beside", c, layout, values);
    }
  }
}

// Sums of few numbers that are not zero, and so of many bits, however long they are.
void add_sparse(Collector& out, const OpDef& op, const std::optional<OpCase>& c) {
  for (const Values values : {Values::sparse_first, Values::sparse_last}) {
    if (c && applies(values, op, *c)) out.add("beside", c, Layout::dense, values);
  }
}

// One extent around every power of two from 2^5 to 2^18, for ops with their own kernels.
void add_powers(Collector& out, const OpDef& op, const Base& base) {
  const std::uint64_t hash = hash_of(op.name);
  for (unsigned k = 5; k <= 18; ++k) {
    Extents extents = smallest_extents(op, base);
    extents[(hash + k) % extents.size()] = (std::int64_t{1} << k) + static_cast<std::int64_t>((hash / 7 + k) % 3) - 1;
    if (const auto c = at(op, base, extents)) {
      out.add("beside", c, Layout::dense, values_at(hash / 5 + k, op, *c, MathMode::strict));
      if (k >= 15) add_sparse(out, op, c);
    }
  }
}

// The same bits each time, on values for which another order of addition gives other bits.
void add_repeats(Collector& out, const OpDef& op, const std::vector<Base>& bases, int count, Choice& choice) {
  for (std::size_t n = 0; n < static_cast<std::size_t>(count); ++n) {
    const Base& base = bases[n % bases.size()];
    const auto c =
        n % 3 < 2 ? balanced(op, base, choice) : with_long(op, base, choice.below(base.groups.size()), choice);
    if (c) out.add("repeat", c, Layout::dense, applies(Values::spread, op, *c) ? Values::spread : Values::drawn);
  }
}

// Whether the result has one element for each line of the only operand.
bool has_one_result_per_line(const TestCase& t) {
  if (t.call.inputs.size() != 1) return false;
  const Shape& x = t.call.inputs[0].shape;
  return (*infer_outputs(*t.op, t.call))[0].shape.size() * line_length(t, x) == x.size();
}

// Whether the op chooses each result among several elements.
bool chooses(const OpDef& op, const OpCase& c) {
  const TestCase t = test_case_of(op, c);
  return op.error_class == ErrorClass::exact && has_one_result_per_line(t) && line_length(t, c.inputs[0].shape) > 1;
}

// Values for which the trusted device's result is the only right one, and shows most.
Values clear_values(const OpDef& op, const OpCase& c) {
  if (chooses(op, c)) return applies(Values::extremes, op, c) ? Values::extremes : Values::drawn;
  if (op.error_class != ErrorClass::sum) return Values::drawn;
  if (divides_sums(op) && applies(Values::counted, op, c)) return Values::counted;
  return applies(Values::exact, op, c) ? Values::exact : Values::drawn;
}

// Huge extents of the first base that can have them; if `few`, one extent of cheap ops only.
void add_huge(Collector& out, const OpDef& op, const std::vector<Base>& bases, bool few) {
  if (few && !is_cheap(op)) return;
  for (const Base& base : bases) {
    bool found = false;
    for (std::size_t g = 0; g < base.groups.size() && !(few && found); ++g) {
      const auto c = huge(op, base, g);
      if (!c) continue;
      found = true;
      out.add("beside", c, Layout::dense, clear_values(op, *c));
      if (!few) add_sparse(out, op, c);
    }
    if (found || op.pointwise()) return;
  }
}

// One extent as long as a large vocabulary, for ops that are composed of others.
void add_vocabularies(Collector& out, const OpDef& op, const Base& base) {
  const bool sorts = op.name == "argsort" || op.name == "random_permutation";  // slow on the trusted device
  if (!is_composed(op) || op.error_class == ErrorClass::sum || sorts) return;
  constexpr std::int64_t vocabulary = 131085;
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    Extents extents = smallest_extents(op, base);
    extents[g] = vocabulary;
    const auto c = resized(op, base.call, base.groups, extents);
    if (!c || elements_of(op, *c) > 2 * vocabulary) continue;
    out.add("beside", c, Layout::dense, Values::drawn);
    if (applies(Values::peaks, op, *c)) out.add("beside", c, Layout::dense, Values::peaks);
  }
}

// The largest extent that all other groups can have beside one of this extent.
std::int64_t share_beside(std::int64_t extent, const Base& base) {
  const double room = static_cast<double>(max_elements) / static_cast<double>(extent);
  return static_cast<std::int64_t>(std::pow(room, 1 / std::max(1.0, static_cast<double>(base.groups.size()) - 1)));
}

// Long lines to choose from, among many other lines if that is affordable, else among few.
void add_choices(Collector& out, const OpDef& op, const Base& base) {
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    for (const std::int64_t extent : {1025, 70001, 70002, 70003}) {
      // Other kinds for a line without others beside it.
      if (extent > 70001 && (base.groups.size() > 1 || !chooses(op, base.call))) continue;
      Extents extents(base.groups.size(), share_beside(extent, base)), small = smallest_extents(op, base);
      extents[g] = small[g] = extent;
      auto c = at(op, base, extents);
      if (!c) c = at(op, base, small);
      if (c && applies(Values::extremes, op, *c)) out.add("beside", c, Layout::dense, Values::extremes);
    }
  }
}

// The group of the only dimension of the first operand along which the op chooses, if its result is the rest of that
// operand; nullopt if there is no such dimension, or no other one.
std::optional<std::size_t> group_of_line(const OpDef& op, const Base& base) {
  const TestCase t = test_case_of(op, base.call);
  if (base.groups.size() < 2 || !has_one_result_per_line(t)) return std::nullopt;
  const std::vector<bool> along = line_dimensions(t, base.call.inputs[0].shape);
  if (std::count(along.begin(), along.end(), true) != 1) return std::nullopt;
  const int line = static_cast<int>(std::find(along.begin(), along.end(), true) - along.begin());
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    if (base.groups[g].dims.size() == 1 && base.groups[g].dims[0].dim == line) return g;
  }
  return std::nullopt;
}

// In modes that get few other cases: lines to choose from that end behind a power of two, along the last dimension and
// along another one. They are so many that each place in a line has the answer of every kind.
void add_lines(Collector& out, const OpDef& op, const std::vector<Base>& bases) {
  constexpr std::int64_t lines = 184;
  bool found[2] = {false, false};
  for (const Base& base : bases) {
    const auto g = group_of_line(op, base);
    if (!g) continue;
    const bool last = base.groups[*g].dims[0].dim + 1 == base.call.inputs[0].shape.rank();
    if (found[last]) continue;
    const double others = static_cast<double>(base.groups.size()) - 1;
    const auto share = static_cast<std::int64_t>(std::ceil(std::pow(static_cast<double>(lines), 1 / others) - 1e-9));
    Extents extents(base.groups.size(), share);
    extents[*g] = last ? 1025 : 257;
    const auto c = at(op, base, extents);
    if (!c || !applies(Values::extremes, op, *c)) continue;
    out.add("beside", c, Layout::dense, Values::extremes);
    found[last] = true;
  }
}

// Lines along the last dimension of whole vectors, and long ones with gaps behind them.
void add_dense_and_padded_lines(Collector& out, const OpDef& op, const std::vector<Base>& bases) {
  struct Line {
    std::int64_t extent;
    Layout layout;
  };
  for (const Base& base : bases) {
    const auto g = group_of_line(op, base);
    if (!g || base.call.inputs[0].shape.rank() != 2 || base.groups[*g].dims[0].dim != 1) continue;
    for (const auto& [extent, layout] :
         {Line{64, Layout::dense}, Line{1024, Layout::dense}, Line{1031, Layout::padded_rows}}) {
      Extents extents(base.groups.size(), 9);
      extents[*g] = extent;
      const auto c = resized(op, base.call, base.groups, extents);
      if (!c) continue;
      out.add("beside", c, layout, clear_values(op, *c));
    }
    return;
  }
}

// Windows that overlap and are padded, on channels of many whole vectors.
void add_pooled_channels(Collector& out, const OpDef& op, const std::vector<Base>& bases) {
  for (const Base& base : bases) {
    Extents extents = base.extents();
    for (std::size_t g = 0; g < extents.size(); ++g) {
      if (base.groups[g].has(0, 3)) extents[g] = extents[g] == 16 ? 64 : 0;
    }
    if (extents == base.extents() || std::count(extents.begin(), extents.end(), 0) > 0) continue;
    const auto c = resized(op, base.call, base.groups, extents);
    out.add("forward", c, Layout::dense, Values::drawn);
  }
}

// Sums of many terms that have many results. Unless `thorough`, with one kind of values.
void add_wide_sums(Collector& out, const OpDef& op, const Base& base, bool thorough) {
  constexpr std::int64_t line = 1025, max_others = 80, min_terms = 256, min_results = 16;
  if (base.call.inputs.size() != 1) return;
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    Extents extents(base.groups.size(), std::min(max_others, share_beside(line, base)));
    extents[g] = line;
    // Not at(): means are composed, but cheap on the trusted device all the same.
    const auto c = resized(op, base.call, base.groups, extents);
    if (!c || elements_of(op, *c) > max_elements) continue;
    const std::int64_t results = (*infer_outputs(op, *c))[0].shape.size();
    if (results < min_results || c->inputs[0].shape.size() < min_terms * results) continue;
    bool added = false;
    for (const Values values : {Values::counted, Values::wide_first, Values::exact, Values::bits}) {
      // Means of other values are not exact.
      if (!applies(values, op, *c) || (divides_sums(op) && values != Values::counted) || (added && !thorough)) continue;
      out.add("beside", c, Layout::dense, values);
      added = true;
    }
    if (thorough && !divides_sums(op)) add_special_values(out, op, c);
  }
}

std::vector<Base> bases_of(const OpDef& op, const std::vector<OpCase>& own, DType dtype) {
  std::vector<Base> bases;
  for (const OpCase& c : own) {
    if (c.error || dtype_of(op, c) != dtype || elements_of(op, c) == 0) continue;
    Base base{c, extent_groups(op, c)};
    if (!base.groups.empty()) bases.push_back(std::move(base));
  }
  return bases;
}

// The number of large calls for a dtype.
int large_count(const OpDef& op, MathMode mode, bool main) {
  const bool sums = op.error_class == ErrorClass::sum;
  if (mode != MathMode::strict) return main ? (sums ? 4 : 2) : sums ? 1 : 0;
  if (!main) return op.pointwise() ? 1 : sums ? 4 : 2;
  return sums ? 12 : op.pointwise() ? 3 : 8;
}

// Whether the op has attributes that may fix extents.
bool depends_on_attributes(const OpDef& op) {
  return std::any_of(op.attrs.fields.begin(), op.attrs.fields.end(), [](const AttrField& field) {
    return field.storage != AttrField::Storage::real && field.argument.kind != ArgumentKind::dtype;
  });
}

// One case for each dtype of the operands and of the result.
void add_sizes(Collector& out, const OpDef& op, const std::vector<OpCase>& own) {
  std::set<std::pair<DType, DType>> seen;
  for (const OpCase& c : own) {
    const bool has_tensor =
        std::any_of(c.inputs.begin(), c.inputs.end(), [](const CaseInput& in) { return !in.absent && !in.scalar; });
    if (c.error || !has_tensor) continue;
    if (seen.insert({dtype_of(op, c), (*infer_outputs(op, c))[0].dtype}).second) {
      out.add("sizes", c, Layout::dense, Values::drawn, false);
    }
  }
}

// More keys than the trusted device can sort in reasonable time. The order is checked by its properties.
void add_long_sort(Collector& out, const OpDef& op, const std::vector<OpCase>& own) {
  const OpCase& first = own.front();
  out.add("beside", resized(op, first, extent_groups(op, first), {long_sort}), Layout::dense, Values::drawn);
}

// Sums along a line of more than 16-bit counters count, from both ends.
void add_long_scans(Collector& out, const OpDef& op, const std::vector<Base>& bases) {
  if (op.name != "cumsum") return;
  for (const Base* base : unlike_bases(op, bases)) {
    if (largest_rank(base->call) != 1) continue;
    const auto c = resized(op, base->call, base->groups, {70001});
    out.add("beside", c, Layout::dense, Values::exact);
    add_sparse(out, op, c);
  }
}

}  // namespace

std::vector<std::int64_t> sizes_of(const TestCase& t) {
  const std::uint64_t hash = hash_of(t.op->name + std::string(lockstep::name_of(t.dtype())));
  const bool main = t.dtype() == DType::f32 || t.dtype() == DType::i32;
  std::vector<std::int64_t> sizes;
  for (int k = 1; k <= (main ? 12 : 7); ++k) {
    for (std::int64_t offset : {-1, 0, 1}) sizes.push_back((std::int64_t{1} << k) + offset);
  }
  // An op and dtype gets one of the three sizes around each larger power of two. Counters of 20 to 24 bits end below
  // the largest size of ops that do little per element, those of 20 to 22 bits below that of other ops.
  for (int k = main ? 13 : 8; k <= (main ? 20 : 14); ++k) {
    sizes.push_back((std::int64_t{1} << k) + static_cast<std::int64_t>((hash + static_cast<unsigned>(k)) % 3) - 1);
  }
  if (t.dtype() == DType::f32) {
    const int largest = t.op->error_class <= ErrorClass::rounded ? 24 : 22;
    sizes.push_back((std::int64_t{1} << largest) + 1 + static_cast<std::int64_t>(hash % 3));
  }
  if (t.dtype() == DType::i32 && hash % 5 == 0) {
    sizes.push_back((std::int64_t{1} << (21 + hash / 5 % 4)) + (hash / 20 % 2 ? 1 : -1));
  }
  return sizes;
}

std::vector<TestCase> large_call_cases(const OpDef& op, MathMode mode, const Amount& amount) {
  if (!op.cases || op.host) return {};
  Collector out(op, mode, amount.seed);
  const std::vector<OpCase> own = op.cases();
  std::set<DType> dtypes;
  for (const OpCase& c : own) {
    if (!c.error) dtypes.insert(dtype_of(op, c));
  }
  const bool strict = mode == MathMode::strict, sums = op.error_class == ErrorClass::sum;
  for (const DType dtype : dtypes) {
    const std::vector<Base> bases = bases_of(op, own, dtype);
    if (bases.empty()) continue;
    const bool main = dtype == main_dtype(dtypes);
    Choice choice(hash_of(op.name + std::string(name_of(dtype)) + std::string(name_of(mode)) + "large") ^ amount.seed,
                  stream);
    add_large(out, op, mode, bases, large_count(op, mode, main), choice);
    if (sums) add_products(out, op, mode, bases, main);
    if (sums && (strict || (main && mode == MathMode::fast))) {
      for (const Base* base : unlike_bases(op, bases)) add_wide_sums(out, op, *base, main);
    }
    add_rows(out, op, mode, bases, main, choice);
    if (!op.pointwise()) add_dense_and_padded_lines(out, op, bases);
    if (op.name.find("pool2d") != std::string::npos) add_pooled_channels(out, op, bases);
    if (!strict) {
      if (op.error_class == ErrorClass::exact && !op.pointwise()) add_lines(out, op, bases);
      if (amount.alone && (main || op.name == "random_bits")) add_huge(out, op, bases, true);
      continue;
    }
    if (sums || (op.error_class == ErrorClass::composed && !op.pointwise())) {
      add_repeats(out, op, bases, main ? 5 : 1, choice);
    }
    if (!op.pointwise() && op.error_class == ErrorClass::exact) {
      for (int n = 0; n < (main ? 3 : 1); ++n) add_choices(out, op, bases[choice.below(bases.size())]);
      const auto vector =
          std::find_if(bases.begin(), bases.end(), [](const Base& b) { return largest_rank(b.call) == 1; });
      if (vector != bases.end()) add_choices(out, op, *vector);
    }
    add_vocabularies(out, op, bases[0]);
    if (!main) {
      if (op.name == "random_bits") add_huge(out, op, bases, false);
      continue;
    }
    if (!op.pointwise()) add_powers(out, op, bases[0]);
    add_huge(out, op, bases, false);
    add_long_scans(out, op, bases);
  }
  if (strict && op.pointwise() && !depends_on_attributes(op)) add_sizes(out, op, own);
  if (strict && (op.name == "argsort" || op.name == "random_permutation")) add_long_sort(out, op, own);
  return out.take();
}

}  // namespace lockstep::conformance
