#include "backends/cpu/test_support.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <sstream>

namespace lockstep::testing {
namespace {

template <class T>
T draw_float(TestRandom& random, Values values) {
  using Limits = std::numeric_limits<T>;
  if (values == Values::awkward) {
    switch (random.below(24)) {
      case 0: return T{0};
      case 1: return -T{0};
      case 2: return Limits::infinity();
      case 3: return -Limits::infinity();
      case 4: return Limits::quiet_NaN();
      case 5: return Limits::denorm_min() * static_cast<T>(random.below(100));
      case 6: return Limits::max();
      case 7: return static_cast<T>(random.below(7) - 3);
      case 8: return static_cast<T>(std::ldexp(random.real(-1, 1), static_cast<int>(random.below(140) - 70)));
      default: break;
    }
  }
  return static_cast<T>(random.real(-2, 2));
}

template <class T>
T draw_integer(TestRandom& random, Values values) {
  using Limits = std::numeric_limits<T>;
  if (values == Values::awkward) {
    switch (random.below(8)) {
      case 0: return Limits::max();
      case 1: return Limits::min();
      case 2: return static_cast<T>(random.bits());
      default: break;
    }
  }
  return static_cast<T>(random.below(19) - (Limits::is_signed ? 9 : 0));
}

template <class T, class Draw>
void append(std::vector<char>& bytes, std::int64_t count, Draw&& draw_one) {
  bytes.resize(static_cast<std::size_t>(count) * sizeof(T));
  for (std::int64_t i = 0; i < count; ++i) {
    const T value = draw_one();
    std::memcpy(bytes.data() + static_cast<std::size_t>(i) * sizeof(T), &value, sizeof value);
  }
}

std::uint64_t element(const std::vector<std::byte>& bytes, std::size_t i, std::size_t size) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data() + i * size, size);
  return value;
}

bool is_nan_bits(std::uint64_t bits, DType t) {
  switch (t) {
    case DType::f32: return (bits & 0x7fffffffu) > 0x7f800000u;
    case DType::f64: return (bits & 0x7fffffffffffffffu) > 0x7ff0000000000000u;
    case DType::f16: return (bits & 0x7fffu) > 0x7c00u;
    case DType::bf16: return (bits & 0x7fffu) > 0x7f80u;
    default: return false;
  }
}

double number(const std::vector<std::byte>& bytes, std::size_t i, DType t) {
  const std::uint64_t bits = element(bytes, i, size_of(t));
  switch (t) {
    case DType::f32: return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    case DType::f64: return std::bit_cast<double>(bits);
    case DType::i32: return static_cast<std::int32_t>(bits);
    default: return static_cast<double>(static_cast<std::int64_t>(bits));
  }
}

}  // namespace

std::vector<char> draw(DType dtype, std::int64_t count, std::uint64_t seed, Values values) {
  TestRandom random(seed + 17);
  std::vector<char> bytes;
  switch (dtype) {
    case DType::f32: append<float>(bytes, count, [&] { return draw_float<float>(random, values); }); break;
    case DType::f64: append<double>(bytes, count, [&] { return draw_float<double>(random, values); }); break;
    case DType::f16: append<Half>(bytes, count, [&] { return Half(draw_float<float>(random, values)); }); break;
    case DType::bf16:
      append<BFloat16>(bytes, count, [&] { return BFloat16(draw_float<float>(random, values)); });
      break;
    case DType::i8: append<std::int8_t>(bytes, count, [&] { return draw_integer<std::int8_t>(random, values); }); break;
    case DType::u8:
      append<std::uint8_t>(bytes, count, [&] { return draw_integer<std::uint8_t>(random, values); });
      break;
    case DType::i32:
      append<std::int32_t>(bytes, count, [&] { return draw_integer<std::int32_t>(random, values); });
      break;
    case DType::i64:
      append<std::int64_t>(bytes, count, [&] { return draw_integer<std::int64_t>(random, values); });
      break;
    case DType::boolean:
      append<std::uint8_t>(bytes, count, [&] { return static_cast<std::uint8_t>(random.below(2)); });
      break;
  }
  return bytes;
}

Tensor random_tensor(Device device, DType dtype, const Shape& shape, std::uint64_t seed, Values values) {
  const std::vector<char> bytes = draw(dtype, shape.size(), seed, values);
  return Tensor::from_bytes(bytes.data(), bytes.size(), {dtype, shape}, device);
}

Device cpu() { return Device("cpu"); }
Device reference() { return Device("reference"); }

::testing::AssertionResult same_bits(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) {
    return ::testing::AssertionFailure() << a.describe() << " and " << b.describe();
  }
  const std::vector<std::byte> x = a.to_bytes(), y = b.to_bytes();
  const std::size_t size = size_of(a.dtype());
  for (std::size_t i = 0; i * size < x.size(); ++i) {
    const std::uint64_t p = element(x, i, size), q = element(y, i, size);
    if (p == q || (is_nan_bits(p, a.dtype()) && is_nan_bits(q, a.dtype()))) continue;
    std::ostringstream text;
    text << "element " << i << " of " << a.describe() << ": bits " << std::hex << p << " and " << q;
    if (a.dtype() == DType::f32 || a.dtype() == DType::f64) {
      text << ", " << number(x, i, a.dtype()) << " and " << number(y, i, a.dtype());
    }
    return ::testing::AssertionFailure() << text.str();
  }
  return ::testing::AssertionSuccess();
}

void expect_same(const std::string& what, const std::function<Tensor(Device)>& f) {
  const Tensor expected = f(reference());
  EXPECT_TRUE(same_bits(f(cpu()), expected)) << what;
}

void expect_same_for_threads(const std::string& what, const std::function<Tensor(Device)>& f) {
  set_thread_count(1);
  const Tensor one = f(cpu());
  set_thread_count(3);
  const Tensor three = f(cpu());
  set_thread_count(0);
  EXPECT_TRUE(same_bits(three, one)) << what;
}

void expect_divided_after_a_call_alone(const std::string& what, unsigned threads, const std::function<Tensor()>& f) {
  set_thread_count(threads);
  std::atomic<unsigned> max_pieces{0};
  set_parallel_runner([&](unsigned count, const std::function<void(unsigned)>& piece) {
    max_pieces = std::max(max_pieces.load(), count);
    for (unsigned i = 0; i < count; ++i) piece(i);
  });
  std::optional<Tensor> alone;
  {
    const ThreadCountScope one(1);
    alone = f();
  }
  EXPECT_EQ(max_pieces, 0u) << what << ", alone";
  const Tensor together = f();
  EXPECT_EQ(max_pieces, threads) << what;
  set_parallel_runner({});
  set_thread_count(0);
  EXPECT_TRUE(same_bits(together, *alone)) << what;
}

::testing::AssertionResult close(const Tensor& a, const Tensor& b, const Tensor& budget, double tolerance) {
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) {
    return ::testing::AssertionFailure() << a.describe() << " and " << b.describe();
  }
  const std::vector<std::byte> x = a.to_bytes(), y = b.to_bytes(), m = budget.to_bytes();
  const auto count = static_cast<std::size_t>(a.size());
  for (std::size_t i = 0; i < count; ++i) {
    const double p = number(x, i, a.dtype()), q = number(y, i, b.dtype()),
                 bound = number(m, i, budget.dtype()) * tolerance;
    if (std::fabs(p - q) <= bound || p == q) continue;
    return ::testing::AssertionFailure() << "element " << i << " of " << a.describe() << ": " << p << " and " << q
                                         << " differ by more than " << bound;
  }
  return ::testing::AssertionSuccess();
}

}  // namespace lockstep::testing
