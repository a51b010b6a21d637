// What a Tensor handle points to.
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

/// What a tensor keeps of the variable whose value it is.
struct VariableInfo {
  std::uint64_t id = 0;
  std::string name;
  bool trainable = true;
};

struct TensorImpl {
  std::atomic<std::uint32_t> refs{1};
  DType dtype = DType::f32;
  bool dense = true;  // elements lie in row-major order without gaps
  std::uint64_t id = 0;
  DeviceState* device = nullptr;  // nullptr: a description
  BlockRef block;
  std::int64_t offset = 0;  // of the first element, in elements, from the block's start
  Shape shape;
  std::int64_t strides[max_rank] = {};           // in elements; meaningful where the shape is known
  const char* producer = nullptr;                // name of the op that made it
  const ScopeName* scope = nullptr;              // where in the model
  std::shared_ptr<const VariableInfo> variable;  // whose value this is or was

  bool is_abstract() const { return device == nullptr; }

  // Pooled per thread: a tensor is made and dropped with every op.
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

/// A fresh identity; never 0.
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

/// Whether the extents and strides are dense row-major; extents of 1 have no say.
bool strides_are_dense(const Shape& shape, const std::int64_t* strides);

/// The bytes of a tensor of `spec`. Throws where it has more elements than 64 bits count (ShapeError LS2005) or more
/// bytes than the device takes in one tensor (OutOfMemoryError LS5002).
std::uint64_t check_size(DeviceState& device, const Spec& spec, const BlockPurpose& purpose);

/// Throws unless a tensor can have this shape: ShapeError LS2005 where 63 bits do not count its elements,
/// OutOfMemoryError LS5002 where they do not count its bytes. What only describes or views memory is held to it too, so
/// that nothing that counts elements can wrap.
void check_countable(const Spec& spec, std::string_view op, const std::source_location& where);

/// Why it cannot, for a spec that has elements and is not countable.
struct Uncountable {
  ErrorId id;
  std::string headline;
};
Uncountable uncountable(const Spec& spec);

/// Memory for the elements of `spec`, whose size was checked; contents undefined.
BlockRef allocate_elements(DeviceState& device, const Spec& spec, const BlockPurpose& purpose);

/// A new tensor with memory of its own, contents undefined.
TensorRef make_tensor(DeviceState& device, DType dtype, const Shape& shape, const BlockPurpose& purpose);

/// A description.
TensorRef make_abstract(const Spec& spec);

/// The tensor as the driver sees it; points into `impl`.
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

/// Throws if the tensor's contents are known to be the leavings of a failed command. A tensor without elements has
/// none.
void check_contents(const TensorImpl& impl);

/// The bytes of a dense tensor, copied to host memory once they are there. Throws the failure that the contents depend
/// on, and no other.
void read_dense(const TensorImpl& impl, void* out, const std::source_location& where);

/// Copies host memory into a fresh dense tensor.
void write_dense(TensorImpl& impl, const void* data, const std::source_location& where);

/// Called where a value leaves the device for the host program, so that tapes can tell where a path was cut.
extern void (*on_value_read)(const TensorImpl& impl, const char* how, const std::source_location& where);

/// Makes a dense copy of a view; set by ops/, which owns the strided copy.
extern TensorRef (*make_dense_copy)(const TensorImpl& impl, const std::source_location& where);
/// The same, to be read by the host: it is done when this returns, whatever else has failed on the device.
TensorRef sound_dense_copy(const TensorImpl& impl, const std::source_location& where);

}  // namespace lockstep
