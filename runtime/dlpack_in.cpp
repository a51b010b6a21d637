// DLPack arrays as tensors.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "lockstep/dlpack.h"
#include "lockstep/dlpack_abi.h"
#include "lockstep/error.h"
#include "runtime/caller.h"
#include "runtime/device_state.h"
#include "runtime/dlpack_types.h"
#include "runtime/element.h"
#include "runtime/enums.h"
#include "runtime/foreign_tensor.h"
#include "runtime/forked.h"
#include "runtime/host_fill.h"
#include "runtime/tensor_impl.h"

namespace lockstep {
namespace {

constexpr const char* op = "from_dlpack";

std::string type_text(const DLDataType& type) {
  static constexpr const char* names[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
  std::string text = type.code < std::size(names) ? names[type.code] : "code " + std::to_string(type.code) + " of ";
  text += std::to_string(type.bits);
  return type.lanes == 1 ? text : text + " with " + std::to_string(type.lanes) + " lanes";
}

std::string device_text(const DLDevice& device) {
  static constexpr const char* names[] = {
      "",       "kDLCPU",  "kDLCUDA",     "kDLCUDAHost", "kDLOpenCL",      "",         "", "kDLVulkan", "kDLMetal",
      "kDLVPI", "kDLROCM", "kDLROCMHost", "kDLExtDev",   "kDLCUDAManaged", "kDLOneAPI"};
  const auto type = static_cast<std::size_t>(device.device_type);
  const bool known = type < std::size(names) && *names[type];
  return (known ? names[type] : "type " + std::to_string(device.device_type)) + ":" + std::to_string(device.device_id);
}

// Checks an array before anything of it is used.
class Checker {
 public:
  Checker(const DLTensor& array, CallSite where) : array_(array), where_(where) {}

  /// What a tensor with these elements is.
  TensorSpec spec() const {
    check_device();
    const std::optional<DType> dtype = dtype_of(array_.dtype);
    if (!dtype) {
      fail(ErrorId::foreign_dtype, "elements are " + type_text(array_.dtype) + ", which Lockstep does not have",
           "convert the array first, to f32, f64, f16, bf16, i8, u8, i32, i64 or bool");
    }
    if (array_.ndim < 0 || array_.ndim > max_rank) {
      fail(ErrorId::invalid_shape, "the rank is " + std::to_string(array_.ndim) + ", not from 0 to 8",
           "reshape the array first");
    }
    if (array_.ndim > 0 && !array_.shape) contradicts("it has no shape");
    TensorSpec spec{*dtype, {}};
    for (int d = 0; d < array_.ndim; ++d) {
      if (array_.shape[d] < 0) {
        fail(ErrorId::invalid_shape,
             "extent " + std::to_string(d) + " is the negative number " + std::to_string(array_.shape[d]),
             "check the array");
      }
      spec.shape.append(array_.shape[d]);
    }
    check_countable(spec, op, where_);
    return spec;
  }

  /// The first element. Null if there is none.
  const std::byte* first(const TensorSpec& spec) const {
    if (spec.shape.is_empty()) return nullptr;
    if (!array_.data) contradicts("it has elements, and no data");
    const auto address = reinterpret_cast<std::uintptr_t>(array_.data);
    if (array_.byte_offset > UINTPTR_MAX - address) {
      contradicts("its byte offset " + std::to_string(array_.byte_offset) + " leads out of memory");
    }
    return static_cast<const std::byte*>(array_.data) + array_.byte_offset;
  }

  /// Writes the strides in elements, 0 where the extent is 1, so that sums of offsets cannot overflow.
  void strides(const TensorSpec& spec, std::int64_t* out) const {
    fill_dense_strides(spec.shape, out);
    if (!array_.strides) return;
    std::int64_t reach = 0;  // an upper bound for the distance in bytes of any element from the first
    for (int d = 0; d < array_.ndim; ++d) {
      const std::int64_t extent = array_.shape[d], stride = extent == 1 ? 0 : array_.strides[d];
      std::int64_t bytes = 0;
      if (stride == INT64_MIN || __builtin_mul_overflow(stride < 0 ? -stride : stride, extent, &bytes) ||
          __builtin_mul_overflow(bytes, static_cast<std::int64_t>(size_of(spec.dtype)), &bytes) ||
          __builtin_add_overflow(reach, bytes, &reach)) {
        contradicts("stride " + std::to_string(d) + " is " + std::to_string(stride) + ", which leads out of memory");
      }
      out[d] = stride;
    }
  }

  [[noreturn]] void contradicts(const std::string& what) const {
    fail(ErrorId::invalid_foreign_array, "the array contradicts itself: " + what, "check the library that made it");
  }

  [[noreturn]] void fail(ErrorId id, const std::string& what, const std::string& fix) const {
    raise(id, op, what, fix, where_);
  }

 private:
  void check_device() const {
    const std::int32_t type = static_cast<std::int32_t>(array_.device.device_type);
    if (type == dlpack::cpu || type == dlpack::cuda_host || type == dlpack::rocm_host) return;
    fail(ErrorId::foreign_device,
         "the array lies on " + device_text(array_.device) + ", whose memory the host does not read",
         "copy the array to host memory first, such as with `.cpu()`");
  }

  const DLTensor& array_;
  CallSite where_;
};

// Calls visit(offset) for each row along the last dimension, with the offset of its first element, in row-major order.
// There are elements.
template <class F>
void for_each_row(const Shape& shape, const std::int64_t* strides, F&& visit) {
  const int inner = shape.rank() - 1;
  std::int64_t index[max_rank] = {}, offset = 0;
  while (true) {
    visit(offset);
    int d = inner - 1;
    for (; d >= 0; --d) {
      offset += strides[d];
      if (++index[d] < shape[d]) break;
      offset -= strides[d] * shape[d];
      index[d] = 0;
    }
    if (d < 0) return;
  }
}

// The length of such a row, and the distance of its elements.
struct Row {
  std::int64_t count = 1, stride = 1;
  Row(const Shape& shape, const std::int64_t* strides) {
    if (shape.rank() == 0) return;
    count = shape[-1];
    stride = strides[shape.rank() - 1];
  }
};

// Copies elements of any strides to row-major order.
void copy_in_order(const std::byte* first, const TensorSpec& spec, const std::int64_t* strides, std::byte* to) {
  const auto element = static_cast<std::int64_t>(size_of(spec.dtype));
  const Row row(spec.shape, strides);
  for_each_row(spec.shape, strides, [&](std::int64_t offset) {
    for (std::int64_t i = 0; i < row.count; ++i, to += element) {
      std::memcpy(to, first + (offset + i * row.stride) * element, static_cast<std::size_t>(element));
    }
  });
}

void check_booleans(const Checker& array, const TensorSpec& spec, const std::byte* first, const std::int64_t* strides) {
  if (spec.dtype != DType::boolean) return;
  const Row row(spec.shape, strides);
  for_each_row(spec.shape, strides, [&](std::int64_t offset) {
    if (are_booleans(first + offset, row.count, row.stride)) return;
    array.contradicts("it has booleans that are neither 0 nor 1");
  });
}

// A dense tensor with a copy of the elements, which the device may still be reading.
TensorRef copy_elements(const std::byte* first, const TensorSpec& spec, const std::int64_t* strides,
                        const std::shared_ptr<const void>& owner, DeviceState& device, CallSite where) {
  const BlockPurpose purpose{.label = op, .where = &where};
  if (strides_are_dense(spec.shape, strides)) {
    TensorRef tensor = make_tensor(device, spec.dtype, spec.shape, purpose);
    write_owned(*tensor, std::shared_ptr<const void>(owner, first), where);
    return tensor;
  }
  HostFill fill(device, spec, purpose);
  copy_in_order(first, spec, strides, fill.data());
  return fill.finish(where);
}

Tensor import_array(const DLTensor& given, bool read_only, const std::shared_ptr<const void>& owner,
                    std::optional<Device> device, CopyPolicy copy, CallSite where) {
  check_enum(copy, CopyPolicy::never, "copy policy", op, where);
  const Checker array(given, where);
  const TensorSpec spec = array.spec();
  DeviceState& state = (device ? *device : default_device()).state();
  const std::byte* first = array.first(spec);
  if (!first) {
    return Tensor::adopt(make_tensor(state, spec.dtype, spec.shape, {.label = op, .where = &where}).detach());
  }
  check_size(state, spec, {.label = op, .where = &where});  // before all elements are looked at
  std::int64_t strides[max_rank];
  array.strides(spec, strides);
  check_booleans(array, spec, first, strides);
  // A tensor must not change under its owner: memory that the other side may write is shared only if the caller asks.
  if (copy == CopyPolicy::never || (copy == CopyPolicy::if_needed && read_only)) {
    SharedTensor shared = share_host_memory(state, first, spec, strides, owner, {.label = op, .where = &where});
    if (shared.tensor) return Tensor::adopt(shared.tensor.detach());
    if (copy == CopyPolicy::never)
      array.fail(ErrorId::copy_needed, shared.refusal, "allow a copy: CopyPolicy::if_needed");
  }
  TensorRef tensor = copy_elements(first, spec, strides, owner, state, where);
  wait_for_contents(*tensor->block, where);  // so that the array's deleter runs soon, and on this thread
  return Tensor::adopt(tensor.detach());
}

// Calls the deleter of an array that was taken over.
template <class Managed>
std::shared_ptr<const Managed> take(Managed* array, CallSite where) {
  if (!array) raise(ErrorId::invalid_foreign_array, op, "the array is null", "give an array", where);
  return {array, [](Managed* taken) {
            if (taken->deleter) taken->deleter(taken);
          }};
}

}  // namespace

Tensor from_dlpack(DLManagedTensorVersioned* array, std::optional<Device> device, CopyPolicy copy, CallSite where) {
  const CallerScope caller(where);
  const std::shared_ptr<const DLManagedTensorVersioned> owner = take(array, where);
  check_not_forked();
  if (owner->version.major != dlpack::major_version) {
    raise(ErrorId::invalid_foreign_array, op,
          "the array is of DLPack " + std::to_string(owner->version.major) + "." +
              std::to_string(owner->version.minor) + ", this library reads 1.x",
          "ask the other library for an array of version 1", where);
  }
  const bool read_only = (owner->flags & dlpack::read_only_flag) != 0;
  return import_array(owner->dl_tensor, read_only, owner, device, copy, where);
}

Tensor from_dlpack(DLManagedTensor* array, std::optional<Device> device, CopyPolicy copy, CallSite where) {
  const CallerScope caller(where);
  const std::shared_ptr<const DLManagedTensor> owner = take(array, where);
  check_not_forked();
  return import_array(owner->dl_tensor, false, owner, device, copy, where);
}

}  // namespace lockstep
