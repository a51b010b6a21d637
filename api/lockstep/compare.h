// Where devices part: the same training step on several of them, op by op.
#pragma once

#include <functional>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include "lockstep/data.h"
#include "lockstep/export.h"
#include "lockstep/model.h"

namespace LOCKSTEP_API lockstep {

struct CompareOptions {
  MathMode mode = MathMode::strict;
  /// How far two results may be apart, in units in the last place of the larger. By default as far as rounding explains
  /// it: within the error bound of the op around its exact result; in lockstep mode not at all.
  std::optional<double> tolerance_ulp = std::nullopt;
};

/// One element that differs.
struct DivergingElement {
  std::vector<std::int64_t> index;
  double first = 0, second = 0;         // integers above 2^53 are rounded
  std::string first_bits, second_bits;  // "0x3f800000"
  double ulp = 0;                       // apart, in units in the last place of the larger; infinite where one is NaN
  std::optional<double> exact;          // the oracle's, where it was asked
  std::optional<double> allowed;        // how far each may be from it
};

/// One op call of which an output differs.
struct DivergingCall {
  std::int64_t step = 0, call = 0;  // from 0; calls in program order within the step
  std::string op;
  std::string part;                 // "forward", "backward" or "update"
  std::string scope;                // "model/conv2d_1"
  std::string where;                // "train.cpp:41"; a line of the layer, or empty, where the program's says nothing
  std::vector<std::string> inputs;  // "x  f32 (32, 28, 28, 1)  output of relu, 0.1 % of 25088 differ"
  std::string output;               // its name
  DType dtype = DType::f32;
  Shape shape;
  std::int64_t elements = 0, differing = 0;
  DivergingElement worst;  // the one furthest beyond what is allowed
};

/// What became of one device beside the first.
struct Comparison {
  std::string first, second;  // "cpu:0", "reference:0"
  MathMode mode = MathMode::strict;
  std::int64_t steps = 0;
  std::int64_t calls = 0;      // compared
  std::int64_t elements = 0;   // of their outputs
  std::int64_t identical = 0;  // calls that gave the same bits in both runs
  std::int64_t unmatched =
      0;  // calls that only one device made, such as the parts of an op that the other has a kernel for

  /// Calls that, given the first device's inputs, give results on the second that differ by more than is allowed: the
  /// culprits, in program order. Empty where the devices agree.
  std::vector<DivergingCall> culprits;
  /// The first call whose results differ in the two runs at all. Its inputs may have differed before.
  std::optional<DivergingCall> first_difference;
  /// The call whose outputs differ most in relation to how much its inputs differ, relative to the tensors' magnitudes.
  std::optional<DivergingCall> steepest;
  double steepest_growth = 0;

  double first_loss = 0, second_loss = 0;     // of the last step
  std::string first_weights, second_weights;  // weights_sha256 after it

  bool diverges() const { return !culprits.empty(); }
};

/// Trains the same model on each device, one step per batch, from the same weights and random numbers, and compares
/// every op call of forward pass, backward pass and update with the first device's. Since errors spread, each call is
/// also run again on the other device with the first device's inputs and layouts: what differs then is that op's doing.
///
/// `make` gives a built and compiled model on a device. Throws UsageError LS9001 for fewer than two devices or no
/// batch, UnsupportedError LS6002 where a device does not offer the mode.
std::vector<Comparison> compare(const std::function<nn::Model(Device)>& make, std::span<const data::Batch> batches,
                                std::span<const Device> devices, const CompareOptions& options = {},
                                std::source_location where = std::source_location::current());

/// A comparison as text: the culprit with its place, values and bits, or that there is none.
std::string describe(const Comparison& comparison);

}  // namespace lockstep
