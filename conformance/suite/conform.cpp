#include "conformance/suite/conform.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>

#include "conformance/bounds.h"
#include "conformance/suite/placements.h"
#include "conformance/suite/supervisor.h"
#include "runtime/sha256.h"

namespace lockstep::conformance {
namespace {

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// The default number of workers. Workers spend most of their time in the single-threaded oracle. Devices other than
// CPUs get one worker at a time.
unsigned jobs_for(const RunInfo& run) {
  if (run.device_type != "cpu") return 1;
  return std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
}

std::string sha256_of(const std::string& text) {
  Sha256 hash;
  hash.add(text.data(), text.size());
  return hash.hex();
}

// Finds the name from kernel_variant that `variant` is: equal to it, or the longest one that it extends with details.
const std::string* known_variant(const VariantCoverage& coverage, const std::string& variant) {
  const std::string* best = nullptr;
  for (const std::string& known : coverage.known) {
    const bool fits = variant == known || variant.starts_with(known + " ");
    if (fits && (!best || known.size() > best->size())) best = &known;
  }
  return best;
}

void note_variants(RunInfo& run, const CaseResult& result) {
  for (const std::string& use : result.variants) {
    const std::size_t colon = use.find(':', use.find("::") == std::string::npos ? 0 : use.find("::") + 2);
    for (VariantCoverage& v : run.variants) {
      if (use.substr(0, colon) != v.op) continue;
      const std::string* known = known_variant(v, use.substr(colon + 1));
      if (known && !std::count(v.hit.begin(), v.hit.end(), *known)) v.hit.push_back(*known);
    }
  }
}

}  // namespace

Report conform(const Options& given, const std::vector<std::string>& worker, const Progress& progress) {
  register_own_ops();
  check_options(given);
  Options o = given;
  const auto start = std::chrono::steady_clock::now();
  Report report;
  CaseResult crash;
  RunPlan plan = Supervisor(o, worker).plan(crash);
  report.run = std::move(plan.run);
  report.run.date = now_text();
  report.run.library_sha256 = sha256_of_file(report.run.library.empty() ? o.driver : report.run.library);
  const Bounds bounds = o.bounds.empty() ? Bounds::built_in() : Bounds::read(o.bounds);
  report.run.bounds_sha256 = sha256_of(bounds.text());
  if (!crash.id.empty()) {
    report.run.driver_option = o.driver;
    report.run.driver = o.driver.empty() ? o.device : o.driver.substr(o.driver.find_last_of('/') + 1);
    report.run.device = o.device.empty() ? "none" : o.device;
    report.run.profile = o.profile.empty() ? "default" : o.profile;
    report.cases.push_back(crash);
    if (progress) progress(1, 1, crash);
    return report;
  }
  if (o.jobs == 0) o.jobs = jobs_for(report.run);
  Supervisor(o, worker).run(plan.ids, [&](const CaseResult& result) {
    report.cases.push_back(result);
    note_variants(report.run, result);
    if (progress) progress(report.cases.size(), plan.ids.size(), result);
    const bool failed = is_failure(result.outcome) || (result.outcome == Outcome::unsupported && result.required);
    return !(o.fail_fast && failed);
  });
  report.run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

std::vector<std::string> list_cases(const Options& o, const std::vector<std::string>& worker) {
  register_own_ops();
  check_options(o);
  CaseResult crash;
  return Supervisor(o, worker).plan(crash).ids;
}

}  // namespace lockstep::conformance
