// One call into the driver. Every call of every case is checked against the rules for statuses and diags: a diag is
// filled on failure only, with the returned code and a text; LKS_UNSUPPORTED has a reason; and only failures of
// commands name one.
#pragma once

#include <memory>
#include <string>

#include "conformance/runtime/check.h"
#include "conformance/runtime/page_edge.h"

namespace lockstep::conformance {

/// A call into the driver failed unexpectedly.
struct DriverFailure : CheckFailed {
  DriverFailure(const std::string& call, lks_status code, const lks_diag& d);
  std::string call;
  lks_status status;
  lks_diag diag;
};

/// While such an object exists, calls pass diags of `bytes` bytes, as hosts of other versions do. What is behind a diag
/// cannot be accessed, and fields that driver.h does not have must stay as they are.
class [[nodiscard]] DiagsOfSize {
 public:
  explicit DiagsOfSize(std::size_t bytes);
  ~DiagsOfSize();
  DiagsOfSize(const DiagsOfSize&) = delete;
  DiagsOfSize& operator=(const DiagsOfSize&) = delete;
};

class Call {
 public:
  explicit Call(const char* name);

  lks_diag* diag() { return other_ ? other_->as<lks_diag>() : &now_; }
  const lks_diag& filled() const { return now_; }

  /// Checks the rules and returns `status`.
  lks_status done(lks_status status);
  /// Throws DriverFailure unless the call succeeded.
  void ok(lks_status status);
  /// Throws CheckFailed unless the call failed with this status.
  void fails(lks_status status, lks_status expected);

 private:
  void take_other();

  const char* name_;
  lks_diag before_, now_;
  std::unique_ptr<PageEdge> other_;  // the diag, if it has another size than driver.h gives it
};

lks_diag empty_diagnosis();

}  // namespace lockstep::conformance
