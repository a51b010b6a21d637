// Calls with values that NumPy, PyTorch or a short exact formula give: golden/golden.json, which golden/make_golden.py
// wrote.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conformance/case_data.h"

namespace lockstep::conformance {

/// Derivatives by torch.autograd, of the contraction of floating outputs with cotangents: `first`, and the derivatives
/// of <first, directions>. One array per f32 or f64 tensor among the inputs (or outputs, for cotangents), in their
/// order.
struct GoldenGradient {
  std::vector<RefArray> cotangents, directions;
  std::vector<RefArray> first, second, second_of_cotangents;
};

struct GoldenCase {
  std::string op;
  OpCase call;
  std::vector<RefArray> inputs, outputs;  // values of f64 precision, whatever dtype they name
  long double magnitude = 0;              // largest sum of magnitudes of terms, where sums may cancel
  std::optional<GoldenGradient> gradient;

  std::string name() const { return op + "/" + call.name; }
};

struct GoldenBook {
  std::map<std::string, std::string> exceptions;  // ops without cases, and why
  std::vector<GoldenCase> cases;
};

/// Throws std::runtime_error where the file is not what golden_test expects.
GoldenBook read_golden(const std::string& path);

}  // namespace lockstep::conformance
