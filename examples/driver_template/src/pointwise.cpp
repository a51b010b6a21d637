// Pointwise programs over strided and broadcast tensors. The kernel works on one tile of elements at a time: each step
// runs over the whole tile and stores its values in a row of its own. A device with a compiler would instead translate
// the program to source code or SPIR-V.
#include <algorithm>

#include "kernels.h"
#include "program.h"

namespace {

constexpr int tile = 128;
constexpr int max_tensors = 16;

// ------------------------------------------------------------------------------------------- single steps over a tile

// Calls f with a zero of the C++ type of a dtype that has arithmetic; bool is a byte.
template <class F>
void with_type(lks_dtype t, F&& f) {
  switch (t) {
    case LKS_F32: return f(float{});
    case LKS_F64: return f(double{});
    case LKS_I8: return f(std::int8_t{});
    case LKS_I32: return f(std::int32_t{});
    case LKS_I64: return f(std::int64_t{});
    case LKS_U32: return f(std::uint32_t{});
    case LKS_U64: return f(std::uint64_t{});
    default: return f(std::uint8_t{});
  }
}

template <class T>
T float_operation(std::uint32_t opcode, T a, T b) {
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

template <class T>
T divide(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(a));
  }
  return static_cast<T>(a / b);
}

// Integers wrap, so the arithmetic is done in unsigned types.
template <class T>
T integer_operation(std::uint32_t opcode, T a, T b, bool boolean) {
  using U = std::make_unsigned_t<T>;
  const U x = static_cast<U>(a), y = static_cast<U>(b);
  const unsigned count = static_cast<unsigned>(y) % (8 * sizeof(T));
  switch (opcode) {
    case LKS_INSTR_ADD: return static_cast<T>(x + y);
    case LKS_INSTR_SUB: return static_cast<T>(x - y);
    case LKS_INSTR_MUL: return static_cast<T>(x * y);
    case LKS_INSTR_DIV: return divide(a, b);
    case LKS_INSTR_NEG: return static_cast<T>(0 - x);
    case LKS_INSTR_ABS: return a < 0 ? static_cast<T>(0 - x) : a;
    case LKS_INSTR_AND: return static_cast<T>(x & y);
    case LKS_INSTR_OR: return static_cast<T>(x | y);
    case LKS_INSTR_XOR: return static_cast<T>(x ^ y);
    case LKS_INSTR_NOT: return static_cast<T>(boolean ? !x : ~x);
    case LKS_INSTR_SHL: return static_cast<T>(x << count);
    case LKS_INSTR_SHR: return static_cast<T>(a >> count);
    default: return static_cast<T>(static_cast<std::uint64_t>(x) * y >> 32);  // MULHI, only for u32
  }
}

void arithmetic(const Step& s, Bits* out, const Bits* a, const Bits* b, int n) {
  with_type(s.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int i = 0; i < n; ++i) {
      if constexpr (std::is_floating_point_v<T>) {
        out[i] = encode(float_operation(s.opcode, decode<T>(a[i]), decode<T>(b[i])));
      } else {
        out[i] = encode(integer_operation(s.opcode, decode<T>(a[i]), decode<T>(b[i]), s.dtype == LKS_BOOL));
      }
    }
  });
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

void comparison(const Step& s, Bits* out, const Bits* a, const Bits* b, int n) {
  if (is_float(s.arg_dtype)) {
    for (int i = 0; i < n; ++i)
      out[i] = holds(s.opcode, float_value(a[i], s.arg_dtype), float_value(b[i], s.arg_dtype));
    return;
  }
  with_type(s.arg_dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_floating_point_v<T>) {
      for (int i = 0; i < n; ++i) out[i] = holds(s.opcode, decode<T>(a[i]), decode<T>(b[i]));
    }
  });
}

// ---------------------------------------------------------------------------------------------------------- the kernel

// One tile: the values of each step, and the offsets of the tile's elements in each tensor.
struct Tile {
  std::vector<Bits> values;
  std::int64_t offsets[max_tensors][tile];
  std::int64_t index[LKS_MAX_RANK][tile];
  std::int64_t first = 0;  // row-major index of the tile's first element
  int n = 0;

  Bits* of(std::uint32_t step) { return values.data() + static_cast<std::size_t>(step) * tile; }
};

class Pointwise : public lks_kernel {
 public:
  explicit Pointwise(const lks_program& p) : inputs_(p.input_count), program_(p) {}

  void run(const lks_launch& launch) const override {
    std::vector<Tensor> tensors;
    for (std::size_t i = 0; i < dtypes.size(); ++i) tensors.push_back(tensor(launch, i));
    const Tensor& shape = tensors[inputs_];  // all outputs have this shape
    Walk<max_tensors> walk(shape.rank, shape.dims);
    for (std::size_t t = 0; t < tensors.size(); ++t)
      follow_broadcast(walk, static_cast<int>(t), tensors[t], shape.rank);

    Tile elements;
    elements.values.resize(program_.steps.size() * tile);
    while (!walk.done()) {
      fill(elements, walk, static_cast<int>(tensors.size()), shape.rank);
      for (std::uint32_t s = 0; s < program_.steps.size(); ++s) execute(s, launch, tensors, elements);
      // All inputs of the tile have been read, so an output may alias an input.
      for (std::size_t o = 0; o < program_.outputs.size(); ++o) {
        store(tensors[inputs_ + o], elements.offsets[inputs_ + o], elements.of(program_.outputs[o]), elements.n);
      }
    }
  }

