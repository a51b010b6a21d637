#include "conformance/suite/supervisor.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "conformance/report/report_json.h"
#include "conformance/suite/process.h"
#include "conformance/suite/split.h"
#include "lockstep/error.h"

namespace lockstep::conformance {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double start_timeout_s = 60, plan_timeout_s = 300;
// After so many workers in a row have ended without a result, the remaining cases are not run.
constexpr int max_consecutive_deaths = 24;
// At most so many failures make the next case run in a fresh process, so that the run of a driver that fails every case
// does not take too long.
constexpr int max_fresh_starts = 100;

// Turns off glibc's thread cache, which counts freed memory as in use. Without it, the heap size of a process is exact.
std::string exact_heap() {
  const char* wanted = std::getenv("GLIBC_TUNABLES");
  return "GLIBC_TUNABLES=" + (wanted ? wanted + std::string(":") : "") + "glibc.malloc.tcache_count=0";
}

// Whether the case tests the driver itself, as "memory/exhaustion" does. Such cases measure the heap. The ids of all
// others name an op or a model, in more parts.
bool tests_driver(const std::string& id) { return std::count(id.begin(), id.end(), '/') == 1; }

// New memory is filled with NaN, so that unwritten results show. Waiting OpenMP threads sleep instead of spinning,
// because several workers share the cores. Allocating takes longer with an exact heap.
std::vector<std::string> worker_environment(bool with_exact_heap) {
  std::vector<std::string> variables = {"LOCKSTEP_MEMORY_POISON=1", "OMP_WAIT_POLICY=PASSIVE"};
  if (with_exact_heap) variables.push_back(exact_heap());
  return variables;
}

Clock::time_point in_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

bool starts_with(const std::string& line, const char* word, std::string& rest) {
  const std::string start = std::string(word) + " ";
  if (!line.starts_with(start)) return false;
  rest = line.substr(start.size());
  return true;
}

// The op of a case that does not test the driver itself.
std::string op_of(const std::string& id) { return split(id, '/')[1]; }

// Takes suite, op, dtype and mode from the id.
CaseResult result_for(const std::string& id, Outcome outcome, std::string text) {
  CaseResult r;
  r.id = id;
  r.outcome = outcome;
  r.text = std::move(text);
  const std::vector<std::string> parts = split(id, '/');
  r.suite = parts[0];
  if (parts.size() >= 5) {
    r.op = parts[1];
    r.dtype = parts[2];
    r.mode = parts[3];
  }
  return r;
}

[[noreturn]] void raise_refusal(const std::string& json_text) {
  const Json json = Json::parse(json_text);
  ErrorBuilder error(static_cast<ErrorId>(json.at("id").get<int>()), json.at("op").get<std::string>(),
                     json.at("headline").get<std::string>());
  if (const std::string hint = json.value("hint", ""); !hint.empty()) error.fix(hint);
  error.raise();
}

// Factor of the time limit: cases with gigabytes of data, or with all inputs of a function, take longer than others.
double timeout_factor(const std::string& id) { return id.starts_with("large/") || id.ends_with(".full") ? 20 : 1; }

// Waits for a line. Returns nullopt if the process ends or the deadline passes; `late` tells which.
std::optional<std::string> await_line(ChildProcess& child, Clock::time_point deadline, bool& late) {
  for (;;) {
    if (auto line = child.next_line()) return line;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    late = left <= 0;
    if (late) return std::nullopt;
    pollfd wait{child.readable(), POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(std::min<long long>(left, 1000))) > 0 && !child.receive()) return std::nullopt;
  }
}

// One worker process and its current case.
struct Slot {
  std::unique_ptr<ChildProcess> child;
  int started_processes = 0;
  bool has_exact_heap = false;
  bool used = false;  // the process has run a case before this one
  std::string id;     // empty: idle
  // The result of the case in a used process, while the case runs again in a fresh one.
  std::optional<CaseResult> before;
  Clock::time_point started, deadline;
};

// Adds the result in a fresh process to the text of a failure in a used process.
CaseResult joined(CaseResult before, const CaseResult& alone) {
  const std::string again = alone.outcome == Outcome::pass    ? "it passes"
                            : alone.outcome != before.outcome ? "it comes to: " + alone.text
                                                              : "";
  if (!again.empty()) before.text += "; alone, in a fresh process, " + again;
  return before;
}

using Queue = std::deque<std::string>;

bool shorter(const Queue& a, const Queue& b) { return a.size() < b.size(); }

