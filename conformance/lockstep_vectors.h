// Calls with the bits that every device must give in lockstep mode, read from golden/lockstep_vectors.json.
// golden/lockstep_vectors.py writes the file, which is embedded in the program.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conformance/case_data.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// The expected bits of a result: all of them, or if there are many, their hash and the first few elements.
struct VectorOutput {
  DType dtype = DType::f32;
  Shape shape;
  std::vector<std::byte> first;  // little-endian, row-major
  std::string sha256;            // of all bytes; empty if `first` holds all of them
};

struct VectorCase {
  std::string op;
  OpCase call;  // its name, inputs and attributes
  std::vector<RefArray> inputs;
  std::vector<VectorOutput> outputs;

  std::string name() const { return op + "/" + call.name; }
};

/// Throws std::runtime_error if the text is not what lockstep_vectors.py writes.
std::vector<VectorCase> read_lockstep_vectors(std::string_view json);

/// The vectors that are embedded in this program.
const std::vector<VectorCase>& lockstep_vectors();

/// The available devices that offer lockstep mode, such as "cpu:0".
std::vector<std::string> lockstep_devices();

/// Runs the call in lockstep mode with its inputs in this layout, and compares bits. All NaNs are equal. The text of a
/// failure names the first element that differs. Throws what the call throws.
Verdict check_vector(const VectorCase& c, Device device, Layout layout);

}  // namespace lockstep::conformance
