#include "ops/random/key_scalars.h"

#include "ops/attrs.h"
#include "ops/built_in.h"

namespace lockstep {

std::vector<ScalarDef> key_scalars() {
  return {{"seed_low", LKS_U32}, {"seed_high", LKS_U32}, {"stream_low", LKS_U32}, {"stream_high", LKS_U32}};
}

void append_key(std::vector<Scalar>& scalars, RandomKey key) {
  for (std::uint64_t word : {key.seed, key.stream}) {
    scalars.push_back({Scalar::Kind::integer, static_cast<std::int64_t>(word & 0xffffffffu), 0});
    scalars.push_back({Scalar::Kind::integer, static_cast<std::int64_t>(word >> 32), 0});
  }
}

RandomKey key_from(std::span<const Scalar> scalars, std::size_t first) {
  const auto word = [&](std::size_t i) {
    const Scalar& number = scalars[first + i];
    if (!number.is_known()) number.fail_unknown();
    return static_cast<std::uint64_t>(number.integer) & 0xffffffffu;
  };
  return {word(0) | word(1) << 32, word(2) | word(3) << 32};
}

Tensor bits_for_key(const Shape& shape, DType dtype, std::span<const Scalar> key, const std::source_location& where) {
  static const OpDef& op = built_in("random_bits");
  const RandomAttrs attrs{list_of(shape), static_cast<std::int64_t>(dtype)};
  return invoke1(op, std::span<const Operand>(), &attrs, key, &where);
}

std::vector<Scalar> case_scalars(std::vector<Scalar> own) {
  append_key(own, {0x123456789abcdefu, 0x2a0000001bu});
  return own;
}

}  // namespace lockstep
