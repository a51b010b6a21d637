#include "conformance/checks/instruction_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "ops/random/philox_reference.h"
#include "ops/round_once.h"

namespace lockstep::conformance {
namespace {

constexpr lks_dtype all_dtypes[] = {LKS_F32, LKS_F64, LKS_F16, LKS_BF16, LKS_I8,  LKS_U8,
                                    LKS_I32, LKS_I64, LKS_U32, LKS_U64,  LKS_BOOL};
constexpr lks_dtype integers[] = {LKS_I8, LKS_U8, LKS_I32, LKS_I64, LKS_U32, LKS_U64};

using Named = std::pair<const char*, std::uint32_t>;

InstructionGroup same_dtype(std::initializer_list<Named> instructions, lks_dtype t, bool to_bool = false) {
  InstructionGroup group;
  for (const auto& [name, opcode] : instructions) {
    group.name += std::string(name) + ".";
    group.instructions.push_back({name, opcode, t, to_bool ? lks_dtype{LKS_BOOL} : t});
  }
  group.name += name_of_lks(t);
  return group;
}

void add_arithmetic(std::vector<InstructionGroup>& groups) {
  for (lks_dtype t : integers) {
    groups.push_back(same_dtype(
        {{"add", LKS_INSTR_ADD}, {"sub", LKS_INSTR_SUB}, {"mul", LKS_INSTR_MUL}, {"div", LKS_INSTR_DIV}}, t));
    groups.push_back(same_dtype({{"neg", LKS_INSTR_NEG}, {"abs", LKS_INSTR_ABS}}, t));
  }
  for (lks_dtype t : {LKS_F32, LKS_F64}) {
    groups.push_back(same_dtype(
        {{"add", LKS_INSTR_ADD}, {"sub", LKS_INSTR_SUB}, {"mul", LKS_INSTR_MUL}, {"div", LKS_INSTR_DIV}}, t));
    groups.back().rounds = true;
    groups.push_back(same_dtype({{"sqrt", LKS_INSTR_SQRT}}, t));
    groups.back().rounds = true;
    groups.push_back(same_dtype({{"neg", LKS_INSTR_NEG}, {"abs", LKS_INSTR_ABS}}, t));
  }
  groups.push_back(same_dtype({{"mulhi", LKS_INSTR_MULHI}}, LKS_U32));
}

void add_choices(std::vector<InstructionGroup>& groups) {
  for (lks_dtype t : all_dtypes) {
    groups.push_back(same_dtype({{"select", LKS_INSTR_SELECT}}, t));
    if (t == LKS_F16 || t == LKS_BF16) continue;  // programs compute with them in f32
    groups.push_back(
        same_dtype({{"lt", LKS_INSTR_LT}, {"le", LKS_INSTR_LE}, {"eq", LKS_INSTR_EQ}, {"ne", LKS_INSTR_NE}}, t, true));
  }
}

void add_bits(std::vector<InstructionGroup>& groups) {
  const std::initializer_list<Named> logic = {
      {"and", LKS_INSTR_AND}, {"or", LKS_INSTR_OR}, {"xor", LKS_INSTR_XOR}, {"not", LKS_INSTR_NOT}};
  for (lks_dtype t : integers) {
    groups.push_back(same_dtype(logic, t));
    groups.push_back(same_dtype({{"shl", LKS_INSTR_SHL}, {"shr", LKS_INSTR_SHR}}, t));
  }
  groups.push_back(same_dtype(logic, LKS_BOOL));
}

// Conversions from one dtype to several, in groups of four.
void add_changes(std::vector<InstructionGroup>& groups, const char* name, std::uint32_t opcode, lks_dtype from,
                 const std::vector<lks_dtype>& to) {
  constexpr std::size_t most = 4;
  for (std::size_t first = 0; first < to.size(); first += most) {
    InstructionGroup group;
    group.name = std::string(name) + "." + name_of_lks(from) + "-";
    for (std::size_t k = first; k < std::min(to.size(), first + most); ++k) {
      group.name += (k == first ? "" : ".") + std::string(name_of_lks(to[k]));
      group.instructions.push_back({name, opcode, from, to[k]});
    }
    groups.push_back(std::move(group));
  }
}

void add_conversions(std::vector<InstructionGroup>& groups) {
  for (lks_dtype from : all_dtypes) {
    std::vector<lks_dtype> others;
    for (lks_dtype to : all_dtypes) {
      if (to != from) others.push_back(to);
    }
    add_changes(groups, "convert", LKS_INSTR_CONVERT, from, others);
  }
  const std::vector<std::vector<lks_dtype>> widths = {
      {LKS_I8, LKS_U8}, {LKS_F32, LKS_I32, LKS_U32}, {LKS_F64, LKS_I64, LKS_U64}};
  for (const std::vector<lks_dtype>& width : widths) {
    for (lks_dtype from : width) {
      std::vector<lks_dtype> others = width;
      std::erase(others, from);
      add_changes(groups, "bitcast", LKS_INSTR_BITCAST, from, others);
    }
  }
}

// ----------------------------------------------------------------------------------------------- expected results

template <class T>
T value_of(std::uint64_t bits) {
  if constexpr (std::is_same_v<T, bool>) {
    return bits & 1;
  } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return std::bit_cast<T>(static_cast<std::uint16_t>(bits));
  } else {
    T value;
    std::memcpy(&value, &bits, sizeof value);  // Lockstep runs only on little-endian machines
    return value;
  }
}

template <class T>
std::uint64_t bits_of(T value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

// Calls `f` with a value of the C++ type for a dtype.
template <class F>
auto with_type(lks_dtype t, F f) {
  switch (t) {
    case LKS_F64: return f(double{});
    case LKS_F16: return f(Half{});
    case LKS_BF16: return f(BFloat16{});
    case LKS_I8: return f(std::int8_t{});
    case LKS_U8: return f(std::uint8_t{});
    case LKS_I32: return f(std::int32_t{});
    case LKS_I64: return f(std::int64_t{});
    case LKS_U32: return f(std::uint32_t{});
    case LKS_U64: return f(std::uint64_t{});
    case LKS_BOOL: return f(bool{});
    default: return f(float{});
  }
}

template <class T>
constexpr bool is_short = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <class T>
constexpr bool is_real = is_short<T> || std::is_floating_point_v<T>;

template <class From, class To>
To converted(From value) {
  if constexpr (is_short<From>) {
    return converted<float, To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bool>) {
    return value != 0;
  } else if constexpr (std::is_same_v<To, Half>) {
    return half_of(static_cast<long double>(value));
  } else if constexpr (std::is_same_v<To, BFloat16>) {
    return bfloat16_of(static_cast<long double>(value));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(value)) return 0;
    const long double whole = std::trunc(static_cast<long double>(value));
    if (whole <= static_cast<long double>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    if (whole >= static_cast<long double>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    return static_cast<To>(whole);
  } else {
    return static_cast<To>(value);
  }
}

template <class T>
bool compared(std::uint32_t opcode, T a, T b) {
  switch (opcode) {
    case LKS_INSTR_LT: return a < b;
    case LKS_INSTR_LE: return a <= b;
    case LKS_INSTR_EQ: return a == b;
    default: return a != b;
  }
}

template <class T>
T real_result(std::uint32_t opcode, T a, T b) {
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
T quotient(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(a));
  }
  return static_cast<T>(a / b);
}

template <class T>
T integer_result(std::uint32_t opcode, T a, T b) {
  using Word = std::make_unsigned_t<T>;
  constexpr unsigned width = 8 * sizeof(T);
  // In 64 bits without sign, no step overflows a signed int.
  const auto x = static_cast<std::uint64_t>(static_cast<Word>(a)), y = static_cast<std::uint64_t>(static_cast<Word>(b));
  switch (opcode) {
    case LKS_INSTR_ADD: return static_cast<T>(x + y);
    case LKS_INSTR_SUB: return static_cast<T>(x - y);
    case LKS_INSTR_MUL: return static_cast<T>(x * y);
    case LKS_INSTR_DIV: return quotient(a, b);
    case LKS_INSTR_NEG: return static_cast<T>(0 - x);
    case LKS_INSTR_ABS: return a < 0 ? static_cast<T>(0 - x) : a;
    case LKS_INSTR_AND: return static_cast<T>(x & y);
    case LKS_INSTR_OR: return static_cast<T>(x | y);
    case LKS_INSTR_XOR: return static_cast<T>(x ^ y);
    case LKS_INSTR_NOT: return static_cast<T>(~x);
    case LKS_INSTR_SHL: return static_cast<T>(x << y % width);
    case LKS_INSTR_SHR: return static_cast<T>(a >> y % width);
    default: return static_cast<T>(x * y >> 32);  // MULHI
  }
}

bool bool_result(std::uint32_t opcode, bool a, bool b) {
  switch (opcode) {
    case LKS_INSTR_AND: return a && b;
    case LKS_INSTR_OR: return a || b;
    case LKS_INSTR_XOR: return a != b;
    default: return !a;  // NOT
  }
}

template <class T>
std::uint64_t computed(const Instruction& i, std::uint64_t a, std::uint64_t b) {
  const bool compares = i.opcode >= LKS_INSTR_LT && i.opcode <= LKS_INSTR_NE;
  if constexpr (is_short<T>) {
    return 0;  // no instruction computes in them
  } else {
    const T x = value_of<T>(a), y = value_of<T>(b);
    if (compares) return compared(i.opcode, x, y);
    if constexpr (std::is_same_v<T, bool>) {
      return bool_result(i.opcode, x, y);
    } else if constexpr (std::is_floating_point_v<T>) {
      return bits_of(real_result(i.opcode, x, y));
    } else {
      return bits_of(integer_result(i.opcode, x, y));
    }
  }
}

// ------------------------------------------------------------------------------------------------------- operands

// Numbers around which conversions behave differently: the limits of all integers, of f16, bf16 and f32, and halves.
std::vector<long double> borders() {
  std::vector<long double> all = {0.5L,        1.5L,        2.5L,       65504,           65519.99L,
                                  65520,       0x1p-24L,    0x1p-25L,   0x1p-14L,        0x1p-126L,
                                  0x1p-133L,   0x1p-149L,   0x1p-150L,  0x1.fffffep127L, 0x1.ffffffp127L,
                                  0x1.fep127L, 0x1.ffp127L, 0x1p-1022L, 0x1p-1074L};
  for (int p : {7, 8, 11, 15, 16, 24, 25, 31, 32, 53, 54, 63, 64}) {
    for (long double off : {-1.0L, -0.5L, 0.0L, 0.5L, 1.0L}) all.push_back(std::ldexp(1.0L, p) + off);
  }
  const std::vector<long double> positive = all;
  for (long double v : positive) all.push_back(-v);
  return all;
}

template <class T>
void add_reals(std::vector<std::uint64_t>& bits) {
  using Limits = std::numeric_limits<double>;
  std::vector<long double> numbers = borders();
  for (double v : {0.0, -0.0, 1.0, -1.0, 3.0, 1.0 / 3, Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(),
                   Limits::max(), Limits::min(), Limits::denorm_min()}) {
    numbers.push_back(v);
  }
  for (long double v : numbers) {
    const std::uint64_t near = bits_of(converted<double, T>(static_cast<double>(v)));
    bits.push_back(near);
    if (v == 0 || !std::isfinite(v)) continue;
    bits.push_back(near + 1);
    if ((near << 1) != 0) bits.push_back(near - 1);
  }
}

template <class T>
void add_integers(std::vector<std::uint64_t>& bits) {
  for (int v : {0, 1, 2, 3, 5, 7, 8, 31, 32, 33, 63, 64, 65, 100}) {
    bits.push_back(bits_of(static_cast<T>(v)));
    bits.push_back(bits_of(static_cast<T>(-v)));
  }
  for (unsigned p = 1; p <= 8 * sizeof(T); ++p) {
    const std::uint64_t power = p == 64 ? 0 : std::uint64_t{1} << p;
    for (std::uint64_t word : {power - 1, power, power + 1}) {
      bits.push_back(bits_of(static_cast<T>(word)));
      bits.push_back(bits_of(static_cast<T>(0 - word)));
    }
  }
}

}  // namespace

const char* name_of_lks(lks_dtype t) {
  constexpr const char* names[] = {"f32", "f64", "f16", "bf16", "i8", "u8", "i32", "i64", "u32", "u64", "bool"};
  const auto* at = std::find(std::begin(all_dtypes), std::end(all_dtypes), t);
  return at == std::end(all_dtypes) ? "?" : names[at - std::begin(all_dtypes)];
}

const std::vector<InstructionGroup>& instruction_groups() {
  static const std::vector<InstructionGroup> all = [] {
    std::vector<InstructionGroup> groups;
    add_arithmetic(groups);
    add_choices(groups);
    add_bits(groups);
    add_conversions(groups);
    return groups;
  }();
  return all;
}

std::uint64_t result_of(const Instruction& i, std::uint64_t a, std::uint64_t b, bool condition) {
  if (i.opcode == LKS_INSTR_SELECT) return condition ? a : b;
  if (i.opcode == LKS_INSTR_BITCAST) return a;
  return with_type(i.from, [&](auto from) {
    using From = decltype(from);
    if (i.opcode != LKS_INSTR_CONVERT) return computed<From>(i, a, b);
    return with_type(i.to, [&](auto to) {
      using To = decltype(to);
      return bits_of(converted<From, To>(value_of<From>(a)));
    });
  });
}

bool is_nan(std::uint64_t bits, lks_dtype t) {
  return with_type(t, [&](auto sample) {
    using T = decltype(sample);
    if constexpr (is_real<T>) {
      return std::isnan(converted<T, float>(value_of<T>(bits)));
    } else {
      return false;
    }
  });
}

std::vector<std::uint64_t> operand_bits(lks_dtype t, std::uint64_t seed) {
  std::vector<std::uint64_t> bits;
  with_type(t, [&](auto sample) {
    using T = decltype(sample);
    if constexpr (std::is_same_v<T, bool>) {
      bits = {0, 1};
    } else if constexpr (is_real<T>) {
      add_reals<T>(bits);
    } else {
      add_integers<T>(bits);
    }
  });
  if (t != LKS_BOOL) {
    const RandomKey key{seed, 29};
    for (std::uint64_t k = 0; k < 64; ++k) bits.push_back(random_long_word(key, k) >> (64 - LKS_DTYPE_BITS(t)));
  }
  std::sort(bits.begin(), bits.end());
  bits.erase(std::unique(bits.begin(), bits.end()), bits.end());
  return bits;
}

}  // namespace lockstep::conformance
