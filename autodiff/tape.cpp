#include "autodiff/tape.h"

#include <algorithm>

#include "autodiff/variable_impl.h"
#include "lockstep/error.h"
#include "runtime/inline_vector.h"

namespace lockstep {

TapeImpl::TapeImpl(GradientTape::Options options) : options_(options), owner_queue_(op_observers().returned_queue()) {
  op_observers().destroy_returned();
  op_observers().add(this);
}

TapeImpl::~TapeImpl() {
  if (observing_ && on_owner_thread()) stop_observing();
  for (Record* record : records_) drop_saved(*record);
}

void TapeImpl::dispose_of(std::unique_ptr<TapeImpl> tape) {
  if (!tape->observing_) return;  // the list does not contain it any more
  if (tape->on_owner_thread()) return tape->stop_observing();
  tape->abandoned_ = true;
  const std::shared_ptr<ReturnedObservers> owner_queue = tape->owner_queue_;
  std::unique_ptr<ThreadBound> returned = std::move(tape);
  owner_queue->take(returned);
}

void TapeImpl::stop(CallSite where) {
  check_thread(where);
  if (!observing_) return;
  stopped_ = where;
  stop_observing();
}

void TapeImpl::stop_observing() {
  if (!observing_) return;
  observing_ = false;
  op_observers().remove(this);
}

void TapeImpl::drop_saved(Record& record) {
  for (std::span<TensorImpl*> saved : {record.saved_inputs, record.saved_outputs}) {
    for (TensorImpl*& tensor : saved) {
      if (tensor) release(tensor);
      tensor = nullptr;
    }
  }
}

Node TapeImpl::add_node(const TensorImpl& tensor) {
  const Node node = node_count_++;
  nodes_.insert(tensor.id, node);
  return node;
}

void TapeImpl::watch(TensorImpl& tensor, CallSite where) {
  check_usable(where);
  if (stopped_) {
    raise(ErrorId::invalid_use, "watch",
          "the tape was stopped at " + short_location(*stopped_) + " and records nothing",
          "watch before stop(), or make another tape", where);
  }
  if (!is_floating(tensor.dtype)) {
    ErrorBuilder(ErrorId::not_differentiable_dtype, "watch",
                 "gradients exist for floating dtypes, not for " + std::string(name_of(tensor.dtype)))
        .line("tensor", describe(tensor))
        .at(where)
        .fix("watch the floating tensor that it was made from")
        .raise();
  }
  if (node_of(tensor) != no_node) return;
  const Node node = add_node(tensor);
  if (tensor.variable) variable_nodes_[tensor.variable->id].push_back(node);
}

Node TapeImpl::find_or_watch(const TensorImpl& tensor) {
  const Node known = node_of(tensor);
  if (known != no_node || !tensor.variable || !options_.watch_trainable) return known;
  if (!tensor.variable->trainable || !is_floating(tensor.dtype)) return no_node;
  const Node node = add_node(tensor);
  variable_nodes_[tensor.variable->id].push_back(node);
  return node;
}

bool TapeImpl::watches_any(const OpCall& call) const {
  if (abandoned_.load(std::memory_order_relaxed)) return false;
  return std::any_of(call.inputs.begin(), call.inputs.end(), [&](const Operand& o) {
    if (!o.is_tensor()) return false;
    const TensorImpl& t = *o.impl();
    return node_of(t) != no_node || (t.variable && t.variable->trainable && options_.watch_trainable);
  });
}

void TapeImpl::record(const OpCall& call, std::span<const TensorRef> outputs) {
  if (!observing_ || abandoned_.load(std::memory_order_relaxed)) return;
  InlineVector<Node, 8> inputs;
  bool watched = false;
  for (const Operand& operand : call.inputs) {
    inputs.push_back(operand.is_tensor() ? find_or_watch(*operand.impl()) : no_node);
    watched |= inputs.back() != no_node;
  }
  if (watched && call.op.gradient) append(call, inputs, outputs);
  // A composite without a gradient rule was recorded through its parts.
  const bool through = !watched || call.op.gradient || (call.op.decompose && node_of(*outputs[0]) != no_node);
  if (through) return follow(call, outputs, PathEndDependency::none);
  const std::size_t end = path_ends_.size();
  const bool unknown_parts = call.op.decompose && outputs[0]->is_abstract();
  note_path_end(
      path_ends_,
      "`" + call.op.name + "`, " +
          (unknown_parts ? "whose decomposition needs elements or extents that an abstract tensor does not have"
                         : "which is not differentiable"),
      call.where, inputs);
  if (unknown_parts && path_ends_.size() > end) path_ends_.back().fix = "give it known extents, or a gradient rule";
  follow(call, outputs, path_ends_.size() > end ? static_cast<std::uint32_t>(end) : PathEndDependency::none);
}

void TapeImpl::value_read(const TensorImpl& impl, const char* how, CallSite where) {
  const Node node = node_of(impl);
  if (node != no_node)
    note_path_end(reads_, std::string(how) + "(), which gives the value to code that the tape does not record", where,
                  std::span(&node, 1));
}

void TapeImpl::note_path_end(std::vector<PathEnd>& ends, std::string what, CallSite where,
                             std::span<const Node> inputs) {
  constexpr std::size_t most = 4096;  // enough to explain; limits the memory that a loop uses
  if (ends.size() < most) ends.push_back({std::move(what), where, {inputs.begin(), inputs.end()}, next_tensor_id()});
}

// Records that the outputs depend on a path end: on `end`, or on those of the inputs.
void TapeImpl::follow(const OpCall& call, std::span<const TensorRef> outputs, std::uint32_t end) {
  constexpr std::size_t most = 1 << 20;
  if ((dependencies_.empty() && end == PathEndDependency::none) || dependencies_.size() == most) return;
  InlineVector<std::uint32_t, 8> from;
  for (const Operand& operand : call.inputs) {
    const std::uint32_t dependency = operand.is_tensor() ? dependency_of_.find(operand.impl()->id) : IdMap::absent;
    if (dependency != IdMap::absent) from.push_back(dependency);
  }
  if (from.empty() && end == PathEndDependency::none) return;
  const std::span<const std::uint32_t> dependencies = from;
  dependencies_.push_back({end, arena_.copy(dependencies)});
  for (const TensorRef& output : outputs) {
    // The outputs of a composite are outputs of its parts, which are recorded already.
    if (dependency_of_.find(output->id) == IdMap::absent)
      dependency_of_.insert(output->id, static_cast<std::uint32_t>(dependencies_.size() - 1));
  }
}

void TapeImpl::append(const OpCall& call, std::span<const Node> inputs, std::span<const TensorRef> outputs) {
  auto* record = new (arena_.allocate(sizeof(Record))) Record{};
  record->op = &call.op;
  record->where = call.where;
  record->scope = current_scope();
  record->inputs = arena_.copy(inputs);
  record->outputs = arena_.array<Node>(outputs.size());
  record->input_shapes = arena_.array<RecordedShape>(inputs.size());
  record->output_shapes = arena_.array<RecordedShape>(outputs.size());
  record->attrs =
      arena_.copy(std::span(static_cast<const std::byte*>(call.attrs), call.attrs ? call.op.attrs.size : 0));
  record->scalars = arena_.copy(call.scalars);
  const auto recorded = [&](const TensorImpl& t) {
    return RecordedShape{t.dtype, static_cast<std::uint8_t>(t.shape.rank()), arena_.copy(t.shape.dims()).data()};
  };
  bool has_numbers = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Operand& operand = call.inputs[i];
    has_numbers |= !operand.is_tensor();
    record->input_shapes[i] = operand.is_tensor() ? recorded(*operand.impl()) : RecordedShape{DType::f32, 0, nullptr};
  }
  if (has_numbers) {
    static_assert(std::is_trivially_copyable_v<Operand>);
    record->operands = arena_.copy(call.inputs);
  }
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    record->output_shapes[o] = recorded(*outputs[o]);
    record->outputs[o] = is_floating(outputs[o]->dtype) ? add_node(*outputs[o]) : no_node;
  }
  save_tensors(*record, call, outputs);
  records_.push_back(record);
}

