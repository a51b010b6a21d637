// Records every op call of a thread, with its inputs and outputs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ops/observer.h"

namespace lockstep {

/// A call that was executed. Its tensors keep their values, because ops never write into memory that something else
/// holds.
struct RecordedCall {
  const OpDef* op = nullptr;
  const char* part = "forward";
  const ScopeName* scope = nullptr;
  CallSite where;  // the location that the op received
  CallSite user;   // the line of the user's program that caused the call
  std::vector<Operand> operands;
  std::vector<TensorRef> inputs;  // the tensors of the operands; null for numbers and absent inputs
  std::vector<std::byte> attrs;
  std::vector<Scalar> scalars;
  std::vector<TensorRef> outputs;

  OpCall call(std::span<const Operand> given) const {
    return {*op, given, attrs.empty() ? nullptr : attrs.data(), scalars, where};
  }
  OpCall call() const { return call(operands); }
};

/// Records the calls of this thread between construction and stop().
class CallRecorder : public OpObserver {
 public:
  CallRecorder() { op_observers().add(this); }
  ~CallRecorder() override { stop(); }
  CallRecorder(const CallRecorder&) = delete;
  CallRecorder& operator=(const CallRecorder&) = delete;
  void stop() { op_observers().remove(this); }

  void record(const OpCall& call, std::span<const TensorRef> outputs) override;
  bool watches_any(const OpCall&) const override { return false; }
  void value_read(const TensorImpl&, const char*, CallSite) override {}
  bool sees_updates() const override { return true; }

  // Stored by pointer, because operands point into their call.
  std::vector<std::unique_ptr<RecordedCall>> calls;
};

}  // namespace lockstep
