#include "conformance/report/report_json.h"

#include <cmath>

namespace lockstep::conformance {

Json number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

const char* name_of(OpPlacement::How how) {
  switch (how) {
    case OpPlacement::How::native: return "native";
    case OpPlacement::How::decomposed: return "decomposed";
    case OpPlacement::How::refused: return "refused";
  }
  return "refused";
}

namespace {

Json to_json(const ErrorStatistics& e) {
  return {{"elements", e.elements},       {"max_ulp", number(e.max_ulp)},
          {"p99_ulp", number(e.p99_ulp)}, {"mean_signed_ulp", number(e.mean_signed_ulp)},
          {"share", number(e.share)},     {"worst", e.worst}};
}

}  // namespace

// Leaves out empty texts and false flags, because a run has tens of thousands of cases.
Json to_json(const CaseResult& c) {
  Json json = {{"id", c.id}, {"suite", c.suite}, {"outcome", name_of(c.outcome)}, {"seconds", c.seconds}};
  const std::pair<const char*, const std::string*> texts[] = {
      {"op", &c.op}, {"dtype", &c.dtype}, {"mode", &c.mode}, {"text", &c.text}, {"bound", &c.bound}};
  for (const auto& [key, text] : texts) {
    if (!text->empty()) json[key] = *text;
  }
  if (c.required) json["required"] = true;
  if (c.native) json["native"] = true;
  if (!c.variants.empty()) json["variants"] = c.variants;
  if (c.errors.elements > 0) json["errors"] = to_json(c.errors);
  return json;
}

Json to_json(const Totals& t) {
  return {{"cases", t.cases},
          {"passed", t.passed},
          {"failed", t.failed},
          {"crashed", t.crashed},
          {"timed_out", t.timed_out},
          {"mistrusted", t.mistrusted},
          {"unsupported", t.unsupported},
          {"cells", t.cells},
          {"cells_passed", t.cells_passed},
          {"required_missing", t.required_missing},
          {"worst_ulp", number(t.worst_ulp)},
          {"seconds", t.seconds},
          {"digest", t.digest}};
}

Json to_json(const Cell& c) {
  Json json = {{"op", c.op},
               {"dtype", c.dtype},
               {"mode", c.mode},
               {"suite", c.suite},
               {"outcome", name_of(c.outcome)},
               {"required", c.required},
               {"native", c.native},
               {"cases", c.cases},
               {"passed", c.passed},
               {"unsupported", c.unsupported},
               {"seconds", c.seconds}};
  if (c.errors.elements > 0) {
    json["errors"] = to_json(c.errors);
    json["bound"] = c.bound;
    json["worst_case"] = c.worst_case;
  }
  if (c.outcome != Outcome::pass) {
    json["text"] = c.text;
    json["case"] = c.gravest_case;
  }
  return json;
}

Json to_json(const RunInfo& r) {
  Json variants = Json::array(), placements = Json::array();
  for (const VariantCoverage& v : r.variants) variants.push_back({{"op", v.op}, {"known", v.known}, {"hit", v.hit}});
  for (const OpPlacement& p : r.placements) {
    placements.push_back(
        {{"op", p.op}, {"dtype", p.dtype}, {"mode", p.mode}, {"how", name_of(p.how)}, {"text", p.text}});
  }
  return {{"driver",
           {{"name", r.driver},
            {"vendor", r.driver_vendor},
            {"version", r.driver_version},
            {"build_id", r.build_id},
            {"library", r.library},
            {"library_sha256", r.library_sha256},
            {"option", r.driver_option}}},
          {"device",
           {{"id", r.device},
            {"name", r.device_name},
            {"version", r.device_version},
            {"type", r.device_type},
            {"uuid", r.device_uuid}}},
          {"lockstep_version", r.lockstep_version},
          {"suite_version", r.suite_version},
          {"abi", {{"major", r.abi_major}, {"minor", r.abi_minor}}},
          {"profile", r.profile},
          {"modes", r.modes},
          {"seed", r.seed},
          {"shard", r.shard},
          {"filters",
           {{"op", r.op_filter},
            {"dtype", r.dtype_filter},
            {"mode", r.mode_filter},
            {"suite", r.suite_filter},
            {"case", r.case_filter}}},
          {"threads", r.threads},
          {"date", r.date},
          {"seconds", r.seconds},
          {"bounds", {{"file", r.bounds_file}, {"sha256", r.bounds_sha256}}},
          {"variants", variants},
          {"placements", placements}};
}

Json to_json(const Report& report) {
  Json cells = Json::array(), by_suite = Json::array(), cases = Json::array();
  const Cells all = cells_of(report);
  for (const Cell& cell : all.total) cells.push_back(to_json(cell));
  for (const Cell& cell : all.by_suite) by_suite.push_back(to_json(cell));
  for (const CaseResult& c : report.cases) cases.push_back(to_json(c));
  const Totals totals = totals_of(report);
  return {{"format", "lockstep conformance report"},
          {"format_version", 1},
          {"passed", totals.all_passed()},
          {"run", to_json(report.run)},
          {"totals", to_json(totals)},
          {"cells", cells},
          {"cells_by_suite", by_suite},
          {"cases", cases}};
}

Json summary_json(const Report& report) {
  Json json = {{"driver", report.run.driver}, {"device", report.run.device}, {"profile", report.run.profile}};
  json.update(to_json(totals_of(report)));
  return json;
}

}  // namespace lockstep::conformance
