#include "conformance/cases/large_calls.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "conformance/cases/attributes.h"
#include "conformance/cases/extents.h"
#include "conformance/cases/unique_cases.h"
#include "conformance/cases/values.h"

namespace lockstep::conformance {
namespace {

// Around the sizes of blocks, stacks of partial sums and 16-bit counters.
constexpr std::int64_t middle_extents[] = {257, 256, 255, 192, 144, 131, 129, 128, 127, 96, 65, 64, 48, 33};
constexpr std::int64_t long_extents[] = {65537, 70001, 65536, 32769, 131085, 16411, 65535, 4099, 16384};
constexpr double max_steps = 2e7;    // of ops that sum
constexpr std::uint64_t stream = 3;  // of random choices
// Limits on the number of elements. Composed ops are slow on the trusted device, and pointwise programs have the suite
// "sizes".
constexpr std::int64_t max_elements = 300000, max_program_elements = 150000, max_composed = 30000;

double count_of(const Shape& shape) { return static_cast<double>(std::max<std::int64_t>(shape.size(), 1)); }

std::int64_t elements_of(const OpDef& op, const OpCase& c) {
  std::int64_t most = 0;
  for (const CaseInput& in : c.inputs) most = std::max(most, in.absent || in.scalar ? 0 : in.shape.size());
  for (const TensorSpec& s : infer_outputs(op, c).value_or(std::vector<TensorSpec>()))
    most = std::max(most, s.shape.size());
  return most;
}

// The approximate number of multiplications of an op that sums products: m k n for matrices.
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

bool affordable(const OpDef& op, const OpCase& c) {
  const bool sums = op.error_class == ErrorClass::sum;
  const std::int64_t most = is_composed(op) ? max_composed : op.pointwise() ? max_program_elements : max_elements;
  return elements_of(op, c) <= most && (!sums || steps_of(op, c) <= max_steps);
}

using Extents = std::vector<std::int64_t>;

std::optional<OpCase> at(const OpDef& op, const Base& base, const Extents& extents) {
  auto c = resized(op, base.call, base.groups, extents);
  return c && affordable(op, *c) ? c : std::nullopt;
}

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
  Extents small = smallest_extents(op, base), own = small;
  for (std::size_t k = 0; k < own.size(); ++k) own[k] = base.groups[k].extent;
  for (std::size_t k = choice.below(4); k < std::size(long_extents); ++k) {
    small[g] = own[g] = long_extents[k];
    if (auto c = at(op, base, own)) return c;
    if (auto c = at(op, base, small)) return c;
  }
  return std::nullopt;
}

// One extent beyond 20-bit counters, or beyond 24-bit counters for ops that do little per element.
std::optional<OpCase> huge(const OpDef& op, const Base& base, std::size_t g) {
  if (is_composed(op)) return std::nullopt;
  const bool cheap =
      op.name == "sum" || op.name == "copy" || op.name == "max" || op.name == "argmax" || op.name == "random_bits";
  Extents extents = smallest_extents(op, base);
  extents[g] = cheap ? (std::int64_t{1} << 24) + 3 : (std::int64_t{1} << 20) + 1;
  auto c = resized(op, base.call, base.groups, extents);
  const auto most = static_cast<std::int64_t>(cheap ? 1.1 * 0x1p24 : 2.2 * 0x1p20);
  return c && elements_of(op, *c) <= most && steps_of(op, *c) <= 0x1p25 ? c : std::nullopt;
}

// The values for sums. All are exact in any order, and some need more bits than short formats hold. Integers have
// arbitrary bits.
constexpr Values sum_values[] = {Values::sparse_first, Values::exact, Values::sparse_last, Values::wide_first,
                                 Values::wide_last,    Values::exact, Values::bits};
constexpr Values fast_values[] = {Values::wide_first, Values::wide_last, Values::exact, Values::bits};
constexpr Values choice_kinds[] = {Values::extremes, Values::bits, Values::neighbours, Values::drawn};

Values values_at(std::size_t turn, const OpDef& op, const OpCase& c, MathMode mode) {
  const auto pick = [&](const auto& all) {
    for (std::size_t k = 0; k < std::size(all); ++k) {
      const Values values = all[(turn + k) % std::size(all)];
      if (applies(values, op, c)) return values;
    }
    return Values::drawn;
  };
  if (op.error_class == ErrorClass::sum && mode == MathMode::fast) return pick(fast_values);
  if (op.error_class == ErrorClass::sum && mode == MathMode::strict) return pick(sum_values);
  return op.error_class == ErrorClass::exact ? pick(choice_kinds) : Values::drawn;
}

class Collector {
 public:
  Collector(const OpDef& op, MathMode mode, std::uint64_t seed) : op_(op), mode_(mode), seed_(seed) {}

