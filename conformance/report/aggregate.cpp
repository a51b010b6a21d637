// Computes the totals, cells and digest of a run, and replay command lines.
#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "conformance/report/report.h"
#include "runtime/sha256.h"

namespace lockstep::conformance {
namespace {

// The severity of a result; higher values are reported first.
int gravity_of(const CaseResult& c) {
  switch (c.outcome) {
    case Outcome::crash: return 6;
    case Outcome::timeout: return 5;
    case Outcome::fail: return 4;
    case Outcome::mistrusted: return 3;
    case Outcome::unsupported: return c.required ? 2 : 0;
    case Outcome::pass: return 1;
  }
  return 6;
}

// The larger error. NaN counts as infinity.
double larger(double a, double b) {
  const auto known = [](double x) { return std::isnan(x) ? INFINITY : x; };
  return std::max(known(a), known(b));
}

// False for bounds on sums, which are componentwise: if terms cancel, the ULP of the small result is meaningless.
bool is_bounded_in_ulp(const CaseResult& c) { return c.bound.find("budget") == std::string::npos; }

void add_errors(Cell& cell, const CaseResult& c) {
  if (c.errors.elements == 0) return;
  ErrorStatistics& sum = cell.errors;
  const bool first = sum.elements == 0;
  if (first || larger(c.errors.max_ulp, sum.max_ulp) > sum.max_ulp) {
    sum.worst = c.errors.worst;
    cell.worst_case = c.id;
  }
  if (first || larger(c.errors.share, sum.share) > sum.share) cell.bound = c.bound;
  sum.max_ulp = larger(c.errors.max_ulp, sum.max_ulp);
  sum.p99_ulp = larger(c.errors.p99_ulp, sum.p99_ulp);
  sum.share = larger(c.errors.share, sum.share);
  const auto before = static_cast<double>(sum.elements), more = static_cast<double>(c.errors.elements);
  sum.mean_signed_ulp = (sum.mean_signed_ulp * before + c.errors.mean_signed_ulp * more) / (before + more);
  sum.elements += c.errors.elements;
}

using Group = std::vector<const CaseResult*>;

Cell summary_of(const Group& group) {
  const CaseResult& first = *group.front();
  Cell cell{.op = first.op, .dtype = first.dtype, .mode = first.mode};
  const CaseResult* gravest = &first;
  bool all_native = true;
  for (const CaseResult* c : group) {
    if (gravity_of(*c) > gravity_of(*gravest)) gravest = c;
    ++cell.cases;
    cell.required = cell.required || c->required;
    cell.passed += c->outcome == Outcome::pass;
    cell.unsupported += c->outcome == Outcome::unsupported;
    all_native = all_native && (c->native || c->outcome != Outcome::pass);
    cell.seconds += c->seconds;
    add_errors(cell, *c);
  }
  cell.native = all_native && cell.passed > 0;
  cell.outcome = gravest->outcome;
  cell.text = gravest->text;
  cell.gravest_case = gravest->id;
  return cell;
}

// Groups cases by key, in the order in which keys first appear.
template <class Key>
std::vector<Group> grouped(const Report& report, Key key_of) {
  std::vector<Group> groups;
  std::map<decltype(key_of(report.cases.front())), std::size_t> index;
  for (const CaseResult& c : report.cases) {
    // A refusal case that passes shows only that an invalid call is refused, not that the op works in that dtype.
    const bool refusal = c.suite == "refusal" && c.outcome == Outcome::pass;
    if (c.op.empty() || refusal) continue;
    const auto [found, fresh] = index.try_emplace(key_of(c), groups.size());
    if (fresh) groups.emplace_back();
    groups[found->second].push_back(&c);
  }
  return groups;
}

// One cell for each op, dtype and mode.
std::vector<Cell> total_cells(const Report& report) {
  std::vector<Cell> cells;
  for (const Group& group : grouped(report, [](const CaseResult& c) { return std::tuple(c.op, c.dtype, c.mode); })) {
    cells.push_back(summary_of(group));
  }
  return cells;
}

}  // namespace

bool is_failure(Outcome outcome) { return outcome != Outcome::pass && outcome != Outcome::unsupported; }

Cells cells_of(const Report& report) {
  Cells cells{total_cells(report), {}};
  const auto with_suite = [](const CaseResult& c) { return std::tuple(c.op, c.dtype, c.mode, c.suite); };
  for (const Group& group : grouped(report, with_suite)) {
    cells.by_suite.push_back(summary_of(group));
    cells.by_suite.back().suite = group.front()->suite;
  }
  return cells;
}

Totals totals_of(const Report& report) {
  Totals t;
  std::set<std::tuple<std::string, std::string, std::string, std::string>> missing;
  for (const CaseResult& c : report.cases) {
    ++t.cases;
    switch (c.outcome) {
      case Outcome::pass: ++t.passed; break;
      case Outcome::fail: ++t.failed; break;
      case Outcome::crash: ++t.crashed; break;
      case Outcome::timeout: ++t.timed_out; break;
      case Outcome::unsupported: ++t.unsupported; break;
      case Outcome::mistrusted: ++t.mistrusted; break;
    }
    if (c.outcome == Outcome::unsupported && c.required)
      missing.insert({c.op.empty() ? c.suite : "", c.op, c.dtype, c.mode});
    if (c.errors.elements > 0 && is_bounded_in_ulp(c)) t.worst_ulp = larger(t.worst_ulp, c.errors.max_ulp);
  }
  t.required_missing = static_cast<std::int64_t>(missing.size());
  for (const Cell& cell : total_cells(report)) {
    ++t.cells;
    t.cells_passed += cell.passed == cell.cases;
  }
  t.seconds = report.run.seconds;
  t.digest = digest_of(report.cases);
  return t;
}

std::string digest_of(const std::vector<CaseResult>& cases) {
  std::vector<const CaseResult*> sorted;
  for (const CaseResult& c : cases) sorted.push_back(&c);
  std::sort(sorted.begin(), sorted.end(), [](const CaseResult* a, const CaseResult* b) { return a->id < b->id; });
  Sha256 hash;
  for (const CaseResult* c : sorted) {
    hash.add(c->id);
    hash.add(static_cast<std::uint64_t>(c->outcome));
    hash.add(static_cast<std::uint64_t>(c->errors.elements));
    for (double number : {c->errors.max_ulp, c->errors.p99_ulp, c->errors.mean_signed_ulp, c->errors.share}) {
      hash.add(std::bit_cast<std::uint64_t>(std::isnan(number) ? NAN : number + 0.0));
    }
  }
  return hash.hex();
}

std::vector<const CaseResult*> failures_of(const Report& report) {
  std::vector<const CaseResult*> failures;
  for (const CaseResult& c : report.cases) {
    if (is_failure(c.outcome) || (c.outcome == Outcome::unsupported && c.required)) failures.push_back(&c);
  }
  std::stable_sort(failures.begin(), failures.end(),
                   [](const CaseResult* a, const CaseResult* b) { return gravity_of(*a) > gravity_of(*b); });
  return failures;
}

std::string replay_line(const RunInfo& run, const std::string& id) {
  const auto quoted = [](const std::string& text) {
    std::string inner;
    for (char c : text) inner += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return "'" + inner + "'";
  };
  // Paths may contain spaces and other shell characters.
  const auto path = [&](const std::string& text) {
    return text.find_first_of(" \t'\"\\$&|;<>()*?[]#~`!") == std::string::npos ? text : quoted(text);
  };
  std::string line = "lockstep conformance";
  if (!run.driver_option.empty()) {
    line += " --driver " + path(run.driver_option);
  } else if (!run.device.empty()) {
    line += " --device " + run.device;
  }
  if (run.seed != 0) line += " --seed " + std::to_string(run.seed);
  if (!run.bounds_file.empty()) line += " --bounds " + path(run.bounds_file);
  return line + " --case " + quoted(id);
}

}  // namespace lockstep::conformance
