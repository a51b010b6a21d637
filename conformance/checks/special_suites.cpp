#include "conformance/checks/special_suites.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "conformance/checks/instructions.h"
#include "conformance/checks/large.h"
#include "conformance/checks/many_tensors.h"
#include "conformance/checks/models.h"
#include "conformance/checks/patterns.h"
#include "conformance/checks/positions.h"
#include "conformance/checks/probe.h"
#include "conformance/checks/sweep.h"
#include "conformance/checks/vector_suite.h"
#include "conformance/suite/split.h"
#include "lockstep/error.h"

namespace lockstep::conformance {
namespace {

// A suite, or the part of it that concerns one op.
struct SpecialSuite {
  const char* name;
  std::vector<std::string> (*ids)(const SpecialRequest&);
  /// False if there is no such case.
  bool (*run)(const std::vector<std::string>& parts, const Setting&, CaseResult&);
};

constexpr SpecialSuite suites[] = {{"sweep", &sweep_ids, &run_sweep},
                                   {"probe", &probe_ids, &run_probe},
                                   {"audit", &audit_ids, &run_audit},
                                   {"trajectory", &trajectory_ids, &run_trajectory},
                                   {"vectors", &vector_ids, &run_vector},
                                   {"large", &large_ids, &run_large},
                                   {"instructions", &instruction_ids, &run_instructions},
                                   {"instructions", &pattern_ids, &run_patterns},
                                   {"instructions", &many_tensors_ids, &run_many_tensors},
                                   {"positions", &position_ids, &run_positions}};

std::string suite_of(const std::string& id) { return id.substr(0, id.find('/')); }

// "suite/op/dtype/mode/…"
void read_names(const std::vector<std::string>& parts, CaseResult& result) {
  if (parts.size() < 4) return;
  result.op = parts[1];
  result.dtype = parts[2];
  result.mode = parts[3];
}

}  // namespace

std::vector<std::string> special_case_ids(const SpecialRequest& request) {
  std::vector<std::string> all;
  for (const SpecialSuite& s : suites) {
    for (std::string& id : s.ids(request)) all.push_back(std::move(id));
  }
  return all;
}

bool is_special_case_id(const std::string& id) {
  return std::any_of(std::begin(suites), std::end(suites),
                     [&](const SpecialSuite& s) { return suite_of(id) == s.name; });
}

CaseResult run_special_case(const std::string& id, const Setting& setting) {
  CaseResult result;
  result.id = id;
  result.suite = suite_of(id);
  const auto start = std::chrono::steady_clock::now();
  bool found = true;
  try {
    const std::vector<std::string> parts = split(id, '/');
    read_names(parts, result);
    found = std::any_of(std::begin(suites), std::end(suites),
                        [&](const SpecialSuite& s) { return result.suite == s.name && s.run(parts, setting, result); });
  } catch (const UnsupportedError& e) {
    result.outcome = Outcome::unsupported;
    result.text = e.headline();
  } catch (const std::exception& e) {
    result.outcome = Outcome::fail;
    result.text = e.what();
  }
  if (!found) {
    ErrorBuilder(ErrorId::bad_arguments, "--case", "there is no case \"" + id + "\"")
        .fix("`lockstep conformance --list` prints the ids of all")
        .raise();
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace lockstep::conformance