  void add(const char* suite, const std::optional<OpCase>& c, Layout layout, Values values, bool resized = true) {
    if (!c) return;
    TestCase t{suite, &op_, *c, resized, mode_, layout, values, seed_};
    // In the suite "beside", a tensor of repeated values is always dense.
    if (t.suite == "beside" && elements_of(op_, *c) > max_drawn) t.layout = Layout::dense;
    cases_.add(std::move(t));
  }
  std::vector<TestCase> take() { return cases_.take(); }

 private:
  const OpDef& op_;
  MathMode mode_;
  std::uint64_t seed_;
  UniqueCases cases_;
};

Layout layout_at(std::size_t turn, Choice& choice) {
  if (turn % 2 == 0) return Layout::dense;
  constexpr std::size_t singles = std::size(layouts);
  const std::size_t k = choice.below(singles + 6);
  if (k >= singles) return mixed_layout(static_cast<unsigned>(choice.below(mixed_layouts)));
  return layouts[k] == Layout::shared ? Layout::padded_rows : layouts[k];
}

// `count` large calls, alternately balanced and with one long extent.
void add_large(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases, int count,
               Choice& choice) {
  const std::size_t start = count < 3 ? 0 : choice.below(6);  // few start with wide values
  for (std::size_t n = 0; n < static_cast<std::size_t>(count); ++n) {
    const Base& base = bases[n / 2 % bases.size()];
    const auto c = n % 2 == 0 ? balanced(op, base, choice) : with_long(op, base, (n / 2) % base.groups.size(), choice);
    if (!c) continue;
    const Layout layout = layout_at(n / 2 + start, choice);
    out.add("beside", c, layout, values_at(n / 2 + n + start, op, *c, mode));
    // An operand that is read with reduced precision shows only if its own values need all bits.
    for (Values values : {Values::wide_first, Values::wide_last}) {
      if (mode != MathMode::lockstep && n % 2 == 0 && applies(values, op, *c)) out.add("beside", c, layout, values);
    }
  }
}

// All extents as large as large blocks, as large as affordable.
void add_cube(Collector& out, const OpDef& op, const Base& base, double steps) {
  for (const std::int64_t extent : {701, 513, 257, 131, 67}) {
    const auto c = resized(op, base.call, base.groups, Extents(base.groups.size(), extent));
    if (!c || elements_of(op, *c) > max_drawn || steps_of(op, *c) > steps) continue;
    for (Values values : {Values::wide_first, Values::wide_last, Values::bits}) {
      if (applies(values, op, *c)) out.add("beside", c, Layout::dense, values);
    }
    return;
  }
}

// Each extent as in the own case while the others are as large as affordable.
void add_slabs(Collector& out, const OpDef& op, const Base& base) {
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    for (const std::int64_t extent : {1025, 513, 257, 129}) {
      Extents extents(base.groups.size(), extent);
      extents[g] = base.groups[g].extent;
      const auto c = at(op, base, extents);
      if (!c) continue;
      for (Values values : {Values::wide_first, Values::wide_last}) {
        if (applies(values, op, *c)) out.add("beside", c, Layout::dense, values);
      }
      break;
    }
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

// One extent as long as a large vocabulary, for ops that are composed of others.
void add_vocabularies(Collector& out, const OpDef& op, const Base& base) {
  if (!is_composed(op) || op.name == "argsort") return;  // sorting takes seconds on the trusted device
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

// Long lines to choose from, among many other lines if that is affordable, else among few.
void add_choices(Collector& out, const OpDef& op, const Base& base) {
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    for (const std::int64_t extent : {1025, 70001}) {
      const double room = static_cast<double>(max_elements) / static_cast<double>(extent);
      const double share = std::pow(room, 1 / std::max(1.0, static_cast<double>(base.groups.size()) - 1));
      Extents extents(base.groups.size(), static_cast<std::int64_t>(share)), small = smallest_extents(op, base);
      extents[g] = small[g] = extent;
      auto c = at(op, base, extents);
      if (!c) c = at(op, base, small);
      if (c && applies(Values::extremes, op, *c)) out.add("beside", c, Layout::dense, Values::extremes);
    }
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

// Indices of the groups whose dimensions are all the first of their inputs, so that an input repeats along them if its
// bytes do.
std::vector<std::size_t> leading_groups(const Base& base) {
  std::vector<std::size_t> leading;
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    const ExtentGroup& group = base.groups[g];
    const bool first = !group.dims.empty() && std::all_of(group.dims.begin(), group.dims.end(),
                                                          [](const ExtentGroup::Dimension& d) { return d.dim == 0; });
    if (first && group.attributes.empty()) leading.push_back(g);
  }
  return leading;
}

// Elements of the largest tensor of a case of the suite "rows": beyond 2^18, and more.
constexpr std::int64_t many = 1 << 18;
constexpr std::int64_t row_elements[] = {many + 1, many + 5000, many + 77, 2 * many + 77, 4 * many + 99, 8 * many + 33};

// Whether results repeat if rows do: the op treats each row by itself. An axis of 0 runs across the rows.
bool treats_rows_alike(const OpDef& op, const OpCase& c) {
  // The others compare each element with one at some distance.
  for (const char* name : {"argsort", "bitonic_partner", "bitonic_exchange"}) {
    if (op.name == name) return false;
  }
  if (op.effects == Effects::random) return false;
  const std::vector<std::byte> attrs = attribute_bytes(op, c);
  for (const AttrField& field : op.attrs.fields) {
    std::int64_t first = 0;
    if (field.name == "axis") std::memcpy(&first, attrs.data() + field.offset, sizeof first);
    // The rows of gather may be those of the indices.
    if (field.name == "axis" && first == 0 && op.name != "gather") return false;
  }
  return true;
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
  Extents extents;
  for (const ExtentGroup& group : base.groups) extents.push_back(group.extent);
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

// A random layout that is not dense for this case; dense if there is none.
Layout fitting_layout(const OpDef& op, const OpCase& c, Choice& choice) {
  for (int tries = 0; tries < 20; ++tries) {
    const Layout layout = layout_at(1, choice);
    for (std::size_t i = 0; i < c.inputs.size(); ++i) {
      const CaseInput& in = c.inputs[i];
      const bool is_tensor = !in.absent && !in.scalar && in.shape.rank() > 0;
      if (is_tensor && layout_of_input(op, c, i, layout) != Layout::dense) return layout;
    }
  }
  return Layout::dense;
}

// Calls with very many rows, which repeat: the device must treat all rows alike. So the trusted device does not need
// to compute the whole result, and ops can be called that are slow there. Of a pointwise op, the first call has
// operands of several shapes and the second operands of one shape, if the op has such cases. Others are not dense.
void add_rows(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases, bool main,
              Choice& choice) {
  if (mode == MathMode::lockstep && op.error_class != ErrorClass::sum) return;
  const std::size_t count = !main ? 1 : mode == MathMode::strict ? 4 : 2;
  std::vector<std::pair<std::size_t, std::size_t>> open;  // bases and their leading groups, in random order
  for (std::size_t b = 0; b < bases.size(); ++b) {
    if (!treats_rows_alike(op, bases[b].call)) continue;
    for (const std::size_t g : leading_groups(bases[b])) {
      open.insert(open.begin() + static_cast<std::ptrdiff_t>(choice.below(open.size() + 1)), {b, g});
    }
  }
  const bool may_broadcast = op.pointwise() && std::any_of(open.begin(), open.end(), [&](const auto& at) {
                               return broadcasts(bases[at.first].call);
                             });
  for (std::size_t turn = 0; turn < count; ++turn) {
    const std::int64_t elements = row_elements[choice.below(main ? std::size(row_elements) : 3)];
    const bool is_strided = turn > 1 || (turn == 1 && !op.pointwise());
    for (auto at = open.begin(); at != open.end(); ++at) {
      const Base& base = bases[at->first];
      if (main && may_broadcast && turn < 2 && broadcasts(base.call) != (turn == 0)) continue;
      const auto c = with_many_rows(op, base, at->second, elements);
      if (!c) continue;
      const Layout layout = is_strided ? fitting_layout(op, *c, choice) : Layout::dense;
      if (is_strided && layout == Layout::dense) continue;
      out.add("rows", c, layout, values_at(choice.below(6), op, *c, mode));
      open.erase(at);
      break;
    }
  }
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
    return field.kind != AttrField::Kind::real && field.name != "dtype" && field.name != "to";
  });
}

void add_sizes(Collector& out, const OpDef& op, const std::vector<OpCase>& own) {
  std::set<DType> seen;
  for (const OpCase& c : own) {
    const bool has_tensor =
        std::any_of(c.inputs.begin(), c.inputs.end(), [](const CaseInput& in) { return !in.absent && !in.scalar; });
    if (!c.error && has_tensor && seen.insert(dtype_of(op, c)).second) {
      out.add("sizes", c, Layout::dense, Values::drawn, false);
    }
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
  // An op and dtype gets one of the three sizes around each larger power of two. Only a few get the largest sizes.
  for (int k = main ? 13 : 8; k <= (main ? 20 : 14); ++k) {
    sizes.push_back((std::int64_t{1} << k) + static_cast<std::int64_t>((hash + static_cast<unsigned>(k)) % 3) - 1);
  }
  if (main && hash % 5 == 0) sizes.push_back((std::int64_t{1} << (21 + hash / 5 % 4)) + (hash / 20 % 2 ? 1 : -1));
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
    // Products of matrices are cheap even on the trusted device.
    if (sums && mode != MathMode::lockstep) add_cube(out, op, bases[0], main ? (op.name == "matmul" ? 5e8 : 6e7) : 2e7);
    add_rows(out, op, mode, bases, main, choice);
    if (!strict) continue;
    if (sums || (op.error_class == ErrorClass::composed && !op.pointwise())) {
      add_repeats(out, op, bases, main ? 5 : 1, choice);
    }
    for (int n = 0; n < (main ? 3 : 1) && !op.pointwise() && op.error_class == ErrorClass::exact; ++n) {
      add_choices(out, op, bases[choice.below(bases.size())]);
    }
    if (!main) continue;
    if (!op.pointwise()) add_powers(out, op, bases[0]);
    if (sums) add_slabs(out, op, bases[0]);
    add_vocabularies(out, op, bases[0]);
    for (std::size_t g = 0; g < bases[0].groups.size(); ++g) {
      if (const auto c = huge(op, bases[0], g)) {
        out.add("beside", c, Layout::dense, sums ? Values::exact : Values::drawn);
      }
    }
  }
  if (strict && op.pointwise() && !depends_on_attributes(op)) add_sizes(out, op, own);
  return out.take();
}

}  // namespace lockstep::conformance
