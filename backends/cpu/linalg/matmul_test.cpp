// Tests matmul against the reference driver, for many extents, strides, dtypes and numbers of threads.
#include <cmath>
#include <thread>

#include "backends/cpu/test_support.h"

namespace lockstep::testing {
namespace {

constexpr DType numeric[] = {f32, f64, i32, i64};

double roundoff(DType t) { return t == f64 ? 0x1p-53 : 0x1p-24; }

Tensor magnitude(const Tensor& x) { return abs(x); }

// Floats must be within the error bound for sums of k products in any order. Integers must be equal bit for bit.
::testing::AssertionResult agrees(const Tensor& mine, const Tensor& a, const Tensor& b) {
  const Tensor expected = matmul(a, b);
  if (!is_floating(mine.dtype())) return same_bits(mine, expected);
  const double k = static_cast<double>(a.shape()[-1]);
  return close(mine, expected, matmul(magnitude(a), magnitude(b)), 2 * (k + 1) * roundoff(mine.dtype()));
}

// A dense tensor with the same elements.
Tensor stored(const Tensor& x) {
  const std::vector<std::byte> bytes = x.to_bytes();
  return Tensor::from_bytes(bytes.data(), bytes.size(), x.spec(), x.device());
}

// Makes the operands on a device. They are the same on both devices.
using Make = std::function<std::pair<Tensor, Tensor>(Device)>;

void expect_product(const std::string& what, const Make& make) {
  const auto [a, b] = make(cpu());
  const auto [reference_a, reference_b] = make(reference());
  EXPECT_TRUE(agrees(matmul(a, b), reference_a, reference_b)) << what;
}

std::string text(DType t, std::int64_t m, std::int64_t k, std::int64_t n) {
  return std::string(name_of(t)) + " " + std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n);
}

TEST(CpuMatmul, AgreesForAwkwardExtents) {
  constexpr std::int64_t extents[] = {1, 2, 7, 13, 31, 33, 65, 127};
  for (DType t : numeric) {
    for (std::int64_t m : extents) {
      for (std::int64_t n : extents) {
        const std::int64_t k = extents[(m * 5 + n * 3) % 8];
        expect_product(text(t, m, k, n), [&](Device d) {
          return std::pair{random_tensor(d, t, {m, k}, 1), random_tensor(d, t, {k, n}, 2)};
        });
      }
    }
  }
}

TEST(CpuMatmul, AgreesAcrossSlicesOfKAndBlocks) {
  for (DType t : numeric) {
    for (const auto& [m, k, n] : {std::array<std::int64_t, 3>{150, 257, 70}, {300, 513, 33}, {13, 1000, 521}}) {
      expect_product(text(t, m, k, n), [&](Device d) {
        return std::pair{random_tensor(d, t, {m, k}, 1), random_tensor(d, t, {k, n}, 2)};
      });
    }
  }
}

TEST(CpuMatmul, EmptyInnerDimensionGivesZerosAndEmptyResultsWork) {
  for (DType t : numeric) {
    for (const auto& [m, k, n] : {std::array<std::int64_t, 3>{3, 0, 4}, {0, 3, 4}, {3, 4, 0}, {0, 0, 0}, {1, 0, 1}}) {
      expect_product(text(t, m, k, n), [&](Device d) {
        return std::pair{random_tensor(d, t, {m, k}, 1), random_tensor(d, t, {k, n}, 2)};
      });
    }
  }
}

TEST(CpuMatmul, ReadsTransposedSlicedReversedAndBroadcastOperands) {
  const std::pair<const char*, std::function<Tensor(const Tensor&)>> views[] = {
      {"transposed", [](const Tensor& x) { return swap_axes(stored(swap_axes(x, 1, 2)), 1, 2); }},
      {"columns apart",
       [](const Tensor& x) {
         return slice(concat({x, x}, 2), {{.axis = 2, .step = 2}});
       }},
      {"rows apart",
       [](const Tensor& x) {
         return slice(concat({x, x}, 1), {{.axis = 1, .start = 1, .step = 2}});
       }},
      {"part of wider rows",
       [](const Tensor& x) {
         return slice(concat({x, x}, 2), {{.axis = 2, .start = 2, .stop = 2 + x.shape()[2]}});
       }},
      {"reversed rows", [](const Tensor& x) { return slice(x, {{.axis = 1, .start = -1, .step = -1}}); }},
      {"one matrix for all",
       [](const Tensor& x) { return broadcast_to(slice(x, {{.axis = 0, .start = 1, .stop = 2}}), x.shape()); }},
      {"one row for all",
       [](const Tensor& x) { return broadcast_to(slice(x, {{.axis = 1, .start = 1, .stop = 2}}), x.shape()); }},
      {"batches in between", [](const Tensor& x) { return swap_axes(stored(swap_axes(x, 0, 1)), 0, 1); }},
  };
  for (DType t : {f32, f64, i32}) {
    for (const auto& [a_name, a_view] : views) {
      for (const auto& [b_name, b_view] : views) {
        expect_product(text(t, 5, 8, 9) + ", " + a_name + " by " + b_name, [&](Device d) {
          return std::pair{a_view(random_tensor(d, t, {3, 5, 8}, 1)), b_view(random_tensor(d, t, {3, 8, 9}, 2))};
        });
      }
    }
  }
}

TEST(CpuMatmul, NotANumberAndInfinitySpreadAlongTheirRowAndColumn) {
  for (DType t : {f32, f64}) {
    for (std::int64_t extent : {3, 40}) {
      // One element of the second row is `value`.
      const auto make = [&](Device d, double value) {
        const Tensor plain = random_tensor(d, t, {extent, extent}, 1);
        const Tensor rest = slice(flatten(reshape(plain, {1, extent * extent})), {{.axis = 1, .start = 1}});
        const Tensor special = to_device(full({1, 1}, value, t), d);
        const Tensor line = concat({special, rest}, 1);
        return reshape(concat({slice(line, {{.axis = 1, .start = extent * extent - extent - 2}}),
                               slice(line, {{.axis = 1, .stop = extent * extent - extent - 2}})},
                              1),
                       {extent, extent});
      };
      for (double value : {std::nan(""), HUGE_VAL}) {
        const auto product = [&](Device d) { return matmul(make(d, value), random_tensor(d, t, {extent, extent}, 2)); };
        const auto is_nan = [](const Tensor& y) { return not_equal(y, y); };
        const auto numbers = [&](const Tensor& y) { return where(is_nan(y), zeros_like(y), y); };
        const Tensor mine = product(cpu()), expected = product(reference());
        EXPECT_TRUE(same_bits(is_nan(mine), is_nan(expected))) << text(t, extent, extent, extent) << " " << value;
        EXPECT_TRUE(close(numbers(mine), numbers(expected), ones_like(expected), 1e-4)) << value;
      }
    }
  }
}

TEST(CpuMatmul, ServesSeveralThreadsAtOnceAndOtherThreadCountsThanItWasMadeFor) {
  const Tensor a = random_tensor(cpu(), f32, {90, 70}, 1), b = random_tensor(cpu(), f32, {70, 110}, 2);
  const Tensor x = random_tensor(reference(), f32, {90, 70}, 1), y = random_tensor(reference(), f32, {70, 110}, 2);
  for (unsigned count : {2u, 1u, 3u}) {
    set_thread_count(count);
    std::vector<std::thread> threads;
    std::vector<Tensor> results(4, a);
    for (Tensor& result : results) {
      threads.emplace_back([&] {
        for (int i = 0; i < 20; ++i) result = matmul(a, b);
      });
    }
    for (std::thread& t : threads) t.join();
    for (const Tensor& result : results) EXPECT_TRUE(agrees(result, x, y)) << count << " threads";
  }
  set_thread_count(0);
}

// The extents are of no other test, so that no kernel is prepared yet.
TEST(CpuMatmul, IsDividedAmongAllThreadsThoughAThreadAloneNeededItFirst) {
  const MathModeScope mode(MathMode::lockstep);
  for (DType t : {f32, f64}) {
    const Tensor a = random_tensor(cpu(), t, {131, 79}, 1), b = random_tensor(cpu(), t, {79, 211}, 2);
    expect_divided_after_a_call_alone("blocked", 3, [&] { return matmul(a, b); });
    const Tensor row = random_tensor(cpu(), t, {3, 30001}, 3), dense = random_tensor(cpu(), t, {30001, 90}, 4);
    expect_divided_after_a_call_alone("few rows", 3, [&] { return matmul(row, dense); });
  }
}

}  // namespace
}  // namespace lockstep::testing
