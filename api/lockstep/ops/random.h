// Random numbers from Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Each
// number is a function of only a key and the element's index, so every device and thread count gives the same numbers.
#pragma once

#include <cstdint>
#include <optional>

#include "lockstep/export.h"
#include "lockstep/ops/shape.h"

namespace LOCKSTEP_API lockstep {

/// Selects a stream of random numbers. Equal keys give equal numbers.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
};

/// Restarts this thread's sequence of keys from `seed`; a new thread has seed 0.
void set_seed(std::uint64_t seed);

/// The next key of this thread's sequence. Random ops use it if no key is given.
RandomKey next_key();

/// Gets and sets the position in this thread's sequence of keys.
RandomKey random_position();
void set_random_position(RandomKey position);

/// Until the end of the scope, this thread's sequence of keys starts at `key`; afterwards it continues where it was.
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

/// Uniform in [low, high). Made of 24 (f32) or 53 (f64) random bits. The result is never `high`, unless low == high,
/// which gives that number. Throws ShapeError LS2007 if low is above high; if low, high or their difference is NaN,
/// infinite or beyond the dtype's range; or if the dtype has no number in the interval. Throws DTypeError LS2102 for
/// other dtypes.
Tensor random_uniform(const Shape& shape, double low = 0, double high = 1, Random options = {},
                      CallSite where = CallSite::current());

/// mean + deviation z, z normal. The deviation is `stddev`, the arithmetic that of the dtype, and z the inverse of the
/// cumulative distribution function of a random number. If a number or its distance stddev z from the mean is beyond
/// the dtype's range, it is infinite; that takes a mean or deviation near the largest number. Throws ShapeError LS2007
/// for a negative standard deviation, and for a mean or deviation that the dtype cannot hold; DTypeError LS2102 for
/// dtypes other than f32 and f64.
Tensor random_normal(const Shape& shape, double mean = 0, double stddev = 1, Random options = {},
                     CallSite where = CallSite::current());

/// mean + deviation z, z normal within [-2, 2]. The deviation is `stddev`. Throws the same errors as random_normal.
Tensor random_truncated_normal(const Shape& shape, double mean = 0, double stddev = 1, Random options = {},
                               CallSite where = CallSite::current());

/// 0 … n-1 in random order: the order of n random 64-bit keys, ties by index. The result is i64.
Tensor random_permutation(std::int64_t n, std::optional<RandomKey> key = std::nullopt,
                          CallSite where = CallSite::current());

/// Uniformly random bits from Philox 4x32-10, a function of key and row-major index alone. They are i32 or i64.
Tensor random_bits(const Shape& shape, DType dtype = DType::i32, std::optional<RandomKey> key = std::nullopt,
                   CallSite where = CallSite::current());

/// x / (1 - rate), with each element set to 0 with probability rate. The rate is in [0, 1). Floating dtypes. The draw
/// has 24 bits, so the probability is the rate rounded up to a multiple of 2^-24; the factor is not rounded. The
/// gradient draws the same numbers again from the key, so no mask is kept.
Tensor dropout(Operand x, double rate, std::optional<RandomKey> key = std::nullopt);

}  // namespace lockstep
