// Observes a running program and judges every op call by the oracle, with the actual inputs of the call.
#pragma once

#include "conformance/checks/run_case.h"
#include "ops/observer.h"

namespace lockstep::conformance {

class Audit : public OpObserver {
 public:
  Audit(const Setting& setting, CaseResult& result) : setting_(setting), result_(result) {}

  void record(const OpCall& call, std::span<const TensorRef> outputs) override;
  bool watches_any(const OpCall&) const override { return false; }
  void value_read(const TensorImpl&, const char*, CallSite) override {}

  /// The number of calls that were judged.
  std::int64_t calls() const { return calls_; }

 private:
  void judge_call(const OpCall& call, std::span<const TensorRef> outputs);

  const Setting& setting_;
  CaseResult& result_;
  std::int64_t calls_ = 0;
};

/// The audit observes this thread's calls until the end of the scope.
class [[nodiscard]] AuditScope {
 public:
  explicit AuditScope(Audit& audit) : audit_(audit) { op_observers().add(&audit_); }
  ~AuditScope() { op_observers().remove(&audit_); }
  AuditScope(const AuditScope&) = delete;
  AuditScope& operator=(const AuditScope&) = delete;

 private:
  Audit& audit_;
};

}  // namespace lockstep::conformance
