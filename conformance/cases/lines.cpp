#include "conformance/cases/lines.h"

#include <algorithm>
#include <cstring>

#include "conformance/cases/extents.h"

namespace lockstep::conformance {

// The dimensions that the attributes "axis" and "axes" name, or those of a window, else the last one.
std::vector<bool> line_dimensions(const TestCase& t, const Shape& shape) {
  std::vector<bool> chosen(static_cast<std::size_t>(shape.rank()), false);
  const std::vector<std::byte> attrs = attribute_bytes(*t.op, t.call);
  const auto read = [&](std::size_t at) {
    std::int64_t value = 0;
    std::memcpy(&value, attrs.data() + at, sizeof value);
    return value;
  };
  const auto mark = [&](std::int64_t d) {
    if (d >= 0 && d < shape.rank()) chosen[static_cast<std::size_t>(d)] = true;
  };
  for (const AttrField& field : t.op->attrs.fields) {
    if (field.storage == AttrField::Storage::integer && field.name == "axis") mark(read(field.offset));
    if (field.storage != AttrField::Storage::list) continue;
    for (std::int64_t k = 0; field.name == "axes" && k < read(field.offset); ++k) {
      mark(read(field.offset + offsetof(IntList, values) + static_cast<std::size_t>(k) * sizeof k));
    }
    if (field.name == "window" && shape.rank() == 4) {
      mark(1);
      mark(2);
    }
  }
  if (std::find(chosen.begin(), chosen.end(), true) == chosen.end()) mark(shape.rank() - 1);
  return chosen;
}

std::int64_t line_length(const TestCase& t, const Shape& shape) {
  const std::vector<bool> along = line_dimensions(t, shape);
  std::int64_t length = 1;
  for (std::size_t d = 0; d < along.size(); ++d) length *= along[d] ? shape[static_cast<int>(d)] : 1;
  return length;
}

std::vector<std::int64_t> places_in(std::int64_t n) {
  std::vector<std::int64_t> places = {n - 1, 0};
  for (std::int64_t power = 65536; power >= 2; power /= 2) {
    for (std::int64_t at : {power, power + 1, power - 1}) {
      if (at < n) places.push_back(at);
    }
  }
  return places;
}

}  // namespace lockstep::conformance
