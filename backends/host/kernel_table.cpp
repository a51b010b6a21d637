#include <cstdio>
#include <exception>
#include <new>

#include "backends/host/kernel.h"

namespace host {

namespace {

// Asks one row. An exception becomes a status.
lks_status ask(const KernelRow& row, const KernelRequest& request, std::unique_ptr<lks_kernel>* out) {
  std::snprintf(request.info.variant, sizeof request.info.variant, "%s", row.variant);
  try {
    return row.make(request, out);
  } catch (const std::bad_alloc&) {
    return fail(request.diag, LKS_OUT_OF_MEMORY, HOST_WHERE, "no host memory for a kernel of %s", request.desc.op_name);
  } catch (const std::exception& e) {
    return fail(request.diag, LKS_INTERNAL, HOST_WHERE, "a kernel of %s cannot be made: %s", request.desc.op_name,
                e.what());
  }
}

}  // namespace

lks_status answer_from_table(std::span<const KernelRow> rows, const lks_host_api& api, const lks_kernel_desc& desc,
                             lks_kernel_info& info, std::unique_ptr<lks_kernel>* out, lks_diag* diag) {
  lks_status status = LKS_UNSUPPORTED;
  bool known = false;
  for (const KernelRow& row : rows) {
    if (row.op != desc.op || row.op == 0) continue;
    known = true;
    if (desc.op_version > row.version) {
      status = refuse(diag, LKS_REASON_VERSION, -1, HOST_WHERE, "%s has schema version %u, known is %u", desc.op_name,
                      desc.op_version, row.version);
      continue;
    }
    status = ask(row, {api, desc, info, diag}, out);
    if (status != LKS_UNSUPPORTED) return status;
  }
  return known ? status : refuse(diag, LKS_REASON_OP, -1, HOST_WHERE, "no kernel for %s", desc.op_name);
}

lks_status require_dtypes(const KernelRequest& request, std::initializer_list<lks_dtype> allowed) {
  const std::uint32_t count = request.desc.input_count + request.desc.output_count;
  for (std::uint32_t i = 0; i < count; ++i) {
    const bool is_input = i < request.desc.input_count;
    const lks_tensor_desc& t = is_input ? request.input(i) : request.output(i - request.desc.input_count);
    if (t.flags & LKS_TENSOR_OPTIONAL_ABSENT) continue;
    bool known = false;
    for (lks_dtype d : allowed) known = known || d == t.dtype;
    if (!known) {
      return refuse(request.diag, LKS_REASON_DTYPE, static_cast<int>(i), HOST_WHERE,
                    "%s: operand %u has a dtype without a kernel", request.desc.op_name, i);
    }
  }
  return LKS_OK;
}

}  // namespace host
