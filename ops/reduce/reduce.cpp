#include "lockstep/ops/reduce.h"

#include <algorithm>
#include <cmath>

#include "lockstep/ops/math.h"
#include "ops/built_in.h"
#include "ops/call_error.h"
#include "ops/differentiate.h"
#include "ops/invoke.h"
#include "ops/launch_number.h"
#include "ops/pointwise.h"
#include "ops/shape/indexing.h"
#include "ops/sum_oracle.h"

namespace lockstep {
namespace {

struct ArgmaxAttrs {
  std::int64_t axis = 0;
};

struct ReduceAttrs {
  IntList axes;           // counted from the front, ascending
  std::int64_t keep = 0;  // 1: keep reduced axes, with extent 1
};

bool is_reduced(const IntList& axes, int dimension) {
  return std::find(axes.view().begin(), axes.view().end(), dimension) != axes.view().end();
}

Shape reduced_shape(const Shape& from, const IntList& axes, bool keep) {
  Shape out;
  for (int i = 0; i < from.rank(); ++i) {
    if (!is_reduced(axes, i)) out.append(from.dim(i));
    if (is_reduced(axes, i) && keep) out.append(1);
  }
  return out;
}

// A reduced tensor, broadcast back over the reduced axes.
Tensor spread(const Tensor& reduced, const Shape& shape, const IntList& axes, CallSite where) {
  const Tensor kept = reshape({reduced, where}, reduced_shape(shape, axes, true));
  return broadcast_to({kept, where}, shape);
}

Dim reduced_count(const Shape& shape, const IntList& axes) {
  Shape reduced;
  for (std::int64_t axis : axes.view()) reduced.append(shape.dim(static_cast<int>(axis)));
  return reduced.element_count();
}

// A sum divided by the number of its terms. If that is not known, the call is abstract, and the divisor is a number
// that is computed at launch.
Tensor divided(const Tensor& total, Dim count, CallSite where) {
  if (count.is_known()) return lockstep::div({total, where}, {static_cast<double>(count.value()), where});
  if (total.is_abstract()) {
    return lockstep::div({total, where}, Operand(as_real(LaunchNumber::of(count)).scalar(), where));
  }
  // An upstream gradient with elements, for a target without: the result is abstract all the same.
  const Tensor unknown = Tensor::abstract({total.dtype(), Shape{}});
  return lockstep::div({total, where}, {unknown, where});
}

void infer_reduction(InferContext& c) {
  const auto& a = c.attrs<ReduceAttrs>();
  std::int64_t previous = -1;
  for (std::int64_t axis : a.axes.view()) {
    c.axis_from_front(axis, c.rank(0));  // throws if it is out of range
    if (axis == previous) {
      c.fail(ErrorId::axis_out_of_range, "axis " + std::to_string(axis) + " is given twice", "name each axis once");
    }
    if (axis < previous) {
      c.fail(ErrorId::invalid_attribute,
             "axis " + std::to_string(axis) + " comes after axis " + std::to_string(previous) +
                 ", and axes must be ascending",
             "sort the axes");
    }
    previous = axis;
  }
  c.set(0, c.dtype(0), reduced_shape(c.shape(0), a.axes, a.keep != 0));
}

// For reductions that have no result over no elements.
void infer_of_elements(InferContext& c, const char* nothing) {
  infer_reduction(c);
  if (reduced_count(c.shape(0), c.attrs<ReduceAttrs>().axes) == Dim(0)) {
    c.fail(ErrorId::invalid_shape, nothing + (" in " + c.shape(0).to_string()), "reduce axes of extent 1 or more");
  }
}
void infer_extreme(InferContext& c) { infer_of_elements(c, "there is nothing to choose from"); }
void infer_mean(InferContext& c) { infer_of_elements(c, "there are no elements to average"); }

// Calls add(accumulator index, value) for every element of the input.
template <class Add>
void reduce_elements(const RefArray& x, const IntList& axes, Add&& add) {
  std::vector<std::int64_t> weights(static_cast<std::size_t>(x.shape.rank()), 0);
  std::int64_t weight = 1;
  for (int i = x.shape.rank(); i-- > 0;) {
    if (is_reduced(axes, i)) continue;
    weights[static_cast<std::size_t>(i)] = weight;
    weight *= x.shape[i];
  }
  for_each_index(x.shape, [&](const Index& index, std::int64_t n) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < index.size(); ++i) at += index[i] * weights[i];
    add(static_cast<std::size_t>(at), x.values[static_cast<std::size_t>(n)]);
  });
}

