// One table answers both "do you have this kernel" and "prepare it", so the two answers always agree.
#include "kernels.h"

#include <cstdio>
#include <exception>
#include <new>

#include "table.h"

namespace {

constexpr Row rows[] = {
    {LKS_OP_POINTWISE, LKS_OP_POINTWISE_VERSION, "tiles", &make_pointwise},
    {LKS_OP_COPY, LKS_OP_COPY_VERSION, "elements", &make_copy},
    {LKS_OP_SUM, LKS_OP_SUM_VERSION, "lanes", &make_sum},
    {LKS_OP_MAX, LKS_OP_MAX_VERSION, "scan", &make_max},
    {LKS_OP_MIN, LKS_OP_MIN_VERSION, "scan", &make_min},
    {LKS_OP_ARGMAX, LKS_OP_ARGMAX_VERSION, "scan", &make_argmax},
    {LKS_OP_MATMUL, LKS_OP_MATMUL_VERSION, "rows", &make_matmul},
    {LKS_OP_CONV2D, LKS_OP_CONV2D_VERSION, "direct", &make_conv2d},
    {LKS_OP_CONV2D_BACKWARD_INPUT, LKS_OP_CONV2D_BACKWARD_INPUT_VERSION, "direct", &make_conv2d_backward_input},
    {LKS_OP_CONV2D_BACKWARD_FILTER, LKS_OP_CONV2D_BACKWARD_FILTER_VERSION, "direct", &make_conv2d_backward_filter},
    {LKS_OP_MAX_POOL2D, LKS_OP_MAX_POOL2D_VERSION, "windows", &make_max_pool2d},
    {LKS_OP_MAX_POOL2D_BACKWARD, LKS_OP_MAX_POOL2D_BACKWARD_VERSION, "windows", &make_max_pool2d_backward},
    {LKS_OP_AVG_POOL2D, LKS_OP_AVG_POOL2D_VERSION, "windows", &make_avg_pool2d},
    {LKS_OP_AVG_POOL2D_BACKWARD, LKS_OP_AVG_POOL2D_BACKWARD_VERSION, "windows", &make_avg_pool2d_backward},
    {LKS_OP_GATHER, LKS_OP_GATHER_VERSION, "elements", &make_gather},
    {LKS_OP_SCATTER_ADD, LKS_OP_SCATTER_ADD_VERSION, "elements", &make_scatter_add},
    {LKS_OP_RANDOM_BITS, LKS_OP_RANDOM_BITS_VERSION, "philox", &make_random_bits},
};

bool is_known(lks_dtype t) {
  for (lks_dtype known : {LKS_F32, LKS_F64, LKS_F16, LKS_BF16, LKS_I8, LKS_U8, LKS_I32, LKS_I64, LKS_BOOL}) {
    if (t == known) return true;
  }
  return false;
}

// This driver knows no extension. An unknown extension that must not be skipped changes the meaning of the description.
bool has_unknown_extension(const lks_header& header) {
  for (auto* h = static_cast<const lks_header*>(header.next); h; h = static_cast<const lks_header*>(h->next)) {
    if (!(h->type & LKS_MAY_SKIP)) return true;
  }
  return false;
}

bool has_unknown_extension(const lks_program& program) {
  if (has_unknown_extension(program.hdr)) return true;
  for (uint32_t i = 0; i < program.function_count; ++i) {
    if (has_unknown_extension(*program.functions[i].body)) return true;
  }
  return false;
}

bool has_unknown_extension(const lks_kernel_desc& desc) {
  if (has_unknown_extension(desc.hdr)) return true;
  for (uint32_t i = 0; i < desc.program_count; ++i) {
    if (has_unknown_extension(*desc.programs[i].program)) return true;
  }
  return false;
}

bool is_identity(const std::uint32_t* indices, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!indices || indices[i] != i) return false;
  }
  return true;
}

