// Interprets a pointwise program. Each instruction is carried out for a block of elements. Values are stored as raw
// bits; each instruction interprets them.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "backends/common/program.h"
#include "backends/reference/kernels/kernels.h"

namespace reference {
namespace {

using Bits = std::uint64_t;

bool is_float(lks_dtype t) { return LKS_DTYPE_CLASS(t) == LKS_CLASS_FLOAT || LKS_DTYPE_CLASS(t) == LKS_CLASS_BFLOAT; }
bool is_signed(lks_dtype t) { return LKS_DTYPE_CLASS(t) == LKS_CLASS_INT; }

// Integers are stored sign- or zero-extended to 64 bits.
Bits extend(Bits bits, lks_dtype t) {
  const std::uint32_t width = LKS_DTYPE_BITS(t);
  if (width == 64) return bits;
  bits &= (Bits{1} << width) - 1;
  return is_signed(t) && (bits >> (width - 1)) ? bits | ~((Bits{1} << width) - 1) : bits;
}

// ----------------------------------------------------------------------------------------- half-width floating formats

float half_to_float(std::uint32_t h) {
  const std::uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent == 0) return std::copysign(std::ldexp(static_cast<float>(mantissa), -24), sign ? -1.0f : 1.0f);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

// Rounds x to nearest even in a format with `mantissa_bits` and the smallest normal exponent `min_exponent`. Scaling
// by powers of two is exact, so only nearbyint rounds.
double round_to(double x, int mantissa_bits, int min_exponent) {
  if (x == 0 || !std::isfinite(x)) return x;
  const int exponent = std::max(std::ilogb(x), min_exponent);
  return std::ldexp(std::nearbyint(std::ldexp(x, mantissa_bits - exponent)), exponent - mantissa_bits);
}

std::uint32_t double_to_half(double x) {
  const std::uint32_t sign = std::signbit(x) ? 0x8000u : 0;
  if (std::isnan(x)) return sign | 0x7e00u;
  const double r = std::fabs(round_to(x, 10, -14));
  if (r >= 65536) return sign | 0x7c00u;
  if (r < 0x1p-14) return sign | static_cast<std::uint32_t>(r * 0x1p24);
  const int exponent = std::ilogb(r);
  return sign | static_cast<std::uint32_t>(exponent + 15) << 10 |
         (static_cast<std::uint32_t>(std::ldexp(r, 10 - exponent)) & 0x3ffu);
}

std::uint32_t double_to_bfloat(double x) {
  const std::uint32_t sign = std::signbit(x) ? 0x8000u : 0;
  if (std::isnan(x)) return sign | 0x7fc0u;
  const float r = static_cast<float>(std::fabs(round_to(x, 7, -126)));  // exact, or infinite
  return sign | std::bit_cast<std::uint32_t>(r) >> 16;
}

// --------------------------------------------------------------------------------------------------------- conversions

double float_value(Bits bits, lks_dtype t) {
  switch (t) {
    case LKS_F64: return std::bit_cast<double>(bits);
    case LKS_F16: return half_to_float(static_cast<std::uint32_t>(bits));
    case LKS_BF16: return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
    default: return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
  }
}

Bits float_bits(double x, lks_dtype t) {
  switch (t) {
    case LKS_F64: return std::bit_cast<Bits>(x);
    case LKS_F16: return double_to_half(x);
    case LKS_BF16: return double_to_bfloat(x);
    default: return std::bit_cast<std::uint32_t>(static_cast<float>(x));
  }
}

Bits integer_to_float(Bits bits, lks_dtype from, lks_dtype to) {
  // Converts directly to the target type: going through double could round twice.
  if (to == LKS_F32) {
    const float f = is_signed(from) ? static_cast<float>(static_cast<std::int64_t>(bits)) : static_cast<float>(bits);
    return std::bit_cast<std::uint32_t>(f);
  }
  if (to == LKS_F64) {
    const double d = is_signed(from) ? static_cast<double>(static_cast<std::int64_t>(bits)) : static_cast<double>(bits);
    return std::bit_cast<Bits>(d);
  }
  // Half-width floats. An integer may have more bits than double. It is first rounded to odd in double, so that the
  // rounding to the target (at most 11 significant bits) gives the same result as a direct conversion.
  const long double exact =
      is_signed(from) ? static_cast<long double>(static_cast<std::int64_t>(bits)) : static_cast<long double>(bits);
  double d = static_cast<double>(exact);
  if (d != exact) {
    if (std::fabs(d) > std::fabs(exact)) d = std::nextafter(d, 0.0);
    d = std::bit_cast<double>(std::bit_cast<Bits>(d) | 1);
  }
  return float_bits(d, to);
}

Bits float_to_integer(double x, lks_dtype to) {
  if (std::isnan(x)) return 0;
  const int width = static_cast<int>(LKS_DTYPE_BITS(to));
  const double limit = std::ldexp(1.0, is_signed(to) ? width - 1 : width);  // the smallest value that does not fit
  if (is_signed(to)) {
    if (x >= limit) return (Bits{1} << (width - 1)) - 1;
    if (x < -limit) return extend(Bits{1} << (width - 1), to);
    return static_cast<Bits>(static_cast<std::int64_t>(x));
  }
  if (x >= limit) return width == 64 ? ~Bits{0} : (Bits{1} << width) - 1;
  return x <= 0 ? 0 : static_cast<Bits>(x);
}

Bits convert(Bits bits, lks_dtype from, lks_dtype to) {
  if (LKS_DTYPE_CLASS(to) == LKS_CLASS_BOOL) return is_float(from) ? float_value(bits, from) != 0 : bits != 0;
  if (is_float(from)) {
    return is_float(to) ? float_bits(float_value(bits, from), to) : float_to_integer(float_value(bits, from), to);
  }
  return is_float(to) ? integer_to_float(bits, from, to) : extend(bits, to);
}

// --------------------------------------------------------------------------------------------------------- arithmetic

template <class T>
T float_step(std::uint32_t opcode, T a, T b) {
  switch (opcode) {
    case LKS_INSTR_ADD: return a + b;
    case LKS_INSTR_SUB: return a - b;
    case LKS_INSTR_MUL: return a * b;
    case LKS_INSTR_DIV: return a / b;
    case LKS_INSTR_SQRT: return std::sqrt(a);
    case LKS_INSTR_NEG: return -a;
    default: return std::fabs(a);
  }
}

Bits integer_divide(Bits a, Bits b, lks_dtype t) {
  if (b == 0) return 0;
  if (!is_signed(t)) return a / b;
  return b == ~Bits{0} ? 0 - a : static_cast<Bits>(static_cast<std::int64_t>(a) / static_cast<std::int64_t>(b));
}

Bits integer_step(std::uint32_t opcode, Bits a, Bits b, lks_dtype t) {
  const std::uint32_t count = static_cast<std::uint32_t>(b % LKS_DTYPE_BITS(t));
  switch (opcode) {
    case LKS_INSTR_ADD: return a + b;
    case LKS_INSTR_SUB: return a - b;
    case LKS_INSTR_MUL: return a * b;
    case LKS_INSTR_DIV: return integer_divide(a, b, t);
    case LKS_INSTR_NEG: return 0 - a;
    case LKS_INSTR_ABS: return is_signed(t) && static_cast<std::int64_t>(a) < 0 ? 0 - a : a;
    case LKS_INSTR_AND: return a & b;
    case LKS_INSTR_OR: return a | b;
    case LKS_INSTR_XOR: return a ^ b;
    case LKS_INSTR_NOT: return LKS_DTYPE_CLASS(t) == LKS_CLASS_BOOL ? !a : ~a;
    case LKS_INSTR_SHL: return a << count;
    case LKS_INSTR_SHR: return is_signed(t) ? static_cast<Bits>(static_cast<std::int64_t>(a) >> count) : a >> count;
    default: return (a * b) >> 32;  // MULHI, only for u32
  }
}

template <class T>
bool holds(std::uint32_t opcode, T a, T b) {
  switch (opcode) {
    case LKS_INSTR_LT: return a < b;
    case LKS_INSTR_LE: return a <= b;
    case LKS_INSTR_EQ: return a == b;
    default: return a != b;
  }
}

bool compare(std::uint32_t opcode, Bits a, Bits b, lks_dtype t) {
  if (is_float(t)) return holds(opcode, float_value(a, t), float_value(b, t));
  if (is_signed(t)) return holds(opcode, static_cast<std::int64_t>(a), static_cast<std::int64_t>(b));
  return holds(opcode, a, b);
}

// A value for each instruction of a program and each element of a block. Only long programs need memory for them.
class Values {
 public:
  explicit Values(std::size_t instructions)
      : block_(std::clamp<std::size_t>(few / std::max<std::size_t>(instructions, 1), 1, max_block)),
        more_(instructions * block_ > few ? instructions * block_ : 0),
        values_(more_.empty() ? few_ : more_.data()) {}
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;

