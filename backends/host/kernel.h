// The base class of kernels in a host driver.
#pragma once

#include <memory>
#include <vector>

#include "backends/common/kernel_table.h"
#include "backends/host/tensor_view.h"

/// A prepared kernel. It is immutable: several threads may launch it at the same time.
struct lks_kernel {
  virtual ~lks_kernel() = default;

  /// Checks the input data that decides whether the launch can run (indices, for example). Called before anything is
  /// written.
  virtual lks_status check(const lks_launch&, lks_diag*) const { return LKS_OK; }
  virtual void run(const lks_launch& launch) const = 0;

  std::vector<lks_dtype> dtypes;  // inputs, then outputs
  std::vector<int> ranks;

  host::TensorView view(const lks_launch& launch, std::size_t i) const {
    return {launch.bindings[i], ranks[i], dtypes[i]};
  }
};
