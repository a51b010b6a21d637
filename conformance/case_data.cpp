#include "conformance/case_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lockstep/ops.h"
#include "runtime/element.h"

namespace lockstep::conformance {
namespace {

// The bytes of the values, each converted by `encode`.
template <class Encode>
std::vector<std::byte> encoded(const std::vector<long double>& values, Encode&& encode) {
  using T = decltype(encode(0.0L));
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::byte* to = bytes.data();
  for (long double v : values) {
    const T element = encode(v);
    std::memcpy(to, &element, sizeof(T));
    to += sizeof(T);
  }
  return bytes;
}

std::vector<std::byte> bytes_of(const RefArray& a) {
  const auto as = [&](auto zero) {
    return encoded(a.values, [](long double v) { return static_cast<decltype(zero)>(v); });
  };
  switch (a.dtype) {
    case DType::f32: return as(float{});
    case DType::f64: return as(double{});
    case DType::f16: return encoded(a.values, [](long double v) { return Half(static_cast<float>(v)).bits; });
    case DType::bf16: return encoded(a.values, [](long double v) { return BFloat16(static_cast<float>(v)).bits; });
    case DType::i8: return as(std::int8_t{});
    case DType::u8: return as(std::uint8_t{});
    case DType::i32: return as(std::int32_t{});
    case DType::i64: return as(std::int64_t{});
    default: return encoded(a.values, [](long double v) { return static_cast<std::uint8_t>(v != 0); });
  }
}

// A byte pattern that is NaN in f16, a huge number in the other floating formats, and unlikely as an integer. A boolean
// has no such pattern.
std::byte sentinel(DType t) { return t == DType::boolean ? std::byte{1} : std::byte{0x7f}; }

Tensor upload(const std::vector<std::byte>& bytes, DType dtype, const Shape& shape, Device device) {
  return Tensor::from_bytes(bytes.data(), bytes.size(), {dtype, shape}, device);
}

// Dense, behind `before` other elements.
Tensor with_offset(const RefArray& a, std::int64_t before, Device device) {
  const std::vector<std::byte> dense = bytes_of(a);
  std::vector<std::byte> bytes(static_cast<std::size_t>(before) * size_of(a.dtype), sentinel(a.dtype));
  bytes.insert(bytes.end(), dense.begin(), dense.end());
  const Tensor block = upload(bytes, a.dtype, Shape{before + a.size()}, device);
  return reshape(slice(block, {Slice{0, before}}), NewShape(a.shape));
}

// The extent of dimension d in the block.
std::int64_t stored_extent(const Placement::Dimension& d, std::int64_t extent) {
  return d.before + d.after + extent * std::abs(d.step);
}

// The bytes of a block in which the array's elements lie as the placement says.
std::vector<std::byte> placed(const RefArray& a, const Placement& p, const Shape& stored) {
  const std::vector<std::byte> dense = bytes_of(a);
  const std::size_t size = size_of(a.dtype);
  std::vector<std::byte> block(static_cast<std::size_t>(stored.size()) * size, sentinel(a.dtype));
  const int rank = a.shape.rank();
  std::array<std::int64_t, max_rank> weights{}, index{};
  std::int64_t weight = 1, at = 0;
  for (int s = rank - 1; s >= 0; weight *= stored[s], --s)
    weights[static_cast<std::size_t>(p.stored[static_cast<std::size_t>(s)])] = weight;
  for (std::size_t d = 0; d < static_cast<std::size_t>(rank); ++d) {
    const Placement::Dimension& place = p.dims[d];
    const std::int64_t from_end = place.step < 0 ? (a.shape[static_cast<int>(d)] - 1) * -place.step : 0;
    at += (place.before + from_end) * weights[d];
    weights[d] *= place.step;
  }
  for (std::size_t n = 0; n < static_cast<std::size_t>(a.size()); ++n) {
    std::memcpy(block.data() + static_cast<std::size_t>(at) * size, dense.data() + n * size, size);
    for (int d = rank - 1; d >= 0; --d) {
      const auto k = static_cast<std::size_t>(d);
      at += weights[k];
      if (++index[k] < a.shape[d]) break;
      at -= index[k] * weights[k];
      index[k] = 0;
    }
  }
  return block;
}

// A view of a block that holds the elements as the placement says.
Tensor placed_tensor(const RefArray& a, const Placement& p, Device device) {
  Shape stored;
  std::array<std::int64_t, max_rank> back{};
  const int rank = a.shape.rank();
  for (int s = 0; s < rank; ++s) {
    const int d = p.stored[static_cast<std::size_t>(s)];
    stored.append(stored_extent(p.dims[static_cast<std::size_t>(d)], a.shape[d]));
    back[static_cast<std::size_t>(d)] = s;
  }
  Tensor view = upload(placed(a, p, stored), a.dtype, stored, device);
  view = transpose(view, Ints(back.begin(), back.begin() + rank));
  std::vector<Slice> slices;
  for (int d = 0; d < rank; ++d) {
    const Placement::Dimension& place = p.dims[static_cast<std::size_t>(d)];
    if (place.before == 0 && place.step == 1 && place.after == 0) continue;
    if (place.step > 0) slices.push_back({d, place.before, place.before + a.shape[d] * place.step, place.step});
    if (place.step < 0) slices.push_back({d, -1, std::nullopt, place.step});  // nothing lies before or after
  }
  return slices.empty() ? view : slice(view, slices);
}

// A tensor with stride 0 along dimension d. The elements are equal along d, so only the first is stored.
Tensor broadcast_along(const RefArray& a, int d, Device device) {
  RefArray narrow{a.dtype, a.shape, {}, {}};
  narrow.shape.set_dim(d, 1);
  std::int64_t inner = 1;
  for (int e = d + 1; e < a.shape.rank(); ++e) inner *= a.shape[e];
  for (std::int64_t n = 0; n < narrow.shape.size(); ++n) {
    narrow.values.push_back(a.values[static_cast<std::size_t>(n / inner * a.shape[d] * inner + n % inner)]);
  }
  return broadcast_to(upload(bytes_of(narrow), a.dtype, narrow.shape, device), a.shape);
}

// An array that has only its first values, with all of them.
RefArray repeated(RefArray array) {
  const std::size_t given = array.values.size();
  array.values.resize(static_cast<std::size_t>(array.shape.size()));
  for (std::size_t i = given; i < array.values.size(); ++i) array.values[i] = array.values[i - given];
  return array;
}

Operand number_operand(const Scalar& s) {
  switch (s.kind) {
    case Scalar::Kind::floating: return Operand(s.floating);
    case Scalar::Kind::logical: return Operand(s.integer != 0);
    default: return s.above_int64 ? Operand(static_cast<std::uint64_t>(s.integer)) : Operand(s.integer);
  }
}

}  // namespace

AbstractCase::AbstractCase(const OpDef& op, const OpCase& c) : op_(op), case_(c) {
  abstract_.reserve(c.inputs.size());
  for (const CaseInput& in : c.inputs) {
    if (in.absent) {
      operands_.push_back(Operand::absent());
    } else if (in.scalar) {
      operands_.push_back(number_operand(*in.scalar));
    } else {
      abstract_.push_back(Tensor::abstract({in.dtype, in.shape}));
      operands_.emplace_back(abstract_.back());
    }
  }
}

OpCall AbstractCase::call() const { return {op_, operands_, attrs_of(op_, case_), case_.scalars, CallSite::current()}; }

OpCase promoted(const OpCase& c) {
  OpCase wide = c;
  for (CaseInput& input : wide.inputs) input.dtype = compute_dtype(input.dtype);
  return wide;
}

std::vector<RefArray> promoted(std::vector<RefArray> arrays) {
  for (RefArray& array : arrays) array.dtype = compute_dtype(array.dtype);
  return arrays;
}

Tensor to_tensor(const RefArray& values, Device device, Layout layout) {
  if (!shape_has_layout(values.shape, layout)) layout = Layout::dense;
  switch (layout) {
    case Layout::dense:
    case Layout::shared: return upload(bytes_of(values), values.dtype, values.shape, device);
    case Layout::offset: return with_offset(values, 3, device);
    case Layout::eight_bytes_in:
      return with_offset(values, 8 / static_cast<std::int64_t>(size_of(values.dtype)), device);
    case Layout::sixteen_bytes_in:
      return with_offset(values, 16 / static_cast<std::int64_t>(size_of(values.dtype)), device);
    case Layout::broadcast:
    case Layout::broadcast_first:
    case Layout::broadcast_middle: return broadcast_along(values, *shared_dimension(values.shape, layout), device);
    default: return placed_tensor(values, placement_of(values.shape, layout), device);
  }
}

Tensor repeated_tensor(const RefArray& values, Device device) {
  const std::vector<std::byte> tile = bytes_of(values);
  std::vector<std::byte> bytes(static_cast<std::size_t>(values.shape.size()) * size_of(values.dtype));
  for (std::size_t at = 0; at < bytes.size(); at += tile.size()) {
    std::memcpy(bytes.data() + at, tile.data(), std::min(tile.size(), bytes.size() - at));
  }
  return upload(bytes, values.dtype, values.shape, device);
}

RefArray to_array(const Tensor& tensor) {
  RefArray array = RefArray::zeros(tensor.dtype(), tensor.shape());
  const std::vector<std::byte> bytes = tensor.to_bytes();
  for (std::size_t i = 0; i < array.values.size(); ++i) {
    array.values[i] = element_value(bytes.data() + i * size_of(array.dtype), array.dtype);
  }
  return array;
}

CaseOperands::CaseOperands(const OpDef& op, const OpCase& c, std::span<const RefArray> values, Device device,
                           Layout layout)
    : op_(op), case_(c), device_(device), layout_(layout) {
  tensors_.resize(c.inputs.size());
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].absent || c.inputs[i].scalar) continue;
    const bool shares = layout == Layout::shared && i > 0 && tensors_[0] && values[i].dtype == values[0].dtype &&
                        values[i].shape == values[0].shape && values[i].values == values[0].values;
    tensors_[i] = shares ? *tensors_[0] : made(i, values[i]);
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

Tensor CaseOperands::made(std::size_t i, const RefArray& values) const {
  const Layout own = layout_of_input(op_, case_, i, layout_);
  const Shape& shape = case_.inputs[i].shape;
  if (values.values.size() == static_cast<std::size_t>(shape.size())) return to_tensor(values, device_, own);
  const RefArray some{values.dtype, shape, values.values, {}};
  return own == Layout::dense ? repeated_tensor(some, device_) : to_tensor(repeated(some), device_, own);
}

void CaseOperands::replace(std::size_t i, const RefArray& values) {
  tensors_[i] = made(i, values);
  operands_[i] = Operand(*tensors_[i]);
}

const void* attrs_of(const OpDef& op, const OpCase& c) {
  if (!c.attrs.empty()) return c.attrs.data();
  return op.attrs.size ? op.attrs.defaults.data() : nullptr;
}

}  // namespace lockstep::conformance
