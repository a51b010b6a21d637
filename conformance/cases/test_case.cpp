#include "conformance/cases/test_case.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "conformance/cases/attributes.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/number_cases.h"
#include "conformance/cases/pairs.h"
#include "conformance/cases/ranks.h"
#include "conformance/suite/split.h"
#include "lockstep/error.h"

namespace lockstep::conformance {
namespace {

constexpr const char* case_suites[] = {"forward", "gradient", "second_gradient", "special_gradient", "beside", "repeat",
                                       "rows",    "sizes",    "numbers",         "refusal",          "pair"};

// Names of own cases may contain slashes and spaces; in ids, slashes separate the parts.
std::string plain(std::string name) {
  std::replace(name.begin(), name.end(), '/', '.');
  std::replace(name.begin(), name.end(), ' ', '_');
  std::erase_if(name, [](char c) { return c == '(' || c == ')' || c == ','; });
  return name;
}

std::string shapes_text(const std::vector<Shape>& shapes) {
  std::string text;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (i) text += ',';
    if (shapes[i].rank() == 0) text += '-';
    for (int d = 0; d < shapes[i].rank(); ++d) text += (d ? "x" : "") + std::to_string(shapes[i][d]);
  }
  return text;
}

std::optional<std::int64_t> number_of(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<std::vector<Shape>> parse_shapes(const std::string& text) {
  std::vector<Shape> shapes;
  for (const std::string& part : split(text, ',')) {
    Shape shape;
    if (part != "-") {
      for (const std::string& extent : split(part, 'x')) {
        const auto n = number_of(extent);
        if (!n || shape.rank() == max_rank) return std::nullopt;
        shape.append(*n);
      }
    }
    shapes.push_back(shape);
  }
  return shapes;
}

[[noreturn]] void refuse(const std::string& id, const std::string& what, const std::string& fix) {
  ErrorBuilder(ErrorId::bad_arguments, "--case", "\"" + id + "\": " + what).fix(fix).raise();
}

template <class T, std::size_t n>
T pick(const T (&all)[n], const std::string& name, const std::string& id, const char* what) {
  std::string known;
  for (T t : all) {
    if (name == name_of(t)) return t;
    known += (known.empty() ? "" : ", ") + std::string(name_of(t));
  }
  refuse(id, std::string("there is no ") + what + " \"" + name + "\"", "there are " + known);
}

// A worker looks up tens of thousands of ids, so each op makes its cases once per thread.
const std::vector<OpCase>& own_cases_of(const OpDef& op) {
  thread_local std::map<const OpDef*, std::vector<OpCase>> made;
  auto entry = made.find(&op);
  if (entry == made.end()) entry = made.emplace(&op, op.cases ? op.cases() : std::vector<OpCase>()).first;
  return entry->second;
}

OpCase own_case(const OpDef& op, const std::string& name, const std::string& id) {
  for (const OpCase& c : own_cases_of(op)) {
    if (plain(c.name) == name) return c;
  }
  refuse(id, op.name + " has no case \"" + name + "\"",
         "`lockstep conformance --list --op " + op.name + "` lists them");
}

}  // namespace

const char* name_of(Values values) {
  switch (values) {
    case Values::exact: return "exact";
    case Values::wide_first: return "wide_first";
    case Values::wide_last: return "wide_last";
    case Values::spread: return "spread";
    case Values::tiny: return "tiny";
    case Values::special: return "special";
    case Values::cancelling: return "cancelling";
    case Values::corners: return "corners";
    case Values::ties: return "ties";
    case Values::infinite: return "infinite";
    case Values::sparse_first: return "sparse_first";
    case Values::sparse_last: return "sparse_last";
    case Values::extremes: return "extremes";
    case Values::bits: return "bits";
    case Values::neighbours: return "neighbours";
    case Values::bad_index: return "bad_index";
    case Values::peaks: return "peaks";
    case Values::stray: return "stray";
    case Values::counted: return "counted";
    case Values::huge: return "huge";
    case Values::ends: return "ends";
    default: return "drawn";
  }
}

bool is_sparse(Values values) { return values == Values::sparse_first || values == Values::sparse_last; }

bool are_exact(Values values) {
  return values == Values::exact || values == Values::wide_first || values == Values::wide_last || is_sparse(values) ||
         values == Values::infinite;
}

namespace {

// Whether input i is the first tensor of a call, or the last one.
bool is_outermost(const OpCase& c, std::size_t i, bool first) {
  const auto is_tensor = [](const CaseInput& in) { return !in.absent && !in.scalar; };
  const auto at = c.inputs.begin() + static_cast<std::ptrdiff_t>(i);
  return first ? std::none_of(c.inputs.begin(), at, is_tensor) : std::none_of(at + 1, c.inputs.end(), is_tensor);
}

}  // namespace

TestCase test_case_of(const OpDef& op, const OpCase& call) {
  TestCase t;
  t.op = &op;
  t.call = call;
  return t;
}

Layout layout_of_input(const OpDef& op, const OpCase& c, std::size_t i, Layout layout) {
  const bool is_variable = op.inputs[std::min(i, op.inputs.size() - 1)].mutable_;
  if (layout == Layout::first_alone || layout == Layout::last_alone) {
    layout = is_outermost(c, i, layout == Layout::first_alone) ? Layout::sliced : Layout::dense;
  }
  return is_variable ? Layout::dense : layout_of_operand(layout, i, c.inputs[i].shape);
}

bool layout_takes_effect(Layout layout, const OpDef& op, const OpCase& c) {
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    const CaseInput& in = c.inputs[i];
    if (!in.absent && !in.scalar && layout_of_input(op, c, i, layout) != Layout::dense) return true;
  }
  return false;
}

