// cumsum: sums of all elements up to each. A composite in about log2(n) steps: step k adds to each element the one that
// is 2^k places before it (W. Hillis, G. Steele, "Data parallel algorithms", CACM 1986).
#include <cmath>
#include <limits>

#include "lockstep/ops/math.h"
#include "lockstep/ops/reduce.h"
#include "ops/built_in.h"
#include "ops/shape/indexing.h"
#include "ops/sum_oracle.h"

namespace lockstep {
namespace {

struct CumsumAttrs {
  std::int64_t axis = -1;
  std::int64_t reverse = 0;
};

Tensor call_cumsum(const Operand& x, const CumsumAttrs& attrs) {
  static const OpDef& op = built_in("cumsum");
  return invoke1(op, std::span(&x, 1), &attrs);
}

void decompose_cumsum(DecomposeContext& c) {
  const auto& a = c.attrs<CumsumAttrs>();
  const CallSite at = c.call().where;
  Tensor y = c.tensor(0);
  const auto axis = static_cast<std::size_t>(a.axis);
  const std::int64_t extent = y.shape()[static_cast<int>(axis)];
  const Ints none(static_cast<std::size_t>(y.rank()), 0);
  const Scalar nothing = is_floating(y.dtype()) ? Scalar(-0.0) : Scalar(0);  // -0 + 0 would be +0
  // The extent of a tensor without elements may be so large that twice the distance is not a number of 64 bits.
  const auto next = [extent](std::int64_t distance) { return distance > extent / 2 ? extent : 2 * distance; };
  for (std::int64_t distance = 1; distance < extent; distance = next(distance)) {
    Ints gap = none;
    gap[axis] = distance;
    const Slice kept = a.reverse ? Slice{a.axis, distance} : Slice{a.axis, 0, extent - distance};
    const Tensor part = slice({y, at}, {kept});
    const Tensor moved = pad({part, at}, a.reverse ? none : gap, a.reverse ? gap : none, nothing);
    y = lockstep::add({y, at}, {moved, at});
  }
  c.set(0, y);
}

// The sums along one line, with the bounds that SumOracle states for sums of as many terms.
class Line {
 public:
  explicit Line(RefArray& out) : out_(out) {}

  void add(std::size_t at, long double term) {
    ++count_;
    if (is_integer(out_.dtype)) {
      wrapped_ += static_cast<std::uint64_t>(static_cast<std::int64_t>(term));
      out_.values[at] = out_.dtype == DType::i32 ? static_cast<long double>(static_cast<std::int32_t>(wrapped_))
                                                 : static_cast<long double>(static_cast<std::int64_t>(wrapped_));
      return;
    }
    total_ += term;
    if (std::isfinite(term)) magnitude_ += std::fabs(term);
    out_.values[at] = total_;
    const long double largest = compute_dtype(out_.dtype) == DType::f64 ? std::numeric_limits<double>::max()
                                                                        : std::numeric_limits<float>::max();
    const bool may_overflow = magnitude_ > largest && std::fabs(total_) != magnitude_;
    out_.budget[at] = may_overflow ? unbounded_budget : magnitude_ * static_cast<long double>(count_ + 1);
  }

 private:
  RefArray& out_;
  std::int64_t count_ = 0;
  std::uint64_t wrapped_ = 0;
  long double total_ = -0.0L, magnitude_ = 0;  // the first sum is the first term, also if that is -0
};

void cumsum_reference(RefContext& r) {
  const auto& a = r.attrs<CumsumAttrs>();
  const Shape& shape = r.inputs[0].shape;
  const auto axis = static_cast<int>(a.axis);
  const std::int64_t extent = shape[axis];
  Shape lines = shape;
  lines.set_dim(axis, 1);
  r.outputs[0].budget.assign(r.outputs[0].values.size(), 0);
  for_each_index(lines, [&](const Index& start, std::int64_t) {
    Line line(r.outputs[0]);
    for (std::int64_t i = 0; i < extent; ++i) {
      Index index = start;
      index[static_cast<std::size_t>(axis)] = a.reverse ? extent - 1 - i : i;
      const std::size_t at = position_of(shape, index);
      line.add(at, r.inputs[0].values[at]);
    }
  });
}

std::vector<OpCase> cumsum_cases() {
  std::vector<OpCase> cases;
  const auto add = [&](std::string name, Shape shape, DType dtype, CumsumAttrs a) {
    OpCase c{std::string(name_of(dtype)) + "/" + std::move(name), {{shape, dtype}}};
    c.gradient = is_floating(dtype);
    cases.push_back(c.with(a));
  };
  constexpr DType dtypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64};
  for (DType dtype : dtypes) {
    add("vector", {41}, dtype, {0, 0});
    add("columns", {7, 5}, dtype, {0, 0});
    add("rows", {3, 33}, dtype, {1, 1});
    add("middle", {2, 9, 4}, dtype, {1, 0});
    add("one", {3, 1}, dtype, {1, 0});
    add("empty", {0, 3}, dtype, {0, 0});
  }
  add("error/axis", {2, 3}, DType::f32, {2, 0});
  cases.back().error = ErrorId::axis_out_of_range;
  for (DType dtype : dtypes) add("middle_reversed", {2, 9, 4}, dtype, {1, 1});
  for (DType dtype : dtypes) {
    add("vector_reversed", {41}, dtype, {0, 1});
    // Longer than a block of 1024. Differences of the oracle would take long.
    add("long_reversed", {2, 1031}, dtype, {1, 1});
    cases.back().gradient = false;
    // The last case gets all layouts.
    add("first_reversed", {7, 3, 4}, dtype, {0, 1});
  }
  return cases;
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(65, cumsum) {
  OpDef op;
  op.name = "cumsum";
  op.doc = "The sum of all elements up to each, along an axis.";
  op.inputs = {{.name = "x", .types = types::numeric, .doc = "of rank 1 or more"}};
  op.outputs[0].doc = "extents of x";
  op.attrs = attr_schema<CumsumAttrs>(
      "lks_cumsum_attrs",
      attr("axis", &CumsumAttrs::axis, "from the front", {.kind = ArgumentKind::axis, .doc = "along which to sum"}),
      attr("reverse", &CumsumAttrs::reverse, "1: from the last element on; 0: from the first",
           {.kind = ArgumentKind::truth, .doc = "whether to sum from the last element on"}));
  op.error_class = ErrorClass::sum;
  op.infer = [](InferContext& c) {
    c.axis_from_front(c.attrs<CumsumAttrs>().axis, c.rank(0));
    c.set(0, c.dtype(0), c.shape(0));
  };
  op.decompose = &decompose_cumsum;
  op.gradient = [](GradContext& g) {
    const auto& a = g.attrs<CumsumAttrs>();
    g.set(0, call_cumsum({g.upstream(), g.where()}, {a.axis, !a.reverse}));
  };
  op.reference = &cumsum_reference;
  op.cases = &cumsum_cases;
  return op;
}

}  // namespace defs

Tensor cumsum(Operand x, std::int64_t axis, bool reverse) {
  static const OpDef& op = built_in("cumsum");
  CumsumAttrs attrs{axis, reverse};
  normalize_attributes(op, std::span(&x, 1), &attrs);
  return call_cumsum(x, attrs);
}

}  // namespace lockstep
