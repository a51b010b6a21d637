// Random numbers. They come from Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011)
// as a function of a key and the element's index alone, so every device and every number of threads gives the same.
#pragma once

#include <cstdint>
#include <optional>

#include "lockstep/export.h"
#include "lockstep/ops/shape.h"

namespace LOCKSTEP_API lockstep {

/// Which stream of numbers. Equal keys give equal numbers.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
};

/// Starts this thread's sequence of keys anew; threads begin with seed 0.
void set_seed(std::uint64_t seed);

/// The next key of this thread's sequence; what random ops take where they are given none.
RandomKey next_key();

/// Where this thread's sequence is, and going back there.
RandomKey random_position();
void set_random_position(RandomKey position);

/// Makes this thread's sequence start at `key` until the end of the scope, then go on where it was.
class [[nodiscard]] RandomScope {
 public:
  explicit RandomScope(RandomKey key);
  ~RandomScope();
  RandomScope(const RandomScope&) = delete;
  RandomScope& operator=(const RandomScope&) = delete;

 private:
  RandomKey previous_;
};

struct Random {
  DType dtype = DType::f32;                     // f32 or f64
  std::optional<RandomKey> key = std::nullopt;  // default: next_key()
};

/// Uniform in [low, high), from 24 (f32) or 53 (f64) random bits; never `high` itself, unless low == high, which gives
/// that number. Throws ShapeError LS2007 where low is above high, an end or the width is NaN, infinite or beyond the
/// dtype, or no number of the dtype lies in between; DTypeError LS2102 for other dtypes.
Tensor random_uniform(const Shape& shape, double low = 0, double high = 1, Random options = {},
                      std::source_location where = std::source_location::current());

/// Normal, by the inverse of its distribution function. Throws ShapeError LS2007 for a deviation that is negative, and
/// for one or a mean that the dtype does not hold; DTypeError LS2102 for other dtypes than f32 and f64.
Tensor random_normal(const Shape& shape, double mean = 0, double stddev = 1, Random options = {},
                     std::source_location where = std::source_location::current());

/// Normal, without what lies more than two standard deviations from the mean. Throws as random_normal.
Tensor random_truncated_normal(const Shape& shape, double mean = 0, double stddev = 1, Random options = {},
                               std::source_location where = std::source_location::current());

/// The numbers 0 … n-1 in random order; i64.
Tensor random_permutation(std::int64_t n, std::optional<RandomKey> key = std::nullopt,
                          std::source_location where = std::source_location::current());

/// Uniformly random bits: i32 or i64.
Tensor random_bits(const Shape& shape, DType dtype = DType::i32, std::optional<RandomKey> key = std::nullopt,
                   std::source_location where = std::source_location::current());

/// x with each element set to 0 with probability `rate` in [0, 1), the others times 1 / (1 - rate). f32, f64. The
/// gradient uses the same key, so no mask is kept.
Tensor dropout(Operand x, double rate, std::optional<RandomKey> key = std::nullopt);

}  // namespace lockstep
