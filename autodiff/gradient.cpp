// The reverse pass over a tape.
#include <algorithm>

#include "autodiff/tape.h"
#include "lockstep/error.h"
#include "lockstep/ops.h"
#include "ops/invoke.h"
#include "runtime/device_state.h"
#include "runtime/enums.h"

namespace lockstep {
namespace {

// A record as its gradient rule sees it.
class RecordContext : public GradContext {
 public:
  RecordContext(const Record& record, std::span<const TensorRef> upstream, const std::vector<bool>& wanted)
      : record_(record), upstream_(upstream), wanted_(wanted), results_(record.inputs.size()) {}

  Operand input(std::size_t i) const override {
    if (!record_.operands.empty() && !record_.operands[i].is_tensor()) return record_.operands[i];
    if (record_.saved_inputs.empty() || !record_.saved_inputs[i]) fail_unsaved("input", i);
    return Operand::borrow(record_.saved_inputs[i], record_.where);
  }
  Tensor output(std::size_t i) const override {
    if (record_.saved_outputs.empty() || !record_.saved_outputs[i]) fail_unsaved("output", i);
    return Tensor::share(record_.saved_outputs[i]);
  }
  const Shape& input_shape(std::size_t i) const override { return shape_of(record_.input_shapes[i]); }
  DType input_dtype(std::size_t i) const override { return record_.input_shapes[i].dtype; }
  bool has_input(std::size_t i) const override {
    return i < record_.inputs.size() && (record_.operands.empty() || !record_.operands[i].is_absent());
  }
  const Shape& output_shape(std::size_t i) const override { return shape_of(record_.output_shapes[i]); }
  Tensor upstream(std::size_t output) const override {
    if (upstream_[output]) return Tensor::share(upstream_[output].get());
    const RecordedShape& s = record_.output_shapes[output];
    return zeros(s.shape(), s.dtype, record_.where);
  }
  bool has_upstream(std::size_t output) const override { return static_cast<bool>(upstream_[output]); }
  bool needs(std::size_t i) const override { return record_.inputs[i] != no_node && wanted_[record_.inputs[i]]; }
  void set(std::size_t input, Tensor gradient) override { results_[input] = TensorRef::share(gradient.impl()); }
  std::size_t input_count() const override { return record_.inputs.size(); }
  const void* raw_attrs() const override { return record_.attrs.data(); }
  const Scalar& scalar(std::size_t i) const override { return record_.scalars[i]; }
  CallSite where() const override { return record_.where; }
  const OpDef& op() const override { return *record_.op; }

  std::span<TensorRef> results() { return results_; }

 private:
  // Rules use the returned references after the call, so the shapes are kept. Rules ask for few of them.
  const Shape& shape_of(const RecordedShape& recorded) const {
    shapes_.push_back(std::make_unique<Shape>(recorded.shape()));
    return *shapes_.back();
  }
  [[noreturn]] void fail_unsaved(const char* what, std::size_t i) const {
    raise(ErrorId::invalid_op_definition, record_.op->name,
          std::string("the gradient rule reads ") + what + " " + std::to_string(i) + ", which the op does not save",
          "declare it in OpDef::saves", record_.where);
  }

  const Record& record_;
  std::span<const TensorRef> upstream_;
  const std::vector<bool>& wanted_;
  std::vector<TensorRef> results_;
  mutable std::vector<std::unique_ptr<Shape>> shapes_;
};

// A rule that reads an element or a symbolic extent gets an error that knows neither the op nor its place.
void apply_rule(const Record& record, RecordContext& context) {
  try {
    record.op->gradient(context);
  } catch (const TraceError& e) {
    ErrorBuilder error(ErrorId::symbolic_value, record.op->name,
                       "the gradient rule needs what an abstract tensor does not have: " + e.headline());
    for (std::size_t i = 0; i < record.input_shapes.size(); ++i) {
      if (!context.has_input(i)) continue;
      const RecordedShape& input = record.input_shapes[i];
      error.line("input " + std::to_string(i), std::string(name_of(input.dtype)) + " " + input.shape().to_string());
    }
    error.at(record.where)
        .fix("give it known extents, or correct the rule: it takes extents as shape.dim(i), not as numbers")
        .raise();
  }
}

// Sums a gradient over the axes that were broadcast.
Tensor sum_to(const Tensor& gradient, const Shape& shape, CallSite where) {
  if (gradient.shape() == shape) return gradient;
  const int extra = gradient.rank() - shape.rank();
  Ints axes;
  for (int i = 0; i < gradient.rank(); ++i) {
    if (i < extra || (shape.dim(i - extra) == Dim(1) && !(gradient.shape().dim(i) == Dim(1)))) axes.push_back(i);
  }
  const Tensor total = axes.empty() ? gradient : sum({gradient, where}, {axes, true});
  return reshape({total, where}, shape);
}

}  // namespace

// One reverse pass. Only the rules of records between the sources and the target run.
class ReversePass {
 public:
  ReversePass(TapeImpl& tape, std::span<const std::vector<Node>> sources)
      : tape_(tape), wanted_(tape.node_count_, false), gradients_(tape.node_count_) {
    for (const std::vector<Node>& nodes : sources) {
      for (Node n : nodes) wanted_[n] = true;
    }
    sources_ = wanted_;
    for (const Record* record : tape.records_) {
      const auto is_wanted = [&](Node n) { return n != no_node && wanted_[n]; };
      if (!std::any_of(record->inputs.begin(), record->inputs.end(), is_wanted)) continue;
      for (Node n : record->outputs) {
        if (n != no_node) wanted_[n] = true;
      }
    }
  }

