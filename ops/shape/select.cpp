// Ops that select by index: gather and its transpose scatter_add, one_hot, argsort.
#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "lockstep/ops/math.h"
#include "lockstep/ops/shape.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/call_error.h"
#include "ops/invoke.h"
#include "ops/pointwise.h"
#include "ops/shape/indexing.h"
#include "ops/sum_oracle.h"

namespace lockstep {
namespace {

struct ScatterAddAttrs {
  std::int64_t axis = 0;
  std::int64_t extent = 0;  // of the result along the axis
};

struct OneHotAttrs {
  std::int64_t depth = 0;
  std::int64_t dtype = 0;  // numbered as DType
};

// The result is 1 where the position along `axis` equals the label, else 0.
struct MatchesPositionAttrs {
  std::int64_t axis = 0;
  std::int64_t dtype = 0;
};

// One step of a bitonic sorting network: element i is compared with element i xor `distance`, and runs of `run`
// elements are sorted in alternating directions. Both are powers of two.
struct BitonicAttrs {
  std::int64_t distance = 1;
  std::int64_t run = 2;
};

ArgumentDef axis_argument(std::string doc) { return {.kind = ArgumentKind::axis, .doc = std::move(doc)}; }

// Splits an index of a gathered tensor: (before the axis, position in indices, after the axis).
struct Split {
  Index indices, rest;  // `rest` has a 0 at `axis`
};

Split split_index(const Index& index, std::size_t axis, std::size_t indices_rank) {
  const auto first = index.begin() + static_cast<std::ptrdiff_t>(axis);
  Split s;
  s.indices.assign(first, first + static_cast<std::ptrdiff_t>(indices_rank));
  s.rest.assign(index.begin(), first);
  s.rest.push_back(0);
  s.rest.insert(s.rest.end(), first + static_cast<std::ptrdiff_t>(indices_rank), index.end());
  return s;
}

CaseInput index_input(Shape shape, DType dtype, std::int64_t extent) {
  return {shape, dtype, {CaseValues::Kind::indices, 0, static_cast<double>(extent - 1)}};
}

void decompose_argsort(DecomposeContext& c) {
  const CallSite at = c.call().where;
  const Tensor x = c.tensor(0);
  const std::int64_t count = x.size();
  const auto length = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(count)));
  static const OpDef &partner_op = built_in("bitonic_partner"), &exchange_op = built_in("bitonic_exchange");
  // Padding sorts last: it has the largest key, and positions beyond the end break ties.
  constexpr Scalar largest{Scalar::Kind::integer, std::numeric_limits<std::int64_t>::max(), 0};
  Tensor key = length == count ? x : concat({x, filled({length - count}, largest, DType::i64, at)}, 0, at);
  Tensor position = arange(length, DType::i64, 0, 1, at);
  for (std::int64_t run = 2; run <= length; run *= 2) {
    for (std::int64_t distance = run / 2; distance >= 1; distance /= 2) {
      const BitonicAttrs attrs{distance, run};
      const Tensor partner = invoke1(partner_op, {Operand(position, at)}, &attrs);
      const Tensor other_key = gather({key, at}, {partner, at}), other_position = gather({position, at}, {partner, at});
      const Operand operands[] = {{key, at}, {position, at}, {other_key, at}, {other_position, at}};
      std::vector<Tensor> kept = invoke(exchange_op, operands, &attrs);
      key = std::move(kept[0]);
      position = std::move(kept[1]);
    }
  }
  // A view would keep the whole padded result alive.
  static const OpDef& copy = built_in("copy");
  const Tensor sorted = slice({position, at}, {{0, 0, count}});
  c.set(0, invoke1(copy, {Operand(sorted, at)}));
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(107, gather) {
  OpDef op;
  op.name = "gather";
  op.doc = "Slices along an axis, by index.";
  op.inputs = {
      {.name = "x", .types = types::any, .doc = "of rank 1 or more"},
      input_of_indices("indices", "any; one outside [0, extent of the axis) fails the launch, LKS_REASON_INDEX")};
  op.inputs[1].doc = "of any shape";
  op.outputs[0].doc = "extents of x before the axis, then those of indices, then those of x after the axis";
  op.attrs = attr_schema<AxisAttrs>("lks_gather_attrs", attr("axis", &AxisAttrs::axis, "from the front",
                                                             axis_argument("along which to take slices")));
  op.infer = [](InferContext& c) {
    const int axis = c.axis_from_front(c.attrs<AxisAttrs>().axis, c.rank(0));
    require_places(c, c.shape(0).dim(axis), "the extent of x along the axis");
    Shape out;
    for (int i = 0; i < c.rank(0); ++i) {
      if (i != axis) out.append(c.shape(0).dim(i));
      for (int k = 0; i == axis && k < c.rank(1); ++k) out.append(c.shape(1).dim(k));
    }
    c.set(0, c.dtype(0), out);
  };
  op.saves = {{.inputs = 0b10}, {}};
  op.gradient = [](GradContext& g) {
    static const OpDef& scatter = built_in("scatter_add");
    const std::int64_t axis = g.attrs<AxisAttrs>().axis;
    const CallSite at = g.where();
    const Dim count = g.input_shape(1).element_count(), extent = g.input_shape(0).dim(static_cast<int>(axis));
    Tensor dy = g.upstream();
    if (g.input_shape(1).rank() != 1) {  // scatter_add takes indices of rank 1
      Shape merged = g.input_shape(0);
      merged.set_dim(static_cast<int>(axis), count);
      dy = lockstep::reshape({dy, at}, merged);
    }
    const Tensor indices = lockstep::reshape(g.input(1), Shape{count});
    const ScatterAddAttrs attrs{axis, extent.raw()};  // the public function takes no symbolic extent
    g.set(0, invoke1(scatter, {Operand(dy, at), Operand(indices, at)}, &attrs));
  };
  op.reference = [](RefContext& r) {
    const auto axis = static_cast<std::size_t>(r.attrs<AxisAttrs>().axis);
    const auto rank = static_cast<std::size_t>(r.inputs[1].shape.rank());
    for_each_index(r.outputs[0].shape, [&](const Index& index, std::int64_t n) {
      Split s = split_index(index, axis, rank);
      s.rest[axis] = static_cast<std::int64_t>(at(r.inputs[1], s.indices));
      r.outputs[0].values[static_cast<std::size_t>(n)] = at(r.inputs[0], s.rest);
    });
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8,
                        DType::boolean, DType::i8}) {
      for (DType index : {DType::i32, DType::i64}) {
        const std::string prefix = std::string(name_of(dtype)) + "/" + std::string(name_of(index)) + "/";
        const auto add = [&](const char* name, Shape x, Shape indices, std::int64_t axis) {
          OpCase c{prefix + name, {{x, dtype}, index_input(indices, index, x[static_cast<int>(axis)])}};
          c.gradient = types::floating.has(dtype);
          cases.push_back(c.with(AxisAttrs{axis}));
        };
        add("rows", {7, 5}, {9}, 0);
        add("columns", {3, 6}, {4}, 1);
        add("table", {8, 3}, {2, 5}, 0);
        add("middle", {2, 5, 3}, {4}, 1);
        add("middle_table", {3, 6, 5}, {2, 4}, 1);
        add("last", {2, 3, 7}, {5}, 2);
        add("none", {4, 3}, {0}, 0);
      }
    }
    cases.push_back(OpCase{"error/index",
                           {{Shape{4, 3}}, {Shape{2}, DType::i64, {CaseValues::Kind::indices, 4, 5}}},
                           {},
                           {},
                           ErrorId::index_out_of_range}
                        .with(AxisAttrs{0}));
    cases.push_back(
        OpCase{"error/dtype", {{Shape{4, 3}}, {Shape{2}, DType::f32}}, {}, {}, ErrorId::dtype_not_accepted}.with(
            AxisAttrs{0}));
    // Elements of a vector: slices of one element.
    for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8,
                        DType::boolean, DType::i8}) {
      for (DType index : {DType::i32, DType::i64}) {
        OpCase c{std::string(name_of(dtype)) + "/" + std::string(name_of(index)) + "/vector",
                 {{Shape{23}, dtype}, index_input({35}, index, 23)}};
        c.gradient = types::floating.has(dtype);
        cases.push_back(c.with(AxisAttrs{0}));
      }
    }
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(108, scatter_add) {
  OpDef op;
  op.name = "scatter_add";
  op.doc = "Zeros, to which slices are added at indices along an axis, in ascending order of their position.";
  op.inputs = {{.name = "updates", .types = types::numeric, .doc = "of rank 1 or more"},
               input_of_indices("indices", "any; one outside [0, extent) fails the launch, LKS_REASON_INDEX")};
  op.inputs[1].doc = "of rank 1, one per slice of updates";
  op.outputs[0].doc = "extents of updates, but `extent` along the axis";
  op.attrs = attr_schema<ScatterAddAttrs>(
      "lks_scatter_add_attrs",
      attr("axis", &ScatterAddAttrs::axis, "from the front", axis_argument("along which slices are added")),
      attr("extent", &ScatterAddAttrs::extent, "of the result along the axis",
           integer_argument("of the result along the axis")));
  op.error_class = ErrorClass::sum;
  // A negative extent in canonical attributes is the handle of a symbolic one.
  op.normalize = [](NormalizeContext& c) {
    const std::int64_t extent = c.attrs<ScatterAddAttrs>().extent;
    if (extent < 0) c.fail(ErrorId::invalid_attribute, "extent is " + std::to_string(extent), "extent is 0 or more");
  };
  op.infer = [](InferContext& c) {
    const auto& a = c.attrs<ScatterAddAttrs>();
    const int axis = c.axis_from_front(a.axis, c.rank(0));
    c.require_rank(1, 1);
    c.require_equal(c.shape(0).dim(axis), c.shape(1).dim(0), ErrorId::shapes_differ,
                    "updates along the axis and indices");
    require_places(c, Dim::from_raw(a.extent), "extent");
    Shape out = c.shape(0);
    out.set_dim(axis, Dim::from_raw(a.extent));
    c.set(0, c.dtype(0), out);
  };
  op.saves = {{.inputs = 0b10}, {}};
  op.gradient = [](GradContext& g) {
    const Tensor dy = g.upstream();
    g.set(0, lockstep::gather({dy, g.where()}, g.input(1), g.attrs<ScatterAddAttrs>().axis));
  };
  op.reference = [](RefContext& r) {
    const auto axis = static_cast<std::size_t>(r.attrs<ScatterAddAttrs>().axis);
    SumOracle sums(r.outputs[0]);
    for_each_index(r.inputs[0].shape, [&](const Index& index, std::int64_t n) {
      Index target = index;
      target[axis] = static_cast<std::int64_t>(r.inputs[1].values[static_cast<std::size_t>(index[axis])]);
      sums.add(position_of(r.outputs[0].shape, target), r.inputs[0].values[static_cast<std::size_t>(n)]);
    });
    sums.finish();
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64}) {
      const auto add = [&](const char* name, Shape updates, std::int64_t axis, std::int64_t extent,
                           DType index = DType::i64) {
        OpCase c{std::string(name_of(dtype)) + "/" + name,
                 {{updates, dtype}, index_input({updates[static_cast<int>(axis)]}, index, extent)}};
        c.gradient = is_floating(dtype);
        cases.push_back(c.with(ScatterAddAttrs{axis, extent}));
      };
      add("rows", {11, 4}, 0, 5);
      add("columns", {3, 9}, 1, 4);
      add("middle", {2, 7, 3}, 1, 6);
      add("vector", {40}, 0, 3);
      add("none", {0, 4}, 0, 3);
      add("i32", {13, 3}, 0, 7, DType::i32);
      // Most rows of a table get no update.
      add("table", {30, 3}, 0, 1025);
      add("table_columns", {3, 30}, 1, 1031, DType::i32);
      add("last", {2, 3, 9}, 2, 4);
      // As in the gradient of an embedding. Differences of the oracle would take seconds.
      add("wide_table", {30, 67}, 0, 1025);
      cases.back().gradient = false;
      if (dtype == DType::f32 || dtype == DType::i64) add("long_table", {50}, 0, 70001);
    }
    cases.push_back(OpCase{"error/index",
                           {{Shape{2, 3}}, {Shape{2}, DType::i64, {CaseValues::Kind::indices, -2, -1}}},
                           {},
                           {},
                           ErrorId::index_out_of_range}
                        .with(ScatterAddAttrs{0, 4}));
    cases.push_back(
        OpCase{"error/count", {{Shape{2, 3}}, index_input({3}, DType::i64, 4)}, {}, {}, ErrorId::shapes_differ}.with(
            ScatterAddAttrs{0, 4}));
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(109, one_hot) {
  OpDef op;
  op.name = "one_hot";
  op.doc = "1 where the last index equals the label, else 0.";
  op.inputs = {{.name = "labels", .types = types::index, .doc = "of any shape"}};
  op.inputs[0].values = "any; for one outside [0, depth) all elements are 0";
  op.outputs[0].doc = "dtype of the attribute; extents of labels, then depth";
  op.differentiable = false;
  op.attrs = attr_schema<OneHotAttrs>(
      "lks_one_hot_attrs",
      attr("depth", &OneHotAttrs::depth, "extent of the new last dimension",
           integer_argument("extent of the new last dimension")),
      attr("dtype", &OneHotAttrs::dtype, "number of the result's dtype", result_dtype_argument()));
  op.infer = [](InferContext& c) {
    const auto& a = c.attrs<OneHotAttrs>();
    if (a.depth < 0) c.fail(ErrorId::invalid_attribute, "depth is " + std::to_string(a.depth), "depth is 0 or more");
    Shape out = c.shape(0);
    out.append(a.depth);
    c.set(0, c.dtype_from_attribute(a.dtype), out);
  };
  op.decompose = [](DecomposeContext& c) {
    const CallSite at = c.call().where;
    const auto& a = c.attrs<OneHotAttrs>();
    const Shape& out = c.output_spec(0).shape;
    const Tensor column = expand_dims(c.input(0), -1), spread = broadcast_to({column, at}, out);
    const MatchesPositionAttrs attrs{out.rank() - 1, a.dtype};
    static const OpDef& matches = built_in("matches_position");
    c.set(0, invoke1(matches, {Operand(spread, at)}, &attrs));
  };
  op.reference = [](RefContext& r) {
    const std::int64_t depth = r.attrs<OneHotAttrs>().depth;
    for (std::size_t i = 0; i < r.inputs[0].values.size(); ++i) {
      const auto label = static_cast<std::int64_t>(r.inputs[0].values[i]);
      if (label >= 0 && label < depth)
        r.outputs[0].values[i * static_cast<std::size_t>(depth) + static_cast<std::size_t>(label)] = 1;
    }
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    const auto prefix_of = [](DType dtype, DType label) {
      return std::string(name_of(dtype)) + "/" + std::string(name_of(label));
    };
    const auto add_vector = [&](DType dtype, DType label) {
      const CaseInput labels{Shape{6}, label, {CaseValues::Kind::indices, -1, 5}};
      OpCase c{prefix_of(dtype, label) + "/vector", {labels}, {}, {}, {}, false};
      cases.push_back(c.with(OneHotAttrs{5, static_cast<std::int64_t>(dtype)}));
    };
    for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i32, DType::boolean}) {
      for (DType label : {DType::i32, DType::i64}) {
        const auto to = static_cast<std::int64_t>(dtype);
        const std::string prefix = prefix_of(dtype, label);
        add_vector(dtype, label);
        cases.push_back(
            OpCase{prefix + "/matrix", {{Shape{2, 3}, label, {CaseValues::Kind::indices, 0, 2}}}, {}, {}, {}, false}
                .with(OneHotAttrs{3, to}));
        cases.push_back(
            OpCase{prefix + "/deep", {{Shape{7}, label, {CaseValues::Kind::indices, 990, 1035}}}, {}, {}, {}, false}
                .with(OneHotAttrs{1031, to}));
      }
    }
    cases.push_back(
        OpCase{"error/depth", {{Shape{2}, DType::i64}}, {}, {}, ErrorId::invalid_attribute}.with(OneHotAttrs{-1, 0}));
    for (DType dtype : {DType::f16, DType::i8, DType::u8, DType::i64}) {
      for (DType label : {DType::i32, DType::i64}) add_vector(dtype, label);
    }
    // More classes than 16 bits count.
    const CaseInput far_label{Shape{1}, DType::i64, {CaseValues::Kind::indices, 69990, 70000}};
    cases.push_back(OpCase{"f32/i64/very_deep", {far_label}, {}, {}, {}, false}.with(OneHotAttrs{70001, 0}));
    return cases;
  };
  return op;
}

