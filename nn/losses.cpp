#include "lockstep/losses.h"

#include "lockstep/error.h"
#include "lockstep/metrics.h"
#include "lockstep/ops.h"

namespace lockstep {
namespace {

// Class numbers in a dtype that indices may have.
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

}  // namespace

namespace losses {

Tensor sparse_categorical_crossentropy(Operand logits, Operand labels) {
  const Tensor index = as_index(labels);
  return mean({sparse_cross_entropy(logits, {index, labels.where()}), logits.where()});
}

Tensor categorical_crossentropy(Operand logits, Operand targets) {
  return mean({cross_entropy(logits, targets), logits.where()});
}

Tensor mean_squared_error(Operand predictions, Operand targets) {
  require_same_shape("mean_squared_error", predictions, targets);
  const Tensor difference = sub(predictions, targets);
  return mean({square({difference, predictions.where()}), predictions.where()});
}

namespace {

// log p for predictions that are probabilities already; softmax of it gives them back.
Tensor logits_of(const Tensor& predictions, bool from_logits) {
  return from_logits ? predictions : log(clip(predictions, 1e-7, 1.0));
}

}  // namespace

SparseCategoricalCrossentropy::operator Loss() const {
  return {"sparse_categorical_crossentropy",
          [logits = from_logits](const Tensor& predictions, const Tensor& targets) {
            return sparse_categorical_crossentropy(logits_of(predictions, logits), targets);
          },
          true};
}

CategoricalCrossentropy::operator Loss() const {
  return {"categorical_crossentropy", [logits = from_logits](const Tensor& predictions, const Tensor& targets) {
            return categorical_crossentropy(logits_of(predictions, logits), targets);
          }};
}

MeanSquaredError::operator Loss() const {
  return {"mean_squared_error",
          [](const Tensor& predictions, const Tensor& targets) { return mean_squared_error(predictions, targets); }};
}

}  // namespace losses

metrics::Accuracy::operator metrics::Metric() const {
  return {"accuracy", [](const Tensor& predictions, const Tensor& targets) {
            const Tensor chosen = argmax(predictions);
            // One label per row, or one probability per class.
            const Tensor wanted = targets.rank() == predictions.rank() ? argmax(targets) : cast(targets, DType::i64);
            return sum(cast(equal(chosen, wanted), DType::f32));
          }};
}

}  // namespace lockstep
