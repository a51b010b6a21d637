// Finds where devices diverge: compares the same training steps on several devices, op by op.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lockstep/call_site.h"
#include "lockstep/data.h"
#include "lockstep/export.h"
#include "lockstep/model.h"

namespace LOCKSTEP_API lockstep {

struct CompareOptions {
  MathMode mode = MathMode::strict;
  /// Allowed difference of two results, in units in the last place of the larger. By default each result must be within
  /// the op's error bound around the exact result; in lockstep mode the results must have equal bits.
  std::optional<double> tolerance_ulp = std::nullopt;
};

/// One element that differs.
struct DivergingElement {
  std::vector<std::int64_t> index;
  double first = 0, second = 0;         // integers above 2^53 are rounded
  std::string first_bits, second_bits;  // "0x3f800000"
  double ulp = 0;                       // difference, in units in the last place of the larger; infinite if one is NaN
  std::optional<double> exact;          // the oracle's value, if it was computed
  std::optional<double> allowed;        // allowed difference of each value from it
};

/// One op call that has a differing output.
struct DivergingCall {
  std::int64_t step = 0, call = 0;  // counted from 0; calls in program order within the step
  std::string op;
  std::string part;                 // "forward", "backward" or "update"
  std::string scope;                // "model/conv2d_1"
  std::string where;                // "train.cpp:41"; a line of the layer, or empty, if the caller's line says nothing
  std::vector<std::string> inputs;  // "x  f32 (32, 28, 28, 1)  output of relu, 0.1 % of 25088 differ"
  std::string output;               // name of the differing output
  DType dtype = DType::f32;
  Shape shape;
  std::int64_t elements = 0, differing = 0;
  DivergingElement worst;  // the element that exceeds its allowed difference most
};

/// The comparison of one device with the first.
struct Comparison {
  std::string first, second;  // "cpu:0", "reference:0"
  MathMode mode = MathMode::strict;
  std::int64_t steps = 0;
  std::int64_t calls = 0;      // compared calls
  std::int64_t elements = 0;   // elements of their outputs
  std::int64_t identical = 0;  // calls that gave the same bits in both runs
  std::int64_t unmatched =
      0;  // calls that only one device made, such as the parts of an op for which the other has a kernel

  /// The calls whose results differ by more than is allowed although both devices get the first device's inputs, in
  /// program order. Empty if the devices agree.
  std::vector<DivergingCall> culprits;
  /// The first call whose results differ between the two runs by any amount. Its inputs may differ already.
  std::optional<DivergingCall> first_difference;
  /// The call with the largest ratio (`steepest_growth`) of output difference to input difference, both relative to the
  /// tensors' magnitudes.
  std::optional<DivergingCall> steepest;
  double steepest_growth = 0;

  double first_loss = 0, second_loss = 0;     // loss of the last step
  std::string first_weights, second_weights;  // weights_sha256 after the last step

  bool diverges() const { return !culprits.empty(); }
};

/// Trains the same model on each device, one step per batch, from the same weights and random numbers, and compares
/// every op call of forward pass, backward pass and update with the first device's. Since errors propagate, each call
/// also runs again on the other device with the first device's inputs and layouts: a remaining difference is caused by
/// that op.
///
/// `make` returns a built and compiled model on a device. Throws UsageError LS9001 for fewer than two devices or no
/// batch, UnsupportedError LS6002 if a device does not offer the mode.
std::vector<Comparison> compare(const std::function<nn::Model(Device)>& make, std::span<const data::Batch> batches,
                                std::span<const Device> devices, const CompareOptions& options = {},
                                CallSite where = CallSite::current());

/// A comparison as text: the diverging calls with their place, values and bits, or that there are none.
std::string describe(const Comparison& comparison);

}  // namespace lockstep
