// The rows of the kernel table, and the requests that their makers receive.
#pragma once

#include <lockstep/driver.h>
#include <lockstep/driver_ops.h>

#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <memory>

#include "objects.h"

struct Request {
  const lks_kernel_desc& desc;
  lks_kernel_info& info;
  lks_diag* diag;
  bool prepare;  // false for a query, which creates no kernel

  // The op's attributes. Those of an older host end earlier, those of a newer host later; what is missing is zero.
  template <class Attrs>
  Attrs attrs() const {
    Attrs own{};
    const std::size_t bytes = desc.attrs_size < sizeof own ? desc.attrs_size : sizeof own;
    if (bytes > 0) std::memcpy(&own, desc.attrs, bytes);
    return own;
  }
  // The host's lks_tensor_desc may be larger than this driver's, so arrays of them are not indexed by [].
  const lks_tensor_desc& input(std::uint32_t i) const { return LKS_ELEMENT(lks_tensor_desc, desc.inputs, i); }
  const lks_tensor_desc& output(std::uint32_t i) const { return LKS_ELEMENT(lks_tensor_desc, desc.outputs, i); }
  const lks_tensor_desc& tensor(std::uint32_t i) const {
    return i < desc.input_count ? input(i) : output(i - desc.input_count);
  }
  std::uint32_t tensor_count() const { return desc.input_count + desc.output_count; }
};

using Made = std::unique_ptr<lks_kernel>;

// `make` refuses with a reason, or returns LKS_OK and, if `prepare` is set, creates the kernel.
struct Row {
  std::uint32_t op;
  std::uint32_t version;  // the newest schema version of the op that the kernel supports
  const char* variant;
  lks_status (*make)(const Request& request, Made* made);
};

lks_status make_pointwise(const Request& request, Made* made);
lks_status make_copy(const Request& request, Made* made);
lks_status make_sum(const Request& request, Made* made);
lks_status make_max(const Request& request, Made* made);
lks_status make_min(const Request& request, Made* made);
lks_status make_argmax(const Request& request, Made* made);
lks_status make_matmul(const Request& request, Made* made);
lks_status make_conv2d(const Request& request, Made* made);
lks_status make_conv2d_backward_input(const Request& request, Made* made);
lks_status make_conv2d_backward_filter(const Request& request, Made* made);
lks_status make_max_pool2d(const Request& request, Made* made);
lks_status make_max_pool2d_backward(const Request& request, Made* made);
lks_status make_avg_pool2d(const Request& request, Made* made);
lks_status make_avg_pool2d_backward(const Request& request, Made* made);
lks_status make_gather(const Request& request, Made* made);
lks_status make_scatter_add(const Request& request, Made* made);
lks_status make_random_bits(const Request& request, Made* made);

// Refuses tensors whose dtype is not in `allowed`. The host then decomposes the op or converts the tensors.
lks_status require_dtypes(const Request& request, std::initializer_list<lks_dtype> allowed);

// Reports in the kernel info how the kernel sums: in the order of docs/lockstep_mode.md, which is the same on all
// devices.
void describe_sums(const Request& request);

template <class Kernel, class... Args>
lks_status make_kernel(const Request& request, Made* made, Args&&... args) {
  if (!request.prepare) return LKS_OK;
  auto kernel = std::make_unique<Kernel>(std::forward<Args>(args)...);
  for (std::uint32_t i = 0; i < request.tensor_count(); ++i) {
    kernel->dtypes.push_back(request.tensor(i).dtype);
    kernel->ranks.push_back(request.tensor(i).rank);
  }
  *made = std::move(kernel);
  return LKS_OK;
}

// Calls f with a zero of the C++ type that belongs to f32, f64, i32 or i64.
template <class F>
void with_number(lks_dtype t, F&& f) {
  switch (t) {
    case LKS_F64: return f(double{});
    case LKS_I32: return f(std::int32_t{});
    case LKS_I64: return f(std::int64_t{});
    default: return f(float{});
  }
}
template <class F>
void with_float(lks_dtype t, F&& f) {
  t == LKS_F64 ? f(double{}) : f(float{});
}
