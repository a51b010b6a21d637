// How far results may be from the oracle: the rows of bounds.json.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lockstep/device.h"
#include "lockstep/op_def.h"

namespace lockstep::conformance {

/// What an element is allowed. Several fields set: the largest of what they give holds.
struct Bound {
  std::optional<double> ulp;        // units in the last place of the exact result
  std::optional<double> roundings;  // times the oracle's budget for the element
  double of_argument = 0;           // of the first operand's magnitude …
  double of_argument_below = 0;     // … where that operand is below this
  bool correct = false;             // where the budget is one rounding: rounded to nearest even
  bool signed_zeros = false;        // zeros must have the right sign
  std::string text;                 // "2 ulp"
  std::string budget_text;          // what holds where `correct` does not: "1 × budget"
};

class Bounds {
 public:
  /// Those that are built in.
  static const Bounds& built_in();
  /// Parses the text of such a file. Throws IoError LS8004, naming `origin` and the row that is wrong.
  static Bounds parse(const std::string& text, const std::string& origin);
  /// Reads a file. Throws IoError LS8001 where there is none.
  static Bounds read(const std::string& path);

  /// For f16 and bf16 that of f32, before the last rounding. Throws StateError LS1007 where no row fits.
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