 private:
  // Broadcasting: shapes are aligned at the last dimension, and dimensions of extent 1 get stride 0.
  static void follow_broadcast(Walk<max_tensors>& walk, int number, const Tensor& t, int rank) {
    std::int64_t strides[LKS_MAX_RANK] = {};
    for (int d = 0; d < t.rank; ++d) strides[d + rank - t.rank] = t.dims[d] == 1 ? 0 : t.strides[d];
    walk.follow(number, strides);
  }

  void fill(Tile& elements, Walk<max_tensors>& walk, int tensors, int rank) const {
    elements.first += elements.n;
    for (elements.n = 0; elements.n < tile && !walk.done(); walk.next(), ++elements.n) {
      for (int t = 0; t < tensors; ++t) elements.offsets[t][elements.n] = walk.offset(t);
      for (int d = 0; program_.uses_index && d < rank; ++d) elements.index[d][elements.n] = walk.index(d);
    }
  }

  static void load(const Tensor& t, const std::int64_t* offsets, Bits* out, int n) {
    const std::int64_t size = bytes_of(t.dtype);
    for (int i = 0; i < n; ++i) {
      out[i] = 0;
      std::memcpy(&out[i], t.data + offsets[i] * size, static_cast<std::size_t>(size));
    }
  }
  static void store(const Tensor& t, const std::int64_t* offsets, const Bits* values, int n) {
    const std::int64_t size = bytes_of(t.dtype);
    for (int i = 0; i < n; ++i) std::memcpy(t.data + offsets[i] * size, &values[i], static_cast<std::size_t>(size));
  }

  void execute(std::uint32_t number, const lks_launch& launch, const std::vector<Tensor>& tensors, Tile& e) const {
    const Step& s = program_.steps[number];
    Bits* const out = e.of(number);
    const Bits* const args[] = {e.of(s.args[0]), e.of(s.args[1]), e.of(s.args[2])};
    switch (s.opcode) {
      case LKS_INSTR_INPUT: return load(tensors[s.imm], e.offsets[s.imm], out, e.n);
      case LKS_INSTR_SCALAR: return std::fill_n(out, e.n, low_bits(launch.scalars[s.imm], s.dtype)), void();
      case LKS_INSTR_CONST: return std::fill_n(out, e.n, low_bits(s.imm, s.dtype)), void();
      case LKS_INSTR_INDEX:
        for (int i = 0; i < e.n; ++i) out[i] = static_cast<Bits>(e.index[s.imm][i]);
        return;
      case LKS_INSTR_LINEAR:
        for (int i = 0; i < e.n; ++i) out[i] = static_cast<Bits>(e.first + i);
        return;
      case LKS_INSTR_CALL: return s.function(out, args, e.n);
      case LKS_INSTR_SELECT:
        for (int i = 0; i < e.n; ++i) out[i] = args[0][i] ? args[1][i] : args[2][i];
        return;
      case LKS_INSTR_CONVERT:
        for (int i = 0; i < e.n; ++i) out[i] = convert(args[0][i], s.arg_dtype, s.dtype);
        return;
      case LKS_INSTR_BITCAST: return std::copy_n(args[0], e.n, out), void();
      case LKS_INSTR_LT:
      case LKS_INSTR_LE:
      case LKS_INSTR_EQ:
      case LKS_INSTR_NE: return comparison(s, out, args[0], args[1], e.n);
      default: return arithmetic(s, out, args[0], args[1], e.n);
    }
  }

  std::size_t inputs_;
  Program program_;
};

bool has_short_arithmetic(const lks_program& p) {
  for (std::uint32_t i = 0; i < p.instr_count; ++i) {
    const lks_instr& instr = p.instrs[i];
    const bool computes = instr.opcode >= LKS_INSTR_ADD && instr.opcode <= LKS_INSTR_ABS;
    if (computes && is_float(instr.dtype) && LKS_DTYPE_BITS(instr.dtype) < 32) return true;
  }
  return false;
}

}  // namespace

lks_status make_pointwise(const Request& request, Made* made) {
  if (request.tensor_count() > max_tensors) {
    return refuse(request.diag, LKS_REASON_SIZE, -1, "%u tensors, the most are %d", request.tensor_count(),
                  max_tensors);
  }
  const lks_program& program = *request.desc.programs[0].program;
  if (has_short_arithmetic(program)) {
    return refuse(request.diag, LKS_REASON_DTYPE, -1, "no arithmetic in 16-bit floats");
  }
  return make_kernel<Pointwise>(request, made, program);
}
