// What the generators of large calls share: limits, values and layouts.
#pragma once

#include "conformance/cases/attributes.h"
#include "conformance/cases/large_calls.h"
#include "conformance/cases/unique_cases.h"

namespace lockstep::conformance::large {

using Extents = std::vector<std::int64_t>;

/// The most elements of a call whose whole result the trusted device computes.
inline constexpr std::int64_t max_elements = 300000;

/// Elements of the largest input or result.
std::int64_t elements_of(const OpDef& op, const OpCase& c);

/// The approximate number of multiplications of an op that sums products: m k n for matrices.
double steps_of(const OpDef& op, const OpCase& c);

/// Whether the op has a decomposition, in which the trusted device is slow.
bool is_composed(const OpDef& op);

/// The base with these extents, if it is affordable on the trusted device.
std::optional<OpCase> at(const OpDef& op, const Base& base, const Extents& extents);

/// The values of a large call: those that reveal most, in rotation.
Values values_at(std::size_t turn, const OpDef& op, const OpCase& c, MathMode mode);

/// A random layout that takes effect in this case, of all inputs alike or of each input its own; dense if there is
/// none. If `must_be_strided`, some input has gaps, another order or negative strides.
Layout fitting_layout(const OpDef& op, const OpCase& c, Choice& choice, bool must_be_strided);

/// Collects large calls without duplicate ids.
class Collector : public CaseCollector {
 public:
  using CaseCollector::CaseCollector;

  void add(const char* suite, const std::optional<OpCase>& c, Layout layout, Values values, bool resized = true) {
    if (!c) return;
    TestCase t = make(suite, *c, resized, layout, values);
    // In the suite "beside", a tensor of repeated values is always dense.
    if (t.suite == "beside" && elements_of(op_, *c) > max_drawn) t.layout = Layout::dense;
    keep(std::move(t));
  }
};

/// Adds the call with infinities, with numbers whose sums overflow, and with subnormal numbers: kernels for large sums
/// may treat these otherwise than kernels for small ones.
void add_special_values(Collector& out, const OpDef& op, const std::optional<OpCase>& c);

/// Products with several large extents: cubes, batches, channels of convolutions, and slabs.
void add_products(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases, bool main);

/// Calls with very many rows, which repeat.
void add_rows(Collector& out, const OpDef& op, MathMode mode, const std::vector<Base>& bases, bool main,
              Choice& choice);

}  // namespace lockstep::conformance::large
