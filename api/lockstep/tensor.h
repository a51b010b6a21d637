// Tensor: an immutable array on a device.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lockstep/call_site.h"
#include "lockstep/device.h"
#include "lockstep/dtype.h"
#include "lockstep/export.h"
#include "lockstep/handle.h"
#include "lockstep/shape.h"

namespace LOCKSTEP_API lockstep {

struct LOCKSTEP_HIDDEN TensorImpl;
class Variable;

/// A dense array of one dtype on one device, or a view of one (reshape, slice, transpose and broadcast copy nothing).
/// Immutable: ops create new tensors; only a Variable changes. Copies share the elements and only change a reference
/// count; several threads may read them. A default-constructed Tensor does not exist. A tensor that was moved from can
/// only be copied (the copy is in the same state), assigned to and destroyed; every other use throws StateError LS1008.
///
/// A tensor can be abstract (`is_abstract`): a dtype and shape without elements, on which ops infer shapes. Reading the
/// value of an abstract tensor throws TraceError LS4101.
class Tensor {
 public:
  /// A single element of rank 0, on the default device.
  template <Element T>
  explicit Tensor(T value, CallSite where = CallSite::current())
      : Tensor(&value, DTypeOf<T>::value, Shape{}, std::nullopt, where) {}

  /// A tensor of rank 1, on the default device.
  template <Element T>
  Tensor(std::initializer_list<T> values, CallSite where = CallSite::current())
      : Tensor(values.begin(), DTypeOf<T>::value, Shape{static_cast<std::int64_t>(values.size())}, std::nullopt,
               where) {}

  /// Copies `values`, in row-major order, to `device` (default: the default device). Throws ShapeError LS2006 if their
  /// number is not the shape's.
  template <Element T>
  Tensor(std::span<const T> values, const Shape& shape, std::optional<Device> device = std::nullopt,
         CallSite where = CallSite::current())
      : Tensor(checked(values.data(), values.size(), shape, where), DTypeOf<T>::value, shape, device, where) {}
  template <Element T>
  Tensor(const std::vector<T>& values, const Shape& shape, std::optional<Device> device = std::nullopt,
         CallSite where = CallSite::current()) requires(!std::same_as<T, bool>)
      : Tensor(std::span<const T>(values), shape, device, where) {}

  /// An abstract tensor.
  static Tensor abstract(const TensorSpec& spec, CallSite where = CallSite::current());

  /// A tensor with elements copied from untyped memory, such as a file's; `bytes` is its length. Booleans are the bytes
  /// 0 and 1. Throws ShapeError LS2006 if `bytes` is not the spec's number of bytes, StateError LS1008 if `data` is
  /// null although there are elements, LS1010 for booleans that are other bytes.
  static Tensor from_bytes(const void* data, std::size_t bytes, const TensorSpec& spec,
                           std::optional<Device> device = std::nullopt, CallSite where = CallSite::current());

  Tensor(const Tensor& other);
  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(const Tensor& other) &;
  Tensor& operator=(Tensor&& other) & noexcept;
  ~Tensor();

  DType dtype(CallSite where = CallSite::current()) const;
  const Shape& shape(CallSite where = CallSite::current()) const;
  int rank(CallSite where = CallSite::current()) const { return shape(where).rank(); }
  /// Number of elements.
  std::int64_t size(CallSite where = CallSite::current()) const { return shape(where).size(); }
  TensorSpec spec(CallSite where = CallSite::current()) const { return {dtype(where), shape(where)}; }
  /// Throws TraceError LS4101 for an abstract tensor.
  Device device(CallSite where = CallSite::current()) const;
  bool is_abstract(CallSite where = CallSite::current()) const;
  /// Identifies this value within the process; copies have the same id.
  std::uint64_t id(CallSite where = CallSite::current()) const;

  /// The only element; waits for it. Throws ShapeError LS2006 if the tensor does not have exactly one element, and
  /// DTypeError LS2103 if T does not match the dtype.
  template <Element T>
  T item(CallSite where = CallSite::current()) const {
    T value;
    read_item(&value, DTypeOf<T>::value, where);
    return value;
  }

  /// All elements in row-major order; waits for them. Throws DTypeError LS2103 if T does not match the dtype.
  template <Element T>
  std::vector<T> to_vector(CallSite where = CallSite::current()) const requires(!std::same_as<T, bool>) {
    auto values = host_memory<T>(where);
    read_all(values.data(), DTypeOf<T>::value, where);
    return values;
  }
  /// The elements of a bool tensor as bytes, 0 or 1.
  std::vector<std::uint8_t> to_bools(CallSite where = CallSite::current()) const;

  /// The elements' bytes in row-major order.
  std::vector<std::byte> to_bytes(CallSite where = CallSite::current()) const;

  /// This value on `device`; the tensor itself if it is there already.
  Tensor to(Device device, CallSite where = CallSite::current()) const;

  /// "Tensor f32 (2, 3) cpu:0".
  std::string describe(CallSite where = CallSite::current()) const;

  /// For the runtime; never nullptr.
  TensorImpl* impl(CallSite where = CallSite::current()) const {
    if (!impl_) fail_moved_from("tensor", where);
    return impl_;
  }
  static Tensor adopt(TensorImpl* impl) { return Tensor(impl); }
  static Tensor share(TensorImpl* impl);