// Saves what the rules of the watched inputs declare to need, and nothing else.
void TapeImpl::save_tensors(Record& record, const OpCall& call, std::span<const TensorRef> outputs) {
  Saves needed;
  for (std::size_t i = 0; i < record.inputs.size(); ++i) {
    if (record.inputs[i] == no_node) continue;
    const Saves& s = call.op.saves_for(i);
    needed.inputs |= s.inputs;
    needed.outputs |= s.outputs;
  }
  const auto keep = [&](std::uint32_t mask, std::size_t count, auto&& tensor_at) {
    if (mask == 0) return std::span<TensorImpl*>();
    const std::span<TensorImpl*> saved = arena_.array<TensorImpl*>(count);
    for (std::size_t i = 0; i < count; ++i) {
      saved[i] = mask >> i & 1 ? tensor_at(i) : nullptr;
      if (saved[i]) retain(saved[i]);
    }
    return saved;
  };
  record.saved_inputs = keep(needed.inputs, call.inputs.size(), [&](std::size_t i) { return call.inputs[i].impl(); });
  record.saved_outputs = keep(needed.outputs, outputs.size(), [&](std::size_t o) { return outputs[o].get(); });
}

void TapeImpl::check_thread(CallSite where) const {
  if (on_owner_thread()) return;
  raise(ErrorId::wrong_nesting, "GradientTape", "the tape belongs to another thread", "make one tape per thread",
        where);
}

