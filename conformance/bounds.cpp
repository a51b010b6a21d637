#include "conformance/bounds.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lockstep/error.h"

namespace lockstep::embedded {
std::string_view bounds();  // bounds.json
}

namespace lockstep::conformance {
namespace {

using Json = nlohmann::ordered_json;

constexpr ErrorClass error_classes[] = {
    ErrorClass::exact, ErrorClass::rounded, ErrorClass::elementary, ErrorClass::transcendental,
    ErrorClass::gelu,  ErrorClass::power,   ErrorClass::sum,        ErrorClass::composed};
constexpr MathMode math_modes[] = {MathMode::strict, MathMode::fast, MathMode::lockstep};

[[noreturn]] void corrupt(const std::string& origin, const std::string& what) {
  ErrorBuilder(ErrorId::corrupt, "bounds", origin + ": " + what)
      .fix("compare it with conformance/bounds.json, whose first lines say what a row holds")
      .raise();
}

template <class T, std::size_t n>
T named(const T (&all)[n], const Json& name, const std::string& place) {
  if (name.is_string()) {
    for (T t : all) {
      if (name.get<std::string>() == name_of(t)) return t;
    }
  }
  corrupt(place, "unknown name " + name.dump());
}

double number(const Json& row, const char* field, const std::string& place) {
  const Json& value = row.at(field);
  if (!value.is_number()) corrupt(place, std::string(field) + " is " + value.dump() + ", no number");
  return value.get<double>();
}

bool truth(const Json& row, const char* field, const std::string& place) {
  if (!row.contains(field)) return false;
  if (!row[field].is_boolean()) corrupt(place, std::string(field) + " is " + row[field].dump() + ", not true or false");
  return row[field].get<bool>();
}

std::string short_text(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

std::string describe(const Bound& b) {
  if (b.roundings && *b.roundings == 0) return "exact";
  std::string text;
  if (b.ulp) text = short_text(*b.ulp) + " ulp";
  if (b.roundings) text += (text.empty() ? "" : ", ") + short_text(*b.roundings) + " × budget";
  if (b.of_argument > 0)
    text += ", below " + short_text(b.of_argument_below) + " " + short_text(b.of_argument) + " |x|";
  return text;
}

}  // namespace

const char* name_of(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::rounded: return "rounded";
    case ErrorClass::elementary: return "elementary";
    case ErrorClass::transcendental: return "transcendental";
    case ErrorClass::gelu: return "gelu";
    case ErrorClass::power: return "power";
    case ErrorClass::sum: return "sum";
    case ErrorClass::composed: return "composed";
    default: return "exact";
  }
}

Bounds::Row Bounds::parse_row(const void* json, const std::string& place) {
  const Json& row = *static_cast<const Json*>(json);
  if (!row.is_object()) corrupt(place, "it is not an object");
  for (const char* list : {"dtypes", "modes"}) {
    if (row.contains(list) && !row[list].is_array()) corrupt(place, std::string(list) + " is not a list");
  }
  for (const char* field : {"class", "dtypes", "modes", "rationale", "source"}) {
    if (!row.contains(field) || row[field].empty() || row[field] == "")
      corrupt(place, std::string("it lacks ") + field);
  }
  for (const auto& [key, value] : row.items()) {
    constexpr const char* known[] = {"class",       "dtypes",    "modes",       "rationale",         "source",
                                     "ulp",         "roundings", "of_argument", "of_argument_below", "correct",
                                     "signed_zeros"};
    if (std::none_of(std::begin(known), std::end(known), [&](const char* k) { return key == k; })) {
      corrupt(place, "unknown field " + key);
    }
  }
  Row out{named(error_classes, row["class"], place), {}, {}, {}};
  for (const Json& t : row["dtypes"]) {
    try {
      out.dtypes.push_back(parse_dtype(t.get<std::string>()));
    } catch (const std::exception&) {
      corrupt(place, "unknown dtype " + t.dump());
    }
  }
  for (const Json& m : row["modes"]) out.modes.push_back(named(math_modes, m, place));
  if (row.contains("ulp")) out.bound.ulp = number(row, "ulp", place);
  if (row.contains("roundings")) out.bound.roundings = number(row, "roundings", place);
  if (row.contains("of_argument")) out.bound.of_argument = number(row, "of_argument", place);
  if (row.contains("of_argument_below")) out.bound.of_argument_below = number(row, "of_argument_below", place);
  out.bound.correct = truth(row, "correct", place);
  out.bound.signed_zeros = truth(row, "signed_zeros", place);
  if (!out.bound.ulp && !out.bound.roundings) corrupt(place, "it has neither ulp nor roundings");
  for (double v : {out.bound.ulp.value_or(0), out.bound.roundings.value_or(0), out.bound.of_argument}) {
    if (!(v >= 0)) corrupt(place, "a bound is negative");
  }
  out.bound.budget_text = describe(out.bound);
  out.bound.text = out.bound.correct ? "correctly rounded" : out.bound.budget_text;
  return out;
}

Bounds Bounds::parse(const std::string& text, const std::string& origin) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) corrupt(origin, "it is not JSON");
  if (!json.is_object() || !json.contains("rows") || !json["rows"].is_array() || json["rows"].empty()) {
    corrupt(origin, "it has no list `rows`");
  }
  Bounds bounds;
  bounds.text_ = text;
  std::size_t n = 0;
  for (const Json& row : json["rows"]) bounds.rows_.push_back(parse_row(&row, origin + ", row " + std::to_string(n++)));
  return bounds;
}

Bounds Bounds::read(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    ErrorBuilder(ErrorId::file_not_found, "bounds", path + " cannot be read")
        .fix("give the path of a bounds file")
        .raise();
  }
  std::ostringstream text;
  text << file.rdbuf();
  Bounds bounds = parse(text.str(), path);
  for (ErrorClass error_class : error_classes) {
    for (DType dtype : {DType::f32, DType::f64}) {
      for (MathMode mode : math_modes) {
        if (bounds.row_for(error_class, dtype, mode)) continue;
        corrupt(path, "no row for " + std::string(name_of(error_class)) + ", " + std::string(lockstep::name_of(dtype)) +
                          ", " + std::string(lockstep::name_of(mode)));
      }
    }
  }
  return bounds;
}

const Bounds& Bounds::built_in() {
  static const Bounds bounds = parse(std::string(embedded::bounds()), "the built-in bounds");
  return bounds;
}

const Bound* Bounds::row_for(ErrorClass error_class, DType dtype, MathMode mode) const {
  for (const Row& row : rows_) {
    if (row.error_class == error_class && std::count(row.dtypes.begin(), row.dtypes.end(), dtype) &&
        std::count(row.modes.begin(), row.modes.end(), mode)) {
      return &row.bound;
    }
  }
  return nullptr;
}

const Bound& Bounds::find(ErrorClass error_class, DType dtype, MathMode mode) const {
  static const Bound exact{std::nullopt, 0.0, 0, 0, false, true, "exact", "exact"};
  if (!is_floating(dtype)) return exact;
  dtype = compute_dtype(dtype);
  if (const Bound* bound = row_for(error_class, dtype, mode)) return *bound;
  ErrorBuilder(ErrorId::invalid_op_definition, "bounds",
               "no row for " + std::string(name_of(error_class)) + ", " + std::string(lockstep::name_of(dtype)) + ", " +
                   std::string(lockstep::name_of(mode)))
      .fix("add one to conformance/bounds.json, with rationale and source")
      .raise();
}

}  // namespace lockstep::conformance