LOCKSTEP_BUILT_IN(114, matches_position) {
  OpDef op = make_pointwise_op("matches_position", 1,
                               [](ProgramBuilder& p, const OpCall& call, std::span<const Expr> in) {
                                 const auto& a = call.attrs_as<MatchesPositionAttrs>();
                                 const Expr hit =
                                     convert(in[0], LKS_I64) == p.index(static_cast<std::uint32_t>(a.axis));
                                 return std::vector<Expr>{convert(hit, abi_dtype(static_cast<DType>(a.dtype)))};
                               },
                               {.doc = "1 where the position along an axis equals x, else 0.",
                                .types = types::index,
                                .error_class = ErrorClass::exact});
  op.differentiable = false;
  op.internal = true;
  op.attrs = attr_schema<MatchesPositionAttrs>(
      "lks_matches_position_attrs",
      attr("axis", &MatchesPositionAttrs::axis, "from the front", axis_argument("of the positions")),
      attr("dtype", &MatchesPositionAttrs::dtype, "number of the result's dtype", result_dtype_argument()));
  op.infer = [](InferContext& c) {
    const auto& a = c.attrs<MatchesPositionAttrs>();
    c.axis_from_front(a.axis, c.rank(0));
    c.set(0, c.dtype_from_attribute(a.dtype), c.shape(0));
  };
  op.cases = [] {
    const CaseInput x{Shape{4, 6}, DType::i64, {CaseValues::Kind::indices, 0, 5}};
    return std::vector<OpCase>{OpCase{"f32", {x}, {}, {}, {}, false}.with(MatchesPositionAttrs{1, 0}),
                               OpCase{"f64", {x}, {}, {}, {}, false}.with(MatchesPositionAttrs{0, 1})};
  };
  return op;
}

