#include "lockstep/call_op.h"
#include "lockstep/ops/linalg.h"
#include "lockstep/ops/math.h"
#include "lockstep/ops/shape.h"
#include "ops/built_in.h"
#include "ops/call_error.h"
#include "ops/infer.h"
#include "ops/invoke.h"
#include "ops/sum_oracle.h"

namespace lockstep {
namespace {

void infer_matmul(InferContext& c) {
  for (std::size_t i = 0; i < 2; ++i) {
    if (c.rank(i) < 2) {
      c.fail(ErrorId::wrong_rank,
             std::string(i ? "b" : "a") + " has rank " + std::to_string(c.rank(i)) + ", needed is rank 2 or more",
             "add a dimension: expand_dims(vector, 0) is a row, expand_dims(vector, 1) a column");
    }
  }
  const Shape &a = c.shape(0), &b = c.shape(1);
  if (!may_equal(a.dim(-1), b.dim(-2))) {
    c.fail(ErrorId::inner_dimensions,
           "inner dimensions differ, " + a.dim(-1).to_string() + " and " + b.dim(-2).to_string(),
           "the last dimension of a must be the last but one of b; transpose one of them if that is meant");
  }
  Shape out;
  for (int i = 0; i + 2 < a.rank(); ++i) {
    c.require_equal(a.dim(i), b.dim(i), ErrorId::shapes_differ, "leading dimensions");
    out.append(a.dim(i));
  }
  out.append(a.dim(-2));
  out.append(b.dim(-1));
  c.set(0, c.group_dtype(), out);
}

void matmul_reference(RefContext& r) {
  const RefArray &a = r.inputs[0], &b = r.inputs[1];
  const RefArray& out = r.outputs[0];
  const std::int64_t m = a.shape[-2], k = a.shape[-1], n = b.shape[-1];
  const std::int64_t batches = m * n == 0 ? 0 : out.size() / (m * n);
  SumOracle sums(r.outputs[0]);
  for (std::int64_t p = 0; p < batches && k > 0; ++p) {
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        sums.add_products(static_cast<std::size_t>((p * m + i) * n + j), a.values.data() + (p * m + i) * k, 1,
                          b.values.data() + p * k * n + j, n, k);
      }
    }
  }
  sums.finish();
}

std::vector<OpCase> matmul_cases() {
  std::vector<OpCase> cases;
  const auto add = [&](std::string name, Shape a, Shape b, DType dtype = DType::f32) {
    OpCase c{std::string(name_of(dtype)) + "/" + name, {{a, dtype}, {b, dtype}}};
    c.gradient = is_floating(dtype);
    cases.push_back(std::move(c));
  };
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64}) {
    add("small", {3, 4}, {4, 5}, dtype);
    add("prime", {17, 29}, {29, 13}, dtype);
    add("batched", {3, 4, 5}, {3, 5, 2}, dtype);
    add("row", {1, 33}, {33, 7}, dtype);
    add("column", {9, 1}, {1, 6}, dtype);
    add("outer_batches", {2, 2, 3, 4}, {2, 2, 4, 3}, dtype);
    add("no_inner", {3, 0}, {0, 4}, dtype);
    add("empty", {0, 3}, {3, 4}, dtype);
  }
  add("blocks", {70, 65}, {65, 130});
  add("long_row", {1, 700}, {700, 7});
  add("long_column", {9, 700}, {700, 1});
  add("long_batches", {3, 5, 700}, {3, 700, 3});
  add("error/inner", {3, 4}, {5, 6});
  cases.back().error = ErrorId::inner_dimensions;
  add("error/rank", {3}, {3, 4});
  cases.back().error = ErrorId::wrong_rank;
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64}) {
    add("dot", {1, 37}, {37, 1}, dtype);
    add("matrix_vector", {11, 37}, {37, 1}, dtype);
  }
  return cases;
}