  static constexpr std::size_t max_block = 64;  // elements
  std::size_t block() const { return block_; }
  /// The values of one instruction.
  Bits* of(std::size_t instruction) { return values_ + instruction * block_; }

 private:
  static constexpr std::size_t few = 2048;
  Bits few_[few];
  std::size_t block_;
  std::vector<Bits> more_;
  Bits* values_;
};

class PointwiseKernel : public lks_kernel {
 public:
  explicit PointwiseKernel(const lks_program& p)
      : program_(p), instrs_(common::inline_calls(program_, nullptr, outputs_)) {
    for (std::size_t i = 0; i < instrs_.size(); ++i) {
      if (is_constant(instrs_[i])) continue;
      (depends_on_position(instrs_[i]) ? at_position_ : computed_).push_back(i);
    }
  }

  void run(const lks_launch& launch) const override {
    const std::size_t inputs = program_.input_dtypes.size();
    const host::TensorView shape = view(launch, inputs);  // all outputs have the same extents
    Walk walk(shape.rank, shape.dims);
    host::TensorView tensors[max_tensors];
    std::int64_t strides[max_tensors][LKS_MAX_RANK] = {};
    for (std::size_t i = 0; i < dtypes.size(); ++i) {
      tensors[i] = view(launch, i);
      set_broadcast_strides(strides[i], tensors[i], shape.rank);
      walk.add(strides[i]);
    }
    Values values(instrs_.size());
    for (std::size_t i = 0; i < instrs_.size(); ++i) {
      if (is_constant(instrs_[i])) std::fill_n(values.of(i), values.block(), constant(instrs_[i], launch));
    }
    std::int64_t stored_at[max_tensors][Values::max_block];
    std::int64_t linear = 0;
    while (!walk.done()) {
      std::size_t count = 0;
      for (; count < values.block() && !walk.done(); walk.next(), ++linear, ++count) {
        for (std::size_t i : at_position_) values.of(i)[count] = at_position(instrs_[i], walk, linear, tensors);
        for (std::size_t o = 0; o < outputs_.size(); ++o) {
          stored_at[o][count] = walk.offset(static_cast<int>(inputs + o));
        }
      }
      for (std::size_t i : computed_) compute(i, values, count);
      for (std::size_t o = 0; o < outputs_.size(); ++o) {
        const Bits* results = values.of(outputs_[o]);
        for (std::size_t e = 0; e < count; ++e) store(tensors[inputs + o], stored_at[o][e], results[e]);
      }
    }
  }

