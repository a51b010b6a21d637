#include "autodiff/update_checks.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "autodiff/variable_impl.h"
#include "lockstep/error.h"

namespace lockstep::optim {

void check_floating(const Variable& variable, const char* op, CallSite where) {
  const TensorImpl& value = variable.impl(where).value();
  if (is_floating(value.dtype)) return;
  ErrorBuilder(ErrorId::dtype_not_accepted, op,
               "the variable \"" + variable.name() + "\" is " + std::string(name_of(value.dtype)) +
                   ", an optimizer takes f32, f64, f16, bf16")
      .line("variable", describe(value))
      .at(where)
      .fix("leave the variable out, or make it a floating one")
      .raise();
}

namespace {

// The option that a number of an update comes from.
std::string option_of(const std::string& number) {
  if (number == "rate") return "learning_rate";
  if (number == "decay") return "weight_decay";
  if (number == "c1") return "1 / weights_1";
  if (number == "c2") return "1 / weights_2";
  return number;
}

}  // namespace

void check_numbers(const OpDef& update, std::span<const Scalar> numbers, std::span<const Variable> variables,
                   CallSite where) {
  constexpr double infinite_from = 0x1.ffffffp127, zero_to = 0x1p-150;  // when rounded to f32
  const auto narrow = std::find_if(variables.begin(), variables.end(), [](const Variable& v) {
    return v.shape().size() > 0 && compute_dtype(v.dtype()) == DType::f32;
  });
  if (narrow == variables.end()) return;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const double value = numbers[i].as_double();
    const bool vanishes = value > 0 && value <= zero_to && update.scalars[i].name == "epsilon";
    if (value < infinite_from && !vanishes) continue;
    const std::string option = option_of(update.scalars[i].name);
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    ErrorBuilder(
        ErrorId::invalid_attribute, "apply",
        option + " is " + text + ", which is " + (vanishes ? "0" : "infinite") + " in f32, the dtype of this update")
        .line("variable", describe(narrow->impl().value()))
        .at(where)
        .fix(vanishes ? "give a larger epsilon, or 0" : "give a number that f32 holds, or use a variable of f64")
        .raise();
  }
}

}  // namespace lockstep::optim
