#include "conformance/cases/values.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "conformance/cases/choice_values.h"
#include "conformance/cases/corner_values.h"
#include "conformance/cases/draw.h"
#include "conformance/cases/extents.h"
#include "conformance/cases/float_format.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/lines.h"
#include "conformance/cases/peak_values.h"
#include "ops/round_once.h"

namespace lockstep::conformance {
namespace {

using Kind = CaseValues::Kind;
constexpr std::uint64_t stream = 0;  // of the random generator

long double ordinary(const CaseValues& values, DType t, Draw& draw) {
  switch (values.kind) {
    case Kind::range: return values.low + (values.high - values.low) * draw.unit();
    case Kind::indices: return std::floor(values.low + (values.high - values.low + 1) * draw.unit());
    case Kind::spread: return std::ldexp(1 + draw.unit(), static_cast<int>(draw.below(40)) - 20) * draw.sign();
    default:
      if (t == DType::boolean) return draw.below(2);
      if (!is_floating(t)) return static_cast<long double>(draw.below(19)) - 9;
      return 4 * (draw.unit() + draw.unit() + draw.unit() - 1.5);  // roughly normal, within [-6, 6]
  }
}

bool only_positive(const CaseValues& values) { return values.kind == Kind::range && values.low >= 0; }

long double signed_as(const CaseValues& values, long double magnitude, Draw& draw) {
  return only_positive(values) ? magnitude : magnitude * draw.sign();
}

// `extremes` adds numbers at the ends of the format. If a result takes several steps, these overflow or underflow on
// the way, which does not happen in the oracle's longer format.
long double special_number(DType t, bool extremes, Draw& draw) {
  const FloatFormat f = float_format(t);
  const long double sign = draw.sign();
  switch (draw.below(extremes ? 8 : 4)) {
    case 0: return sign * 0.0L;
    case 1: return sign * std::numeric_limits<long double>::infinity();
    case 2: return std::numeric_limits<long double>::quiet_NaN();
    case 3: return sign;
    case 4: return sign * f.largest();
    case 5: return sign * f.min_normal();
    case 6: return sign * f.least();
    default: return sign * (f.min_normal() - f.least());
  }
}

// A random odd integer of exactly `bits` bits, of either sign.
long double wide_integer(int bits, Draw& draw) {
  const std::uint64_t top = std::uint64_t{1} << (bits - 1);
  return static_cast<long double>(top | draw.below(top) | 1) * draw.sign();
}

// All other ops that sum several tensors add products.
bool adds_updates(const OpDef& op) { return op.name == "scatter_add"; }

// The number of elements of the op's window, for pooling; 1 if it has none.
double window_of(const TestCase& t) {
  double elements = 1;
  for (const std::int64_t side : attribute_numbers(*t.op, t.call, "window")) elements *= static_cast<double>(side);
  return elements;
}

// An estimate of the number of terms of a sum in the case, rather too high. For a product of matrices, k follows from
// the three sizes. The factor 4 is for windows, which read some elements more often.
double terms_of(const TestCase& t) {
  const auto outputs = infer_outputs(*t.op, t.call);
  const double out = outputs ? static_cast<double>(std::max<std::int64_t>((*outputs)[0].shape.size(), 1)) : 1;
  double product = 1, largest = 1;
  int tensors = 0;
  for (const CaseInput& in : t.call.inputs) {
    if (in.absent || in.scalar || !is_floating(in.dtype)) continue;
    const auto size = static_cast<double>(std::max<std::int64_t>(in.shape.size(), 1));
    if (tensors++ < 2) product *= size;
    largest = std::max(largest, size);
  }
  // All updates may go to one place.
  if (adds_updates(*t.op)) return static_cast<double>(std::max<std::int64_t>(t.call.inputs[1].shape.size(), 1));
  // A sum for each element, as in cumsum.
  const bool running = tensors == 1 && product == out && t.op->error_class == ErrorClass::sum;
  if (running) return static_cast<double>(std::max<std::int64_t>(line_length(t, t.call.inputs[0].shape), 1));
  const double terms = tensors > 1 ? 4 * std::sqrt(product / out) : std::max(product / out, window_of(t));
  return std::clamp(terms, 1.0, largest);
}

// Fast mode may shorten operands to bf16.
constexpr int fast_bits = 8;

// The bits of wide integers such that all sums of the case stay exact in the accumulator, in any order.
int wide_bits(const TestCase& t, DType dtype) {
  constexpr int sparse_bits = 4;  // for adding the few terms that are not zero
  const bool sparse = is_sparse(t.values);
  const int accumulator = dtype == DType::f64 ? 53 : 24;
  const int spare = accumulator - (sparse ? sparse_bits : static_cast<int>(std::ceil(std::log2(terms_of(t)))));
  const int kept = may_shorten(t.mode, dtype) ? fast_bits : float_format(dtype).mantissa + 1;
  return std::clamp(std::min(spare, kept), 2, accumulator);
}

// The number of binary orders of magnitude of tiny numbers, counted from the least number, of which they are multiples.
int tiny_steps(const TestCase& t, DType dtype) {
  const int mantissa = float_format(dtype).mantissa;
  // A line of which one number is normal does not show what an op that chooses does to subnormal ones.
  if (t.op->error_class == ErrorClass::exact && !t.op->pointwise()) return mantissa;
  // In a sum that is compared with the trusted device, so few that the sum is exact.
  if (t.op->error_class != ErrorClass::sum || t.suite != "beside") return mantissa + 4;
  constexpr int factor_bits = 4;  // of the small integers by which they are multiplied
  const int accumulator = dtype == DType::f64 ? 53 : 24;
  return std::clamp(accumulator - factor_bits - static_cast<int>(std::ceil(std::log2(terms_of(t)))), 1, mantissa + 4);
}

// The share of numbers in a sparse input that are not zero. On average two terms of a sum are not zero, and hardly ever
// more than 16.
double share_of(const TestCase& t) { return std::min(1.0, 2 / terms_of(t)); }

// softmax and similar ops.
bool takes_exponentials(const OpDef& op) { return op.error_class == ErrorClass::composed && !op.pointwise(); }

struct InputPlace {
  std::size_t index, first, last;  // of this input, and of the first and last floating input
  std::size_t huge = 0;            // input that gets huge numbers: the second factor of a product, updates, …
  bool negative = false;           // whether huge numbers, and what is added to them, are negative
  int wide = 13;                   // bits of wide integers
  double share = 1;                // of numbers in sparse inputs that are not zero
  int tiny_steps = 1;              // binary orders of magnitude of tiny numbers
};

// In a row of exponentials, an element of -infinity does not affect the others.
long double any_infinity(const TestCase& t, Draw& draw) {
  return (takes_exponentials(*t.op) ? -1 : draw.sign()) * std::numeric_limits<long double>::infinity();
}

// Whether the input has the wide integers of the sparse case, rather than their factors.
bool is_sparse_wide(const TestCase& t, const InputPlace& place) {
  return place.index == (t.values == Values::sparse_first ? place.first : place.last);
}
long double any_sparse(const TestCase& t, const InputPlace& place, Draw& draw) {
  return is_sparse_wide(t, place) ? wide_integer(place.wide, draw) : draw.sign();
}

long double value_of_kind(const TestCase& t, const CaseInput& in, InputPlace place, double share, Draw& draw) {
  const FloatFormat f = float_format(in.dtype);
  switch (t.values) {
    case Values::exact: return static_cast<long double>(draw.below(17)) - 8;
    case Values::infinite:
      if (takes_exponentials(*t.op)) share = 0.25;
      if (draw.unit() < share) return any_infinity(t, draw);
      return static_cast<long double>(draw.below(17)) - 8;
    case Values::wide_first:
    case Values::wide_last: {
      const std::size_t wide = t.values == Values::wide_first ? place.first : place.last;
      return place.index == wide ? wide_integer(place.wide, draw) : static_cast<long double>(draw.below(3)) - 1;
    }
    case Values::sparse_first:
    case Values::sparse_last: {
      const bool alone = place.first == place.last;
      if ((alone || !is_sparse_wide(t, place)) && draw.unit() >= place.share) return 0;
      return any_sparse(t, place, draw);
    }
    case Values::spread: {
      const int most = in.dtype == DType::f16 ? 6 : 30;
      const int exponent = static_cast<int>(draw.below(2 * static_cast<std::uint64_t>(most) + 1)) - most;
      return signed_as(in.values, std::ldexp(1 + draw.unit(), exponent), draw);
    }
    case Values::tiny: {
      // A product of two tiny numbers would underflow. Times small integers, sums of subnormal numbers are exact.
      const bool sums = t.op->error_class == ErrorClass::sum;
      if (place.index != place.first)
        return sums ? static_cast<long double>(draw.below(17)) - 8 : ordinary(in.values, in.dtype, draw);
      const int steps = static_cast<int>(draw.below(static_cast<std::uint64_t>(place.tiny_steps)));
      return signed_as(in.values, std::ldexp(1 + draw.unit(), f.min_exponent - f.mantissa + steps), draw);
    }
    case Values::special:
      return draw.unit() < share ? special_number(in.dtype, is_one_step(*t.op), draw)
                                 : ordinary(in.values, in.dtype, draw);
    case Values::counted: return static_cast<long double>(1 + draw.below(3));
    case Values::huge: {
      // Two terms exceed the largest number by at least a fifth, and one term that is not doubled stays a tenth below
      // it. So no rounding of a term or of a sum decides whether a result is infinite.
      const bool is_factor = place.index < place.huge && !adds_updates(*t.op);
      if (is_factor) return static_cast<long double>(1 + draw.below(2));
      const long double magnitude = place.index == place.huge ? (0.6L + 0.3L * draw.unit()) * f.largest() : 1;
      return place.negative ? -magnitude : magnitude;
    }
    case Values::cancelling: {
      const long double near = 1000 + std::floor(draw.unit() * 4);
      return (near + draw.unit() / 64) * draw.sign();
    }
    default: break;
  }
  return ordinary(in.values, in.dtype, draw);
}

// Few of many elements are infinite, or not zero. Makes one so if chance has made none so.
void ensure_one(const TestCase& t, const InputPlace& place, std::vector<long double>& all, Draw& draw) {
  constexpr std::size_t many = 64;
  if (all.size() < many) return;
  const std::size_t at = draw.below(all.size());
  if (t.values == Values::infinite) {
    if (std::any_of(all.begin(), all.end(), [](long double v) { return std::isinf(v); })) return;
    all[at] = any_infinity(t, draw);
  }
  if (is_sparse(t.values)) {
    if (std::any_of(all.begin(), all.end(), [](long double v) { return v != 0; })) return;
    all[at] = any_sparse(t, place, draw);
  }
}

// Distinct multiples of a step, in random order. The step is so wide that no small perturbation changes their order.
// Each input of a case has its own offset, so that no two inputs share a value.
void fill_distinct(RefArray& array, std::size_t input, Draw& draw) {
  const std::size_t n = array.values.size(), middle = n / 2;
  for (std::size_t i = 0; i < n; ++i) {
    const long double centred = static_cast<long double>(i) - static_cast<long double>(middle);
    const long double offset = 0.25L + 0.17L * static_cast<long double>(input);
    array.values[i] = is_floating(array.dtype) ? (centred + offset) * 0.0625L : centred;
  }
  for (std::size_t i = n; i > 1; --i) std::swap(array.values[i - 1], array.values[draw.below(i)]);
}

bool is_choice(Values values) {
  return values == Values::extremes || values == Values::bits || values == Values::neighbours || values == Values::ends;
}

bool is_float_input(const CaseInput& in) {
  return !in.absent && !in.scalar && is_floating(in.dtype) && in.values.kind != Kind::indices;
}

// Makes elements equal that share memory in the layout.
void follow_layout(const TestCase& t, std::vector<RefArray>& arrays) {
  for (std::size_t input = 0; input < arrays.size(); ++input) {
    if (t.call.inputs[input].absent || t.call.inputs[input].scalar) continue;
    RefArray& array = arrays[input];
    const auto d = shared_dimension(array.shape, layout_of_input(*t.op, t.call, input, t.layout));
    if (!d) continue;
    std::int64_t inner = 1;
    for (int e = *d + 1; e < array.shape.rank(); ++e) inner *= array.shape[e];
    const std::int64_t extent = array.shape[*d];
    for (std::int64_t i = 0; i < array.size(); ++i) {
      array.values[static_cast<std::size_t>(i)] =
          array.values[static_cast<std::size_t>(i / (extent * inner) * extent * inner + i % inner)];
    }
  }
  if (t.layout != Layout::shared) return;
  for (std::size_t i = 1; i < arrays.size(); ++i) {
    const CaseInput &a = t.call.inputs[0], &b = t.call.inputs[i];
    const bool same = !a.absent && !b.absent && !a.scalar && !b.scalar && a.dtype == b.dtype && a.shape == b.shape;
    if (same && b.values.kind == a.values.kind) arrays[i].values = arrays[0].values;
  }
}

}  // namespace

std::uint64_t hash_of(const std::string& text) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (unsigned char c : text) h = (h ^ c) * 0x100000001b3u;
  return h;
}