 private:
  // `strides` are zeros.
  static void set_broadcast_strides(std::int64_t* strides, const host::TensorView& t, int rank) {
    for (int d = 0; d < t.rank; ++d) {
      if (t.dims[d] != 1) strides[d + rank - t.rank] = t.strides[d];
    }
  }

  static Bits load(const host::TensorView& t, std::int64_t offset) {
    Bits bits = 0;
    const std::size_t size = host::size_of(t.dtype);
    std::memcpy(&bits, t.data + offset * static_cast<std::int64_t>(size), size);
    return is_float(t.dtype) ? bits : extend(bits, t.dtype);
  }

  static void store(const host::TensorView& t, std::int64_t offset, Bits bits) {
    const std::size_t size = host::size_of(t.dtype);
    std::memcpy(t.data + offset * static_cast<std::int64_t>(size), &bits, size);
  }

  static bool is_constant(const lks_instr& instr) {
    return instr.opcode == LKS_INSTR_SCALAR || instr.opcode == LKS_INSTR_CONST;
  }
  static Bits constant(const lks_instr& instr, const lks_launch& launch) {
    return scalar(instr.opcode == LKS_INSTR_SCALAR ? launch.scalars[instr.imm] : instr.imm, instr.dtype);
  }

  static bool depends_on_position(const lks_instr& instr) {
    return instr.opcode == LKS_INSTR_INPUT || instr.opcode == LKS_INSTR_INDEX || instr.opcode == LKS_INSTR_LINEAR;
  }
  static Bits at_position(const lks_instr& instr, const Walk& walk, std::int64_t linear,
                          const host::TensorView* tensors) {
    if (instr.opcode == LKS_INSTR_LINEAR) return static_cast<Bits>(linear);
    const int which = static_cast<int>(instr.imm);
    if (instr.opcode == LKS_INSTR_INDEX) return static_cast<Bits>(walk.index(which));
    return load(tensors[instr.imm], walk.offset(which));
  }

