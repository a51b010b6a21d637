// Model::summary: prints a table of the layers.
#include <algorithm>
#include <cstdio>

#include "lockstep/autodiff.h"
#include "lockstep/error.h"
#include "lockstep/memory.h"
#include "nn/model_state.h"
#include "ops/observer.h"
#include "runtime/caller.h"

namespace lockstep::nn {
namespace {

// Counts the bytes that the ops of a forward pass write; views write none.
class ActivationCounter : public OpObserver {
 public:
  ActivationCounter() { op_observers().add(this); }
  ~ActivationCounter() override { op_observers().remove(this); }
  void record(const OpCall& call, std::span<const TensorRef> outputs) override {
    if (call.op.view) return;
    for (const TensorRef& t : outputs) bytes += static_cast<std::uint64_t>(TensorSpec{t->dtype, t->shape}.bytes());
  }
  bool watches_any(const OpCall&) const override { return false; }
  void value_read(const TensorImpl&, const char*, CallSite) override {}
  std::uint64_t bytes = 0;
};

struct RowText {
  std::string layer, output, parameters, activations;
};

std::int64_t parameter_count(const std::vector<Variable>& variables) {
  std::int64_t n = 0;
  for (const Variable& v : variables) n += v.shape().size();
  return n;
}

std::string grouped(std::int64_t n) {
  std::string digits = std::to_string(n);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

// Shows the batch dimension, which is 1 during counting, as "batch".
std::string batch_shape(const Shape& shape) {
  std::string text = "(batch";
  for (int d = 1; d < shape.rank(); ++d) text += ", " + std::to_string(shape[d]);
  return text + ")";
}

std::string table(const std::vector<RowText>& rows) {
  std::size_t widths[4] = {0, 0, 0, 0};
  const auto cells = [](const RowText& r) {
    return std::array<const std::string*, 4>{&r.layer, &r.output, &r.parameters, &r.activations};
  };
  for (const RowText& r : rows) {
    for (std::size_t c = 0; c < 4; ++c) widths[c] = std::max(widths[c], cells(r)[c]->size());
  }
  std::string text;
  for (const RowText& r : rows) {
    for (std::size_t c = 0; c < 4; ++c) {
      const std::string& cell = *cells(r)[c];
      const std::string space(widths[c] - cell.size(), ' ');
      text += c < 2 ? " " + cell + space + "  " : " " + space + cell + (c == 2 ? "  " : "");
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::string Model::summary(std::int64_t batch, CallSite where) const {
  const State& s = state_.at(where);
  s.require_built("summary", where);
  if (batch < 1) {
    raise(ErrorId::invalid_attribute, "summary", "batch is " + std::to_string(batch), "batches are 1 or more", where);
  }
  const CallerScope caller(where);
  Shape shape{1};
  for (Dim d : s.input.shape.dims()) shape.append(d);
  NoGradient pause;
  std::vector<RowText> rows = {{"layer", "output", "parameters", "bytes/example"}};
  std::uint64_t activations = 0;
  Tensor x = Tensor::abstract({s.input.dtype, shape});
  const auto run = [&](const Layer& layer) {
    ActivationCounter counter;
    x = layer(x);
    activations += counter.bytes;
    const std::string type = layer.name() == layer.type_name() ? "" : " (" + layer.type_name() + ")";
    rows.push_back({layer.name() + type, batch_shape(x.shape()), grouped(parameter_count(layer.variables())),
                    grouped(static_cast<std::int64_t>(counter.bytes))});
  };
  if (dynamic_cast<const Sequential*>(s.layers.get())) {
    for (const auto& layer : s.layers->children()) run(*layer);
  } else {
    run(*s.layers);
  }

  const std::vector<Variable> all = variables(), trainable = trainable_variables();
  const std::uint64_t weights = bytes_of(all), gradients = bytes_of(trainable);
  const int slots = s.compile ? s.compile->optimizer.slots_per_variable() : 2;
  // Each activation is kept until its gradient is computed, and at the peak a few gradients exist as well: an estimate
  // of 5/4.
  const std::uint64_t states = gradients + static_cast<std::uint64_t>(slots) * slot_bytes_of(trainable);
  const std::int64_t kept = checked_mul(checked_mul(static_cast<std::int64_t>(activations), batch), 5) / 4;
  const std::uint64_t peak = weights + states + static_cast<std::uint64_t>(kept);
  std::string text = "model on " + device().name() + ", input " + batch_shape(shape) + " " +
                     std::string(name_of(s.input.dtype)) + "\n\n";
  text += table(rows);
  text += "\n parameters  " + grouped(parameter_count(all)) + " (" + format_bytes(weights) + "), trainable " +
          grouped(parameter_count(trainable)) + "\n training    about " + format_bytes(peak) + " at batch " +
          std::to_string(batch) + ": weights, gradients, optimizer and activations\n";
  return text;
}

}  // namespace lockstep::nn
