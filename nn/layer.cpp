#include "lockstep/nn.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "lockstep/autodiff.h"
#include "lockstep/error.h"
#include "runtime/caller.h"

namespace lockstep::nn {

struct Layer::State {
  std::string name, type_name;
  bool built = false;
  bool root = false;  // the root of a model: not part of the names of variables
  // The name under the scope of some call: of the last one, unless threads call the layer in different scopes.
  mutable std::atomic<const ScopeName*> scope{nullptr};
  std::string variable_prefix;
  DType variable_dtype = DType::f32;
  State* parent = nullptr;  // owns this layer, so it outlives it
  std::vector<std::unique_ptr<Layer>> children;
  std::vector<Variable> variables;

  /// "block/dense/": the names of the layers from the outermost to this one. It does not depend on the current call,
  /// because a layer may be built later than the layers around it, or be called without them.
  std::string path() const {
    if (root) return "";
    return (parent ? parent->path() : "") + name + "/";
  }

  /// The name under this thread's scope.
  const ScopeName* scope_here() const {
    const ScopeName* const outer = current_scope();
    const ScopeName* known = scope.load(std::memory_order_acquire);
    if (known && known->parent == outer) return known;
    known = intern_scope(outer, name);
    scope.store(known, std::memory_order_release);
    return known;
  }
};

namespace {

// Whether this thread is in a call of a const layer, in which no layer may be built.
thread_local bool only_built = false;

class OnlyBuilt {
 public:
  OnlyBuilt() : before_(std::exchange(only_built, true)) {}
  ~OnlyBuilt() { only_built = before_; }
  OnlyBuilt(const OnlyBuilt&) = delete;
  OnlyBuilt& operator=(const OnlyBuilt&) = delete;

 private:
  const bool before_;
};

[[noreturn]] void fail_not_built(const std::string& name, CallSite where) {
  raise(
      ErrorId::not_built, name,
      "the layer is not built, and this call must not build it: other threads may run it, too",
      "call the layer before, where only one thread does; a layer that only training calls is built by a training step",
      where);
}

}  // namespace

Layer::Layer(std::string type_name) : state_(std::make_unique<State>()) {
  state_->name = type_name;
  state_->type_name = std::move(type_name);
}
Layer::~Layer() = default;
Layer::Layer(Layer&&) noexcept = default;
Layer& Layer::operator=(Layer&&) noexcept = default;

Tensor Layer::operator()(const Tensor& x, const Call& c, CallSite where) {
  const CallerScope caller(where);
  State& s = state_.at(where);
  const NameScope scope(s.scope_here());
  if (!s.built) {
    if (only_built) fail_not_built(s.name, where);
    // The tape ignores only the creation of variables; it records the first call like every other call.
    NoGradient pause;
    MemoryOwnerScope owner(MemoryOwner::variables);
    s.variable_prefix = s.path();
    s.variable_dtype = is_floating(x.dtype()) ? x.dtype() : DType::f32;
    try {
      build(x.shape());
    } catch (...) {
      s.variables.clear();  // a layer has all of its variables or none
      throw;
    }
    s.built = true;
  }
  return call(x, c);
}

Tensor Layer::operator()(const Tensor& x, const Call& c, CallSite where) const {
  const CallerScope caller(where);
  const State& s = state_.at(where);
  const NameScope scope(s.scope_here());
  if (!s.built) fail_not_built(s.name, where);
  const OnlyBuilt children;
  return call(x, c);
}

const std::string& Layer::name() const { return state_->name; }
const std::string& Layer::type_name() const { return state_->type_name; }
DType Layer::variable_dtype() const { return state_->variable_dtype; }
bool Layer::built() const { return state_->built; }
const std::vector<std::unique_ptr<Layer>>& Layer::children() const { return state_->children; }
const std::vector<Variable>& Layer::own_variables() const { return state_->variables; }

void Layer::set_name(std::string name) {
  state_->name = std::move(name);
  state_->scope = nullptr;
}

void Layer::make_root(std::string name) {
  set_name(std::move(name));
  state_->root = true;
}

std::vector<Variable> Layer::variables() const {
  std::vector<Variable> all = state_->variables;
  for (const auto& child : state_->children) {
    const std::vector<Variable> theirs = child->variables();
    all.insert(all.end(), theirs.begin(), theirs.end());
  }
  return all;
}

void Layer::forget_variables() {
  state_->built = false;
  state_->variables.clear();
  for (const auto& child : state_->children) child->forget_variables();
}

std::vector<Variable> Layer::trainable_variables() const {
  std::vector<Variable> all = variables();
  std::erase_if(all, [](const Variable& v) { return !v.trainable(); });
  return all;
}

Variable Layer::add_variable(const std::string& name, const Tensor& initial, bool trainable) {
  state_->variables.emplace_back(initial, state_->variable_prefix + name, trainable);
  return state_->variables.back();
}

Layer& Layer::add_child(std::unique_ptr<Layer> layer) {
  if (!layer) {
    ErrorBuilder(ErrorId::invalid_use, name(), "there is no layer to add").fix("give a layer").raise();
  }
  // Makes the name unique among the siblings: dense, dense_1, dense_2 …
  const std::string base = layer->name();
  std::string name = base;
  const auto taken = [&](const auto& sibling) { return sibling->name() == name; };
  for (int n = 1; std::any_of(state_->children.begin(), state_->children.end(), taken); ++n) {
    name = base + "_" + std::to_string(n);
  }
  layer->set_name(name);
  layer->state_->parent = state_.get();
  state_->children.push_back(std::move(layer));
  return *state_->children.back();
}

Tensor Sequential::call(const Tensor& x, const Call& c) const {
  Tensor y = x;
  for (const auto& layer : children()) y = (*layer)(y, c);
  return y;
}

}  // namespace lockstep::nn
