#include "conformance/case_json.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace lockstep::conformance {

Shape shape_from(const nlohmann::json& json) {
  Shape shape;
  for (const nlohmann::json& extent : json) shape.append(extent.get<std::int64_t>());
  return shape;
}

std::vector<std::byte> attributes_from(const OpDef& op, const nlohmann::json& json) {
  const auto list = [](const nlohmann::json& values) {
    IntList all;
    for (const nlohmann::json& value : values) all.values[all.count++] = value.get<std::int64_t>();
    return all;
  };
  std::vector<std::byte> bytes = op.attrs.defaults;
  for (const auto& [name, value] : json.items()) {
    const AttrField* field = nullptr;
    for (const AttrField& f : op.attrs.fields) field = f.name == name ? &f : field;
    if (!field) throw std::runtime_error(op.name + " has no attribute " + name);
    const auto put = [&](const auto& v) { std::memcpy(bytes.data() + field->offset, &v, sizeof v); };
    switch (field->storage) {
      case AttrField::Storage::integer: put(value.get<std::int64_t>()); break;
      case AttrField::Storage::real: put(value.get<double>()); break;
      case AttrField::Storage::list: put(list(value)); break;
    }
  }
  return bytes;
}

}  // namespace lockstep::conformance
