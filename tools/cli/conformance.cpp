// `lockstep conformance`: certifies a device of any driver.
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "conformance/report/folder.h"
#include "conformance/report/render.h"
#include "conformance/report/report_json.h"
#include "conformance/runtime/alone.h"
#include "conformance/suite/conform.h"
#include "conformance/suite/worker.h"
#include "tools/cli/command.h"

namespace cli {
namespace {

namespace conf = lockstep::conformance;

struct ConformanceCommand {
  conf::Options options;
  std::string report, shard, memory_limit;
  std::vector<std::string> merge, table;
  bool json = false, list = false, worker = false, alone = false;
};

// The file descriptors through which a worker, or a process that a worker starts, is told what to do.
constexpr int worker_reads = 3, worker_writes = 4;

// The command that runs this program as a worker with the same options.
std::vector<std::string> worker_command(const conf::Options& o) {
  std::vector<std::string> command = {path_of_this_program().string(),
                                      "conformance",
                                      "--worker",
                                      "--seed",
                                      std::to_string(o.seed),
                                      "--shard",
                                      std::to_string(o.shard) + "/" + std::to_string(o.shards)};
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) command.insert(command.end(), {option, value});
  };
  add("--device", o.device);
  add("--driver", o.driver);
  add("--profile", o.profile);
  add("--op", o.op);
  add("--suite", o.suite);
  add("--dtype", o.dtype);
  add("--mode", o.mode);
  add("--bounds", o.bounds);
  add("--case", o.only_case);
  return command;
}

void parse_shard(const std::string& text, conf::Options& o) {
  unsigned shard = 0, shards = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%u/%u%c", &shard, &shards, &rest) != 2 || shard < 1 || shard > shards) {
    usage_error("--shard", "\"" + text + "\" does not name a part", "use 1/4, 2/4, 3/4 or 4/4");
  }
  o.shard = shard;
  o.shards = shards;
}

// Shows a progress bar with the number of failures on a terminal, and nothing otherwise.
class Screen {
 public:
  explicit Screen(const conf::Report* = nullptr) : redraws_(isatty(STDERR_FILENO)) {}

  void show(std::size_t done, std::size_t all, const conf::CaseResult& result) {
    if (conf::is_failure(result.outcome)) ++failures_;
    if (!redraws_) return;
    constexpr std::size_t width = 30;
    const std::size_t filled = width * done / all;
    std::string name = result.id.substr(0, 60);
    std::fprintf(stderr, "\r\033[K %s%s %zu/%zu  %zu failed  %s", std::string(filled, '=').c_str(),
                 std::string(width - filled, ' ').c_str(), done, all, failures_, name.c_str());
    if (done == all) std::fprintf(stderr, "\r\033[K");
    std::fflush(stderr);
  }
  void end() const {
    if (redraws_) std::fprintf(stderr, "\r\033[K");
  }

 private:
  bool redraws_;
  std::size_t failures_ = 0;
};

void print_failures(const conf::Report& report) {
  constexpr std::size_t most = 25;
  const auto failures = conf::failures_of(report);
  for (std::size_t i = 0; i < std::min(most, failures.size()); ++i) {
    const conf::CaseResult& c = *failures[i];
    std::printf(" %-11s %s\n             %s\n             %s\n", conf::name_of(c.outcome), c.id.c_str(), c.text.c_str(),
                conf::replay_line(report.run, c.id).c_str());
  }
  if (failures.size() > most) std::printf(" … and %zu more; --report DIR writes all\n", failures.size() - most);
}

void print_summary(const conf::Report& report) {
  const conf::Totals t = conf::totals_of(report);
  std::printf(" %s %s, device %s (%s)\n", report.run.driver.c_str(), report.run.driver_version.c_str(),
              report.run.device.c_str(), report.run.device_name.c_str());
  std::printf(
      " %lld cases: %lld passed, %lld failed, %lld crashed, %lld timed out, %lld mistrusted, %lld unsupported\n",
      static_cast<long long>(t.cases), static_cast<long long>(t.passed), static_cast<long long>(t.failed),
      static_cast<long long>(t.crashed), static_cast<long long>(t.timed_out), static_cast<long long>(t.mistrusted),
      static_cast<long long>(t.unsupported));
  if (t.cells > 0) {
    std::printf(" %lld cells, each an op, dtype and mode: %lld pass whole; required but missing: %lld\n",
                static_cast<long long>(t.cells), static_cast<long long>(t.cells_passed),
                static_cast<long long>(t.required_missing));
  }
  std::printf(" %s in %.0f s; digest %s\n", conf::verdict_of(report).c_str(), report.run.seconds,
              t.digest.substr(0, 16).c_str());
}

