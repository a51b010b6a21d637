// Convolution over one, two or three spatial axes. It is a composite of conv2d, so every driver that has conv2d runs
// it, and it is differentiated through its parts. For one axis, a second one of extent 1 is added. For three axes, it
// is a sum over the filter's planes, each of which is a filter over the last two axes.
#include <algorithm>

#include "lockstep/ops/math.h"
#include "lockstep/ops/nn.h"
#include "lockstep/ops/shape.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/call_error.h"
#include "ops/nn/window.h"
#include "ops/shape/indexing.h"
#include "ops/sum_oracle.h"

namespace lockstep {
namespace {

struct ConvAttrs {
  IntList strides{1};
  IntList padding{0, 0};
  IntList dilation{1};
  std::int64_t groups = 1;
};

// Each plane of a filter over three axes is a convolution of its own.
constexpr std::int64_t max_planes = 1024;

// ----------------------------------------------------------------------------------------------------------- inference

void normalize_conv(NormalizeContext& c) {
  auto& a = c.attrs<ConvAttrs>();
  const Shape &image = c.shape(0), &filter = c.shape(1);
  const int axes = spatial_axes(image);
  fill_missing(a.strides, axes, 1);
  fill_missing(a.dilation, axes, 1);
  IntList window = IntList::missing();
  fill_missing(window, axes, 1);
  const bool reads_filter = is_same_padding(a.padding) && filter.rank() == image.rank();
  for (int side = 0; reads_filter && side < axes; ++side) window.values[side] = filter[side + 1];
  a.padding = resolve_padding(a.padding, image, window, a.strides, a.dilation);
}

// What the sum over planes must know about a convolution over three axes.
void check_depth(const InferContext& c) {
  const auto& padding = c.attrs<ConvAttrs>().padding;
  const Dim depth = c.shape(0).dim(1), planes = c.shape(1).dim(1);
  const bool padded = padding[0] > 0 || padding[1] > 0;
  if (!planes.is_known() || (padded && !depth.is_known())) {
    c.fail(ErrorId::symbolic_value,
           planes.is_known() ? "the depth " + depth.to_string() + " is symbolic, and padded"
                             : "the filter has a symbolic number of planes, " + planes.to_string(),
           "make the call with that extent known");
  }
  if (planes.value() <= max_planes) return;
  c.fail(
      ErrorId::invalid_attribute,
      "the filter has " + planes.to_string() + " planes, over three axes it has at most " + std::to_string(max_planes),
      "use a smaller filter, or order the axes so that another one is the first");
}

void infer_conv(InferContext& c) {
  const int axes = require_spatial_axes(c, c.shape(0));
  c.require_rank(1, c.rank(0));
  const Shape y = convolved(c, c.shape(0), c.shape(1), c.attrs<ConvAttrs>());
  if (axes == 3) check_depth(c);
  if (c.has(2)) {
    c.require_rank(2, 1);
    c.require_equal(c.shape(2).dim(0), y.dim(-1), ErrorId::shapes_differ, "bias and output channels");
  }
  c.set(0, c.group_dtype(), y);
}

// ------------------------------------------------------------------------------------------------------- decomposition

// The lists of the last two axes.
IntList last_two(const IntList& list) { return IntList(list.view().last(2)); }
Conv2dAttrs over_last_two(const ConvAttrs& a) {
  return {last_two(a.strides), IntList(a.padding.view().last(4)), last_two(a.dilation), a.groups};
}

Tensor call_conv2d(const Operand& x, const Operand& w, const Operand& bias, const Conv2dAttrs& attrs) {
  static const OpDef& op = built_in("conv2d");
  return invoke1(op, {x, w, bias}, &attrs);
}

Operand bias_of(const DecomposeContext& c) { return c.has(2) ? c.input(2) : Operand::absent(c.call().where); }

// One axis: images of one row.
Tensor over_columns(const DecomposeContext& c) {
  const auto& a = c.attrs<ConvAttrs>();
  const CallSite at = c.call().where;
  const Tensor rows = expand_dims(c.input(0), 1), filters = expand_dims(c.input(1), 1);
  const Conv2dAttrs attrs{{1, a.strides[0]}, {0, 0, a.padding[0], a.padding[1]}, {1, a.dilation[0]}, a.groups};
  const Tensor y = call_conv2d({rows, at}, {filters, at}, bias_of(c), attrs);
  return reshape({y, at}, c.output_spec(0).shape);
}

// The planes of the result for which a tap of the first axis lies inside the image, and the plane that it reads for the
// first of them.
struct Planes {
  std::int64_t first = 0;
  Dim count = 0;
  std::int64_t read = 0;
};

Planes planes_of_tap(const ConvAttrs& a, std::int64_t tap, Dim image, Dim result) {
  const std::int64_t stride = a.strides[0], read = tap * a.dilation[0] - a.padding[0];
  if (a.padding[0] == 0 && a.padding[1] == 0) return {0, result, read};  // all of them; the depth may be symbolic
  const std::int64_t first = read >= 0 ? 0 : (-read + stride - 1) / stride;
  const std::int64_t behind = image.value() - read;  // results end where od stride reaches this
  const std::int64_t end = behind <= 0 ? 0 : std::min((behind - 1) / stride + 1, result.value());
  if (end <= first) return {};
  return {first, end - first, read + first * stride};
}

// The sum's part of one tap of the first axis: a convolution over the last two, of the planes that the tap reads.
// Planes of the result for which it reads the padding get zeros, so nothing is multiplied by them.
Tensor part_of_tap(const DecomposeContext& c, const Planes& planes, const Tensor& filter) {
  static const OpDef& slice_op = built_in("slice");
  const auto& a = c.attrs<ConvAttrs>();
  const CallSite at = c.call().where;
  const Shape& x = c.input(0).tensor().shape();
  const Shape& y = c.output_spec(0).shape;
  Shape read = x, given = y;
  read.set_dim(1, planes.count);
  given.set_dim(1, planes.count);
  const SliceAttrs taken{{0, planes.read, 0, 0, 0}, list_of(read), {1, a.strides[0], 1, 1, 1}};
  const Tensor image = invoke1(slice_op, {c.input(0)}, &taken);
  const Dim count = extents_for("conv", c.input(0), [&] { return x.dim(0) * planes.count; });
  const Tensor folded = reshape({image, at}, Shape{count, x.dim(2), x.dim(3), x.dim(4)});
  const Tensor plane = squeeze({filter, at}, 1);
  const Tensor sums = call_conv2d({folded, at}, {plane, at}, Operand::absent(at), over_last_two(a));
  const Tensor part = reshape({sums, at}, given);
  if (planes.count == y.dim(1)) return part;
  const std::int64_t behind = y[1] - planes.first - planes.count.value();
  return pad({part, at}, {0, planes.first, 0, 0, 0}, {0, behind, 0, 0, 0}, 0);
}

// Three axes: the sum over the taps of the first, in ascending order.
Tensor over_planes(const DecomposeContext& c) {
  const auto& a = c.attrs<ConvAttrs>();
  const CallSite at = c.call().where;
  const Shape& w = c.input(1).tensor().shape();
  const Dim depth = c.input(0).tensor().shape().dim(1), result = c.output_spec(0).shape.dim(1);
  const std::vector<Tensor> filters = split(c.input(1), w[1], 1);
  std::optional<Tensor> total;
  for (std::int64_t tap = 0; tap < w[1]; ++tap) {
    const Planes planes = planes_of_tap(a, tap, depth, result);
    if (planes.count == Dim(0)) continue;
    const Tensor part = part_of_tap(c, planes, filters[static_cast<std::size_t>(tap)]);
    total = total ? lockstep::add({*total, at}, {part, at}) : part;
  }
  // If every tap is in the padding, the result still depends on the operands, for tapes: the gradients are zeros.
  if (!total) total = part_of_tap(c, {}, filters[0]);
  return c.has(2) ? lockstep::add({*total, at}, c.input(2)) : *total;
}

void decompose_conv(DecomposeContext& c) {
  switch (c.output_spec(0).shape.rank()) {
    case 3: return c.set(0, over_columns(c));
    case 4: return c.set(0, call_conv2d(c.input(0), c.input(1), bias_of(c), over_last_two(c.attrs<ConvAttrs>())));
    default: return c.set(0, over_planes(c));
  }
}

// -------------------------------------------------------------------------------------------------------------- oracle

// The sum over the taps and channels, straight from the definition: for any number of axes, and without other ops.
void conv_reference(RefContext& r) {
  const auto& a = r.attrs<ConvAttrs>();
  const RefArray &x = r.inputs[0], &w = r.inputs[1];
  const auto axes = static_cast<std::size_t>(spatial_axes(x.shape));
  const std::int64_t per_group = w.shape[0] / a.groups;
  Shape taps;
  for (std::size_t s = 0; s < axes; ++s) taps.append(w.shape.dim(static_cast<int>(s) + 1));
  SumOracle sums(r.outputs[0]);
  Index from_x(axes + 2), from_w(axes + 2);
  for_each_index(r.outputs[0].shape, [&](const Index& out, std::int64_t n) {
    const std::int64_t filter = out[axes + 1];
    from_x[0] = out[0];
    from_w[0] = filter;
    for_each_index(taps, [&](const Index& tap, std::int64_t) {
      for (std::size_t s = 0; s < axes; ++s) {
        from_w[s + 1] = tap[s];
        from_x[s + 1] = out[s + 1] * a.strides[s] - a.padding[2 * s] + tap[s] * a.dilation[s];
        if (from_x[s + 1] < 0 || from_x[s + 1] >= x.shape[static_cast<int>(s) + 1]) return;  // in the padding
      }
      const std::int64_t channels = w.shape[-1];
      from_w[axes + 1] = 0;
      from_x[axes + 1] = filter / per_group * channels;
      sums.add_products(static_cast<std::size_t>(n), x.values.data() + position_of(x.shape, from_x), 1,
                        w.values.data() + position_of(w.shape, from_w), 1, channels);
    });
    const bool has_bias = r.inputs.size() > 2 && !r.inputs[2].values.empty();
    if (has_bias) sums.add(static_cast<std::size_t>(n), r.inputs[2].values[static_cast<std::size_t>(filter)]);
  });
  sums.finish();
}

// --------------------------------------------------------------------------------------------------------------- cases

struct ConvCase {
  const char* name;
  Shape x, w;
  ConvAttrs attrs;
};

const std::vector<ConvCase>& conv_cases() {
  static const std::vector<ConvCase> cases = {
      {"line", {2, 9, 3}, {4, 3, 3}, {}},
      {"line_same", {1, 8, 2}, {3, 4, 2}, {{1}, {1, 2}, {1}, 1}},
      {"line_strided", {2, 11, 3}, {4, 3, 3}, {{2}, {1, 0}, {1}, 1}},
      {"line_dilated", {1, 12, 2}, {3, 3, 2}, {{1}, {0, 0}, {3}, 1}},
      {"line_grouped", {1, 9, 4}, {6, 3, 2}, {{1}, {1, 1}, {1}, 2}},
      {"line_depthwise", {2, 10, 5}, {5, 3, 1}, {{1}, {0, 0}, {1}, 5}},
      {"line_pointwise", {2, 7, 6}, {4, 1, 6}, {}},
      {"image", {1, 9, 10, 4}, {6, 3, 2, 2}, {{2, 1}, {1, 0, 0, 2}, {1, 2}, 2}},
      {"volume", {2, 4, 5, 4, 2}, {3, 2, 3, 2, 2}, {{1, 1, 1}, {0, 0, 0, 0, 0, 0}, {1, 1, 1}, 1}},
      {"volume_same", {1, 4, 4, 5, 2}, {3, 3, 3, 3, 2}, {{1, 1, 1}, {1, 1, 1, 1, 1, 1}, {1, 1, 1}, 1}},
      {"volume_strided", {2, 6, 7, 5, 2}, {3, 3, 2, 2, 2}, {{2, 3, 1}, {1, 2, 0, 1, 1, 0}, {1, 1, 1}, 1}},
      {"volume_dilated", {1, 7, 6, 7, 1}, {2, 3, 2, 2, 1}, {{1, 1, 1}, {2, 1, 0, 0, 0, 0}, {3, 2, 1}, 1}},
      {"volume_grouped", {1, 4, 3, 4, 4}, {6, 2, 2, 3, 2}, {{1, 1, 1}, {0, 0, 0, 0, 0, 0}, {1, 1, 1}, 2}},
      {"volume_depthwise", {1, 4, 4, 3, 3}, {3, 2, 3, 3, 1}, {{1, 1, 1}, {0, 1, 1, 1, 1, 1}, {1, 1, 1}, 3}},
      // Some planes of the result have all taps in the padding.
      {"volume_padded", {1, 2, 3, 3, 2}, {3, 2, 1, 2, 2}, {{1, 1, 1}, {3, 2, 0, 0, 0, 0}, {1, 1, 1}, 1}},
  };
  return cases;
}

// Attributes that meet. They stand behind all other cases, whose layouts and values stay as they are.
const std::vector<ConvCase>& later_cases() {
  static const std::vector<ConvCase> cases = {
      {"line_causal", {1, 9, 2}, {3, 3, 2}, {{1}, {4, 0}, {2}, 1}},
      {"line_depthwise_dilated", {1, 8, 4}, {4, 3, 1}, {{1}, {2, 2}, {2}, 4}},
      {"line_strided_grouped", {1, 9, 4}, {4, 3, 2}, {{2}, {1, 0}, {1}, 2}},
      {"line_pointwise_strided", {2, 7, 3}, {4, 1, 3}, {{3}, {0, 0}, {1}, 1}},
      {"image_plain", {1, 4, 5, 3}, {4, 2, 3, 3}, {{1, 1}, {0, 0, 0, 0}, {1, 1}, 1}},
      {"volume_pointwise_strided", {1, 3, 3, 5, 2}, {3, 1, 1, 1, 2}, {{2, 1, 2}, {0, 0, 0, 0, 0, 0}, {1, 1, 1}, 1}},
      {"volume_strided_dilated", {1, 5, 4, 5, 1}, {2, 2, 2, 2, 1}, {{2, 1, 2}, {1, 0, 0, 1, 1, 1}, {2, 1, 2}, 1}},
  };
  return cases;
}

std::vector<OpCase> all_cases() {
  std::vector<OpCase> cases;
  std::size_t turn = 0;
  for (DType dtype : floating_dtypes) {
    for (const ConvCase& c : conv_cases()) {
      ++turn;
      for (bool bias : {false, true}) {
        if (dtype != DType::f32 && bias != (turn % 2 == 0)) continue;
        cases.push_back(OpCase{std::string(name_of(dtype)) + "/" + c.name + (bias ? "/bias" : ""),
                               {{c.x, dtype}, {c.w, dtype}, {Shape{c.w[0]}, dtype, {}, !bias}}}
                            .with(c.attrs));
      }
    }
  }
  const auto wrong = [&](const char* name, Shape x, Shape w, ConvAttrs a, ErrorId error) {
    cases.push_back(OpCase{name, {{x}, {w}, {Shape{}, DType::f32, {}, true}}, {}, {}, error}.with(a));
  };
  wrong("error/rank", {5, 3}, {4, 3}, {}, ErrorId::wrong_rank);
  wrong("error/four_axes", {1, 2, 2, 2, 2, 3}, {4, 2, 2, 2, 2, 3}, {}, ErrorId::wrong_rank);
  wrong("error/ranks", {1, 5, 3}, {4, 3, 3, 3}, {}, ErrorId::wrong_rank);
  wrong("error/lists", {1, 5, 3}, {4, 3, 3}, {{1, 1}, {0, 0}, {1}, 1}, ErrorId::invalid_attribute);
  wrong("error/channels", {1, 5, 2}, {4, 3, 3}, {}, ErrorId::inner_dimensions);
  wrong("error/window", {1, 2, 3}, {4, 3, 3}, {}, ErrorId::invalid_shape);
  wrong("error/no_taps", {1, 5, 3}, {4, 0, 3}, {}, ErrorId::invalid_shape);
  wrong("error/stride", {1, 5, 3}, {4, 3, 3}, {{0}, {0, 0}, {1}, 1}, ErrorId::invalid_attribute);
  wrong("error/groups", {1, 5, 4}, {3, 3, 2}, {{1}, {0, 0}, {1}, 2}, ErrorId::invalid_attribute);
  wrong("error/planes", {1, 1025, 1, 1, 1}, {1, 1025, 1, 1, 1}, {{1, 1, 1}, {0, 0, 0, 0, 0, 0}, {1, 1, 1}, 1},
        ErrorId::invalid_attribute);
  for (DType dtype : floating_dtypes) {
    for (const ConvCase& c : later_cases()) {
      const bool bias = ++turn % 2 == 0;
      cases.push_back(OpCase{std::string(name_of(dtype)) + "/" + c.name + (bias ? "/bias" : ""),
                             {{c.x, dtype}, {c.w, dtype}, {Shape{c.w[0]}, dtype, {}, !bias}}}
                          .with(c.attrs));
    }
  }
  return cases;
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(150, conv) {
  OpDef op;
  op.name = "conv";
  op.doc =
      "Cross-correlation of images with filters over one, two or three spatial axes, plus a bias per output channel if "
      "given.";
  op.inputs = {
      {.name = "x", .types = types::floating, .doc = "images, (batch, one to three spatial extents, channels)"},
      {.name = "w",
       .types = types::floating,
       .doc = "filters, (output channels, the same number of spatial extents, channels / groups)"},
      {.name = "bias", .types = types::floating, .optional = true, .doc = "(output channels,)"}};
  op.outputs[0].doc = "(batch, output extents, output channels)";
  using A = ConvAttrs;
  const ArgumentDef ones{.kind = ArgumentKind::list, .otherwise = "1 along each axis"};
  op.attrs = attr_schema<A>(
      "lks_conv_attrs", A{IntList::missing(), spatial_padding(Padding::valid()), IntList::missing(), 1},
      attr("strides", &A::strides, "one number per spatial axis", ones), spatial_padding_attr(&A::padding),
      attr("dilation", &A::dilation, "one number per spatial axis", ones),
      attr("groups", &A::groups, "channels are split into this many independent groups",
           {.kind = ArgumentKind::integer}));
  op.error_class = ErrorClass::sum;
  op.normalize = &normalize_conv;
  op.infer = &infer_conv;
  op.decompose = &decompose_conv;
  op.reference = &conv_reference;
  op.cases = &all_cases;
  return op;
}

}  // namespace defs

Tensor conv(Operand x, Operand w, SpatialConvolution options) {
  return conv(x, w, Operand::absent(x.where()), std::move(options));
}

Tensor conv(Operand x, Operand w, Operand bias, SpatialConvolution options) {
  static const OpDef& op = built_in("conv");
  ConvAttrs attrs{list_or_missing(op, x, options.strides, "strides"), spatial_padding(options.padding),
                  list_or_missing(op, x, options.dilation, "dilation"), options.groups};
  const Operand inputs[] = {x, w, bias};
  normalize_attributes(op, inputs, &attrs);
  return invoke1(op, inputs, &attrs);
}

}  // namespace lockstep
