#include "ops/infer.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "ops/attribute_memory.h"
#include "ops/call_error.h"
#include "runtime/tensor_impl.h"

namespace lockstep {
namespace {

const Shape scalar_shape;

// Broadcasts two extents: they may be equal, or one is 1. Writes the result's extent to `out`.
bool broadcast_dims(Dim a, Dim b, Dim& out) {
  if (a == b || b == Dim(1)) {
    out = a;
  } else if (a == Dim(1)) {
    out = b;
  } else if (may_equal(a, b)) {
    out = a.is_known() ? a : b;
  } else {
    return false;
  }
  return true;
}

bool broadcast_into(Shape& out, const Shape& in) {
  if (in == out) return true;
  if (out.rank() == 0) {
    out = in;
    return true;
  }
  const int rank = std::max(out.rank(), in.rank());
  Shape result;
  for (int i = 0; i < rank; ++i) {
    const int oi = i - (rank - out.rank()), ii = i - (rank - in.rank());
    Dim d = 1;
    if (!broadcast_dims(oi < 0 ? Dim(1) : out.dim(oi), ii < 0 ? Dim(1) : in.dim(ii), d)) return false;
    result.append(d);
  }
  out = result;
  return true;
}

}  // namespace

std::string TypeSet::to_string() const {
  std::string text;
  for (int i = 0; i < dtype_count; ++i) {
    const auto t = static_cast<DType>(i);
    if (has(t)) text += (text.empty() ? "" : ", ") + std::string(name_of(t));
  }
  return text;
}

void detail::refuse_length(const char* unit, std::size_t length, std::size_t capacity) {
  ErrorBuilder(ErrorId::invalid_attribute, "attributes",
               std::to_string(length) + " " + unit + " are given, there is room for " + std::to_string(capacity))
      .fix("give fewer, or state a larger capacity where the op is defined")
      .raise();
}

namespace {

[[noreturn]] void refuse_attribute(const OpCall& call, const AttrField& field, std::int64_t count, const char* fix) {
  const bool is_list = field.storage == AttrField::Storage::list;
  const std::string capacity = std::to_string(field.capacity);
  raise_call_error(call, ErrorId::invalid_attribute,
                   field.name + " has " + std::to_string(count) +
                       (is_list ? " numbers, a list takes 0 to " : " bytes, a text takes 0 to ") + capacity,
                   fix);
}

// Texts that are equal have equal memory.
void check_text(const OpCall& call, const AttrField& field) {
  const std::string_view text = text_at(field, call.attrs);
  if (std::all_of(text.data() + text.size(), text.data() + field.capacity, [](char c) { return c == 0; })) return;
  raise_call_error(call, ErrorId::invalid_attribute, field.name + " has other bytes than 0 behind its text",
                   "make the text anew, as a BoundedText");
}

// Checks what a call that bypasses the public functions may lack or have wrong. Nothing else checks it.
void check_attributes(const OpCall& call) {
  const OpDef& op = call.op;
  const char* fix = "see the op's documentation for its attributes and numbers";
  if (call.scalars.size() != op.scalars.size()) {
    raise_call_error(call, ErrorId::invalid_attribute,
                     std::to_string(call.scalars.size()) + " numbers of its own are given, it needs " +
                         std::to_string(op.scalars.size()),
                     fix);
  }
  if (op.attrs.size == 0) return;
  if (!call.attrs) raise_call_error(call, ErrorId::invalid_attribute, "its attributes are not given", fix);
  for (const AttrField& field : op.attrs.fields) {
    if (field.capacity == 0) continue;  // an integer or a real
    const std::int64_t count = count_at(field, call.attrs);
    if (count < 0 || count > static_cast<std::int64_t>(field.capacity)) refuse_attribute(call, field, count, fix);
    if (field.storage == AttrField::Storage::text) check_text(call, field);
  }
}

}  // namespace

void check_call(const OpCall& call) {
  check_attributes(call);
  const std::size_t most = call.op.inputs.size();
  const bool variadic = most > 0 && call.op.inputs.back().variadic;
  std::size_t least = most;
  while (least > 0 && call.op.inputs[least - 1].optional) --least;
  if (call.inputs.size() >= least && (variadic || call.inputs.size() <= most)) return;
  raise_call_error(call, ErrorId::wrong_input_count,
                   "takes " + (variadic ? std::to_string(least) + " or more" : std::to_string(most)) + " inputs, not " +
                       std::to_string(call.inputs.size()),
                   "see the op's documentation for its inputs");
}

std::size_t output_count(const OpCall& call) {
  constexpr std::int64_t most = 1024;  // so that attributes that make no sense ask for no memory
  if (!call.op.count_outputs) return call.op.outputs.size();
  check_call(call);
  const std::int64_t count = call.op.count_outputs(call.attrs);
  if (count >= 1 && count <= most) return static_cast<std::size_t>(count);
  raise_call_error(call, ErrorId::invalid_attribute,
                   "the attributes ask for " + std::to_string(count) + " results, a call has 1 to 1024",
                   "ask for fewer parts in several calls, or for one or more");
}

void check_results(const OpCall& call, std::span<const TensorSpec> specs) {
  for (const TensorSpec& spec : specs) {
    if (spec.is_countable() || spec.shape.is_empty()) continue;
    const Uncountable why = uncountable(spec);
    raise_call_error(call, why.id, why.headline, "check the shape");
  }
}

DType dtype_from_attribute(const OpCall& call, std::int64_t number) {
  if (number >= 0 && number < dtype_count) return static_cast<DType>(number);
  raise_call_error(call, ErrorId::unknown_dtype, std::to_string(number) + " is not a dtype",
                   "use f32, f64, f16, bf16, i8, u8, i32, i64 or boolean");
}

void infer_specs(const OpCall& call, CallTypes& types, std::span<TensorSpec> specs) {
  infer_unchecked_specs(call, types, specs);
  check_results(call, specs);
}

void infer_unchecked_specs(const OpCall& call, CallTypes& types, std::span<TensorSpec> specs) {
  InferContext context(call, types, specs);
  try {
    call.op.infer(context);
  } catch (const ShapeError& e) {
    // Arithmetic on extents does not know the op, so the error is raised again for the call.
    if (e.op() != "shape") throw;
    raise_call_error(call, e.id(), e.headline(), e.hint().empty() ? "check the shapes of the operands" : e.hint());
  } catch (const TraceError& e) {
    if (e.op() != "number") throw;
    raise_call_error(call, e.id(), e.headline() + ", and this op checks its value", e.hint());
  }
  for (const TensorSpec& spec : specs) {
    if (is_dtype(spec.dtype)) continue;
    raise_call_error(call, ErrorId::invalid_op_definition,
                     "`infer` gives " + std::to_string(static_cast<int>(spec.dtype)) + ", which is not a dtype",
                     "correct the OpDef");
  }
  types.set_result(specs[0].dtype);
}

Shape broadcast_shape(const OpCall& call) {
  Shape out;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    if (!call.inputs[i].is_tensor()) continue;
    const Shape& shape = call.inputs[i].impl()->shape;
    if (!broadcast_into(out, shape)) {
      raise_call_error(call, ErrorId::shapes_do_not_broadcast,
                       "shapes do not broadcast: " + input_name(call.op, i) + " is " + shape.to_string() +
                           ", the others " + out.to_string(),
                       "extents must be equal or 1, counted from the last; check what each operand means");
    }
  }
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    for (std::size_t j = i + 1; j < call.inputs.size(); ++j) {
      if (!call.inputs[i].is_tensor() || !call.inputs[j].is_tensor()) continue;
      const Shape& a = call.inputs[i].impl()->shape;
      const Shape& b = call.inputs[j].impl()->shape;
      if (a.rank() == b.rank() || a.rank() == 0 || b.rank() == 0 || a == out || b == out) continue;
      raise_call_error(call, ErrorId::mutual_broadcast,
                       "shapes " + a.to_string() + " and " + b.to_string() +
                           " differ in rank and both would be expanded, to " + out.to_string(),
                       "if that is meant, reshape one to the other's rank; if not, reshape it to the same shape");
    }
  }
  return out;
}