void sum_reference(RefContext& r) {
  SumOracle sums(r.outputs[0]);
  reduce_elements(r.inputs[0], r.attrs<ReduceAttrs>().axes, [&](std::size_t at, long double v) { sums.add(at, v); });
  sums.finish();
}

// -0 is below +0, and NaN is above everything else.
bool exceeds(long double a, long double b) {
  if (std::isnan(b)) return false;
  return std::isnan(a) || a > b || (a == b && std::signbit(b) && !std::signbit(a));
}

template <bool largest>
void extreme_reference(RefContext& r) {
  std::vector<bool> seen(r.outputs[0].values.size());
  reduce_elements(r.inputs[0], r.attrs<ReduceAttrs>().axes, [&](std::size_t at, long double v) {
    long double& best = r.outputs[0].values[at];
    const bool better = largest ? exceeds(v, best) : std::isnan(v) || (!std::isnan(best) && exceeds(-v, -best));
    if (!seen[at] || better) best = v;
    seen[at] = true;
  });
}

std::vector<OpCase> reduction_cases(TypeSet types, CaseValues values, bool empty_allowed) {
  std::vector<OpCase> cases;
  const auto add = [&](std::string name, Shape shape, DType dtype, ReduceAttrs a) {
    OpCase c{std::string(name_of(dtype)) + "/" + std::move(name), {{shape, dtype, values}}};
    c.gradient = is_floating(dtype);
    cases.push_back(c.with(a));
  };
  for (int t = 0; t < dtype_count; ++t) {
    const auto dtype = static_cast<DType>(t);
    if (!types.has(dtype)) continue;
    add("all", {7, 11}, dtype, {{0, 1}, 0});
    add("rows", {5, 129}, dtype, {{1}, 0});
    add("columns", {130, 7}, dtype, {{0}, 1});
    add("middle", {3, 17, 4}, dtype, {{1}, 0});
    add("outer_and_inner", {4, 5, 6}, dtype, {{0, 2}, 1});
    add("none", {3, 4}, dtype, {{}, 0});
    add("one", {1, 1}, dtype, {{0, 1}, 0});
    add("long", {4099}, dtype, {{0}, 0});
    add("rank8", {2, 1, 3, 1, 2, 2, 1, 3}, dtype, {{2, 4, 7}, 0});
  }
  add("empty", {0, 3}, DType::f32, {{0}, 0});
  if (!empty_allowed) cases.back().error = ErrorId::invalid_shape;
  add("error/axis", {2, 3}, DType::f32, {{2}, 0});
  cases.back().error = ErrorId::axis_out_of_range;
  add("error/twice", {2, 3}, DType::f32, {{1, 1}, 0});
  cases.back().error = ErrorId::axis_out_of_range;
  // What networks reduce: each image, or each channel of all images. Random values rarely have the largest or the
  // smallest element at an end. These extents are such that without the last column, or the last row, some result of
  // `max` and of `min` differs, in every dtype.
  for (int t = 0; t < dtype_count; ++t) {
    const auto dtype = static_cast<DType>(t);
    if (!types.has(dtype)) continue;
    add("images", {4, 2, 3, 7}, dtype, {{1, 2}, 0});
    add("channels", {2, 2, 3, 13}, dtype, {{0, 1, 2}, 0});
  }
  return cases;
}

OpDef reduction(std::string name, std::string doc, TypeSet types) {
  OpDef op;
  op.attrs = attr_schema<ReduceAttrs>(
      "lks_reduce_attrs", ReduceAttrs{IntList::missing(), 0},
      attr("axes", &ReduceAttrs::axes, "ascending, from the front; may be empty: then each element is a result",
           {.kind = ArgumentKind::axes, .doc = "over which to reduce", .otherwise = "all axes"}),
      attr("keep", &ReduceAttrs::keep, "1: reduced axes stay, with extent 1; 0: they do not",
           {.kind = ArgumentKind::truth, .doc = "whether reduced axes stay, with extent 1"}));
  op.name = std::move(name);
  op.doc = std::move(doc);
  op.inputs = {{.name = "x", .types = types, .doc = "of any shape"}};
  op.outputs[0].doc = "extents of x without the reduced axes, or with 1 in their place";
  op.infer = &infer_reduction;
  return op;
}

// Calls the op with exactly these attributes. Here no axes means none; for the public functions and calls by name it
// means all.
Tensor call_sum(const Operand& x, const ReduceAttrs& attrs) {
  static const OpDef& op = built_in("sum");
  return invoke1(op, std::span(&x, 1), &attrs);
}

