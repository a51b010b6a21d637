// Calls by name: inputs are counted, arguments are checked by their kinds, and then the op is called as its public
// function calls it.
#include "lockstep/call_op.h"

#include <algorithm>
#include <cstring>

#include "ops/attribute_memory.h"
#include "ops/call_error.h"

namespace lockstep {
namespace {

using Ints = std::vector<std::int64_t>;

std::string quoted(std::string_view name) { return "\"" + std::string(name) + "\""; }

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

// An op that writes into an input would change every tensor that shares the input's memory.
const OpDef& op_called(std::string_view name, CallSite where) {
  const OpDef* op = find_op(name);
  if (!op) raise(ErrorId::unknown_op, name, "there is no op of that name", "`lockstep ops` lists the ops", where);
  for (const InputDef& input : op->inputs) {
    if (!input.mutable_) continue;
    raise(ErrorId::unknown_op, name, "the op writes into its input " + input.name + ", and tensors keep their values",
          "update variables with Optimizer::apply or Variable::assign", where);
  }
  if (op->internal) {
    raise(ErrorId::unknown_op, name, "the op is a part of other ops and has no public function",
          "`lockstep ops` lists the ops that have one", where);
  }
  return *op;
}

void check_inputs(const CallByName& call) {
  const std::vector<InputDef>& defs = call.op().inputs;
  const std::size_t given = call.inputs().size();
  if (given > defs.size() && !(defs.size() > 0 && defs.back().variadic)) {
    call.fail(ErrorId::wrong_input_count,
              "takes " + std::to_string(defs.size()) + " inputs, not " + std::to_string(given),
              "other values are arguments, given by name");
  }
  for (std::size_t i = 0; i < defs.size(); ++i) {
    const bool absent = i >= given || call.input(i).is_absent();
    if (!absent || defs[i].optional) continue;
    call.fail(ErrorId::wrong_input_count, "input " + defs[i].name + " is missing", "give it");
  }
}

// As an error shows it. Quotes tell the text "true" from the value true.
std::string shown(const ArgumentValue& value) {
  const std::string* text = value.get<std::string>();
  return text ? quoted(*text) : value.to_string();
}

// ------------------------------------------------------------------------------------------------------------- kinds

bool is_whole(const ArgumentValue& value) {
  const Scalar* number = value.get<Scalar>();
  return number && number->kind == Scalar::Kind::integer && !number->above_int64;
}

// A whole number that an attribute could not hold, which is an i64.
bool is_above_int64(const ArgumentValue& value) {
  const Scalar* number = value.get<Scalar>();
  return number && number->kind == Scalar::Kind::integer && number->above_int64;
}

// The value in the type in which CallByName has this kind, or nullopt if it is of another kind.
std::optional<ArgumentValue> of_kind(const ArgumentDef& def, const ArgumentValue& value) {
  const Scalar* number = value.get<Scalar>();
  const std::string* text = value.get<std::string>();
  const bool names_choice = text && std::find(def.choices.begin(), def.choices.end(), *text) != def.choices.end();
  const auto if_holds = [&](bool holds) { return holds ? std::optional(value) : std::nullopt; };
  if (names_choice) return value;
  switch (def.kind) {
    case ArgumentKind::integer: return if_holds(is_whole(value) || (def.at_launch && is_above_int64(value)));
    case ArgumentKind::axis: return if_holds(is_whole(value));
    case ArgumentKind::real: return if_holds(number && number->kind != Scalar::Kind::logical);
    case ArgumentKind::truth: return if_holds(number && number->kind == Scalar::Kind::logical);
    case ArgumentKind::number: return if_holds(number);
    case ArgumentKind::dtype:
      if (text) return ArgumentValue(parse_dtype(*text));
      return if_holds(value.get<DType>());
    case ArgumentKind::axes:
      if (is_whole(value)) return ArgumentValue(Ints{number->integer});
      return if_holds(value.get<Ints>());
    case ArgumentKind::order:
    case ArgumentKind::extents:
    case ArgumentKind::list: return if_holds(value.get<Ints>());
    case ArgumentKind::device:
    case ArgumentKind::text: return if_holds(text);
    case ArgumentKind::choice: return std::nullopt;
    case ArgumentKind::unspecified: return if_holds(number || value.get<Ints>());
  }
  return std::nullopt;
}

std::string wanted(const ArgumentDef& def) {
  std::vector<std::string> forms;
  for (const std::string& choice : def.choices) forms.push_back(quoted(choice));
  switch (def.kind) {
    case ArgumentKind::integer:
    case ArgumentKind::axis: forms.push_back("a whole number"); break;
    case ArgumentKind::real:
    case ArgumentKind::number: forms.push_back("a number"); break;
    case ArgumentKind::truth: forms.push_back("true or false"); break;
    case ArgumentKind::dtype: forms.push_back("a dtype, such as \"f32\""); break;
    case ArgumentKind::axes: forms.push_back("an axis or a list of axes"); break;
    case ArgumentKind::order:
    case ArgumentKind::extents:
    case ArgumentKind::list: forms.push_back("a list of whole numbers"); break;
    case ArgumentKind::device: forms.push_back("the name of a device, such as \"cpu:0\""); break;
    case ArgumentKind::text: forms.push_back("a text"); break;
    case ArgumentKind::choice: break;
    case ArgumentKind::unspecified: forms.push_back("a number or a list"); break;
  }
  return joined(forms);
}

// Attributes decide which kernel a call needs, so they have values before the launch.
void refuse_symbol(const CallByName& call, const ArgumentDef& def, const ArgumentValue& value) {
  const Scalar* number = value.get<Scalar>();
  if (!number || number->is_known() || def.kind == ArgumentKind::number || def.at_launch) return;
  call.fail(
      ErrorId::symbolic_value,
      "the argument " + quoted(def.name) + " is `" + value.to_string() + "`, a number that is known only at launch",
      "give " + wanted(def));
}

void take(CallByName& call, const std::string& name, const ArgumentValue& value) {
  const std::vector<ArgumentDef>& defs = call.op().arguments;
  const auto def = std::find_if(defs.begin(), defs.end(), [&](const ArgumentDef& d) { return d.name == name; });
  if (def == defs.end()) {
    std::vector<std::string> names;
    for (const ArgumentDef& d : defs) names.push_back(d.name);
    call.fail(ErrorId::unknown_argument, "there is no argument " + quoted(name),
              names.empty() ? "the op takes inputs alone" : "the op takes " + joined(names));
  }
  std::optional<ArgumentValue>& place = call.values()[static_cast<std::size_t>(def - defs.begin())];
  if (place) call.fail(ErrorId::wrong_argument, "the argument " + quoted(name) + " is given twice", "give it once");
  refuse_symbol(call, *def, value);
  place = of_kind(*def, value);
  if (place) return;
  call.fail(ErrorId::wrong_argument, "the argument " + quoted(name) + " is " + shown(value), "give " + wanted(*def));
}

void take_defaults(CallByName& call) {
  const std::vector<ArgumentDef>& defs = call.op().arguments;
  for (std::size_t i = 0; i < defs.size(); ++i) {
    std::optional<ArgumentValue>& value = call.values()[i];
    if (value) continue;
    if (defs[i].required) {
      call.fail(ErrorId::wrong_argument, "the argument " + quoted(defs[i].name) + " is missing",
                "give " + wanted(defs[i]));
    }
    value = defs[i].unless_given;
  }
}

// ------------------------------------------------------------------------------------------------- attributes, numbers

void check_capacity(const CallByName& call, const AttrField& field, std::size_t length, const char* unit) {
  if (length <= field.capacity) return;
  const std::string capacity = std::to_string(field.capacity);
  call.fail(ErrorId::invalid_attribute,
            "the argument " + quoted(field.name) + " has " + std::to_string(length) + unit + ", there is room for " +
                capacity,
            "give at most " + capacity + unit);
}

void check_list(const CallByName& call, const AttrField& field, const Ints& numbers) {
  const ArgumentDef& def = field.argument;
  if (def.kind == ArgumentKind::extents) {
    if (numbers.size() > static_cast<std::size_t>(max_rank)) {
      call.fail(ErrorId::invalid_shape, "rank " + std::to_string(numbers.size()) + " exceeds the limit of 8",
                "merge dimensions");
    }
    for (std::int64_t n : numbers) {
      // A negative number would be taken for the handle of a symbolic extent.
      if (n < 0) call.fail(ErrorId::invalid_shape, "an extent is " + std::to_string(n), "extents are 0 or more");
    }
  }
  if (field.capacity != IntList::capacity) return check_capacity(call, field, numbers.size(), " numbers");
  const bool names_axes = def.kind == ArgumentKind::axes || def.kind == ArgumentKind::order;
  const std::string what = def.kind == ArgumentKind::axes    ? "the list of axes"
                           : def.kind == ArgumentKind::order ? "the order"
                                                             : "the argument " + quoted(def.name);
  check_one_per_axis({call.op(), call.inputs(), nullptr, {}, call.where()}, numbers, what,
                     names_axes ? ErrorId::axis_out_of_range : ErrorId::invalid_attribute);
}

// As canonical attributes hold it; nullopt if it is not an integer, dtype, bool or choice.
std::optional<std::int64_t> integer_of(const ArgumentDef& def, const ArgumentValue& value) {
  if (const auto* dtype = value.get<DType>()) return static_cast<std::int64_t>(*dtype);
  if (const auto* number = value.get<Scalar>()) {
    const bool holds = number->is_known() && number->kind != Scalar::Kind::floating && !number->above_int64;
    return holds ? std::optional(number->integer) : std::nullopt;
  }
  const auto* text = value.get<std::string>();
  const auto choice = text ? std::find(def.choices.begin(), def.choices.end(), *text) : def.choices.end();
  if (choice == def.choices.end()) return std::nullopt;
  return choice - def.choices.begin();
}

// Whether an empty list stands for one that is not given, as for public functions: sum(x, {.axes = {}}) is over all
// axes. Canonical attributes tell the two apart, so normalize_attributes cannot.
bool stands_for_default(const AttrField& field, const ArgumentValue& value, const std::byte* defaults) {
  const auto* list = value.get<Ints>();
  if (!list || !list->empty() || field.storage != AttrField::Storage::list) return false;
  return count_at(field, defaults) == IntList::missing_count;
}

// Puts the value into the attribute struct, in the form that normalize_attributes takes. An op of an application may
// take kinds that the attribute cannot hold.
void put(const CallByName& call, const AttrField& field, const ArgumentValue& value, std::byte* attrs) {
  const auto copy = [&](const auto& v) { std::memcpy(attrs + field.offset, &v, sizeof v); };
  const auto refuse = [&](const char* holds) {
    call.fail(ErrorId::wrong_argument, "the argument " + quoted(field.name) + " is " + shown(value),
              std::string("give ") + holds);
  };
  const std::optional<std::int64_t> integer = integer_of(field.argument, value);
  const auto* text = value.get<std::string>();
  switch (field.storage) {
    case AttrField::Storage::integer:
      if (!integer) refuse("a whole number");
      return copy(*integer);
    case AttrField::Storage::real:
      if (!value.get<Scalar>()) refuse("a number");
      return copy(value.get<Scalar>()->as_double());
    case AttrField::Storage::list:
      if (text && integer) {
        return put_values(field, attrs, IntList::choice_count(static_cast<int>(*integer)), nullptr, 0);
      }
      if (!value.get<Ints>()) refuse("a list of whole numbers");
      check_list(call, field, *value.get<Ints>());
      return put_numbers(field, attrs, *value.get<Ints>());
    case AttrField::Storage::text:
      if (!text) refuse("a text");
      check_capacity(call, field, text->size(), " bytes");
      return put_text(field, attrs, *text);
  }
}

const Scalar& number_of(const CallByName& call, const ArgumentDef& def, const std::optional<ArgumentValue>& value) {
  const Scalar* number = value ? value->get<Scalar>() : nullptr;
  if (!number) {
    call.fail(ErrorId::wrong_argument,
              "the argument " + quoted(def.name) + (value ? " is " + shown(*value) : " is missing"), "give a number");
  }
  return *number;
}

// A call of an op whose arguments are its attributes and then its own numbers, as registration has checked.
std::vector<Tensor> called_by_schema(const CallByName& call) {
  const OpDef& op = call.op();
  std::vector<std::byte> attrs = op.attrs.defaults;
  std::vector<Scalar> scalars;
  const auto values = call.values();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i >= op.attrs.fields.size()) {
      scalars.push_back(number_of(call, op.arguments[i], values[i]));
    } else if (values[i] && !stands_for_default(op.attrs.fields[i], *values[i], op.attrs.defaults.data())) {
      put(call, op.attrs.fields[i], *values[i], attrs.data());
    }
  }
  const CallSite where = call.where();
  if (!attrs.empty()) normalize_attributes(op, call.inputs(), attrs.data(), &where);
  return invoke(op, call.inputs(), attrs.empty() ? nullptr : attrs.data(), scalars, &where);
}

}  // namespace

const std::optional<ArgumentValue>& CallByName::find(std::string_view name) const {
  std::size_t i = 0;
  while (op_.arguments[i].name != name) ++i;
  return values_[i];
}

void CallByName::fail(ErrorId id, std::string headline, std::string fix) const {
  raise_call_error({op_, inputs_, nullptr, {}, where_}, id, std::move(headline), std::move(fix));
}

std::vector<Tensor> call_op(std::string_view name, std::span<const Operand> inputs, const Arguments& arguments,
                            CallSite where) {
  const OpDef& op = op_called(name, where);
  CallSite line = inputs.empty() ? where : inputs[0].where();
  check_inputs(CallByName(op, inputs, line));
  // Public functions pass an absent operand where an optional input is not given.
  std::vector<Operand> all(inputs.begin(), inputs.end());
  while (all.size() < op.inputs.size()) all.push_back(Operand::absent(line));
  CallByName call(op, all, line);
  for (const auto& [argument, value] : arguments) take(call, argument, value);
  take_defaults(call);
  return op.by_name ? op.by_name(call) : called_by_schema(call);
}

}  // namespace lockstep
