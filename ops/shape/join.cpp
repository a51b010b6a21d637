// Ops whose output is made of copies: copy, concat, pad, slice_backward, full.
#include <algorithm>
#include <optional>
#include <utility>

#include "lockstep/ops/reduce.h"
#include "lockstep/ops/shape.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/call_error.h"
#include "ops/infer.h"
#include "ops/invoke.h"
#include "ops/pointwise.h"
#include "ops/shape/indexing.h"

namespace lockstep {
namespace {

struct PadAttrs {
  IntList before, after;
};

struct FullAttrs {
  IntList shape;
  std::int64_t dtype = 0;
};

// The layout of a box of the output: it begins at `starts` and has the input's shape and the given steps.
ViewLayout box(const Shape& output, const Shape& shape, std::span<const std::int64_t> starts,
               std::span<const std::int64_t> steps) {
  ViewLayout place{shape, {}, 0};
  if (shape.is_empty()) return place;
  std::int64_t strides[max_rank] = {};
  fill_dense_strides(output, strides);
  for (int i = 0; i < output.rank(); ++i) {
    const auto d = static_cast<std::size_t>(i);
    place.offset += starts[d] * strides[i];
    place.strides[i] = strides[i] * (shape[i] > 1 ? steps[d] : 1);
  }
  return place;
}

constexpr std::int64_t unit_steps[max_rank] = {1, 1, 1, 1, 1, 1, 1, 1};

// The box of x that begins at `starts`. Unlike the public function, it takes symbolic extents and positions.
Tensor box_of(const Tensor& x, std::span<const Dim> starts, const Shape& shape, CallSite where) {
  static const OpDef& op = built_in("slice");
  const SliceAttrs attrs{list_of(Shape(starts)), list_of(shape),
                         IntList(std::span(unit_steps).first(static_cast<std::size_t>(shape.rank())))};
  return invoke1(op, {Operand(x, where)}, &attrs);
}

// A device that has no copies of f16 or bf16 casts them to f32 and back. If its casts take dense operands only, they
// ask for the copy that is being made.
class CopyInProgress {
 public:
  CopyInProgress(const OpCall& call, DType dtype) : before_(std::exchange(dtype_, dtype)) {
    if (before_ != dtype) return;
    dtype_ = before_;
    raise_call_error(call, ErrorId::no_kernel,
                     "the device has no copies of " + std::string(name_of(dtype)) +
                         ", and its casts of that dtype take only dense operands",
                     "use another dtype or device; `lockstep devices` shows what each device has");
  }
  ~CopyInProgress() { dtype_ = before_; }
  CopyInProgress(const CopyInProgress&) = delete;
  CopyInProgress& operator=(const CopyInProgress&) = delete;

