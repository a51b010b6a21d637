// Records which kernels are launched.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "runtime/thread_state.h"

namespace lockstep::conformance {

/// Records the kernels that this thread launches until the end of the scope. Enclosing scopes record them too.
class KernelLog {
 public:
  KernelLog() : outer_(thread_state().kernels_used) { thread_state().kernels_used = &used_; }
  ~KernelLog() {
    if (outer_) outer_->insert(outer_->end(), used_.begin(), used_.end());
    thread_state().kernels_used = outer_;
  }
  KernelLog(const KernelLog&) = delete;
  KernelLog& operator=(const KernelLog&) = delete;

  const std::vector<KernelUse>& used() const { return used_; }

  /// "op:variant" of each kernel, sorted, without duplicates.
  std::vector<std::string> variants() const {
    std::vector<std::string> all;
    for (const KernelUse& use : used_) all.push_back(use.op + ":" + use.variant);
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }

 private:
  std::vector<KernelUse> used_;
  std::vector<KernelUse>* outer_;
};

}  // namespace lockstep::conformance
