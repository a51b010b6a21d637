#version 460
// Adds updates that are sorted by index (kernels/sort.cpp). The invocation of an index's first update adds all of them,
// in their order, for one element of the slice or four adjacent ones. Elements without updates are 0 already. A
// dispatch processes the slots from `first` up to `end`.
#include "common.glsl"
#include "number.glsl"
#include "scatter.glsl"

layout(local_size_x = 64) in;

layout(buffer_reference, scalar, buffer_reference_align = 16) buffer Fours { T4 v; };

// Adds the updates of one index, for one element or for four adjacent ones.
#define ADD(Type_, Units_, place_, begin_, index_, continues_)                            \
  {                                                                                       \
    precise Type_ sum = Type_(0);                                                         \
    if (continues_) sum = (Units_(p.to) + place_).v;                                      \
    for (uint64_t slot = begin_; slot < p.end; ++slot) {                                  \
      const uint64_t update = (p.order + slot).v;                                         \
      if (uint64_t(int64_t((p.indices + update).v)) != index_) break;                     \
      sum = sum + (Units_(p.from) + ((before * p.updates + update) * p.after + after)).v; \
    }                                                                                     \
    (Units_(p.to) + place_).v = sum;                                                      \
  }

uint64_t index_at(Params p, uint64_t slot) { return uint64_t(int64_t((p.indices + (p.order + slot).v).v)); }

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t i = ITEM_NUMBER;
  if (i >= p.count) return;
  uint64_t before = i;
  const uint64_t after = take_digit(before, p.after), begin = p.first + take_digit(before, p.end - p.first);
  const uint64_t index = index_at(p, begin);
  const bool continues = begin > 0 && index_at(p, begin - 1) == index;
  if (continues && begin > p.first) return;
  const uint64_t place = (before * p.extent + index) * p.after + after;
  if (p.wide != 0) {
    ADD(T4, Fours, place, begin, index, continues)
  } else {
    ADD(T, TS, place, begin, index, continues)
  }
}