Tensor transposed(const Tensor& x, CallSite where) { return swap_axes({x, where}, -1, -2); }

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(70, matmul) {
  OpDef op;
  op.name = "matmul";
  op.doc = "Matrix product over the last two dimensions. Leading dimensions broadcast; kernels get equal ones.";
  op.inputs = {{.name = "a", .types = types::numeric, .doc = "(…, m, k)"},
               {.name = "b", .types = types::numeric, .doc = "(…, k, n)"}};
  op.outputs[0].doc = "(…, m, n)";
  for (const char* side : {"a", "b"}) {
    op.arguments.push_back({.name = std::string("transpose_") + side,
                            .kind = ArgumentKind::truth,
                            .doc = std::string("swap the last two dimensions of ") + side,
                            .unless_given = ArgumentValue(false)});
  }
  op.by_name = [](const CallByName& c) {
    const Matmul options{c.truth("transpose_a"), c.truth("transpose_b")};
    return std::vector<Tensor>{lockstep::matmul(c.input(0), c.input(1), options)};
  };
  op.error_class = ErrorClass::sum;
  op.infer = &infer_matmul;
  op.saves = {{.inputs = 0b10}, {.inputs = 0b01}};
  op.gradient = [](GradContext& g) {
    const Tensor dy = g.upstream();
    const CallSite at = g.where();
    if (g.needs(0)) g.set(0, lockstep::matmul({dy, at}, g.input(1), {.transpose_b = true}));
    if (g.needs(1)) g.set(1, lockstep::matmul(g.input(0), {dy, at}, {.transpose_a = true}));
  };
  op.reference = &matmul_reference;
  op.cases = &matmul_cases;
  return op;
}

}  // namespace defs

Tensor matmul(Operand a, Operand b, Matmul options) {
  static const OpDef& op = built_in("matmul");
  const auto is_matrix = [](const Operand& x) { return x.is_tensor() && x.impl()->shape.rank() >= 2; };
  if (!is_matrix(a) || !is_matrix(b)) return invoke1(op, {a, b});  // inference says what is wrong
  const CallSite where = a.where();
  std::optional<Tensor> left, right;
  if (options.transpose_a) left = transposed(a.tensor(), where);
  if (options.transpose_b) right = transposed(b.tensor(), where);
  if (left) a = Operand(*left, where);
  if (right) b = Operand(*right, where);
  const Shape as = a.impl()->shape, bs = b.impl()->shape;
  if (as.rank() == 2 && bs.rank() == 2) return invoke1(op, {a, b});

  // b is one matrix for all batches, so one larger product computes them all.
  if (bs.rank() == 2 && !options.transpose_a && may_equal(as.dim(-1), bs.dim(0)) && !(as.dim(-1) == Dim(0))) {
    const Tensor rows = reshape(a, Shape{floor_div(as.element_count(), as.dim(-1)), as.dim(-1)});
    Shape out = as;
    out.set_dim(-1, bs.dim(1));
    return reshape({invoke1(op, {Operand(rows, where), b}), where}, out);
  }
  Shape a_lead, b_lead;
  for (int i = 0; i + 2 < as.rank(); ++i) a_lead.append(as.dim(i));
  for (int i = 0; i + 2 < bs.rank(); ++i) b_lead.append(bs.dim(i));
  if (!(a_lead == b_lead)) {
    const std::optional<Shape> lead = try_broadcast(a_lead, b_lead);
    if (!lead) {
      const Operand operands[] = {a, b};
      raise_call_error({op, operands, nullptr, {}, where}, ErrorId::shapes_do_not_broadcast,
                       "leading dimensions do not broadcast, " + a_lead.to_string() + " and " + b_lead.to_string(),
                       "extents must be equal or 1, counted from the last");
    }
    Shape a_full = *lead, b_full = *lead;
    a_full.append(as.dim(-2));
    a_full.append(as.dim(-1));
    b_full.append(bs.dim(-2));
    b_full.append(bs.dim(-1));
    left = broadcast_to(a, a_full);
    right = broadcast_to(b, b_full);
    return invoke1(op, {Operand(*left, where), Operand(*right, where)});
  }
  return invoke1(op, {a, b});
}

}  // namespace lockstep