lks_status check_tensor(const Request& request, std::uint32_t i) {
  const lks_tensor_desc& t = request.tensor(i);
  const char* op = request.desc.op_name;
  const int operand = static_cast<int>(i);
  const uint32_t known_flags =
      i < request.desc.input_count ? LKS_TENSOR_HOST_RESIDENT | LKS_TENSOR_OPTIONAL_ABSENT : 0u;
  if (has_unknown_extension(t.hdr) || (t.flags & ~known_flags)) {
    return refuse(request.diag, LKS_REASON_EXTENSION, operand, "%s: unknown extension or flag", op);
  }
  if (t.flags & LKS_TENSOR_OPTIONAL_ABSENT) return LKS_OK;
  if (!is_known(t.dtype)) return refuse(request.diag, LKS_REASON_DTYPE, operand, "%s: unknown dtype 0x%x", op, t.dtype);
  if (t.layout != LKS_LAYOUT_STRIDED) {
    return refuse(request.diag, LKS_REASON_LAYOUT, operand, "%s: unknown layout %u", op, t.layout);
  }
  if (t.rank < 0 || t.rank > LKS_MAX_RANK) {
    return refuse(request.diag, LKS_REASON_RANK, operand, "%s: rank %d, the largest is %d", op, t.rank, LKS_MAX_RANK);
  }
  for (int d = 0; d < t.rank; ++d) {
    if (t.dims[d] < 0) {
      return refuse(request.diag, LKS_REASON_SIZE, operand, "%s: dimension %d is %lld", op, d,
                    static_cast<long long>(t.dims[d]));
    }
  }
  return LKS_OK;
}

// An output may alias an input if both have the same layout: a program reads each input element before it writes the
// output element in the same place.
lks_status check_aliases(const Request& request) {
  const lks_kernel_desc& d = request.desc;
  for (std::uint32_t i = 0; i < d.alias_count; ++i) {
    bool fits = d.aliases[i].input < d.input_count && d.aliases[i].output < d.output_count;
    if (fits) {
      const lks_tensor_desc &in = request.input(d.aliases[i].input), &out = request.output(d.aliases[i].output);
      fits = in.dtype == out.dtype && in.rank == out.rank;
      for (int axis = 0; fits && axis < in.rank; ++axis) {
        fits = in.dims[axis] == out.dims[axis] && (in.dims[axis] == 1 || in.strides[axis] == out.strides[axis]);
      }
    }
    if (!fits) return refuse(request.diag, LKS_REASON_ALIAS, -1, "%s: these tensors cannot share memory", d.op_name);
  }
  return LKS_OK;
}

// A kernel here supports only one kind of attached program, the body of a pointwise kernel, and it takes operands only
// in the order of the inputs.
lks_status check_programs(const Request& request) {
  const lks_kernel_desc& d = request.desc;
  bool honoured;
  if (d.op == LKS_OP_POINTWISE) {
    honoured = d.program_count == 1 && d.operand_count == 0 && !d.operands && !d.results;
    if (honoured) {
      const lks_attached_program& body = d.programs[0];
      honoured = body.program->input_count == d.input_count && is_identity(body.inputs, d.input_count) &&
                 body.program->output_count == d.output_count && is_identity(body.outputs, d.output_count);
    }
  } else {
    honoured = d.program_count == 0 && d.operand_count == d.input_count && !d.results &&
               (!d.operands || is_identity(d.operands, d.operand_count));
  }
  if (honoured) return LKS_OK;
  return refuse(request.diag, LKS_REASON_PROGRAM, -1,
                "%s: no programs but the body of a pointwise kernel, no other order of operands", d.op_name);
}

