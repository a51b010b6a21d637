// The C struct in which drivers receive the attributes of an op.
#pragma once

#include <string>

#include "lockstep/op_schema.h"

namespace lockstep {

/// The declaration of one field, without a semicolon.
inline std::string c_field(const AttrField& field) {
  const std::string capacity = std::to_string(field.capacity);
  switch (field.storage) {
    case AttrField::Storage::integer: return "int64_t " + field.name;
    case AttrField::Storage::real: return "double " + field.name;
    case AttrField::Storage::list:
      if (field.capacity == IntList::capacity) return "lks_int_list " + field.name;
      return "struct { int64_t count; int64_t values[" + capacity + "]; } " + field.name;
    case AttrField::Storage::text: return "struct { int64_t size; char text[" + capacity + "]; } " + field.name;
  }
  return "";
}

inline std::string c_struct(const AttrSchema& schema) {
  std::string text = "typedef struct " + schema.struct_name + " {\n";
  for (const AttrField& field : schema.fields) text += "  " + c_field(field) + "; /* " + field.doc + " */\n";
  return text + "} " + schema.struct_name + ";\n";
}

}  // namespace lockstep
