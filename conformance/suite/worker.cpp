#include "conformance/suite/worker.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <unordered_map>

#include "conformance/checks/special_suites.h"
#include "conformance/report/report_json.h"
#include "conformance/runtime/runtime_case.h"
#include "conformance/suite/placements.h"
#include "conformance/suite/plan.h"
#include "lockstep/error.h"

namespace lockstep::conformance {
namespace {

// Reads and writes lines on file descriptors.
class Channel {
 public:
  Channel(int in, int out) : in_(in), out_(out) {}

  std::optional<std::string> read_line() {
    for (;;) {
      const std::size_t end = buffer_.find('\n');
      if (end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      char chunk[4096];
      const ssize_t n = read(in_, chunk, sizeof chunk);
      if (n <= 0) return std::nullopt;
      buffer_.append(chunk, static_cast<std::size_t>(n));
    }
  }

  void write_line(std::string line) {
    line += '\n';
    for (std::size_t done = 0; done < line.size();) {
      const ssize_t n = write(out_, line.data() + done, line.size() - done);
      if (n <= 0) return;
      done += static_cast<std::size_t>(n);
    }
  }

 private:
  int in_, out_;
  std::string buffer_;
};

CaseResult run_runtime_case(const RuntimeCase& c, const Target& target, std::uint64_t seed) {
  CaseResult result;
  result.id = c.id();
  result.suite = c.suite;
  const auto start = std::chrono::steady_clock::now();
  try {
    c.run({target.library, target.ordinal, seed});
  } catch (const NotOffered& e) {
    result.outcome = Outcome::unsupported;
    result.text = e.what();
  } catch (const std::exception& e) {
    result.outcome = Outcome::fail;
    result.text = e.what();
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

// Nullptr if there is none.
const RuntimeCase* find_runtime_case(const std::string& id) {
  static const std::unordered_map<std::string, const RuntimeCase*> by_id = [] {
    std::unordered_map<std::string, const RuntimeCase*> cases;
    for (const RuntimeCase& c : runtime_cases()) cases.emplace(c.id(), &c);
    return cases;
  }();
  const auto found = by_id.find(id);
  return found == by_id.end() ? nullptr : found->second;
}

CaseResult run_by_id(const std::string& id, const Options& o, const Target& target, const Setting& setting) {
  if (const RuntimeCase* c = find_runtime_case(id)) return run_runtime_case(*c, target, o.seed);
  CaseResult result = is_special_case_id(id) ? run_special_case(id, setting) : run_case(parse_test_case(id), setting);
  result.required = !result.dtype.empty() && is_required(parse_dtype(result.dtype));
  return result;
}

// Throws UsageError LS9001 if there is no such case.
void check_case_id(const std::string& id, const Target& target) {
  if (find_runtime_case(id)) return;
  if (!is_special_case_id(id)) {
    parse_test_case(id);
    return;
  }
  const Options everything;
  const SpecialRequest request{everything, target, true, true, {MathMode::strict, MathMode::fast, MathMode::lockstep}};
  const SpecialRequest sampled{everything, target, true, false, request.modes};
  for (const SpecialRequest& r : {request, sampled}) {
    const std::vector<std::string> ids = special_case_ids(r);
    if (std::find(ids.begin(), ids.end(), id) != ids.end()) return;
  }
  ErrorBuilder(ErrorId::bad_arguments, "--case", "there is no case \"" + id + "\"")
      .fix("`lockstep conformance --list` prints the ids of all")
      .raise();
}

// Serialises an error, which the supervisor raises again.
std::string refusal_line(const std::exception& e) {
  Json json = {
      {"headline", e.what()}, {"id", static_cast<int>(ErrorId::bad_arguments)}, {"op", "lockstep conformance"}};
  if (const auto* error = dynamic_cast<const Error*>(&e)) {
    json = {{"headline", error->headline()},
            {"id", static_cast<int>(error->id())},
            {"op", error->op()},
            {"hint", error->hint()}};
  }
  return "refused " + json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <class T>
std::string line_of(const T& told) {
  return to_json(told).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

int run_worker(const Options& o, int in, int out) {
  Channel channel(in, out);
  std::optional<Bounds> own_bounds;
  std::optional<Target> target;
  try {
    if (!o.bounds.empty()) own_bounds = Bounds::read(o.bounds);
    register_own_ops();
    target = open_target(o);
    channel.write_line("hello " + line_of(Report{describe_run(o, *target), {}}));
  } catch (const std::exception& e) {
    channel.write_line(refusal_line(e));
    return 2;
  }
  const Setting setting{target->device, target->trusted, own_bounds ? *own_bounds : Bounds::built_in()};
  while (const auto line = channel.read_line()) {
    try {
      if (*line == "plan") {
        if (!o.only_case.empty()) check_case_id(o.only_case, *target);
        for (const std::string& id : plan_cases(o, *target)) channel.write_line("case " + id);
        channel.write_line("end");
      } else if (*line == "placements") {
        RunInfo run;
        describe_placements(*target, run);
        channel.write_line("placements " + line_of(Report{run, {}}));
      } else if (line->starts_with("run ")) {
        channel.write_line("result " + line_of(run_by_id(line->substr(4), o, *target, setting)));
      }
    } catch (const std::exception& e) {
      channel.write_line(refusal_line(e));
    }
  }
  // Skips closing the driver, which is tested by its own case.
  _exit(0);
}

}  // namespace lockstep::conformance
