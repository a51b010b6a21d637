// Products with several large extents.
#include <algorithm>
#include <array>
#include <compare>
#include <functional>
#include <set>
#include <utility>

#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/large_parts.h"
#include "conformance/cases/values.h"

namespace lockstep::conformance::large {
namespace {

constexpr double slow_steps = 2e7;  // of products on the trusted device that are not cheap

// Adds a call with each kind of values in which all bits of one operand matter; in lockstep mode, where bits are
// compared, with ordinary values. `few`: one kind only.
bool add_with_wide_values(Collector& out, const OpDef& op, MathMode mode, const std::optional<OpCase>& c, Layout layout,
                          bool few) {
  if (!c) return false;
  if (mode == MathMode::lockstep) {
    out.add("beside", c, layout, Values::drawn);
    return true;
  }
  const bool first = c->name.size() % 2;
  const Values kinds[] = {first ? Values::wide_first : Values::wide_last,
                          first ? Values::wide_last : Values::wide_first, Values::bits};
  int added = 0;
  for (const Values values : kinds) {
    if ((few && added > 0) || !applies(values, op, *c)) continue;
    out.add("beside", c, layout, values);
    ++added;
  }
  return added > 0;
}

std::optional<OpCase> cube(const OpDef& op, const Base& base, std::int64_t extent) {
  return resized(op, base.call, base.groups, Extents(base.groups.size(), extent));
}

// All extents as large as large blocks, as large as affordable.
void add_cube(Collector& out, const OpDef& op, MathMode mode, const Base& base, double steps) {
  for (const std::int64_t extent : {701, 513, 401, 321, 257, 131, 67}) {
    const auto c = cube(op, base, extent);
    if (!c || elements_of(op, *c) > max_drawn || steps_of(op, *c) > steps) continue;
    if (!add_with_wide_values(out, op, mode, c, Layout::dense, false)) continue;
    add_special_values(out, op, cube(op, base, std::min<std::int64_t>(extent, 257)));
    return;
  }
}

// The same with operands that lie in other orders, as in gradients.
void add_strided_cubes(Collector& out, const OpDef& op, MathMode mode, const Base& base, bool main) {
  const auto c = cube(op, base, main ? 321 : 257);
  if (!c) return;
  add_with_wide_values(out, op, mode, c, Layout::transposed, !main);
  if (!main || mode == MathMode::lockstep) {
    add_with_wide_values(out, op, mode, cube(op, base, 131), Layout::padded_rows, true);
    return;
  }
  // Operands that lie in unlike orders.
  for (const Layout first : {Layout::padded_rows, Layout::first_reversed}) {
    add_with_wide_values(out, op, mode, c, mixed_layout(first, Layout::transposed), true);
  }
  add_with_wide_values(out, op, mode, c, Layout::padded_rows, true);
}

// So many products for each of many results that devices add parts of a sum side by side.
void add_long_sums(Collector& out, const OpDef& op, MathMode mode, const Base& base) {
  add_with_wide_values(out, op, mode, resized(op, base.call, base.groups, {67, 2051, 70}), Layout::dense, true);
}

const Layout first_transposed = mixed_layout(Layout::transposed, Layout::dense),
             second_transposed = mixed_layout(Layout::dense, Layout::transposed);

// Products in which one operand is transposed, as in gradients, of extents that no block divides.
void add_half_transposed(Collector& out, const OpDef& op, MathMode mode, const Base& base) {
  const auto c = resized(op, base.call, base.groups, {129, 131, 130});
  for (const Layout layout : {first_transposed, second_transposed}) {
    add_with_wide_values(out, op, mode, c, layout, true);
  }
}

// Matrices times columns, and rows times matrices, that lie in either order.
void add_vectors(Collector& out, const OpDef& op, MathMode mode, const Base& base) {
  const auto column = resized(op, base.call, base.groups, {67, 700, 1}),
             row = resized(op, base.call, base.groups, {1, 700, 67});
  for (const Layout layout : {first_transposed, Layout::transposed}) {
    add_with_wide_values(out, op, mode, column, layout, true);
  }
  for (const Layout layout : {second_transposed, Layout::transposed}) {
    add_with_wide_values(out, op, mode, row, layout, true);
  }
  // Both extents of the matrix are long, and no block divides them.
  for (const Extents& extents : {Extents{1, 257, 259}, {259, 257, 1}}) {
    add_with_wide_values(out, op, mode, resized(op, base.call, base.groups, extents), Layout::dense, true);
  }
}

// Extents that vectors and blocks of all sizes fill, also in operands that do not begin at a vector.
void add_whole_blocks(Collector& out, const OpDef& op, MathMode mode, const Base& base) {
  const auto c = resized(op, base.call, base.groups, {192, 128, 256});
  add_with_wide_values(out, op, mode, c, Layout::dense, false);
  add_with_wide_values(out, op, mode, c, Layout::offset, true);
  // The same where operands are transposed.
  const auto smaller = resized(op, base.call, base.groups, {128, 64, 128});
  for (const Layout layout : {first_transposed, second_transposed, Layout::transposed}) {
    add_with_wide_values(out, op, mode, smaller, layout, true);
  }
}

// Some extents are whole blocks and others are not: a kernel that leaves out the checks of whole extents may leave out
// one too many.
void add_partly_whole_blocks(Collector& out, const OpDef& op, MathMode mode, const Base& base) {
  for (const Extents& extents : {Extents{128, 67, 128}, {128, 64, 131}, {131, 64, 128}}) {
    add_with_wide_values(out, op, mode, resized(op, base.call, base.groups, extents), Layout::dense, true);
  }
}

using Sides = std::array<std::int64_t, 3>;  // m, k, n

// Batches, in one or two dimensions, of matrices with these sides.
std::optional<OpCase> batches(const OpDef& op, const std::vector<Base>& bases, int rank, const Sides& sides) {
  const auto base =
      std::find_if(bases.begin(), bases.end(), [&](const Base& b) { return largest_rank(b.call) == rank; });
  if (base == bases.end()) return std::nullopt;
  Extents extents;
  std::size_t side = 0;
  std::int64_t batch = rank == 3 ? 5 : 2;
  for (const ExtentGroup& group : base->groups) {
    const bool is_batch =
        std::all_of(group.dims.begin(), group.dims.end(), [&](const auto& d) { return d.dim < rank - 2; });
    extents.push_back(is_batch ? batch++ : sides[side++ % sides.size()]);
  }
  return resized(op, base->call, base->groups, extents);
}

void add_batches(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases) {
  constexpr Sides several_blocks = {67, 70, 131};
  const auto line = batches(op, bases, 3, several_blocks), plane = batches(op, bases, 4, several_blocks);
  add_with_wide_values(out, op, mode, line, Layout::dense, false);
  add_with_wide_values(out, op, mode, line, Layout::last_two_swapped, true);
  // One operand is transposed and the other one is dense, as in attention and in gradients.
  for (const Layout layout :
       {mixed_layout(Layout::dense, Layout::last_two_swapped), mixed_layout(Layout::last_two_swapped, Layout::dense)}) {
    add_with_wide_values(out, op, mode, line, layout, true);
  }
  // All matrices of both operands, or of the second one, are the same in memory.
  add_with_wide_values(out, op, mode, line, Layout::broadcast_first, true);
  add_with_wide_values(out, op, mode, line, mixed_layout(Layout::dense, Layout::broadcast_first), true);
  add_with_wide_values(out, op, mode, plane, Layout::dense, false);
  for (const Layout layout : {Layout::first_two_swapped, Layout::middles_swapped}) {
    add_with_wide_values(out, op, mode, plane, layout, true);
  }
}

// A vector for each matrix, as in attention with one query; and matrices of whole blocks.
void add_batched_vectors(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases) {
  for (const Sides& sides : {Sides{1, 67, 70}, Sides{67, 70, 1}}) {
    const auto c = batches(op, bases, 3, sides);
    for (const Layout layout : {Layout::dense, mixed_layout(Layout::dense, Layout::last_two_swapped)}) {
      add_with_wide_values(out, op, mode, c, layout, true);
    }
  }
  add_with_wide_values(out, op, mode, batches(op, bases, 3, {64, 64, 64}), Layout::dense, true);
}

// Whether some number of the attribute is above 1.
bool has_above_one(const OpDef& op, const OpCase& c, const char* attribute) {
  const std::vector<std::int64_t> numbers = attribute_numbers(op, c, attribute);
  return std::any_of(numbers.begin(), numbers.end(), [](std::int64_t v) { return v > 1; });
}

// The operands of a convolution, whether they are its inputs or its result.
Shape filters_of(const OpDef& op, const OpCase& c) {
  return op.name == "conv2d_backward_filter" ? (*infer_outputs(op, c))[0].shape : c.inputs[1].shape;
}
Shape results_of(const OpDef& op, const OpCase& c) {
  if (op.name == "conv2d") return (*infer_outputs(op, c))[0].shape;
  return c.inputs[op.name == "conv2d_backward_filter" ? 1 : 0].shape;
}

// A convolution with so many channels and filters, and `copies` times as many images; its other extents are those of
// its own case. nullopt if neither channels nor filters can change.
std::optional<OpCase> with_channels(const OpDef& op, const Base& base, std::int64_t channels, std::int64_t filters,
                                    std::int64_t copies) {
  Extents extents;
  bool first = true;
  for (const ExtentGroup& group : base.groups) {
    const bool images = group.has(0, 0);
    const bool counts_channels = !images && std::any_of(group.dims.begin(), group.dims.end(), [](const auto& d) {
      return d.dim == 3 || (d.input > 0 && d.dim == 0);
    });
    extents.push_back(images ? copies * group.extent : !counts_channels ? group.extent : first ? channels : filters);
    first = first && !counts_channels;
  }
  auto c = resized(op, base.call, base.groups, extents);
  if (!c || filters_of(op, *c) == filters_of(op, base.call)) return std::nullopt;
  return steps_of(op, *c) <= 6 * slow_steps ? c : std::nullopt;  // steps_of is far too high here
}

// The pixels of the images of a convolution or its gradient, or of the results if these are fewer.
std::int64_t pixels_of(const OpDef& op, const OpCase& c) {
  const auto pixels = [](const Shape& s) { return s[0] * s[1] * s[2]; };
  const Shape other = op.name == "conv2d_backward_filter" ? c.inputs[1].shape : (*infer_outputs(op, c))[0].shape;
  return std::min(pixels(c.inputs[0].shape), pixels(other));
}

// The number of multiplications of a convolution, or of its gradient.
double products_of(const OpDef& op, const OpCase& c) {
  const Shape y = results_of(op, c);
  return static_cast<double>(y[0] * y[1] * y[2]) * static_cast<double>(filters_of(op, c).size());
}

// What the kernels of convolutions differ in. If the number of channels can change although there are groups, each
// channel is a group of its own.
struct ConvKind {
  enum class Window : std::uint8_t { three_by_three, one_by_one, other };
  bool grouped = false, strided = false, dilated = false;
  Window window = Window::three_by_three;
  bool padded_unequally = false;
  auto operator<=>(const ConvKind&) const = default;