// Refuses requests that no kernel here supports, for any op.
lks_status refuse_in_general(const Request& request) {
  const lks_kernel_desc& d = request.desc;
  if (d.math_mode > LKS_MODE_LOCKSTEP || !(offered_modes >> d.math_mode & 1)) {
    return refuse(request.diag, LKS_REASON_MATH_MODE, -1, "%s: math mode %u is not offered", d.op_name, d.math_mode);
  }
  if (has_unknown_extension(d))
    return refuse(request.diag, LKS_REASON_EXTENSION, -1, "%s: unknown extension", d.op_name);
  for (std::uint32_t i = 0; i < request.tensor_count(); ++i) {
    if (const lks_status status = check_tensor(request, i); status != LKS_OK) return status;
  }
  if (const lks_status status = check_programs(request); status != LKS_OK) return status;
  if (d.op == LKS_OP_POINTWISE) return check_aliases(request);
  if (d.alias_count > 0) return refuse(request.diag, LKS_REASON_ALIAS, -1, "%s: not in place", d.op_name);
  return LKS_OK;
}

lks_status answer(const Request& request, Made* made) {
  const lks_kernel_desc& d = request.desc;
  for (const Row& row : rows) {
    if (row.op != d.op) continue;
    if (d.op_version > row.version) {
      return refuse(request.diag, LKS_REASON_VERSION, -1, "%s has schema version %u, known is %u", d.op_name,
                    d.op_version, row.version);
    }
    if (const lks_status status = refuse_in_general(request); status != LKS_OK) return status;
    try {
      const lks_status status = row.make(request, made);
      if (status != LKS_OK) return status;
      std::snprintf(request.info.variant, sizeof request.info.variant, "%s", row.variant);
      // The same bits on every run, and on every device that follows docs/lockstep_mode.md.
      request.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
      return LKS_OK;
    } catch (const std::bad_alloc&) {
      return fail(request.diag, LKS_OUT_OF_MEMORY, "no host memory for a kernel of %s", d.op_name);
    } catch (const std::exception& e) {
      return fail(request.diag, LKS_INTERNAL, "a kernel of %s cannot be made: %s", d.op_name, e.what());
    }
  }
  return refuse(request.diag, LKS_REASON_OP, -1, "no kernel for %s", d.op_name);
}

}  // namespace

// Also called for a device that is not open. `info->deps`, if the host provides it, stays zero: the kernels here do not
// depend on extents, strides or alignment, so one kernel serves them all.
lks_status LKS_CALL kernel_query(lks_driver*, uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                                 lks_diag* diag) {
  if (ordinal != 0) return fail(diag, LKS_INVALID_ARGUMENT, "there is no device %u", ordinal);
  return answer({*desc, *info, diag, false}, nullptr);
}

lks_status LKS_CALL kernel_prepare(lks_device* device, const lks_kernel_desc* desc, lks_kernel** out,
                                   lks_kernel_info* info, lks_diag* diag) {
  FAULT_POINT(device->driver.host, LKS_FAULT_COMPILE, "template.kernel_prepare");
  // Compile the program here, or choose an algorithm of the vendor's library.
  Made made;
  const lks_status status = answer({*desc, *info, diag, true}, &made);
  if (status == LKS_OK) *out = made.release();
  return status;
}

void LKS_CALL kernel_release(lks_device*, lks_kernel* kernel) { delete kernel; }

const char* LKS_CALL kernel_variant(lks_driver*, uint32_t op, uint32_t index) {
  for (const Row& row : rows) {
    if (row.op == op && index-- == 0) return row.variant;
  }
  return nullptr;
}

lks_status require_dtypes(const Request& request, std::initializer_list<lks_dtype> allowed) {
  for (std::uint32_t i = 0; i < request.tensor_count(); ++i) {
    if (request.tensor(i).flags & LKS_TENSOR_OPTIONAL_ABSENT) continue;
    bool known = false;
    for (lks_dtype t : allowed) known = known || t == request.tensor(i).dtype;
    if (!known) {
      return refuse(request.diag, LKS_REASON_DTYPE, static_cast<int>(i), "%s: no kernel for the dtype of operand %u",
                    request.desc.op_name, i);
    }
  }
  return LKS_OK;
}

void describe_sums(const Request& request) {
  request.info.accumulate_dtype = request.input(0).dtype;
  request.info.order = LKS_ORDER_BLOCKED;
}
