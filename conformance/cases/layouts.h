// The ways in which the tensors of a case lie in memory.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "lockstep/shape.h"

namespace lockstep::conformance {

/// How the tensors of a case lie in memory. Whatever belongs to no element holds a sentinel.
enum class Layout : std::uint16_t {
  dense,
  offset,             // dense, from an odd offset in a larger block on
  sliced,             // every second element of a larger block, from an odd offset on
  transposed,         // dimensions stored in reverse order
  reversed,           // negative strides
  broadcast,          // stride 0 along the last dimension that has extent
  shared,             // inputs of the same dtype and shape are one tensor
  padded_rows,        // a gap behind each row: columns of a wider matrix
  padded_planes,      // a gap behind each matrix
  cropped,            // the middle of a block that is larger in every dimension
  every_other_row,    // every second index of the first dimension
  last_two_swapped,   // some dimensions permuted: the last two
  first_two_swapped,  // the first two
  channels_second,    // the last dimension is stored second: NCHW, looked at as NHWC
  channels_last,      // the second dimension is stored last: NHWC, looked at as NCHW
  last_reversed,      // one negative stride among several, at the end
  first_reversed,     // … or at the front
  broadcast_first,    // stride 0 along the first dimension
  broadcast_middle,   // stride 0 along a dimension between the first and the last
  mixed = 64          // from here on: each operand in another one, see mixed_layout
};

inline constexpr Layout layouts[] = {Layout::dense,
                                     Layout::offset,
                                     Layout::sliced,
                                     Layout::transposed,
                                     Layout::reversed,
                                     Layout::broadcast,
                                     Layout::shared,
                                     Layout::padded_rows,
                                     Layout::padded_planes,
                                     Layout::cropped,
                                     Layout::every_other_row,
                                     Layout::last_two_swapped,
                                     Layout::first_two_swapped,
                                     Layout::channels_second,
                                     Layout::channels_last,
                                     Layout::last_reversed,
                                     Layout::first_reversed,
                                     Layout::broadcast_first,
                                     Layout::broadcast_middle};

/// "padded_rows"; "mixed.7".
std::string name_of(Layout layout);
std::optional<Layout> find_layout(const std::string& name);

/// Operand i lies in the layout number k + i s of a ring of all but `shared`; k and s follow from n.
Layout mixed_layout(unsigned n);
inline constexpr unsigned mixed_layouts = 18 * 17;

/// How operand `i` of this shape lies: dense where it has no room for the layout; of a mixed one, the next in the ring
/// for which it has room.
Layout layout_of_operand(Layout layout, std::size_t i, const Shape& shape);

/// Whether the shape has room for the layout, so that it differs from a dense tensor.
bool has_room(const Shape& shape, Layout layout);

/// The dimension along which all elements are equal, since they share memory; nullopt where there is none.
std::optional<int> shared_dimension(const Shape& shape, Layout layout);

/// How dimension by dimension a tensor lies in a block: the block holds the dimensions in the order `stored`; in each,
/// `before` positions, the elements at every `step`-th one (negative: from the end), and `after` positions.
struct Placement {
  struct Dimension {
    std::int64_t before = 0, step = 1, after = 0;
  };
  std::array<Dimension, max_rank> dims;
  std::array<int, max_rank> stored;
};
Placement placement_of(const Shape& shape, Layout layout);

}  // namespace lockstep::conformance