  // Carries out one instruction for `count` elements.
  void compute(std::size_t instruction, Values& values, std::size_t count) const {
    const lks_instr& instr = instrs_[instruction];
    const Bits *a = values.of(instr.args[0]), *b = values.of(instr.args[1]);
    const Bits* c = instr.opcode == LKS_INSTR_SELECT ? values.of(instr.args[2]) : a;
    Bits* results = values.of(instruction);
    const lks_dtype of_argument = instrs_[instr.args[0]].dtype;
    const auto each = [&](auto&& step) {
      for (std::size_t e = 0; e < count; ++e) results[e] = step(a[e], b[e], c[e]);
    };
    switch (instr.opcode) {
      case LKS_INSTR_SELECT: return each([](Bits x, Bits y, Bits z) { return x ? y : z; });
      case LKS_INSTR_CONVERT: return each([&](Bits x, Bits, Bits) { return convert(x, of_argument, instr.dtype); });
      case LKS_INSTR_BITCAST: return each([&](Bits x, Bits, Bits) { return scalar(x, instr.dtype); });
      case LKS_INSTR_LT:
      case LKS_INSTR_LE:
      case LKS_INSTR_EQ:
      case LKS_INSTR_NE:
        return each([&](Bits x, Bits y, Bits) -> Bits { return compare(instr.opcode, x, y, of_argument); });
      default: break;
    }
    if (instr.dtype == LKS_F32) {
      const auto as_float = [](Bits v) { return std::bit_cast<float>(static_cast<std::uint32_t>(v)); };
      return each([&](Bits x, Bits y, Bits) -> Bits {
        return std::bit_cast<std::uint32_t>(float_step(instr.opcode, as_float(x), as_float(y)));
      });
    }
    if (instr.dtype == LKS_F64) {
      return each([&](Bits x, Bits y, Bits) {
        return std::bit_cast<Bits>(float_step(instr.opcode, std::bit_cast<double>(x), std::bit_cast<double>(y)));
      });
    }
    each([&](Bits x, Bits y, Bits) { return extend(integer_step(instr.opcode, x, y, instr.dtype), instr.dtype); });
  }

  static Bits mask(lks_dtype t) { return LKS_DTYPE_BITS(t) == 64 ? ~Bits{0} : (Bits{1} << LKS_DTYPE_BITS(t)) - 1; }
  static Bits scalar(Bits bits, lks_dtype t) { return is_float(t) ? bits & mask(t) : extend(bits, t); }

  common::Program program_;
  std::vector<std::uint32_t> outputs_;
  std::vector<lks_instr> instrs_;
  std::vector<std::size_t> at_position_, computed_;  // instructions, without constants
};

}  // namespace

lks_status make_pointwise(const KernelRequest& request, Out out) {
  if (request.tensor_count() > max_tensors) {
    return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE, "more than %d tensors", max_tensors);
  }
  const lks_program& program = *request.desc.programs[0].program;
  for (std::uint32_t i = 0; i < program.instr_count; ++i) {
    const lks_instr& instr = program.instrs[i];
    const bool computes = instr.opcode >= LKS_INSTR_ADD && instr.opcode <= LKS_INSTR_ABS;
    if (computes && is_float(instr.dtype) && LKS_DTYPE_BITS(instr.dtype) == 16) {
      return common::refuse(request.diag, LKS_REASON_DTYPE, -1, DRIVER_WHERE, "no arithmetic in 16-bit floats");
    }
  }
  common::emplace<PointwiseKernel>(request, out, program);
  return LKS_OK;
}

}  // namespace reference