DType dtype_of(const OpDef& op, const OpCase& call) {
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const InputDef& def = op.inputs[std::min(i, op.inputs.size() - 1)];
    const bool typed = !call.inputs[i].absent && !call.inputs[i].scalar;
    if (typed && (def.group == 'T' || def.group == '-')) return call.inputs[i].dtype;
  }
  const auto specs = infer_outputs(op, call);
  return specs && !specs->empty() ? (*specs)[0].dtype : DType::f32;
}

DType TestCase::dtype() const { return dtype_of(*op, call); }

std::string TestCase::id() const {
  std::string base = plain(call.name);
  if (resized) base += "~" + shapes_text(shapes_of(*op, call));
  if (!numbers.empty()) base += ":" + numbers;
  return suite + "/" + op->name + "/" + std::string(lockstep::name_of(dtype())) + "/" +
         std::string(lockstep::name_of(mode)) + "/" + base + "/" + name_of(layout) + "/" + name_of(values) +
         (after.empty() ? "" : "/" + after) + "#" + std::to_string(seed);
}

bool is_test_case_id(const std::string& id) {
  const std::string suite = id.substr(0, id.find('/'));
  return std::find(std::begin(case_suites), std::end(case_suites), suite) != std::end(case_suites);
}

TestCase parse_test_case(const std::string& id) {
  const std::size_t hash = id.rfind('#');
  std::vector<std::string> parts = split(id.substr(0, hash), '/');
  const std::size_t needed = parts[0] == "pair" ? 8 : 7;
  if (hash == std::string::npos || parts.size() != needed) {
    refuse(id, "this is not a case id", "copy the id from a report or from `lockstep conformance --list`");
  }
  TestCase t;
  t.suite = parts[0];
  if (!is_test_case_id(id)) refuse(id, "there is no suite \"" + t.suite + "\"", "see `lockstep conformance --list`");
  t.op = find_op(parts[1]);
  if (!t.op) refuse(id, "there is no op \"" + parts[1] + "\"", "`lockstep devices --json` lists all ops");
  const auto seed = number_of(id.substr(hash + 1));
  if (!seed) refuse(id, "the seed is not a number", "it stands behind the #");
  t.seed = static_cast<std::uint64_t>(*seed);
  constexpr MathMode modes[] = {MathMode::strict, MathMode::fast, MathMode::lockstep};
  t.mode = pick(modes, parts[3], id, "math mode");
  const auto layout = find_layout(parts[5]);
  if (!layout) t.layout = pick(layouts, parts[5], id, "layout");
  if (layout) t.layout = *layout;
  const auto chosen = std::find_if(std::begin(chosen_value_kinds), std::end(chosen_value_kinds),
                                   [&](Values v) { return parts[6] == name_of(v); });
  t.values = chosen != std::end(chosen_value_kinds) ? *chosen : pick(value_kinds, parts[6], id, "kind of values");
  if (t.suite == "numbers") {
    const std::size_t colon = parts[4].rfind(':');
    if (colon == std::string::npos) refuse(id, "no input is named", "name the inputs that are numbers, as in \":0.2\"");
    t.numbers = parts[4].substr(colon + 1);
    parts[4].resize(colon);
  }
  if (parts.size() == 8) t.after = parts[7];
  const std::size_t tilde = parts[4].find('~'), at = parts[4].find('@'), caret = parts[4].find('^');
  t.call = own_case(*t.op, parts[4].substr(0, std::min({tilde, at, caret})), id);
  if (caret != std::string::npos) {
    std::string text = parts[4].substr(caret + 1, std::min(tilde, at) - caret - 1);
    const bool in_front = text.ends_with(".front");
    if (in_front) text.resize(text.find('.'));
    const auto rank = number_of(text);
    auto call = rank && *rank <= max_rank ? with_rank(*t.op, t.call, static_cast<int>(*rank), in_front) : std::nullopt;
    if (!call) refuse(id, "the op's case cannot have this rank", "change only ranks that the op leaves open");
    t.call = std::move(*call);
  }
  if (at != std::string::npos) {
    auto call =
        with_attributes(*t.op, t.call, parts[4].substr(at + 1, tilde == std::string::npos ? tilde : tilde - at - 1));
    if (!call) refuse(id, "the op does not take this attribute", "change only attributes that the op has");
    t.call = std::move(*call);
  }
  if (tilde != std::string::npos) {
    const auto shapes = parse_shapes(parts[4].substr(tilde + 1));
    auto call = shapes ? with_shapes(*t.op, t.call, *shapes) : std::nullopt;
    if (!call) refuse(id, "the op's case cannot have these shapes", "change only extents that the op leaves open");
    t.call = std::move(*call);
    t.resized = true;
  }
  if (t.suite == "numbers" && !number_positions(t)) {
    refuse(id, "not all of these inputs can be numbers",
           "name inputs of the op, counted from 0, that are tensors in its case");
  }
  if (std::string(lockstep::name_of(t.dtype())) != parts[2]) {
    refuse(id, "this case is " + std::string(lockstep::name_of(t.dtype())) + ", not " + parts[2], "correct the dtype");
  }
  if (!t.after.empty() && !first_of_pair(t)) {
    refuse(id, "no call goes before it that differs in \"" + t.after + "\"", "copy the id from a report");
  }
  return t;
}

}  // namespace lockstep::conformance
