#include "conformance/case_json.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "ops/attribute_memory.h"

namespace lockstep::conformance {

Shape shape_from(const nlohmann::json& json) {
  Shape shape;
  for (const nlohmann::json& extent : json) shape.append(extent.get<std::int64_t>());
  return shape;
}

std::vector<std::byte> attributes_from(const OpDef& op, const nlohmann::json& json) {
  std::vector<std::byte> bytes = op.attrs.defaults;
  for (const auto& [name, value] : json.items()) {
    const AttrField* field = nullptr;
    for (const AttrField& f : op.attrs.fields) field = f.name == name ? &f : field;
    if (!field) throw std::runtime_error(op.name + " has no attribute " + name);
    const auto require_room = [&](std::size_t length) {
      if (length <= field->capacity) return;
      throw std::runtime_error(op.name + " has room for " + std::to_string(field->capacity) + " values in " + name +
                               ", not for " + std::to_string(length));
    };
    const auto put = [&](const auto& v) { std::memcpy(bytes.data() + field->offset, &v, sizeof v); };
    switch (field->storage) {
      case AttrField::Storage::integer: put(value.get<std::int64_t>()); break;
      case AttrField::Storage::real: put(value.get<double>()); break;
      case AttrField::Storage::list: {
        std::vector<std::int64_t> numbers;
        for (const nlohmann::json& number : value) numbers.push_back(number.get<std::int64_t>());
        require_room(numbers.size());
        put_numbers(*field, bytes.data(), numbers);
        break;
      }
      case AttrField::Storage::text: {
        const auto text = value.get<std::string>();
        require_room(text.size());
        put_text(*field, bytes.data(), text);
        break;
      }
    }
  }
  return bytes;
}

}  // namespace lockstep::conformance
