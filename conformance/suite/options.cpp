#include "conformance/suite/options.h"

#include <algorithm>
#include <vector>

#include "lockstep/dtype.h"
#include "lockstep/error.h"
#include "lockstep/op_def.h"

namespace lockstep::conformance {
namespace {

[[noreturn]] void refuse(const char* option, const std::string& what, const std::string& fix) {
  ErrorBuilder(ErrorId::bad_arguments, option, what).fix(fix).raise();
}

void check_named(const char* option, const std::string& value, std::initializer_list<const char*> known) {
  if (value.empty() || std::find(known.begin(), known.end(), value) != known.end()) return;
  std::string list;
  for (const char* k : known) list += (list.empty() ? "" : ", ") + std::string(k);
  refuse(option, "there is no \"" + value + "\"", "use one of " + list);
}

std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts(1);
  for (char c : list) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

bool wants_suite(const Options& options, const std::string& suite) {
  if (options.suite.empty()) return true;
  const std::vector<std::string> wanted = parts_of(options.suite);
  return std::find(wanted.begin(), wanted.end(), suite) != wanted.end();
}

bool fits_pattern(const std::string& pattern, const std::string& text) {
  // The positions to backtrack to, so that the last * matches one more character.
  std::size_t p = 0, t = 0, star = std::string::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

void check_options(const Options& o) {
  check_named("--profile", o.profile, {"core", "train", "lockstep", "stress"});
  if (!o.suite.empty()) {
    for (const std::string& name : parts_of(o.suite)) {
      check_named("--suite", name.empty() ? "?" : name,
                  {"forward", "refusal", "gradient",     "second_gradient", "special_gradient",
                   "beside",  "repeat",  "rows",         "sizes",           "pair",
                   "numbers", "large",   "instructions", "positions",       "sweep",
                   "probe",   "audit",   "trajectory",   "vectors",         "memory",
                   "queue",   "copy",    "abi",          "threads",         "fault"});
    }
  }
  check_named("--mode", o.mode, {"strict", "fast", "lockstep"});
  if (!o.dtype.empty()) parse_dtype(o.dtype);
  if (o.device.empty() == o.driver.empty()) {
    refuse("lockstep conformance", "name one device or one driver library",
           "--device cpu, or --driver /path/to/liblockstep_driver_mine.so");
  }
  if (o.shard < 1 || o.shard > o.shards) {
    refuse("--shard", std::to_string(o.shard) + "/" + std::to_string(o.shards) + " is not a part", "use 1/4 to 4/4");
  }
  if (o.op.empty()) return;
  for (const OpDef* op : registered_ops()) {
    if (fits_pattern(o.op, op->name)) return;
  }
  refuse("--op", "no op is called \"" + o.op + "\"",
         "patterns may hold * and ?; `lockstep devices --json` lists all ops");
}

}  // namespace lockstep::conformance
