#include "conformance/checks/positions.h"

#include <algorithm>

#include "lockstep/ops.h"
#include "lockstep/program.h"
#include "ops/pointwise.h"

namespace lockstep::conformance {
namespace {

constexpr const char* op_name = "conformance::positions";
constexpr std::int64_t linear = -1;

struct PositionAttrs {
  std::int64_t axis = linear;
};

struct PositionCase {
  const char* name;
  Shape shape;
  std::int64_t axis;
};

// 3 times 5592431 is 2^24 + 77.
const std::vector<PositionCase>& position_cases() {
  static const std::vector<PositionCase> cases = {{"linear.16777293", {16777293}, linear},
                                                  {"linear.3x5592431", {3, 5592431}, linear},
                                                  {"axis0.16777293x1", {16777293, 1}, 0},
                                                  {"axis1.1x16777293", {1, 16777293}, 1},
                                                  {"axis0.5592431x3", {5592431, 3}, 0},
                                                  {"axis1.65x70001x1", {65, 70001, 1}, 1},
                                                  {"axis2.2x3x70001x2", {2, 3, 70001, 2}, 2},
                                                  {"linear.70001x2x3x2", {70001, 2, 3, 2}, linear},
                                                  {"axis7.2x1x3x1x2x1x2x5", {2, 1, 3, 1, 2, 1, 2, 5}, 7}};
  return cases;
}

// The position along an axis of element n in row-major order.
std::int64_t position_of(const PositionCase& c, std::int64_t n) {
  if (c.axis == linear) return n;
  for (int d = c.shape.rank() - 1; d > c.axis; --d) n /= c.shape[d];
  return n % c.shape[static_cast<int>(c.axis)];
}

}  // namespace

OpDef position_op() {
  OpDef op = make_pointwise_op(op_name, 1,
                               [](ProgramBuilder& p, const OpCall& call, std::span<const Expr> in) {
                                 const std::int64_t axis = call.attrs_as<PositionAttrs>().axis;
                                 const Expr position =
                                     axis == linear ? p.linear_index() : p.index(static_cast<std::uint32_t>(axis));
                                 return std::vector<Expr>{convert(position, LKS_I32) + in[0]};
                               },
                               {.doc = "The position of each element, plus x, for the conformance suite.",
                                .types = types::of(i32),
                                .error_class = ErrorClass::exact});
  op.differentiable = false;
  op.attrs = attr_schema<PositionAttrs>("lks_conformance_positions_attrs",
                                        attr("axis", &PositionAttrs::axis, "-1: of all elements"));
  op.cases = nullptr;
  return op;
}

std::vector<std::string> position_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  const Options& o = request.options;
  if ((!o.op.empty() && !fits_pattern(o.op, op_name)) || (!o.dtype.empty() && o.dtype != "i32")) return ids;
  for (MathMode mode : request.modes) {
    if (mode == MathMode::lockstep && request.modes.front() != mode) continue;  // same arithmetic as strict mode
    for (const PositionCase& c : position_cases()) {
      // Positions do not depend on the mode. Small tensors are checked in every mode, because it may select other
      // kernels.
      if (mode != request.modes.front() && c.shape.size() > 5000000) continue;
      ids.push_back(std::string("positions/") + op_name + "/i32/" + std::string(name_of(mode)) + "/" + c.name);
    }
  }
  return ids;
}

bool run_positions(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  if (parts.size() != 5) return false;
  const auto& cases = position_cases();
  const auto c = std::find_if(cases.begin(), cases.end(), [&](const PositionCase& p) { return parts[4] == p.name; });
  const auto mode = find_mode(parts[3]);
  if (c == cases.end() || !mode) return false;
  const MathModeScope scope(*mode);
  const DeviceScope device(setting.device);
  const Tensor one(std::int32_t{1});
  const PositionAttrs attrs{c->axis};
  const Tensor x = broadcast_to(one, c->shape);
  result.bound = "the same bits";
  const std::vector<std::int32_t> got = invoke1(*find_op(op_name), {{x}}, &attrs).to_vector<std::int32_t>();
  for (std::int64_t n = 0; n < c->shape.size(); ++n) {
    const std::int64_t right = position_of(*c, n) + 1;
    if (got[static_cast<std::size_t>(n)] == right) continue;
    result.outcome = Outcome::fail;
    result.text = "element " + std::to_string(n) + ": its position and 1 are " + std::to_string(right) + ", not " +
                  std::to_string(got[static_cast<std::size_t>(n)]);
    break;
  }
  return true;
}

}  // namespace lockstep::conformance
