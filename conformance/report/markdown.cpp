// Renders the report as Markdown.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "conformance/report/render.h"

namespace lockstep::conformance {
namespace {

constexpr std::size_t max_failures = 200;  // report.json has all failures

// Escapes text for a table cell: one line, without Markdown or HTML markup.
std::string in_cell(const std::string& text) {
  std::string safe;
  for (char c : text) {
    if (c == '\n') {
      safe += ' ';
    } else if (c == '<') {
      safe += "&lt;";
    } else if (c == '&') {
      safe += "&amp;";
    } else {
      if (c == '|' || c == '*' || c == '_' || c == '`' || c == '\\' || c == '[') safe += '\\';
      safe += c;
    }
  }
  return safe;
}

// A code block whose fence is longer than any fence in the text.
std::string fenced(const std::string& text) {
  std::string fence = "```";
  while (text.find(fence) != std::string::npos) fence += "`";
  return fence + "\n" + text + "\n" + fence + "\n";
}

std::string format(const char* pattern, double value) {
  char text[40];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += " " + cell + " |";
  return line + "\n";
}

std::string header(const std::vector<std::string>& names) {
  return row(names) + row(std::vector<std::string>(names.size(), "---"));
}

std::string identity(const RunInfo& r) {
  const std::string abi = std::to_string(r.abi_major) + "." + std::to_string(r.abi_minor);
  const std::pair<const char*, std::string> lines[] = {
      {"driver", r.driver + " " + r.driver_version + (r.driver_vendor.empty() ? "" : " (" + r.driver_vendor + ")")},
      {"library", r.library},
      {"sha256", r.library_sha256},
      {"build id", r.build_id},
      {"device", r.device + "  " + r.device_name + "  " + r.device_version},
      {"type", r.device_type},
      {"uuid", r.device_uuid},
      {"profile", r.profile + (r.shard.empty() ? "" : ", shard " + r.shard)},
      {"modes", join(r.modes)},
      {"op filter", r.op_filter},
      {"dtype filter", r.dtype_filter},
      {"mode filter", r.mode_filter},
      {"suite filter", r.suite_filter},
      {"case", r.case_filter},
      {"seed", std::to_string(r.seed)},
      {"threads", r.threads ? std::to_string(r.threads) : ""},
      {"suite", r.suite_version + ", lockstep " + r.lockstep_version + ", driver ABI " + abi},
      {"bounds",
       (r.bounds_file.empty() ? "built in" : r.bounds_file) + (r.bounds_sha256.empty() ? "" : " " + r.bounds_sha256)},
      {"date", r.date}};
  std::string text = header({"", ""});
  for (const auto& [name, value] : lines) {
    if (!value.empty()) text += row({name, in_cell(value)});
  }
  return text;
}

std::string totals_table(const Totals& t) {
  const auto n = [](std::int64_t count) { return std::to_string(count); };
  return header({"cases", "passed", "failed", "crashed", "timed out", "mistrusted", "unsupported", "required missing",
                 "worst ULP", "seconds"}) +
         row({n(t.cases), n(t.passed), n(t.failed), n(t.crashed), n(t.timed_out), n(t.mistrusted), n(t.unsupported),
              n(t.required_missing), format_ulp(t.worst_ulp), format("%.1f", t.seconds)}) +
         "\ndigest `" + t.digest + "`\n";
}

std::string failures(const Report& report) {
  const std::vector<const CaseResult*> all = failures_of(report);
  if (all.empty()) return "";
  std::string text = "\n## Failures\n";
  for (std::size_t i = 0; i < std::min(all.size(), max_failures); ++i) {
    const CaseResult& c = *all[i];
    text += "\n**" + std::string(name_of(c.outcome)) + (is_failure(c.outcome) ? "" : ", but required") + "** " +
            in_cell(c.id) + "\n" + fenced(c.text + "\n" + replay_line(report.run, c.id));
  }
  if (all.size() > max_failures) text += "\nand " + std::to_string(all.size() - max_failures) + " more\n";
  return text;
}

std::string placement(const RunInfo& run) {
  std::string text;
  for (const auto how : {OpPlacement::How::native, OpPlacement::How::decomposed, OpPlacement::How::refused}) {
    std::map<std::pair<std::string, std::string>, std::vector<std::string>> where;  // dtypes and modes by op and text
    for (const OpPlacement& p : run.placements) {
      if (p.how == how) where[{p.op, p.text}].push_back(p.dtype + (p.mode.empty() ? "" : " " + p.mode));
    }
    if (where.empty()) continue;
    const bool native = how == OpPlacement::How::native;
    text += std::string("\n### ") +
            (native                             ? "Native"
             : how == OpPlacement::How::refused ? "Refused"
                                                : "Decomposed") +
            "\n\n" + header({"op", "dtypes and modes", native ? "kernel" : "why"});
    for (const auto& [key, places] : where) text += row({in_cell(key.first), join(places), in_cell(key.second)});
  }
  return text.empty() ? "" : "\n## Placement\n" + text;
}

std::string variants(const RunInfo& run) {
  if (run.variants.empty()) return "";
  std::string text = "\n## Kernel variants\n\n" + header({"op", "hit", "not hit"});
  for (const VariantCoverage& v : run.variants) {
    std::vector<std::string> missed;
    for (const std::string& name : v.known) {
      if (std::find(v.hit.begin(), v.hit.end(), name) == v.hit.end()) missed.push_back(name);
    }
    text += row(
        {in_cell(v.op), std::to_string(v.hit.size()) + " of " + std::to_string(v.known.size()), in_cell(join(missed))});
  }
  return text;
}

// Suites that do not test an op: memory, queue, copy, abi, threads, fault, precision.
std::string other_suites(const Report& report) {
  std::map<std::string, std::string> lists;
  for (const CaseResult& c : report.cases) {
    if (!c.op.empty() && c.suite != "precision") continue;
    lists[c.suite] += row({in_cell(c.id), name_of(c.outcome), in_cell(c.text)});
  }
  std::string text;
  for (const auto& [suite, rows] : lists) {
    text += "\n## Suite " + in_cell(suite) + "\n\n" + header({"case", "outcome", ""}) + rows;
  }
  return text;
}

}  // namespace

std::string format_ulp(double ulp) {
  if (std::isnan(ulp) || std::isinf(ulp)) return "∞";
  if (ulp == 0) return "0";
  if (ulp < 0.01) return format("%.0e", ulp);
  return ulp < 1e4 ? format("%.3g", ulp < 1000 ? ulp : std::round(ulp / 10) * 10) : format("%.1e", ulp);
}

namespace {

// The filters and the shard that restrict the run. Empty if the whole profile was run.
std::string part_of(const RunInfo& run) {
  std::string text;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += (text.empty() ? "" : ", ") + std::string(name) + value;
  };
  add("", run.case_filter.empty() ? "" : "one case");
  add("op ", run.op_filter);
  add("dtype ", run.dtype_filter);
  add("mode ", run.mode_filter);
  add("suite ", run.suite_filter);
  add("shard ", run.shard);
  return text;
}

}  // namespace

