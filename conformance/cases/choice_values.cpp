#include "conformance/cases/choice_values.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "conformance/cases/corner_values.h"
#include "conformance/cases/draw.h"
#include "conformance/cases/float_format.h"
#include "conformance/cases/lines.h"
#include "conformance/cases/values.h"

namespace lockstep::conformance {
namespace {

constexpr long double infinity = std::numeric_limits<long double>::infinity();
constexpr std::uint64_t stream = 5;  // of the random generator

// Two neighbouring numbers of a dtype. Most formats with fewer bits cannot distinguish them.
struct Neighbours {
  long double low, high;
};
Neighbours neighbours_of(DType t) {
  switch (t) {
    case DType::i64: return {0x1p60L + 1, 0x1p60L + 2};  // no double holds them
    case DType::i32: return {0x1p30L + 1, 0x1p30L + 2};  // no float holds them
    case DType::i8: return {100, 101};
    case DType::u8: return {200, 201};
    case DType::boolean: return {0, 1};
    default: return {1.5L, 1.5L + std::ldexp(1.0L, -float_format(t).mantissa)};
  }
}

long double any_bits(DType t, Draw& draw) {
  const std::uint64_t bits = draw.bits();
  if (t == DType::i64) return static_cast<std::int64_t>(bits);
  if (!is_floating(t)) {
    const int shift = 64 - static_cast<int>(8 * size_of(t));
    return t == DType::u8 ? static_cast<long double>(bits >> 56)
                          : static_cast<long double>(static_cast<std::int64_t>(bits) >> shift);
  }
  const FloatFormat f = float_format(t);
  const std::uint64_t fraction = (bits >> 11) & ((std::uint64_t{1} << f.mantissa) - 1);
  const int exponents = f.max_exponent - f.min_exponent + 2;
  const int exponent = f.min_exponent - 1 + static_cast<int>(draw.below(static_cast<std::uint64_t>(exponents)));
  const long double scaled = std::ldexp(static_cast<long double>(fraction), -f.mantissa);
  // An exponent below the least one stands for subnormal numbers.
  const long double magnitude =
      exponent < f.min_exponent ? std::ldexp(scaled, f.min_exponent) : std::ldexp(1 + scaled, exponent);
  return bits & 1 ? -magnitude : magnitude;
}

// Element `at` of a line of n numbers. `kind` selects the pattern of the line; the answer is at `place`.
long double in_line(DType t, int kind, std::int64_t at, std::int64_t place, std::int64_t n, Draw& draw) {
  const auto [low, high] = neighbours_of(t);
  const bool here = at == place;
  const long double lowest = is_floating(t) ? -infinity : t == DType::u8 || t == DType::boolean ? 0 : -100;
  const long double other = t == DType::boolean ? 0 : static_cast<long double>(draw.below(90));
  switch (kind) {
    case 0: return here ? (t == DType::boolean ? 1 : 101) : other;             // the largest stands out
    case 1: return here ? high : low;                                          // … by one unit
    case 2: return here || at == n - 1 || at == (place + n) / 2 ? high : low;  // … and occurs again later
    case 3: return here ? low : high;                                          // the smallest, by one unit
    case 4: return here ? -1 : lowest;                                         // all others are the lowest value
    case 5: return lowest;                                                     // all are the lowest value
    case 6: return high;                                                       // all equal
    default:
      if (!is_floating(t)) return here ? high : low;
      return here ? std::numeric_limits<long double>::quiet_NaN() : other;
  }
}

// The least and the largest numbers of an integer dtype, most of them several times.
void fill_ends(std::uint64_t seed, RefArray& array) {
  Draw draw(seed, stream);
  const bool is_signed = array.dtype != DType::u8;
  const long double most = std::ldexp(1.0L, static_cast<int>(8 * size_of(array.dtype)) - (is_signed ? 1 : 0)) - 1;
  const long double least = is_signed ? -most - 1 : 0;
  const long double all[] = {most, most, least, least, most - 1, least + 1, 0, 1};
  for (long double& v : array.values) v = all[draw.below(std::size(all))];
}

void fill_extremes(const TestCase& t, std::uint64_t seed, RefArray& array) {
  const std::int64_t length = line_length(t, array.shape);
  const std::vector<std::int64_t> places = places_in(length);
  // The seed rotates the kinds, so that short cases with few lines also get all kinds. A single long line, or the first
  // of many lines, has its answer at the end, and one of the kinds in which the place of the answer shows.
  constexpr std::int64_t kinds = 8;
  const bool alone = length > 4096 && length == array.size(), many = array.size() > kinds * length;
  constexpr std::uint64_t clear_kinds[] = {0, 1, 4, 7};
  const std::uint64_t clear = clear_kinds[static_cast<std::size_t>(length) % std::size(clear_kinds)];
  const bool smallest = t.op->name == "min";  // for which the largest values mean what the smallest do for others
  Draw draw(seed, stream);
  for_each_in_lines(t, array, [&](long double& v, std::int64_t line, std::int64_t at) {
    const bool ends = alone || (many && line == 0);
    const std::uint64_t turn = ends ? clear : seed % kinds + static_cast<std::uint64_t>(line);
    const std::size_t which = ends ? 0 : static_cast<std::size_t>(turn / kinds + turn % kinds * 3) % places.size();
    v = in_line(array.dtype, static_cast<int>(turn % kinds), at, places[which], length, draw);
    if (smallest) v = -v;
  });
}

}  // namespace

bool takes_choice(const TestCase& t, std::size_t i) {
  const CaseInput& in = t.call.inputs[i];
  // Floats and possibly negative integers of the kind `indices` are small numbers with ties, not indices.
  const bool small = in.values.kind == CaseValues::Kind::indices && (is_floating(in.dtype) || in.values.low < 0);
  const bool free = small || in.values.kind == CaseValues::Kind::normal ||
                    in.values.kind == CaseValues::Kind::distinct || in.values.kind == CaseValues::Kind::spread;
  if (in.absent || in.scalar || !free) return false;
  // Sums of integers wrap around, so they are exact whatever the values.
  const bool sums_integers = t.op->error_class == ErrorClass::sum && !is_floating(in.dtype);
  if (t.op->error_class != ErrorClass::exact && !(sums_integers && t.values == Values::bits)) return false;
  for (const InputDef& def : t.op->inputs) {
    if (def.mutable_) return false;
  }
  if (t.values == Values::ends) {
    const bool is_integer = !is_floating(in.dtype) && in.dtype != DType::boolean;
    return is_integer && !t.op->pointwise() && !takes_corners(t, i);
  }
  return t.values != Values::extremes || !t.op->pointwise();
}

void fill_choice(const TestCase& t, std::size_t i, std::uint64_t seed, RefArray& array) {
  if (t.values == Values::extremes) return fill_extremes(t, seed, array);
  if (t.values == Values::ends) return fill_ends(seed, array);
  Draw draw(seed, stream);
  const auto [low, high] = neighbours_of(array.dtype);
  for (long double& v : array.values) {
    if (t.values == Values::bits) {
      v = array.dtype == DType::boolean ? static_cast<long double>(draw.below(2)) : any_bits(array.dtype, draw);
      continue;
    }
    const std::uint64_t pick = draw.below(5);
    v = pick < 2 ? low : pick < 4 ? high : 2 * low - high;
    if (array.dtype == DType::boolean) v = static_cast<long double>(pick & 1);
    if (i % 2 == 1 && pick == 4) v = -low;
  }
}

bool checks_indices(const OpDef& op, const OpCase& c) {
  const auto has_indices = [](const OpCase& of) {
    return std::any_of(of.inputs.begin(), of.inputs.end(), [](const CaseInput& in) {
      return !in.absent && !in.scalar && in.values.kind == CaseValues::Kind::indices;
    });
  };
  if (c.error || !has_indices(c) || !op.cases) return false;
  const std::vector<OpCase> own = op.cases();
  return std::any_of(own.begin(), own.end(), [&](const OpCase& other) {
    return other.error == ErrorId::index_out_of_range && has_indices(other);
  });
}

}  // namespace lockstep::conformance
