#include "ops/arguments.h"

#include <algorithm>
#include <cstdio>

#include "ops/attribute_memory.h"
#include "ops/call_error.h"
#include "ops/call_types.h"
#include "ops/launch_number.h"
#include "runtime/caller.h"
#include "runtime/tensor_impl.h"

namespace lockstep {
namespace {

template <class T>
T read_at(const AttrSchema& schema, const AttrField& field) {
  T value;
  std::memcpy(&value, schema.defaults.data() + field.offset, sizeof value);
  return value;
}

// The schema's default as a user writes it.
std::optional<ArgumentValue> default_of(const AttrSchema& schema, const AttrField& field) {
  if (field.argument.required) return std::nullopt;
  if (field.storage == AttrField::Storage::real) return read_at<double>(schema, field);
  if (field.storage == AttrField::Storage::integer) {
    const auto number = read_at<std::int64_t>(schema, field);
    if (field.argument.kind == ArgumentKind::truth) return ArgumentValue(number != 0);
    if (field.argument.kind == ArgumentKind::dtype) return ArgumentValue(static_cast<DType>(number));
    if (field.argument.kind == ArgumentKind::choice) {
      return ArgumentValue(field.argument.choices[static_cast<std::size_t>(number)]);
    }
    return ArgumentValue(number);
  }
  if (field.storage == AttrField::Storage::text) {
    const std::string_view text = text_at(field, schema.defaults.data());
    // An empty text may stand for something, which `otherwise` says.
    if (text.empty() && !field.argument.otherwise.empty()) return std::nullopt;
    return ArgumentValue(std::string(text));
  }
  const std::int64_t count = count_at(field, schema.defaults.data());
  if (count == IntList::missing_count) return std::nullopt;
  for (std::size_t i = 0; i < field.argument.choices.size(); ++i) {
    if (count == IntList::choice_count(static_cast<int>(i))) return ArgumentValue(field.argument.choices[i]);
  }
  return ArgumentValue(numbers_at(field, schema.defaults.data()));
}

std::string text_of(const Scalar& number) {
  if (!number.is_known()) return LaunchNumber(number).to_string();
  if (number.kind == Scalar::Kind::logical) return number.integer ? "true" : "false";
  if (number.kind == Scalar::Kind::integer) return integer_text(number);
  char text[40];
  std::snprintf(text, sizeof text, "%g", number.floating);
  const bool reads_as_integer = std::string_view(text).find_first_not_of("-0123456789") == std::string_view::npos;
  return text + std::string(reads_as_integer ? ".0" : "");
}

std::string text_of(DType dtype) { return std::string(name_of(dtype)); }
std::string text_of(const std::string& text) { return text; }
std::string text_of(const std::vector<std::int64_t>& list) {
  std::string text;
  for (std::int64_t n : list) text += (text.empty() ? "" : ", ") + std::to_string(n);
  return "[" + text + "]";
}

std::int64_t from_front(std::int64_t axis, int rank) { return axis < 0 && axis >= -rank ? axis + rank : axis; }

// A list attribute of any capacity.
struct ListInPlace {
  std::int64_t& count;
  std::int64_t* values;
  std::int64_t capacity;

  bool is_missing() const { return count == IntList::missing_count; }
  // None of a choice. check_call refuses a count above the capacity.
  std::span<std::int64_t> numbers() const {
    return {values, static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, capacity))};
  }
};

ListInPlace list_in_place(const AttrField& field, std::byte* at) {
  auto* words = reinterpret_cast<std::int64_t*>(at);
  return {words[0], words + 1, static_cast<std::int64_t>(field.capacity)};
}

void normalize_axes(const ListInPlace& axes, int rank) {
  if (axes.is_missing()) {
    axes.count = rank;
    for (int i = 0; i < rank; ++i) axes.values[i] = i;
    return;
  }
  const std::span<std::int64_t> numbers = axes.numbers();
  for (std::int64_t& n : numbers) n = from_front(n, rank);
  std::sort(numbers.begin(), numbers.end());
}

void normalize_order(const ListInPlace& order, int rank) {
  if (order.is_missing()) {
    order.count = rank;
    for (int i = 0; i < rank; ++i) order.values[i] = rank - 1 - i;
    return;
  }
  for (std::int64_t& n : order.numbers()) n = from_front(n, rank);
}

// A list that is missing names all axes.
[[noreturn]] void refuse_rank(const OpDef& op, std::span<const Operand> inputs, const AttrField& field, int rank,
                              const CallSite* where) {
  const std::string capacity = std::to_string(field.capacity);
  raise_call_error({op, inputs, nullptr, {}, location_of(inputs, where)}, ErrorId::invalid_attribute,
                   "the argument \"" + field.name + "\" is not given and stands for all " + std::to_string(rank) +
                       " axes, there is room for " + capacity,
                   "give at most " + capacity + " axes");
}

}  // namespace

std::string ArgumentValue::to_string() const {
  return std::visit([](const auto& value) { return text_of(value); }, value_);
}

void complete_arguments(OpDef& op) {
  if (!op.arguments.empty()) return;
  for (const AttrField& field : op.attrs.fields) {
    op.arguments.push_back(field.argument);
    op.arguments.back().unless_given = default_of(op.attrs, field);
  }
  for (const ScalarDef& scalar : op.scalars) {
    ArgumentDef argument{.name = scalar.name, .kind = ArgumentKind::number, .doc = scalar.doc};
    argument.required = !scalar.unless_given;
    if (scalar.unless_given) argument.unless_given = ArgumentValue(*scalar.unless_given);
    op.arguments.push_back(std::move(argument));
  }
}

const Shape& NormalizeContext::shape(std::size_t i) const {
  static const Shape of_number;
  return inputs_[i].is_tensor() ? inputs_[i].impl()->shape : of_number;
}

void NormalizeContext::fail(ErrorId id, std::string headline, std::string fix) const {
  raise_call_error({op_, inputs_, nullptr, {}, where_}, id, std::move(headline), std::move(fix));
}

void normalize_attributes(const OpDef& op, std::span<const Operand> inputs, void* attrs, const CallSite* where) {
  const int rank = !inputs.empty() && inputs[0].is_tensor() ? inputs[0].impl()->shape.rank() : 0;
  for (const AttrField& field : op.attrs.fields) {
    std::byte* at = static_cast<std::byte*>(attrs) + field.offset;
    switch (field.argument.kind) {
      case ArgumentKind::axis: {
        auto& axis = *reinterpret_cast<std::int64_t*>(at);
        axis = from_front(axis, rank);
        break;
      }
      case ArgumentKind::axes:
      case ArgumentKind::order: {
        const ListInPlace list = list_in_place(field, at);
        if (list.is_missing() && rank > list.capacity) [[unlikely]]
          refuse_rank(op, inputs, field, rank, where);
        if (field.argument.kind == ArgumentKind::axes) {
          normalize_axes(list, rank);
        } else {
          normalize_order(list, rank);
        }
        break;
      }
      default: break;
    }
  }
  if (!op.normalize) return;
  const CallSite place = location_of(inputs, where);
  const CallerScope caller(place);
  NormalizeContext context(op, inputs, attrs, place);
  op.normalize(context);
}

}  // namespace lockstep
