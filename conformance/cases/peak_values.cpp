#include "conformance/cases/peak_values.h"

#include <algorithm>
#include <vector>

#include "conformance/cases/choice_values.h"
#include "conformance/cases/draw.h"
#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/lines.h"

namespace lockstep::conformance {
namespace {

constexpr std::uint64_t stream = 7;  // of the random generator

bool is_label(const CaseInput& in) {
  return !in.absent && !in.scalar && in.values.kind == CaseValues::Kind::indices && is_integer(in.dtype);
}

// Whether the result has one more dimension than the labels: the classes.
bool outputs_have_classes(const OpDef& op, const OpCase& c) {
  const auto outputs = infer_outputs(op, c);
  return outputs && (*outputs)[0].shape.rank() == c.inputs[0].shape.rank() + 1;
}

// An element of a row. In some rows the largest number exceeds the others by so much that exp(largest) is infinite.
// Other rows are so far from 0 as a whole that exp of any element is infinite or 0. Softmax gives NaN if it subtracts
// no maximum, or only that of a part of the row.
long double logit(DType t, std::int64_t row, bool is_peak, Draw& draw) {
  const long double beyond = t == DType::f64 ? 800 : 120;  // exp(beyond) overflows in the dtype of the computation
  const long double near = static_cast<long double>(draw.unit() * 8) - 4;
  switch (row % 4) {
    case 0: return is_peak ? beyond : near;
    case 1: return 1000 + (is_peak ? beyond : near);
    case 2: return -1000 + (is_peak ? beyond : near);
    default: return 1000;  // all alike
  }
}

// About half of the labels name a class. The others are just outside, or would be in range if some of their bits were
// dropped.
long double label(DType t, std::int64_t classes, Draw& draw) {
  const auto n = static_cast<long double>(classes);
  const long double inside = static_cast<long double>(draw.below(static_cast<std::uint64_t>(classes)));
  if (draw.below(2)) return inside;
  const long double nearly[] = {-1, n, -n, n + 1, -0x1p31L, 0x1p31L - 1, 0x10000 + inside, 0x100 * (n + 1) + inside};
  const long double far[] = {0x1p32L, 0x1p32L + inside, -0x1p32L + inside, 0x1p31L + inside, -0x1p63L, 0x1p63L - 1};
  const std::uint64_t pick = draw.below(t == DType::i64 ? 14 : 8);
  return pick < 8 ? nearly[pick] : far[pick - 8];
}

}  // namespace

bool has_peaks(const OpDef& op, const OpCase& c) {
  const bool exponentials =
      op.error_class == ErrorClass::composed && !op.pointwise() && op.effects == Effects::pure && !c.inputs.empty();
  return exponentials && !c.inputs[0].absent && !c.inputs[0].scalar && is_floating(c.inputs[0].dtype) &&
         c.inputs[0].shape.rank() > 0 && c.inputs[0].values.kind == CaseValues::Kind::normal;
}

bool takes_peaks(const TestCase& t, std::size_t i) {
  return has_peaks(*t.op, t.call) && (i == 0 || is_label(t.call.inputs[i]));
}

void fill_peaks(const TestCase& t, std::size_t i, std::uint64_t seed, RefArray& array) {
  Draw draw(seed, stream);
  const std::int64_t length = line_length(t, t.call.inputs[0].shape);
  if (i > 0) {
    for (long double& v : array.values) v = label(array.dtype, length, draw);
    return;
  }
  const std::vector<std::int64_t> places = places_in(length);
  for_each_in_lines(t, array, [&](long double& v, std::int64_t row, std::int64_t at) {
    const auto turn = static_cast<std::size_t>(row);
    // The kind of a row and the place of its peak have different periods.
    v = logit(array.dtype, row, at == places[(turn + turn / 4) % places.size()], draw);
  });
}

bool has_stray_labels(const OpDef& op, const OpCase& c) {
  return !op.pointwise() && c.inputs.size() == 1 && is_label(c.inputs[0]) && op.error_class == ErrorClass::exact &&
         !checks_indices(op, c) && outputs_have_classes(op, c);
}

void fill_stray_labels(const TestCase& t, std::uint64_t seed, RefArray& array) {
  Draw draw(seed, stream);
  const auto outputs = infer_outputs(*t.op, t.call);
  const std::int64_t classes = std::max<std::int64_t>((*outputs)[0].shape[-1], 1);
  for (long double& v : array.values) v = label(array.dtype, classes, draw);
}

}  // namespace lockstep::conformance
