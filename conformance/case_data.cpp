#include "conformance/case_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lockstep/ops.h"
#include "runtime/element.h"

namespace lockstep::conformance {
namespace {

template <class T>
void append(std::vector<std::byte>& bytes, T value) {
  const std::size_t at = bytes.size();
  bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

void append_value(std::vector<std::byte>& bytes, long double value, DType t) {
  switch (t) {
    case DType::f32: return append(bytes, static_cast<float>(value));
    case DType::f64: return append(bytes, static_cast<double>(value));
    case DType::f16: return append(bytes, Half(static_cast<float>(value)).bits);
    case DType::bf16: return append(bytes, BFloat16(static_cast<float>(value)).bits);
    case DType::i8: return append(bytes, static_cast<std::int8_t>(value));
    case DType::u8: return append(bytes, static_cast<std::uint8_t>(value));
    case DType::i32: return append(bytes, static_cast<std::int32_t>(value));
    case DType::i64: return append(bytes, static_cast<std::int64_t>(value));
    case DType::boolean: return append(bytes, static_cast<std::uint8_t>(value != 0));
  }
}

// A byte pattern that is NaN in every floating format, and unlikely as an integer.
constexpr std::byte sentinel{0x7f};

std::vector<std::byte> bytes_of(const RefArray& values) {
  std::vector<std::byte> bytes;
  bytes.reserve(values.values.size() * size_of(values.dtype));
  for (long double v : values.values) append_value(bytes, v, values.dtype);
  return bytes;
}

Tensor upload(const std::vector<std::byte>& bytes, DType dtype, const Shape& shape, Device device) {
  return Tensor::from_bytes(bytes.data(), bytes.size(), {dtype, shape}, device);
}

// The elements in the order of `order`, each at that multiple of `step` elements, after `first` others.
std::vector<std::byte> scattered(const std::vector<std::byte>& dense, std::size_t size, std::int64_t first,
                                 std::int64_t step, const std::vector<std::int64_t>& order) {
  const auto count = static_cast<std::int64_t>(order.size());
  std::vector<std::byte> bytes(static_cast<std::size_t>(first + count * step) * size, sentinel);
  for (std::int64_t i = 0; i < count; ++i) {
    std::memcpy(bytes.data() + static_cast<std::size_t>(first + i * step) * size,
                dense.data() + static_cast<std::size_t>(order[static_cast<std::size_t>(i)]) * size, size);
  }
  return bytes;
}

std::vector<std::int64_t> in_order(std::int64_t count) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) order[static_cast<std::size_t>(i)] = i;
  return order;
}

Tensor with_offset(const RefArray& a, Device device) {
  constexpr std::int64_t before = 3;
  const auto bytes = scattered(bytes_of(a), size_of(a.dtype), before, 1, in_order(a.size()));
  const Tensor block = upload(bytes, a.dtype, Shape{before + a.size()}, device);
  return reshape(slice(block, {Slice{0, before}}), NewShape(a.shape));
}

// Over a block with twice the last extent, starting at its second element.
Tensor sliced(const RefArray& a, Device device) {
  const auto bytes = scattered(bytes_of(a), size_of(a.dtype), 1, 2, in_order(a.size()));
  Shape doubled = a.shape;
  doubled.set_dim(-1, 2 * a.shape[-1]);
  std::vector<std::byte> block(bytes.begin(), bytes.end() - static_cast<std::ptrdiff_t>(size_of(a.dtype)));
  return slice(upload(block, a.dtype, doubled, device), {Slice{a.shape.rank() - 1, 1, std::nullopt, 2}});
}

// Stored dimension by dimension in reverse order, looked at in the original one.
Tensor transposed(const RefArray& a, Device device) {
  const int rank = a.shape.rank();
  Shape stored;
  for (int d = rank - 1; d >= 0; --d) stored.append(a.shape[d]);
  std::vector<std::int64_t> order(static_cast<std::size_t>(a.size()));
  for (std::int64_t n = 0; n < a.size(); ++n) {
    std::int64_t rest = n, at = 0;
    for (int d = rank - 1; d >= 0; --d) {
      std::int64_t weight = 1;
      for (int e = 0; e < d; ++e) weight *= a.shape[e];
      at += rest % a.shape[d] * weight;
      rest /= a.shape[d];
    }
    order[static_cast<std::size_t>(at)] = n;
  }
  const auto bytes = scattered(bytes_of(a), size_of(a.dtype), 0, 1, order);
  return transpose(upload(bytes, a.dtype, stored, device));
}

Tensor reversed(const RefArray& a, Device device) {
  std::vector<std::int64_t> order = in_order(a.size());
  std::reverse(order.begin(), order.end());
  Tensor view = upload(scattered(bytes_of(a), size_of(a.dtype), 0, 1, order), a.dtype, a.shape, device);
  for (int d = 0; d < a.shape.rank(); ++d) view = slice(view, {Slice{d, -1, std::nullopt, -1}});
  return view;
}

Tensor broadcast(const RefArray& a, Device device) {
  int last = a.shape.rank() - 1;
  while (last > 0 && a.shape[last] == 1) --last;
  Shape narrow = a.shape;
  narrow.set_dim(last, 1);
  std::int64_t inner = 1;
  for (int d = last + 1; d < a.shape.rank(); ++d) inner *= a.shape[d];
  std::vector<std::int64_t> order;
  for (std::int64_t n = 0; n < narrow.size(); ++n) order.push_back(n / inner * a.shape[last] * inner + n % inner);
  return broadcast_to(upload(scattered(bytes_of(a), size_of(a.dtype), 0, 1, order), a.dtype, narrow, device), a.shape);
}

Operand number_operand(const Scalar& s) {
  switch (s.kind) {
    case Scalar::Kind::floating: return Operand(s.floating);
    case Scalar::Kind::logical: return Operand(s.integer != 0);
    default: return s.above_int64 ? Operand(static_cast<std::uint64_t>(s.integer)) : Operand(s.integer);
  }
}

}  // namespace

