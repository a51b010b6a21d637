#include "ops/random/key_scalars.h"

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
  const auto word = [&](std::size_t i) { return static_cast<std::uint64_t>(scalars[first + i].integer) & 0xffffffffu; };
  return {word(0) | word(1) << 32, word(2) | word(3) << 32};
}

std::vector<Scalar> case_scalars(std::vector<Scalar> own) {
  append_key(own, {0x123456789abcdefu, 0x2a0000001bu});
  return own;
}

}  // namespace lockstep
