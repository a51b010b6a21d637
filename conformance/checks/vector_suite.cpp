#include "conformance/checks/vector_suite.h"

#include <algorithm>

#include "conformance/lockstep_vectors.h"

namespace lockstep::conformance {
namespace {

// Layouts in which the values of a vector lie as they are.
constexpr Layout vector_layouts[] = {Layout::dense, Layout::transposed, Layout::sliced};

std::string plain(std::string name) {
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

DType dtype_of(const VectorCase& c) { return c.inputs.empty() ? c.outputs.at(0).dtype : c.inputs[0].dtype; }

}  // namespace

std::vector<std::string> vector_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  if (!std::count(request.modes.begin(), request.modes.end(), MathMode::lockstep)) return ids;
  const Options& o = request.options;
  std::size_t turn = 0;
  for (const VectorCase& c : lockstep_vectors()) {
    const std::string dtype(name_of(dtype_of(c)));
    if (!o.op.empty() && !fits_pattern(o.op, c.op)) continue;
    if (!o.dtype.empty() && o.dtype != dtype) continue;
    const std::string start = "vectors/" + c.op + "/" + dtype + "/lockstep/" + plain(c.call.name) + "/";
    ids.push_back(start + name_of(Layout::dense));
    ids.push_back(start + name_of(vector_layouts[1 + turn++ % 2]));
  }
  return ids;
}

bool run_vector(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  if (parts.size() != 6) return false;
  for (const VectorCase& c : lockstep_vectors()) {
    if (c.op != parts[1] || name_of(dtype_of(c)) != parts[2] || plain(c.call.name) != parts[4]) continue;
    for (Layout layout : vector_layouts) {
      if (parts[5] != name_of(layout)) continue;
      result.bound = "the same bits";
      const Verdict verdict = check_vector(c, setting.device, layout);
      if (!verdict.ok) result.outcome = Outcome::fail;
      result.text = verdict.text;
      return true;
    }
  }
  return false;
}

}  // namespace lockstep::conformance