// Distributes the cases over queues, all cases of an op to the same one: a process that runs them compiles each kernel
// once. Cases that test the driver are dealt out in turn, so that they still come first in each. Keeps the order within
// a queue.
std::vector<Queue> distribute(const std::vector<std::string>& ids, std::size_t queues) {
  std::map<std::string, std::size_t> cases_of_op, queue_of_op;
  for (const std::string& id : ids) {
    if (!tests_driver(id)) ++cases_of_op[op_of(id)];
  }
  std::vector<std::pair<std::size_t, std::string>> largest_first;
  for (const auto& [op, cases] : cases_of_op) largest_first.emplace_back(cases, op);
  std::sort(largest_first.rbegin(), largest_first.rend());

  std::vector<std::size_t> cases_in_queue(queues);
  for (const auto& [cases, op] : largest_first) {
    const auto least = std::min_element(cases_in_queue.begin(), cases_in_queue.end());
    queue_of_op[op] = static_cast<std::size_t>(least - cases_in_queue.begin());
    *least += cases;
  }
  std::vector<Queue> distributed(queues);
  std::size_t turn = 0;
  for (const std::string& id : ids) {
    distributed[tests_driver(id) ? turn++ % queues : queue_of_op[op_of(id)]].push_back(id);
  }
  return distributed;
}

class Run {
 public:
  Run(const Options& o, const std::vector<std::string>& command, const std::vector<std::string>& ids,
      const std::function<bool(const CaseResult&)>& done)
      : options_(o),
        command_(command),
        done_(done),
        slots_(std::max(1u, o.jobs)),
        queues_(distribute(ids, slots_.size())) {}

  void carry_out() {
    while (!stopped_ && (waiting() || busy())) {
      for (Slot& slot : slots_) feed(slot);
      wait();
      for (Slot& slot : slots_) look_at(slot);
    }
  }

 private:
  bool busy() const {
    return std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return !s.id.empty(); });
  }

  bool waiting() const {
    return std::any_of(queues_.begin(), queues_.end(), [](const Queue& q) { return !q.empty(); });
  }

  // The next case of the slot's own queue; if that is empty, the last one of the longest queue.
  std::string next_for(const Slot& slot) {
    Queue& own = queues_[static_cast<std::size_t>(&slot - slots_.data())];
    Queue& from = own.empty() ? *std::max_element(queues_.begin(), queues_.end(), shorter) : own;
    std::string id = own.empty() ? from.back() : from.front();
    own.empty() ? from.pop_back() : from.pop_front();
    return id;
  }

  void feed(Slot& slot) {
    if (stopped_ || !slot.id.empty() || !waiting()) return;
    slot.id = next_for(slot);
    slot.started = Clock::now();
    if (slot.child && slot.has_exact_heap != tests_driver(slot.id)) slot.child.reset();
    if (deaths_ >= max_consecutive_deaths) {
      finish(slot, result_for(slot.id, Outcome::crash, "not run: the driver brings down every process that uses it"));
      return;
    }
    if (slot.child) return send(slot);
    start(slot);
  }

  // The case is sent after the process has sent "hello".
  void start(Slot& slot) {
    slot.has_exact_heap = tests_driver(slot.id);
    slot.child = std::make_unique<ChildProcess>(command_, worker_environment(slot.has_exact_heap));
    slot.used = false;
    ++slot.started_processes;
    slot.deadline = in_seconds(start_timeout_s);
  }

  void send(Slot& slot) {
    slot.started = Clock::now();
    slot.deadline = in_seconds(options_.timeout_s * timeout_factor(slot.id));
    slot.child->send("run " + slot.id);
  }

  void wait() {
    std::vector<pollfd> all;
    for (const Slot& slot : slots_) {
      if (slot.child && !slot.id.empty()) all.push_back({slot.child->readable(), POLLIN, 0});
    }
    if (!all.empty()) poll(all.data(), all.size(), 200);
  }

  void look_at(Slot& slot) {
    if (stopped_ || slot.id.empty() || !slot.child) return;
    pollfd here{slot.child->readable(), POLLIN, 0};
    const int looked_at = slot.started_processes;
    const auto same = [&] { return slot.child && slot.started_processes == looked_at; };
    const bool gone = poll(&here, 1, 0) > 0 && !slot.child->receive();
    while (same()) {
      const auto line = slot.child->next_line();
      if (!line) break;
      take(slot, *line);
    }
    if (slot.id.empty() || !same()) return;
    if (gone) return died(slot, Outcome::crash);
    if (Clock::now() > slot.deadline) died(slot, Outcome::timeout);
  }

  void take(Slot& slot, const std::string& line) {
    std::string rest;
    if (starts_with(line, "hello", rest)) {
      send(slot);
    } else if (starts_with(line, "result", rest)) {
      const Json json = Json::parse(rest, nullptr, false);
      deaths_ = 0;
      answered(slot, parse_case(json, "a worker"));
    } else if (starts_with(line, "refused", rest)) {
      finish(slot, result_for(slot.id, Outcome::fail, Json::parse(rest).value("headline", rest)));
    }
  }

  // A failure may be caused by an earlier case in the same process, so such a case runs once more in a fresh process.
  // After a failure, the next case starts in a fresh process too.
  void answered(Slot& slot, CaseResult result) {
    const bool failed = result.outcome == Outcome::fail;
    const bool used = std::exchange(slot.used, true);
    if (!failed || fresh_starts_ >= max_fresh_starts) return finish(slot, std::move(result));
    ++fresh_starts_;
    slot.child.reset();
    if (slot.before || !used) return finish(slot, std::move(result));
    run_alone(slot, std::move(result));
  }

  void run_alone(Slot& slot, CaseResult before) {
    slot.before = std::move(before);
    start(slot);
  }

  void died(Slot& slot, Outcome outcome) {
    ++deaths_;
    const std::string how = slot.child->end(), words = slot.child->last_words();
    slot.child.reset();
    std::string text = outcome == Outcome::timeout
                           ? "no answer within " +
                                 std::to_string(static_cast<int>(options_.timeout_s * timeout_factor(slot.id))) + " s"
                           : "the process was " + how;
    if (how.starts_with("ended") && outcome == Outcome::crash)
      text = "the process " + how + " in the middle of the case";
    if (!words.empty()) text += "; it printed: " + words;
    CaseResult result = result_for(slot.id, outcome, text);
    const bool alone = slot.before || !slot.used || outcome == Outcome::timeout || fresh_starts_ >= max_fresh_starts;
    if (alone) return finish(slot, std::move(result));
    ++fresh_starts_;
    run_alone(slot, std::move(result));
  }

  void finish(Slot& slot, CaseResult result) {
    if (result.seconds == 0) result.seconds = std::chrono::duration<double>(Clock::now() - slot.started).count();
    if (slot.before) result = joined(std::move(*slot.before), result);
    slot.before.reset();
    slot.id.clear();
    if (!done_(result)) stopped_ = true;
  }

  const Options& options_;
  const std::vector<std::string>& command_;
  const std::function<bool(const CaseResult&)>& done_;
  std::vector<Slot> slots_;
  std::vector<Queue> queues_;  // of each slot
  int deaths_ = 0, fresh_starts_ = 0;
  bool stopped_ = false;
};

}  // namespace