 private:
  explicit Tensor(TensorImpl* impl) : impl_(impl) {}
  Tensor(const void* data, DType dtype, const Shape& shape, std::optional<Device> device, CallSite where);
  static const void* checked(const void* data, std::size_t count, const Shape& shape, CallSite where);
  /// Host memory for all elements. Throws an Error, not std::bad_alloc, if the host has too little, and if a view has
  /// more elements than any memory can hold.
  template <class T>
  std::vector<T> host_memory(CallSite where) const {
    check_readable(where);
    try {
      return std::vector<T>(static_cast<std::size_t>(size(where)));
    } catch (const std::bad_alloc&) {
      fail_host_memory(where);
    }
  }
  void check_readable(CallSite where) const;
  [[noreturn]] void fail_host_memory(CallSite where) const;
  void read_item(void* out, DType as, CallSite where) const;
  void read_all(void* out, DType as, CallSite where) const;

  TensorImpl* impl_;
};

/// Shape, dtype, device and elements; long tensors are summarised.
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

/// A C++ number as an operand. It is rounded once to the dtype of the tensors in the same call, with two exceptions. A
/// floating number promotes integer and bool tensors to f32. Beside f16 and bf16 tensors a number is f32, as the op's
/// arithmetic is, and the result is f16 or bf16; only ops whose result is not floating, such as comparisons, round the
/// number to f16 or bf16 first. If a call has only numbers, they are bool, i32 or f32, whichever is the most general
/// among them. An integer that the dtype cannot hold throws ShapeError LS2007.
struct Scalar {
  enum class Kind : std::uint8_t { logical, integer, floating };
  Kind kind = Kind::integer;
  bool above_int64 = false;     // `integer` holds the bits of a uint64 >= 2^63
  std::uint16_t reserved = 0;   // the fields up to here and the next one are written as one
  std::uint32_t at_launch = 0;  // not 0: a number without a value, which only abstract calls take; see is_known()
  std::int64_t integer = 0;     // also for booleans
  double floating = 0;

  constexpr Scalar() = default;
  constexpr Scalar(Kind k, std::int64_t i, double f) : kind(k), integer(i), floating(f) {}
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr Scalar(T value) {  // NOLINT: implicit by design
    if constexpr (std::integral<T>) {
      kind = std::same_as<T, bool> ? Kind::logical : Kind::integer;
      integer = static_cast<std::int64_t>(value);
      above_int64 = std::unsigned_integral<T> && integer < 0;
    } else {
      kind = Kind::floating;
      floating = static_cast<double>(value);
    }
  }

  /// False for a number that is known only at launch. A call on abstract tensors uses only its kind; one on tensors
  /// with elements throws TraceError LS4101.
  constexpr bool is_known() const { return at_launch == 0; }

  /// Throws TraceError LS4101 for a number that is known only at launch.
  double as_double() const {
    if (!is_known()) fail_unknown();
    if (kind == Kind::floating) return floating;
    return above_int64 ? static_cast<double>(static_cast<std::uint64_t>(integer)) : static_cast<double>(integer);
  }

  /// For the runtime: throws TraceError LS4101, which names the number, or StateError LS1008 if the runtime has not
  /// made it.
  [[noreturn]] void fail_unknown() const;
};

/// An argument of an op: a tensor, a variable (which is read, and watched by active tapes) or a number. It is created
/// implicitly and records the source line of its creation. It must not outlive the full expression.
class Operand {
 public:
  Operand(const Tensor& tensor, CallSite at = CallSite::current())  // NOLINT: implicit by design
      : impl_(tensor.impl(at)), where_(at) {}
  Operand(const Variable& variable, CallSite at = CallSite::current());  // NOLINT: implicit by design
  template <class T>
  requires std::is_arithmetic_v<T> Operand(T value, CallSite at = CallSite::current())
      : scalar_(value), where_(at) {}  // NOLINT: implicit by design
  /// A number, which may be known only at launch.
  explicit Operand(const Scalar& number, CallSite at = CallSite::current()) : scalar_(number), where_(at) {}

  /// An optional input that is not given.
  static Operand absent(CallSite at = CallSite::current()) {
    Operand none(false, at);
    none.absent_ = true;
    return none;
  }
  /// For the runtime: holds no reference to the tensor.
  static Operand borrow(TensorImpl* impl, CallSite at) {
    Operand operand(false, at);
    operand.impl_ = impl;
    return operand;
  }

  bool is_tensor() const { return impl_ != nullptr; }
  bool is_absent() const { return absent_; }
  bool is_scalar() const { return !impl_ && !absent_; }
  TensorImpl* impl() const { return impl_; }
  const Scalar& scalar() const { return scalar_; }
  CallSite where() const { return where_; }
  /// The tensor; a number becomes a bool, i32 or f32 tensor on the default device. Throws ShapeError LS2011 if the
  /// operand is absent.
  Tensor tensor() const;

 private:
  TensorImpl* impl_ = nullptr;
  Scalar scalar_;
  CallSite where_;
  bool absent_ = false;
};

}  // namespace lockstep
