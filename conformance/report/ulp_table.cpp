// Renders the published table of the worst error of every op, by dtype and math mode. Ops are sorted by name, because
// workers finish in any order.
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

constexpr const char* mode_order[] = {"strict", "fast", "lockstep"};

using Row = std::map<std::string, const Cell*>;  // by dtype
using Rows = std::map<std::string, Row>;         // by op

// The names in `present`: first those in `order`, in that order, then the others.
template <std::size_t n>
std::vector<std::string> in_order(const char* const (&order)[n], std::set<std::string> present) {
  std::vector<std::string> names;
  for (const char* name : order) {
    if (present.erase(name)) names.emplace_back(name);
  }
  names.insert(names.end(), present.begin(), present.end());
  return names;
}

std::string table(const Rows& rows) {
  std::set<std::string> present;
  for (const auto& [op, row] : rows) {
    for (const auto& [dtype, cell] : row) present.insert(dtype);
  }
  const std::vector<std::string> dtypes = in_order(dtype_order, std::move(present));
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
    std::set<std::string> modes;
    std::map<std::string, Rows> rows_of;
    for (const Cell& cell : cells) {
      if (cell.suite != suite) continue;
      modes.insert(cell.mode);
      rows_of[cell.mode][cell.op][cell.dtype] = &cell;
    }
    for (const std::string& mode : in_order(mode_order, std::move(modes))) {
      text += "\n### " + report.run.device + (mode.empty() ? "" : ", " + mode) + "\n\n" + table(rows_of[mode]);
    }
  }
  return text;
}

}  // namespace lockstep::conformance
