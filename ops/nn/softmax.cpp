#include <cmath>

#include "lockstep/ops/math.h"
#include "lockstep/ops/nn.h"
#include "lockstep/ops/reduce.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/infer.h"
#include "ops/invoke.h"
#include "ops/pointwise.h"
#include "ops/shape/indexing.h"
#include "ops/sum_oracle.h"

namespace lockstep {
namespace {

struct PickLabelAttrs {
  std::int64_t axis = 0;  // of the classes
  std::int64_t classes = 0;
};

// Calls visit(position, extent) for each row along one axis, where position(j) is the position of element j.
template <class Visit>
void for_each_row(const Shape& shape, std::int64_t axis, Visit&& visit) {
  std::int64_t inner = 1, outer = 1;
  for (int i = 0; i < shape.rank(); ++i) (i < axis ? outer : inner) *= i == axis ? 1 : shape[i];
  const std::int64_t extent = shape[static_cast<int>(axis)];
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      visit([=](std::int64_t j) { return static_cast<std::size_t>((o * extent + j) * inner + i); }, extent);
    }
  }
}

// The parts of a stable softmax over one row. The logarithm is not added to the largest element, because the sum would
// lose its digits.
struct Row {
  long double largest = -INFINITY, log_total = 0;

  Row(const std::vector<long double>& x, auto position, std::int64_t extent) {
    for (std::int64_t j = 0; j < extent; ++j) largest = std::fmax(largest, x[position(j)]);
    long double total = 0;
    for (std::int64_t j = 0; j < extent; ++j) total += std::exp(x[position(j)] - largest);
    log_total = std::log(total);
  }
  long double log_probability(long double x) const { return (x - largest) - log_total; }
  // Rounding x - largest costs its magnitude, the sum of exponentials costs one per term, and each function a few.
  long double budget(long double x, std::int64_t extent) const {
    return std::fabs(x - largest) + std::fabs(log_total) + static_cast<long double>(extent) + 8;
  }
};

void softmax_reference(RefContext& r, bool logarithm) {
  const std::vector<long double>& x = r.inputs[0].values;
  RefArray& out = r.outputs[0];
  out.budget.resize(out.values.size());
  for_each_row(r.inputs[0].shape, r.attrs<AxisAttrs>().axis, [&](auto position, std::int64_t extent) {
    const Row row(x, position, extent);
    for (std::int64_t j = 0; j < extent; ++j) {
      const std::size_t at = position(j);
      const long double log_y = row.log_probability(x[at]);
      out.values[at] = logarithm ? log_y : std::exp(log_y);
      out.budget[at] = row.budget(x[at], extent) * (logarithm ? 1 : out.values[at]);
    }
  });
}

std::vector<OpCase> softmax_cases() {
  std::vector<OpCase> cases;
  for (DType dtype : floating_dtypes) {
    const std::string prefix = std::string(name_of(dtype)) + "/";
    const auto add = [&](const char* name, Shape shape, std::int64_t axis, CaseValues values = {}) {
      cases.push_back(OpCase{prefix + name, {{shape, dtype, values}}}.with(AxisAttrs{axis}));
    };
    add("rows", {5, 10}, 1);
    add("columns", {9, 4}, 0);
    add("middle", {3, 7, 5}, 1);
    add("one", {4, 1}, 1);
    add("long", {2, 1031}, 1);
    add("large", {3, 8}, 1, {CaseValues::Kind::range, -90, 90});
    // Nearly all of the gradient cancels, so f16 and bf16 have no correct digits left.
    cases.back().gradient = !is_half_width(dtype);
  }
  cases.push_back(OpCase{"error/axis", {{Shape{3}}}, {}, {}, ErrorId::axis_out_of_range}.with(AxisAttrs{1}));
  for (DType dtype : floating_dtypes) {
    cases.push_back(OpCase{std::string(name_of(dtype)) + "/vector", {{Shape{11}, dtype}}}.with(AxisAttrs{0}));
  }
  return cases;
}

