// TensorImpl: the object that a Tensor handle points to.
#pragma once

#include <atomic>
#include <string>

#include "lockstep/error.h"
#include "lockstep/tensor.h"
#include "runtime/kernel_cache.h"
#include "runtime/memory/block.h"
#include "runtime/memory/purpose.h"

namespace lockstep {

class DeviceState;

/// Properties of a variable, kept by the tensors that are or were its value.
struct VariableInfo {
  std::uint64_t id = 0;
  std::string name;
  bool trainable = true;
};

struct TensorImpl {
  std::atomic<std::uint32_t> refs{1};
  DType dtype = DType::f32;
  bool dense = true;  // elements are in row-major order without gaps
  std::uint64_t id = 0;
  DeviceState* device = nullptr;  // nullptr: an abstract tensor
  BlockRef block;
  std::int64_t offset = 0;  // of the first element from the block's start, in elements
  Shape shape;
  std::int64_t strides[max_rank] = {};           // in elements; meaningful only if the shape is known
  const char* producer = nullptr;                // name of the op that created it
  const ScopeName* scope = nullptr;              // place in the model
  std::shared_ptr<const VariableInfo> variable;  // the variable whose value this is or was

  bool is_abstract() const { return device == nullptr; }

  // From a per-thread free list, since every op allocates and frees a TensorImpl.
  static void* operator new(std::size_t bytes);
  static void operator delete(void* memory) noexcept;
};

inline void retain(TensorImpl* impl) { impl->refs.fetch_add(1, std::memory_order_relaxed); }
void release(TensorImpl* impl);

/// Owning pointer to a TensorImpl, for containers of the runtime.
class TensorRef {
 public:
  TensorRef() = default;
  static TensorRef adopt(TensorImpl* impl) {
    TensorRef ref;
    ref.impl_ = impl;
    return ref;
  }
  static TensorRef share(TensorImpl* impl) {
    if (impl) retain(impl);
    return adopt(impl);
  }
  TensorRef(const TensorRef& other) : impl_(other.impl_) {
    if (impl_) retain(impl_);
  }
  TensorRef(TensorRef&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }
  TensorRef& operator=(TensorRef other) noexcept {
    TensorImpl* mine = impl_;
    impl_ = other.impl_;
    other.impl_ = mine;
    return *this;
  }
  ~TensorRef() {
    if (impl_) release(impl_);
  }
  TensorImpl* get() const { return impl_; }
  TensorImpl* operator->() const { return impl_; }
  TensorImpl& operator*() const { return *impl_; }
  explicit operator bool() const { return impl_ != nullptr; }
  TensorImpl* detach() {
    TensorImpl* mine = impl_;
    impl_ = nullptr;
    return mine;
  }

 private:
  TensorImpl* impl_ = nullptr;
};

/// A new unique id; never 0.
std::uint64_t next_tensor_id();

/// Row-major strides of `shape` in elements.
inline void fill_dense_strides(const Shape& shape, std::int64_t* strides) {
  std::int64_t stride = 1;
  const std::span<const Dim> dims = shape.dims();
  for (std::size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride = next_dense_stride(stride, dims[i].value());
  }
}

/// Whether the strides are dense row-major; strides of dimensions of extent 1 are ignored.
bool strides_are_dense(const Shape& shape, const std::int64_t* strides);

/// The size in bytes of a tensor of `spec`. Throws if the number of elements does not fit into 63 bits (ShapeError
/// LS2005) or the device does not allow a tensor of this size (OutOfMemoryError LS5002).
std::uint64_t check_size(DeviceState& device, const TensorSpec& spec, const BlockPurpose& purpose);

/// Throws if no tensor can have this spec: ShapeError LS2005 if the number of elements does not fit into 63 bits,
/// OutOfMemoryError LS5002 if the number of bytes does not. Abstract tensors and views are checked too, so that no
/// element count can overflow.
void check_countable(const TensorSpec& spec, std::string_view op, CallSite where);

/// The error for a spec that has elements and is not countable.
struct Uncountable {
  ErrorId id;
  std::string headline;
};
Uncountable uncountable(const TensorSpec& spec);

/// Memory for the elements of `spec`, whose size must have been checked. The contents are undefined.
BlockRef allocate_elements(DeviceState& device, const TensorSpec& spec, const BlockPurpose& purpose);

/// A new tensor with its own memory. The contents are undefined.
TensorRef make_tensor(DeviceState& device, DType dtype, const Shape& shape, const BlockPurpose& purpose);

/// An abstract tensor.
TensorRef make_abstract(const TensorSpec& spec);

/// The tensor in the form that the driver receives; it points into `impl`.
inline KernelTensor kernel_tensor(const TensorImpl& impl) {
  KernelTensor t;
  t.dtype = impl.dtype;
  t.rank = static_cast<std::uint8_t>(impl.shape.rank());
  // A known Dim is its number, so the array of dims is an array of extents.
  static_assert(sizeof(Dim) == sizeof(std::int64_t));
  t.dims = reinterpret_cast<const std::int64_t*>(impl.shape.dims().data());
  t.strides = impl.strides;
  t.offset = impl.offset;
  t.block = impl.block.get();
  return t;
}

/// "Tensor f32 (2, 3) cpu:0", or "Variable "dense/kernel" f32 (768, 10) cpu:0   output of …".
std::string describe(const TensorImpl& impl);

/// Throws if the command that writes the tensor's contents is known to have failed. Never throws for an empty tensor.
void check_contents(const TensorImpl& impl);

/// Throws TraceError LS4101 for `op` if the tensor is abstract.
void check_concrete(const TensorImpl& impl, const char* op, CallSite where);

/// Waits until the block has its contents. Throws the failure of a command only if the contents depend on that command.
void wait_for_contents(Block& block, CallSite where);

/// Waits for the contents of a dense tensor and copies them to host memory. Throws the failure of a command only if the
/// contents depend on that command.
void read_dense(const TensorImpl& impl, void* out, CallSite where);

/// Copies host memory into a new dense tensor. `data` may be freed when this returns.
void write_dense(TensorImpl& impl, const void* data, CallSite where);

/// The same without a further copy in host memory: the queue keeps `data` until the device has read it. An inline queue
/// has done so when this returns.
void write_owned(TensorImpl& impl, const std::shared_ptr<const void>& data, CallSite where);

/// Called when the host program reads a value, so that tapes can report where the path of a gradient ended. Defined in
/// ops/observer.cpp.
void report_value_read(const TensorImpl& impl, const char* how, CallSite where);

/// Makes a dense copy of a view. Defined in ops/shape/join.cpp, since the op `copy` implements the strided copy.
TensorRef make_dense_copy(const TensorImpl& impl, CallSite where);
/// The same for a read by the host: the copy is complete when this returns, even if an unrelated command has failed on
/// the device.
TensorRef completed_dense_copy(const TensorImpl& impl, CallSite where);

}  // namespace lockstep
