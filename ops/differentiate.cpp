#include "ops/differentiate.h"

#include <algorithm>
#include <deque>
#include <limits>

#include "api/internal/mutex.h"
#include "ops/kernel_description.h"

namespace lockstep {
namespace {

using Tangent = std::optional<Expr>;

bool is_float(lks_dtype t) { return LKS_DTYPE_CLASS(t) == LKS_CLASS_FLOAT || LKS_DTYPE_CLASS(t) == LKS_CLASS_BFLOAT; }

Tangent add(const Tangent& a, const Tangent& b) {
  if (!a) return b;
  return b ? *a + *b : a;
}
Tangent negate(const Tangent& a) { return a ? Tangent(-*a) : a; }
Tangent times(const Tangent& a, Expr factor) { return a ? Tangent(*a * factor) : a; }

// One step of the chain rule: the tangent of `value` from the tangents of its arguments.
Tangent step(const lks_instr& instr, Expr value, std::span<const Expr> x, std::span<const Tangent> t,
             std::span<const ScalarFunction* const> functions) {
  switch (instr.opcode) {
    case LKS_INSTR_ADD: return add(t[0], t[1]);
    case LKS_INSTR_SUB: return add(t[0], negate(t[1]));
    case LKS_INSTR_MUL: return add(times(t[0], x[1]), times(t[1], x[0]));
    case LKS_INSTR_DIV: {
      const Tangent numerator = add(t[0], negate(times(t[1], value)));
      return numerator ? Tangent(*numerator / x[1]) : Tangent();
    }
    case LKS_INSTR_SQRT: return t[0] ? Tangent(*t[0] / (value + value)) : Tangent();
    case LKS_INSTR_NEG: return negate(t[0]);
    case LKS_INSTR_ABS: {
      if (!t[0]) return {};
      // Does not multiply by 1 or -1: compilers replace that by the sign of x, each with its own zeros and NaN.
      const Expr zero = x[0].constant(0);
      // A constant, and not x[0] itself, whose own derivative would be 1.
      const Expr nan = x[0].constant(std::numeric_limits<double>::quiet_NaN());
      const Expr zero_or_nan = select(x[0] == zero, zero, nan);
      return select(x[0] > zero, *t[0], select(x[0] < zero, -*t[0], zero_or_nan));
    }
    case LKS_INSTR_SELECT: {
      if (!t[1] && !t[2]) return {};
      const Expr zero = value.constant(0);
      return select(x[0], t[1].value_or(zero), t[2].value_or(zero));
    }
    case LKS_INSTR_CONVERT: return t[0] && is_float(instr.dtype) ? Tangent(convert(*t[0], instr.dtype)) : Tangent();
    case LKS_INSTR_CALL: {
      const ScalarFunction& f = *functions[instr.imm];
      Tangent sum;
      for (std::uint32_t k = 0; k < x.size(); ++k) {
        if (!t[k]) continue;
        if (!f.differentiable()) {
          ErrorBuilder(ErrorId::no_gradient_rule, f.name, "the scalar function has no derivative")
              .fix("give ScalarFunction::derivative or chain")
              .raise();
        }
        sum = add(sum, f.times_derivative(*t[k], x, value, k));
      }
      return sum;
    }
    default: return {};  // comparisons, bits, indices: constant almost everywhere
  }
}

}  // namespace

std::optional<Expr> derivative(Expr result, Expr source, Expr upstream) {
  ProgramBuilder& builder = result.builder();
  const std::uint32_t end = result.value() + 1;
  std::vector<Tangent> tangents(end);
  // If dtypes change between source and result, upstream has the result's dtype and is multiplied in last.
  const bool first = upstream.dtype() == source.dtype();
  tangents[source.value()] = first ? upstream : source.constant(1);
  for (std::uint32_t i = 0; i < end; ++i) {
    if (tangents[i]) continue;
    // Copied, because recording below may reallocate the list.
    const lks_instr instr = builder.instrs()[i];
    const std::vector<const ScalarFunction*> functions(builder.functions().begin(), builder.functions().end());
    std::vector<Expr> args;
    std::vector<Tangent> inner;
    bool any = false;
    for (int a = 0; a < arg_count(instr, functions); ++a) {
      const std::uint32_t v = instr.args[a];
      args.emplace_back(builder, v, builder.instrs()[v].dtype);
      inner.push_back(tangents[v]);
      any |= tangents[v].has_value();
    }
    if (any) tangents[i] = step(instr, Expr(builder, i, instr.dtype), args, inner, functions);
  }
  return first ? tangents[result.value()] : times(tangents[result.value()], upstream);
}

namespace {

// Records the original body on `inputs`, then the gradient of input `wanted` for the given upstream values.
Expr record_gradient(const OpDef& op, const OpCall& call, std::span<const Expr> inputs, std::span<const Expr> upstream,
                     std::size_t wanted) {
  const OpCall original{op, call.inputs, call.attrs, call.scalars, call.where};
  const std::vector<Expr> results = op.body(upstream[0].builder(), original, inputs);
  Tangent sum;
  for (std::size_t o = 0; o < results.size(); ++o) {
    sum = add(sum, derivative(results[o], inputs[wanted], upstream[o]));
  }
  return sum ? *sum : inputs[wanted].constant(0);
}

// A dtype that the input may have when group T is `dtype`.
lks_dtype sample_dtype(const InputDef& def, lks_dtype dtype) {
  if (def.group == 'T') return dtype;
  for (DType t : {DType::i64, DType::i32, DType::boolean}) {
    if (def.types.has(t)) return abi_dtype(t);
  }
  return dtype;
}

// Which inputs of the original op the gradient program reads.
std::vector<std::size_t> used_inputs(const OpDef& op, std::size_t wanted) {
  const TypeSet wide = types::of(DType::f64);
  const DType dtype = (op.inputs[wanted].types.bits & types::floating.bits) == wide.bits ? DType::f64 : DType::f32;
  ProgramBuilder builder;
  std::vector<Expr> inputs, upstream;
  for (const InputDef& def : op.inputs) {
    inputs.push_back(builder.input(sample_dtype(def, abi_dtype(dtype))));
  }
  for (std::size_t s = 0; s < op.scalars.size(); ++s) {
    inputs.push_back(builder.scalar(static_cast<std::uint32_t>(s), own_scalar_dtype(op, s, dtype, dtype)));
  }
  for (std::size_t o = 0; o < op.outputs.size(); ++o) upstream.push_back(builder.input(abi_dtype(dtype)));
  const OpCall call{op, {}, op.attrs.defaults.data(), {}, {}};
  const Expr gradient = record_gradient(op, call, inputs, upstream, wanted);
  const Program program = builder.finish(std::span(&gradient, 1));

  std::vector<std::size_t> used;
  std::vector<bool> read(program.instrs().size());
  read[program.outputs()[0]] = true;
  for (const lks_instr& instr : program.instrs()) {
    for (int a = 0; a < arg_count(instr, program.functions()); ++a) read[instr.args[a]] = true;
  }
  for (std::size_t i = 0; i < program.instrs().size(); ++i) {
    const lks_instr& instr = program.instrs()[i];
    if (instr.opcode == LKS_INSTR_INPUT && read[i] && instr.imm < op.inputs.size()) used.push_back(instr.imm);
  }
  std::sort(used.begin(), used.end());
  return used;
}

OpDef make_gradient_op(const OpDef& op, std::size_t wanted, std::vector<std::size_t> used) {
  const std::size_t used_count = used.size();
  const OpDef* original = &op;
  OpDef::Body body = [original, wanted, used](ProgramBuilder& builder, const OpCall& call,
                                              std::span<const Expr> given) {
    const std::size_t upstream_begin = used.size();
    const std::size_t scalar_begin = upstream_begin + original->outputs.size();
    const lks_dtype dtype = given[upstream_begin].dtype();
    // Inputs that the gradient does not read still need a value in the original body: a placeholder scalar. It is
    // dropped with everything that depends on it. Placeholders need distinct numbers, because the body of a second
    // derivative has placeholders of its own.
    const auto place = [&builder](lks_dtype t) {
      return builder.scalar(0xffffu + static_cast<std::uint32_t>(builder.instrs().size()), t);
    };
    std::vector<Expr> inputs;
    for (std::size_t i = 0; i < original->inputs.size(); ++i) {
      const auto at = std::find(used.begin(), used.end(), i);
      const InputDef& def = original->inputs[i];
      inputs.push_back(at != used.end() ? given[static_cast<std::size_t>(at - used.begin())]
                                        : place(sample_dtype(def, dtype)));
    }
    for (std::size_t s = scalar_begin; s < given.size(); ++s) inputs.push_back(given[s]);
    const auto upstream = given.subspan(upstream_begin, original->outputs.size());
    return std::vector<Expr>{record_gradient(*original, call, inputs, upstream, wanted)};
  };
  OpDef gradient =
      make_pointwise_op(op.name + ".d" + std::to_string(wanted), used_count + op.outputs.size(), std::move(body),
                        {.doc = "Gradient of " + op.name + ".", .types = types::floating});
  for (std::size_t k = 0; k < used_count; ++k) gradient.inputs[k] = op.inputs[used[k]];
  for (std::size_t o = 0; o < op.outputs.size(); ++o) {
    gradient.inputs[used_count + o] = {"d" + op.outputs[o].name, types::floating};
  }
  gradient.attrs = op.attrs;
  gradient.scalars = op.scalars;
  return gradient;
}

}  // namespace

const GradientOp& gradient_op(const OpDef& op, std::size_t wanted) {
  struct Entry {
    std::uint64_t original;
    std::size_t wanted;
    OpDef definition;
    GradientOp gradient;
  };
  struct Table {
    RecursiveMutex mutex;
    std::deque<Entry> entries LOCKSTEP_GUARDED_BY(mutex);  // stable addresses
  };
  static auto* table = new Table;
  LockGuard lock(table->mutex);
  for (const Entry& e : table->entries) {
    if (e.original == op.identity.number() && e.wanted == wanted) return e.gradient;
  }
  std::vector<std::size_t> used = used_inputs(op, wanted);
  OpDef definition = make_gradient_op(op, wanted, used);
  table->entries.push_back({op.identity.number(), wanted, std::move(definition), {nullptr, std::move(used)}});
  Entry& entry = table->entries.back();
  entry.gradient.op = &entry.definition;
  complete_pointwise(entry.definition);
  return entry.gradient;
}

namespace {

void pointwise_gradient(GradContext& context) {
  const OpDef& op = context.op();
  std::vector<Scalar> scalars;
  for (std::size_t s = 0; s < op.scalars.size(); ++s) scalars.push_back(context.scalar(s));
  for (std::size_t i = 0; i < context.input_count(); ++i) {
    if (!context.needs(i)) continue;
    const GradientOp& gradient = gradient_op(op, i);
    std::vector<Operand> inputs;
    std::vector<Tensor> upstream;
    for (std::size_t u : gradient.used) inputs.push_back(context.input(u));
    upstream.reserve(op.outputs.size());
    for (std::size_t o = 0; o < op.outputs.size(); ++o) {
      upstream.push_back(context.upstream(o));
      inputs.emplace_back(upstream.back(), context.where());
    }
    context.set(i, invoke1(*gradient.op, inputs, context.raw_attrs(), scalars));
  }
}

}  // namespace

void complete_pointwise(OpDef& op) {
  if (!op.pointwise() || op.gradient || !op.differentiable) return;
  op.gradient = &pointwise_gradient;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    Saves saves;
    if (op.inputs[i].types.bits & types::floating.bits) {
      for (std::size_t u : used_inputs(op, i)) saves.inputs |= 1u << u;
    }
    op.saves.push_back(saves);
  }
}

}  // namespace lockstep
