#include "lockstep/losses.h"

#include <cmath>

#include "lockstep/error.h"
#include "lockstep/metrics.h"
#include "lockstep/op_def.h"
#include "lockstep/ops.h"

namespace lockstep {
namespace {

// Converts class numbers to a dtype that index tensors may have.
Tensor as_index(const Operand& labels) {
  const Tensor t = labels.tensor();
  if (is_floating(t.dtype())) {
    ErrorBuilder(ErrorId::dtype_not_accepted, "sparse_categorical_crossentropy",
                 "the labels are " + std::string(name_of(t.dtype())) + ", class numbers are integers")
        .line("labels", t.describe())
        .at(labels.where())
        .fix("give cast(labels, i32) as labels")
        .raise();
  }
  return t.dtype() == DType::i32 || t.dtype() == DType::i64 ? t : cast(labels, DType::i32);
}

void require_same_shape(const char* op, const Operand& a, const Operand& b) {
  const Tensor x = a.tensor(), y = b.tensor();
  if (x.shape() == y.shape()) return;
  ErrorBuilder(ErrorId::shapes_differ, op,
               "predictions and targets differ in shape, " + x.shape().to_string() + " and " + y.shape().to_string())
      .line("predictions", x.describe())
      .line("targets", y.describe())
      .at(a.where())
      .fix("losses never broadcast: reshape one to the other's shape")
      .raise();
}

// Shapes (N, 1) and (N) mean the same: reshapes the targets to the predictions' shape.
Tensor shaped_like(const Tensor& predictions, const Tensor& targets) {
  const auto is_column_of = [](const Shape& column, const Shape& flat) {
    if (flat.rank() == 0 || column.rank() != flat.rank() + 1 || !(column.dim(-1) == Dim(1))) return false;
    for (int d = 0; d < flat.rank(); ++d) {
      if (!(column.dim(d) == flat.dim(d))) return false;
    }
    return true;
  };
  const Shape &p = predictions.shape(), &t = targets.shape();
  return is_column_of(p, t) || is_column_of(t, p) ? reshape(targets, p) : targets;
}

// With u = exp(-|x|) the loss is log(1 + u) + w |x|, where w is 1 - target for x > 0 and target otherwise. Nothing
// cancels. The second term of log_sum restores the digits of u that are lost in 1 + u.
Expr entropy_of_bit(Expr x, Expr target) {
  const Expr size = abs(x), u = exp(-size), sum = 1.0 + u;
  const Expr log_sum = log(sum) + (u - (sum - 1.0)) / sum;
  const Expr wrong = select(x > 0, 1.0 - target, target);
  return log_sum + select(wrong == 0, wrong.constant(0), wrong * size);  // not 0 times infinity
}

// Computes sigmoid(x) - target without subtracting numbers near 1.
Expr slope_of_bit(Expr x, Expr target, Expr upstream) {
  return upstream * ((1.0 - target) * sigmoid(x) - target * sigmoid(-x));
}

const OpDef& binary_slope_op() {
  static const OpDef& op = [&]() -> const OpDef& {
    OpDef def = pointwise_op("losses::binary_cross_entropy_slope",
                             [](Expr x, Expr t, Expr upstream) { return slope_of_bit(x, t, upstream); },
                             {.doc = "Gradient of losses::binary_cross_entropy by its logits."});
    def.saves = {Saves{7, 0}};
    def.gradient = [](GradContext& g) {
      const Tensor arrives = g.upstream();
      const Operand x = g.input(0), t = g.input(1), upstream = g.input(2);
      // sigmoid(x) (1 - sigmoid(x)), without the subtraction.
      if (g.needs(0)) g.set(0, arrives * upstream * (sigmoid(x) * sigmoid(neg(x))));
      if (g.needs(1)) g.set(1, neg(arrives * upstream));
      if (g.needs(2)) g.set(2, invoke1(binary_slope_op(), {x, t, {arrives, g.where()}}));
    };
    return register_op(std::move(def));
  }();
  return op;
}

const OpDef& binary_cross_entropy_op() {
  static const OpDef& op = [&]() -> const OpDef& {
    OpDef def = pointwise_op(
        "losses::binary_cross_entropy", [](Expr x, Expr t) { return entropy_of_bit(x, t); },
        {.doc = "-(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))).", .error_class = ErrorClass::transcendental});
    def.inputs = {{"logits", types::floating}, {"targets", types::floating}};
    def.saves = {Saves{3, 0}, Saves{1, 0}};
    def.gradient = [](GradContext& g) {
      const Tensor upstream = g.upstream();
      if (g.needs(0)) g.set(0, invoke1(binary_slope_op(), {g.input(0), g.input(1), {upstream, g.where()}}));
      if (g.needs(1)) g.set(1, neg({mul({upstream, g.where()}, g.input(0)), g.where()}));
    };
    return register_op(std::move(def));
  }();
  return op;
}

}  // namespace

namespace losses {

Tensor sparse_categorical_crossentropy(Operand logits, Operand labels) {
  const Tensor index = as_index(labels);
  return mean({sparse_cross_entropy(logits, {index, labels.where()}), logits.where()});
}

Tensor categorical_crossentropy(Operand logits, Operand targets) {
  return mean({cross_entropy(logits, targets), logits.where()});
}

Tensor binary_crossentropy(Operand logits, Operand targets) {
  const Tensor x = logits.tensor(), given = shaped_like(x, targets.tensor());
  const Tensor t = is_floating(given.dtype()) ? given : cast({given, targets.where()}, x.dtype());
  require_same_shape("binary_crossentropy", {x, logits.where()}, {t, targets.where()});
  const Tensor each = invoke1(binary_cross_entropy_op(), {{x, logits.where()}, {t, targets.where()}});
  return mean({each, logits.where()});
}

Tensor mean_squared_error(Operand predictions, Operand targets) {
  require_same_shape("mean_squared_error", predictions, targets);
  const Tensor difference = sub(predictions, targets);
  return mean({square({difference, predictions.where()}), predictions.where()});
}

namespace {

// With a single class the probability is always 1, so nothing can be learned.
void require_classes(const char* loss, const Tensor& predictions) {
  if (predictions.rank() > 0 && predictions.shape()[-1] > 1) return;
  ErrorBuilder(ErrorId::shapes_differ, loss, "there is one output per row, and so nothing to choose from")
      .line("predictions", predictions.describe())
      .fix("use losses::BinaryCrossentropy, with from_logits = false after a sigmoid")
      .raise();
}

// Returns log p for predictions that are probabilities; softmax of the result gives p again.
Tensor logits_of(const Tensor& predictions, bool from_logits) {
  return from_logits ? predictions : log(clip(predictions, 1e-7, 1.0));
}

// Returns log(p / (1 - p)) for predictions that are probabilities; sigmoid of the result gives p again.
Tensor binary_logits_of(const Tensor& p, bool from_logits) {
  return from_logits ? p : log(clip(p, 1e-7, 1.0)) - log(clip(1.0 - p, 1e-7, 1.0));
}

}  // namespace

SparseCategoricalCrossentropy::operator Loss() const {
  return {"sparse_categorical_crossentropy",
          [logits = from_logits](const Tensor& predictions, const Tensor& targets) {
            require_classes("sparse_categorical_crossentropy", predictions);
            return sparse_categorical_crossentropy(logits_of(predictions, logits), targets);
          },
          true};
}

CategoricalCrossentropy::operator Loss() const {
  return {"categorical_crossentropy", [logits = from_logits](const Tensor& predictions, const Tensor& targets) {
            require_classes("categorical_crossentropy", predictions);
            return categorical_crossentropy(logits_of(predictions, logits), targets);
          }};
}

BinaryCrossentropy::operator Loss() const {
  Loss loss = {"binary_crossentropy", [logits = from_logits](const Tensor& predictions, const Tensor& targets) {
                 return binary_crossentropy(binary_logits_of(predictions, logits), targets);
               }};
  loss.binary_labels = true;
  return loss;
}

MeanSquaredError::operator Loss() const {
  return {"mean_squared_error",
          [](const Tensor& predictions, const Tensor& targets) { return mean_squared_error(predictions, targets); }};
}

}  // namespace losses

namespace {

// Every example has the same weight, however many rows it has: scales a metric's sum over rows to a sum over examples.
// Examples without rows count 0.
Tensor per_example(const Tensor& right, const Tensor& predictions) {
  const auto rows = static_cast<double>(right.size()), examples = static_cast<double>(predictions.shape()[0]);
  const Tensor total = sum(cast(right, DType::f32));
  return rows == examples || rows == 0 ? total : total * (examples / rows);
}

[[noreturn]] void refuse(ErrorId id, const char* metric, const std::string& what, const Tensor& predictions,
                         const Tensor& targets, const std::string& fix) {
  ErrorBuilder(id, metric, what)
      .line("predictions", predictions.describe())
      .line("labels", targets.describe())
      .fix(fix)
      .raise();
}

// Returns the class of each row. Targets hold either class numbers or one probability per class.
Tensor wanted_classes(const Tensor& predictions, const Tensor& targets) {
  if (targets.shape() == predictions.shape()) {
    const bool is_small = size_of(targets.dtype()) == 1;  // bool, u8 or i8, which argmax does not take
    return argmax(is_small ? cast(targets, DType::i32) : targets);
  }
  Shape rows;
  for (int d = 0; d + 1 < predictions.rank(); ++d) rows.append(predictions.shape().dim(d));
  Shape column = rows;
  column.append(1);
  if (targets.shape() == rows) return targets;
  if (targets.shape() == column) return reshape(targets, rows);
  refuse(ErrorId::shapes_differ, "accuracy", "labels of this shape do not belong to these predictions", predictions,
         targets, "give one class number per row, or one probability per class");
}

}  // namespace

metrics::Accuracy::operator metrics::Metric() const {
  return {"accuracy", [](const Tensor& predictions, const Tensor& targets) {
            if (predictions.rank() < 2 || predictions.shape()[-1] < 2) {
              refuse(ErrorId::shapes_differ, "accuracy", "one output per row has no largest", predictions, targets,
                     "use metrics::BinaryAccuracy, with from_logits = false after a sigmoid");
            }
            const Tensor wanted = wanted_classes(predictions, targets);
            // Compares in a wide type: with byte labels, prediction 300 must not equal 44, and a label of 0.5 is not a
            // class.
            const DType common = is_floating(wanted.dtype()) ? compute_dtype(wanted.dtype()) : DType::i64;
            const Tensor at_label = equal(cast(argmax(predictions), common), cast(wanted, common));
            // The argmax of a row with NaN is the place of a NaN, which may be that of the label.
            const Tensor largest = max(predictions, {.axes = {-1}});
            return per_example(logical_and(at_label, equal(largest, largest)), predictions);
          }};
}

metrics::BinaryAccuracy::operator metrics::Metric() const {
  if (!(threshold > 0 && threshold < 1)) {
    ErrorBuilder(ErrorId::invalid_attribute, "binary_accuracy", "the threshold is " + std::to_string(threshold))
        .fix("it is a probability between 0 and 1")
        .raise();
  }
  const double least = from_logits ? std::log(threshold) - std::log1p(-threshold) : threshold;
  return {"binary_accuracy", [least](const Tensor& predictions, const Tensor& targets) {
            const Tensor labels = shaped_like(predictions, targets);
            if (predictions.rank() < 1 || !(labels.shape() == predictions.shape())) {
              refuse(ErrorId::shapes_differ, "binary_accuracy", "predictions and labels differ in shape", predictions,
                     targets, "give one label per output");
            }
            const Tensor label = cast(labels, DType::f32);
            // Both comparisons are false for NaN, so NaN is never right.
            const Tensor right = where(label > 0.5, predictions > least, predictions <= least);
            const bool may_be_nan = is_floating(labels.dtype());  // and a label of NaN is none
            return per_example(may_be_nan ? logical_and(right, equal(label, label)) : right, predictions);
          }};
}

}  // namespace lockstep
