// The published table: how far every op is off, by dtype and math mode.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "conformance/report/render.h"

namespace lockstep::conformance {
namespace {

constexpr const char* dtype_order[] = {"f32", "f64", "f16", "bf16", "i8", "u8", "i32", "i64", "bool"};

std::string text_of(const Cell& cell) {
  if (cell.outcome == Outcome::unsupported) return "refused";
  if (cell.outcome != Outcome::pass) return "**" + std::string(name_of(cell.outcome)) + "**";
  if (cell.errors.elements == 0) return "✓";
  std::string text = format_ulp(cell.errors.max_ulp);
  if (cell.errors.max_ulp <= 1 || cell.bound.find("ulp") != std::string::npos) return text;
  char share[16];
  std::snprintf(share, sizeof share, " (%.2g)", cell.errors.share);
  return text + share;
}

using Row = std::map<std::string, const Cell*>;  // by dtype

std::string table(const std::vector<std::pair<std::string, Row>>& rows) {
  std::set<std::string> present;
  for (const auto& [op, row] : rows) {
    for (const auto& [dtype, cell] : row) present.insert(dtype);
  }
  std::vector<std::string> dtypes;
  for (const char* dtype : dtype_order) {
    if (present.erase(dtype)) dtypes.emplace_back(dtype);
  }
  dtypes.insert(dtypes.end(), present.begin(), present.end());
  std::string text = "| op |", line = "| --- |";
  for (const std::string& dtype : dtypes) {
    text += " " + dtype + " |";
    line += " ---: |";
  }
  text += "\n" + line + "\n";
  for (const auto& [op, row] : rows) {
    text += "| " + op + " |";
    for (const std::string& dtype : dtypes) {
      const auto cell = row.find(dtype);
      text += cell == row.end() ? " |" : " " + text_of(*cell->second) + " |";
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::string ulp_table(std::span<const Report> reports, const std::string& suite) {
  std::string text;
  for (const Report& report : reports) {
    const Cells all = cells_of(report);
    const std::vector<Cell>& cells = suite.empty() ? all.total : all.by_suite;
    std::vector<std::string> modes;
    std::map<std::string, std::vector<std::pair<std::string, Row>>> rows_of;
    for (const Cell& cell : cells) {
      if (cell.suite != suite) continue;
      if (std::find(modes.begin(), modes.end(), cell.mode) == modes.end()) modes.push_back(cell.mode);
      auto& rows = rows_of[cell.mode];
      auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r.first == cell.op; });
      if (row == rows.end()) row = rows.insert(rows.end(), {cell.op, {}});
      row->second[cell.dtype] = &cell;
    }
    for (const std::string& mode : modes) {
      text += "\n### " + report.run.device + (mode.empty() ? "" : ", " + mode) + "\n\n" + table(rows_of[mode]);
    }
  }
  return text;
}

}  // namespace lockstep::conformance
