// `lockstep compare`: finds the first op of a model whose results diverge between devices.
#include <cmath>
#include <cstdio>
#include <memory>

#include "tools/cli/json.h"
#include "tools/cli/training.h"

namespace cli {
namespace {

namespace ls = lockstep;

struct CompareCommand {
  TrainingOptions training;
  std::string devices;
  double tolerance = -1;  // negative: allow the difference that rounding explains
};

// Numbers that JSON cannot represent are written as strings.
Json number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

Json to_json(const ls::DivergingCall& c) {
  const ls::DivergingElement& e = c.worst;
  Json shape = Json::array();
  for (int d = 0; d < c.shape.rank(); ++d) shape.push_back(c.shape[d]);
  Json json = {{"step", c.step},     {"call", c.call},           {"op", c.op},
               {"part", c.part},     {"scope", c.scope},         {"where", c.where},
               {"inputs", c.inputs}, {"output", c.output},       {"dtype", std::string(ls::name_of(c.dtype))},
               {"shape", shape},     {"elements", c.elements},   {"differing", c.differing},
               {"index", e.index},   {"first", number(e.first)}, {"second", number(e.second)}};
  json["first_bits"] = e.first_bits;
  json["second_bits"] = e.second_bits;
  json["ulp"] = number(e.ulp);
  if (e.exact) json["exact"] = number(*e.exact);
  if (e.allowed) json["allowed"] = number(*e.allowed);
  return json;
}

Json to_json(const ls::Comparison& r, const TrainingOptions& o) {
  Json culprits = Json::array();
  for (const ls::DivergingCall& c : r.culprits) culprits.push_back(to_json(c));
  return {{"model", o.model},
          {"devices", {r.first, r.second}},
          {"mode", o.mode},
          {"seed", o.seed},
          {"steps", r.steps},
          {"calls", r.calls},
          {"identical", r.identical},
          {"unmatched", r.unmatched},
          {"elements", r.elements},
          {"diverges", r.diverges()},
          {"culprits", culprits},
          {"first_difference", r.first_difference ? to_json(*r.first_difference) : Json()},
          {"steepest", r.steepest ? to_json(*r.steepest) : Json()},
          {"steepest_growth", number(r.steepest_growth)},
          {"loss", {number(r.first_loss), number(r.second_loss)}},
          {"weights_sha256", {r.first_weights, r.second_weights}}};
}

std::vector<ls::Device> parse_devices(const std::string& list) {
  std::vector<ls::Device> devices;
  for (const std::string& name : split_list(list)) devices.emplace_back(name);
  if (devices.size() < 2) {
    usage_error("--devices", devices.empty() ? "no device is named" : "only " + devices[0].name() + " is named",
                "name two or more, such as cpu,reference; `lockstep devices` lists them");
  }
  return devices;
}

std::vector<ls::data::Batch> first_batches(const TrainingOptions& o, const Prepared& p) {
  if (p.train.size() == 0) {
    ls::ErrorBuilder(ls::ErrorId::invalid_attribute, "compare", "the data set is empty")
        .fix("give at least one example")
        .raise();
  }
  std::vector<ls::data::Batch> batches;
  for (std::int64_t pass = 0; static_cast<std::int64_t>(batches.size()) < o.steps; ++pass) {
    ls::data::Dataset::Pass data = p.train.batches(o.batch_size, p.device, pass);
    while (static_cast<std::int64_t>(batches.size()) < o.steps) {
      std::optional<ls::data::Batch> batch = data.next();
      if (!batch) break;
      batches.push_back(std::move(*batch));
    }
  }
  return batches;
}

int compare(const CompareCommand& c) {
  const TrainingOptions& o = c.training;
  const std::vector<ls::Device> devices = parse_devices(c.devices);
  for (ls::Device device : devices) require_mode(device, parse_mode(o.mode));
  const std::vector<ls::data::Batch> batches = first_batches(o, prepare(o, devices[0].name()));
  const auto make = [&](ls::Device device) { return prepare(o, device.name()).model; };
  ls::CompareOptions options{.mode = parse_mode(o.mode)};
  if (c.tolerance >= 0) options.tolerance_ulp = c.tolerance;
  bool diverges = false;
  for (const ls::Comparison& r : ls::compare(make, batches, devices, options)) {
    diverges = diverges || r.diverges();
    std::printf("%s\n", o.json ? to_json(r, o).dump().c_str() : ls::describe(r).c_str());
  }
  return diverges ? 1 : 0;
}

}  // namespace

Run add_compare(Program& program) {
  auto c = std::make_shared<CompareCommand>();
  TrainingOptions& o = c->training;
  o.batch_size = 8;
  o.steps = 1;
  Command command = program.command("compare", "The first op of a model whose results diverge between devices");
  command.option("--devices", c->devices, "Two or more, joined by commas; the others are compared with the first")
      .required();
  add_shared_options(command, o);
  command.option("--steps", o.steps, "Training steps").whole_number(1).shows_default();
  command.option("--batch-size", o.batch_size, "Images per step").whole_number(1).shows_default();
  command.option("--seed", o.seed, "Of weights").seed().shows_default();
  command
      .option("--tolerance", c->tolerance,
              "ULP that results may be apart (default: what rounding explains; in lockstep mode nothing)")
      .number(0, std::numeric_limits<double>::max());
  return [c] { return compare(*c); };
}

}  // namespace cli
