// What the generators of forward and gradient cases share: the collector, layouts in turn, and resized cases.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "conformance/cases/attributes.h"
#include "conformance/cases/generate.h"
#include "conformance/cases/unique_cases.h"
#include "conformance/cases/values.h"

namespace lockstep::conformance {

/// Whether another input has the dtype and shape of the first, so that one tensor can serve both.
bool has_shared_inputs(const OpDef& op, const OpCase& c);

/// Whether the layout makes a difference to this case. Always true for `dense`.
bool layout_applies(Layout layout, const OpDef& op, const OpCase& c);

/// The first layout, from position `turn` of a fixed order on, that differs from a dense one for this case.
Layout layout_at(std::size_t turn, const OpDef& op, const OpCase& c);

/// The number of elements of the largest input.
std::int64_t largest_input(const OpCase& c);

/// Collects cases without duplicate ids.
class Collector : public CaseCollector {
 public:
  using CaseCollector::CaseCollector;

  void add(const char* suite, const OpCase& call, bool resized, Layout layout = Layout::dense,
           Values values = Values::drawn) {
    if (!layout_applies(layout, op_, call) || !applies(values, op_, call)) return;
    values = values_for(op_, call, mode_, values);
    keep(make(suite, call, resized, layout, values));
  }
};

/// The number of elements of all inputs and outputs.
double total_elements(const OpDef& op, const OpCase& c);

/// More elements than this are too many for the oracle.
inline constexpr double max_elements = 40000;

/// The approximate number of steps of the oracle: the product of all variable extents, or the number of elements if
/// that is larger. Infinite if there are too many elements.
double cost_of(const OpDef& op, const OpCase& c, const std::vector<std::int64_t>& extents,
               double elements_allowed = max_elements);

/// One case with extents drawn from a list of those at which kernels change behaviour. At most two are long; the
/// largest is shortened until the oracle can afford the case.
std::optional<OpCase> draw_resized(const OpDef& op, const OpCase& base, const std::vector<ExtentGroup>& groups,
                                   Choice& choice, double steps);

/// The op's own cases of a dtype that can be resized.
std::vector<Base> bases_of(const OpDef& op, const std::vector<OpCase>& own, DType dtype);

}  // namespace lockstep::conformance
