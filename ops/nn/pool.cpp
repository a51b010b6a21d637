// Pooling over one, two or three spatial axes: composites of the pools over two, so every driver that has those runs
// them, and they are differentiated through their parts. A window over three axes is one over the last two, and then
// one over the first: the largest of the largest elements, and the mean of means, since the number of elements inside
// the image is a product over the axes.
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

struct PoolAttrs {
  IntList window{2};
  IntList strides{2};
  IntList padding{0, 0};
};

// ----------------------------------------------------------------------------------------------------------- inference

void normalize_pool(NormalizeContext& c) {
  auto& a = c.attrs<PoolAttrs>();
  const int axes = spatial_axes(c.shape(0));
  fill_missing(a.window, axes, 2);
  if (a.strides.is_missing()) a.strides = a.window;
  IntList no_dilation{1, 1, 1};
  no_dilation.count = axes;
  a.padding = resolve_padding(a.padding, c.shape(0), a.window, a.strides, no_dilation);
}

void infer_pool(InferContext& c) {
  require_spatial_axes(c, c.shape(0));
  const auto& a = c.attrs<PoolAttrs>();
  c.set(0, c.group_dtype(), shape_of_pooling(c, c.shape(0), a.window, a.strides, a.padding));
}

// ------------------------------------------------------------------------------------------------------- decomposition

// A pool over two axes, by an op such as max_pool2d. Its first output is the result.
Tensor pool_rows(const OpDef& op, const Tensor& x, const Pool2dAttrs& attrs, CallSite at) {
  const Operand image(x, at);
  return invoke(op, std::span(&image, 1), &attrs)[0];
}

Pool2dAttrs over_last_two(const PoolAttrs& a) {
  return {IntList(a.window.view().last(2)), IntList(a.strides.view().last(2)), IntList(a.padding.view().last(4))};
}

// One axis: images of one row.
Tensor over_columns(const DecomposeContext& c, const OpDef& op) {
  const auto& a = c.attrs<PoolAttrs>();
  const CallSite at = c.call().where;
  const Pool2dAttrs attrs{{1, a.window[0]}, {1, a.strides[0]}, {0, 0, a.padding[0], a.padding[1]}};
  return reshape({pool_rows(op, expand_dims(c.input(0), 1), attrs, at), at}, c.output_spec(0).shape);
}

// Three axes: first every plane as an image of its own, then each column through the planes.
Tensor over_planes(const DecomposeContext& c, const OpDef& op) {
  const auto& a = c.attrs<PoolAttrs>();
  const CallSite at = c.call().where;
  const Shape& x = c.input(0).tensor().shape();
  const Shape& y = c.output_spec(0).shape;
  const auto product = [&](Dim p, Dim q) {
    return extents_for(c.call().op.name.c_str(), c.input(0), [&] { return p * q; });
  };
  const Tensor planes = reshape(c.input(0), Shape{product(x.dim(0), x.dim(1)), x.dim(2), x.dim(3), x.dim(4)});
  const Tensor pooled = pool_rows(op, planes, over_last_two(a), at);
  const Tensor columns = reshape({pooled, at}, Shape{x.dim(0), x.dim(1), product(y.dim(2), y.dim(3)), x.dim(4)});
  const Pool2dAttrs through{{a.window[0], 1}, {a.strides[0], 1}, {a.padding[0], a.padding[1], 0, 0}};
  return reshape({pool_rows(op, columns, through, at), at}, y);
}

void decompose_pool(DecomposeContext& c, const OpDef& op) {
  switch (c.output_spec(0).shape.rank()) {
    case 3: return c.set(0, over_columns(c, op));
    case 4: return c.set(0, pool_rows(op, c.tensor(0), over_last_two(c.attrs<PoolAttrs>()), c.call().where));
    default: return c.set(0, over_planes(c, op));
  }
}

// -------------------------------------------------------------------------------------------------------------- oracle

// Calls visit(element) for the elements of the image under the window of the result at `out`, in row-major order.
template <class Visit>
void for_each_tap(const RefArray& x, const PoolAttrs& a, const Index& out, Visit&& visit) {
  const std::size_t axes = a.window.view().size();
  Index from = out;  // batch and channel are the result's
  for_each_index(Shape(a.window.view()), [&](const Index& tap, std::int64_t) {
    for (std::size_t s = 0; s < axes; ++s) {
      from[s + 1] = out[s + 1] * a.strides[s] - a.padding[2 * s] + tap[s];
      if (from[s + 1] < 0 || from[s + 1] >= x.shape[static_cast<int>(s) + 1]) return;  // in the padding
    }
    visit(at(x, from));
  });
}

void max_reference(RefContext& r) {
  for_each_index(r.outputs[0].shape, [&](const Index& out, std::int64_t n) {
    long double& best = r.outputs[0].values[static_cast<std::size_t>(n)];
    bool seen = false;
    for_each_tap(r.inputs[0], r.attrs<PoolAttrs>(), out, [&](long double v) {
      if (!seen || comes_before(v, best)) best = v;
      seen = true;
    });
  });
}

void avg_reference(RefContext& r) {
  SumOracle sums(r.outputs[0]);
  for_each_index(r.outputs[0].shape, [&](const Index& out, std::int64_t n) {
    long double count = 0;
    for_each_tap(r.inputs[0], r.attrs<PoolAttrs>(), out, [&](long double) { count += 1; });
    for_each_tap(r.inputs[0], r.attrs<PoolAttrs>(), out,
                 [&](long double v) { sums.add_rounded(static_cast<std::size_t>(n), v / count); });
  });
  sums.finish();
}

