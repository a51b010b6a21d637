// Products in fast mode on GPUs with matrix units: operands are rounded to bf16, sums are f32. As in
// product_blocks.glsl, a workgroup loads into shared memory, here pairs of bf16; each of its 8 subgroups computes 64 x
// 32 elements by matrices of 16 x 16.
//
// GLSL of 2023 has no matrices of bf16, and only NVIDIA's extension. So this is written with matrices of f16, and
// device/matrices.cpp rewrites them to bf16 and the extension to that of Khronos. There, the use of a matrix is part of
// its type: matrices of 16 x 8 here are right operands and sums, and become 16 x 16.
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_NV_cooperative_matrix : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define LEFT_MATRIX fcoopmatNV<16, gl_ScopeSubgroup, 16, 16>
#define RIGHT_MATRIX fcoopmatNV<16, gl_ScopeSubgroup, 16, 8>
#define SUM_MATRIX fcoopmatNV<32, gl_ScopeSubgroup, 16, 8>

layout(local_size_x = 256) in;
const uint tile_elements = 1;
#include "product_terms.glsl"

const uint group_size = 256, lines = 128, steps = 32;  // of both operands
const uint loads = lines * steps / 2 / group_size;     // pairs that an invocation loads of each operand
const uint matrices_down = 4, matrices_right = 2;      // of a subgroup
// The pitch in shared memory, in pairs: from one line to the next if positions are adjacent, and from one position to the
// next if lines are. 4 pairs of padding avoid bank conflicts.
const uint line_pitch = (steps + 8) / 2, step_pitch = (lines + 8) / 2;
shared uint left_side[lines * line_pitch];
shared uint right_side[lines * line_pitch];
shared float results[group_size * 8];  // one matrix per subgroup

// The first element of a pair. The second one is in the next line or at the next position.
struct Pair {
  uint line, position;
};
Pair pair_of(uint load, bool lines_beside) {
  const uint i = load * group_size + gl_LocalInvocationIndex;
  if (lines_beside) return Pair(i % (lines / 2) * 2, i / (lines / 2));
  return Pair(i / (steps / 2), i % (steps / 2) * 2);
}
uint place_of(Pair at, bool lines_beside) {
  return lines_beside ? at.position * step_pitch + at.line / 2 : at.line * line_pitch + at.position / 2;
}

// Rounds to nearest even. Finite numbers stay finite.
uint bfloat_of(float x) {
  const uint bits = floatBitsToUint(x), magnitude = bits & 0x7fffffffu;
  const uint rounded = magnitude < 0x7f800000u ? min(magnitude + 0x7fffu + ((magnitude >> 16) & 1u), 0x7f7fffffu)
                       : magnitude > 0x7f800000u ? 0x7fc00000u
                                                 : magnitude;
  return (rounded | (bits & 0x80000000u)) >> 16;
}
uint pair_of_bfloats(float first, float second) { return bfloat_of(first) | (bfloat_of(second) << 16); }

// If lines are adjacent in memory, all pairs of an invocation are of the same two lines.
struct Sides {
  Row rows[loads];
  Column columns[loads];
};
Sides sides_of(Params p, Batch batch, Tile tile) {
  Sides s;
  UNROLL for (uint i = 0; i < loads; ++i) {
    const uint row = left_column_major ? pair_of(0, true).line + i : pair_of(i, false).line;
    const uint column = right_row_major ? pair_of(0, true).line + i : pair_of(i, false).line;
    s.rows[i] = row_of(p, batch, min(tile.row + row, p.tiling.rows - 1));
    s.columns[i] = column_of(p, batch, min(tile.column + column, p.tiling.columns - 1));
  }
  return s;
}

float left_at(Params p, Sides s, Tile tile, uint k, uint load, uint half_) {
  const uint own = k + pair_of(load, left_column_major).position + (left_column_major ? 0 : half_);
  return own < tile.end ? left_element(p, s.rows[left_column_major ? half_ : load], position_of(p, own)) : 0;
}
float right_at(Params p, Sides s, Tile tile, uint k, uint load, uint half_) {
  const uint own = k + pair_of(load, right_row_major).position + (right_row_major ? 0 : half_);
  return own < tile.end ? right_element(p, s.columns[right_row_major ? half_ : load], position_of(p, own)) : 0;
}

void fetch(Params p, Sides s, Tile tile, uint k, out vec2 left[loads], out vec2 right[loads]) {
  UNROLL for (uint i = 0; i < loads; ++i) {
    left[i] = vec2(left_at(p, s, tile, k, i, 0), left_at(p, s, tile, k, i, 1));
    right[i] = vec2(right_at(p, s, tile, k, i, 0), right_at(p, s, tile, k, i, 1));
  }
}

