#include "conformance/cases/collector.h"

#include <algorithm>
#include <cmath>

#include "conformance/cases/inferred_outputs.h"

namespace lockstep::conformance {
namespace {

// Extents at which kernels change behaviour: around powers of two, primes, and the sizes of registers, blocks and
// chunks.
constexpr std::int64_t short_extents[] = {1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 15, 16, 17, 19, 23, 31, 32, 33};
constexpr std::int64_t long_extents[] = {47,   63,   64,   65,   97,   127,  128,  129,  191,  251,
                                         255,  256,  257,  384,  509,  511,  512,  513,  1021, 1023,
                                         1024, 1025, 2047, 2048, 2049, 4095, 4097, 10007};

bool has_mutable_input(const OpDef& op) {
  return std::any_of(op.inputs.begin(), op.inputs.end(), [](const InputDef& in) { return in.mutable_; });
}

}  // namespace

bool has_shared_inputs(const OpDef& op, const OpCase& c) {
  if (has_mutable_input(op)) return false;  // a write would change the other inputs
  for (std::size_t i = 1; i < c.inputs.size(); ++i) {
    const CaseInput &a = c.inputs[0], &b = c.inputs[i];
    if (!a.absent && !b.absent && !a.scalar && !b.scalar && a.dtype == b.dtype && a.shape == b.shape) return true;
  }
  return false;
}

bool layout_applies(Layout layout, const OpDef& op, const OpCase& c) {
  if (layout == Layout::dense) return true;
  if (layout == Layout::shared) return has_shared_inputs(op, c);
  return layout_takes_effect(layout, op, c);
}

Layout layout_at(std::size_t turn, const OpDef& op, const OpCase& c) {
  for (std::size_t tries = 0; tries < std::size(layouts); ++tries, ++turn) {
    const Layout layout = layouts[1 + turn % (std::size(layouts) - 1)];
    if (layout_applies(layout, op, c)) return layout;
  }
  return Layout::dense;
}

std::int64_t largest_input(const OpCase& c) {
  std::int64_t most = 0;
  for (const CaseInput& in : c.inputs) most = std::max(most, in.absent ? 0 : in.shape.size());
  return most;
}

double total_elements(const OpDef& op, const OpCase& c) {
  double elements = 0;
  for (const CaseInput& in : c.inputs) {
    if (!in.absent) elements += static_cast<double>(in.shape.size());
  }
  if (const auto outputs = infer_outputs(op, c)) {
    for (const TensorSpec& s : *outputs) elements += static_cast<double>(s.shape.size());
  }
  return elements;
}

double cost_of(const OpDef& op, const OpCase& c, const std::vector<std::int64_t>& extents, double elements_allowed) {
  double product = 1;
  for (std::int64_t extent : extents) product *= static_cast<double>(std::max<std::int64_t>(extent, 1));
  const double elements = total_elements(op, c);
  return std::max(product, elements > elements_allowed ? INFINITY : elements);
}

std::optional<OpCase> draw_resized(const OpDef& op, const OpCase& base, const std::vector<ExtentGroup>& groups,
                                   Choice& choice, double steps) {
  std::vector<std::int64_t> extents;
  for (std::size_t g = 0; g < groups.size(); ++g) extents.push_back(choice.of(short_extents));
  extents[choice.below(extents.size())] = choice.of(long_extents);
  if (choice.below(2)) extents[choice.below(extents.size())] = choice.of(long_extents);
  for (int tries = 0; tries < 40; ++tries) {
    auto c = resized(op, base, groups, extents);
    if (c && cost_of(op, *c, extents) <= steps) return c;
    std::int64_t& largest = *std::max_element(extents.begin(), extents.end());
    largest = largest > 40 ? largest / 2 + 1 : choice.of(short_extents);
  }
  return std::nullopt;
}

std::vector<Base> bases_of(const OpDef& op, const std::vector<OpCase>& own, DType dtype) {
  std::vector<Base> bases;
  for (const OpCase& c : own) {
    if (c.error || has_empty_input(c) || dtype_of(op, c) != dtype) continue;
    std::vector<ExtentGroup> groups = extent_groups(op, c);
    if (!groups.empty()) bases.push_back({c, std::move(groups)});
  }
  return bases;
}

}  // namespace lockstep::conformance