namespace {

AttrSchema bitonic_schema(const char* name) {
  return attr_schema<BitonicAttrs>(
      name, attr("distance", &BitonicAttrs::distance, "between partners", integer_argument("between partners")),
      attr("run", &BitonicAttrs::run, "length of runs of one direction",
           integer_argument("length of runs of one direction")));
}

void check_bitonic(InferContext& c) {
  const auto& a = c.attrs<BitonicAttrs>();
  for (std::int64_t n : {a.distance, a.run}) {
    if (n < 1 || (n & (n - 1)) != 0) {
      c.fail(ErrorId::invalid_attribute, std::to_string(n) + " is not a power of two",
             "distance and run are powers of two");
    }
  }
}

}  // namespace

LOCKSTEP_BUILT_IN(115, bitonic_partner) {
  OpDef op = make_pointwise_op(
      "bitonic_partner", 1,
      [](ProgramBuilder& p, const OpCall& call, std::span<const Expr>) {
        const Expr i = p.linear_index();
        return std::vector<Expr>{i ^ i.constant(static_cast<double>(call.attrs_as<BitonicAttrs>().distance))};
      },
      {.doc = "Index of the element that each element of x meets in one step of a bitonic sort.",
       .types = types::of(i64),
       .error_class = ErrorClass::exact});
  op.differentiable = false;
  op.internal = true;
  op.attrs = bitonic_schema("lks_bitonic_partner_attrs");
  op.infer = [](InferContext& c) {
    check_bitonic(c);
    c.set(0, DType::i64, c.shape(0));
  };
  op.cases = [] {
    return std::vector<OpCase>{OpCase{"n16", {{Shape{16}, DType::i64}}, {}, {}, {}, false}.with(BitonicAttrs{4, 8})};
  };
  return op;
}

