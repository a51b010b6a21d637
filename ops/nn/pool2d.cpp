// Pooling. Max pooling also gives the position of each maximum inside its window. Its gradient scatters values to these
// positions, and the gradient of that gathers values from them, so second derivatives need no other op.
#include <cmath>

#include "lockstep/ops/reduce.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/call_error.h"
#include "ops/invoke.h"
#include "ops/nn/window.h"
#include "ops/pointwise.h"
#include "ops/sum_oracle.h"

namespace lockstep {
namespace {

struct Pool2dBackwardAttrs {
  IntList window{2, 2};
  IntList strides{2, 2};
  IntList padding{0, 0, 0, 0};
  IntList shape;  // NHWC of the pooled input
};

AttrSchema pool_schema(const char* name) {
  using A = Pool2dAttrs;
  return attr_schema<A>(name, A{{2, 2}, IntList::missing(), spatial_padding(Padding::valid())},
                        attr("window", &A::window, "height, width", pair_argument()),
                        strides_attr(&A::strides, {.kind = ArgumentKind::list, .otherwise = "the window"}),
                        padding_attr(&A::padding));
}

AttrSchema pool_backward_schema(const char* name) {
  using A = Pool2dBackwardAttrs;
  return attr_schema<A>(
      name, attr("window", &A::window, "height, width", pair_argument()), strides_attr(&A::strides),
      attr("padding", &A::padding, "top, bottom, left, right", {.kind = ArgumentKind::list}),
      attr("shape", &A::shape, "of the pooled image, NHWC", {.kind = ArgumentKind::extents, .required = true}));
}

constexpr const char* pooled_doc = "(batch, output height, output width, channels)";

InputDef image_input() {
  return {.name = "x", .types = types::floating, .doc = "images, (batch, height, width, channels)"};
}

void normalize_pool(NormalizeContext& c) {
  auto& a = c.attrs<Pool2dAttrs>();
  if (a.strides.is_missing()) a.strides = a.window;
  const IntList window = a.window.count == 2 ? a.window : IntList{1, 1};
  a.padding = resolve_padding(a.padding, c.shape(0), window, a.strides, {1, 1});
}

template <class A>
Shape pooled(InferContext& c, const Shape& x, const A& a) {
  if (x.rank() != 4) {
    c.fail(ErrorId::wrong_rank, "the image has rank " + std::to_string(x.rank()) + ", needed is rank 4",
           "images are NHWC: (batch, height, width, channels)");
  }
  return shape_of_pooling(c, x, a.window, a.strides, a.padding);
}

// Calls visit(x position, tap) for the taps of one window that lie inside the image.
template <class A, class Visit>
void for_each_tap(const Shape& x, const A& a, std::int64_t n, std::int64_t oh, std::int64_t ow, std::int64_t c,
                  Visit&& visit) {
  for (std::int64_t kh = 0; kh < a.window[0]; ++kh) {
    for (std::int64_t kw = 0; kw < a.window[1]; ++kw) {
      const std::int64_t h = oh * a.strides[0] - a.padding[0] + kh, w = ow * a.strides[1] - a.padding[2] + kw;
      if (h >= 0 && h < x[1] && w >= 0 && w < x[2]) visit(at4(x, n, h, w, c), kh * a.window[1] + kw);
    }
  }
}

template <class Visit>
void for_each_window(const Shape& y, Visit&& visit) {
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t oh = 0; oh < y[1]; ++oh)
      for (std::int64_t ow = 0; ow < y[2]; ++ow)
        for (std::int64_t c = 0; c < y[3]; ++c) visit(at4(y, n, oh, ow, c), n, oh, ow, c);
}

// The position in the image of tap number `tap`.
template <class A>
std::size_t tap_position(const Shape& x, const A& a, std::int64_t n, std::int64_t oh, std::int64_t ow, std::int64_t c,
                         std::int64_t tap) {
  return at4(x, n, oh * a.strides[0] - a.padding[0] + tap / a.window[1],
             ow * a.strides[1] - a.padding[2] + tap % a.window[1], c);
}

struct PoolCase {
  const char* name;
  Shape x;
  Pool2dAttrs attrs;
};

const std::vector<PoolCase>& pool_cases() {
  static const std::vector<PoolCase> cases = {
      {"halves", {2, 6, 8, 3}, {}},
      {"uneven", {1, 7, 5, 2}, {}},
      {"overlap", {1, 7, 7, 2}, {{3, 3}, {2, 2}, {0, 0, 0, 0}}},
      {"padded", {2, 5, 6, 3}, {{3, 2}, {2, 1}, {1, 1, 0, 1}}},
      {"channels", {1, 4, 4, 33}, {}},
      {"whole", {2, 3, 4, 2}, {{3, 4}, {1, 1}, {0, 0, 0, 0}}},
      {"apart", {1, 9, 8, 3}, {{2, 1}, {3, 2}, {0, 0, 0, 0}}},
      {"one_sided", {1, 6, 17, 2}, {{1, 5}, {2, 3}, {0, 0, 2, 1}}},
      {"large_window", {1, 19, 18, 2}, {{17, 16}, {1, 2}, {0, 0, 0, 0}}},
      // Large already, because strides couple the extents of image and result: conformance cannot enlarge such cases.
      {"tall", {1, 149, 4, 2}, {}},
      {"broad", {1, 5, 275, 1}, {{2, 3}, {1, 2}, {0, 1, 1, 1}}},
      {"patches", {1, 33, 48, 2}, {{11, 16}, {11, 16}, {0, 0, 0, 0}}},
      {"far_apart", {1, 25, 39, 3}, {{2, 3}, {9, 17}, {1, 0, 0, 2}}},
      // Padding beside more channels than a vector has.
      {"padded_channels", {2, 7, 6, 17}, {{3, 3}, {2, 2}, {1, 1, 1, 1}}},
  };
  return cases;
}

// Cases that stand behind all others of an op, whose layouts and values stay as they are: windows of one pixel, and
// padding beside whole vectors of channels.
const std::vector<PoolCase>& later_pool_cases() {
  static const std::vector<PoolCase> cases = {
      {"pixels", {2, 5, 7, 3}, {{1, 1}, {2, 3}, {0, 0, 0, 0}}},
      {"padded_vectors", {1, 5, 6, 16}, {{3, 3}, {2, 2}, {1, 0, 0, 1}}},
  };
  return cases;
}

Shape pooled_shape(const PoolCase& c) {
  const auto extent = [&](int side) {
    const auto s = static_cast<std::size_t>(side);
    return (c.x[side + 1] + c.attrs.padding[2 * s] + c.attrs.padding[2 * s + 1] - c.attrs.window[s]) /
               c.attrs.strides[s] +
           1;
  };
  return {c.x[0], extent(0), extent(1), c.x[3]};
}

Pool2dBackwardAttrs backward_attrs(const Pool2dAttrs& a, const Shape& x) {
  return {a.window, a.strides, a.padding, list_of(x)};
}
Pool2dAttrs forward_attrs(const Pool2dBackwardAttrs& a) { return {a.window, a.strides, a.padding}; }

std::vector<OpCase> forward_cases(CaseValues values) {
  std::vector<OpCase> cases;
  for (DType dtype : floating_dtypes) {
    for (const PoolCase& c : pool_cases()) {
      cases.push_back(OpCase{std::string(name_of(dtype)) + "/" + c.name, {{c.x, dtype, values}}}.with(c.attrs));
    }
  }
  const auto wrong = [&](const char* name, Shape x, Pool2dAttrs a, ErrorId error) {
    cases.push_back(OpCase{name, {{x}}, {}, {}, error}.with(a));
  };
  wrong("error/rank", {4, 4, 2}, {}, ErrorId::wrong_rank);
  wrong("error/window", {1, 1, 4, 2}, {}, ErrorId::invalid_shape);
  wrong("error/no_window", {1, 4, 4, 2}, {{0, 2}, {2, 2}, {0, 0, 0, 0}}, ErrorId::invalid_attribute);
  wrong("error/padding", {1, 4, 4, 2}, {{2, 2}, {2, 2}, {2, 0, 0, 0}}, ErrorId::invalid_attribute);
  for (DType dtype : floating_dtypes) {
    for (const PoolCase& c : later_pool_cases()) {
      cases.push_back(OpCase{std::string(name_of(dtype)) + "/" + c.name, {{c.x, dtype, values}}}.with(c.attrs));
    }
  }
  return cases;
}

// Consecutive taps that lie inside the image under every window, whatever the image's extents: all if nothing is
// padded. If the left or right is, they are in one row of the window: the first that is always inside, or the last. A
// window must be larger than the padding of both its sides.
CaseValues taps_inside(const Pool2dAttrs& a, bool of_last_row) {
  const std::int64_t width = a.window[1], left = a.padding[2], right = a.padding[3];
  const std::int64_t first_row = a.padding[0], last_row = a.window[0] - 1 - a.padding[1];
  const bool one_row = left || right;
  const std::int64_t from = one_row && of_last_row ? last_row : first_row, to = one_row ? from : last_row;
  return {CaseValues::Kind::indices, static_cast<double>(from * width + left),
          static_cast<double>(to * width + width - 1 - right)};
}

std::vector<OpCase> tap_cases(bool backward) {
  std::vector<OpCase> cases;
  const auto add = [&](DType dtype, const PoolCase& c, bool of_last_row = false) {
    const CaseInput taps{pooled_shape(c), DType::i32, taps_inside(c.attrs, of_last_row)};
    const CaseInput values{backward ? pooled_shape(c) : c.x, dtype};
    OpCase made{std::string(name_of(dtype)) + "/" + c.name, {values, taps}};
    cases.push_back(backward ? made.with(backward_attrs(c.attrs, c.x)) : made.with(c.attrs));
  };
  for (DType dtype : floating_dtypes) {
    for (const PoolCase& c : pool_cases()) add(dtype, c);
  }
  const CaseInput values{backward ? Shape{1, 2, 2, 3} : Shape{1, 4, 4, 3}}, taps{Shape{1, 2, 1, 3}, DType::i32};
  OpCase wrong{"error/taps", {values, taps}, {}, {}, ErrorId::shapes_differ};
  cases.push_back(backward ? wrong.with(backward_attrs({}, {1, 4, 4, 3})) : wrong.with(Pool2dAttrs{}));
  // Beside padding, all taps of a case above lie in the same row of their windows. Here they lie in two rows, or in
  // another one than the first that is always inside.
  for (DType dtype : floating_dtypes) {
    add(dtype, {"taps_of_two_rows", {1, 9, 6, 2}, {{4, 3}, {2, 2}, {1, 1, 0, 0}}});
    add(dtype, {"taps_of_last_row", {1, 6, 5, 17}, {{4, 4}, {2, 2}, {1, 1, 1, 1}}}, true);
  }
  for (DType dtype : floating_dtypes) {
    for (const PoolCase& c : later_pool_cases()) add(dtype, c);
  }
  return cases;
}

Tensor max_backward(const Operand& dy, const Operand& taps, const Pool2dBackwardAttrs& attrs) {
  static const OpDef& op = built_in("max_pool2d_backward");
  return invoke1(op, {dy, taps}, &attrs);
}

Tensor max_gather(const Operand& x, const Operand& taps, const Pool2dAttrs& attrs) {
  static const OpDef& op = built_in("max_pool2d_gather");
  return invoke1(op, {x, taps}, &attrs);
}

void decompose_max_pool2d_gather(DecomposeContext& c) {
  const Tensor x = c.tensor(0);
  const CallSite at = c.call().where;
  const Pool2dBackwardAttrs attrs = backward_attrs(c.attrs<Pool2dAttrs>(), x.shape());
  static const OpDef& positions_op = built_in("max_pool2d_positions");
  const Tensor positions = invoke1(positions_op, {c.input(1)}, &attrs);
  c.set(0, gather({reshape({x, at}, Ints{-1}), at}, {positions, at}));
}

Pool2dAttrs attrs_of(const OpDef& op, const Operand& x, const Pool2d& options) {
  Pool2dAttrs attrs{list_of(options.window), options.strides ? list_of(*options.strides) : IntList::missing(),
                    window_padding(options.padding)};
  normalize_attributes(op, std::span(&x, 1), &attrs);
  return attrs;
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(83, max_pool2d) {
  OpDef op;
  op.name = "max_pool2d";
  op.doc =
      "Largest element under each window; +0 is above -0, NaN above all. Also the tap number row * width + column of "
      "the "
      "first that is largest.";
  op.inputs = {image_input()};
  op.outputs = {{"y"}, {"tap"}};
  op.outputs[0].doc = pooled_doc;
  op.outputs[1].doc = "i32, in [0, window height * width); taps in the padding are counted, too";
  op.attrs = pool_schema("lks_max_pool2d_attrs");
  op.normalize = &normalize_pool;
  op.infer = [](InferContext& c) {
    const Shape out = pooled(c, c.shape(0), c.attrs<Pool2dAttrs>());
    c.set(0, c.group_dtype(), out);
    c.set(1, DType::i32, out);
  };
  op.saves = {{.outputs = 0b10}};
  op.gradient = [](GradContext& g) {
    const Tensor dy = g.upstream(), taps = g.output(1);
    g.set(0,
          max_backward({dy, g.where()}, {taps, g.where()}, backward_attrs(g.attrs<Pool2dAttrs>(), g.input_shape(0))));
  };
  op.reference = [](RefContext& r) {
    const auto& a = r.attrs<Pool2dAttrs>();
    for_each_window(r.outputs[0].shape, [&](std::size_t y, auto n, auto oh, auto ow, auto c) {
      bool seen = false;
      for_each_tap(r.inputs[0].shape, a, n, oh, ow, c, [&](std::size_t x, std::int64_t tap) {
        const long double v = r.inputs[0].values[x];
        long double& best = r.outputs[0].values[y];
        if (seen && !comes_before(v, best)) return;
        seen = true;
        best = v;
        r.outputs[1].values[y] = static_cast<long double>(tap);
      });
    });
  };
  op.cases = [] { return forward_cases({CaseValues::Kind::distinct}); };
  return op;
}

LOCKSTEP_BUILT_IN(84, max_pool2d_backward) {
  OpDef op;
  op.name = "max_pool2d_backward";
  op.internal = true;
  op.doc = "Gradient of max_pool2d: each dy goes to the element that its tap names.";
  op.inputs = {{"dy", types::floating}, {"tap", types::of(i32), 'I'}};
  op.inputs[1].values = "as max_pool2d gives them; for others the result is undefined";
  op.outputs = {{"dx"}};
  op.attrs = pool_backward_schema("lks_max_pool2d_backward_attrs");
  op.error_class = ErrorClass::sum;
  op.infer = [](InferContext& c) {
    const Shape x = shape_of(c.attrs<Pool2dBackwardAttrs>().shape);
    const Shape y = pooled(c, x, c.attrs<Pool2dBackwardAttrs>());
    for (std::size_t i = 0; i < 2; ++i) require_result_shape(c, i, y, "pooling");
    c.set(0, c.group_dtype(), x);
  };
  op.saves = {{.inputs = 0b10}, {}};
  op.gradient = [](GradContext& g) {
    const Tensor up = g.upstream();
    g.set(0, max_gather({up, g.where()}, g.input(1), forward_attrs(g.attrs<Pool2dBackwardAttrs>())));
  };
  op.reference = [](RefContext& r) {
    const auto& a = r.attrs<Pool2dBackwardAttrs>();
    const Shape& x = r.outputs[0].shape;
    SumOracle sums(r.outputs[0]);
    for_each_window(r.inputs[0].shape, [&](std::size_t y, auto n, auto oh, auto ow, auto c) {
      const auto tap = static_cast<std::int64_t>(r.inputs[1].values[y]);
      sums.add(tap_position(x, a, n, oh, ow, c, tap), r.inputs[0].values[y]);
    });
    sums.finish();
  };
  op.cases = [] { return tap_cases(true); };
  return op;
}

LOCKSTEP_BUILT_IN(85, max_pool2d_gather) {
  OpDef op;
  op.name = "max_pool2d_gather";
  op.internal = true;
  op.doc = "The elements of x that the taps of a max_pool2d name.";
  op.inputs = {{"x", types::floating}, {"tap", types::of(i32), 'I'}};
  op.inputs[1].values =
      "as max_pool2d gives them; for others the launch fails, LKS_REASON_INDEX, or the result is undefined";
  op.attrs = pool_schema("lks_max_pool2d_gather_attrs");
  op.infer = [](InferContext& c) {
    const Shape y = pooled(c, c.shape(0), c.attrs<Pool2dAttrs>());
    require_result_shape(c, 1, y, "pooling");
    c.set(0, c.group_dtype(), y);
  };
  op.decompose = &decompose_max_pool2d_gather;
  op.saves = {{.inputs = 0b10}, {}};
  op.gradient = [](GradContext& g) {
    const Tensor up = g.upstream();
    g.set(0, max_backward({up, g.where()}, g.input(1), backward_attrs(g.attrs<Pool2dAttrs>(), g.input_shape(0))));
  };
  op.reference = [](RefContext& r) {
    const auto& a = r.attrs<Pool2dAttrs>();
    for_each_window(r.outputs[0].shape, [&](std::size_t y, auto n, auto oh, auto ow, auto c) {
      const auto tap = static_cast<std::int64_t>(r.inputs[1].values[y]);
      r.outputs[0].values[y] = r.inputs[0].values[tap_position(r.inputs[0].shape, a, n, oh, ow, c, tap)];
    });
  };
  op.cases = [] { return tap_cases(false); };
  return op;
}

LOCKSTEP_BUILT_IN(88, max_pool2d_positions) {
  OpDef op = make_pointwise_op(
      "max_pool2d_positions", 1,
      [](ProgramBuilder& p, const OpCall& call, std::span<const Expr> in) {
        const auto& a = call.attrs_as<Pool2dBackwardAttrs>();
        const Expr tap = convert(in[0], LKS_I64);
        const Expr row = tap / a.window[1];
        const Expr column = tap - row * a.window[1];
        const Expr h = p.index(1) * a.strides[0] - a.padding[0] + row;
        const Expr w = p.index(2) * a.strides[1] - a.padding[2] + column;
        return std::vector<Expr>{((p.index(0) * a.shape[1] + h) * a.shape[2] + w) * a.shape[3] + p.index(3)};
      },
      {.doc = "Row-major positions in the image that the taps of a max_pool2d mean.",
       .types = types::of(i32),
       .error_class = ErrorClass::exact});
  op.internal = true;
  op.inputs = {{"tap", types::of(i32)}};
  op.outputs = {{"position"}};
  op.differentiable = false;
  op.attrs = pool_backward_schema("lks_max_pool2d_positions_attrs");
  op.infer = [](InferContext& c) {
    const auto& a = c.attrs<Pool2dBackwardAttrs>();
    require_result_shape(c, 0, pooled(c, shape_of(a.shape), a), "pooling");
    c.set(0, DType::i64, c.shape(0));
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (const PoolCase& c : pool_cases()) {
      const double last = static_cast<double>(c.attrs.window[0] * c.attrs.window[1] - 1);
      const CaseInput taps{pooled_shape(c), DType::i32, {CaseValues::Kind::indices, 0, last}};
      cases.push_back(OpCase{c.name, {taps}, {}, {}, {}, false}.with(backward_attrs(c.attrs, c.x)));
    }
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(86, avg_pool2d) {
  OpDef op;
  op.name = "avg_pool2d";
  op.doc = "Mean under each window, over the elements that are inside the image.";
  op.inputs = {image_input()};
  op.outputs[0].doc = pooled_doc;
  op.attrs = pool_schema("lks_avg_pool2d_attrs");
  op.normalize = &normalize_pool;
  op.error_class = ErrorClass::sum;
  op.infer = [](InferContext& c) { c.set(0, c.group_dtype(), pooled(c, c.shape(0), c.attrs<Pool2dAttrs>())); };
  op.gradient = [](GradContext& g) {
    static const OpDef& backward = built_in("avg_pool2d_backward");
    const Pool2dBackwardAttrs attrs = backward_attrs(g.attrs<Pool2dAttrs>(), g.input_shape(0));
    g.set(0, invoke1(backward, {Operand(g.upstream(), g.where())}, &attrs));
  };
  op.reference = [](RefContext& r) {
    const auto& a = r.attrs<Pool2dAttrs>();
    SumOracle sums(r.outputs[0]);
    for_each_window(r.outputs[0].shape, [&](std::size_t y, auto n, auto oh, auto ow, auto c) {
      long double count = 0;
      for_each_tap(r.inputs[0].shape, a, n, oh, ow, c, [&](std::size_t, std::int64_t) { count += 1; });
      for_each_tap(r.inputs[0].shape, a, n, oh, ow, c,
                   [&](std::size_t x, std::int64_t) { sums.add_rounded(y, r.inputs[0].values[x] / count); });
    });
    sums.finish();
  };
  op.cases = [] { return forward_cases({}); };
  return op;
}

LOCKSTEP_BUILT_IN(87, avg_pool2d_backward) {
  OpDef op;
  op.name = "avg_pool2d_backward";
  op.internal = true;
  op.doc = "Gradient of avg_pool2d: each dy is shared evenly by the elements under its window.";
  op.inputs = {{"dy", types::floating}};
  op.outputs = {{"dx"}};
  op.attrs = pool_backward_schema("lks_avg_pool2d_backward_attrs");
  op.error_class = ErrorClass::sum;
  op.infer = [](InferContext& c) {
    const Shape x = shape_of(c.attrs<Pool2dBackwardAttrs>().shape);
    require_result_shape(c, 0, pooled(c, x, c.attrs<Pool2dBackwardAttrs>()), "pooling");
    c.set(0, c.group_dtype(), x);
  };
  op.gradient = [](GradContext& g) {
    static const OpDef& forward = built_in("avg_pool2d");
    const Pool2dAttrs attrs = forward_attrs(g.attrs<Pool2dBackwardAttrs>());
    g.set(0, invoke1(forward, {Operand(g.upstream(), g.where())}, &attrs));
  };
  op.reference = [](RefContext& r) {
    const auto& a = r.attrs<Pool2dBackwardAttrs>();
    const Shape& image = r.outputs[0].shape;
    SumOracle sums(r.outputs[0]);
    for_each_window(r.inputs[0].shape, [&](std::size_t y, auto n, auto oh, auto ow, auto c) {
      long double count = 0;
      for_each_tap(image, a, n, oh, ow, c, [&](std::size_t, std::int64_t) { count += 1; });
      for_each_tap(image, a, n, oh, ow, c,
                   [&](std::size_t x, std::int64_t) { sums.add_rounded(x, r.inputs[0].values[y] / count); });
    });
    sums.finish();
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (const std::vector<PoolCase>* all : {&pool_cases(), &later_pool_cases()}) {
      for (DType dtype : floating_dtypes) {
        for (const PoolCase& c : *all) {
          cases.push_back(OpCase{std::string(name_of(dtype)) + "/" + c.name, {{pooled_shape(c), dtype}}}.with(
              backward_attrs(c.attrs, c.x)));
        }
      }
    }
    return cases;
  };
  return op;
}

}  // namespace defs

Tensor max_pool2d(Operand x, Pool2d options) {
  static const OpDef& op = built_in("max_pool2d");
  const Pool2dAttrs attrs = attrs_of(op, x, options);
  TensorRef results[2];  // not in a vector, which would be an allocation
  invoke_into({op, std::span(&x, 1), &attrs, {}, x.where()}, results);
  return Tensor::adopt(results[0].detach());
}

Tensor avg_pool2d(Operand x, Pool2d options) {
  static const OpDef& op = built_in("avg_pool2d");
  const Pool2dAttrs attrs = attrs_of(op, x, options);
  return invoke1(op, {x}, &attrs);
}

namespace {

void require_image(const Operand& x, const char* op) {
  const int rank = x.is_tensor() ? x.impl()->shape.rank() : 0;
  if (rank == 4) return;
  ErrorBuilder(ErrorId::wrong_rank, op, "the image has rank " + std::to_string(rank) + ", needed is rank 4")
      .line("x", describe(x))
      .at(x.where())
      .fix("images are NHWC: (batch, height, width, channels)")
      .raise();
}

}  // namespace

Tensor global_max_pool2d(Operand x) {
  require_image(x, "global_max_pool2d");
  return max(x, {.axes = {1, 2}});
}
Tensor global_avg_pool2d(Operand x) {
  require_image(x, "global_avg_pool2d");
  return mean(x, {.axes = {1, 2}});
}

}  // namespace lockstep
