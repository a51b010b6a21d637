#include <algorithm>
#include <atomic>
#include <deque>
#include <unordered_map>

#include "api/internal/mutex.h"
#include "lockstep/op_def.h"
#include "ops/arguments.h"
#include "ops/built_in.h"
#include "ops/differentiate.h"
#include "ops/invoke.h"
#include "ops/promote.h"

namespace lockstep {
namespace {

struct Registry {
  SharedMutex mutex;
  std::deque<OpDef> ops LOCKSTEP_GUARDED_BY(mutex);  // stable addresses
  std::unordered_map<std::string, const OpDef*> by_name LOCKSTEP_GUARDED_BY(mutex);
};

[[noreturn]] void invalid(const OpDef& def, const std::string& what) {
  ErrorBuilder(ErrorId::invalid_op_definition, def.name.empty() ? "op" : def.name, what)
      .fix("see docs/adding_an_op.md for the fields that an OpDef needs")
      .raise();
}

// A call by name takes the arguments for the attributes and then the numbers, unless the op says how to make it.
void check_arguments(const OpDef& def) {
  if (def.by_name || def.arguments.empty()) return;
  std::vector<std::string> names, stated;
  for (const AttrField& field : def.attrs.fields) names.push_back(field.name);
  for (const ScalarDef& scalar : def.scalars) names.push_back(scalar.name);
  for (const ArgumentDef& argument : def.arguments) stated.push_back(argument.name);
  if (stated != names) {
    invalid(def, "`arguments` are not its attributes and then its numbers, and `by_name` is not set");
  }
}

// normalize_attributes relies on this.
void check_attributes(const OpDef& def) {
  using Storage = AttrField::Storage;
  for (const AttrField& field : def.attrs.fields) {
    std::optional<Storage> needed;
    switch (field.argument.kind) {
      case ArgumentKind::axis: needed = Storage::integer; break;
      case ArgumentKind::axes:
      case ArgumentKind::order: needed = Storage::list; break;
      case ArgumentKind::text: needed = Storage::text; break;
      default: break;
    }
    if (needed && field.storage != *needed) invalid(def, "attribute " + field.name + " is not of a type for its kind");
  }
}

void check_variadic_outputs(const OpDef& def) {
  for (std::size_t o = 0; o + 1 < def.outputs.size(); ++o) {
    if (def.outputs[o].variadic) invalid(def, "only the last output can be variadic");
  }
  if (def.outputs.back().variadic != static_cast<bool>(def.count_outputs)) {
    invalid(def, "an op whose last output is variadic has `count_outputs`, and no other op has");
  }
  if (!def.count_outputs) return;
  if (def.body || def.copy_plan || !def.kernels.empty() || !(def.view || def.decompose || def.host)) {
    invalid(def, "an op with a variable number of outputs is a view, or has `decompose` or `host`");
  }
  for (const OutputDef& output : def.outputs) {
    if (output.in_place_of >= 0) invalid(def, "an op with a variable number of outputs cannot update an input");
  }
  for (const Saves& saved : def.saves) {
    if (saved.outputs) invalid(def, "outputs of an op with a variable number of them cannot be saved for its gradient");
  }
}

void check(const OpDef& def) {
  if (def.name.empty()) invalid(def, "an op needs a name");
  if (def.inputs.size() > 32 || def.outputs.empty() || def.outputs.size() > 8) {
    invalid(def, "an op has at most 32 inputs and between one and eight outputs");
  }
  if (!def.infer) invalid(def, "an op needs `infer`");
  if (!def.reference) invalid(def, "an op needs `reference`, the oracle that conformance judges by");
  if (def.error_class > ErrorClass::composed || def.effects > Effects::state) {
    invalid(def, "error_class or effects is a number that the enum does not have");
  }
  for (std::size_t i = 0; i + 1 < def.inputs.size(); ++i) {
    if (def.inputs[i].variadic) invalid(def, "only the last input can be variadic");
  }
  check_variadic_outputs(def);
  for (const OutputDef& output : def.outputs) {
    const auto names_input = [&](int i) { return i >= 0 && i < static_cast<int>(def.inputs.size()); };
    if (output.in_place_of >= 0 &&
        (!names_input(output.in_place_of) || !def.inputs[static_cast<std::size_t>(output.in_place_of)].mutable_)) {
      invalid(def, "output " + output.name + " updates an input that is not declared mutable_");
    }
    if (output.may_reuse_input >= 0 && !names_input(output.may_reuse_input)) {
      invalid(def, "output " + output.name + " may reuse an input that does not exist");
    }
  }
  check_attributes(def);
  check_arguments(def);
}

const OpDef& add(Registry& registry, OpDef def) {
  check(def);
  complete_arguments(def);
  complete_pointwise(def);
  promote_reference(def);
  LockGuard lock(registry.mutex);
  if (registry.by_name.contains(def.name)) {
    ErrorBuilder(ErrorId::already_registered, def.name, "an op of that name exists")
        .fix("choose a name with your own prefix, such as acme::" + def.name)
        .raise();
  }
  registry.ops.push_back(std::move(def));
  const OpDef& stored = registry.ops.back();
  registry.by_name.emplace(stored.name, &stored);
  return stored;
}

Registry& registry() {
  static Registry* r = new Registry;
  static const bool filled = [] {
    for (const BuiltInOp& op : built_in_ops()) {
      OpDef def = op.make();
      def.id = op.id;
      add(*r, std::move(def));
    }
    return true;
  }();
  (void)filled;
  return *r;
}

}  // namespace

const OpDef& register_op(OpDef def) {
  def.id = 0;
  return add(registry(), std::move(def));
}

namespace {
std::uint64_t next_number() {
  static std::atomic<std::uint64_t> next{1};
  return next++;
}
}  // namespace

UniqueNumber::UniqueNumber() : number_(next_number()) {}

UniqueNumber& UniqueNumber::operator=(const UniqueNumber&) {
  number_ = next_number();
  return *this;
}

namespace defs {
#undef LOCKSTEP_BUILT_IN
#define LOCKSTEP_BUILT_IN(id, name) OpDef name();
#define LOCKSTEP_SCALAR_OP(id, name, error_class, doc) LOCKSTEP_BUILT_IN(id, name)
#include "built_in_ops.inc"
#include "lockstep/scalar_ops.def"
}  // namespace defs

const std::vector<BuiltInOp>& built_in_ops() {
  static const std::vector<BuiltInOp> ops = [] {
    std::vector<BuiltInOp> listed = {
#undef LOCKSTEP_BUILT_IN
#define LOCKSTEP_BUILT_IN(id, name) {id, &defs::name},
#include "built_in_ops.inc"
#include "lockstep/scalar_ops.def"
#undef LOCKSTEP_SCALAR_OP
#undef LOCKSTEP_BUILT_IN
    };
    std::sort(listed.begin(), listed.end(), [](const BuiltInOp& a, const BuiltInOp& b) { return a.id < b.id; });
    return listed;
  }();
  return ops;
}

const OpDef& built_in(const char* name) { return *find_op(name); }

const OpDef* find_op(std::string_view name) {
  Registry& r = registry();
  SharedLockGuard lock(r.mutex);
  const auto it = r.by_name.find(std::string(name));
  return it == r.by_name.end() ? nullptr : it->second;
}

std::vector<const OpDef*> registered_ops() {
  Registry& r = registry();
  SharedLockGuard lock(r.mutex);
  std::vector<const OpDef*> all;
  for (const OpDef& op : r.ops) all.push_back(&op);
  return all;
}

const Saves& OpDef::saves_for(std::size_t input) const {
  static const Saves nothing;
  if (saves.empty()) return nothing;
  return saves[std::min(input, saves.size() - 1)];
}

}  // namespace lockstep
