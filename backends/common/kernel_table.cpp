#include <cstdio>
#include <exception>
#include <new>

#include "backends/common/dense.h"
#include "backends/common/kernel_table.h"
#include "lockstep/driver_ops.h"

namespace common {

namespace {

// Calls the maker of one row and turns exceptions into a status.
lks_status ask(const KernelRow& row, const KernelRequest& request, std::unique_ptr<lks_kernel>* out) {
  std::snprintf(request.info.variant, sizeof request.info.variant, "%s", row.variant);
  // No kernel here sums in an order that varies between runs, and lockstep mode fixes the order across devices.
  request.info.determinism =
      request.desc.math_mode == LKS_MODE_LOCKSTEP ? LKS_DETERMINISM_CROSS_DEVICE : LKS_DETERMINISM_RUN_TO_RUN;
  try {
    return row.make(request, out);
  } catch (const std::bad_alloc&) {
    return fail(request.diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE, "no host memory for a kernel of %s",
                request.desc.op_name);
  } catch (const std::exception& e) {
    return fail(request.diag, LKS_INTERNAL, DRIVER_WHERE, "a kernel of %s cannot be made: %s", request.desc.op_name,
                e.what());
  }
}

bool is_known(lks_dtype t) {
  for (lks_dtype known : {LKS_F32, LKS_F64, LKS_F16, LKS_BF16, LKS_I8, LKS_U8, LKS_I32, LKS_I64, LKS_BOOL}) {
    if (t == known) return true;
  }
  return false;
}

// No extension is known here. An unknown extension that must not be skipped changes the meaning of the description.
bool has_unknown_extension(const lks_header& header) {
  for (auto* h = static_cast<const lks_header*>(header.next); h; h = static_cast<const lks_header*>(h->next)) {
    if (!(h->type & LKS_MAY_SKIP)) return true;
  }
  return false;
}

bool has_unknown_extension(const lks_program& program) {
  if (has_unknown_extension(program.hdr)) return true;
  for (std::uint32_t i = 0; i < program.function_count; ++i) {
    if (has_unknown_extension(*program.functions[i].body)) return true;
  }
  return false;
}

bool has_unknown_extension(const lks_kernel_desc& desc) {
  if (has_unknown_extension(desc.hdr)) return true;
  for (std::uint32_t i = 0; i < desc.program_count; ++i) {
    if (has_unknown_extension(*desc.programs[i].program)) return true;
  }
  return false;
}

lks_status check_tensor(const lks_kernel_desc& desc, const lks_tensor_desc& t, int operand, lks_diag* diag) {
  const bool is_input = operand < static_cast<int>(desc.input_count);
  const std::uint32_t known_flags = is_input ? LKS_TENSOR_HOST_RESIDENT | LKS_TENSOR_OPTIONAL_ABSENT : 0u;
  if (has_unknown_extension(t.hdr) || (t.flags & ~known_flags)) {
    return refuse(diag, LKS_REASON_EXTENSION, operand, DRIVER_WHERE, "%s: operand %d has an unknown extension or flag",
                  desc.op_name, operand);
  }
  if (t.flags & LKS_TENSOR_OPTIONAL_ABSENT) return LKS_OK;
  if (!is_known(t.dtype)) {
    return refuse(diag, LKS_REASON_DTYPE, operand, DRIVER_WHERE, "%s: operand %d has the unknown dtype 0x%x",
                  desc.op_name, operand, t.dtype);
  }
  if (t.rank < 0 || t.rank > LKS_MAX_RANK) {
    return refuse(diag, LKS_REASON_RANK, operand, DRIVER_WHERE, "%s: operand %d has rank %d, at most %d is possible",
                  desc.op_name, operand, t.rank, LKS_MAX_RANK);
  }
  for (int d = 0; d < t.rank; ++d) {
    if (t.dims[d] >= 0) continue;
    return refuse(diag, LKS_REASON_SIZE, operand, DRIVER_WHERE, "%s: dimension %d of operand %d is %lld", desc.op_name,
                  d, operand, static_cast<long long>(t.dims[d]));
  }
  if (t.layout != LKS_LAYOUT_STRIDED) {
    return refuse(diag, LKS_REASON_LAYOUT, operand, DRIVER_WHERE, "%s: operand %d has the unknown layout %u",
                  desc.op_name, operand, t.layout);
  }
  return LKS_OK;
}

bool is_same_place(const lks_tensor_desc& a, const lks_tensor_desc& b) {
  if (a.dtype != b.dtype || a.rank != b.rank) return false;
  for (int d = 0; d < a.rank; ++d) {
    if (a.dims[d] != b.dims[d] || (a.dims[d] != 1 && a.strides[d] != b.strides[d])) return false;
  }
  return true;
}

// Only pointwise kernels may run in place: other kernels may read an element after they have overwritten it.
lks_status check_aliases(const lks_kernel_desc& desc, lks_diag* diag) {
  for (std::uint32_t i = 0; i < desc.alias_count; ++i) {
    const lks_alias& alias = desc.aliases[i];
    const bool fits = alias.input < desc.input_count && alias.output < desc.output_count &&
                      is_same_place(tensor_of(desc, alias.input), tensor_of(desc, desc.input_count + alias.output));
    if (fits && desc.op == LKS_OP_POINTWISE) continue;
    return refuse(diag, LKS_REASON_ALIAS, static_cast<int>(desc.input_count + alias.output), DRIVER_WHERE,
                  "%s: output %u cannot take the memory of input %u", desc.op_name, alias.output, alias.input);
  }
  return LKS_OK;
}

bool is_identity(const std::uint32_t* indices, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!indices || indices[i] != i) return false;
  }
  return true;
}

