#include "conformance/suite/plan.h"

#include <algorithm>
#include <map>

#include "conformance/cases/breakpoints.h"
#include "conformance/cases/generate.h"
#include "conformance/cases/large_calls.h"
#include "conformance/cases/number_cases.h"
#include "conformance/cases/pairs.h"
#include "conformance/checks/special_suites.h"
#include "conformance/runtime/runtime_case.h"

namespace lockstep::conformance {
namespace {

// The kinds of cases that a profile contains.
struct Wanted {
  bool forward = true;     // in every math mode that the device offers
  bool gradients = false;  // includes models that train
  bool lockstep_only = false;
  bool runtime = true;
  bool stress = false;
};

Wanted wanted_by(const Options& o) {
  if (o.profile == "core") return {};
  if (o.profile == "train") return {true, true, false, true, false};
  if (o.profile == "lockstep") return {true, true, true, false, false};
  if (o.profile == "stress") return {true, true, false, true, true};
  return {true, true, false, true, false};
}

std::vector<MathMode> modes_of(const Options& o, const Target& target, const Wanted& wanted) {
  std::vector<MathMode> modes;
  for (MathMode mode : {MathMode::strict, MathMode::fast, MathMode::lockstep}) {
    const bool asked = o.mode.empty() || o.mode == name_of(mode);
    const bool offered = target.offers(mode) || (wanted.lockstep_only && mode == MathMode::lockstep);
    if (asked && offered && (!wanted.lockstep_only || mode == MathMode::lockstep)) modes.push_back(mode);
  }
  return modes;
}

// Fast mode gets fewer cases, because only its sums differ from strict mode.
Amount amount_for(MathMode mode, const Options& o, const Wanted& wanted) {
  Amount amount{o.seed, 12, 6};
  if (wanted.stress) amount = {o.seed, 200, 40};
  if (mode == MathMode::fast) amount.resized = amount.attributes = 2;
  return amount;
}

bool sums_matter(const OpDef& op) {
  return op.error_class == ErrorClass::sum || op.error_class == ErrorClass::composed;
}

// Cases by suite, op and mode.
using Groups = std::map<std::string, std::vector<std::string>>;

void add_op(Groups& groups, const OpDef& op, const Options& o, const Target& target, const Wanted& wanted) {
  const auto add = [&](std::vector<TestCase> cases) {
    for (const TestCase& t : cases) {
      if (!o.dtype.empty() && name_of(t.dtype()) != o.dtype) continue;
      groups[t.suite + "/" + op.name + "/" + std::string(name_of(t.mode))].push_back(t.id());
    }
  };
  const std::vector<MathMode> modes = modes_of(o, target, wanted);
  for (MathMode mode : modes) {
    Amount amount = amount_for(mode, o, wanted);
    amount.alone = mode == MathMode::lockstep && modes.size() == 1;
    if (wanted.gradients) add(gradient_cases(op, mode, amount));
    add(number_cases(op, mode, amount));
    if (mode == MathMode::fast && !sums_matter(op)) {
      add(own_cases(op, mode, amount));
      add(large_call_cases(op, mode, amount));
      continue;
    }
    add(forward_cases(op, mode, amount));
    add(large_call_cases(op, mode, amount));
    // Ops that sum have kernels of their own in each mode.
    const bool has_own_kernels = op.error_class == ErrorClass::sum;
    if (mode == MathMode::strict || amount.alone || has_own_kernels) add(pair_cases(op, mode, amount, modes));
    add(breakpoint_cases(op, mode, amount, target.device));
  }
}

void add_special(Groups& groups, const Options& o, const Target& target, const Wanted& wanted) {
  const SpecialRequest request{o, target, wanted.gradients, wanted.stress, modes_of(o, target, wanted)};
  for (const std::string& id : special_case_ids(request)) {
    groups[id.substr(0, id.find('/', id.find('/') + 1))].push_back(id);
  }
}

void add_runtime(Groups& groups, const Wanted& wanted) {
  for (const RuntimeCase& c : runtime_cases()) {
    if (c.stress && !wanted.stress) continue;
    groups[c.suite].push_back(c.id());
  }
}

// The cases of a shard: every n-th case of each group, alternating between groups. Groups start at different shards,
// which spreads small groups over all shards.
std::vector<std::string> cases_of_shard(const Groups& groups, std::size_t shard, std::size_t shards) {
  std::vector<std::string> ids;
  std::size_t longest = 0;
  for (const auto& [name, list] : groups) longest = std::max(longest, list.size());
  for (std::size_t turn = 0; turn < longest; ++turn) {
    std::size_t first = 0;
    for (const auto& [name, list] : groups) {
      if (turn < list.size() && (turn + first) % shards == shard - 1) ids.push_back(list[turn]);
      ++first;
    }
  }
  return ids;
}

}  // namespace

std::vector<std::string> plan_cases(const Options& o, const Target& target) {
  if (!o.only_case.empty()) return {o.only_case};
  const Wanted wanted = wanted_by(o);
  Groups groups;
  for (const OpDef* op : registered_ops()) {
    if (o.op.empty() || fits_pattern(o.op, op->name)) add_op(groups, *op, o, target, wanted);
  }
  add_special(groups, o, target, wanted);
  if (wanted.runtime && o.op.empty() && o.dtype.empty() && o.mode.empty()) add_runtime(groups, wanted);
  for (auto& [name, ids] : groups) {
    std::erase_if(ids, [&](const std::string& id) { return !wants_suite(o, id.substr(0, id.find('/'))); });
  }
  return cases_of_shard(groups, o.shard, o.shards);
}

bool is_required(DType dtype) { return dtype == DType::f32 || dtype == DType::i32 || dtype == DType::boolean; }

}  // namespace lockstep::conformance