// 1 where x is the extreme, or is NaN, in which case the extreme is NaN; 0 elsewhere. It has no gradient.
const OpDef& hit_op() {
  static const OpDef op =
      make_pointwise_op("extreme.hit", 2,
                        [](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                          const Expr hit = (in[0] == in[1]) | (in[0] != in[0]);
                          return std::vector<Expr>{select(hit, in[0].constant(1), in[0].constant(0))};
                        },
                        {.doc = "1 where a is b or NaN.", .error_class = ErrorClass::exact});
  return op;
}

// dy / hits where there is a hit, 0 elsewhere.
const OpDef& share_op() {
  static const OpDef op = [] {
    OpDef made = make_pointwise_op("extreme.grad", 3,
                                   [](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                                     return std::vector<Expr>{select(in[0] != 0, in[2] / in[1], in[2].constant(0))};
                                   },
                                   {.doc = "Gradient of max and min."});
    complete_pointwise(made);
    return made;
  }();
  return op;
}

// Elements that equal the extreme share its gradient. So do NaN elements, because the extreme is NaN if they take part.
void extreme_gradient(GradContext& g) {
  const auto& a = g.attrs<ReduceAttrs>();
  const CallSite at = g.where();
  const Shape kept = reduced_shape(g.input_shape(0), a.axes, true);
  const Tensor best = reshape({g.output(), at}, kept), dy = reshape({g.upstream(), at}, kept);
  const Tensor hit = invoke1(hit_op(), {g.input(0), Operand(best, at)});
  const Tensor hits = call_sum({hit, at}, {a.axes, 1});
  g.set(0, invoke1(share_op(), {Operand(hit, at), Operand(hits, at), Operand(dy, at)}));
}

OpDef extreme(std::string name, std::string doc, bool largest) {
  OpDef op = reduction(std::move(name), std::move(doc), types::numeric);
  op.infer = &infer_extreme;
  op.saves = {{.inputs = 1, .outputs = 1}};
  op.gradient = &extreme_gradient;
  op.reference = largest ? &extreme_reference<true> : &extreme_reference<false>;
  op.cases = [] { return reduction_cases(types::numeric, {CaseValues::Kind::distinct}, false); };
  return op;
}

