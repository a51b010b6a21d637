#include "lockstep/support.h"

#include <algorithm>

#include "ops/built_in.h"
#include "ops/infer.h"
#include "ops/kernel_description.h"
#include "ops/promote.h"
#include "runtime/driver_registry.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

// A call on abstract tensors, with everything that a query about it needs.
struct Question {
  const OpDef* op;
  std::vector<Tensor> tensors;
  std::vector<Operand> operands;
  std::vector<std::byte> attrs;
  std::vector<Scalar> scalars;

  OpCall call() const { return {*op, operands, attrs.empty() ? nullptr : attrs.data(), scalars, CallSite::current()}; }
};

Question question_of(const OpCall& call) {
  Question q{&call.op, {}, {}, {}, {call.scalars.begin(), call.scalars.end()}};
  if (call.attrs) {
    const auto* bytes = static_cast<const std::byte*>(call.attrs);
    q.attrs.assign(bytes, bytes + call.op.attrs.size);
  }
  q.tensors.reserve(call.inputs.size());
  for (const Operand& operand : call.inputs) {
    if (operand.is_tensor()) {
      q.tensors.push_back(Tensor::abstract({operand.impl()->dtype, operand.impl()->shape}));
      q.operands.emplace_back(q.tensors.back());
    } else {
      q.operands.push_back(operand);
    }
  }
  return q;
}

// The first case that expects no error and has no empty input; with a dtype, that also has an operand of it.
std::optional<Question> question_of(const OpDef& op, std::optional<DType> dtype = std::nullopt) {
  if (!op.cases) return std::nullopt;
  for (const OpCase& c : op.cases()) {
    const auto any_input = [&](auto&& holds) { return std::any_of(c.inputs.begin(), c.inputs.end(), holds); };
    const bool empty = any_input([](const CaseInput& in) { return !in.absent && in.shape.size() == 0; });
    if (c.error || empty) continue;
    if (dtype && !any_input([&](const CaseInput& in) { return !in.absent && in.dtype == *dtype; })) continue;
    Question q{&op, {}, {}, c.attrs.empty() ? op.attrs.defaults : c.attrs, c.scalars};
    q.tensors.reserve(c.inputs.size());
    for (const CaseInput& in : c.inputs) {
      if (in.absent) {
        q.operands.push_back(Operand::absent());
      } else {
        q.tensors.push_back(Tensor::abstract({in.dtype, in.shape}));
        q.operands.emplace_back(q.tensors.back());
      }
    }
    return q;
  }
  return std::nullopt;
}

// Collects the calls that a decomposition makes. None of them runs.
class PartCollector : public OpObserver {
 public:
  PartCollector() { op_observers().add(this); }
  ~PartCollector() override { op_observers().remove(this); }
  void record(const OpCall& call, std::span<const TensorRef>) override { parts.push_back(question_of(call)); }
  bool watches_any(const OpCall&) const override { return false; }
  void value_read(const TensorImpl&, const char*, CallSite) override {}
  std::vector<Question> parts;

 private:
  AbstractCallsScope describing_;
};

// The calls of a decomposition, or nullopt if the op refuses to decompose.
std::optional<std::vector<Question>> parts_of(const OpCall& call, std::span<const TensorSpec> outputs) {
  PartCollector collector;
  DecomposeContext decomposition(call, outputs);
  call.op.decompose(decomposition);
  if (decomposition.refused) return std::nullopt;
  return std::move(collector.parts);
}

// "gather ×2, add": each name once, in order of first use.
std::string with_counts(const std::vector<std::string>& names) {
  std::string text;
  for (auto name = names.begin(); name != names.end(); ++name) {
    if (std::find(names.begin(), name, *name) != name) continue;
    const auto count = std::count(name, names.end(), *name);
    text += (text.empty() ? "" : ", ") + *name + (count > 1 ? " ×" + std::to_string(count) : "");
  }
  return text;
}

OpSupport ask(const DeviceEntry& device, const Question& q);

// Support for f16 and bf16 by way of f32.
OpSupport ask_promoted(const DeviceEntry& device, const Question& q) {
  Question wide{q.op, {}, {}, q.attrs, q.scalars};
  wide.tensors.reserve(q.operands.size());
  for (const Operand& operand : q.operands) {
    wide.operands.push_back(operand);
    if (!operand.is_tensor()) continue;
    wide.tensors.push_back(Tensor::abstract({compute_dtype(operand.impl()->dtype), operand.impl()->shape}));
    wide.operands.back() = Operand(wide.tensors.back());
  }
  const OpSupport computed = ask(device, wide);
  if (computed.kind == OpSupport::Kind::missing) return computed;
  const OpSupport cast = ask(device, *question_of(built_in("cast"), DType::f16));
  if (cast.kind == OpSupport::Kind::missing) return {q.op, OpSupport::Kind::missing, "it needs cast: " + cast.text};
  const bool native = computed.kind == OpSupport::Kind::native;
  return {q.op, OpSupport::Kind::decomposed, "casts, and in f32 " + (native ? q.op->name : computed.text)};
}

OpSupport ask(const DeviceEntry& device, const Question& q) {
  OpSupport answer{q.op, OpSupport::Kind::native, ""};
  if (q.op->view || q.op->host) return answer;
  const OpCall call = q.call();
  CallTypes types(call);
  std::vector<TensorSpec> outputs(output_count(call)), inputs;
  infer_specs(call, types, outputs);
  for (const Operand& operand : q.operands) {
    inputs.push_back(operand.is_tensor() ? TensorSpec{operand.impl()->dtype, operand.impl()->shape}
                                         : TensorSpec{types.group(), {}});
  }
  if (q.op->copy_plan) {
    const OpSupport copy = ask(device, *question_of(built_in("copy")));
    return {q.op, copy.kind, copy.text};
  }
  if (!q.op->count_outputs) {
    const KernelQuery lookup = query_kernel(device, call, types, inputs, outputs);
    if (lookup.reason == LKS_REASON_NONE) return answer;
    answer.text = lookup.text;
  }
  answer.kind = OpSupport::Kind::missing;
  if (can_promote(call)) return ask_promoted(device, q);
  if (!q.op->decompose) return answer;

  const std::optional<std::vector<Question>> parts = parts_of(call, outputs);
  if (!parts) return answer;
  std::vector<std::string> names;
  for (const Question& part : *parts) {
    const OpSupport of_part = ask(device, part);
    if (of_part.kind == OpSupport::Kind::missing) {
      answer.text = "it needs " + part.op->name + ": " + of_part.text;
      return answer;
    }
    names.push_back(part.op->name);
  }
  return {q.op, OpSupport::Kind::decomposed, with_counts(names)};
}

}  // namespace

std::vector<OpSupport> op_support(Device device, std::optional<DType> dtype) {
  if (dtype && !is_dtype(*dtype)) fail_dtype(static_cast<int>(*dtype));
  PauseObservers pause;
  const DeviceEntry* entry = nullptr;
  for (const DeviceEntry* e : DriverRegistry::instance().entries()) {
    if (e->name == device.name()) entry = e;
  }
  std::vector<OpSupport> all;
  for (const OpDef* op : registered_ops()) {
    const auto question = question_of(*op, dtype);
    if (!question) continue;
    try {
      all.push_back(ask(*entry, *question));
    } catch (const Error& e) {
      all.push_back({op, OpSupport::Kind::missing, e.headline()});  // an incomplete definition from an application
    }
  }
  return all;
}

}  // namespace lockstep