std::string verdict_of(const Report& report) {
  const Totals t = totals_of(report);
  const std::string profile = report.run.profile.empty() ? "" : " the profile " + report.run.profile;
  const std::string part = part_of(report.run);
  if (t.all_passed()) return part.empty() ? "passes" + profile : "passes what was run (" + part + ")";
  if (t.cases == 0) return "not certified: no case was run";
  const std::int64_t failures = t.failed + t.crashed + t.timed_out;
  std::string text = "does not pass" + profile + ":";
  if (failures) text += " " + std::to_string(failures) + (failures == 1 ? " case failed," : " cases failed,");
  if (t.mistrusted) text += " " + std::to_string(t.mistrusted) + " mistrusted,";
  if (t.required_missing) {
    text += " " + std::to_string(t.required_missing) +
            (t.required_missing == 1 ? " required cell is missing," : " required cells are missing,");
  }
  text.pop_back();
  return text;
}

std::string to_markdown(const Report& report) {
  const Report one[] = {report};
  std::string text = "# Conformance of " + in_cell(report.run.device.empty() ? report.run.driver : report.run.device) +
                     "\n\n**" + in_cell(verdict_of(report)) + "**\n\n";
  text += identity(report.run) + "\n" + totals_table(totals_of(report)) + failures(report);
  text += "\n## Worst error in ULP\n" + ulp_table(one, "");
  return text + variants(report.run) + placement(report.run) + other_suites(report);
}

}  // namespace lockstep::conformance
