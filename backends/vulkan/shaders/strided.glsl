// The offset of an element in a shape whose dimensions the host has merged (backends/gpu/kernels/strided.h).

// Divides in 32 bits if the numbers fit, because 64-bit division is slow everywhere.
uint64_t take_digit(inout uint64_t rest, uint64_t extent) {
  uint64_t quotient;
  if (((rest | extent) >> 32) == 0) {
    quotient = uint(rest) / uint(extent);
  } else {
    quotient = rest / extent;
  }
  const uint64_t digit = rest - quotient * extent;
  rest = quotient;
  return digit;
}

// The offset of the element with a row-major index. With at most one dimension there is no division.
#define OFFSET_OF(result_, index_, rank_, dims_, strides_)             \
  {                                                                    \
    uint64_t rest_ = index_;                                           \
    result_ = 0;                                                       \
    for (int d_ = int(rank_) - 1; d_ > 0; --d_) {                      \
      result_ += int64_t(take_digit(rest_, dims_[d_])) * strides_[d_]; \
    }                                                                  \
    result_ += int64_t(rest_) * strides_[0];                           \
  }
