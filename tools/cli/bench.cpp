// `lockstep bench`: measures devices and compares them.
#include <cstdio>
#include <memory>

#include "bench/row.h"
#include "tools/cli/command.h"
#include "tools/cli/json.h"

namespace cli {
namespace {

namespace ls = lockstep;

struct Options {
  std::string suites = "overhead,ops,models", devices, modes = "strict", filter;
  unsigned threads = 0;
  bool json = false;
};

std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, v >= 1000 ? "%.0f" : v >= 100 ? "%.1f" : v >= 10 ? "%.2f" : "%.3f", v);
  return text;
}

bench::Options resolve(const Options& o) {
  bench::Options resolved;
  resolved.suites = split_list(o.suites);
  resolved.filter = o.filter;
  for (const std::string& mode : split_list(o.modes)) resolved.modes.push_back(parse_mode(mode));
  if (o.devices.empty()) resolved.devices.push_back(ls::best_device());
  for (const std::string& name : split_list(o.devices)) resolved.devices.emplace_back(name);
  if (resolved.suites.empty())
    usage_error("--suite", "no suite is named", "use overhead, ops, models or lockstep, joined by commas");
  if (resolved.modes.empty())
    usage_error("--mode", "no mode is named", "use strict, fast or lockstep, joined by commas");
  for (const ls::Device device : resolved.devices) {
    for (const ls::MathMode mode : resolved.modes) require_mode(device, mode);
  }
  if (resolved.devices.empty()) usage_error("--device", "no device is named", "`lockstep devices` lists them");
  return resolved;
}

void print_json(const bench::Row& r) {
  const Json row = {
      {"group", r.group},   {"workload", r.workload}, {"device", r.device}, {"mode", r.mode},   {"unit", r.unit},
      {"median", r.median}, {"min", r.min},           {"max", r.max},       {"ratio", r.ratio}, {"of", r.of}};
  std::printf("%s\n", row.dump().c_str());
  std::fflush(stdout);
}

int run(const Options& o) {
  const bench::Options options = resolve(o);
  if (o.threads) ls::set_thread_count(o.threads);
  if (o.json) {
    bench::run(options, &print_json);
    return 0;
  }
  std::vector<std::vector<std::string>> rows = {
      {"group", "workload", "device", "mode", "median", "min … max", "unit", "ratio", "of"}};
  bench::run(options, [&](const bench::Row& r) {
    std::fprintf(stderr, "\r\033[K %s: %s", r.group.c_str(), r.workload.c_str());
    rows.push_back({r.group, r.workload, r.device, r.mode, number(r.median), number(r.min) + " … " + number(r.max),
                    r.unit, number(r.ratio), r.of});
  });
  std::fputs("\r\033[K", stderr);
  std::fputs(format_table(rows, {false, false, false, false, true, true, false, true, false}).c_str(), stdout);
  std::puts("\n ratio: speed relative to `of` in the same run, above 1 is faster");
  return 0;
}

}  // namespace

Run add_bench(Program& program) {
  auto o = std::make_shared<Options>();
  Command command = program.command("bench", "Measure devices side by side");
  command.option("--suite", o->suites, "overhead, ops, models, lockstep; several joined by commas").shows_default();
  command.option("--device", o->devices, "Devices joined by commas; the first is compared with (default: the fastest)");
  command.option("--mode", o->modes, "strict, fast, lockstep; several joined by commas").shows_default();
  command.option("--filter", o->filter, "Only workloads whose group/name contains this");
  command.option("--threads", o->threads, "CPU threads (default: LOCKSTEP_THREADS, else all cores)")
      .whole_number(1, 4096);
  command.flag("--json", o->json, "One JSON object a line");
  return [o] { return run(*o); };
}

}  // namespace cli
