// Every op call of a thread, kept with its inputs and outputs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ops/observer.h"

namespace lockstep {

/// A call that was carried out. Its tensors keep their values: nothing writes into memory that others hold.
struct RecordedCall {
  const OpDef* op = nullptr;
  const char* part = "forward";
  const ScopeName* scope = nullptr;
  std::source_location where;  // as the op saw it
  std::source_location user;   // the line of the program that it was called for
  std::vector<Operand> operands;
  std::vector<TensorRef> inputs;  // what operands borrow; empty references for numbers and absent inputs
  std::vector<std::byte> attrs;
  std::vector<Scalar> scalars;
  std::vector<TensorRef> outputs;

  OpCall call(std::span<const Operand> given) const {
    return {*op, given, attrs.empty() ? nullptr : attrs.data(), scalars, where};
  }
  OpCall call() const { return call(operands); }
};

/// Records what this thread does between construction and stop().
class CallRecorder : public OpObserver {
 public:
  CallRecorder() { op_observers().add(this); }
  ~CallRecorder() override { stop(); }
  CallRecorder(const CallRecorder&) = delete;
  CallRecorder& operator=(const CallRecorder&) = delete;
  void stop() { op_observers().remove(this); }

  void record(const OpCall& call, std::span<const TensorRef> outputs) override;
  bool watches_any(const OpCall&) const override { return false; }
  void value_read(const TensorImpl&, const char*, const std::source_location&) override {}
  bool sees_updates() const override { return true; }

  // By pointer: operands borrow from their call.
  std::vector<std::unique_ptr<RecordedCall>> calls;
};

}  // namespace lockstep