OpDef softmax_op(std::string name, std::string doc, bool logarithm) {
  OpDef op;
  op.name = std::move(name);
  op.doc = std::move(doc);
  op.inputs = {{.name = "x", .types = types::floating, .doc = "of rank 1 or more"}};
  op.outputs[0].doc = "extents of x";
  op.attrs =
      attr_schema<AxisAttrs>("lks_softmax_attrs", AxisAttrs{-1},
                             attr("axis", &AxisAttrs::axis, "from the front",
                                  {.kind = ArgumentKind::axis, .doc = "along which the exponentials sum to one"}));
  op.error_class = ErrorClass::composed;
  op.infer = [](InferContext& c) {
    c.axis_from_front(c.attrs<AxisAttrs>().axis, c.rank(0));
    c.set(0, c.group_dtype(), c.shape(0));
  };
  op.saves = {{.outputs = 1}};
  op.reference = [logarithm](RefContext& r) { softmax_reference(r, logarithm); };
  op.cases = &softmax_cases;
  return op;
}

// Along one axis: x minus its largest element, the exponentials of that, and their sum.
struct Shifted {
  Tensor x, exponentials, total;
};

Shifted shift(const Operand& x, std::int64_t axis, CallSite at) {
  const Tensor largest = max(x, {.axes = {axis}, .keep = true});
  Tensor shifted = sub(x, {largest, at});
  Tensor exponentials = exp({shifted, at});
  Tensor total = sum({exponentials, at}, {.axes = {axis}, .keep = true});
  return {std::move(shifted), std::move(exponentials), std::move(total)};
}

void infer_rows(InferContext& c, bool sparse) {
  if (c.rank(0) < 1) c.fail(ErrorId::wrong_rank, "logits have rank 0", "logits are (…, classes)");
  Shape rows;
  for (int i = 0; i + 1 < c.rank(0); ++i) rows.append(c.shape(0).dim(i));
  const Shape& expected = sparse ? rows : c.shape(0);
  bool same = c.rank(1) == expected.rank();
  for (int i = 0; same && i < expected.rank(); ++i) same = may_equal(c.shape(1).dim(i), expected.dim(i));
  if (!same) {
    c.fail(ErrorId::shapes_differ,
           std::string(sparse ? "labels are " : "targets are ") + c.shape(1).to_string() + ", logits of " +
               c.shape(0).to_string() + " need " + expected.to_string(),
           sparse ? "give one label per row, or use cross_entropy for rows of probabilities"
                  : "give one probability per class, or use sparse_cross_entropy for labels");
  }
  c.set(0, c.group_dtype(), rows);
}

// log p times the target. For a class of probability 0 that is not the target it is 0, the limit of the product.
const OpDef& term_op() {
  static const OpDef op = [] {
    OpDef made =
        make_pointwise_op("cross_entropy.term", 2,
                          [](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                            const Expr nothing = (in[1] == 0) & (in[0] == in[0].constant(-INFINITY));
                            return std::vector<Expr>{select(nothing, in[0].constant(0), in[0] * in[1])};
                          },
                          {.doc = "a times b, where 0 times -infinity is 0.", .error_class = ErrorClass::rounded});
    made.saves = {{.inputs = 0b10}, {.inputs = 0b01}};
    made.gradient = [](GradContext& g) {
      const Tensor dy = g.upstream();
      if (g.needs(0)) g.set(0, lockstep::mul({dy, g.where()}, g.input(1)));
      if (g.needs(1)) g.set(1, lockstep::mul({dy, g.where()}, g.input(0)));
    };
    return made;
  }();
  return op;
}

