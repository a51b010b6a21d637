// Layer normalisation (Ba, Kiros, Hinton, "Layer normalization", arXiv 1607.06450): a composite, so it is
// differentiated through its parts and runs on every device.
#include <cmath>

#include "lockstep/ops/math.h"
#include "lockstep/ops/nn.h"
#include "lockstep/ops/reduce.h"
#include "ops/built_in.h"
#include "ops/pointwise.h"

namespace lockstep {
namespace {

void infer_layer_norm(InferContext& c) {
  if (c.rank(0) < 1) c.fail(ErrorId::wrong_rank, "x has rank 0", "x is (…, features)");
  const Dim features = c.shape(0).dim(-1);
  if (features == Dim(0)) {
    c.fail(ErrorId::invalid_shape, "there are no features to normalise in " + c.shape(0).to_string(),
           "the last dimension needs an extent of 1 or more");
  }
  for (std::size_t i : {1, 2}) {
    if (!c.has(i)) continue;
    c.require_rank(i, 1);
    c.require_equal(c.shape(i).dim(0), features, ErrorId::shapes_differ, c.call().op.inputs[i].name + " and features");
  }
  const double epsilon = c.call().scalars[0].as_double();
  if (!(epsilon >= 0 && std::isfinite(epsilon))) {
    c.fail(ErrorId::invalid_attribute, "epsilon is " + std::to_string(epsilon), "epsilon is a number of 0 or more");
  }
  c.set(0, c.group_dtype(), c.shape(0));
}

void decompose_layer_norm(DecomposeContext& c) {
  const CallSite at = c.call().where;
  const Reduce last{.axes = {-1}, .keep = true};
  const Tensor centre = lockstep::mean(c.input(0), last);
  const Tensor distance = lockstep::sub(c.input(0), {centre, at});
  const Tensor squares = lockstep::square({distance, at});
  const Tensor variance = lockstep::mean({squares, at}, last);
  const Tensor raised = lockstep::add({variance, at}, {c.scalar(0).as_double(), at});
  const Tensor factor = lockstep::rsqrt({raised, at});
  Tensor y = lockstep::mul({distance, at}, {factor, at});
  if (c.has(1)) y = lockstep::mul({y, at}, c.input(1));
  if (c.has(2)) y = lockstep::add({y, at}, c.input(2));
  c.set(0, y);
}

// One row, with what the roundings of each step can do to it, to first order, in units of the unit round-off.
void normalise_row(RefContext& r, std::size_t first, std::size_t features, long double epsilon) {
  const std::vector<long double>& x = r.inputs[0].values;
  const auto n = static_cast<long double>(features);
  long double total = 0, magnitude = 0, squares = 0, error_of_squares = 0;
  for (std::size_t j = 0; j < features; ++j) {
    total += x[first + j];
    magnitude += std::fabs(x[first + j]);
  }
  const long double centre = total / n, error_of_centre = (n + 2) * magnitude / n;
  const auto distance = [&](std::size_t j) { return x[first + j] - centre; };
  const auto error_of_distance = [&](std::size_t j) { return error_of_centre + std::fabs(distance(j)); };
  for (std::size_t j = 0; j < features; ++j) {
    squares += distance(j) * distance(j);
    error_of_squares += 2 * std::fabs(distance(j)) * error_of_distance(j);
  }
  const long double raised = squares / n + epsilon, factor = 1 / std::sqrt(raised);
  const long double error_of_factor = ((error_of_squares + (n + 3) * squares) / n / raised + 1) / 2 + 2;  // relative
  const bool scales = r.inputs.size() > 1 && !r.inputs[1].values.empty();
  const bool shifts = r.inputs.size() > 2 && !r.inputs[2].values.empty();
  for (std::size_t j = 0; j < features; ++j) {
    long double y = distance(j) * factor, error = error_of_distance(j) * factor + std::fabs(y) * (error_of_factor + 1);
    if (scales) {
      y *= r.inputs[1].values[j];
      error = error * std::fabs(r.inputs[1].values[j]) + std::fabs(y);
    }
    if (shifts) {
      y += r.inputs[2].values[j];
      error += std::fabs(y);
    }
    r.outputs[0].values[first + j] = y;
    r.outputs[0].budget[first + j] = error;
  }
}

void layer_norm_reference(RefContext& r) {
  const auto features = static_cast<std::size_t>(r.inputs[0].shape[-1]);
  const long double epsilon = number_as(r.call.scalars[0], r.outputs[0].dtype);
  r.outputs[0].budget.resize(r.outputs[0].values.size());
  for (std::size_t first = 0; first < r.inputs[0].values.size(); first += features) {
    normalise_row(r, first, features, epsilon);
  }
}

std::vector<OpCase> layer_norm_cases() {
  std::vector<OpCase> cases;
  const auto add = [&](std::string name, Shape x, bool scales, bool shifts, DType dtype = DType::f32) {
    const std::int64_t features = x.rank() ? x[-1] : 3;
    const CaseValues values{CaseValues::Kind::range, -2, 3};
    cases.push_back({std::move(name),
                     {{x, dtype, values}, {Shape{features}, dtype, {}, !scales}, {Shape{features}, dtype, {}, !shifts}},
                     {},
                     {1e-5}});
  };
  const auto without_gradient = [&](double low, double high) {
    cases.back().inputs[0].values = {CaseValues::Kind::range, low, high};
    cases.back().gradient = false;
  };
  for (DType dtype : floating_dtypes) {
    const std::string prefix = std::string(name_of(dtype)) + "/";
    add(prefix + "rows", {5, 10}, false, false, dtype);
    add(prefix + "scaled", {4, 12}, true, false, dtype);
    add(prefix + "shifted", {9}, false, true, dtype);
    add(prefix + "both", {3, 4, 33}, true, true, dtype);
    add(prefix + "long", {2, 1031}, true, true, dtype);
  }
  const auto refuse = [&](ErrorId error) { cases.back().error = error; };
  add("error/rank", {}, false, false);
  refuse(ErrorId::wrong_rank);
  add("error/no_features", {3, 0}, false, false);
  refuse(ErrorId::invalid_shape);
  add("error/scale", {3, 4}, true, false);
  cases.back().inputs[1].shape = {5};
  refuse(ErrorId::shapes_differ);
  add("error/epsilon", {3, 4}, false, false);
  cases.back().scalars = {-1.0};
  refuse(ErrorId::invalid_attribute);
  for (DType dtype : floating_dtypes) {
    const std::string prefix = std::string(name_of(dtype)) + "/";
    // The mean is 3500 deviations from zero: the mean of squares, less the square of the mean, loses most digits. bf16
    // has no such numbers. Of rank 1, because devices may differ by more here than the check of many rows allows. With
    // a small epsilon, a row of equal numbers would not tell right results from wrong ones.
    if (dtype != DType::bf16) {
      add(prefix + "far_from_zero", {16}, true, true, dtype);
      without_gradient(4000, 4004);
      cases.back().scalars = {0.5};
    }
    // The variance is about epsilon. The steps of the oracle's differences are too large for such numbers.
    add(prefix + "nearly_equal", {4, 9}, false, false, dtype);
    without_gradient(-0.0055, 0.0055);
    // The last case gets all layouts, so its rows are longer.
    add(prefix + "epsilon", {2, 131}, true, true, dtype);
    cases.back().scalars = {0.5};
    cases.back().gradient = !is_half_width(dtype);
  }
  // A tiny variance, and a tiny epsilon that is about the same. f16 has no such numbers.
  for (DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    add(std::string(name_of(dtype)) + "/tiny_epsilon", {3, 131}, true, true, dtype);
    without_gradient(-5.5e-10, 5.5e-10);
    cases.back().scalars = {1e-19};
  }
  return cases;
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(95, layer_norm) {
  OpDef op;
  op.name = "layer_norm";
  op.doc = "x, shifted and scaled to mean 0 and variance 1 over its last dimension, then times scale plus shift.";
  op.inputs = {{.name = "x", .types = types::floating, .doc = "(…, features)"},
               {.name = "scale", .types = types::floating, .optional = true, .doc = "(features,)"},
               {.name = "shift", .types = types::floating, .optional = true, .doc = "(features,)"}};
  op.outputs[0].doc = "extents of x";
  op.scalars = {{.name = "epsilon",
                 .doc = "added to the variance; with 0, rows of variance 0 and their gradients are NaN",
                 .unless_given = 1e-5}};
  op.error_class = ErrorClass::composed;
  op.infer = &infer_layer_norm;
  op.decompose = &decompose_layer_norm;
  op.reference = &layer_norm_reference;
  op.cases = &layer_norm_cases;
  return op;
}

}  // namespace defs

Tensor layer_norm(Operand x, double epsilon) {
  return layer_norm(x, Operand::absent(x.where()), Operand::absent(x.where()), epsilon);
}

Tensor layer_norm(Operand x, Operand scale, Operand shift, double epsilon) {
  static const OpDef& op = built_in("layer_norm");
  const Scalar number = epsilon;
  return invoke1(op, {x, scale, shift}, nullptr, std::span(&number, 1));
}

}  // namespace lockstep
