#include "conformance/cases/layouts.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <numeric>

namespace lockstep::conformance {
namespace {

// The layouts that the operands of a mixed layout may have.
constexpr Layout ring[] = {Layout::dense,
                           Layout::padded_rows,
                           Layout::transposed,
                           Layout::offset,
                           Layout::channels_second,
                           Layout::broadcast_first,
                           Layout::cropped,
                           Layout::last_two_swapped,
                           Layout::sliced,
                           Layout::last_reversed,
                           Layout::broadcast,
                           Layout::padded_planes,
                           Layout::first_two_swapped,
                           Layout::reversed,
                           Layout::every_other_row,
                           Layout::channels_last,
                           Layout::broadcast_middle,
                           Layout::first_reversed};
constexpr unsigned ring_size = std::size(ring);
static_assert(mixed_layouts == ring_size * (ring_size - 1));

bool is_mixed(Layout layout) { return layout >= Layout::mixed; }

const char* single_name(Layout layout) {
  switch (layout) {
    case Layout::offset: return "offset";
    case Layout::sliced: return "sliced";
    case Layout::transposed: return "transposed";
    case Layout::reversed: return "reversed";
    case Layout::broadcast: return "broadcast";
    case Layout::shared: return "shared";
    case Layout::padded_rows: return "padded_rows";
    case Layout::padded_planes: return "padded_planes";
    case Layout::cropped: return "cropped";
    case Layout::every_other_row: return "every_other_row";
    case Layout::last_two_swapped: return "last_two_swapped";
    case Layout::first_two_swapped: return "first_two_swapped";
    case Layout::channels_second: return "channels_second";
    case Layout::channels_last: return "channels_last";
    case Layout::last_reversed: return "last_reversed";
    case Layout::first_reversed: return "first_reversed";
    case Layout::broadcast_first: return "broadcast_first";
    case Layout::broadcast_middle: return "broadcast_middle";
    case Layout::middles_swapped: return "middles_swapped";
    case Layout::eight_bytes_in: return "eight_bytes_in";
    case Layout::sixteen_bytes_in: return "sixteen_bytes_in";
    case Layout::first_alone: return "first_alone";
    case Layout::last_alone: return "last_alone";
    default: return "dense";
  }
}

std::optional<int> last_with_extent(const Shape& shape) {
  for (int d = shape.rank() - 1; d >= 0; --d) {
    if (shape[d] != 1) return d;
  }
  return std::nullopt;
}

std::optional<int> middle_with_extent(const Shape& shape) {
  for (int d = 1; d + 1 < shape.rank(); ++d) {
    if (shape[d] > 1) return d;
  }
  return std::nullopt;
}

// Whether a dimension before the last `inner` ones has an extent above 1.
bool has_outer(const Shape& shape, int inner) {
  for (int d = 0; d < shape.rank() - inner; ++d) {
    if (shape[d] > 1) return true;
  }
  return false;
}

std::array<int, max_rank> order_of(const Shape& shape, Layout layout) {
  std::array<int, max_rank> order{};
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + shape.rank();
  switch (layout) {
    case Layout::transposed: std::reverse(order.begin(), end); break;
    case Layout::last_two_swapped: std::iter_swap(end - 2, end - 1); break;
    case Layout::first_two_swapped: std::iter_swap(order.begin(), order.begin() + 1); break;
    case Layout::middles_swapped: std::iter_swap(order.begin() + 1, order.begin() + 2); break;
    case Layout::channels_second: std::rotate(order.begin() + 1, end - 1, end); break;
    case Layout::channels_last: std::rotate(order.begin() + 1, order.begin() + 2, end); break;
    default: break;
  }
  return order;
}

}  // namespace

std::string name_of(Layout layout) {
  if (!is_mixed(layout)) return single_name(layout);
  return "mixed." + std::to_string(static_cast<unsigned>(layout) - static_cast<unsigned>(Layout::mixed));
}

std::optional<Layout> find_layout(const std::string& name) {
  for (Layout layout : layouts) {
    if (name == single_name(layout)) return layout;
  }
  for (Layout layout : chosen_layouts) {
    if (name == single_name(layout)) return layout;
  }
  if (!name.starts_with("mixed.")) return std::nullopt;
  unsigned n = 0;
  const auto [end, error] = std::from_chars(name.data() + 6, name.data() + name.size(), n);
  const bool is_number = error == std::errc{} && end == name.data() + name.size() && n < mixed_layouts;
  return is_number ? std::optional(mixed_layout(n)) : std::nullopt;
}

Layout mixed_layout(unsigned n) {
  // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): mixed layouts have no names.
  return static_cast<Layout>(static_cast<unsigned>(Layout::mixed) + n % mixed_layouts);
}

Layout mixed_layout(Layout first, Layout second) {
  const auto place_of = [](Layout layout) {
    return static_cast<unsigned>(std::find(std::begin(ring), std::end(ring), layout) - std::begin(ring));
  };
  const unsigned from = place_of(first), step = (place_of(second) + ring_size - from) % ring_size;
  return mixed_layout(from + (step - 1) * ring_size);
}

Layout layout_of_operand(Layout layout, std::size_t i, const Shape& shape) {
  if (!is_mixed(layout)) return shape_has_layout(shape, layout) ? layout : Layout::dense;
  const unsigned n = static_cast<unsigned>(layout) - static_cast<unsigned>(Layout::mixed);
  unsigned at = n % ring_size + static_cast<unsigned>(i) * (1 + n / ring_size);
  while (!shape_has_layout(shape, ring[at % ring_size])) ++at;  // dense always fits
  return ring[at % ring_size];
}

bool shape_has_layout(const Shape& shape, Layout layout) {
  const int rank = shape.rank();
  switch (layout) {
    case Layout::dense:
    case Layout::shared: return true;
    case Layout::transposed: return rank > 1 && shape.size() != 1;
    case Layout::padded_rows: return rank > 1 && has_outer(shape, 1);
    case Layout::padded_planes: return rank > 2 && has_outer(shape, 2);
    case Layout::cropped: return rank > 1;
    case Layout::every_other_row:
    case Layout::first_reversed:
    case Layout::broadcast_first: return rank > 1 && shape[0] > 1;
    case Layout::last_reversed: return rank > 1 && shape[rank - 1] > 1;
    case Layout::last_two_swapped:
    case Layout::first_two_swapped: return rank > 2;
    case Layout::channels_second:
    case Layout::channels_last:
    case Layout::middles_swapped: return rank > 3;
    case Layout::broadcast_middle: return middle_with_extent(shape).has_value();
    case Layout::broadcast: return last_with_extent(shape).has_value();
    default: return rank > 0 && shape.size() != 1;
  }
}

std::optional<int> shared_dimension(const Shape& shape, Layout layout) {
  if (layout == Layout::broadcast) return last_with_extent(shape);
  if (layout == Layout::broadcast_middle) return middle_with_extent(shape);
  return layout == Layout::broadcast_first ? std::optional(0) : std::nullopt;
}

Placement placement_of(const Shape& shape, Layout layout) {
  Placement p;
  p.stored = order_of(shape, layout);
  const auto dim = [&](int d) -> Placement::Dimension& { return p.dims[static_cast<std::size_t>(d)]; };
  const int rank = shape.rank();
  switch (layout) {
    case Layout::sliced: dim(rank - 1) = {1, 2, 0}; break;
    case Layout::reversed:
      for (int d = 0; d < rank; ++d) dim(d).step = -1;
      break;
    case Layout::padded_rows: dim(rank - 1).after = 3; break;
    case Layout::padded_planes: dim(rank - 2).after = 2; break;
    case Layout::cropped:
      for (int d = 0; d < rank; ++d) dim(d) = {1, 1, 2};
      break;
    case Layout::every_other_row: dim(0) = {1, 2, 0}; break;
    case Layout::last_reversed: dim(rank - 1).step = -1; break;
    case Layout::first_reversed: dim(0).step = -1; break;
    default: break;
  }
  return p;
}

}  // namespace lockstep::conformance
