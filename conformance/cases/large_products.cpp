// Products with several large extents.
#include <algorithm>
#include <cstring>

#include "conformance/cases/extents.h"
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
    if (add_with_wide_values(out, op, mode, c, Layout::dense, false)) return;
  }
}

// The same with operands that lie in other orders, as in gradients.
void add_strided_cubes(Collector& out, const OpDef& op, MathMode mode, const Base& base, bool main) {
  const auto c = cube(op, base, main ? 321 : 257);
  if (!c) return;
  add_with_wide_values(out, op, mode, c, Layout::transposed, !main);
  if (!main || mode == MathMode::lockstep) return;
  // Operands that lie in unlike orders.
  for (const unsigned n : {1u, 2u * 18u + 17u}) add_with_wide_values(out, op, mode, c, mixed_layout(n), true);
  add_with_wide_values(out, op, mode, c, Layout::padded_rows, true);
}

// Batches of matrices of several blocks.
void add_batches(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases) {
  const auto base = std::find_if(bases.begin(), bases.end(), [](const Base& b) { return largest_rank(b.call) == 3; });
  if (base == bases.end()) return;
  constexpr std::int64_t sides[] = {67, 70, 131};
  Extents extents;
  std::size_t next = 0;
  for (const ExtentGroup& group : base->groups) {
    const bool is_batch = std::all_of(group.dims.begin(), group.dims.end(), [](const auto& d) { return d.dim == 0; });
    extents.push_back(is_batch ? 5 : sides[next++ % std::size(sides)]);
  }
  const auto c = at(op, *base, extents);
  add_with_wide_values(out, op, mode, c, Layout::dense, false);
  add_with_wide_values(out, op, mode, c, Layout::last_two_swapped, true);
}

// The largest element of a list attribute; 1 if the op does not have it.
std::int64_t largest_of(const OpDef& op, const OpCase& c, const char* attribute) {
  const std::vector<std::byte> attrs = attribute_bytes(op, c);
  std::int64_t largest = 1;
  for (const AttrField& field : op.attrs.fields) {
    if (field.name != attribute || field.kind != AttrField::Kind::list) continue;
    IntList list;
    std::memcpy(&list, attrs.data() + field.offset, sizeof list);
    for (const std::int64_t v : list.view()) largest = std::max(largest, v);
  }
  return largest;
}

// A convolution with so many channels and filters; its other extents are those of its own case.
std::optional<OpCase> with_channels(const OpDef& op, const Base& base, std::int64_t channels, std::int64_t filters) {
  Extents extents;
  bool first = true;
  for (const ExtentGroup& group : base.groups) {
    const auto has = [&](auto&& holds) { return std::any_of(group.dims.begin(), group.dims.end(), holds); };
    const bool images = has([](const auto& d) { return d.input == 0 && d.dim == 0; });
    const bool counts_channels =
        !images && has([](const auto& d) { return d.dim == 3 || (d.input > 0 && d.dim == 0); });
    extents.push_back(!counts_channels ? group.extent : first ? channels : filters);
    first = first && !counts_channels;
  }
  auto c = resized(op, base.call, base.groups, extents);
  return c && steps_of(op, *c) <= 6 * slow_steps ? c : std::nullopt;  // steps_of is far too high here
}

// The pixels of the images of a convolution or its gradient, or of the results if these are fewer.
std::int64_t pixels_of(const OpDef& op, const OpCase& c) {
  const auto pixels = [](const Shape& s) { return s[0] * s[1] * s[2]; };
  const Shape other = op.name == "conv2d_backward_filter" ? c.inputs[1].shape : (*infer_outputs(op, c))[0].shape;
  return std::min(pixels(c.inputs[0].shape), pixels(other));
}

// Convolutions with as many channels and filters as blocks have, and windows of several taps: without strides, with
// strides and with dilation.
void add_channels(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases, bool main) {
  bool has_plain = false, has_strided = false, has_dilated = false;
  for (const Base& base : bases) {
    const std::int64_t stride = largest_of(op, base.call, "strides"), dilation = largest_of(op, base.call, "dilation");
    bool& seen = dilation > 1 ? has_dilated : stride > 1 ? has_strided : has_plain;
    const auto c = with_channels(op, base, 72, 80);
    constexpr std::int64_t several_blocks = 64;
    if (seen || !c || pixels_of(op, *c) < several_blocks || (!main && dilation > 1)) continue;
    seen = true;
    add_with_wide_values(out, op, mode, c, Layout::dense, !main);
    if (main && stride == 1 && dilation == 1) {
      add_with_wide_values(out, op, mode, with_channels(op, base, 160, 144), Layout::dense, true);
    }
  }
}

// Each extent as in the own case while the others are as large as affordable.
void add_slabs(Collector& out, const OpDef& op, MathMode mode, const Base& base) {
  for (std::size_t g = 0; g < base.groups.size(); ++g) {
    for (const std::int64_t extent : {1025, 513, 257, 129}) {
      Extents extents(base.groups.size(), extent);
      extents[g] = base.groups[g].extent;
      const auto c = at(op, base, extents);
      if (!c) continue;
      add_with_wide_values(out, op, mode, c, Layout::dense, false);
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
    add_batches(out, op, mode, bases);
  }
  if (op.name.starts_with("conv2d")) add_channels(out, op, mode, bases, main);
  if (main && mode == MathMode::strict) add_slabs(out, op, mode, bases[0]);
}

}  // namespace lockstep::conformance::large
