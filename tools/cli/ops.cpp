// `lockstep ops`: lists ops from their definitions: signatures, documentation, dtypes, devices and gradients.
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <sstream>
#include <type_traits>
#include <variant>

#include "lockstep/support.h"
#include "tools/cli/command.h"
#include "tools/cli/json.h"

namespace cli {
namespace {

namespace ls = lockstep;

struct Options {
  std::string name;
  bool internal = false, json = false;
};

const char* text_of(ls::ArgumentKind kind) {
  switch (kind) {
    case ls::ArgumentKind::unspecified: return "number or list";
    case ls::ArgumentKind::integer: return "integer";
    case ls::ArgumentKind::real: return "real";
    case ls::ArgumentKind::truth: return "bool";
    case ls::ArgumentKind::dtype: return "dtype";
    case ls::ArgumentKind::axis: return "axis";
    case ls::ArgumentKind::axes: return "axes";
    case ls::ArgumentKind::order: return "order of axes";
    case ls::ArgumentKind::extents: return "extents";
    case ls::ArgumentKind::list: return "list";
    case ls::ArgumentKind::number: return "number";
    case ls::ArgumentKind::device: return "device";
    case ls::ArgumentKind::choice: return "choice";
    case ls::ArgumentKind::text: return "text";
  }
  return "";
}

std::string kind_of(const ls::ArgumentDef& argument) {
  std::string text = text_of(argument.kind);
  for (const std::string& choice : argument.choices) text += " | " + choice;
  return text;
}

// What holds if the argument is not given; empty if it must be, or if the definition does not say.
std::string default_of(const ls::ArgumentDef& argument) {
  if (argument.required) return "";
  if (!argument.unless_given) return argument.otherwise;
  // In quotes, so that an empty text shows.
  const std::string text = argument.unless_given->to_string();
  return argument.kind == ls::ArgumentKind::text ? "\"" + text + "\"" : text;
}

std::string in_signature(const ls::ArgumentDef& argument) {
  if (argument.required) return argument.name;
  const std::string otherwise = default_of(argument);
  return argument.name + (otherwise.empty() ? "?" : " = " + otherwise);
}

std::string unless_given(const ls::ArgumentDef& argument) {
  if (argument.required) return "; required";
  const std::string otherwise = default_of(argument);
  return otherwise.empty() ? "; may be left out" : "; default: " + otherwise;
}

// A call by name gives arguments in any order. Required ones come first.
std::vector<ls::ArgumentDef> arguments_of(const ls::OpDef& op) {
  std::vector<ls::ArgumentDef> all = op.arguments;
  std::stable_partition(all.begin(), all.end(), [](const ls::ArgumentDef& argument) { return argument.required; });
  return all;
}

std::string signature_of(const ls::OpDef& op) {
  std::string text, results;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  for (const ls::InputDef& in : op.inputs) add(in.name + (in.optional ? "?" : in.variadic ? "…" : ""));
  for (const ls::ArgumentDef& argument : arguments_of(op)) add(in_signature(argument));
  for (const ls::OutputDef& out : op.outputs) {
    results += (results.empty() ? "" : ", ") + out.name + (out.variadic ? "…" : "");
  }
  return op.name + "(" + text + ") -> " + results;
}

const char* gradient_of(const ls::OpDef& op) {
  if (op.gradient) return "yes";
  return op.decompose && op.differentiable ? "through its parts" : "none";
}

// How a device carries the op out.
std::string how(const ls::OpSupport& support) {
  const ls::OpDef& op = *support.op;
  switch (support.kind) {
    case ls::OpSupport::Kind::missing: return "missing";
    case ls::OpSupport::Kind::decomposed: return "parts";
    case ls::OpSupport::Kind::native: break;
  }
  return op.view || op.host || op.copy_plan ? "runtime" : op.pointwise() ? "program" : "kernel";
}

// By op, what each device does. Asks the drivers and opens no device.
std::map<std::string, Json> devices_by_op() {
  std::map<std::string, Json> all;
  for (const ls::DeviceInfo& device : ls::devices()) {
    for (const ls::OpSupport& support : ls::op_support(ls::Device(device.id))) {
      all[support.op->name].push_back({{"id", device.id}, {"how", how(support)}, {"text", support.text}});
    }
  }
  return all;
}

// The value that an argument has if it is not given. Null if it must be given, or if it depends on the call.
Json default_value(const ls::ArgumentDef& argument) {
  if (argument.required || !argument.unless_given) return nullptr;
  return std::visit(
      [](const auto& value) -> Json {
        using Value = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<Value, ls::DType>) {
          return ls::name_of(value);
        } else if constexpr (std::is_same_v<Value, ls::Scalar>) {
          if (value.kind == ls::Scalar::Kind::floating) return value.floating;
          if (value.kind == ls::Scalar::Kind::logical) return value.integer != 0;
          if (value.above_int64) return static_cast<std::uint64_t>(value.integer);
          return value.integer;
        } else {
          return value;
        }
      },
      argument.unless_given->value());
}

Json names_of(ls::TypeSet types) {
  Json names = Json::array();
  for (int t = 0; t < ls::dtype_count; ++t) {
    if (types.has(static_cast<ls::DType>(t))) names.push_back(ls::name_of(static_cast<ls::DType>(t)));
  }
  return names;
}

Json describe(const ls::OpDef& op, const Json& devices) {
  Json inputs = Json::array(), arguments = Json::array(), outputs = Json::array();
  for (const ls::InputDef& in : op.inputs) {
    inputs.push_back({{"name", in.name},
                      {"dtypes", names_of(in.types)},
                      {"optional", in.optional},
                      {"variadic", in.variadic},
                      {"doc", in.doc},
                      {"values", in.values}});
  }
  for (const ls::ArgumentDef& argument : arguments_of(op)) {
    arguments.push_back({{"name", argument.name},
                         {"kind", text_of(argument.kind)},
                         {"choices", argument.choices},
                         {"required", argument.required},
                         {"default", default_value(argument)},
                         {"otherwise", argument.otherwise},
                         {"doc", argument.doc}});
  }
  for (const ls::OutputDef& out : op.outputs) {
    outputs.push_back({{"name", out.name}, {"variadic", out.variadic}, {"doc", out.doc}});
  }
  return {{"name", op.name},   {"signature", signature_of(op)}, {"doc", op.doc},      {"internal", op.internal},
          {"inputs", inputs},  {"arguments", arguments},        {"outputs", outputs}, {"gradient", gradient_of(op)},
          {"devices", devices}};
}

std::string joined(const Json& list, const char* separator) {
  std::string text;
  for (const auto& item : list) text += (text.empty() ? "" : separator) + item.get<std::string>();
  return text;
}

// "f32 f64" if all inputs have the same dtypes, otherwise "x: all; indices: i32 i64".
std::string dtypes_text(const ls::OpDef& op) {
  std::vector<std::pair<std::string, std::string>> parts;  // names of neighbours with the same dtypes, and these dtypes
  for (const ls::InputDef& in : op.inputs) {
    const bool is_any = in.types.bits == ls::types::any.bits;
    const std::string dtypes = is_any ? "all" : joined(names_of(in.types), " ");
    if (!parts.empty() && parts.back().second == dtypes) {
      parts.back().first += ", " + in.name;
    } else {
      parts.emplace_back(in.name, dtypes);
    }
  }
  if (parts.size() == 1) return parts[0].second;
  std::string text;
  for (const auto& [names, dtypes] : parts) text += (text.empty() ? "" : "; ") + names + ": " + dtypes;
  return text;
}

void print_one(const ls::OpDef& op, const Json& devices) {
  std::printf(" %s\n\n   %s\n\n", signature_of(op).c_str(), op.doc.c_str());
  std::vector<std::vector<std::string>> rows;
  for (const ls::InputDef& in : op.inputs) {
    rows.push_back({"  input", in.name, joined(names_of(in.types), ", "),
                    in.doc + (in.optional   ? "; may be left out"
                              : in.variadic ? "; one or more"
                                            : "")});
  }
  for (const ls::ArgumentDef& argument : arguments_of(op)) {
    rows.push_back({"  argument", argument.name, kind_of(argument), argument.doc + unless_given(argument)});
  }
  for (const ls::OutputDef& out : op.outputs) {
    rows.push_back({"  output", out.name, "", out.doc + (out.variadic ? "; as many as the arguments ask for" : "")});
  }
  rows.push_back({"  gradient", gradient_of(op)});
  for (const Json& d : devices) rows.push_back({"  device", d["id"], d["how"], d["text"]});
  std::fputs(format_table(rows, {}).c_str(), stdout);
}

// The devices on which the op runs in each way: "kernel on cpu:0; parts on vulkan:0".
std::string devices_text(const Json& devices) {
  std::map<std::string, std::string> by_way;
  for (const Json& d : devices) {
    std::string& ids = by_way[d["how"]];
    ids += (ids.empty() ? "" : ", ") + d["id"].get<std::string>();
  }
  std::string text;
  for (const auto& [way, ids] : by_way) text += (text.empty() ? "" : "; ") + way + " on " + ids;
  return text;
}

std::vector<const ls::OpDef*> chosen(const Options& o) {
  std::vector<const ls::OpDef*> ops;
  if (!o.name.empty()) {
    const ls::OpDef* op = ls::find_op(o.name);
    if (!op) usage_error("ops", "there is no op \"" + o.name + "\"", "`lockstep ops` lists them");
    return {op};
  }
  for (const ls::OpDef* op : ls::registered_ops()) {
    if (!op->internal || o.internal) ops.push_back(op);
  }
  return ops;
}

// A long signature has a line of its own, so that it does not widen the column of all others.
template <class DevicesOf>
void print_all(const std::vector<const ls::OpDef*>& ops, DevicesOf&& devices_of) {
  constexpr std::size_t widest = 44;
  std::vector<std::vector<std::string>> rows = {{"op", "dtypes", "gradient", "devices"}};
  std::vector<std::string> above = {""};  // of each row
  for (const ls::OpDef* op : ops) {
    const std::string signature = signature_of(*op);
    const bool is_long = signature.size() > widest;
    rows.push_back({is_long ? "" : signature, dtypes_text(*op), gradient_of(*op), devices_text(devices_of(*op))});
    above.push_back(is_long ? " " + signature + "\n" : "");
  }
  std::istringstream table(format_table(rows, {}));
  std::string line;
  for (std::size_t i = 0; std::getline(table, line); ++i) std::printf("%s%s\n", above[i].c_str(), line.c_str());
}

int run(const Options& o) {
  const std::vector<const ls::OpDef*> ops = chosen(o);
  const std::map<std::string, Json> devices = devices_by_op();
  const auto of = [&](const ls::OpDef& op) {
    const auto at = devices.find(op.name);
    return at == devices.end() ? Json::array() : at->second;
  };
  if (o.json) {
    Json all = Json::array();
    for (const ls::OpDef* op : ops) all.push_back(describe(*op, of(*op)));
    std::printf("%s\n", all.dump(2).c_str());
  } else if (!o.name.empty()) {
    print_one(*ops[0], of(*ops[0]));
  } else {
    print_all(ops, of);
  }
  return 0;
}

}  // namespace

Run add_ops(Program& program) {
  auto options = std::make_shared<Options>();
  Command command = program.command("ops", "List ops from their definitions; opens no device");
  command.option("name", options->name, "Describe this op");
  command.flag("--internal", options->internal, "Also ops that are parts of others, of gradients and of optimizers");
  command.flag("--json", options->json, "An array of objects");
  return [options] { return run(*options); };
}

}  // namespace cli
