// Renders the report as one HTML page: page.html with the style, the scripts and the report's data inserted.
#include <map>
#include <set>

#include "conformance/report/render.h"
#include "conformance/report/report_json.h"

namespace lockstep::embedded {
std::string_view report_page();
std::string_view report_style();
std::string_view report_script();
std::string_view report_matrix_script();
}  // namespace lockstep::embedded

namespace lockstep::conformance {
namespace {

constexpr std::size_t max_failures = 1000;  // keeps the page fast; report.json has all failures

Json failure_json(const RunInfo& run, const CaseResult& c) {
  Json json = {{"id", c.id},
               {"suite", c.suite},
               {"op", c.op},
               {"dtype", c.dtype},
               {"mode", c.mode},
               {"text", c.text},
               {"bound", c.bound},
               {"outcome", name_of(c.outcome)},
               {"replay", replay_line(run, c.id)}};
  if (c.errors.elements > 0) {
    json["max_ulp"] = number(c.errors.max_ulp);
    json["share"] = number(c.errors.share);
    json["worst"] = c.errors.worst;
  }
  return json;
}

Json cell_json(const RunInfo& run, const Cell& cell) {
  Json json = to_json(cell);
  if (!cell.worst_case.empty()) json["replay"] = replay_line(run, cell.worst_case);
  if (cell.outcome != Outcome::pass) json["gravest_replay"] = replay_line(run, cell.gravest_case);
  return json;
}

// Cases outside the matrix: runtime suites and probes of precision.
Json list_of_suites(const Report& report) {
  Json lists = Json::array();
  std::map<std::string, std::size_t> index;
  for (const CaseResult& c : report.cases) {
    if (!c.op.empty() && c.suite != "precision") continue;
    const auto [found, fresh] = index.try_emplace(c.suite, lists.size());
    if (fresh) lists.push_back({{"suite", c.suite}, {"cases", Json::array()}});
    lists[found->second]["cases"].push_back(
        {{"id", c.id}, {"outcome", name_of(c.outcome)}, {"text", c.text}, {"seconds", c.seconds}, {"op", c.op}});
  }
  return lists;
}

Json timing(const Report& report) {
  std::map<std::string, std::pair<std::int64_t, double>> suites, ops;
  for (const CaseResult& c : report.cases) {
    for (auto* place : {&suites[c.suite], c.op.empty() ? nullptr : &ops[c.op]}) {
      if (!place) continue;
      ++place->first;
      place->second += c.seconds;
    }
  }
  Json json = {{"suites", Json::array()}, {"ops", Json::array()}};
  for (const auto& [name, t] : suites)
    json["suites"].push_back({{"name", name}, {"cases", t.first}, {"seconds", t.second}});
  for (const auto& [name, t] : ops) json["ops"].push_back({{"name", name}, {"cases", t.first}, {"seconds", t.second}});
  return json;
}

Json page_data(const Report& report) {
  const Totals totals = totals_of(report);
  const Cells cells = cells_of(report);
  const std::vector<const CaseResult*> failures = failures_of(report);
  Json data = {{"passed", totals.all_passed()},
               {"verdict", verdict_of(report)},
               {"run", to_json(report.run)},
               {"totals", to_json(totals)}};
  data["cells"] = Json::array();
  for (const std::vector<Cell>* list : {&cells.total, &cells.by_suite}) {
    for (const Cell& cell : *list) data["cells"].push_back(cell_json(report.run, cell));
  }
  data["failures"] = Json::array();
  for (std::size_t i = 0; i < std::min(failures.size(), max_failures); ++i) {
    data["failures"].push_back(failure_json(report.run, *failures[i]));
  }
  data["failures_in_all"] = failures.size();
  data["lists"] = list_of_suites(report);
  data["timing"] = timing(report);
  return data;
}

// JSON for the content of a script element. Escapes '<', so that no text can end the element.
std::string as_script_data(const Json& json) {
  std::string safe;
  for (char c : json.dump(-1, ' ', false, Json::error_handler_t::replace)) {
    c == '<' ? safe += "\\u003c" : safe += c;
  }
  return safe;
}

std::string as_text(const std::string& text) {
  std::string safe;
  for (char c : text) c == '<' ? safe += "&lt;" : c == '&' ? safe += "&amp;" : safe += c;
  return safe;
}

}  // namespace

std::string to_html(const Report& report) {
  const std::map<std::string, std::string, std::less<>> parts = {
      {"title", as_text(report.run.device + " " + verdict_of(report))},
      {"style", std::string(embedded::report_style())},
      {"script", std::string(embedded::report_script()) + std::string(embedded::report_matrix_script())},
      {"data", as_script_data(page_data(report))}};
  // A single pass, so that placeholders in inserted text are not replaced.
  const std::string_view page = embedded::report_page();
  std::string html;
  for (std::size_t at = 0; at < page.size();) {
    const std::size_t open = page.find("{{", at), close = page.find("}}", open);
    if (close == std::string_view::npos) return html + std::string(page.substr(at));
    html += page.substr(at, open - at);
    html += parts.find(page.substr(open + 2, close - open - 2))->second;
    at = close + 2;
  }
  return html;
}

}  // namespace lockstep::conformance