bool divides_sums(const OpDef& op) { return op.name == "mean" || op.name.starts_with("avg_pool"); }

long double round_to(long double value, DType t) {
  switch (t) {
    case DType::f32: return static_cast<float>(value);
    case DType::f64: return static_cast<double>(value);
    case DType::f16: return static_cast<float>(half_of(value));
    case DType::bf16: return static_cast<float>(bfloat16_of(value));
    case DType::u8: return std::clamp<long double>(std::trunc(value), 0, 255);
    case DType::i8: return std::clamp<long double>(std::trunc(value), -128, 127);
    case DType::i32: return std::clamp<long double>(std::trunc(value), -0x1p31L, 0x1p31L - 1);
    case DType::i64: return std::clamp<long double>(std::trunc(value), -0x1p63L, 0x1p63L - 1);
    case DType::boolean: return value != 0;
  }
  return value;
}

std::vector<RefArray> case_inputs(const TestCase& t) {
  std::vector<RefArray> arrays;
  InputPlace place{0, t.call.inputs.size(), 0};
  for (std::size_t i = 0, floats = 0; i < t.call.inputs.size(); ++i) {
    if (!is_float_input(t.call.inputs[i])) continue;
    place.first = std::min(place.first, i);
    place.last = i;
    if (floats++ < 2) place.huge = i;
  }
  place.negative = hash_of(t.op->name + "/" + t.call.name + "/sign") >> 32 & 1;
  for (std::size_t i = 0; i < t.call.inputs.size(); ++i) {
    const CaseInput& in = t.call.inputs[i];
    place.index = i;
    if (in.absent) {
      arrays.push_back({in.dtype, Shape{}, {}, {}});
      continue;
    }
    if (in.scalar) {
      arrays.push_back({in.dtype, Shape{}, {round_to(in.scalar->as_double(), in.dtype)}, {}});
      continue;
    }
    RefArray array = RefArray::zeros(in.dtype, in.shape);
    const std::string seed = t.seed ? "#" + std::to_string(t.seed) : "";
    Draw draw(hash_of(t.op->name + "/" + t.call.name + "/" + std::to_string(i) + seed), stream);
    if (is_float_input(in)) {
      place.wide = wide_bits(t, in.dtype);
      place.tiny_steps = tiny_steps(t, in.dtype);
    }
    place.share = share_of(t);
    // With a fixed share, sums over many elements would all be NaN.
    const double share = t.op->pointwise() ? 0.3 : 2.5 / static_cast<double>(array.values.size() + 1);
    const bool replaced = t.values != Values::drawn && t.values != Values::peaks && !is_choice(t.values) &&
                          t.values != Values::bad_index && is_float_input(in);
    const std::uint64_t special_seed = hash_of(t.op->name + "/" + t.call.name + "/corners/" + std::to_string(i) + seed);
    if (t.values == Values::corners && takes_corners(t, i)) {
      fill_corners(t, i, terms_of(t), special_seed, array);
    } else if (is_choice(t.values) && takes_choice(t, i)) {
      fill_choice(t, i, special_seed, array);
    } else if (t.values == Values::peaks && takes_peaks(t, i)) {
      fill_peaks(t, i, special_seed, array);
    } else if (t.values == Values::stray) {
      fill_stray_labels(t, special_seed, array);
    } else if (t.values == Values::ties && takes_ties(t)) {
      fill_ties(t, special_seed, array);
    } else if (!replaced && in.values.kind == Kind::distinct) {
      fill_distinct(array, i, draw);
    } else {
      if (t.values == Values::special && in.values.kind == Kind::distinct) fill_distinct(array, i, draw);
      for (long double& v : array.values) {
        const bool keeps = t.values == Values::special && in.values.kind == Kind::distinct && draw.unit() >= share;
        if (!keeps) v = replaced ? value_of_kind(t, in, place, share, draw) : ordinary(in.values, in.dtype, draw);
      }
    }
    if (replaced && !t.op->pointwise()) ensure_one(t, place, array.values, draw);
    for (long double& v : array.values) v = round_to(v, in.dtype);
    arrays.push_back(std::move(array));
  }
  follow_layout(t, arrays);
  return arrays;
}