LOCKSTEP_BUILT_IN(116, bitonic_exchange) {
  OpDef op = make_pointwise_op(
      "bitonic_exchange", 4,
      [](ProgramBuilder& p, const OpCall& call, std::span<const Expr> in) {
        const auto& a = call.attrs_as<BitonicAttrs>();
        const Expr key = in[0], position = in[1], other_key = in[2], other_position = in[3];
        const Expr i = p.linear_index();
        const Expr is_lower = (i & i.constant(static_cast<double>(a.distance))) == 0;
        const Expr ascending = (i & i.constant(static_cast<double>(a.run))) == 0;
        const Expr other_first = (other_key < key) | ((other_key == key) & (other_position < position));
        // The lower partner in an ascending run keeps the smaller pair. Being the upper partner inverts this, and so
        // does a descending run.
        const Expr take = other_first ^ (is_lower ^ ascending);
        return std::vector<Expr>{select(take, other_key, key), select(take, other_position, position)};
      },
      {.doc = "The (key, position) pair that belongs here after one step of a bitonic sort.",
       .types = types::of(i64),
       .error_class = ErrorClass::exact,
       .values = {CaseValues::Kind::indices, -9, 9}});
  op.inputs = {{"key", types::of(i64)},
               {"position", types::of(i64)},
               {"other_key", types::of(i64)},
               {"other_position", types::of(i64)}};
  op.outputs = {{"key"}, {"position"}};
  op.differentiable = false;
  op.internal = true;
  op.attrs = bitonic_schema("lks_bitonic_exchange_attrs");
  op.infer = [](InferContext& c) {
    check_bitonic(c);
    for (std::size_t i = 1; i < 4; ++i) {
      if (c.shape(i) == c.shape(0)) continue;
      c.fail(ErrorId::shapes_differ, "pairs are " + c.shape(0).to_string() + " and " + c.shape(i).to_string(),
             "give keys and positions of the same elements");
    }
    c.set(0, DType::i64, c.shape(0));
    c.set(1, DType::i64, c.shape(0));
  };
  op.cases = [] {
    const CaseInput x{Shape{16}, DType::i64, {CaseValues::Kind::indices, -9, 9}};
    return std::vector<OpCase>{OpCase{"n16", {x, x, x, x}, {}, {}, {}, false}.with(BitonicAttrs{2, 8})};
  };
  return op;
}

