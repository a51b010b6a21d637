// The memory layouts of the tensors of a case.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "lockstep/shape.h"

namespace lockstep::conformance {

/// How the tensors of a case are laid out in memory. Memory that belongs to no element holds a sentinel.
enum class Layout : std::uint16_t {
  dense,
  offset,             // dense, at an odd offset in a larger block
  sliced,             // every second element of a larger block, from an odd offset
  transposed,         // dimensions stored in reverse order
  reversed,           // negative strides
  broadcast,          // stride 0 along the last dimension whose extent is not 1
  shared,             // inputs of the same dtype and shape are one tensor
  padded_rows,        // a gap after each row: columns of a wider matrix
  padded_planes,      // a gap after each matrix
  cropped,            // the middle of a block that is larger in every dimension
  every_other_row,    // every second index of the first dimension
  last_two_swapped,   // the last two dimensions are stored in swapped order
  first_two_swapped,  // the first two dimensions are stored in swapped order
  channels_second,    // the last dimension is stored second: NCHW viewed as NHWC
  channels_last,      // the second dimension is stored last: NHWC viewed as NCHW
  last_reversed,      // a negative stride in the last dimension only
  first_reversed,     // a negative stride in the first dimension only
  broadcast_first,    // stride 0 along the first dimension
  broadcast_middle,   // stride 0 along a dimension between the first and the last
  middles_swapped,    // of four dimensions or more, the second and third are stored in swapped order: attention heads
  eight_bytes_in,     // dense, eight bytes behind the beginning of a block: at no multiple of 16
  sixteen_bytes_in,   // the same sixteen bytes behind: at no multiple of 32
  first_alone,        // the first tensor is `sliced`, all others are dense
  last_alone,         // the last tensor is `sliced`, all others are dense
  mixed = 64          // from here on, each operand has another layout: see mixed_layout
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
/// Layouts that only certain calls get; they are never chosen at random.
inline constexpr Layout chosen_layouts[] = {Layout::middles_swapped, Layout::eight_bytes_in, Layout::sixteen_bytes_in,
                                            Layout::first_alone, Layout::last_alone};

/// Such as "padded_rows" or "mixed.7".
std::string name_of(Layout layout);
std::optional<Layout> find_layout(const std::string& name);

/// Operand i has the layout number k + i s in a ring of all layouts but `shared`; k and s follow from n.
Layout mixed_layout(unsigned n);
/// The mixed layout in which operands 0 and 1 have these layouts of the ring, which differ.
Layout mixed_layout(Layout first, Layout second);
inline constexpr unsigned mixed_layouts = 18 * 17;

/// The layout of operand `i` of this shape: dense if the shape has no room for the layout. For a mixed layout, the next
/// in the ring for which the shape has room.
Layout layout_of_operand(Layout layout, std::size_t i, const Shape& shape);

/// Whether the shape has room for the layout, so that it differs from a dense tensor. Always true for `dense` and
/// `shared`.
bool shape_has_layout(const Shape& shape, Layout layout);

/// The dimension along which all elements share memory and so are equal; nullopt if there is none.
std::optional<int> shared_dimension(const Shape& shape, Layout layout);

/// How a tensor lies in a block. The block stores the dimensions in the order `stored`. Each dimension has `before`
/// unused positions, then the elements at every `step`-th position (negative: in reverse order), then `after` unused
/// positions.
struct Placement {
  struct Dimension {
    std::int64_t before = 0, step = 1, after = 0;
  };
  std::array<Dimension, max_rank> dims;
  std::array<int, max_rank> stored;
};
Placement placement_of(const Shape& shape, Layout layout);

}  // namespace lockstep::conformance
