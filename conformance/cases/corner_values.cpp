#include "conformance/cases/corner_values.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <vector>

#include "conformance/cases/draw.h"
#include "conformance/cases/extents.h"
#include "conformance/cases/float_format.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/values.h"

namespace lockstep::conformance {
namespace {

using Numbers = std::vector<long double>;
constexpr std::uint64_t stream = 3;  // of the random generator

// The number of significant bits, including the leading one.
int precision(DType t) {
  if (is_floating(t)) return float_format(t).mantissa + 1;
  switch (t) {
    case DType::i64: return 63;
    case DType::i32: return 31;
    case DType::i8: return 7;
    case DType::u8: return 8;
    default: return 1;
  }
}

// `extremes` adds the ends of the format. They overflow or underflow in results that take several steps.
Numbers floating_corners(DType t, bool extremes) {
  constexpr long double infinity = std::numeric_limits<long double>::infinity();
  Numbers all = {0.0L, -0.0L, 1, -1, infinity, -infinity, std::numeric_limits<long double>::quiet_NaN(), 0.5L};
  if (!extremes) return all;
  const FloatFormat f = float_format(t);
  const long double largest = f.largest(), normal = f.min_normal(), least = f.least();
  for (long double v : {largest, -largest, normal, -least, normal - least, -1.5L, 2.0L, 3.0L}) all.push_back(v);
  return all;
}

Numbers integer_corners(DType t) {
  if (t == DType::boolean) return {0, 1};
  if (t == DType::u8) return {0, 1, 2, 3, 7, 127, 128, 129, 200, 254, 255};
  const long double most = std::ldexp(1.0L, precision(t)) - 1;
  Numbers all = {0, 1, -1, 2, -2, 3, -3, 7, -7, 100, -100, most, -most - 1, most - 1, -most};
  if (t != DType::i8) {
    for (long double v : {0x1p24L + 1, -0x1p24L - 3}) all.push_back(v);
  }
  if (t == DType::i64) {
    for (long double v : {0x1p53L + 1, -0x1p53L - 3, 0x1p32L, -0x1p31L - 1}) all.push_back(v);
  }
  return all;
}

// For ops that choose: mostly zeros of one sign, about one zero of the other sign per choice, and fewer NaN. The second
// half has the signs swapped, for ops that choose the smallest.
long double zero_or_nan(double terms, bool second_half, Draw& draw) {
  const long double sign = second_half ? -1 : 1;
  if (draw.unit() < 0.3 / terms) return std::numeric_limits<long double>::quiet_NaN();
  if (draw.unit() < 1 / terms) return sign * 0.0L;
  switch (draw.below(6)) {
    case 0: return -sign;
    case 1: return -sign * std::numeric_limits<long double>::infinity();
    default: return -sign * 0.0L;
  }
}

}  // namespace

bool takes_corners(const TestCase& t, std::size_t i) {
  const CaseInput& in = t.call.inputs[i];
  if (in.absent || in.scalar) return false;
  for (const InputDef& def : t.op->inputs) {
    if (def.mutable_) return false;
  }
  const bool chosen = t.op->error_class == ErrorClass::exact;
  if (is_floating(in.dtype)) return t.op->pointwise() || chosen;
  if (in.values.kind == CaseValues::Kind::indices) return t.op->pointwise() && chosen;
  return t.op->pointwise() || chosen || t.op->error_class == ErrorClass::sum;
}

namespace {

// Where element j of input i of a pointwise op is in a list of n numbers.
std::size_t corner_at(const TestCase& t, std::size_t i, std::size_t j, std::size_t n) {
  // Input 0 advances with every element, input 1 after every n elements, so that all pairs occur.
  if (t.suite != "numbers") return (i == 0 ? j : i == 1 ? j / n : j + j / (n * n)) % n;
  // There, tensors are short. Each runs through all numbers: the steps have no divisor in common with any n above.
  constexpr std::size_t steps[] = {1, 13, 19};
  const auto is_tensor = [](const CaseInput& in) { return !in.absent && !in.scalar; };
  const auto first = t.call.inputs.begin();
  const auto before = static_cast<std::size_t>(std::count_if(first, first + static_cast<std::ptrdiff_t>(i), is_tensor));
  return (j * steps[before % std::size(steps)] + before) % n;
}

}  // namespace

void fill_corners(const TestCase& t, std::size_t i, double terms, std::uint64_t seed, RefArray& array) {
  Draw draw(seed, stream);
  const bool pointwise = t.op->pointwise(), floating = is_floating(array.dtype);
  const Numbers all = floating ? floating_corners(array.dtype, is_one_step(*t.op)) : integer_corners(array.dtype);
  const std::size_t n = all.size(), size = array.values.size();
  for (std::size_t j = 0; j < size; ++j) {
    if (pointwise) {
      array.values[j] = all[corner_at(t, i, j, n)];
    } else {
      array.values[j] = floating ? zero_or_nan(terms, 2 * j >= size, draw) : all[draw.below(n)];
    }
  }
}

bool takes_ties(const TestCase& t) {
  if (!t.op->pointwise() || t.op->error_class != ErrorClass::exact || t.call.inputs.size() != 1) return false;
  const CaseInput& in = t.call.inputs[0];
  const auto outputs = infer_outputs(*t.op, t.call);
  if (in.absent || in.scalar || in.dtype == DType::boolean || !outputs || !is_floating((*outputs)[0].dtype))
    return false;
  return precision(in.dtype) > precision((*outputs)[0].dtype) + 2;
}

void fill_ties(const TestCase& t, std::uint64_t seed, RefArray& array) {
  Draw draw(seed, stream);
  const DType to = (*infer_outputs(*t.op, t.call))[0].dtype;
  const int kept = precision(to), spare = precision(array.dtype) - kept;
  for (long double& v : array.values) {
    const std::uint64_t mantissa = (std::uint64_t{1} << (kept - 1)) + draw.below(std::uint64_t{1} << (kept - 1));
    // A tie, or a number so close to it that an intermediate rounding to a format of medium precision gives a wrong
    // result.
    const int gap = draw.below(2) ? spare - 1 : std::min(spare - 1, 11);
    const long double beside = std::ldexp(1.0L, -gap) * (static_cast<long double>(draw.below(3)) - 1);
    int exponent = 0;
    if (is_floating(array.dtype)) {
      exponent = static_cast<int>(draw.below(24)) - 12 - kept;
      if (draw.below(8) == 0)
        exponent = float_format(to).min_exponent - static_cast<int>(draw.below(4)) - kept;  // subnormal
    } else {
      exponent = gap + static_cast<int>(draw.below(static_cast<std::uint64_t>(spare - gap)));
    }
    v = std::ldexp(static_cast<long double>(mantissa) + 0.5L + beside, exponent) * (draw.below(2) ? 1 : -1);
    if (array.dtype == DType::u8) v = std::fabs(v);
  }
}

}  // namespace lockstep::conformance
