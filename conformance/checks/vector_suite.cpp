#include "conformance/checks/vector_suite.h"

#include <algorithm>

#include "conformance/checks/forward.h"
#include "conformance/lockstep_vectors.h"

namespace lockstep::conformance {
namespace {

// Layouts in which no elements share memory, so that the values of a vector stay as they are.
constexpr Layout vector_layouts[] = {Layout::dense,       Layout::transposed,      Layout::sliced,
                                     Layout::padded_rows, Layout::channels_second, Layout::last_reversed};

// In strict mode the oracle judges the same calls, because their shapes and attributes were chosen to reveal errors.
constexpr MathMode vector_modes[] = {MathMode::strict, MathMode::lockstep};

std::string plain(std::string name) {
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

DType dtype_of(const VectorCase& c) { return c.inputs.empty() ? c.outputs.at(0).dtype : c.inputs[0].dtype; }

}  // namespace

std::vector<std::string> vector_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  const Options& o = request.options;
  std::size_t turn = 0;
  for (const VectorCase& c : lockstep_vectors()) {
    const std::string dtype(name_of(dtype_of(c)));
    ++turn;
    if (!o.op.empty() && !fits_pattern(o.op, c.op)) continue;
    if (!o.dtype.empty() && o.dtype != dtype) continue;
    for (const MathMode mode : vector_modes) {
      if (!std::count(request.modes.begin(), request.modes.end(), mode)) continue;
      const std::string start =
          "vectors/" + c.op + "/" + dtype + "/" + std::string(name_of(mode)) + "/" + plain(c.call.name) + "/";
      constexpr std::size_t others = std::size(vector_layouts) - 1;
      if (mode == MathMode::lockstep) ids.push_back(start + name_of(Layout::dense));
      ids.push_back(start + name_of(mode == MathMode::strict && turn % 2 ? Layout::dense
                                                                         : vector_layouts[1 + turn / 2 % others]));
    }
  }
  return ids;
}

bool run_vector(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  if (parts.size() != 6) return false;
  const auto mode = find_mode(parts[3]);
  for (const VectorCase& c : lockstep_vectors()) {
    if (c.op != parts[1] || name_of(dtype_of(c)) != parts[2] || plain(c.call.name) != parts[4]) continue;
    for (Layout layout : vector_layouts) {
      if (parts[5] != name_of(layout)) continue;
      const bool by_oracle = mode == MathMode::strict;
      const OpDef& op = *find_op(c.op);
      result.bound = by_oracle ? setting.bounds.find(op.error_class, dtype_of(c), *mode).text : "the same bits";
      const Verdict verdict =
          by_oracle ? check_values(op, c.call, c.inputs, layout, setting) : check_vector(c, setting.device, layout);
      if (!verdict.ok) result.outcome = Outcome::fail;
      result.text = verdict.text;
      return true;
    }
  }
  return false;
}

}  // namespace lockstep::conformance