void share(vec2 left[loads], vec2 right[loads]) {
  UNROLL for (uint i = 0; i < loads; ++i) {
    left_side[place_of(pair_of(i, left_column_major), left_column_major)] = pair_of_bfloats(left[i].x, left[i].y);
    right_side[place_of(pair_of(i, right_row_major), right_row_major)] = pair_of_bfloats(right[i].x, right[i].y);
  }
}

uint own_row() { return gl_SubgroupID / 4 * (matrices_down * 16); }
uint own_column() { return gl_SubgroupID % 4 * (matrices_right * 16); }

// The optimizer may unroll this: there are no products that it could fuse, and matrices cannot be indexed by a
// variable.
#define ADD_SHARED(sums)                                                                                                \
  [[unroll]] for (uint k_ = 0; k_ < steps; k_ += 16) {                                                                  \
    LEFT_MATRIX left_[matrices_down];                                                                                   \
    [[unroll]] for (uint r_ = 0; r_ < matrices_down; ++r_) {                                                            \
      const uint row_ = own_row() + r_ * 16;                                                                            \
      if (left_column_major) {                                                                                          \
        coopMatLoadNV(left_[r_], left_side, k_ * step_pitch + row_ / 2, step_pitch, true);                              \
      } else {                                                                                                          \
        coopMatLoadNV(left_[r_], left_side, row_ * line_pitch + k_ / 2, line_pitch, false);                             \
      }                                                                                                                 \
    }                                                                                                                   \
    [[unroll]] for (uint c_ = 0; c_ < matrices_right; ++c_) {                                                           \
      const uint column_ = own_column() + c_ * 16;                                                                      \
      RIGHT_MATRIX right_;                                                                                              \
      if (right_row_major) {                                                                                            \
        coopMatLoadNV(right_, right_side, k_ * step_pitch + column_ / 2, step_pitch, false);                            \
      } else {                                                                                                          \
        coopMatLoadNV(right_, right_side, column_ * line_pitch + k_ / 2, line_pitch, true);                             \
      }                                                                                                                 \
      [[unroll]] for (uint r_ = 0; r_ < matrices_down; ++r_) {                                                          \
        sums[r_ * matrices_right + c_] = coopMatMulAddNV(left_[r_], right_, sums[r_ * matrices_right + c_]);            \
      }                                                                                                                 \
    }                                                                                                                   \
  }

// Writes the subgroup's matrix in `results` to the target. Returns whether it has a NaN.
bool put_results(Params p, Batch batch, Tile tile, Target target, uint first_row, uint first_column) {
  bool has_nan = false;
  for (uint e = gl_SubgroupInvocationID; e < 256; e += gl_SubgroupSize) {
    const uint row = first_row + e / 16, column = first_column + e % 16;
    precise const float sum = results[gl_SubgroupID * 256 + e] + added_here(p, batch, tile.column + column);
    put(target, row, column, sum);
    has_nan = has_nan || isnan(sum);
  }
  return has_nan;
}

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  if (!is_work(p.tiling, group_number())) return;
  const Tile tile = tile_of(p.tiling, group_number());
  Batch batch = batch_of(p, tile.batch);
  Sides s = sides_of(p, batch, tile);
  SUM_MATRIX sums[matrices_down * matrices_right];
  [[unroll]] for (uint i = 0; i < matrices_down * matrices_right; ++i) sums[i] = SUM_MATRIX(0.0);
  vec2 left[loads], right[loads];
  fetch(p, s, tile, tile.begin, left, right);
  for (uint k = tile.begin; k < tile.end; k += steps) {
    barrier();
    share(left, right);
    barrier();
    fetch(p, s, tile, k + steps, left, right);
    ADD_SHARED(sums);
  }
  Target target = target_of(p, tile, batch);
  bool has_nan = false;
#define PUT(i)                                                                                                          \
  barrier();                                                                                                            \
  coopMatStoreNV(sums[i], results, gl_SubgroupID * 256, 16, false);                                                     \
  barrier();                                                                                                            \
  if (put_results(p, batch, tile, target, own_row() + i / matrices_right * 16, own_column() + i % matrices_right * 16)) \
  has_nan = true
  PUT(0);
  PUT(1);
  PUT(2);
  PUT(3);
  PUT(4);
  PUT(5);
  PUT(6);
  PUT(7);
  if (!may_lack_terms || !has_nan) return;
  // Each invocation recomputes the elements that it has written.
  for (uint i = 0; i < matrices_down * matrices_right; ++i) {
    for (uint e = gl_SubgroupInvocationID; e < 256; e += gl_SubgroupSize) {
      put_terms(p, batch, tile, target, own_row() + i / matrices_right * 16 + e / 16,
                own_column() + i % matrices_right * 16 + e % 16);
    }
  }
}
