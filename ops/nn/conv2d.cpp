// Convolution and its two gradients. Each is linear in each input, and the gradients of all three are again one of the
// three, so second derivatives need no other op.
#include "lockstep/ops/math.h"
#include "lockstep/ops/reduce.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/nn/window.h"
#include "ops/sum_oracle.h"
#include "runtime/caller.h"

namespace lockstep {
namespace {

// The gradients of a convolution carry the result's shape, because their inputs do not determine it.
struct Conv2dBackwardAttrs {
  IntList strides{1, 1};
  IntList padding{0, 0, 0, 0};
  IntList dilation{1, 1};
  std::int64_t groups = 1;
  IntList shape;  // of the result: NHWC of the input, or OHWI of the filter
};

constexpr const char* groups_doc = "channels are split into this many independent groups";

AttrSchema conv_schema(const char* name) {
  using A = Conv2dAttrs;
  return attr_schema<A>(name, A{{1, 1}, spatial_padding(Padding::valid()), {1, 1}, 1}, strides_attr(&A::strides),
                        padding_attr(&A::padding), attr("dilation", &A::dilation, "height, width", pair_argument()),
                        attr("groups", &A::groups, groups_doc, {.kind = ArgumentKind::integer}));
}

AttrSchema conv_backward_schema(const char* name, const char* shape_doc) {
  using A = Conv2dBackwardAttrs;
  return attr_schema<A>(name, strides_attr(&A::strides),
                        attr("padding", &A::padding, "top, bottom, left, right", {.kind = ArgumentKind::list}),
                        attr("dilation", &A::dilation, "height, width", pair_argument()),
                        attr("groups", &A::groups, groups_doc, {.kind = ArgumentKind::integer}),
                        attr("shape", &A::shape, shape_doc, {.kind = ArgumentKind::extents, .required = true}));
}

// Calls visit(y position, x position, w position, count) for all products of the convolution: those of `count`
// successive positions of x and w, which belong to one position of y.
template <class A, class Visit>
void for_each_tap(const Shape& x, const Shape& w, const Shape& y, const A& a, Visit&& visit) {
  const std::int64_t per_group = w[0] / a.groups;
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t oh = 0; oh < y[1]; ++oh)
      for (std::int64_t ow = 0; ow < y[2]; ++ow)
        for (std::int64_t o = 0; o < y[3]; ++o)
          for (std::int64_t kh = 0; kh < w[1]; ++kh)
            for (std::int64_t kw = 0; kw < w[2]; ++kw) {
              const std::int64_t h = oh * a.strides[0] - a.padding[0] + kh * a.dilation[0];
              const std::int64_t v = ow * a.strides[1] - a.padding[2] + kw * a.dilation[1];
              if (h < 0 || h >= x[1] || v < 0 || v >= x[2]) continue;
              visit(at4(y, n, oh, ow, o), at4(x, n, h, v, o / per_group * w[3]), at4(w, o, kh, kw, 0), w[3]);
            }
}

const long double* values_at(const RefArray& array, std::size_t position) { return array.values.data() + position; }

struct ConvCase {
  const char* name;
  Shape x, w;
  Conv2dAttrs attrs;
};

const std::vector<ConvCase>& conv_cases() {
  static const std::vector<ConvCase> cases = {
      {"plain", {2, 6, 7, 3}, {4, 3, 3, 3}, {}},
      {"same", {1, 5, 5, 2}, {3, 3, 3, 2}, {{1, 1}, {1, 1, 1, 1}, {1, 1}, 1}},
      {"strided", {2, 9, 8, 2}, {3, 3, 2, 2}, {{2, 3}, {1, 0, 0, 2}, {1, 1}, 1}},
      {"dilated", {1, 9, 9, 2}, {2, 3, 3, 2}, {{1, 1}, {0, 0, 0, 0}, {2, 3}, 1}},
      {"grouped", {1, 5, 6, 4}, {6, 3, 3, 2}, {{1, 1}, {1, 1, 1, 1}, {1, 1}, 2}},
      {"depthwise", {2, 6, 6, 5}, {5, 3, 3, 1}, {{1, 1}, {1, 1, 1, 1}, {1, 1}, 5}},
      {"pointwise", {2, 4, 3, 7}, {5, 1, 1, 7}, {}},
      {"uneven", {1, 7, 7, 1}, {2, 2, 2, 1}, {{3, 3}, {0, 0, 0, 0}, {1, 1}, 1}},
      {"many_filters", {1, 9, 9, 3}, {70, 3, 3, 3}, {{1, 1}, {1, 1, 1, 1}, {1, 1}, 1}},
      {"wide", {1, 8, 8, 16}, {32, 3, 3, 16}, {{1, 1}, {1, 1, 1, 1}, {1, 1}, 1}},
      {"wide_groups", {1, 7, 6, 32}, {48, 3, 3, 8}, {{1, 1}, {1, 1, 1, 1}, {1, 1}, 4}},
  };
  return cases;
}

// Cases that combine several attributes, and large ones. Each is tested with f32 and with one other dtype; those in
// which two of strides, dilation and groups meet, with every dtype.
const std::vector<ConvCase>& combined_cases() {
  static const std::vector<ConvCase> cases = {
      {"pointwise_strided", {2, 7, 8, 3}, {5, 1, 1, 3}, {{2, 3}, {0, 0, 0, 0}, {1, 1}, 1}},
      {"pointwise_padded", {2, 4, 5, 3}, {4, 1, 1, 3}, {{1, 1}, {1, 0, 2, 1}, {1, 1}, 1}},
      {"pointwise_strided_padded_grouped", {1, 6, 7, 4}, {6, 1, 1, 2}, {{2, 2}, {1, 1, 0, 1}, {1, 1}, 2}},
      {"strided_dilated", {2, 11, 12, 3}, {4, 3, 2, 3}, {{2, 3}, {1, 2, 2, 0}, {2, 3}, 1}},
      {"strided_grouped", {1, 9, 8, 6}, {4, 3, 3, 3}, {{2, 2}, {1, 0, 0, 1}, {1, 1}, 2}},
      {"dilated_grouped", {1, 9, 10, 4}, {6, 3, 2, 2}, {{1, 1}, {1, 1, 0, 2}, {2, 3}, 2}},
      {"strided_dilated_grouped", {2, 10, 11, 6}, {3, 2, 3, 2}, {{3, 2}, {2, 1, 1, 1}, {2, 2}, 3}},
      {"depthwise_multiplier", {2, 6, 7, 3}, {6, 3, 3, 1}, {{1, 1}, {1, 1, 1, 1}, {1, 1}, 3}},
      {"depthwise_multiplier_strided", {1, 9, 8, 4}, {12, 3, 2, 1}, {{2, 2}, {1, 0, 1, 1}, {1, 2}, 4}},
      {"one_sided", {1, 5, 19, 2}, {3, 1, 7, 2}, {{1, 2}, {0, 0, 3, 3}, {1, 1}, 1}},
      {"large_window", {1, 19, 18, 2}, {3, 17, 16, 2}, {{1, 1}, {1, 0, 0, 1}, {1, 1}, 1}},
      // Large already, because strides couple the extents of image and result: conformance cannot enlarge such cases.
      {"tall_strided", {1, 149, 5, 2}, {3, 3, 3, 2}, {{2, 2}, {1, 1, 1, 1}, {1, 1}, 1}},
      {"broad_strided", {1, 4, 275, 2}, {4, 2, 3, 1}, {{1, 2}, {0, 1, 0, 1}, {1, 1}, 2}},
      {"patches", {1, 32, 48, 3}, {5, 16, 16, 3}, {{16, 16}, {0, 0, 0, 0}, {1, 1}, 1}},
      {"far_apart", {1, 25, 39, 2}, {3, 2, 3, 2}, {{9, 17}, {1, 0, 0, 2}, {1, 1}, 1}},
      {"widely_dilated", {1, 22, 38, 2}, {2, 3, 3, 2}, {{1, 1}, {0, 0, 0, 0}, {9, 17}, 1}},
      {"widely_padded", {1, 3, 4, 2}, {3, 10, 17, 2}, {{1, 1}, {8, 9, 16, 15}, {1, 1}, 1}},
      {"depthwise_strided", {2, 6, 8, 5}, {5, 3, 3, 1}, {{2, 2}, {1, 1, 1, 1}, {1, 1}, 5}},
      {"many_groups", {1, 4, 5, 80}, {40, 2, 3, 2}, {{1, 1}, {1, 0, 0, 1}, {1, 1}, 40}},
  };
  return cases;
}

// The cases that a dtype is tested with.
std::vector<ConvCase> cases_for(DType dtype) {
  std::vector<ConvCase> cases = conv_cases();
  std::size_t turn = 0;
  for (const ConvCase& c : combined_cases()) {
    constexpr DType others[] = {DType::f64, DType::f16, DType::bf16};
    const bool strides = c.attrs.strides[0] > 1 || c.attrs.strides[1] > 1;
    const bool dilation = c.attrs.dilation[0] > 1 || c.attrs.dilation[1] > 1;
    const bool meet = int{strides} + int{dilation} + int{c.attrs.groups > 1} > 1;
    if (dtype == others[turn++ % std::size(others)] || dtype == DType::f32 || meet) cases.push_back(c);
  }
  return cases;
}

// Calls for which a kernel may take a short cut. They stand behind all other cases of an op, whose layouts and values
// stay as they are. The last one gets all layouts.
std::vector<ConvCase> short_cuts_for(DType dtype) {
  std::vector<ConvCase> cases = {
      {"pointwise_grouped", {2, 4, 5, 6}, {4, 1, 1, 3}, {{1, 1}, {0, 0, 0, 0}, {1, 1}, 2}},
      {"depthwise_dilated", {1, 7, 8, 5}, {5, 3, 3, 1}, {{1, 1}, {2, 2, 2, 2}, {2, 2}, 5}},
      {"depthwise_unpadded", {1, 5, 6, 5}, {5, 3, 3, 1}, {{1, 1}, {0, 0, 0, 0}, {1, 1}, 5}},
      {"depthwise_strided_unpadded", {1, 7, 8, 5}, {5, 3, 3, 1}, {{2, 2}, {0, 0, 0, 0}, {1, 1}, 5}},
      {"row_window", {1, 6, 13, 2}, {3, 1, 7, 2}, {{1, 1}, {0, 0, 3, 3}, {1, 1}, 1}},
      {"window_of_5", {1, 8, 9, 2}, {3, 5, 5, 2}, {{1, 1}, {2, 2, 2, 2}, {1, 1}, 1}},
      {"dilated_padded", {1, 7, 8, 2}, {3, 3, 3, 2}, {{1, 1}, {2, 2, 2, 2}, {2, 2}, 1}},
      {"blocks_in_groups", {1, 6, 7, 48}, {64, 3, 3, 24}, {{1, 1}, {1, 1, 1, 1}, {1, 1}, 2}},
      {"depthwise_multiplied", {1, 6, 6, 24}, {48, 3, 3, 1}, {{1, 1}, {1, 1, 1, 1}, {1, 1}, 24}},
      {"strided_grouped_unpadded", {1, 7, 8, 6}, {4, 3, 3, 3}, {{2, 2}, {0, 0, 0, 0}, {1, 1}, 2}},
      {"grouped_unpadded", {1, 5, 6, 8}, {6, 3, 3, 4}, {{1, 1}, {0, 0, 0, 0}, {1, 1}, 2}},
  };
  const ConvCase& pointwise_strided = combined_cases().front();  // f32 and f64 have it already
  if (dtype == DType::f16 || dtype == DType::bf16) cases.insert(cases.begin(), pointwise_strided);
  return cases;
}

Shape output_shape(const ConvCase& c) {
  const auto extent = [&](int side) {
    const auto s = static_cast<std::size_t>(side);
    const std::int64_t padded = c.x[side + 1] + c.attrs.padding[2 * s] + c.attrs.padding[2 * s + 1];
    return (padded - (c.w[side + 1] - 1) * c.attrs.dilation[s] - 1) / c.attrs.strides[s] + 1;
  };
  return {c.x[0], extent(0), extent(1), c.w[0]};
}

Conv2dBackwardAttrs backward_attrs(const Conv2dAttrs& a, const Shape& shape) {
  return {a.strides, a.padding, a.dilation, a.groups, list_of(shape)};
}

Conv2dAttrs forward_attrs(const Conv2dBackwardAttrs& a) { return {a.strides, a.padding, a.dilation, a.groups}; }

Tensor backward_input(const Operand& dy, const Operand& w, const Conv2dBackwardAttrs& attrs) {
  static const OpDef& op = built_in("conv2d_backward_input");
  return invoke1(op, {dy, w}, &attrs);
}

Tensor backward_filter(const Operand& x, const Operand& dy, const Conv2dBackwardAttrs& attrs) {
  static const OpDef& op = built_in("conv2d_backward_filter");
  return invoke1(op, {x, dy}, &attrs);
}

Tensor forward(const Operand& x, const Operand& w, const Conv2dAttrs& attrs) {
  static const OpDef& op = built_in("conv2d");
  return invoke1(op, {x, w, Operand::absent(x.where())}, &attrs);
}

// What the two gradients of conv2d have in common. Input `dy` is the gradient of conv2d's result. The other input and
// the output are conv2d's image and filter, which have the extents of the attribute where they are the output.
OpDef backward_op(const char* name, std::size_t dy) {
  OpDef op;
  op.name = name;
  op.internal = true;
  op.error_class = ErrorClass::sum;
  op.infer = [dy](InferContext& c) {
    c.require_rank(0, 4);
    c.require_rank(1, 4);
    const auto& a = c.attrs<Conv2dBackwardAttrs>();
    c.require_count(a.shape, 4, "shape");
    const Shape computed = shape_of(a.shape);
    const Shape& x = dy == 0 ? computed : c.shape(0);
    const Shape& w = dy == 0 ? c.shape(1) : computed;
    require_result_shape(c, dy, convolved(c, x, w, a), "convolution");
    c.set(0, c.group_dtype(), computed);
  };
  op.saves = {{.inputs = 0b10}, {.inputs = 0b01}};
  op.cases = [dy] {
    std::vector<OpCase> cases;
    const auto add = [&](DType dtype, const std::vector<ConvCase>& all) {
      for (const ConvCase& c : all) {
        const Shape result = output_shape(c);
        cases.push_back(OpCase{std::string(name_of(dtype)) + "/" + c.name,
                               {{dy == 0 ? result : c.x, dtype}, {dy == 0 ? c.w : result, dtype}}}
                            .with(backward_attrs(c.attrs, dy == 0 ? c.x : c.w)));
      }
    };
    for (DType dtype : floating_dtypes) add(dtype, cases_for(dtype));
    for (DType dtype : floating_dtypes) add(dtype, short_cuts_for(dtype));
    return cases;
  };
  return op;
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(80, conv2d) {
  OpDef op;
  op.name = "conv2d";
  op.doc = "Cross-correlation of NHWC images with OHWI filters, plus a bias per output channel if given.";
  op.inputs = {
      {.name = "x", .types = types::floating, .doc = "images, (batch, height, width, channels)"},
      {.name = "w", .types = types::floating, .doc = "filters, (output channels, height, width, channels / groups)"},
      {.name = "bias", .types = types::floating, .optional = true, .doc = "(output channels,)"}};
  op.outputs[0].doc = "(batch, output height, output width, output channels)";
  op.attrs = conv_schema("lks_conv2d_attrs");
  op.error_class = ErrorClass::sum;
  op.normalize = [](NormalizeContext& c) {
    auto& a = c.attrs<Conv2dAttrs>();
    const Shape &image = c.shape(0), &filter = c.shape(1);
    const bool reads_filter = is_same_padding(a.padding) && filter.rank() == 4;
    const IntList window = reads_filter ? IntList{filter[1], filter[2]} : IntList{1, 1};
    a.padding = resolve_padding(a.padding, image, window, a.strides, a.dilation);
  };
  op.infer = [](InferContext& c) {
    c.require_rank(0, 4);
    c.require_rank(1, 4);
    const Shape out = convolved(c, c.shape(0), c.shape(1), c.attrs<Conv2dAttrs>());
    if (c.has(2)) {
      c.require_rank(2, 1);
      c.require_equal(c.shape(2).dim(0), out.dim(3), ErrorId::shapes_differ, "bias and output channels");
    }
    c.set(0, c.group_dtype(), out);
  };
  // For drivers whose convolution takes no bias.
  op.decompose = [](DecomposeContext& c) {
    if (!c.has(2)) return c.refuse();
    const Tensor y = forward(c.input(0), c.input(1), c.attrs<Conv2dAttrs>());
    c.set(0, lockstep::add({y, c.call().where}, c.input(2)));
  };
  op.saves = {{.inputs = 0b10}, {.inputs = 0b01}, {}};
  op.gradient = [](GradContext& g) {
    const auto& a = g.attrs<Conv2dAttrs>();
    const Tensor dy = g.upstream();
    const Operand up(dy, g.where());
    if (g.needs(0)) g.set(0, backward_input(up, g.input(1), backward_attrs(a, g.input_shape(0))));
    if (g.needs(1)) g.set(1, backward_filter(g.input(0), up, backward_attrs(a, g.input_shape(1))));
    if (g.has_input(2) && g.needs(2)) g.set(2, lockstep::sum(up, {.axes = {0, 1, 2}}));
  };
  op.reference = [](RefContext& r) {
    const RefArray& y = r.outputs[0];
    SumOracle sums(r.outputs[0]);
    for_each_tap(r.inputs[0].shape, r.inputs[1].shape, y.shape, r.attrs<Conv2dAttrs>(),
                 [&](std::size_t at, std::size_t x, std::size_t w, std::int64_t count) {
                   sums.add_products(at, values_at(r.inputs[0], x), 1, values_at(r.inputs[1], w), 1, count);
                 });
    const bool has_bias = r.inputs.size() > 2 && !r.inputs[2].values.empty();
    const auto channels = static_cast<std::size_t>(y.shape[3]);
    for (std::size_t i = 0; has_bias && i < y.values.size(); ++i) sums.add(i, r.inputs[2].values[i % channels]);
    sums.finish();
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    const auto add = [&](DType dtype, const ConvCase& c, bool bias) {
      cases.push_back(OpCase{std::string(name_of(dtype)) + "/" + c.name + (bias ? "/bias" : ""),
                             {{c.x, dtype}, {c.w, dtype}, {Shape{c.w[0]}, dtype, {}, !bias}}}
                          .with(c.attrs));
    };
    for (DType dtype : floating_dtypes) {
      for (const ConvCase& c : cases_for(dtype)) {
        for (bool bias : {false, true}) add(dtype, c, bias);
      }
    }
    const auto wrong = [&](const char* name, Shape x, Shape w, Conv2dAttrs a, ErrorId error) {
      cases.push_back(OpCase{name, {{x}, {w}, {Shape{}, DType::f32, {}, true}}, {}, {}, error}.with(a));
    };
    wrong("error/channels", {1, 5, 5, 2}, {4, 3, 3, 3}, {}, ErrorId::inner_dimensions);
    wrong("error/window", {1, 2, 2, 3}, {4, 3, 3, 3}, {}, ErrorId::invalid_shape);
    wrong("error/rank", {5, 5, 3}, {4, 3, 3, 3}, {}, ErrorId::wrong_rank);
    wrong("error/no_kernel", {1, 5, 5, 3}, {4, 0, 3, 3}, {}, ErrorId::invalid_shape);
    wrong("error/stride", {1, 5, 5, 3}, {4, 3, 3, 3}, {{0, 1}, {0, 0, 0, 0}, {1, 1}, 1}, ErrorId::invalid_attribute);
    wrong("error/groups", {1, 5, 5, 4}, {3, 3, 3, 2}, {{1, 1}, {0, 0, 0, 0}, {1, 1}, 2}, ErrorId::invalid_attribute);
    for (DType dtype : floating_dtypes) {
      for (const ConvCase& c : short_cuts_for(dtype)) add(dtype, c, false);
    }
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(81, conv2d_backward_input) {
  OpDef op = backward_op("conv2d_backward_input", 0);
  op.doc = "Gradient of conv2d with respect to the image.";
  op.inputs = {{"dy", types::floating}, {"w", types::floating}};
  op.outputs = {{"dx"}};
  op.attrs = conv_backward_schema("lks_conv2d_backward_input_attrs", "of the image, NHWC");
  op.gradient = [](GradContext& g) {
    const auto& a = g.attrs<Conv2dBackwardAttrs>();
    const Tensor up = g.upstream();
    if (g.needs(0)) g.set(0, forward({up, g.where()}, g.input(1), forward_attrs(a)));
    if (g.needs(1)) {
      g.set(1, backward_filter({up, g.where()}, g.input(0), backward_attrs(forward_attrs(a), g.input_shape(1))));
    }
  };
  op.reference = [](RefContext& r) {
    SumOracle sums(r.outputs[0]);
    for_each_tap(r.outputs[0].shape, r.inputs[1].shape, r.inputs[0].shape, r.attrs<Conv2dBackwardAttrs>(),
                 [&](std::size_t y, std::size_t x, std::size_t w, std::int64_t count) {
                   sums.add_multiples(x, r.inputs[0].values[y], values_at(r.inputs[1], w), count);
                 });
    sums.finish();
  };
  return op;
}

LOCKSTEP_BUILT_IN(82, conv2d_backward_filter) {
  OpDef op = backward_op("conv2d_backward_filter", 1);
  op.doc = "Gradient of conv2d with respect to the filter.";
  op.inputs = {{"x", types::floating}, {"dy", types::floating}};
  op.outputs = {{"dw"}};
  op.attrs = conv_backward_schema("lks_conv2d_backward_filter_attrs", "of the filter, OHWI");
  op.gradient = [](GradContext& g) {
    const auto& a = g.attrs<Conv2dBackwardAttrs>();
    const Tensor up = g.upstream();
    if (g.needs(0)) {
      g.set(0, backward_input(g.input(1), {up, g.where()}, backward_attrs(forward_attrs(a), g.input_shape(0))));
    }
    if (g.needs(1)) g.set(1, forward(g.input(0), {up, g.where()}, forward_attrs(a)));
  };
  op.reference = [](RefContext& r) {
    SumOracle sums(r.outputs[0]);
    for_each_tap(r.inputs[0].shape, r.outputs[0].shape, r.inputs[1].shape, r.attrs<Conv2dBackwardAttrs>(),
                 [&](std::size_t y, std::size_t x, std::size_t w, std::int64_t count) {
                   sums.add_multiples(w, r.inputs[1].values[y], values_at(r.inputs[0], x), count);
                 });
    sums.finish();
  };
  op.cases = [shared = op.cases] {
    std::vector<OpCase> cases = shared();
    // Sums of several chunks, with so many filters that a kernel need not split a sum.
    const ConvCase deep{"deep", {1, 24, 24, 512}, {512, 3, 3, 1}, {{1, 1}, {1, 1, 1, 1}, {1, 1}, 512}};
    OpCase last =
        OpCase{"f32/deep_depthwise", {{deep.x}, {output_shape(deep)}}}.with(backward_attrs(deep.attrs, deep.w));
    last.gradient = false;
    cases.insert(cases.begin() + 1, std::move(last));
    return cases;
  };
  return op;
}

}  // namespace defs

Tensor conv2d(Operand x, Operand w, Convolution options) { return conv2d(x, w, Operand::absent(x.where()), options); }

Tensor conv2d(Operand x, Operand w, Operand bias, Convolution options) {
  static const OpDef& op = built_in("conv2d");
  Conv2dAttrs attrs{list_of(options.strides), window_padding(options.padding), list_of(options.dilation),
                    options.groups};
  const Operand inputs[] = {x, w, bias};
  normalize_attributes(op, inputs, &attrs);
  return invoke1(op, inputs, &attrs);
}

}  // namespace lockstep