  bool reaches(Node target) const { return wanted_[target]; }

  void run(Node target, const Tensor& upstream) {
    gradients_[target] = TensorRef::share(upstream.impl());
    // By index, because a persistent tape grows while its gradients are recorded.
    for (std::size_t i = tape_.records_.size(); i-- > 0;) step(*tape_.records_[i]);
  }

  /// The sum over all reads of a variable. Empty if no gradient arrived.
  TensorRef gradient_of(const std::vector<Node>& nodes) const {
    TensorRef total;
    for (Node n : nodes) {
      if (!gradients_[n]) continue;
      total = total ? sum_of(total, gradients_[n], CallSite::current()) : gradients_[n];
    }
    return total;
  }

 private:
  static TensorRef sum_of(const TensorRef& a, const TensorRef& b, CallSite where) {
    return TensorRef::share(add(Operand::borrow(a.get(), where), Operand::borrow(b.get(), where)).impl());
  }

  void step(Record& record) {
    std::vector<TensorRef> upstream(record.outputs.size());
    bool arrived = false;
    for (std::size_t o = 0; o < record.outputs.size(); ++o) {
      const Node n = record.outputs[o];
      if (n == no_node) continue;
      // No earlier record needs this gradient again, so it is released, unless the node is itself a source.
      upstream[o] = sources_[n] ? gradients_[n] : std::exchange(gradients_[n], {});
      arrived |= static_cast<bool>(upstream[o]);
    }
    const auto is_wanted = [&](Node n) { return n != no_node && wanted_[n]; };
    if (arrived && std::any_of(record.inputs.begin(), record.inputs.end(), is_wanted)) apply(record, upstream);
    if (!tape_.options_.persistent) tape_.drop_saved(record);
  }

  void apply(const Record& record, std::span<const TensorRef> upstream) {
    std::optional<NameScope> scope;
    if (record.scope) scope.emplace(record.scope);
    const auto given = std::find_if(upstream.begin(), upstream.end(), [](const TensorRef& t) { return bool(t); });
    const ResultScope results((*given)->device);  // of what a rule makes without inputs
    RecordContext context(record, upstream, wanted_);
    apply_rule(record, context);
    for (std::size_t i = 0; i < record.inputs.size(); ++i) {
      const TensorRef& result = context.results()[i];
      if (!result || !context.needs(i)) continue;
      const Tensor fitted = sum_to(Tensor::share(result.get()), record.input_shapes[i].shape(), record.where);
      TensorRef& slot = gradients_[record.inputs[i]];
      const TensorRef gradient = TensorRef::share(fitted.impl());
      slot = slot ? sum_of(slot, gradient, record.where) : gradient;
    }
  }