  ConvKind without_details() const { return {grouped, strided, dilated}; }
};

// Whether the numbers of a list attribute differ.
bool has_unequal(const OpDef& op, const OpCase& c, const char* attribute) {
  const std::vector<std::int64_t> numbers = attribute_numbers(op, c, attribute);
  return std::adjacent_find(numbers.begin(), numbers.end(), std::not_equal_to<>()) != numbers.end();
}

ConvKind kind_of(const OpDef& op, const OpCase& c) {
  using Window = ConvKind::Window;
  const Shape w = filters_of(op, c);
  const bool square = w[1] == w[2];
  return {has_above_one(op, c, "groups"), has_above_one(op, c, "strides"), has_above_one(op, c, "dilation"),
          square && w[1] == 3   ? Window::three_by_three
          : square && w[1] == 1 ? Window::one_by_one
                                : Window::other,
          has_unequal(op, c, "padding")};
}

// Convolutions of each kind with as many channels and filters as blocks have, windows of several taps, and many pixels.
// Kinds that differ in window or padding only get fewer of them.
void add_channels(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases, bool main) {
  constexpr std::int64_t several_blocks = 64;
  constexpr double max_products = 1.5e7;  // for the trusted device
  std::set<ConvKind> seen, seen_without_details;
  // Bases that have as many pixels come first. The others get more images.
  for (const bool enlarged : {false, true}) {
    for (const Base& base : bases) {
      const ConvKind kind = kind_of(op, base.call);
      const std::int64_t pixels = pixels_of(op, base.call), copies = (several_blocks + pixels - 1) / pixels;
      if (seen.count(kind) || (copies > 1 && !enlarged)) continue;
      const auto add = [&](std::int64_t channels, std::int64_t filters, bool few) {
        const auto c = with_channels(op, base, channels, filters, copies);
        return add_with_wide_values(out, op, mode, c, Layout::dense, few);
      };
      if (seen_without_details.count(kind.without_details())) {
        const auto c = with_channels(op, base, 72, 80, copies);
        if (!c || products_of(op, *c) > max_products) continue;
        if (!add_with_wide_values(out, op, mode, c, Layout::dense, true)) continue;
        seen.insert(kind);
        // Windows of one pixel: an image is a matrix if it lies dense.
        if (kind != ConvKind{.window = ConvKind::Window::one_by_one}) continue;
        for (const Layout layout : {Layout::padded_rows, Layout::cropped}) {
          add_with_wide_values(out, op, mode, c, layout, true);
        }
        continue;
      }
      if (!add(72, 80, !main)) continue;
      seen.insert(kind);
      seen_without_details.insert(kind.without_details());
      if (main && !kind.strided && !kind.dilated) add(160, 144, true);
      if (kind != ConvKind{}) continue;
      // Whole blocks.
      add(64, 64, true);
      add(128, 64, true);
      // Whole blocks of filters on channels that fill no vector.
      add(3, 64, true);
      add(67, 64, true);
      const auto c = with_channels(op, base, 72, 80, copies);
      // Images that are stored with channels second, and images and filters that lie in unlike orders.
      for (const Layout layout :
           {Layout::channels_second, Layout::padded_rows, mixed_layout(Layout::padded_rows, Layout::transposed)}) {
        if (main || layout == Layout::channels_second) add_with_wide_values(out, op, mode, c, layout, true);
      }
      add_special_values(out, op, c);
    }
  }
}

// Images of several tiles of 16 x 16 pixels, with many channels.
void add_large_images(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases) {
  std::set<ConvKind> seen;
  for (const Base& base : bases) {
    const ConvKind kind = kind_of(op, base.call);
    if (kind != ConvKind{.grouped = kind.grouped} || seen.count(kind)) continue;
    const auto enough = with_channels(op, base, 24, 24, 1);
    if (!enough) continue;
    Base large{*enough, extent_groups(op, *enough)};
    Extents extents;
    std::int64_t side = 35;
    for (const ExtentGroup& group : large.groups) {
      const bool pixels = group.has(0, 1) || group.has(0, 2);
      extents.push_back(pixels ? std::exchange(side, side + 2) : group.extent);
    }
    const auto c = resized(op, large.call, large.groups, extents);
    if (!c || side == 35 || products_of(op, *c) > 3e7) continue;
    if (add_with_wide_values(out, op, mode, c, Layout::dense, true)) seen.insert(kind);
  }
}

// Convolutions of plain kinds with a bias, of more filters than a block has.
void add_biases(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases) {
  constexpr std::int64_t several_blocks = 64;
  std::set<ConvKind> seen;
  for (const Base& base : bases) {
    const ConvKind kind = kind_of(op, base.call);
    const bool has_bias = base.call.inputs.size() > 2 && !base.call.inputs[2].absent;
    if (!has_bias || kind.grouped || kind.dilated || kind.padded_unequally || seen.count(kind)) continue;
    const std::int64_t pixels = pixels_of(op, base.call), copies = (several_blocks + pixels - 1) / pixels;
    const auto c = with_channels(op, base, 24, 80, copies);
    if (add_with_wide_values(out, op, mode, c, Layout::dense, true)) seen.insert(kind);
  }
}

// Each extent as in the own case while the others are as large as affordable.
void add_slabs(Collector& out, const OpDef& op, MathMode mode, const Base& base, bool few) {
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    for (const std::int64_t extent : {1025, 513, 257, 129}) {
      Extents extents(base.groups.size(), extent);
      extents[g] = base.groups[g].extent;
      const auto c = at(op, base, extents);
      if (!c) continue;
      add_with_wide_values(out, op, mode, c, Layout::dense, few);
      break;
    }
  }
}

}  // namespace

