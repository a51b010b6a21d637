// The kernel table, which answers both "do you have this kernel" and "prepare it". Each driver defines its own kernel
// type.
#pragma once

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>

#include "backends/common/diag.h"

namespace common {

/// Tensor i of a kernel description: inputs first, then outputs.
inline const lks_tensor_desc& tensor_of(const lks_kernel_desc& desc, std::uint32_t i) {
  return i < desc.input_count ? LKS_ELEMENT(lks_tensor_desc, desc.inputs, i)
                              : LKS_ELEMENT(lks_tensor_desc, desc.outputs, i - desc.input_count);
}

/// A request to a row of the table. The row fills in `info` or `diag`.
struct KernelRequest {
  const lks_host_api& api;
  const lks_kernel_desc& desc;
  lks_kernel_info& info;
  lks_diag* diag;
  const void* context = nullptr;  // KernelTable::context

  const lks_tensor_desc& input(std::size_t i) const { return LKS_ELEMENT(lks_tensor_desc, desc.inputs, i); }
  const lks_tensor_desc& output(std::size_t i) const { return LKS_ELEMENT(lks_tensor_desc, desc.outputs, i); }
  std::uint32_t tensor_count() const { return desc.input_count + desc.output_count; }
  /// Tensor i: inputs first, then outputs.
  const lks_tensor_desc& tensor(std::uint32_t i) const { return tensor_of(desc, i); }
  bool has_input(std::size_t i) const { return i < desc.input_count && !(input(i).flags & LKS_TENSOR_OPTIONAL_ABSENT); }
  /// Those of an older host end earlier. What it lacks is zero.
  template <class A>
  A attrs() const {
    A own{};
    if (desc.attrs_size > 0) std::memcpy(&own, desc.attrs, std::min<std::size_t>(desc.attrs_size, sizeof own));
    return own;
  }
  /// Declares that the kernel depends on every extent and stride of tensor i (inputs first, then outputs).
  void depends_on_layout(std::size_t i) const {
    if (info.deps) info.deps[i].dims = info.deps[i].strides = ~0u;
  }
};

/// One row: an op, the newest schema version that it supports, and a maker. The maker either refuses, with a reason in
/// the diag and `info` unchanged, or fills `info` and, if `out` is not null, creates the kernel. An op may have several
/// rows. They are tried in order, and the first that does not refuse is used. If all refuse, the driver reports the
/// reason of the last one.
struct KernelRow {
  std::uint32_t op;
  std::uint32_t version;
  const char* variant;
  lks_status (*make)(const KernelRequest& request, std::unique_ptr<lks_kernel>* out);
};

/// The row of the kernel that `make` makes for op LKS_OP_<op>.
#define KERNEL_ROW(op, variant, make) \
  ::common::KernelRow { LKS_OP_##op, LKS_OP_##op##_VERSION, variant, &make }

/// Everything that a driver offers: its rows, and the math modes (1 << LKS_MODE_*) of its device.
struct KernelTable {
  std::span<const KernelRow> rows;
  std::uint32_t math_modes;
  const void* context = nullptr;  // driver-specific; passed to each row
};

/// Refuses requests that no row can handle, then tries the rows of the op in order and uses the first that does not
/// refuse. The diag is written only on failure. Exceptions become statuses.
lks_status answer_from_table(const KernelTable& table, const lks_host_api& api, const lks_kernel_desc& desc,
                             lks_kernel_info& info, std::unique_ptr<lks_kernel>* out, lks_diag* diag);

/// Implements lks_driver_api::kernel_variant.
const char* variant_of(std::span<const KernelRow> rows, std::uint32_t op, std::uint32_t index);

/// Refuses inputs and outputs whose dtype is not in `allowed`.
lks_status require_dtypes(const KernelRequest& request, std::initializer_list<lks_dtype> allowed);

/// True if the tensor is dense and row-major.
bool is_dense(const lks_tensor_desc& t);

/// Creates a kernel of type K and stores the dtypes and ranks of its tensors in it.
template <class K, class... Args>
void emplace(const KernelRequest& request, std::unique_ptr<lks_kernel>* out, Args&&... args) {
  if (!out) return;
  auto kernel = std::make_unique<K>(std::forward<Args>(args)...);
  for (std::uint32_t i = 0; i < request.tensor_count(); ++i) {
    kernel->dtypes.push_back(request.tensor(i).dtype);
    kernel->ranks.push_back(request.tensor(i).rank);
  }
  *out = std::move(kernel);
}

}  // namespace common