std::optional<Shape> try_broadcast(const Shape& a, const Shape& b) {
  Shape out = a;
  if (!broadcast_into(out, b)) return std::nullopt;
  return out;
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  const std::optional<Shape> both = try_broadcast(from, to);
  return both && std::ranges::equal(both->dims(), to.dims(), [](Dim a, Dim b) { return may_equal(a, b); });
}

// -------------------------------------------------------------------------------------------------------- InferContext

const Shape& InferContext::shape(std::size_t i) const {
  const Operand& operand = call_.inputs[i];
  return operand.is_tensor() ? operand.impl()->shape : scalar_shape;
}

DType InferContext::dtype(std::size_t i) const { return types_.operand(i); }

DType InferContext::group_dtype() const { return types_.group(); }

void InferContext::refuse_output(std::size_t output) const {
  fail(ErrorId::invalid_op_definition,
       "`infer` sets output " + std::to_string(output) + " of a call that has " + std::to_string(outputs_.size()),
       "call an op with several outputs by invoke(); in an OpDef, set what `outputs` lists");
}

void InferContext::fail(ErrorId id, std::string headline, std::string fix) const {
  raise_call_error(call_, id, std::move(headline), std::move(fix));
}

void InferContext::require_rank(std::size_t i, int rank) const {
  if (this->rank(i) == rank) return;
  fail(ErrorId::wrong_rank,
       input_name(call_.op, i) + " has rank " + std::to_string(this->rank(i)) + ", needed is rank " +
           std::to_string(rank),
       "reshape it to " + std::to_string(rank) + " dimensions");
}