LOCKSTEP_BUILT_IN(112, argsort) {
  OpDef op;
  op.name = "argsort";
  op.doc = "The order of the elements of a vector, ascending; equal ones by index.";
  op.inputs = {{.name = "x", .types = types::of(i64), .doc = "a vector"}};
  op.outputs = {{"order"}};
  op.outputs[0].doc = "i64";
  op.differentiable = false;
  op.infer = [](InferContext& c) {
    c.require_rank(0, 1);
    c.set(0, DType::i64, c.shape(0));
  };
  op.decompose = &decompose_argsort;
  op.reference = [](RefContext& r) {
    std::vector<std::size_t> order(r.inputs[0].values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return r.inputs[0].values[a] < r.inputs[0].values[b]; });
    std::copy(order.begin(), order.end(), r.outputs[0].values.begin());
  };
  op.cases = [] {
    std::vector<OpCase> cases;
    for (std::int64_t n : {37, 1, 2, 128}) {
      cases.push_back(
          {"n" + std::to_string(n), {{Shape{n}, DType::i64, {CaseValues::Kind::indices, -20, 20}}}, {}, {}, {}, false});
    }
    cases.push_back({"error/rank", {{Shape{2, 2}, DType::i64}}, {}, {}, ErrorId::wrong_rank, false});
    return cases;
  };
  return op;
}

}  // namespace defs

Tensor gather(Operand x, Operand indices, std::int64_t axis) {
  static const OpDef& op = built_in("gather");
  AxisAttrs attrs{axis};
  normalize_attributes(op, std::span(&x, 1), &attrs);
  return invoke1(op, {x, indices}, &attrs);
}

Tensor scatter_add(Operand updates, Operand indices, std::int64_t extent, std::int64_t axis) {
  static const OpDef& op = built_in("scatter_add");
  ScatterAddAttrs attrs{axis, extent};
  const Operand inputs[] = {updates, indices};
  normalize_attributes(op, inputs, &attrs);
  return invoke1(op, inputs, &attrs);
}

Tensor one_hot(Operand labels, std::int64_t depth, DType dtype) {
  static const OpDef& op = built_in("one_hot");
  const OneHotAttrs attrs{depth, static_cast<std::int64_t>(dtype)};
  return invoke1(op, {labels}, &attrs);
}

LOCKSTEP_UNARY_FUNCTION(argsort)

}  // namespace lockstep
