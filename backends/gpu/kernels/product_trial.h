// Small products of denormal numbers whose exact sums follow from integer arithmetic. They show whether a kernel that
// fuses products and sums keeps denormal numbers.
#pragma once

#include <cstddef>
#include <vector>

#include "backends/gpu/kernels/product_partition.h"

namespace gpu {

constexpr std::int64_t trial_depth = 40;  // positions of the sums

/// The strides of a matrix product's operands and result, in elements. Only every `row_step`th row of the result has
/// terms.
struct ProductStrides {
  std::int64_t left_row, left_position, right_position, right_column, result_row, result_column, row_step = 1;
};

/// The units of the left and the right integers, whose product is the smallest denormal number, as exponents of two.
struct TrialUnits {
  int left, right;
};
/// There are two cases: an operand is denormal, or only the products are.
constexpr TrialUnits trial_units[] = {{-149, 0}, {-80, -69}};

/// One product, in f32. Its operands and its result follow each other in one piece of memory.
class ProductTrial {
 public:
  /// `expects_loss`: expects all terms to be lost, so that a correct kernel fails.
  ProductTrial(const ProductShape& shape, const ProductStrides& strides, const TrialUnits& units, bool expects_loss)
      : shape_(shape),
        strides_(strides),
        units_(units),
        expects_loss_(expects_loss),
        result_(static_cast<std::size_t>(shape.rows * shape.columns)) {}

  /// Where the right operand and the result are in the memory, and how long it is; the left operand is at 0.
  std::uint64_t right_offset() const { return 4 * static_cast<std::uint64_t>(right_at()); }
  std::uint64_t result_offset() const { return 4 * static_cast<std::uint64_t>(result_at()); }
  std::uint64_t result_bytes() const { return 4 * result_.size(); }
  std::uint64_t bytes() const { return result_offset() + result_bytes(); }

  void write_operands(std::byte* memory) const;
  /// To be filled with the result, of `result_bytes()`.
  void* result() { return result_.data(); }
  bool is_exact() const;

 private:
  std::int64_t right_at() const { return shape_.rows * shape_.depth; }
  std::int64_t result_at() const { return right_at() + shape_.depth * shape_.columns; }
  std::uint32_t sum(std::int64_t row, std::int64_t column) const;

  const ProductShape shape_;
  const ProductStrides strides_;
  const TrialUnits units_;
  const bool expects_loss_;
  std::vector<std::uint32_t> result_;
};

}  // namespace gpu