std::vector<RefArray> case_inputs(const OpDef& op, const OpCase& c) { return case_inputs(test_case_of(op, c)); }

bool applies(Values values, const OpDef& op, const OpCase& c) {
  if (values == Values::drawn) return true;
  if (values == Values::bad_index) return checks_indices(op, c);
  if (values == Values::peaks) return has_peaks(op, c);
  if (values == Values::stray) return has_stray_labels(op, c);
  if (values == Values::counted) return op.error_class == ErrorClass::sum && op.decompose;
  if (values == Values::corners || values == Values::ties || is_choice(values)) {
    TestCase t = test_case_of(op, c);
    t.values = values;
    if (values == Values::ties) return takes_ties(t);
    for (std::size_t i = 0; is_choice(values) && i < c.inputs.size(); ++i) {
      if (takes_choice(t, i)) return true;
    }
    if (is_choice(values)) return false;
    for (std::size_t i = 0; i < c.inputs.size(); ++i) {
      if (takes_corners(t, i)) return true;
    }
    return false;
  }
  std::size_t floats = 0;
  bool positive = false, limited = false;
  for (const CaseInput& in : c.inputs) {
    if (!is_float_input(in)) continue;
    ++floats;
    positive = positive || only_positive(in.values);
    limited = limited || in.values.kind == Kind::range;
  }
  if (floats == 0) return false;
  const bool sums = op.error_class == ErrorClass::sum;
  switch (values) {
    case Values::exact: return sums && !limited;
    // Where sums are divided, whether the sum itself may overflow is not defined.
    case Values::huge: return sums && !limited && !divides_sums(op);
    case Values::infinite: return (sums || (takes_exponentials(op) && op.effects == Effects::pure)) && !limited;
    case Values::wide_first:
    case Values::sparse_first: return sums && !limited;
    case Values::wide_last:
    case Values::sparse_last: return sums && !limited && floats > 1;
    case Values::cancelling: return sums && !positive;
    case Values::tiny: {
      // Squares of tiny numbers underflow.
      const bool updates =
          std::any_of(op.inputs.begin(), op.inputs.end(), [](const InputDef& in) { return in.mutable_; });
      // softmax and similar ops take exponentials, in which differences of tiny numbers are lost.
      return !updates && !takes_exponentials(op);
    }
    default: return true;
  }
}

}  // namespace lockstep::conformance