int finish(const ConformanceCommand& c, const conf::Report& report) {
  if (!c.report.empty()) conf::write_report(c.report, report);
  if (!c.json) {
    print_failures(report);
    print_summary(report);
    if (!c.report.empty()) std::printf(" report: %s/report.html\n", c.report.c_str());
  } else {
    std::printf("%s\n", conf::summary_json(report).dump().c_str());
  }
  return conf::totals_of(report).all_passed() ? 0 : 1;
}

int merge_shards(const ConformanceCommand& c) {
  std::vector<conf::Report> shards;
  for (const std::string& path : c.merge) shards.push_back(conf::read_report(path));
  return finish(c, conf::merge(shards));
}

int print_table(const ConformanceCommand& c) {
  std::vector<conf::Report> reports;
  for (const std::string& path : c.table) reports.push_back(conf::read_report(path));
  std::fputs(conf::ulp_table(reports, "").c_str(), stdout);
  return 0;
}

int run(ConformanceCommand& c) {
  if (!c.shard.empty()) parse_shard(c.shard, c.options);
  if (c.alone) return conf::run_alone(worker_reads, worker_writes);
  if (c.worker) {
    conf::set_alone_command({path_of_this_program().string(), "conformance", "--alone"});
    return conf::run_worker(c.options, worker_reads, worker_writes);
  }
  if (!c.report.empty()) conf::prepare_report_folder(c.report);
  if (!c.merge.empty()) return merge_shards(c);
  if (!c.table.empty()) return print_table(c);
  const std::vector<std::string> worker = worker_command(c.options);
  if (c.list) {
    for (const std::string& id : conf::list_cases(c.options, worker)) std::printf("%s\n", id.c_str());
    return 0;
  }
  Screen screen;
  const conf::Report report =
      conf::conform(c.options, worker,
                    [&](std::size_t done, std::size_t all, const auto& result) { screen.show(done, all, result); });
  screen.end();
  return finish(c, report);
}

}  // namespace

Run add_conformance(Program& program) {
  auto c = std::make_shared<ConformanceCommand>();
  conf::Options& o = c->options;
  Command command = program.command("conformance", conformance_help);
  Option device = command.option("--device", o.device, "Such as cpu or cuda:0");
  command.option("--driver", o.driver, "A driver library, wherever it lies; its first device").excludes(device);
  command.option(
      "--profile", o.profile,
      "core, train, lockstep or stress (default: core and train, in every math mode that the device offers)");
  command.option("--op", o.op, "Only ops that fit this pattern, such as matmul or 'conv2d*'");
  command.option("--suite", o.suite, "Only these suites, such as memory,fault; the report lists all");
  command.option("--dtype", o.dtype, "Only cases of this dtype");
  command.option("--mode", o.mode, "Only this math mode: strict, fast or lockstep");
  command.option("--case", o.only_case, "Replay one case by its id").not_empty();
  command.option("--seed", o.seed, "Of values and of sizes").seed().shows_default();
  command.option("--shard", c->shard, "Run one part, such as 2/4");
  command.option("--report", c->report, "Write report.json, report.md and report.html into this folder");
  command.option("--merge", c->merge, "Folders of shards' reports to make one report of");
  command.option("--table", c->table, "Folders of reports of which to print the worst ULP of every op, as Markdown");
  command.option("--bounds", o.bounds, "A file of error bounds instead of the built-in one");
  command.option("--jobs", o.jobs, "Worker processes (default: one per core for CPUs, else one)").whole_number(1, 64);
  command.option("--timeout", o.timeout_s, "Seconds for one case").number(0.01, 86400.0).shows_default();
  command.flag("--fail-fast", o.fail_fast, "Stop at the first failure");
  command.flag("--list", c->list, "Print the ids of the cases and run none");
  command.flag("--json", c->json, "The last line is one JSON object");
  command.flag("--worker", c->worker, "").hidden();
  command.flag("--alone", c->alone, "").hidden();
  return [c] { return run(*c); };
}

}  // namespace cli
