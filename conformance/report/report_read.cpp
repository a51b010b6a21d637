// Parses a report from JSON.
#include <cmath>
#include <limits>

#include "conformance/report/report_json.h"
#include "lockstep/error.h"

namespace lockstep::conformance {
namespace {

constexpr Outcome outcomes[] = {Outcome::pass,    Outcome::fail,        Outcome::crash,
                                Outcome::timeout, Outcome::unsupported, Outcome::mistrusted};
constexpr OpPlacement::How placements[] = {OpPlacement::How::native, OpPlacement::How::decomposed,
                                           OpPlacement::How::refused};

// Reads the fields of one object. An error for a missing field names its location.
class Reader {
 public:
  Reader(const Json& json, std::string source, std::string place)
      : json_(json), source_(std::move(source)), place_(std::move(place)) {
    if (!json_.is_object()) fail("is not an object");
  }

  [[noreturn]] void fail(const std::string& what) const {
    ErrorBuilder(ErrorId::corrupt, "report", source_ + ": " + place_ + " " + what)
        .fix("make the report anew with `lockstep conformance --report`")
        .raise();
  }

  template <class T>
  T get(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) fail(std::string("has no field \"") + key + "\"");
    return as<T>(*found, key);
  }
  template <class T>
  T get_or(const char* key, T otherwise) const {
    const auto found = json_.find(key);
    return found == json_.end() ? otherwise : as<T>(*found, key);
  }
  double number(const char* key) const {
    const auto found = json_.find(key);
    if (found != json_.end() && found->is_string()) {
      if (*found == "nan") return std::numeric_limits<double>::quiet_NaN();
      if (*found == "inf") return std::numeric_limits<double>::infinity();
      if (*found == "-inf") return -std::numeric_limits<double>::infinity();
    }
    return get<double>(key);
  }
  Reader object(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) fail(std::string("has no field \"") + key + "\"");
    return {*found, source_, place_ + "." + key};
  }
  bool has(const char* key) const { return json_.contains(key); }
  template <class F>
  void each(const char* key, F visit) const {
    const auto found = json_.find(key);
    if (found == json_.end() || !found->is_array()) fail(std::string("has no list \"") + key + "\"");
    for (std::size_t i = 0; i < found->size(); ++i) {
      visit(Reader((*found)[i], source_, place_ + "." + key + "[" + std::to_string(i) + "]"));
    }
  }
  // The enumerator with the name in field `key`.
  template <class E, std::size_t N>
  E one_of(const char* key, const E (&all)[N]) const {
    const auto name = get<std::string>(key);
    for (E e : all) {
      if (name == name_of(e)) return e;
    }
    fail(std::string("has the unknown ") + key + " \"" + name + "\"");
  }

 private:
  template <class T>
  T as(const Json& value, const char* key) const {
    try {
      return value.get<T>();
    } catch (const Json::exception&) {
      fail(std::string("has the ") + key + " " + value.dump() + ", which is of another type");
    }
  }

  const Json& json_;
  std::string source_, place_;
};

using Texts = std::vector<std::string>;

CaseResult read_case(const Reader& r) {
  CaseResult c;
  c.id = r.get<std::string>("id");
  c.suite = r.get<std::string>("suite");
  c.outcome = r.one_of("outcome", outcomes);
  c.seconds = r.number("seconds");
  c.op = r.get_or<std::string>("op", "");
  c.dtype = r.get_or<std::string>("dtype", "");
  c.mode = r.get_or<std::string>("mode", "");
  c.text = r.get_or<std::string>("text", "");
  c.bound = r.get_or<std::string>("bound", "");
  c.required = r.get_or("required", false);
  c.native = r.get_or("native", false);
  c.variants = r.get_or<Texts>("variants", {});
  if (!r.has("errors")) return c;
  const Reader e = r.object("errors");
  c.errors.elements = e.get<std::int64_t>("elements");
  c.errors.max_ulp = e.number("max_ulp");
  c.errors.p99_ulp = e.number("p99_ulp");
  c.errors.mean_signed_ulp = e.number("mean_signed_ulp");
  c.errors.share = e.number("share");
  c.errors.worst = e.get<std::string>("worst");
  return c;
}

void read_identity(const Reader& r, RunInfo& run) {
  const Reader driver = r.object("driver"), device = r.object("device");
  run.driver = driver.get<std::string>("name");
  run.driver_vendor = driver.get<std::string>("vendor");
  run.driver_version = driver.get<std::string>("version");
  run.build_id = driver.get<std::string>("build_id");
  run.library = driver.get<std::string>("library");
  run.library_sha256 = driver.get<std::string>("library_sha256");
  run.driver_option = driver.get<std::string>("option");
  run.device = device.get<std::string>("id");
  run.device_name = device.get<std::string>("name");
  run.device_version = device.get<std::string>("version");
  run.device_type = device.get<std::string>("type");
  run.device_uuid = device.get<std::string>("uuid");
}

RunInfo read_run(const Reader& r) {
  RunInfo run;
  read_identity(r, run);
  run.lockstep_version = r.get<std::string>("lockstep_version");
  run.suite_version = r.get<std::string>("suite_version");
  run.abi_major = r.object("abi").get<unsigned>("major");
  run.abi_minor = r.object("abi").get<unsigned>("minor");
  run.profile = r.get<std::string>("profile");
  run.modes = r.get<Texts>("modes");
  run.seed = r.get<std::uint64_t>("seed");
  run.shard = r.get<std::string>("shard");
  run.op_filter = r.object("filters").get<std::string>("op");
  run.dtype_filter = r.object("filters").get<std::string>("dtype");
  run.mode_filter = r.object("filters").get_or<std::string>("mode", "");
  run.suite_filter = r.object("filters").get_or<std::string>("suite", "");
  run.case_filter = r.object("filters").get_or<std::string>("case", "");
  run.threads = r.get<unsigned>("threads");
  run.date = r.get<std::string>("date");
  run.seconds = r.number("seconds");
  run.bounds_file = r.object("bounds").get<std::string>("file");
  run.bounds_sha256 = r.object("bounds").get<std::string>("sha256");
  r.each("variants", [&](const Reader& v) {
    run.variants.push_back({v.get<std::string>("op"), v.get<Texts>("known"), v.get<Texts>("hit")});
  });
  r.each("placements", [&](const Reader& p) {
    run.placements.push_back({p.get<std::string>("op"), p.get<std::string>("dtype"), p.get<std::string>("mode"),
                              p.one_of("how", placements), p.get<std::string>("text")});
  });
  return run;
}

}  // namespace

CaseResult parse_case(const Json& json, const std::string& source) {
  if (!json.is_object()) {
    ErrorBuilder(ErrorId::wrong_magic, "report", source + ": this is not the result of a case").raise();
  }
  return read_case(Reader(json, source, "case"));
}

Report parse_report(const Json& json, const std::string& source) {
  if (!json.is_object() || json.value("format", Json()) != "lockstep conformance report" ||
      json.value("format_version", Json()) != 1) {
    ErrorBuilder(ErrorId::wrong_magic, "report", source + ": is not a conformance report of format version 1")
        .fix("give a report.json that `lockstep conformance --report` wrote, or its folder")
        .raise();
  }
  const Reader reader(json, source, "report");
  Report report;
  report.run = read_run(reader.object("run"));
  reader.each("cases", [&](const Reader& c) { report.cases.push_back(read_case(c)); });
  return report;
}

}  // namespace lockstep::conformance