// --------------------------------------------------------------------------------------------------------------- cases

struct PoolCase {
  const char* name;
  Shape x;
  PoolAttrs attrs;
};

const std::vector<PoolCase>& pool_cases() {
  static const std::vector<PoolCase> cases = {
      {"line", {2, 9, 3}, {{3}, {2}, {0, 0}}},
      {"line_padded", {1, 8, 4}, {{4}, {1}, {2, 1}}},
      {"image", {2, 6, 7, 3}, {{2, 3}, {2, 1}, {0, 1, 1, 0}}},
      {"volume", {2, 4, 4, 6, 3}, {{2, 2, 2}, {2, 2, 2}, {0, 0, 0, 0, 0, 0}}},
      {"volume_overlap", {1, 6, 5, 5, 2}, {{3, 2, 3}, {2, 1, 1}, {1, 0, 1, 0, 1, 2}}},
      {"volume_whole", {2, 3, 2, 3, 2}, {{3, 2, 3}, {1, 1, 1}, {0, 0, 0, 0, 0, 0}}},
      {"volume_apart", {1, 7, 5, 4, 2}, {{2, 1, 1}, {3, 2, 2}, {0, 0, 0, 0, 0, 0}}},
  };
  return cases;
}

std::vector<OpCase> all_cases(CaseValues values) {
  std::vector<OpCase> cases;
  for (DType dtype : floating_dtypes) {
    for (const PoolCase& c : pool_cases()) {
      cases.push_back(OpCase{std::string(name_of(dtype)) + "/" + c.name, {{c.x, dtype, values}}}.with(c.attrs));
    }
  }
  const auto wrong = [&](const char* name, Shape x, PoolAttrs a, ErrorId error) {
    cases.push_back(OpCase{name, {{x}}, {}, {}, error}.with(a));
  };
  wrong("error/rank", {4, 2}, {}, ErrorId::wrong_rank);
  wrong("error/lists", {1, 4, 2}, {{2, 2}, {2, 2}, {0, 0, 0, 0}}, ErrorId::invalid_attribute);
  wrong("error/window", {1, 1, 2}, {}, ErrorId::invalid_shape);
  wrong("error/no_window", {1, 4, 2}, {{0}, {2}, {0, 0}}, ErrorId::invalid_attribute);
  wrong("error/padding", {1, 4, 2}, {{2}, {2}, {2, 0}}, ErrorId::invalid_attribute);
  return cases;
}

OpDef pool_op(std::string name, std::string doc) {
  OpDef op;
  op.name = std::move(name);
  op.doc = std::move(doc);
  op.inputs = {
      {.name = "x", .types = types::floating, .doc = "images, (batch, one to three spatial extents, channels)"}};
  op.outputs[0].doc = "(batch, output extents, channels)";
  using A = PoolAttrs;
  op.attrs =
      attr_schema<A>("lks_pool_attrs", A{IntList::missing(), IntList::missing(), spatial_padding(Padding::valid())},
                     attr("window", &A::window, "one number per spatial axis",
                          {.kind = ArgumentKind::list, .otherwise = "2 along each axis"}),
                     attr("strides", &A::strides, "one number per spatial axis",
                          {.kind = ArgumentKind::list, .otherwise = "the window"}),
                     spatial_padding_attr(&A::padding));
  op.normalize = &normalize_pool;
  op.infer = &infer_pool;
  return op;
}

Tensor pool(const OpDef& op, const Operand& x, const SpatialPool& options) {
  PoolAttrs attrs{list_or_missing(op, x, options.window, "the window"),
                  list_or_missing(op, x, options.strides, "strides"), spatial_padding(options.padding)};
  normalize_attributes(op, std::span(&x, 1), &attrs);
  return invoke1(op, {x}, &attrs);
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(151, max_pool) {
  OpDef op =
      pool_op("max_pool",
              "Largest element under each window over one, two or three spatial axes; +0 is above -0, NaN above all.");
  op.decompose = [](DecomposeContext& c) {
    static const OpDef& over_two = built_in("max_pool2d");
    decompose_pool(c, over_two);
  };
  op.reference = &max_reference;
  op.cases = [] { return all_cases({CaseValues::Kind::distinct}); };
  return op;
}

LOCKSTEP_BUILT_IN(152, avg_pool) {
  OpDef op =
      pool_op("avg_pool",
              "Mean under each window over one, two or three spatial axes, over the elements that are inside the "
              "image.");
  op.error_class = ErrorClass::sum;
  op.decompose = [](DecomposeContext& c) {
    static const OpDef& over_two = built_in("avg_pool2d");
    decompose_pool(c, over_two);
  };
  op.reference = &avg_reference;
  op.cases = [] { return all_cases({}); };
  return op;
}

}  // namespace defs

Tensor max_pool(Operand x, SpatialPool options) {
  static const OpDef& op = built_in("max_pool");
  return pool(op, x, options);
}

Tensor avg_pool(Operand x, SpatialPool options) {
  static const OpDef& op = built_in("avg_pool");
  return pool(op, x, options);
}

}  // namespace lockstep