std::vector<OpCase> entropy_cases(bool sparse) {
  std::vector<OpCase> cases;
  for (DType dtype : floating_dtypes) {
    for (DType label : {DType::i32, DType::i64}) {
      const std::string name = std::string(name_of(dtype)) + "/" + std::string(name_of(label));
      if (sparse) {
        cases.push_back(
            {name + "/rows", {{Shape{6, 10}, dtype}, {Shape{6}, label, {CaseValues::Kind::indices, 0, 9}}}});
        cases.push_back(
            {name + "/images", {{Shape{2, 3, 5}, dtype}, {Shape{2, 3}, label, {CaseValues::Kind::indices, 0, 4}}}});
        OpCase outside{name + "/outside",
                       {{Shape{12, 7}, dtype}, {Shape{12}, label, {CaseValues::Kind::indices, -2, 8}}}};
        outside.gradient = false;
        cases.push_back(outside);
        OpCase none{name + "/no_classes", {{Shape{3, 0}, dtype}, {Shape{3}, label, {CaseValues::Kind::indices, 0, 4}}}};
        none.gradient = false;
        cases.push_back(none);
      } else if (label == DType::i32) {
        cases.push_back(
            {name + "/rows", {{Shape{6, 10}, dtype}, {Shape{6, 10}, dtype, {CaseValues::Kind::range, 0, 0.2}}}});
        cases.push_back(
            {name + "/chosen", {{Shape{9, 7}, dtype}, {Shape{9, 7}, dtype, {CaseValues::Kind::indices, 0, 1}}}});
        OpCase none{name + "/no_classes", {{Shape{3, 0}, dtype}, {Shape{3, 0}, dtype}}};
        none.gradient = false;
        cases.push_back(none);
      }
    }
  }
  cases.push_back(
      {"error/shape", {{Shape{6, 10}}, {Shape{5}, sparse ? DType::i64 : DType::f32, {CaseValues::Kind::range, 0, 1}}}});
  cases.back().error = ErrorId::shapes_differ;
  // One row that is not a matrix.
  for (DType dtype : floating_dtypes) {
    const std::string prefix(name_of(dtype));
    if (!sparse) {
      cases.push_back(
          {prefix + "/vector", {{Shape{11}, dtype}, {Shape{11}, dtype, {CaseValues::Kind::range, 0, 0.2}}}});
      continue;
    }
    for (DType label : {DType::i32, DType::i64}) {
      cases.push_back({prefix + "/" + std::string(name_of(label)) + "/vector",
                       {{Shape{11}, dtype}, {Shape{}, label, {CaseValues::Kind::indices, 3, 10}}}});
    }
  }
  return cases;
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(90, softmax) {
  OpDef op = softmax_op("softmax", "Exponentials of x along one axis, scaled to sum to one.", false);
  op.decompose = [](DecomposeContext& c) {
    const CallSite at = c.call().where;
    const Shifted s = shift(c.input(0), c.attrs<AxisAttrs>().axis, at);
    c.set(0, lockstep::div({s.exponentials, at}, {s.total, at}));
  };
  op.gradient = [](GradContext& g) {
    const std::int64_t axis = g.attrs<AxisAttrs>().axis;
    const CallSite at = g.where();
    const Tensor y = g.output(), weighted = lockstep::mul({g.upstream(), at}, {y, at});
    const Tensor total = lockstep::sum({weighted, at}, {.axes = {axis}, .keep = true});
    g.set(0, lockstep::sub({weighted, at}, {lockstep::mul({y, at}, {total, at}), at}));
  };
  return op;
}

LOCKSTEP_BUILT_IN(91, log_softmax) {
  OpDef op = softmax_op("log_softmax", "Logarithm of softmax, without its loss of precision.", true);
  op.decompose = [](DecomposeContext& c) {
    const CallSite at = c.call().where;
    const Shifted s = shift(c.input(0), c.attrs<AxisAttrs>().axis, at);
    c.set(0, lockstep::sub({s.x, at}, {lockstep::log({s.total, at}), at}));
  };
  op.gradient = [](GradContext& g) {
    const std::int64_t axis = g.attrs<AxisAttrs>().axis;
    const CallSite at = g.where();
    const Tensor dy = g.upstream();
    const Tensor total = lockstep::sum({dy, at}, {.axes = {axis}, .keep = true});
    const Tensor probability = lockstep::exp({g.output(), at});
    g.set(0, lockstep::sub({dy, at}, {lockstep::mul({probability, at}, {total, at}), at}));
  };
  return op;
}

LOCKSTEP_BUILT_IN(94, pick_label) {
  OpDef op = make_pointwise_op(
      "pick_label", 2,
      [](ProgramBuilder& p, const OpCall& call, std::span<const Expr> in) {
        const auto& a = call.attrs_as<PickLabelAttrs>();
        const Expr label = convert(in[1], LKS_I64);
        const Expr inside = (label >= 0) & (label < a.classes);
        const Expr here = p.index(static_cast<std::uint32_t>(a.axis)) == label;
        return std::vector<Expr>{select(inside, select(here, in[0], in[0].constant(0)), in[0].constant(NAN))};
      },
      {.doc = "x where the position along an axis is the label, else 0; NaN where a label is outside the classes.",
       .error_class = ErrorClass::exact});
  op.internal = true;
  op.inputs = {{"x", types::floating}, input_of_indices("label", "any; outside [0, classes) the result is NaN")};
  // Not found by differentiating the program: that gradient is 0 where the label is outside the classes, and a training
  // step would take it for a valid one.
  op.saves = {{.inputs = 0b10}, {}};
  op.gradient = [](GradContext& g) {
    static const OpDef& pick_label_op = built_in("pick_label");
    g.set(0, invoke1(pick_label_op, {Operand(g.upstream(), g.where()), g.input(1)}, &g.attrs<PickLabelAttrs>()));
  };
  op.infer = [](InferContext& c) {
    const auto& a = c.attrs<PickLabelAttrs>();
    const int axis = c.axis_from_front(a.axis, c.rank(0));
    c.require_equal(c.shape(0).dim(axis), Dim::from_raw(a.classes), ErrorId::shapes_differ, "classes and x");
    c.set(0, c.group_dtype(), broadcast_shape(c.call()));
  };
  op.attrs = attr_schema<PickLabelAttrs>(
      "lks_pick_label_attrs",
      attr("axis", &PickLabelAttrs::axis, "of the classes", {.kind = ArgumentKind::axis, .required = true}),
      attr("classes", &PickLabelAttrs::classes, "extent of that axis",
           {.kind = ArgumentKind::integer, .required = true}));
  op.cases = [] {
    std::vector<OpCase> cases;
    for (DType dtype : floating_dtypes) {
      const CaseInput inside{Shape{5, 1}, DType::i64, {CaseValues::Kind::indices, 0, 6}};
      const CaseInput some_outside{Shape{9, 1}, DType::i32, {CaseValues::Kind::indices, -1, 7}};
      const std::string prefix(name_of(dtype));
      cases.push_back(OpCase{prefix, {{Shape{5, 7}, dtype}, inside}}.with(PickLabelAttrs{1, 7}));
      cases.push_back(OpCase{prefix + "/outside", {{Shape{9, 7}, dtype}, some_outside}, {}, {}, {}, false}.with(
          PickLabelAttrs{1, 7}));
    }
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(92, sparse_cross_entropy) {
  OpDef op;
  op.name = "sparse_cross_entropy";
  op.doc = "-log softmax(logits)[label] per row; NaN where a label is outside the classes.";
  op.inputs = {{.name = "logits", .types = types::floating, .doc = "(…, classes)"},
               input_of_indices("labels", "any; outside [0, classes) the result is NaN")};
  op.inputs[1].doc = "one per row, of the extents of logits without the last";
  op.outputs = {{"loss"}};
  op.outputs[0].doc = "extents of labels";
  op.error_class = ErrorClass::composed;
  op.infer = [](InferContext& c) { infer_rows(c, true); };
  // No rule of its own: the op is differentiated through its parts.
  op.decompose = [](DecomposeContext& c) {
    const CallSite at = c.call().where;
    const Tensor log_p = lockstep::log_softmax(c.input(0));
    const Dim classes = log_p.shape().dim(-1);
    const Tensor labels = expand_dims(c.input(1), -1);
    const PickLabelAttrs attrs{log_p.rank() - 1, classes.raw()};
    static const OpDef& pick_label_op = built_in("pick_label");
    const Tensor picked = invoke1(pick_label_op, {Operand(log_p, at), Operand(labels, at)}, &attrs);
    const Tensor loss = lockstep::neg({lockstep::sum({picked, at}, {.axes = {-1}}), at});
    // With no classes every label is outside, but no element was picked that could be NaN. So NaN is added here.
    c.set(0, classes == Dim(0) ? lockstep::add({loss, at}, {static_cast<double>(NAN), at}) : loss);
  };
  op.reference = [](RefContext& r) {
    const std::vector<long double>& x = r.inputs[0].values;
    const Shape& shape = r.inputs[0].shape;
    r.outputs[0].budget.resize(r.outputs[0].values.size());
    std::size_t n = 0;
    for_each_row(shape, shape.rank() - 1, [&](auto position, std::int64_t extent) {
      const auto label = static_cast<std::int64_t>(r.inputs[1].values[n]);
      const bool inside = label >= 0 && label < extent;
      const Row row(x, position, extent);
      r.outputs[0].values[n] = inside ? -row.log_probability(x[position(label)]) : NAN;
      if (inside) r.outputs[0].budget[n] = row.budget(x[position(label)], extent);
      ++n;
    });
  };
  op.cases = [] { return entropy_cases(true); };
  return op;
}

LOCKSTEP_BUILT_IN(93, cross_entropy) {
  OpDef op;
  op.name = "cross_entropy";
  op.doc = "-sum(targets · log softmax(logits)) per row; 0 times -infinity counts as 0.";
  op.inputs = {{.name = "logits", .types = types::floating, .doc = "(…, classes)"},
               {.name = "targets", .types = types::floating, .doc = "probabilities, of the extents of logits"}};
  op.outputs = {{"loss"}};
  op.outputs[0].doc = "extents of logits without the last";
  op.error_class = ErrorClass::composed;
  op.infer = [](InferContext& c) { infer_rows(c, false); };
  op.decompose = [](DecomposeContext& c) {
    const CallSite at = c.call().where;
    const Tensor log_p = lockstep::log_softmax(c.input(0));
    const Tensor weighted = invoke1(term_op(), {Operand(log_p, at), c.input(1)});
    c.set(0, lockstep::neg({lockstep::sum({weighted, at}, {.axes = {-1}}), at}));
  };
  op.reference = [](RefContext& r) {
    const std::vector<long double>& x = r.inputs[0].values;
    const Shape& shape = r.inputs[0].shape;
    RefArray& loss = r.outputs[0];
    loss.budget.resize(loss.values.size());
    std::size_t n = 0;
    for_each_row(shape, shape.rank() - 1, [&](auto position, std::int64_t extent) {
      const Row row(x, position, extent);
      for (std::int64_t j = 0; j < extent; ++j) {
        const long double p = r.inputs[1].values[position(j)], log_y = row.log_probability(x[position(j)]);
        if (p == 0 && log_y == -INFINITY) continue;
        loss.values[n] -= p * log_y;
        loss.budget[n] += std::fabs(p) * row.budget(x[position(j)], extent) +
                          static_cast<long double>(extent) * rounding_scale(p * log_y, loss.dtype);
      }
      ++n;
    });
  };
  op.cases = [] { return entropy_cases(false); };
  return op;
}

}  // namespace defs

namespace {

Tensor call_softmax(const OpDef& op, const Operand& x, std::int64_t axis) {
  AxisAttrs attrs{axis};
  normalize_attributes(op, std::span(&x, 1), &attrs);
  return invoke1(op, std::span(&x, 1), &attrs);
}

}  // namespace

Tensor softmax(Operand x, std::int64_t axis) {
  static const OpDef& op = built_in("softmax");
  return call_softmax(op, x, axis);
}

Tensor log_softmax(Operand x, std::int64_t axis) {
  static const OpDef& op = built_in("log_softmax");
  return call_softmax(op, x, axis);
}

LOCKSTEP_BINARY_FUNCTION(sparse_cross_entropy)
LOCKSTEP_BINARY_FUNCTION(cross_entropy)

}  // namespace lockstep
