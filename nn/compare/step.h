// Compares one training step on two devices, call by call.
#pragma once

#include <map>

#include "nn/compare/difference.h"
#include "nn/compare/recorder.h"

namespace lockstep {

using RecordedStep = std::vector<std::unique_ptr<RecordedCall>>;

class StepComparison {
 public:
  /// `where`: the line that asked for the comparison. It is not shown as the place of a call.
  StepComparison(const RecordedStep& first, const RecordedStep& second, Device device, const CompareOptions& options,
                 CallSite where)
      : first_(first), second_(second), device_(device), options_(options), where_(where) {}

  /// Adds the findings of one step to `result`. Steps must be added in order.
  void add_to(Comparison& result, std::int64_t step);

 private:
  struct Place {
    std::int64_t step;
    std::size_t first, second;  // positions in the recorded steps
  };

  void compare_runs(Comparison& result, const Place& place);
  void find_culprit(Comparison& result, const Place& place);
  const Difference& difference(const TensorRef& a, const TensorRef& b);
  DivergingCall describe_call(const Place& place, std::size_t output, const Difference& d);
  bool demands_bits() const;
  long double excess_of(long double x, long double y, DType dtype, const Expectation* expected, std::size_t output,
                        std::size_t at) const;
  std::optional<std::size_t> worst_element(DType dtype, const std::vector<std::byte>& a,
                                           const std::vector<std::byte>& b, const Expectation* expected,
                                           std::size_t output) const;

  const RecordedStep &first_, &second_;
  const Device device_;
  const CompareOptions& options_;
  const CallSite where_;
  std::map<std::pair<const TensorImpl*, const TensorImpl*>, Difference> known_;
};

}  // namespace lockstep
