#include "conformance/case_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lockstep/ops.h"
#include "ops/random/philox_reference.h"

namespace lockstep::conformance {
namespace {

std::uint64_t hash_of(const std::string& text) {
  std::uint64_t h = 0xcbf29ce484222325u;  // FNV-1a
  for (unsigned char c : text) h = (h ^ c) * 0x100000001b3u;
  return h;
}

// A stream of numbers for one input.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : key_{seed, 0} {}
  double unit() { return static_cast<double>(random_long_word(key_, next_++) >> 11) * 0x1p-53; }
  std::uint64_t below(std::uint64_t n) { return random_long_word(key_, next_++) % n; }

 private:
  RandomKey key_;
  std::uint64_t next_ = 0;
};

long double round_to(long double value, DType t) {
  switch (t) {
    case DType::f32: return static_cast<float>(value);
    case DType::f64: return static_cast<double>(value);
    case DType::f16: return static_cast<float>(Half(static_cast<float>(value)));
    case DType::bf16: return static_cast<float>(BFloat16(static_cast<float>(value)));
    case DType::u8: return std::clamp<long double>(std::trunc(value), 0, 255);
    case DType::i8: return std::clamp<long double>(std::trunc(value), -128, 127);
    case DType::i32: return std::clamp<long double>(std::trunc(value), -0x1p31L, 0x1p31L - 1);
    case DType::i64: return std::clamp<long double>(std::trunc(value), -0x1p63L, 0x1p63L - 1);
    case DType::boolean: return value != 0;
  }
  return value;
}

long double value_for(const CaseValues& values, DType t, Draw& draw) {
  switch (values.kind) {
    case CaseValues::Kind::range: return values.low + (values.high - values.low) * draw.unit();
    case CaseValues::Kind::indices: return std::floor(values.low + (values.high - values.low + 1) * draw.unit());
    case CaseValues::Kind::spread: {
      const long double magnitude = std::ldexp(1 + draw.unit(), static_cast<int>(draw.below(40)) - 20);
      return draw.below(2) ? magnitude : -magnitude;
    }
    default:
      if (t == DType::boolean) return draw.below(2);
      if (!is_floating(t)) return static_cast<long double>(draw.below(19)) - 9;
      return 4 * (draw.unit() + draw.unit() + draw.unit() - 1.5);  // roughly normal, within [-6, 6]
  }
}

// Multiples of a step wide enough that no small perturbation changes their order, in random order; each input of a case
// gets its own offset, so that no two inputs share a value either.
void fill_distinct(RefArray& array, std::size_t input, Draw& draw) {
  const std::size_t n = array.values.size();
  for (std::size_t i = 0; i < n; ++i) {
    const long double centred = static_cast<long double>(i) - static_cast<long double>(n / 2);
    const long double offset = 0.25L + 0.17L * static_cast<long double>(input);
    array.values[i] = is_floating(array.dtype) ? (centred + offset) * 0.0625L : centred;
  }
  for (std::size_t i = n; i > 1; --i) std::swap(array.values[i - 1], array.values[draw.below(i)]);
}

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

template <class T>
T read(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

long double read_value(const std::byte* at, DType t) {
  switch (t) {
    case DType::f32: return read<float>(at);
    case DType::f64: return read<double>(at);
    case DType::f16: return static_cast<float>(read<Half>(at));
    case DType::bf16: return static_cast<float>(read<BFloat16>(at));
    case DType::i8: return read<std::int8_t>(at);
    case DType::u8: return read<std::uint8_t>(at);
    case DType::i32: return read<std::int32_t>(at);
    case DType::i64: return static_cast<long double>(read<std::int64_t>(at));
    case DType::boolean: return read<std::uint8_t>(at);
  }
  return 0;
}

Tensor dense_tensor(const RefArray& values, Device device) {
  std::vector<std::byte> bytes;
  for (long double v : values.values) append_value(bytes, v, values.dtype);
  return Tensor::from_bytes(bytes.data(), bytes.size(), {values.dtype, values.shape}, device);
}

}  // namespace

const char* name_of(Layout layout) {
  switch (layout) {
    case Layout::sliced: return "sliced";
    case Layout::transposed: return "transposed";
    default: return "dense";
  }
}

std::vector<RefArray> case_inputs(const OpDef& op, const OpCase& c) {
  std::vector<RefArray> arrays;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    const CaseInput& input = c.inputs[i];
    if (input.absent) {
      arrays.push_back({input.dtype, Shape{}, {}, {}});
      continue;
    }
    if (input.scalar) {
      arrays.push_back({input.dtype, Shape{}, {round_to(input.scalar->as_double(), input.dtype)}, {}});
      continue;
    }
    RefArray array = RefArray::zeros(input.dtype, input.shape);
    Draw draw(hash_of(op.name + "/" + c.name + "/" + std::to_string(i)));
    if (input.values.kind == CaseValues::Kind::distinct) {
      fill_distinct(array, i, draw);
    } else {
      for (long double& v : array.values) v = value_for(input.values, input.dtype, draw);
    }
    for (long double& v : array.values) v = round_to(v, input.dtype);
    arrays.push_back(std::move(array));
  }
  return arrays;
}

Tensor to_tensor(const RefArray& values, Device device, Layout layout) {
  const int rank = values.shape.rank();
  if (layout == Layout::dense || rank == 0) return dense_tensor(values, device);
  const Tensor dense = dense_tensor(values, device);
  if (layout == Layout::transposed) {
    // A dense copy in reverse order, looked at in the original order.
    const Tensor reversed = transpose(dense);
    const Tensor stored =
        Tensor::from_bytes(reversed.to_bytes().data(), reversed.to_bytes().size(), reversed.spec(), device);
    return transpose(stored);
  }
  // Spread out over a block with twice the last extent, starting at its second element.
  const std::int64_t last = values.shape[-1];
  Ints widened;
  for (int d = 0; d < rank; ++d) widened.push_back(values.shape[d]);
  widened.push_back(1);
  const Tensor column = reshape(dense, NewShape(widened));
  Ints joined = widened;
  joined.pop_back();
  joined.back() = 2 * last;
  const Tensor pairs = reshape(concat({column, column}, rank), NewShape(joined));
  return slice(pairs, {Slice{rank - 1, 1, std::nullopt, 2}});
}

RefArray to_array(const Tensor& tensor) {
  RefArray array = RefArray::zeros(tensor.dtype(), tensor.shape());
  const std::vector<std::byte> bytes = tensor.to_bytes();
  for (std::size_t i = 0; i < array.values.size(); ++i) {
    array.values[i] = read_value(bytes.data() + i * size_of(array.dtype), array.dtype);
  }
  return array;
}

CaseOperands::CaseOperands(const OpDef&, const OpCase& c, std::span<const RefArray> values, Device device,
                           Layout layout) {
  tensors_.resize(c.inputs.size());
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.inputs[i].absent && !c.inputs[i].scalar) tensors_[i] = to_tensor(values[i], device, layout);
  }
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].absent) {
      operands_.push_back(Operand::absent());
    } else if (c.inputs[i].scalar) {
      const Scalar& s = *c.inputs[i].scalar;
      operands_.push_back(s.kind == Scalar::Kind::floating  ? Operand(s.floating)
                          : s.kind == Scalar::Kind::logical ? Operand(s.integer != 0)
                                                            : Operand(s.integer));
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
