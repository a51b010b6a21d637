// Reads golden/golden.json: calls with expected values from NumPy, PyTorch or a short exact formula.
// golden/make_golden.py writes the file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conformance/case_data.h"

namespace lockstep::conformance {

/// Derivatives by torch.autograd. `first` is the gradient of the contraction of the floating outputs with `cotangents`.
/// `second` and `second_of_cotangents` are the gradients of the contraction of `first` with `directions`, with respect
/// to the inputs and to the cotangents. Each has one array per f32 or f64 tensor among the inputs (for the cotangents:
/// among the outputs), in their order.
struct GoldenGradient {
  std::vector<RefArray> cotangents, directions;
  std::vector<RefArray> first, second, second_of_cotangents;
};

struct GoldenCase {
  std::string op;
  OpCase call;
  std::vector<RefArray> inputs, outputs;  // in f64 precision, whatever their dtype is
  long double magnitude = 0;              // for sums that may cancel: the largest sum of the terms' magnitudes
  std::optional<GoldenGradient> gradient;

  std::string name() const { return op + "/" + call.name; }
};

struct GoldenBook {
  std::map<std::string, std::string> exceptions;  // ops without cases, and the reason
  std::vector<GoldenCase> cases;
};

/// Throws std::runtime_error if the file cannot be read or does not match the ops, and exceptions of nlohmann::json if
/// it is malformed.
GoldenBook read_golden(const std::string& path);

}  // namespace lockstep::conformance