int InferContext::axis(std::int64_t axis, int rank) const {
  if (axis >= -rank && axis < rank) return static_cast<int>(axis < 0 ? axis + rank : axis);
  fail(ErrorId::axis_out_of_range,
       "axis " + std::to_string(axis) + " is outside a tensor of rank " + std::to_string(rank),
       rank == 0 ? "a tensor of rank 0 has no axes"
                 : "axes go from " + std::to_string(-rank) + " to " + std::to_string(rank - 1));
}

int InferContext::axis_from_front(std::int64_t axis, int rank) const {
  const int position = this->axis(axis, rank);
  if (position == axis) return position;
  fail(ErrorId::axis_out_of_range, "axis " + std::to_string(axis) + " is negative",
       "attributes count axes from the front: give " + std::to_string(position));
}

void InferContext::refuse_count(std::int64_t given, int needed, std::string_view what) const {
  fail(
      ErrorId::invalid_attribute,
      std::to_string(given) + " numbers are given as " + std::string(what) + ", but it needs " + std::to_string(needed),
      "give as many numbers as the op's documentation says");
}

DType InferContext::dtype_from_attribute(std::int64_t number) const {
  return lockstep::dtype_from_attribute(call_, number);
}

void InferContext::require_equal(Dim a, Dim b, ErrorId id, std::string_view what) const {
  if (may_equal(a, b)) return;
  fail(id, std::string(what) + " differ, " + a.to_string() + " and " + b.to_string(),
       "check the shapes of the operands");
}

void DecomposeContext::set(std::size_t output, Tensor value) {
  if (results.size() <= output) results.resize(output + 1);
  results[output].emplace(std::move(value));
}

RefArray RefArray::zeros(DType dtype, const Shape& shape) {
  RefArray array{dtype, shape, {}, {}};
  array.values.resize(static_cast<std::size_t>(shape.size()));
  return array;
}

}  // namespace lockstep