void TapeImpl::check_usable(CallSite where) const {
  check_thread(where);
  if (!consumed_) return;
  ErrorBuilder(ErrorId::tape_consumed, "GradientTape",
               "the tape was consumed by gradient() at " + short_location(*consumed_))
      .at(where)
      .fix("ask for all gradients in one call, or make it GradientTape({.persistent = true})")
      .raise();
}

void TapeImpl::consume(CallSite where) {
  if (options_.persistent) return;
  consumed_ = where;
  stop_observing();
}

std::vector<Node> TapeImpl::nodes_of(const Source& source) const {
  if (source.variable()) {
    const auto it = variable_nodes_.find(source.variable()->id());
    return it == variable_nodes_.end() ? std::vector<Node>() : it->second;
  }
  const Node node = node_of(*source.tensor()->impl());
  return node == no_node ? std::vector<Node>() : std::vector<Node>{node};
}

// ------------------------------------------------------------------------------------------------------- GradientTape

GradientTape::GradientTape(Options options) : impl_(std::make_unique<TapeImpl>(options)) {}
GradientTape::~GradientTape() { TapeImpl::dispose_of(std::move(impl_)); }

void GradientTape::stop(CallSite where) { impl_->stop(where); }

void GradientTape::watch(const Tensor& tensor, CallSite where) { impl_->watch(*tensor.impl(where), where); }
void GradientTape::watch(const Variable& variable, CallSite where) {
  impl_->watch(variable.impl(where).value(), where);
}

Tensor GradientTape::gradient(const Tensor& target, const Source& source, const GradientOptions& options,
                              CallSite where) {
  return impl_->gradient(target, std::span(&source, 1), options, where)[0];
}

std::vector<Tensor> GradientTape::gradient(const Tensor& target, std::span<const Source> sources,
                                           const GradientOptions& options, CallSite where) {
  return impl_->gradient(target, sources, options, where);
}

std::vector<Tensor> GradientTape::gradient(const Tensor& target, std::span<const Variable> variables,
                                           const GradientOptions& options, CallSite where) {
  const std::vector<Source> sources(variables.begin(), variables.end());
  return impl_->gradient(target, sources, options, where);
}

std::size_t GradientTape::size() const { return impl_->size(); }

// Like PauseObservers, but may be destroyed on another thread: then it ends with the next op of its own thread.
struct NoGradient::State : ThreadBound {
  State() : owner_queue(op_observers().returned_queue()) { op_observers().begin(pause); }
  ~State() override {
    if (on_owner_thread()) op_observers().end(pause);
  }
  bool on_owner_thread() const { return !owner_queue->closed() && op_observers().returned == owner_queue; }

  const std::shared_ptr<ReturnedObservers> owner_queue;
  ObserverPause pause;
};

NoGradient::NoGradient() : state_(std::make_unique<State>()) {}

NoGradient::~NoGradient() {
  if (state_->on_owner_thread()) return;
  const std::shared_ptr<ReturnedObservers> owner_queue = state_->owner_queue;
  std::unique_ptr<ThreadBound> returned = std::move(state_);
  owner_queue->take(returned);
}

}  // namespace lockstep