void add_products(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases, bool main) {
  const bool is_matmul = op.name == "matmul", lockstep = mode == MathMode::lockstep;
  // Products of matrices are cheap even on the trusted device.
  const double steps = !is_matmul ? (main ? 6e7 : slow_steps) : lockstep ? 4e7 : main ? 5e8 : 7e7;
  if (!lockstep || is_matmul) add_cube(out, op, mode, bases[0], steps);
  if (is_matmul) {
    add_strided_cubes(out, op, mode, bases[0], main);
    add_whole_blocks(out, op, mode, bases[0]);
    add_partly_whole_blocks(out, op, mode, bases[0]);
    add_long_sums(out, op, mode, bases[0]);
    add_batches(out, op, mode, bases);
    add_batched_vectors(out, op, mode, bases);
    add_half_transposed(out, op, mode, bases[0]);
    add_vectors(out, op, mode, bases[0]);
  }
  if (op.name.starts_with("conv2d")) {
    add_channels(out, op, mode, bases, main);
    if (main) add_large_images(out, op, mode, bases);
  }
  if (op.name == "conv2d" && main) add_biases(out, op, mode, bases);
  const bool few = !main || mode != MathMode::strict;
  if (!few || is_matmul) add_slabs(out, op, mode, bases[0], few);
}

}  // namespace lockstep::conformance::large
