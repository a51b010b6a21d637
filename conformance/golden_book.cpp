#include "conformance/golden_book.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "conformance/case_json.h"

namespace lockstep::conformance {
namespace {

using Json = nlohmann::json;

// JSON has no NaN or infinity; the file has strings for them. 64-bit integers must not be converted by way of a double.
long double number_of(const Json& json) {
  if (json.is_string()) return std::strtold(json.get<std::string>().c_str(), nullptr);
  if (json.is_number_unsigned()) return static_cast<long double>(json.get<std::uint64_t>());
  if (json.is_number_integer()) return static_cast<long double>(json.get<std::int64_t>());
  return json.get<double>();
}

Scalar scalar_of(const Json& json) {
  if (json.is_number_integer()) return {Scalar::Kind::integer, json.get<std::int64_t>(), 0};
  return {Scalar::Kind::floating, 0, static_cast<double>(number_of(json))};
}

// `values` is a list, or one number if all elements are equal.
RefArray array_of(const Json& values, DType dtype, const Shape& shape) {
  RefArray array = RefArray::zeros(dtype, shape);
  if (!values.is_array()) {
    for (long double& v : array.values) v = number_of(values);
    return array;
  }
  if (values.size() != array.values.size()) throw std::runtime_error("a golden array does not fill its shape");
  for (std::size_t i = 0; i < values.size(); ++i) array.values[i] = number_of(values[i]);
  return array;
}

RefArray array_of(const Json& json) {
  return array_of(json.at("values"), parse_dtype(json.at("dtype").get<std::string>()), shape_from(json.at("shape")));
}

void add_input(GoldenCase& c, const Json& json) {
  CaseInput input;
  if (json.is_null()) {
    input.absent = true;
    c.inputs.push_back({input.dtype, Shape{}, {}, {}});
  } else if (json.contains("number")) {
    input.dtype = parse_dtype(json.at("dtype").get<std::string>());
    input.scalar = scalar_of(json.at("number"));
    long double value = number_of(json.at("number"));
    if (input.dtype == DType::f32) value = static_cast<float>(value);
    c.inputs.push_back({input.dtype, Shape{}, {value}, {}});
  } else {
    c.inputs.push_back(array_of(json));
    input.dtype = c.inputs.back().dtype;
    input.shape = c.inputs.back().shape;
  }
  c.call.inputs.push_back(std::move(input));
}

GoldenGradient gradient_of(const GoldenCase& c, const Json& json) {
  std::vector<const RefArray*> sources, results;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    const CaseInput& input = c.call.inputs[i];
    if (!input.absent && !input.scalar && types::floating.has(input.dtype)) sources.push_back(&c.inputs[i]);
  }
  for (const RefArray& y : c.outputs) {
    if (types::floating.has(y.dtype)) results.push_back(&y);
  }
  const auto arrays = [&](const char* key, const std::vector<const RefArray*>& like) {
    const Json& lists = json.at(key);
    if (lists.size() != like.size()) throw std::runtime_error(c.name() + " has another number of " + key);
    std::vector<RefArray> all;
    for (std::size_t i = 0; i < like.size(); ++i) all.push_back(array_of(lists[i], like[i]->dtype, like[i]->shape));
    return all;
  };
  return {arrays("cotangents", results), arrays("directions", sources), arrays("first", sources),
          arrays("second", sources), arrays("second_of_cotangents", results)};
}

GoldenCase case_of(const Json& json) {
  GoldenCase c;
  c.op = json.at("op").get<std::string>();
  c.call.name = json.at("name").get<std::string>();
  const OpDef* op = find_op(c.op);
  if (!op) throw std::runtime_error("golden cases name the op " + c.op + ", which does not exist");
  for (const Json& input : json.at("inputs")) add_input(c, input);
  for (const Json& output : json.at("outputs")) c.outputs.push_back(array_of(output));
  if (json.contains("attrs")) c.call.attrs = attributes_from(*op, json.at("attrs"));
  if (json.contains("scalars")) {
    for (const Json& scalar : json.at("scalars")) c.call.scalars.push_back(scalar_of(scalar));
  }
  if (json.contains("magnitude")) c.magnitude = json.at("magnitude").get<double>();
  if (json.contains("gradient")) c.gradient = gradient_of(c, json.at("gradient"));
  return c;
}

}  // namespace

GoldenBook read_golden(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  const Json json = Json::parse(file);
  GoldenBook book;
  for (const auto& [op, reason] : json.at("exceptions").items()) book.exceptions[op] = reason.get<std::string>();
  for (const Json& c : json.at("cases")) book.cases.push_back(case_of(c));
  return book;
}

}  // namespace lockstep::conformance
