// split: consecutive parts of a tensor along an axis, as many as the attributes say. Each is a view.
#include <algorithm>
#include <span>
#include <utility>

#include "lockstep/call_op.h"
#include "lockstep/ops/shape.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/call_error.h"
#include "ops/shape/indexing.h"

namespace lockstep {
namespace {

struct SplitAttrs {
  std::int64_t axis = 0;
  std::int64_t parts = 0;  // equal parts; 0 if `sizes` are given
  IntList sizes;           // of the parts along the axis
};

std::int64_t count_parts(const void* attrs) {
  const auto& a = *static_cast<const SplitAttrs*>(attrs);
  return a.parts == 0 ? a.sizes.count : a.parts;
}

// The extents of the parts along the axis.
std::vector<Dim> sizes_of(const InferContext& c, const SplitAttrs& a, Dim extent) {
  std::vector<Dim> sizes;
  if (a.parts != 0) {
    if (!extent.is_known()) {
      c.fail(ErrorId::symbolic_value, "the extent " + extent.to_string() + " may be no multiple of equal parts",
             "give the sizes of the parts, or give x a known extent there");
    }
    const std::int64_t whole = extent.value();
    if (whole % a.parts != 0) {
      c.fail(ErrorId::invalid_attribute,
             "an extent of " + extent.to_string() + " does not split into " + std::to_string(a.parts) + " equal parts",
             "use a number that divides the extent, or give the sizes");
    }
    sizes.assign(static_cast<std::size_t>(a.parts), whole / a.parts);
    return sizes;
  }
  Dim sum = 0;
  for (std::int64_t raw : a.sizes.view()) {
    sizes.push_back(Dim::from_raw(raw));
    sum = sum + sizes.back();
  }
  if (!may_equal(sum, extent)) {
    c.fail(ErrorId::invalid_attribute,
           "the sizes add up to " + sum.to_string() + ", the extent is " + extent.to_string(),
           "give the size of every part");
  }
  return sizes;
}

void require_one_way(const InferContext& c, const SplitAttrs& a) {
  if (a.parts == 0 || a.sizes.count == 0) return;
  c.fail(ErrorId::invalid_attribute, "both a number of parts and their sizes are given", "give one of them");
}

// Where part `o` begins along the axis.
std::int64_t start_of(const SplitAttrs& a, std::size_t o, std::int64_t size) {
  if (a.parts != 0) return static_cast<std::int64_t>(o) * size;
  std::int64_t start = 0;
  for (std::size_t i = 0; i < o; ++i) start += a.sizes[i];
  return start;
}

std::vector<Tensor> split_by(const Operand& x, SplitAttrs attrs) {
  static const OpDef& op = built_in("split");
  normalize_attributes(op, std::span(&x, 1), &attrs);
  return invoke(op, std::span(&x, 1), &attrs);
}

// More sizes than a list attribute holds: x is cut into eight runs of parts, and each run into its parts.
std::vector<Tensor> split_in_runs(const Operand& x, std::span<const std::int64_t> sizes, std::int64_t axis) {
  if (sizes.size() <= max_rank) return split_by(x, {axis, 0, IntList(sizes)});
  const std::size_t per_run = (sizes.size() - 1) / max_rank + 1;
  std::vector<std::span<const std::int64_t>> parts_of;
  IntList runs;
  for (std::size_t first = 0; first < sizes.size(); first += per_run) {
    parts_of.push_back(sizes.subspan(first, std::min(per_run, sizes.size() - first)));
    std::int64_t& size = runs.values[runs.count++];
    for (std::int64_t part : parts_of.back()) size = checked_add(size, part);
  }
  std::vector<Tensor> all;
  const std::vector<Tensor> cut = split_by(x, {axis, 0, runs});
  for (std::size_t r = 0; r < cut.size(); ++r) {
    for (Tensor& part : split_in_runs({cut[r], x.where()}, parts_of[r], axis)) all.push_back(std::move(part));
  }
  return all;
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(117, split) {
  OpDef op;
  op.name = "split";
  op.doc = "Consecutive parts of x along an axis: a number of equal ones, or parts of given sizes.";
  op.inputs = {{.name = "x", .types = types::any, .doc = "of rank 1 or more"}};
  op.outputs = {{.name = "part", .doc = "extents of x, but its size along the axis", .variadic = true}};
  using A = SplitAttrs;
  op.attrs = attr_schema<A>(
      "lks_split_attrs",
      attr("axis", &A::axis, "from the front", {.kind = ArgumentKind::axis, .doc = "along which to cut"}),
      attr("parts", &A::parts, "number of equal parts; 0: the sizes are given", {.kind = ArgumentKind::integer}),
      attr("sizes", &A::sizes, "of the parts along the axis; empty: they are equal", {.kind = ArgumentKind::extents}));
  op.arguments = {
      {.name = "axis", .kind = ArgumentKind::axis, .doc = "along which to cut", .unless_given = ArgumentValue(0)},
      {.name = "parts", .kind = ArgumentKind::integer, .doc = "number of equal parts", .otherwise = "sizes are given"},
      {.name = "sizes",
       .kind = ArgumentKind::list,
       .doc = "extents of the parts along the axis",
       .otherwise = "equal parts"}};
  op.by_name = [](const CallByName& c) {
    if (c.has("parts") == c.has("sizes")) {
      c.fail(ErrorId::wrong_argument,
             c.has("parts") ? "both \"parts\" and \"sizes\" are given" : "neither \"parts\" nor \"sizes\" is given",
             "give one of them");
    }
    if (c.has("parts")) return lockstep::split(c.input(0), c.integer("parts"), c.integer("axis"));
    return lockstep::split(c.input(0), c.list("sizes"), c.integer("axis"));
  };
  op.count_outputs = &count_parts;
  op.infer = [](InferContext& c) {
    const auto& a = c.attrs<SplitAttrs>();
    require_one_way(c, a);
    const int axis = c.axis_from_front(a.axis, c.rank(0));
    Shape part = c.shape(0);
    const std::vector<Dim> sizes = sizes_of(c, a, part.dim(axis));
    for (std::size_t o = 0; o < sizes.size(); ++o) {
      part.set_dim(axis, sizes[o]);
      c.set(o, c.dtype(0), part);
    }
  };
  op.view = [](const OpCall& call, const ViewLayout& input, const Shape& part, std::size_t o) {
    const auto& a = call.attrs_as<SplitAttrs>();
    const auto axis = static_cast<int>(a.axis);
    ViewLayout out{part, {}, input.offset + start_of(a, o, part[axis]) * input.strides[axis]};
    for (int d = 0; d < part.rank(); ++d) out.strides[d] = input.strides[d];
    return std::optional(out);
  };
  op.gradient = [](GradContext& g) {
    const auto& a = g.attrs<SplitAttrs>();
    std::vector<Tensor> parts;
    for (std::int64_t o = 0; o < count_parts(&a); ++o) parts.push_back(g.upstream(static_cast<std::size_t>(o)));
    g.set(0, concat(parts, a.axis, g.where()));
  };
  op.reference = [](RefContext& r) {
    const auto axis = static_cast<std::size_t>(r.attrs<SplitAttrs>().axis);
    std::int64_t start = 0;
    for (RefArray& part : r.outputs) {
      for_each_index(part.shape, [&](const Index& out, std::int64_t n) {
        Index in = out;
        in[axis] += start;
        part.values[static_cast<std::size_t>(n)] = at(r.inputs[0], in);
      });
      start += part.shape[static_cast<int>(axis)];
    }
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    const auto add = [&](std::string name, Shape x, SplitAttrs a, DType dtype = DType::f32) -> OpCase& {
      cases.push_back(OpCase{std::move(name), {{std::move(x), dtype}}}.with(a));
      return cases.back();
    };
    add("halves", {6, 5}, {0, 2, {}});
    add("columns", {3, 12}, {1, 4, {}});
    add("middle", {2, 6, 3}, {1, 3, {}});
    add("whole", {4}, {0, 1, {}});
    add("rows", {5, 2}, {0, 5, {}});
    add("many", {67}, {0, 67, {}});
    add("sizes", {9, 4}, {0, 0, {2, 3, 4}});
    add("sizes_of_last", {2, 3, 8}, {2, 0, {5, 1, 2}});
    add("one_size", {7}, {0, 0, {7}});
    add("empty_part", {5}, {0, 0, {2, 0, 3}});
    add("empty", {0, 3}, {0, 2, {}});
    for (int t = 1; t < dtype_count; ++t) {
      const auto dtype = static_cast<DType>(t);
      add(std::string(name_of(dtype)), {6, 3}, {0, 0, {1, 3, 2}}, dtype).gradient = types::floating.has(dtype);
    }
    add("error/uneven", {7}, {0, 2, {}}).error = ErrorId::invalid_attribute;
    add("error/none", {7}, {0, 0, {}}).error = ErrorId::invalid_attribute;
    add("error/negative", {7}, {0, -7, {}}).error = ErrorId::invalid_attribute;
    add("error/sum", {7}, {0, 0, {3, 3}}).error = ErrorId::invalid_attribute;
    add("error/both", {6}, {0, 2, {3, 3}}).error = ErrorId::invalid_attribute;
    add("error/axis", {6}, {1, 2, {}}).error = ErrorId::axis_out_of_range;
    return cases;
  };
  return op;
}

}  // namespace defs

std::vector<Tensor> split(Operand x, std::int64_t parts, std::int64_t axis) { return split_by(x, {axis, parts, {}}); }

std::vector<Tensor> split(Operand x, const Ints& sizes, std::int64_t axis) {
  for (std::int64_t size : sizes) {
    // A negative number would be taken for the handle of a symbolic extent.
    if (size >= 0) continue;
    raise_call_error({built_in("split"), std::span(&x, 1), nullptr, {}, x.where()}, ErrorId::invalid_attribute,
                     "a part has the size " + std::to_string(size), "sizes are 0 or more");
  }
  return extents_for("split", x, [&] { return split_in_runs(x, sizes, axis); });
}

}  // namespace lockstep