// The only attached program that a kernel here runs is the body of a pointwise kernel.
lks_status check_programs(const lks_kernel_desc& desc, lks_diag* diag) {
  const auto refuse_program = [&](const char* what) {
    return refuse(diag, LKS_REASON_PROGRAM, -1, DRIVER_WHERE, "%s: %s", desc.op_name, what);
  };
  if (desc.op != LKS_OP_POINTWISE) {
    if (desc.program_count != 0) return refuse_program("no program on an operand or a result");
    const bool in_order = !desc.operands || is_identity(desc.operands, desc.operand_count);
    if (desc.operand_count != desc.input_count || !in_order) {
      return refuse_program("operands are the inputs in their order");
    }
    if (desc.results) return refuse_program("results are the outputs in their order");
    return LKS_OK;
  }
  if (desc.program_count != 1) return refuse_program("one program is needed");
  if (desc.operand_count != 0 || desc.operands || desc.results) return refuse_program("a program has no root op");
  const lks_attached_program& body = desc.programs[0];
  const bool is_body = body.program->input_count == desc.input_count && is_identity(body.inputs, desc.input_count) &&
                       body.program->output_count == desc.output_count && is_identity(body.outputs, desc.output_count);
  return is_body ? LKS_OK : refuse_program("the program's inputs and outputs are the kernel's, in their order");
}

// Checks everything that is the same for all rows.
lks_status check_description(std::uint32_t math_modes, const lks_kernel_desc& desc, lks_diag* diag) {
  if (desc.math_mode > LKS_MODE_LOCKSTEP || !(math_modes >> desc.math_mode & 1u)) {
    return refuse(diag, LKS_REASON_MATH_MODE, -1, DRIVER_WHERE, "%s: math mode %u is not offered", desc.op_name,
                  desc.math_mode);
  }
  if (has_unknown_extension(desc)) {
    return refuse(diag, LKS_REASON_EXTENSION, -1, DRIVER_WHERE,
                  "%s: the description or a program of it has an unknown extension", desc.op_name);
  }
  for (std::uint32_t i = 0; i < desc.input_count + desc.output_count; ++i) {
    if (const lks_status status = check_tensor(desc, tensor_of(desc, i), static_cast<int>(i), diag); status != LKS_OK)
      return status;
  }
  if (const lks_status status = check_programs(desc, diag); status != LKS_OK) return status;
  return check_aliases(desc, diag);
}

}  // namespace

lks_status answer_from_table(const KernelTable& table, const lks_host_api& api, const lks_kernel_desc& desc,
                             lks_kernel_info& info, std::unique_ptr<lks_kernel>* out, lks_diag* diag) {
  // Rows that refuse write their reason here; only the last reason reaches the caller.
  lks_diag refusal = empty_diag();
  lks_status status = refuse(&refusal, LKS_REASON_OP, -1, DRIVER_WHERE, "no kernel for %s", desc.op_name);
  const lks_header info_header = info.hdr;
  bool checked = false;
  for (const KernelRow& row : table.rows) {
    if (row.op != desc.op || row.op == 0) continue;
    if (desc.op_version > row.version) {
      status = refuse(&refusal, LKS_REASON_VERSION, -1, DRIVER_WHERE, "%s has schema version %u, known is %u",
                      desc.op_name, desc.op_version, row.version);
      continue;
    }
    if (!checked && check_description(table.math_modes, desc, diag) != LKS_OK) return LKS_UNSUPPORTED;
    checked = true;
    status = ask(row, {api, desc, info, &refusal, table.context}, out);
    info.hdr = info_header;
    if (status == LKS_OK) return status;
    if (status != LKS_UNSUPPORTED) break;
  }
  copy_diag(refusal, diag);
  return status;
}

lks_status require_dtypes(const KernelRequest& request, std::initializer_list<lks_dtype> allowed) {
  for (std::uint32_t i = 0; i < request.tensor_count(); ++i) {
    const lks_tensor_desc& t = request.tensor(i);
    if (t.flags & LKS_TENSOR_OPTIONAL_ABSENT) continue;
    bool known = false;
    for (lks_dtype d : allowed) known = known || d == t.dtype;
    if (!known) {
      return refuse(request.diag, LKS_REASON_DTYPE, static_cast<int>(i), DRIVER_WHERE,
                    "%s: operand %u has a dtype without a kernel", request.desc.op_name, i);
    }
  }
  return LKS_OK;
}

const char* variant_of(std::span<const KernelRow> rows, std::uint32_t op, std::uint32_t index) {
  for (const KernelRow& row : rows) {
    if (row.op == op && index-- == 0) return row.variant;
  }
  return nullptr;
}

bool is_dense(const lks_tensor_desc& t) { return is_dense(t.rank, t.dims, t.strides); }

}  // namespace common