DescribedCase::DescribedCase(const OpDef& op, const OpCase& c) : op_(op), case_(c) {
  descriptions_.reserve(c.inputs.size());
  for (const CaseInput& in : c.inputs) {
    if (in.absent) {
      operands_.push_back(Operand::absent());
    } else if (in.scalar) {
      operands_.push_back(number_operand(*in.scalar));
    } else {
      descriptions_.push_back(Tensor::abstract({in.dtype, in.shape}));
      operands_.emplace_back(descriptions_.back());
    }
  }
}

OpCall DescribedCase::call() const {
  return {op_, operands_, attrs_of(op_, case_), case_.scalars, std::source_location::current()};
}

OpCase widened(const OpCase& c) {
  OpCase wide = c;
  for (CaseInput& input : wide.inputs) input.dtype = compute_dtype(input.dtype);
  return wide;
}

std::vector<RefArray> widened(std::vector<RefArray> arrays) {
  for (RefArray& array : arrays) array.dtype = compute_dtype(array.dtype);
  return arrays;
}

Tensor to_tensor(const RefArray& values, Device device, Layout layout) {
  if (values.size() > 0 && values.shape.rank() > 0) {
    switch (layout) {
      case Layout::offset: return with_offset(values, device);
      case Layout::sliced: return sliced(values, device);
      case Layout::transposed: return transposed(values, device);
      case Layout::reversed: return reversed(values, device);
      case Layout::broadcast: return broadcast(values, device);
      default: break;
    }
  }
  return upload(bytes_of(values), values.dtype, values.shape, device);
}

RefArray to_array(const Tensor& tensor) {
  RefArray array = RefArray::zeros(tensor.dtype(), tensor.shape());
  const std::vector<std::byte> bytes = tensor.to_bytes();
  for (std::size_t i = 0; i < array.values.size(); ++i) {
    array.values[i] = element_value(bytes.data() + i * size_of(array.dtype), array.dtype);
  }
  return array;
}

CaseOperands::CaseOperands(const OpDef&, const OpCase& c, std::span<const RefArray> values, Device device,
                           Layout layout) {
  tensors_.resize(c.inputs.size());
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].absent || c.inputs[i].scalar) continue;
    const bool shares = layout == Layout::shared && i > 0 && tensors_[0] && values[i].dtype == values[0].dtype &&
                        values[i].shape == values[0].shape && values[i].values == values[0].values;
    tensors_[i] = shares ? *tensors_[0] : to_tensor(values[i], device, layout);
  }
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].absent) {
      operands_.push_back(Operand::absent());
    } else if (c.inputs[i].scalar) {
      operands_.push_back(number_operand(*c.inputs[i].scalar));
    } else {
      operands_.emplace_back(*tensors_[i]);
    }
  }
}

const void* attrs_of(const OpDef& op, const OpCase& c) {
  if (!c.attrs.empty()) return c.attrs.data();
  return op.attrs.size ? op.attrs.defaults.data() : nullptr;
}

}  // namespace lockstep::conformance