 private:
  static thread_local std::optional<DType> dtype_;
  const std::optional<DType> before_;
};
thread_local std::optional<DType> CopyInProgress::dtype_;

}  // namespace

TensorRef make_dense_copy(const TensorImpl& impl, CallSite where) {
  static const OpDef& op = built_in("copy");
  const Operand x = Operand::borrow(const_cast<TensorImpl*>(&impl), where);
  const CopyInProgress copying({op, std::span(&x, 1), nullptr, {}, where}, impl.dtype);
  return TensorRef::share(invoke1(op, std::span(&x, 1)).impl());
}

namespace defs {

LOCKSTEP_BUILT_IN(2, copy) {
  OpDef op;
  op.name = "copy";
  op.doc = "The same elements, dense and row-major. Drivers also use it between any two strided layouts.";
  op.internal = true;
  op.inputs = {{"x", types::any}};
  op.infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); };
  op.gradient = [](GradContext& g) { g.set(0, g.upstream()); };
  op.reference = [](RefContext& r) { r.outputs[0].values = r.inputs[0].values; };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (int t = 0; t < dtype_count; ++t) {
      const auto dtype = static_cast<DType>(t);
      for (const Shape& shape : {Shape{}, Shape{67}, Shape{5, 33}, Shape{3, 4, 5}}) {
        cases.push_back({std::string(name_of(dtype)) + "/" + shape.to_string(), {{shape, dtype}}});
        cases.back().gradient = types::floating.has(dtype);
      }
    }
    for (const Shape& shape :
         {Shape{2, 5, 7, 3}, Shape{2, 3, 2, 5, 4}, Shape{2, 2, 3, 2, 2, 5}, Shape{2, 2, 1, 3, 2, 1, 2, 7}}) {
      cases.push_back({"f32/" + shape.to_string(), {{shape}}});
    }
    cases.push_back({"u8/rank 6", {{Shape{2, 2, 3, 2, 2, 5}, DType::u8}}, {}, {}, {}, false});
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(105, concat) {
  OpDef op;
  op.name = "concat";
  op.doc = "Tensors one after the other along an axis.";
  op.inputs = {{.name = "x", .types = types::any, .variadic = true, .doc = "of equal extents but along the axis"}};
  op.outputs[0].doc = "extents of x, and their sum along the axis";
  op.attrs = attr_schema<AxisAttrs>(
      "lks_concat_attrs",
      attr("axis", &AxisAttrs::axis, "from the front", {.kind = ArgumentKind::axis, .doc = "along which to join"}));
  op.infer = [](InferContext& c) {
    const int axis = c.axis_from_front(c.attrs<AxisAttrs>().axis, c.rank(0));
    Shape out = c.shape(0);
    for (std::size_t i = 1; i < c.input_count(); ++i) {
      c.require_rank(i, out.rank());
      for (int d = 0; d < out.rank(); ++d) {
        if (d != axis)
          c.require_equal(c.shape(i).dim(d), c.shape(0).dim(d), ErrorId::shapes_differ,
                          "extents of dimension " + std::to_string(d));
      }
      out.set_dim(axis, out.dim(axis) + c.shape(i).dim(axis));
    }
    c.set(0, c.group_dtype(), out);
  };
  op.copy_plan = [](const OpCall& call, const Shape& output) {
    const auto axis = static_cast<std::size_t>(call.attrs_as<AxisAttrs>().axis);
    CopyPlan plan;
    std::int64_t starts[max_rank] = {};
    for (std::size_t i = 0; i < call.inputs.size(); ++i) {
      const Shape& shape = call.inputs[i].impl()->shape;
      plan.copies.push_back({i, box(output, shape, starts, unit_steps)});
      starts[axis] += shape[static_cast<int>(axis)];
    }
    return plan;
  };
  op.gradient = [](GradContext& g) {
    const auto axis = static_cast<std::size_t>(g.attrs<AxisAttrs>().axis);
    const Tensor dy = g.upstream();
    std::vector<Dim> starts(static_cast<std::size_t>(dy.rank()));
    for (std::size_t i = 0; i < g.input_count(); ++i) {
      const Shape& shape = g.input_shape(i);
      if (g.needs(i)) g.set(i, box_of(dy, starts, shape, g.where()));
      starts[axis] = starts[axis] + shape.dim(static_cast<int>(axis));
    }
  };
  op.reference = [](RefContext& r) {
    const auto axis = static_cast<std::size_t>(r.attrs<AxisAttrs>().axis);
    std::int64_t start = 0;
    for (const RefArray& x : r.inputs) {
      for_each_index(x.shape, [&](const Index& index, std::int64_t n) {
        Index out = index;
        out[axis] += start;
        r.outputs[0].values[position_of(r.outputs[0].shape, out)] = x.values[static_cast<std::size_t>(n)];
      });
      start += x.shape[static_cast<int>(axis)];
    }
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    const auto add = [&](DType dtype) {
      const std::string prefix = std::string(name_of(dtype)) + "/";
      const bool gradient = types::floating.has(dtype);
      cases.push_back(OpCase{prefix + "rows", {{Shape{2, 3}, dtype}, {Shape{4, 3}, dtype}}, {}, {}, {}, gradient}.with(
          AxisAttrs{0}));
      cases.push_back(OpCase{
          prefix + "columns", {{Shape{3, 1}, dtype}, {Shape{3, 0}, dtype}, {Shape{3, 5}, dtype}}, {}, {}, {}, gradient}
                          .with(AxisAttrs{1}));
    };
    for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i64, DType::u8, DType::boolean}) {
      add(dtype);
    }
    // Parts of a result of high rank: copies whose target has gaps.
    for (int axis : {1, 3, 5}) {
      Shape small{2, 3, 2, 2, 3, 5}, large = small;
      large.set_dim(axis, 2 * small[axis] + 1);
      cases.push_back(
          OpCase{"f32/rank 6, axis " + std::to_string(axis), {{small}, {large}, {small}}}.with(AxisAttrs{axis}));
    }
    cases.push_back(
        OpCase{"f32/rank 8", {{Shape{2, 1, 2, 3, 1, 2, 2, 3}}, {Shape{2, 1, 2, 3, 4, 2, 2, 3}}}}.with(AxisAttrs{4}));
    cases.push_back(
        OpCase{"error/extent", {{Shape{2, 3}}, {Shape{2, 4}}}, {}, {}, ErrorId::shapes_differ}.with(AxisAttrs{0}));
    cases.push_back(OpCase{"error/rank", {{Shape{2, 3}}, {Shape{2}}}, {}, {}, ErrorId::wrong_rank}.with(AxisAttrs{0}));
    cases.push_back(
        OpCase{"error/dtype", {{Shape{2}}, {Shape{2}, DType::i32}}, {}, {}, ErrorId::dtypes_differ}.with(AxisAttrs{0}));
    for (DType dtype : {DType::i8, DType::i32}) add(dtype);
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(106, pad) {
  OpDef op;
  op.name = "pad";
  op.doc = "x with elements of one value put around it.";
  op.inputs = {{.name = "x", .types = types::any, .doc = "of any shape"}};
  op.outputs[0].doc = "extents of x, and those of the padding";
  op.attrs = attr_schema<PadAttrs>(
      "lks_pad_attrs",
      attr("before", &PadAttrs::before, "per dimension",
           {.kind = ArgumentKind::list, .doc = "numbers of elements to put in front, per dimension", .required = true}),
      attr("after", &PadAttrs::after, "per dimension",
           {.kind = ArgumentKind::list, .doc = "numbers of elements to put behind, per dimension", .required = true}));
  op.scalars = {{.name = "value", .dtype = ScalarDef::of_inputs, .doc = "of the new elements", .unless_given = 0}};
  op.infer = [](InferContext& c) {
    const auto& a = c.attrs<PadAttrs>();
    check_element(c.call(), c.call().scalars[0], c.dtype(0));
    if (a.before.count != c.rank(0) || a.after.count != c.rank(0)) {
      c.fail(ErrorId::invalid_attribute,
             "padding is given for " + std::to_string(a.before.count) + " and " + std::to_string(a.after.count) +
                 " of " + std::to_string(c.rank(0)) + " dimensions",
             "give one number per dimension");
    }
    Shape out;
    for (std::size_t i = 0; i < static_cast<std::size_t>(c.rank(0)); ++i) {
      if (a.before[i] < 0 || a.after[i] < 0)
        c.fail(ErrorId::invalid_attribute, "padding is negative", "use slice to cut elements off");
      out.append(c.shape(0).dim(static_cast<int>(i)) + Dim(a.before[i]) + Dim(a.after[i]));
    }
    c.set(0, c.dtype(0), out);
  };
  op.copy_plan = [](const OpCall& call, const Shape& output) {
    const auto& a = call.attrs_as<PadAttrs>();
    const ViewLayout place = box(output, call.inputs[0].impl()->shape, a.before.view(), unit_steps);
    return CopyPlan{call.scalars[0], {{0, place}}};
  };
  op.gradient = [](GradContext& g) {
    const std::span<const std::int64_t> before = g.attrs<PadAttrs>().before.view();
    g.set(0, box_of(g.upstream(), std::vector<Dim>(before.begin(), before.end()), g.input_shape(0), g.where()));
  };
  op.reference = [](RefContext& r) {
    const auto& a = r.attrs<PadAttrs>();
    std::fill(r.outputs[0].values.begin(), r.outputs[0].values.end(), number_as(r.call.scalars[0], r.outputs[0].dtype));
    for_each_index(r.inputs[0].shape, [&](const Index& index, std::int64_t n) {
      Index out = index;
      for (std::size_t i = 0; i < out.size(); ++i) out[i] += a.before[i];
      r.outputs[0].values[position_of(r.outputs[0].shape, out)] = r.inputs[0].values[static_cast<std::size_t>(n)];
    });
  };
  op.cases = [] {
    const Scalar half{Scalar::Kind::floating, 0, 0.5}, zero{Scalar::Kind::floating, 0, 0};
    std::vector<OpCase> cases;
    cases.push_back(OpCase{"matrix", {{Shape{3, 4}}}, {}, {half}}.with(PadAttrs{{1, 0}, {2, 3}}));
    cases.push_back(OpCase{"image", {{Shape{1, 4, 5, 2}}}, {}, {zero}}.with(PadAttrs{{0, 1, 1, 0}, {0, 1, 2, 0}}));
    cases.push_back(OpCase{"f64", {{Shape{5}, DType::f64}}, {}, {half}}.with(PadAttrs{{2}, {0}}));
    cases.push_back(OpCase{"bytes", {{Shape{5}, DType::u8}}, {}, {zero}, {}, false}.with(PadAttrs{{1}, {1}}));
    cases.push_back(OpCase{"error", {{Shape{5}}}, {}, {zero}, ErrorId::invalid_attribute}.with(PadAttrs{{-1}, {0}}));
    const auto too_far = [&](const char* name, Shape shape, PadAttrs a) {
      cases.push_back(OpCase{name, {{shape}}, {}, {zero}, ErrorId::invalid_shape}.with(a));
    };
    too_far("error/extent", {3}, {{0}, {INT64_MAX}});
    too_far("error/both_sides", {3, 3}, {{INT64_MAX, 0}, {INT64_MAX, 0}});
    too_far("error/elements", {3, 3}, {{INT64_MAX - 3, 0}, {0, INT64_MAX - 3}});
    const auto refuse = [&](const char* name, DType dtype, Scalar value) {
      cases.push_back(
          OpCase{name, {{Shape{5}, dtype}}, {}, {value}, ErrorId::invalid_attribute}.with(PadAttrs{{1}, {1}}));
    };
    refuse("error/number", DType::u8, 300);
    refuse("error/fraction", DType::i32, 2.5);
    refuse("error/too_large", DType::i32, 1e20);
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(103, slice_backward) {
  OpDef op;
  op.name = "slice_backward";
  op.doc = "Gradient of slice: zeros, with dy at the positions that were taken.";
  op.internal = true;
  op.inputs = {{"dy", types::any}};
  op.outputs = {{"dx"}};
  op.attrs = attr_schema<SliceBackwardAttrs>(
      "lks_slice_backward_attrs",
      attr("starts", &SliceBackwardAttrs::starts, "first position per dimension", list_argument()),
      attr("counts", &SliceBackwardAttrs::counts, "extent of dy", list_argument()),
      attr("steps", &SliceBackwardAttrs::steps, "may be negative", list_argument()),
      attr("shape", &SliceBackwardAttrs::shape, "of the result", extents_argument()));
  op.infer = [](InferContext& c) {
    const auto& a = c.attrs<SliceBackwardAttrs>();
    const Shape& dy = c.shape(0);
    for (const IntList* list : {&a.starts, &a.counts, &a.steps, &a.shape}) {
      if (list->count == dy.rank()) continue;
      c.fail(ErrorId::invalid_attribute,
             std::to_string(list->count) + " numbers for " + std::to_string(dy.rank()) + " dimensions",
             "give one number per dimension");
    }
    for (int i = 0; i < dy.rank(); ++i) {
      const auto d = static_cast<std::size_t>(i);
      c.require_equal(dy.dim(i), Dim::from_raw(a.counts[d]), ErrorId::shapes_differ, "extents of dy and counts");
      check_positions(c, i, a.starts[d], a.steps[d], dy.dim(i), Dim::from_raw(a.shape[d]));
    }
    c.set(0, c.dtype(0), shape_of(a.shape));
  };
  op.copy_plan = [](const OpCall& call, const Shape& output) {
    const auto& a = call.attrs_as<SliceBackwardAttrs>();
    const ViewLayout place = box(output, call.inputs[0].impl()->shape, a.starts.view(), a.steps.view());
    return CopyPlan{Scalar{}, {{0, place}}};
  };
  op.gradient = [](GradContext& g) {
    static const OpDef& forward = built_in("slice");
    const auto& a = g.attrs<SliceBackwardAttrs>();
    const SliceAttrs attrs{a.starts, a.counts, a.steps};
    g.set(0, invoke1(forward, {Operand(g.upstream(), g.where())}, &attrs));
  };
  op.reference = [](RefContext& r) {
    const auto& a = r.attrs<SliceBackwardAttrs>();
    for_each_index(r.inputs[0].shape, [&](const Index& index, std::int64_t n) {
      Index out = index;
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = a.starts[i] + out[i] * a.steps[i];
      r.outputs[0].values[position_of(r.outputs[0].shape, out)] = r.inputs[0].values[static_cast<std::size_t>(n)];
    });
  };
  op.cases = [] {
    const auto make = [](const char* name, Shape dy, SliceBackwardAttrs a) { return OpCase{name, {{dy}}}.with(a); };
    const auto wrong = [](const char* name, Shape dy, SliceBackwardAttrs a, ErrorId error) {
      return OpCase{name, {{dy}}, {}, {}, error}.with(a);
    };
    return std::vector<OpCase>{make("middle", {5}, {{2}, {5}, {1}, {9}}), make("reverse", {7}, {{6}, {7}, {-1}, {7}}),
                               make("matrix", {3, 2}, {{1, 2}, {3, 2}, {1, 2}, {5, 6}}),
                               wrong("error/outside", {5}, {{5}, {5}, {1}, {9}}, ErrorId::index_out_of_range),
                               wrong("error/count", {4}, {{2}, {5}, {1}, {9}}, ErrorId::shapes_differ)};
  };
  return op;
}

LOCKSTEP_BUILT_IN(110, full) {
  OpDef op;
  op.name = "full";
  op.doc = "A tensor filled with one number.";
  op.outputs[0].doc = "of the dtype and shape that are given";
  op.attrs =
      attr_schema<FullAttrs>("lks_full_attrs", attr("shape", &FullAttrs::shape, "of the result", extents_argument()),
                             attr("dtype", &FullAttrs::dtype, "numbered as DType", result_dtype_argument()));
  op.scalars = {{.name = "value", .dtype = LKS_F64, .doc = "of every element"}};
  op.differentiable = false;
  op.infer = [](InferContext& c) {
    const auto& a = c.attrs<FullAttrs>();
    const DType dtype = c.dtype_from_attribute(a.dtype);
    check_element(c.call(), c.call().scalars[0], dtype);
    c.set(0, dtype, shape_of(a.shape));
  };
  op.copy_plan = [](const OpCall& call, const Shape&) { return CopyPlan{call.scalars[0], {}}; };
  op.reference = [](RefContext& r) {
    std::fill(r.outputs[0].values.begin(), r.outputs[0].values.end(), number_as(r.call.scalars[0], r.outputs[0].dtype));
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (int t = 0; t < dtype_count; ++t) {
      OpCase c{std::string(name_of(static_cast<DType>(t))), {}, {}, {Scalar{Scalar::Kind::integer, 1, 0}}};
      cases.push_back(c.with(FullAttrs{{3, 5}, t}));
    }
    return cases;
  };
  return op;
}

}  // namespace defs

Tensor concat(std::span<const Tensor> tensors, std::int64_t axis, CallSite where) {
  static const OpDef& op = built_in("concat");
  std::vector<Operand> inputs;
  for (const Tensor& t : tensors) inputs.emplace_back(t, where);
  AxisAttrs attrs{axis};
  normalize_attributes(op, inputs, &attrs);
  return invoke1(op, inputs, &attrs, {}, &where);
}

Tensor concat(std::initializer_list<Tensor> tensors, std::int64_t axis, CallSite where) {
  return concat(std::span(tensors.begin(), tensors.size()), axis, where);
}

Tensor pad(Operand x, const Ints& before, const Ints& after, Scalar value) {
  static const OpDef& op = built_in("pad");
  const PadAttrs attrs{attribute_list(op, {x}, before, "the padding before", ErrorId::invalid_attribute),
                       attribute_list(op, {x}, after, "the padding after", ErrorId::invalid_attribute)};
  return invoke1(op, {x}, &attrs, std::span(&value, 1));
}

Tensor filled(const Shape& shape, const Scalar& value, DType dtype, CallSite where) {
  static const OpDef& op = built_in("full");
  const FullAttrs attrs{list_of(shape), static_cast<std::int64_t>(dtype)};
  return invoke1(op, std::span<const Operand>(), &attrs, std::span(&value, 1), &where);
}

namespace {

Tensor filled_like(const Operand& x, std::int64_t value) {
  const Tensor like = x.tensor();
  const ResultScope results(like.impl()->device);
  return filled(like.shape(), {Scalar::Kind::integer, value, 0}, like.dtype(), x.where());
}

}  // namespace

Tensor number_tensor(const Scalar& scalar, DType dtype, CallSite where) {
  // Converts as cast() does: full() refuses floating numbers that an integer dtype does not have.
  const bool converts = scalar.kind == Scalar::Kind::floating && !is_floating(dtype);
  const Scalar whole(Scalar::Kind::integer, converts ? static_cast<std::int64_t>(number_as(scalar, dtype)) : 0, 0);
  return filled(Shape{}, converts ? whole : scalar, dtype, where);
}

Tensor full(const Shape& shape, Scalar value, DType dtype, CallSite where) {
  return filled(shape, value, dtype, where);
}
Tensor zeros(const Shape& shape, DType dtype, CallSite where) {
  return filled(shape, {Scalar::Kind::integer, 0, 0}, dtype, where);
}
Tensor ones(const Shape& shape, DType dtype, CallSite where) {
  return filled(shape, {Scalar::Kind::integer, 1, 0}, dtype, where);
}
Tensor zeros_like(Operand x) { return filled_like(x, 0); }
Tensor ones_like(Operand x) { return filled_like(x, 1); }

}  // namespace lockstep