Tensor call_reduction(const OpDef& op, const Operand& x, const Reduce& options) {
  ReduceAttrs attrs{IntList::missing(), options.keep};
  if (!options.axes.empty()) attrs.axes = attribute_list(op, {x}, options.axes, "the list of axes");
  normalize_attributes(op, std::span(&x, 1), &attrs);
  return invoke1(op, std::span(&x, 1), &attrs);
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(60, sum) {
  OpDef op = reduction("sum", "Sum over axes.", types::numeric);
  op.error_class = ErrorClass::sum;
  op.gradient = [](GradContext& g) {
    g.set(0, spread(g.upstream(), g.input_shape(0), g.attrs<ReduceAttrs>().axes, g.where()));
  };
  op.reference = &sum_reference;
  op.cases = [] { return reduction_cases(types::numeric, {}, true); };
  return op;
}

LOCKSTEP_BUILT_IN(61, mean) {
  OpDef op = reduction("mean", "Arithmetic mean over axes.", types::floating);
  op.error_class = ErrorClass::sum;
  op.infer = &infer_mean;
  op.decompose = [](DecomposeContext& c) {
    const auto& a = c.attrs<ReduceAttrs>();
    const Dim count = reduced_count(c.tensor(0).shape(), a.axes);
    c.set(0, divided(call_sum(c.input(0), a), count, c.call().where));
  };
  op.gradient = [](GradContext& g) {
    const auto& a = g.attrs<ReduceAttrs>();
    const Tensor share = divided(g.upstream(), reduced_count(g.input_shape(0), a.axes), g.where());
    g.set(0, spread(share, g.input_shape(0), a.axes, g.where()));
  };
  op.reference = [](RefContext& r) {
    sum_reference(r);
    const auto n = static_cast<long double>(reduced_count(r.inputs[0].shape, r.attrs<ReduceAttrs>().axes).value());
    for (long double& v : r.outputs[0].values) v /= n;
    for (long double& b : r.outputs[0].budget) b /= n;
  };
  op.cases = [] { return reduction_cases(types::floating, {}, false); };
  return op;
}

LOCKSTEP_BUILT_IN(62, max) { return extreme("max", "Largest element over axes; NaN propagates.", true); }
LOCKSTEP_BUILT_IN(63, min) { return extreme("min", "Smallest element over axes; NaN propagates.", false); }

LOCKSTEP_BUILT_IN(64, argmax) {
  OpDef op;
  op.name = "argmax";
  op.doc = "Position of the largest element along an axis, the first of several; NaN counts as largest.";
  op.inputs = {{.name = "x", .types = types::numeric, .doc = "of rank 1 or more"}};
  op.outputs = {{"index"}};
  op.outputs[0].doc = "i64, in [0, extent of the axis); extents of x without the axis";
  op.differentiable = false;
  op.attrs = attr_schema<ArgmaxAttrs>(
      "lks_argmax_attrs", ArgmaxAttrs{-1},
      attr("axis", &ArgmaxAttrs::axis, "from the front", {.kind = ArgumentKind::axis, .doc = "along which to search"}));
  op.infer = [](InferContext& c) {
    const int axis = c.axis_from_front(c.attrs<ArgmaxAttrs>().axis, c.rank(0));
    if (c.shape(0).dim(axis) == Dim(0)) {
      c.fail(ErrorId::invalid_shape, "there is nothing to choose from in " + c.shape(0).to_string(),
             "the axis needs an extent of 1 or more");
    }
    c.set(0, DType::i64, reduced_shape(c.shape(0), IntList{axis}, false));
  };
  op.reference = [](RefContext& r) {
    const auto axis = static_cast<std::size_t>(r.attrs<ArgmaxAttrs>().axis);
    std::vector<long double> best(r.outputs[0].values.size());
    std::vector<bool> seen(best.size());
    for_each_index(r.inputs[0].shape, [&](const Index& index, std::int64_t n) {
      Index rest = index;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(axis));
      const std::size_t at = position_of(r.outputs[0].shape, rest);
      const long double v = r.inputs[0].values[static_cast<std::size_t>(n)];
      // Positions come in ascending order, so only a larger value replaces the best. Zeros of both signs are equal.
      if (!seen[at] || (!std::isnan(best[at]) && (std::isnan(v) || v > best[at]))) {
        best[at] = v;
        r.outputs[0].values[at] = static_cast<long double>(index[axis]);
      }
      seen[at] = true;
    });
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64}) {
      for (std::int64_t axis = 0; axis < 3; ++axis) {
        OpCase c{std::string(name_of(dtype)) + "/axis" + std::to_string(axis),
                 {{Shape{3, 19, 5}, dtype, {CaseValues::Kind::indices, -4, 4}}}};
        c.gradient = false;
        cases.push_back(c.with(ArgmaxAttrs{axis}));
      }
    }
    for (DType dtype : {DType::f32, DType::i32, DType::i64}) {
      OpCase c{std::string(name_of(dtype)) + "/vector", {{Shape{41}, dtype, {CaseValues::Kind::distinct}}}};
      c.gradient = false;
      cases.push_back(c.with(ArgmaxAttrs{0}));
    }
    cases.push_back(OpCase{"error/axis", {{Shape{3}}}, {}, {}, ErrorId::axis_out_of_range}.with(ArgmaxAttrs{1}));
    // Vectors of the other dtypes, with ties; and matrices, whose lines are so short that in many the last element is
    // the largest.
    const auto add = [&](const char* name, DType dtype, Shape shape, std::int64_t axis) {
      OpCase c{std::string(name_of(dtype)) + "/" + name, {{shape, dtype, {CaseValues::Kind::indices, -4, 4}}}};
      c.gradient = false;
      cases.push_back(c.with(ArgmaxAttrs{axis}));
    };
    for (DType dtype : {DType::f64, DType::f16, DType::bf16}) add("vector", dtype, {37}, 0);
    for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64}) {
      add("rows", dtype, {40, 3}, 1);
      add("columns", dtype, {3, 40}, 0);
    }
    // Values that may be subnormal.
    for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
      OpCase c{std::string(name_of(dtype)) + "/any", {{Shape{7, 33}, dtype}}};
      c.gradient = false;
      cases.push_back(c.with(ArgmaxAttrs{1}));
    }
    return cases;
  };
  return op;
}

}  // namespace defs

Tensor sum(Operand x, Reduce options) {
  static const OpDef& op = built_in("sum");
  return call_reduction(op, x, options);
}
Tensor mean(Operand x, Reduce options) {
  static const OpDef& op = built_in("mean");
  return call_reduction(op, x, options);
}
Tensor max(Operand x, Reduce options) {
  static const OpDef& op = built_in("max");
  return call_reduction(op, x, options);
}
Tensor min(Operand x, Reduce options) {
  static const OpDef& op = built_in("min");
  return call_reduction(op, x, options);
}

Tensor argmax(Operand x, std::int64_t axis) {
  static const OpDef& op = built_in("argmax");
  ArgmaxAttrs attrs{axis};
  normalize_attributes(op, std::span(&x, 1), &attrs);
  return invoke1(op, {x}, &attrs);
}

}  // namespace lockstep