Supervisor::Supervisor(const Options& options, std::vector<std::string> worker)
    : options_(options), command_(std::move(worker)) {}

RunPlan Supervisor::plan(CaseResult& crash) {
  RunPlan plan;
  ChildProcess child(command_, worker_environment(false));
  bool late = false;
  std::string rest, stage = "opening the device";
  auto line = await_line(child, in_seconds(start_timeout_s), late);
  if (line && starts_with(*line, "refused", rest)) raise_refusal(rest);
  if (line && starts_with(*line, "hello", rest)) {
    plan.run = parse_report(Json::parse(rest), "a worker").run;
    stage = "asking the driver for its kernels";
    child.send("placements");
    line = await_line(child, in_seconds(plan_timeout_s), late);
    if (line && starts_with(*line, "placements", rest)) {
      const RunInfo told = parse_report(Json::parse(rest), "a worker").run;
      plan.run.placements = told.placements;
      plan.run.variants = told.variants;
      child.send("plan");
      do {
        line = await_line(child, in_seconds(plan_timeout_s), late);
        if (line && starts_with(*line, "case", rest)) plan.ids.push_back(rest);
        if (line && starts_with(*line, "refused", rest)) raise_refusal(rest);
      } while (line && *line != "end");
      if (line) return plan;
    }
  }
  const std::string how = child.end(), words = child.last_words();
  crash = result_for("start/" + std::string(stage == "opening the device" ? "open" : "query"),
                     late ? Outcome::timeout : Outcome::crash,
                     "while " + stage + ": " + (late ? "no answer in time" : "the process was " + how) +
                         (words.empty() ? "" : "; it printed: " + words));
  return plan;
}

void Supervisor::run(const std::vector<std::string>& ids, const std::function<bool(const CaseResult&)>& done) {
  // Cases that test the driver come first, because they need processes of their own and explain faults of ops.
  std::vector<std::string> ordered = ids;
  std::stable_partition(ordered.begin(), ordered.end(), [](const std::string& id) { return tests_driver(id); });
  Run(options_, command_, ordered, done).carry_out();
}

}  // namespace lockstep::conformance
