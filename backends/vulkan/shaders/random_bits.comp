#version 460
// Philox 4x32-10: four words of 32 bits per invocation.
#include "common.glsl"
#include "dialect.glsl"
#include "scalar/philox.glsl"

layout(local_size_x = 64) in;

// kernels/random.cpp
struct Params {
  Words to;
  uint64_t words;
  uvec2 seed;
  uvec2 stream;
};
PUSHED_PARAMS(Params)

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t block = ITEM_NUMBER, first = block * 4;
  if (first >= p.words) return;
  const uvec2 halves = unpackUint2x32(block);
  const uvec4 bits = philox_4x32_10(uvec4(halves, p.stream), p.seed.x, p.seed.y);
  for (uint i = 0; i < 4 && first + i < p.words; ++i) (p.to + (first + i)).v = bits[i];
}
