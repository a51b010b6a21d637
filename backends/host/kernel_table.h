// The table that answers both "do you have this kernel" and "make it". What a kernel is, is the driver's business.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>

#include "backends/host/diag.h"

namespace host {

/// What a row of the table is asked, and fills in.
struct KernelRequest {
  const lks_host_api& api;
  const lks_kernel_desc& desc;
  lks_kernel_info& info;
  lks_diag* diag;
  const void* context = nullptr;  // of the table

  const lks_tensor_desc& input(std::size_t i) const { return desc.inputs[i]; }
  const lks_tensor_desc& output(std::size_t i) const { return desc.outputs[i]; }
  std::uint32_t tensor_count() const { return desc.input_count + desc.output_count; }
  /// Inputs, then outputs.
  const lks_tensor_desc& tensor(std::uint32_t i) const {
    return i < desc.input_count ? desc.inputs[i] : desc.outputs[i - desc.input_count];
  }
  bool has_input(std::size_t i) const {
    return i < desc.input_count && !(desc.inputs[i].flags & LKS_TENSOR_OPTIONAL_ABSENT);
  }
  template <class A>
  const A& attrs() const {
    return *static_cast<const A*>(desc.attrs);
  }
  /// Declares that the kernel depends on every extent and stride of tensor i (inputs, then outputs).
  void depends_on_layout(std::size_t i) const {
    if (info.deps) info.deps[i].dims = info.deps[i].strides = ~0u;
  }
};

/// One row: an op, the newest schema version it understands, and a maker. The maker either refuses, with a reason in
/// the diag and `info` untouched, or fills `info` and, if `out` is given, makes the kernel. An op may have several
/// rows: they are asked in order, and the first that does not refuse serves; what the last one says is the driver's
/// refusal.
struct KernelRow {
  std::uint32_t op;
  std::uint32_t version;
  const char* variant;
  lks_status (*make)(const KernelRequest& request, std::unique_ptr<lks_kernel>* out);
};

/// All that a driver can do: its rows, and the modes (1 << LKS_MODE_*) that its device offers.
struct KernelTable {
  std::span<const KernelRow> rows;
  std::uint32_t math_modes;
  const void* context = nullptr;  // the driver's own, handed to each row
};

/// Refuses what no row can make sense of, then asks the rows of the op in order: the first that does not refuse serves.
/// The diag is written on failure only. Exceptions become statuses.
lks_status answer_from_table(const KernelTable& table, const lks_host_api& api, const lks_kernel_desc& desc,
                             lks_kernel_info& info, std::unique_ptr<lks_kernel>* out, lks_diag* diag);

/// lks_driver_api::kernel_variant.
const char* variant_of(std::span<const KernelRow> rows, std::uint32_t op, std::uint32_t index);

/// Refuses inputs and outputs whose dtype is not in `allowed`, and those of another dtype than input 0 if `alike`.
lks_status require_dtypes(const KernelRequest& request, std::initializer_list<lks_dtype> allowed);

/// Whether a described tensor is dense row-major.
bool is_dense(const lks_tensor_desc& t);

/// Makes a kernel of type K and gives it the tensors' dtypes and ranks.
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

}  // namespace host
