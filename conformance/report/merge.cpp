// Merges the shards of one run.
#include <algorithm>
#include <set>

#include "conformance/report/report.h"
#include "lockstep/error.h"

namespace lockstep::conformance {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& fix) {
  ErrorBuilder(ErrorId::bad_arguments, "merge", what).fix(fix).raise();
}

// The fields that must be equal in all shards, with names for error messages.
std::vector<std::pair<std::string, std::string>> identity_of(const RunInfo& r) {
  std::string modes;
  for (const std::string& mode : r.modes) modes += (modes.empty() ? "" : ",") + mode;
  return {{"driver", r.driver + " " + r.driver_version},
          {"hash of the driver's file", r.library_sha256},
          {"device", r.device + " " + r.device_uuid},
          {"lockstep version", r.lockstep_version},
          {"suite version", r.suite_version},
          {"profile", r.profile},
          {"modes", modes},
          {"seed", std::to_string(r.seed)},
          {"op filter", r.op_filter},
          {"dtype filter", r.dtype_filter},
          {"mode filter", r.mode_filter},
          {"suite filter", r.suite_filter},
          {"case", r.case_filter},
          {"hash of the bounds", r.bounds_sha256}};
}

void check_same_run(const RunInfo& a, const RunInfo& b) {
  const auto left = identity_of(a), right = identity_of(b);
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].second == right[i].second) continue;
    refuse("the reports are not of one run: their " + left[i].first + " is \"" + left[i].second + "\" and \"" +
               right[i].second + "\"",
           "merge reports that differ in --shard only");
  }
}

void add_variants(std::vector<VariantCoverage>& all, const VariantCoverage& more) {
  const auto same = std::find_if(all.begin(), all.end(), [&](const VariantCoverage& v) { return v.op == more.op; });
  if (same == all.end()) {
    all.push_back(more);
    return;
  }
  const auto join = [](std::vector<std::string>& into, const std::vector<std::string>& from) {
    for (const std::string& name : from) {
      if (std::find(into.begin(), into.end(), name) == into.end()) into.push_back(name);
    }
  };
  join(same->known, more.known);
  join(same->hit, more.hit);
}

void add_placement(std::vector<OpPlacement>& all, const OpPlacement& more) {
  const auto same = [&](const OpPlacement& p) {
    return p.op == more.op && p.dtype == more.dtype && p.mode == more.mode && p.how == more.how;
  };
  if (std::none_of(all.begin(), all.end(), same)) all.push_back(more);
}

// Such as "1/4, 3/4". Empty if all shards are present.
std::string joined_shards(const std::vector<Report>& shards) {
  std::set<std::string> names;
  for (const Report& shard : shards) names.insert(shard.run.shard);
  const std::string& first = *names.begin();
  const std::size_t slash = first.find('/');
  if (slash != std::string::npos && std::to_string(names.size()) == first.substr(slash + 1)) return "";
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

Report merge(const std::vector<Report>& shards) {
  if (shards.empty()) refuse("there is no report to merge", "name the folders of the shards");
  Report merged = shards.front();
  std::set<std::string> ids;
  for (const CaseResult& c : merged.cases) ids.insert(c.id);
  for (std::size_t i = 1; i < shards.size(); ++i) {
    const Report& more = shards[i];
    check_same_run(merged.run, more.run);
    for (const CaseResult& c : more.cases) {
      if (!ids.insert(c.id).second) refuse("case " + c.id + " is in two of the reports", "name every shard once");
      merged.cases.push_back(c);
    }
    for (const VariantCoverage& v : more.run.variants) add_variants(merged.run.variants, v);
    for (const OpPlacement& p : more.run.placements) add_placement(merged.run.placements, p);
    merged.run.seconds += more.run.seconds;
    merged.run.date = std::min(merged.run.date, more.run.date);
  }
  if (shards.size() > 1) merged.run.shard = joined_shards(shards);
  return merged;
}

}  // namespace lockstep::conformance
