// The order in which a program's loops run over a tile, and where each value is stored.
//
// A *place* is an index into a table of pointers: first the kernel's tensors (inputs, then outputs), then single values
// (*cells*), then tile-sized scratch (*slots*). A tile is a *segment*: consecutive elements of the output in row-major
// order. Along a segment each input either varies or keeps one value (it is *uniform*).
#pragma once

#include <bit>

#include "backends/cpu/pointwise/code.h"
#include "lockstep/driver.h"

namespace cpu {

/// Index into the table of addresses of a launch: first those of tensors, then of cells, then of slots.
using Place = std::uint16_t;

/// How an input behaves along a segment.
enum class Access : std::uint8_t { varies, uniform, constant };  // constant: one value for the whole launch

/// What a plan depends on, besides the program: two bits for each input, one for each output.
struct Classes {
  std::uint64_t inputs = 0;
  std::uint32_t held_outputs = 0;  // left in a slot; the caller copies them to the output

  Access input(std::size_t i) const { return static_cast<Access>(inputs >> (2 * i) & 3); }
  void set_input(std::size_t i, Access access) { inputs |= static_cast<std::uint64_t>(access) << (2 * i); }
  bool holds(std::size_t output) const { return held_outputs >> output & 1; }
  bool operator==(const Classes&) const = default;
};

struct Step {
  Loop loop;
  Place out, a, b, c, d;
};

/// Fills a slot with the logical index along an axis.
struct IndexFill {
  Place place;
  std::uint32_t axis;
};

struct Plan {
  Classes classes;
  std::vector<Step> once;                                        // on constants, at the start of a launch
  std::vector<Step> before;                                      // on single values, at the start of a segment
  std::vector<IndexFill> indices;                                // at the start of a segment
  std::vector<Step> steps;                                       // on whole segments
  std::vector<std::uint64_t> cells;                              // initial values
  std::vector<std::pair<std::uint16_t, std::uint32_t>> scalars;  // cell, index of launch-time scalar
  std::vector<Place> results;                                    // place of each output; needed if held
  std::uint16_t first_cell = 0, first_slot = 0, slot_count = 0;
  int linear_cell = -1;         // receives the first row-major index of each segment
  std::int64_t slot_width = 1;  // bytes per element of every slot
  std::int64_t tile = 0;        // most elements in a segment
  double ns_per_element = 0;    // a rough estimate, without memory traffic

  std::size_t place_count() const { return std::size_t{first_slot} + slot_count; }
};

/// Limits that allow the executor to keep its tables on the stack.
constexpr std::size_t max_tensors = 32;
constexpr std::size_t max_ops = 500;
constexpr std::size_t max_cells = max_ops + 1;
constexpr std::size_t max_places = max_tensors + max_cells + max_ops + 8;
constexpr std::int64_t slot_bytes = 32 * 1024;  // for all slots together

/// For each output, the input whose memory it reuses, or -1.
using Aliases = std::vector<int>;

Plan make_plan(const Code& code, std::size_t input_count, std::size_t output_count, const Aliases& aliases,
               const Classes& classes);

}  // namespace cpu
