#include "backends/gpu/kernels/product_trial.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "backends/gpu/ceil_div.h"

namespace gpu {
namespace {

// Products are integers, in units of the smallest denormal number. The bits of such a float are the integer itself, as
// long as it is below 2^24.
std::uint32_t left_term(std::int64_t row, std::int64_t k) {
  return static_cast<std::uint32_t>((row * 40503 + k * 9973 + 77) & 0x3fff);
}
std::uint32_t right_term(std::int64_t k, std::int64_t column) {
  return static_cast<std::uint32_t>((k * 7 + column * 3 + k * column) & 7);
}
static_assert(0x3fff * 7 * trial_depth < 1 << 24);

constexpr int smallest = -149;
static_assert(trial_units[0].left + trial_units[0].right == smallest);
static_assert(trial_units[1].left + trial_units[1].right == smallest);

// Makes denormal numbers without arithmetic of the host, which might flush them to zero.
std::uint32_t bits_of(std::uint32_t integer, int exponent) {
  return exponent == smallest ? integer
                              : std::bit_cast<std::uint32_t>(std::ldexp(static_cast<float>(integer), exponent));
}

}  // namespace

void ProductTrial::write_operands(std::byte* memory) const {
  const auto put = [&](std::int64_t at, std::uint32_t bits) { std::memcpy(memory + 4 * at, &bits, sizeof bits); };
  for (std::int64_t k = 0; k < shape_.depth; ++k) {
    for (std::int64_t row = 0; row < ceil_div(shape_.rows, strides_.row_step); ++row) {
      put(row * strides_.left_row + k * strides_.left_position, bits_of(left_term(row, k), units_.left));
    }
    for (std::int64_t column = 0; column < shape_.columns; ++column) {
      put(right_at() + k * strides_.right_position + column * strides_.right_column,
          bits_of(right_term(k, column), units_.right));
    }
  }
}

bool ProductTrial::is_exact() const {
  for (std::int64_t row = 0; row < shape_.rows; ++row) {
    for (std::int64_t column = 0; column < shape_.columns; ++column) {
      const std::int64_t at = row * strides_.result_row + column * strides_.result_column;
      if (result_[static_cast<std::size_t>(at)] != sum(row, column)) return false;
    }
  }
  return true;
}

std::uint32_t ProductTrial::sum(std::int64_t row, std::int64_t column) const {
  if (row % strides_.row_step != 0 || expects_loss_) return 0;
  std::uint32_t total = 0;
  for (std::int64_t k = 0; k < shape_.depth; ++k) {
    total += left_term(row / strides_.row_step, k) * right_term(k, column);
  }
  return total;
}

}  // namespace gpu
