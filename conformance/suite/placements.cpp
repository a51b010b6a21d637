#include "conformance/suite/placements.h"

#include "conformance/checks/instructions.h"
#include "conformance/checks/many_tensors.h"
#include "conformance/checks/patterns.h"
#include "conformance/checks/positions.h"
#include "lockstep/driver_ops.h"
#include "lockstep/support.h"
#include "runtime/driver_registry.h"

namespace lockstep::conformance {
namespace {

// A limit for drivers whose list of variants does not end.
constexpr std::uint32_t max_variants = 256;

std::vector<std::string> variants_of(const DeviceEntry& entry, std::uint32_t op) {
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < max_variants; ++i) {
    const char* name = entry.driver.api->kernel_variant(entry.driver.handle(), op, i);
    if (!name) break;
    names.emplace_back(name);
  }
  return names;
}

OpPlacement::How how(OpSupport::Kind kind) {
  switch (kind) {
    case OpSupport::Kind::native: return OpPlacement::How::native;
    case OpSupport::Kind::decomposed: return OpPlacement::How::decomposed;
    default: return OpPlacement::How::refused;
  }
}

}  // namespace

void describe_placements(const Target& target, RunInfo& run) {
  for (const OpSupport& s : op_support(target.device)) {
    run.placements.push_back({s.op->name, "f32", "strict", how(s.kind), s.text});
  }
  for (const DeviceEntry* entry : DriverRegistry::instance().entries()) {
    if (entry->name != target.device.name()) continue;
    const auto add = [&](const std::string& name, std::uint32_t id) {
      std::vector<std::string> known = variants_of(*entry, id);
      if (!known.empty()) run.variants.push_back({name, std::move(known), {}});
    };
    add("pointwise", LKS_OP_POINTWISE);
    for (const OpDef* op : registered_ops()) {
      if (op->id && !op->pointwise()) add(op->name, op->id);
    }
  }
}

void register_own_ops() {
  if (find_op("conformance::multiply_add")) return;
  register_op(pointwise_op("conformance::multiply_add", [](Expr a, Expr b, Expr c) { return a * b + c; },
                           {.doc = "a b + c, with two roundings.", .error_class = ErrorClass::composed}));
  // No built-in op has a shift count of its dtype's width or more. For i32, 35 means 3.
  OpDef shifts = pointwise_op("conformance::shifts", [](Expr a) { return (a << 35) ^ (a >> 67); },
                              {.doc = "Shifts whose counts are taken modulo the width.",
                               .types = types::index,
                               .error_class = ErrorClass::exact});
  shifts.differentiable = false;
  register_op(std::move(shifts));
  register_op(instruction_op());
  register_op(pattern_op());
  register_op(many_tensors_op());
  register_op(position_op());
}

}  // namespace lockstep::conformance
