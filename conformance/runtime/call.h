// One call into the driver. Every call of every case is checked against the rules for statuses and diags: a diag is
// filled on failure only, with the returned code and a text.
#pragma once

#include <string>

#include "conformance/runtime/check.h"

namespace lockstep::conformance {

/// A call into the driver failed unexpectedly.
struct DriverFailure : CheckFailed {
  DriverFailure(const std::string& call, lks_status code, const lks_diag& d);
  std::string call;
  lks_status status;
  lks_diag diag;
};

class Call {
 public:
  explicit Call(const char* name);

  lks_diag* diag() { return &now_; }
  const lks_diag& filled() const { return now_; }

  /// Checks the rules and returns `status`.
  lks_status done(lks_status status);
  /// Throws DriverFailure unless the call succeeded.
  void ok(lks_status status);
  /// Throws CheckFailed unless the call failed with this status.
  void fails(lks_status status, lks_status expected);

 private:
  const char* name_;
  lks_diag before_, now_;
};

lks_diag empty_diagnosis();

}  // namespace lockstep::conformance
