#include "conformance/cases/breakpoints.h"

#include <algorithm>
#include <set>

#include "conformance/case_data.h"
#include "conformance/cases/attributes.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/values.h"
#include "ops/infer.h"
#include "ops/kernel_description.h"
#include "runtime/driver_registry.h"

namespace lockstep::conformance {
namespace {

// The driver is queried at these extents. If two neighbours have different variants, the interval between them is
// bisected.
constexpr std::int64_t ladder[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096};
constexpr double max_elements = 300000, max_steps = 4e6;
constexpr std::size_t max_cases = 12;

// Whether the oracle can compute a case of these sizes in reasonable time.
bool affordable(const OpDef& op, const OpCase& c, const std::vector<std::int64_t>& extents) {
  double product = 1, elements = 0;
  for (std::int64_t extent : extents) product *= static_cast<double>(std::max<std::int64_t>(extent, 1));
  for (const CaseInput& in : c.inputs) elements += static_cast<double>(in.absent ? 0 : in.shape.size());
  for (const TensorSpec& s : infer_outputs(op, c).value_or(std::vector<TensorSpec>())) {
    elements += static_cast<double>(s.shape.size());
  }
  return elements <= max_elements && product <= max_steps;
}

// Finds the sizes of one extent at which the variant changes: the last size of one variant and the first size of the
// next.
class Search {
 public:
  Search(const OpDef& op, const Base& base, std::vector<std::int64_t> others, MathMode mode, Device device)
      : op_(op), base_(base), extents_(std::move(others)), mode_(mode), device_(device) {}

  std::vector<OpCase> run(std::size_t group) {
    std::vector<OpCase> found;
    std::int64_t before = 0;
    std::string variant_before;
    for (std::int64_t extent : ladder) {
      const std::string variant = ask(group, extent);
      if (before > 0 && !variant.empty() && !variant_before.empty() && variant != variant_before) {
        const std::int64_t edge = halve(group, before, extent, variant_before);
        for (std::int64_t side : {edge, edge + 1}) {
          if (auto c = at(group, side)) found.push_back(std::move(*c));
        }
      }
      before = extent;
      variant_before = variant;
    }
    return found;
  }

 private:
  std::optional<OpCase> at(std::size_t group, std::int64_t extent) {
    std::vector<std::int64_t> extents = extents_;
    extents[group] = extent;
    auto c = resized(op_, base_.call, base_.groups, extents);
    return c && affordable(op_, *c, extents) ? c : std::nullopt;
  }
  std::string ask(std::size_t group, std::int64_t extent) {
    const auto c = at(group, extent);
    return c ? variant_for(op_, *c, mode_, device_) : "";
  }
  std::int64_t halve(std::size_t group, std::int64_t low, std::int64_t high, const std::string& variant_of_low) {
    while (high - low > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      (ask(group, middle) == variant_of_low ? low : high) = middle;
    }
    return low;
  }

  const OpDef& op_;
  const Base& base_;
  const std::vector<std::int64_t> extents_;
  const MathMode mode_;
  const Device device_;
};

std::vector<std::int64_t> all_of(const Base& base, std::int64_t extent) {
  return std::vector<std::int64_t>(base.groups.size(), extent);
}

}  // namespace

std::string variant_for(const OpDef& op, const OpCase& c, MathMode mode, Device device) {
  if (op.view || op.host || op.copy_plan || op.count_outputs) return "";
  std::vector<TensorSpec> inputs, outputs(op.outputs.size());
  for (const CaseInput& in : c.inputs) {
    if (in.scalar) return "";  // calls with plain numbers are not queried
    inputs.push_back({in.dtype, in.absent ? Shape{} : in.shape});
  }
  if (!infer_outputs(op, c)) return "";
  const AbstractCase abstract(op, c);
  const OpCall call = abstract.call();
  CallTypes types(call);
  infer_specs(call, types, outputs);
  const KernelQuery lookup = query_kernel(device.entry(), call, types, inputs, outputs, mode);
  return lookup.reason == LKS_REASON_NONE ? lookup.variant : "";
}

std::vector<TestCase> breakpoint_cases(const OpDef& op, MathMode mode, const Amount& amount, Device device) {
  if (!op.cases || op.pointwise()) return {};
  std::vector<TestCase> cases;
  std::set<std::string> seen;
  const bool repeats = mode == MathMode::strict && op.error_class == ErrorClass::sum;
  for (const OpCase& own : op.cases()) {
    if (own.error || variant_for(op, own, mode, device).empty()) continue;
    const Base base{own, extent_groups(op, own)};
    for (std::size_t g = 0; g < base.groups.size(); ++g) {
      for (std::int64_t others : {std::int64_t{5}, std::int64_t{48}}) {
        for (OpCase& c : Search(op, base, all_of(base, others), mode, device).run(g)) {
          const Values values = values_for(op, c, mode);
          TestCase t{"forward", &op, std::move(c), true, mode, Layout::dense, values, amount.seed};
          if (cases.size() >= (repeats ? 2 * max_cases : max_cases) || !seen.insert(t.id()).second) continue;
          cases.push_back(t);
          // Each variant also runs on values for which another order of summation gives other bits.
          if (!repeats) continue;
          t.suite = "repeat";
          t.values = applies(Values::spread, op, t.call) ? Values::spread : Values::drawn;
          cases.push_back(std::move(t));
        }
      }
    }
  }
  return cases;
}

}  // namespace lockstep::conformance
