// reshape, transpose, slice, broadcast_to: views of their input.
#include <algorithm>
#include <limits>
#include <numeric>

#include "lockstep/call_op.h"
#include "lockstep/ops/shape.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/call_error.h"
#include "ops/infer.h"
#include "ops/invoke.h"
#include "ops/shape/indexing.h"
#include "runtime/caller.h"

namespace lockstep {
namespace {

struct TransposeAttrs {
  IntList order;  // output dimension i is input dimension order[i]
};

OpDef view_op(std::string name, std::string doc) {
  OpDef op;
  op.name = std::move(name);
  op.doc = std::move(doc);
  op.inputs = {{.name = "x", .types = types::any, .doc = "of any shape"}};
  return op;
}

// Strides for `to` over the same elements, found by matching groups of dimensions with equal products. nullopt if a
// group of the input is not evenly strided. Extents of 1 are ignored.
std::optional<ViewLayout> reshaped(const ViewLayout& from, const Shape& to) {
  ViewLayout out{to, {}, from.offset};
  std::vector<std::int64_t> dims, strides;
  for (int i = 0; i < from.shape.rank(); ++i) {
    if (from.shape[i] == 1) continue;
    dims.push_back(from.shape[i]);
    strides.push_back(from.strides[i]);
  }
  std::size_t in = 0;
  int o = 0;
  while (o < to.rank()) {
    if (to[o] == 1) {
      out.strides[o++] = 0;
      continue;
    }
    if (in == dims.size()) return std::nullopt;
    const int first_out = o;
    const std::size_t first_in = in;
    std::int64_t in_product = dims[in++], out_product = to[o++];
    while (in_product != out_product) {
      if (out_product < in_product) {
        if (o == to.rank()) return std::nullopt;
        out_product *= to[o++];
      } else {
        if (in == dims.size()) return std::nullopt;
        in_product *= dims[in++];
      }
    }
    for (std::size_t k = first_in; k + 1 < in; ++k) {
      if (strides[k] != strides[k + 1] * dims[k + 1]) return std::nullopt;
    }
    std::int64_t stride = strides[in - 1];
    for (int k = o - 1; k >= first_out; --k) {
      out.strides[k] = stride;
      stride *= to[k];
    }
  }
  return out;
}

// The slices of a call by name, whose lists have a number per axis.
std::vector<Slice> slices_of(const CallByName& c) {
  const Ints& axes = c.list("axes");
  for (const char* name : {"starts", "stops", "steps"}) {
    if (!c.has(name) || c.list(name).size() == axes.size()) continue;
    c.fail(ErrorId::invalid_attribute,
           std::string(name) + " has " + std::to_string(c.list(name).size()) + " numbers, axes has " +
               std::to_string(axes.size()),
           "give one number per axis");
  }
  std::vector<Slice> slices;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    slices.push_back({axes[i], c.list("starts")[i], c.has("stops") ? std::optional(c.list("stops")[i]) : std::nullopt,
                      c.has("steps") ? c.list("steps")[i] : 1});
  }
  return slices;
}

Tensor call_with_shape(const OpDef& op, const Operand& x, const Shape& shape) {
  const ShapeAttrs attrs{list_of(shape)};
  return invoke1(op, std::span(&x, 1), &attrs);
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(100, reshape) {
  OpDef op = view_op("reshape", "The same elements, in row-major order, in another shape.");
  op.attrs = attr_schema<ShapeAttrs>("lks_reshape_attrs",
                                     attr("shape", &ShapeAttrs::shape, "of the result", extents_argument()));
  op.outputs[0].doc = "extents as given";
  op.arguments = {{.name = "shape",
                   .kind = ArgumentKind::extents,
                   .doc = "of the result; one extent may be -1 and is then computed",
                   .required = true}};
  op.by_name = [](const CallByName& c) {
    return std::vector<Tensor>{lockstep::reshape(c.input(0), NewShape(c.list("shape")))};
  };
  op.infer = [](InferContext& c) {
    const Shape to = shape_of(c.attrs<ShapeAttrs>().shape);
    c.require_equal(c.shape(0).element_count(), to.element_count(), ErrorId::element_count,
                    "the element counts of " + c.shape(0).to_string() + " and " + to.to_string());
    c.set(0, c.dtype(0), to);
  };
  op.view = [](const OpCall&, const ViewLayout& input, const Shape& output, std::size_t) {
    return reshaped(input, output);
  };
  op.decompose = [](DecomposeContext& c) {
    static const OpDef& copy = built_in("copy");
    const Tensor dense = invoke1(copy, std::span(&c.input(0), 1));
    c.set(0, lockstep::reshape({dense, c.call().where}, c.output_spec(0).shape));
  };
  op.gradient = [](GradContext& g) { g.set(0, lockstep::reshape({g.upstream(), g.where()}, g.input_shape(0))); };
  op.reference = [](RefContext& r) { r.outputs[0].values = r.inputs[0].values; };
  op.cases = [] {
    const auto make = [](const char* name, Shape from, Shape to) {
      return OpCase{name, {{from}}}.with(ShapeAttrs{list_of(to)});
    };
    std::vector<OpCase> cases = {
        make("split", {12}, {3, 4}),     make("merge", {2, 3, 4}, {24}), make("mixed", {6, 4, 5}, {2, 12, 5}),
        make("ones", {4, 1}, {1, 4, 1}), make("scalar", {}, {1}),        make("empty", {0, 3}, {3, 0}),
        make("error", {4}, {5})};
    cases.back().error = ErrorId::element_count;
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(101, transpose) {
  OpDef op = view_op("transpose", "Dimensions in another order: output dimension i is input dimension order[i].");
  op.attrs = attr_schema<TransposeAttrs>("lks_transpose_attrs", TransposeAttrs{IntList::missing()},
                                         attr("order", &TransposeAttrs::order, "a permutation of the dimensions",
                                              {.kind = ArgumentKind::order, .otherwise = "the dimensions in reverse"}));
  op.outputs[0].doc = "extents of x in that order";
  op.infer = [](InferContext& c) {
    const IntList& order = c.attrs<TransposeAttrs>().order;
    if (order.count != c.rank(0)) {
      c.fail(ErrorId::axis_out_of_range,
             "the order names " + std::to_string(order.count) + " of " + std::to_string(c.rank(0)) + " dimensions",
             "name every dimension once");
    }
    Shape out;
    std::uint32_t seen = 0;
    for (std::int64_t axis : order.view()) {
      const int from = c.axis_from_front(axis, c.rank(0));
      if (seen >> from & 1)
        c.fail(ErrorId::axis_out_of_range, "dimension " + std::to_string(from) + " is named twice",
               "name every dimension once");
      seen |= 1u << from;
      out.append(c.shape(0).dim(from));
    }
    c.set(0, c.dtype(0), out);
  };
  op.view = [](const OpCall& call, const ViewLayout& input, const Shape& output, std::size_t) {
    ViewLayout out{output, {}, input.offset};
    const IntList& order = call.attrs_as<TransposeAttrs>().order;
    for (int i = 0; i < output.rank(); ++i) out.strides[i] = input.strides[order[static_cast<std::size_t>(i)]];
    return std::optional(out);
  };
  op.gradient = [](GradContext& g) {
    const IntList& order = g.attrs<TransposeAttrs>().order;
    Ints inverse(static_cast<std::size_t>(order.count));
    for (std::size_t i = 0; i < inverse.size(); ++i)
      inverse[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
    g.set(0, lockstep::transpose({g.upstream(), g.where()}, inverse));
  };
  op.reference = [](RefContext& r) {
    const IntList& order = r.attrs<TransposeAttrs>().order;
    for_each_index(r.outputs[0].shape, [&](const Index& out, std::int64_t n) {
      Index in(out.size());
      for (std::size_t i = 0; i < out.size(); ++i) in[static_cast<std::size_t>(order[i])] = out[i];
      r.outputs[0].values[static_cast<std::size_t>(n)] = at(r.inputs[0], in);
    });
  };
  op.cases = [] {
    const auto make = [](const char* name, Shape shape, IntList order) {
      return OpCase{name, {{shape}}}.with(TransposeAttrs{order});
    };
    std::vector<OpCase> cases = {make("matrix", {3, 5}, {1, 0}), make("rank3", {2, 3, 4}, {2, 0, 1}),
                                 make("same", {2, 3}, {0, 1}),   make("nhwc", {2, 4, 5, 3}, {0, 3, 1, 2}),
                                 make("empty", {0, 3}, {1, 0}),  make("error", {2, 3}, {0, 0})};
    cases.back().error = ErrorId::axis_out_of_range;
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(102, slice) {
  OpDef op = view_op("slice", "Elements at regular positions along axes.");
  op.attrs = attr_schema<SliceAttrs>(
      "lks_slice_attrs", attr("starts", &SliceAttrs::starts, "first position per dimension", list_argument()),
      attr("counts", &SliceAttrs::counts, "extent of the result", list_argument()),
      attr("steps", &SliceAttrs::steps, "may be negative", list_argument()));
  op.outputs[0].doc = "extents: the numbers of elements taken";
  op.arguments = {
      {.name = "axes", .kind = ArgumentKind::list, .doc = "the dimensions to cut, each once", .required = true},
      {.name = "starts", .kind = ArgumentKind::list, .doc = "first positions; below 0 from the end", .required = true},
      {.name = "stops",
       .kind = ArgumentKind::list,
       .doc = "positions behind the last",
       .otherwise = "to the ends in the direction of the steps"},
      {.name = "steps", .kind = ArgumentKind::list, .doc = "may be negative", .otherwise = "steps of 1"}};
  op.by_name = [](const CallByName& c) { return std::vector<Tensor>{lockstep::slice(c.input(0), slices_of(c))}; };
  op.infer = [](InferContext& c) {
    const auto& a = c.attrs<SliceAttrs>();
    c.require_count(a.starts, c.rank(0), "starts");
    c.require_count(a.counts, c.rank(0), "counts");
    c.require_count(a.steps, c.rank(0), "steps");
    Shape out;
    for (std::size_t i = 0; i < static_cast<std::size_t>(c.rank(0)); ++i) {
      const Dim extent = c.shape(0).dim(static_cast<int>(i));
      const Dim count = Dim::from_raw(a.counts[i]);
      check_positions(c, static_cast<int>(i), a.starts[i], a.steps[i], count, extent);
      out.append(count);
    }
    c.set(0, c.dtype(0), out);
  };
  op.view = [](const OpCall& call, const ViewLayout& input, const Shape& output, std::size_t) {
    const auto& a = call.attrs_as<SliceAttrs>();
    ViewLayout out{output, {}, input.offset};
    for (int i = 0; i < output.rank(); ++i) {
      const auto d = static_cast<std::size_t>(i);
      out.offset += a.starts[d] * input.strides[i];
      out.strides[i] = input.strides[i] * (output[i] > 1 ? a.steps[d] : 1);
    }
    return std::optional(out);
  };
  op.gradient = [](GradContext& g) {
    static const OpDef& backward = built_in("slice_backward");
    const auto& a = g.attrs<SliceAttrs>();
    const SliceBackwardAttrs attrs{a.starts, a.counts, a.steps, list_of(g.input_shape(0))};
    g.set(0, invoke1(backward, {Operand(g.upstream(), g.where())}, &attrs));
  };
  op.reference = [](RefContext& r) {
    const auto& a = r.attrs<SliceAttrs>();
    for_each_index(r.outputs[0].shape, [&](const Index& out, std::int64_t n) {
      Index in(out.size());
      for (std::size_t i = 0; i < out.size(); ++i) in[i] = a.starts[i] + out[i] * a.steps[i];
      r.outputs[0].values[static_cast<std::size_t>(n)] = at(r.inputs[0], in);
    });
  };
  op.cases = [] {
    const auto make = [](const char* name, Shape shape, SliceAttrs a) { return OpCase{name, {{shape}}}.with(a); };
    std::vector<OpCase> cases = {
        make("middle", {9}, {{2}, {5}, {1}}),   make("step", {10}, {{1}, {3}, {3}}),
        make("reverse", {7}, {{6}, {7}, {-1}}), make("matrix", {5, 6}, {{1, 2}, {3, 2}, {1, 2}}),
        make("empty", {5}, {{0}, {0}, {1}}),    make("error", {5}, {{3}, {3}, {1}})};
    cases.back().error = ErrorId::index_out_of_range;
    cases.push_back(make("error/far", {5}, {{1}, {INT64_MAX}, {INT64_MAX}}));
    cases.back().error = ErrorId::index_out_of_range;
    cases.push_back(make("error/step", {5}, {{1}, {3}, {0}}));
    cases.back().error = ErrorId::invalid_attribute;
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(104, broadcast_to) {
  OpDef op = view_op("broadcast_to", "x repeated to a shape to which it broadcasts.");
  op.attrs = attr_schema<ShapeAttrs>("lks_broadcast_to_attrs",
                                     attr("shape", &ShapeAttrs::shape, "of the result", extents_argument()));
  op.outputs[0].doc = "extents as given";
  op.infer = [](InferContext& c) {
    const Shape to = shape_of(c.attrs<ShapeAttrs>().shape);
    const Shape& from = c.shape(0);
    if (!broadcasts_to(from, to)) {
      c.fail(ErrorId::shapes_do_not_broadcast, from.to_string() + " does not broadcast to " + to.to_string(),
             "extents must be equal, or 1 in the operand, counted from the last");
    }
    c.set(0, c.dtype(0), to);
  };
  op.view = [](const OpCall&, const ViewLayout& input, const Shape& output, std::size_t) {
    ViewLayout out{output, {}, input.offset};
    const int extra = output.rank() - input.shape.rank();
    for (int i = extra; i < output.rank(); ++i) {
      out.strides[i] = input.shape[i - extra] == 1 && output[i] != 1 ? 0 : input.strides[i - extra];
    }
    return std::optional(out);
  };
  op.gradient = [](GradContext& g) { g.set(0, g.upstream()); };  // the tape sums it to the input's shape
  op.reference = [](RefContext& r) {
    for_each_index(r.outputs[0].shape, [&](const Index& out, std::int64_t n) {
      r.outputs[0].values[static_cast<std::size_t>(n)] = at_broadcast(r.inputs[0], out);
    });
  };
  op.cases = [] {
    const auto make = [](const char* name, Shape from, Shape to) {
      return OpCase{name, {{from}}}.with(ShapeAttrs{list_of(to)});
    };
    std::vector<OpCase> cases = {make("rows", {5}, {3, 5}), make("columns", {3, 1}, {3, 4}), make("scalar", {}, {2, 2}),
                                 make("same", {2, 3}, {2, 3}), make("error", {4}, {3, 5})};
    cases.back().error = ErrorId::shapes_do_not_broadcast;
    const std::int64_t many = std::int64_t{1} << 32;  // its square overflows to 0 in 64 bits
    cases.push_back(make("error/elements", {}, {many, many}));
    cases.back().error = ErrorId::invalid_shape;
    return cases;
  };
  return op;
}

}  // namespace defs

Tensor reshape(Operand x, const NewShape& shape) {
  static const OpDef& op = built_in("reshape");
  return call_with_shape(op, x, extents_for("reshape", x, [&] {
                           return shape.resolve(x.is_tensor() ? x.impl()->shape.element_count() : Dim(1), x.where());
                         }));
}

Tensor transpose(Operand x, const Ints& order) {
  static const OpDef& op = built_in("transpose");
  TransposeAttrs attrs{IntList::missing()};
  if (!order.empty()) attrs.order = attribute_list(op, {x}, order, "the order");
  normalize_attributes(op, std::span(&x, 1), &attrs);
  return invoke1(op, {x}, &attrs);
}

Tensor swap_axes(Operand x, std::int64_t a, std::int64_t b) {
  const int rank = x.tensor().rank();
  Ints order(static_cast<std::size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  const auto position = [&](std::int64_t axis) {
    if (axis < -rank || axis >= rank) {
      raise(ErrorId::axis_out_of_range, "swap_axes",
            "axis " + std::to_string(axis) + " is outside a tensor of rank " + std::to_string(rank),
            "axes go from " + std::to_string(-rank) + " to " + std::to_string(rank - 1), x.where());
    }
    return static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
  };
  std::swap(order[position(a)], order[position(b)]);
  return transpose(x, order);
}

Tensor broadcast_to(Operand x, const Shape& shape) {
  static const OpDef& op = built_in("broadcast_to");
  return call_with_shape(op, x, shape);
}

namespace {

int existing_axis(const Operand& x, const char* op, std::int64_t axis, int rank) {
  if (axis >= -rank && axis < rank) return static_cast<int>(axis < 0 ? axis + rank : axis);
  ErrorBuilder(ErrorId::axis_out_of_range, op,
               "axis " + std::to_string(axis) + " is outside a tensor of rank " + std::to_string(rank))
      .line("x", describe(x))
      .at(x.where())
      .fix(rank == 0 ? std::string("a tensor of rank 0 has no axes")
                     : "axes go from " + std::to_string(-rank) + " to " + std::to_string(rank - 1))
      .raise();
}

// The axis of a new dimension in the result.
int inserted_axis(const Operand& x, std::int64_t axis, int rank) {
  const std::int64_t places = rank + 1;
  if (axis < -places || axis >= places) {
    ErrorBuilder(ErrorId::axis_out_of_range, "expand_dims",
                 "a tensor of rank " + std::to_string(rank) + " takes no new dimension at axis " + std::to_string(axis))
        .line("x", describe(x))
        .at(x.where())
        .fix("new dimensions go to axes " + std::to_string(-places) + " to " + std::to_string(rank))
        .raise();
  }
  if (rank == max_rank) {
    ErrorBuilder(ErrorId::invalid_shape, "expand_dims", "rank 9 exceeds the limit of 8")
        .line("x", describe(x))
        .at(x.where())
        .fix("merge dimensions with reshape")
        .raise();
  }
  return static_cast<int>(axis < 0 ? axis + places : axis);
}

// What takes all elements. The extents may be symbolic.
SliceAttrs slice_of_all(const Shape& shape) {
  SliceAttrs attrs;
  attrs.starts.count = attrs.counts.count = attrs.steps.count = shape.rank();
  for (int i = 0; i < shape.rank(); ++i) {
    attrs.counts.values[i] = shape.dim(i).raw();
    attrs.steps.values[i] = 1;
  }
  return attrs;
}

}  // namespace

Tensor expand_dims(Operand x, std::int64_t axis) {
  const Shape from = x.tensor().shape();
  const int at = inserted_axis(x, axis, from.rank());
  Shape to;
  for (int i = 0; i <= from.rank(); ++i) {
    if (i == at) to.append(1);
    if (i < from.rank()) to.append(from.dim(i));
  }
  return reshape(x, to);
}

Tensor squeeze(Operand x, std::int64_t axis) {
  const Shape from = x.tensor().shape();
  const int at = existing_axis(x, "squeeze", axis, from.rank());
  if (!may_equal(from.dim(at), Dim(1))) {
    raise(ErrorId::invalid_shape, "squeeze",
          "dimension " + std::to_string(at) + " has extent " + from.dim(at).to_string() + ", not 1",
          "only dimensions of extent 1 can go", x.where());
  }
  Shape to;
  for (int i = 0; i < from.rank(); ++i) {
    if (i != at) to.append(from.dim(i));
  }
  return reshape(x, to);
}

Tensor flatten(Operand x) {
  const Shape from = x.tensor().shape();
  if (from.rank() == 0) return reshape(x, Shape{1, 1});
  Shape rest;
  for (int i = 1; i < from.rank(); ++i) rest.append(from.dim(i));
  const Dim count = extents_for("flatten", x, [&] { return rest.element_count(); });
  return reshape(x, Shape{from.dim(0), count});
}

Tensor slice(Operand x, std::initializer_list<Slice> slices) {
  return slice(x, std::span(slices.begin(), slices.size()));
}

Tensor slice(Operand x, std::span<const Slice> slices) {
  static const OpDef& op = built_in("slice");
  const Shape shape = x.tensor().shape();
  SliceAttrs attrs = slice_of_all(shape);
  std::uint32_t seen = 0;
  for (const Slice& s : slices) {
    const int axis = existing_axis(x, "slice", s.axis, shape.rank());
    if (seen >> axis & 1) {
      ErrorBuilder(ErrorId::axis_out_of_range, "slice", "axis " + std::to_string(axis) + " is given twice")
          .line("x", describe(x))
          .at(x.where())
          .fix("give each axis once; slice the result again to take a part of it")
          .raise();
    }
    seen |= 1u << axis;
    if (s.step == 0) {
      raise(ErrorId::invalid_attribute, "slice", "the step along axis " + std::to_string(axis) + " is 0",
            "steps are positive, or negative to go backwards", x.where());
    }
    if (s.start == 0 && !s.stop && s.step == 1) continue;  // takes all, whatever the extent is
    const std::int64_t extent = shape[axis];
    const auto clamp = [&](std::int64_t position, std::int64_t low, std::int64_t high) {
      return std::clamp(position < 0 ? position + extent : position, low, high);
    };
    const bool forward = s.step > 0;
    const std::int64_t start = forward ? clamp(s.start, 0, extent) : clamp(s.start, -1, extent - 1);
    const std::int64_t stop = !s.stop   ? (forward ? extent : -1)
                              : forward ? clamp(*s.stop, 0, extent)
                                        : clamp(*s.stop, -1, extent - 1);
    const std::int64_t distance = forward ? stop - start : start - stop;
    constexpr std::int64_t longest = std::numeric_limits<std::int64_t>::max();
    const std::int64_t step = forward ? s.step : s.step < -longest ? longest : -s.step;
    const std::int64_t count = distance <= 0 ? 0 : (distance - 1) / step + 1;
    attrs.starts.values[axis] = count ? start : 0;
    attrs.counts.values[axis] = count;
    attrs.steps.values[axis] = count > 1 ? s.step : 1;
  }
  return invoke1(op, {x}, &attrs);
}

Tensor select_index(Operand x, std::int64_t axis, std::int64_t index) {
  static const OpDef& op = built_in("slice");
  const Shape shape = x.tensor().shape();
  const int at = existing_axis(x, "select_index", axis, shape.rank());
  // A position from the front is the same whatever the extent is. If that is not known yet, `infer` checks it later.
  if (index < 0 || shape.dim(at).is_known()) {
    const std::int64_t extent = shape[at];
    if (index < -extent || index >= extent) {
      raise(ErrorId::index_out_of_range, "select_index",
            "index " + std::to_string(index) + " is outside axis " + std::to_string(at) + " of extent " +
                std::to_string(extent),
            "indices go from " + std::to_string(-extent) + " to " + std::to_string(extent - 1), x.where());
    }
    if (index < 0) index += extent;
  }
  SliceAttrs attrs = slice_of_all(shape);
  attrs.starts.values[at] = index;
  attrs.counts.values[at] = 1;
  return squeeze({invoke1(op, {x}, &attrs), x.where()}, at);
}

}  // namespace lockstep
