// How far results may be from the oracle: the rows of bounds.json.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lockstep/device.h"
#include "lockstep/op_def.h"

namespace lockstep::conformance {

/// The error that is allowed for an element. If several fields are set, the largest allowance applies.
struct Bound {
  std::optional<double> ulp;        // units in the last place of the exact result
  std::optional<double> roundings;  // multiple of the oracle's error budget for the element
  double of_argument = 0;           // multiple of the first operand's magnitude …
  double of_argument_below = 0;     // … if that operand is below this
  bool correct = false;             // if the budget is one rounding, the result must be rounded to nearest even
  bool signed_zeros = false;        // zeros must have the right sign
  std::string text;                 // "2 ulp"
  std::string budget_text;          // the bound of elements to which `correct` does not apply: "1 × budget"
};

class Bounds {
 public:
  /// The bounds that are built into the program.
  static const Bounds& built_in();
  /// Parses the text of a bounds file. Throws IoError LS8004, naming `origin` and the invalid row.
  static Bounds parse(const std::string& text, const std::string& origin);
  /// Reads a file. Throws IoError LS8001 if it cannot be read, and LS8004 if it is invalid or lacks a row for some
  /// class, f32 or f64, and mode.
  static Bounds read(const std::string& path);

  /// The first row that matches. f16 and bf16 use the row of f32, which applies before the last rounding. Other dtypes
  /// than floats must be exact. Throws StateError LS1007 if no row matches.
  const Bound& find(ErrorClass error_class, DType dtype, MathMode mode) const;
  const std::string& text() const { return text_; }

 private:
  struct Row {
    ErrorClass error_class;
    std::vector<DType> dtypes;
    std::vector<MathMode> modes;
    Bound bound;
  };
  static Row parse_row(const void* json, const std::string& place);
  const Bound* row_for(ErrorClass error_class, DType dtype, MathMode mode) const;
  std::vector<Row> rows_;
  std::string text_;
};

const char* name_of(ErrorClass error_class);

}  // namespace lockstep::conformance