  TapeImpl& tape_;
  std::vector<bool> wanted_;  // nodes that depend on a source
  std::vector<bool> sources_;
  std::vector<TensorRef> gradients_;
};

namespace {

Tensor upstream_for(const Tensor& target, const GradientOptions& options, CallSite where) {
  if (options.upstream && options.upstream->is_abstract(where) && !target.is_abstract()) {
    ErrorBuilder(ErrorId::symbolic_value, "gradient", "the upstream gradient is abstract and has no elements")
        .line("target", target.describe())
        .line("upstream", options.upstream->describe())
        .at(where)
        .fix("give one with elements, as the target has")
        .raise();
  }
  if (options.upstream) {
    if (options.upstream->shape(where) == target.shape() && options.upstream->dtype() == target.dtype()) {
      // Times an abstract tensor, an upstream gradient with elements is abstract too, as the gradients have to be.
      // Outer tapes follow the product.
      if (target.is_abstract() && !options.upstream->is_abstract()) {
        return mul({*options.upstream, where}, {ones_like({target, where}), where});
      }
      if (target.is_abstract() || options.upstream->device() == target.device()) return *options.upstream;
      ErrorBuilder(ErrorId::devices_differ, "gradient", "the upstream gradient and the target lie on different devices")
          .line("target", target.describe())
          .line("upstream", options.upstream->describe())
          .at(where)
          .fix("move it: upstream.to(Device(\"" + target.impl()->device->name() + "\"))")
          .raise();
    }
    const bool shapes = !(options.upstream->shape() == target.shape());
    ErrorBuilder(shapes ? ErrorId::shapes_differ : ErrorId::dtypes_differ, "gradient",
                 std::string("the upstream gradient and the target differ in ") + (shapes ? "shape" : "dtype"))
        .line("target", target.describe())
        .line("upstream", options.upstream->describe())
        .at(where)
        .fix(shapes ? "give one number per element of the target"
                    : "cast it: cast(upstream, lockstep::" + std::string(name_of(target.dtype())) + ")")
        .raise();
  }
  if (!(target.shape().element_count() == Dim(1))) {
    ErrorBuilder(ErrorId::target_not_scalar, "gradient",
                 "the target has " + target.shape().element_count().to_string() + " elements")
        .line("target", target.describe())
        .at(where)
        .fix("reduce it, with sum or mean, or pass {.upstream = …} of its shape")
        .raise();
  }
  return ones_like({target, where});
}

}  // namespace

std::vector<bool> TapeImpl::nodes_leading_to(Node target) const {
  std::vector<bool> leads(node_count_, false);
  if (target == no_node) return leads;
  leads[target] = true;
  const auto holds = [&](Node n) { return n != no_node && leads[n]; };
  for (std::size_t i = records_.size(); i-- > 0;) {
    const Record& record = *records_[i];
    if (!std::any_of(record.outputs.begin(), record.outputs.end(), holds)) continue;
    for (Node n : record.inputs) {
      if (n != no_node) leads[n] = true;
    }
  }
  return leads;
}

std::vector<Tensor> TapeImpl::gradient(const Tensor& target, std::span<const Source> sources,
                                       const GradientOptions& options, CallSite where) {
  check_usable(where);
  check_enum(options.unconnected, Unconnected::zero, "answer to unconnected sources", "gradient", where);
  if (!is_floating(target.dtype(where))) {
    ErrorBuilder(ErrorId::not_differentiable_dtype, "gradient",
                 "the target is " + std::string(name_of(target.dtype())) + ", gradients exist for floating dtypes")
        .line("target", target.describe())
        .at(where)
        .fix("differentiate a floating result, such as a loss")
        .raise();
  }
  MemoryOwnerScope owner(MemoryOwner::gradients);
  // The target may be a variable that was only read: then it has no node yet.
  const Node target_node = find_or_watch(*target.impl());
  std::vector<std::vector<Node>> source_nodes;
  for (const Source& source : sources) source_nodes.push_back(nodes_of(source));
  const bool consumed_now = !options_.persistent;
  const Tensor upstream = upstream_for(target, options, where);
  // Checked before anything is released, so that the caller can try another source.
  if (options.unconnected == Unconnected::error) {
    const std::vector<bool> leads = nodes_leading_to(target_node);
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const std::vector<Node>& nodes = source_nodes[i];
      if (std::none_of(nodes.begin(), nodes.end(), [&](Node n) { return leads[n]; }))
        raise_unconnected(target, sources[i], nodes, where);
    }
  }
  // A tape that is not persistent stops recording before its own reverse pass.
  consume(where);
  ReversePass pass(*this, source_nodes);
  if (target_node != no_node && pass.reaches(target_node)) pass.run(target_node, upstream);

  std::vector<Tensor> gradients;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (TensorRef g = pass.gradient_of(source_nodes[i])) {
      gradients.push_back(Tensor::share(g.get()));
    } else if (options.unconnected == Unconnected::zero) {
      gradients.push_back(sources[i].variable() ? zeros_like({*sources[i].variable(), where})
                                                : zeros_like({*sources[i].tensor(), where}));
    } else {
      raise_unconnected(target, sources[i], source_nodes[i], where);
    }
  }
  if (consumed_now) {
    for (Record* record : records_) drop_saved(*record);
    records_.clear();
    records_.shrink_to_fit();
    nodes_.clear();
    dependencies_.clear();
    dependency_of_.clear();
    arena_.clear();
  }
  return gradients;
}

}  // namespace lockstep
