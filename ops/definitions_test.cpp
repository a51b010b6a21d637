// Compares what each op declares, and the cases that it adds to the conformance suite, with ops/definitions.golden.txt.
// A line that differs is a changed promise to drivers and users. With UPDATE_DEFINITIONS=1 in the environment the test
// rewrites the file: review its diff, and the cases that this test prints.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "ops/attribute_memory.h"
#include "ops/built_in.h"
#include "runtime/sha256.h"

namespace lockstep {
namespace {

template <class T>
T read_at(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::string text_of_list(const AttrField& field, const std::byte* attrs) {
  const std::int64_t count = count_at(field, attrs);
  if (count == IntList::missing_count) return "?";
  for (std::size_t i = 0; i < field.argument.choices.size(); ++i) {
    if (count == IntList::choice_count(static_cast<int>(i))) return field.argument.choices[i];
  }
  std::string text;
  for (std::int64_t n : numbers_at(field, attrs)) text += std::to_string(n) + ",";
  return text;
}

std::string text_of(const AttrSchema& schema, const std::vector<std::byte>& attrs) {
  std::ostringstream out;
  for (const AttrField& field : schema.fields) {
    const std::byte* at = attrs.data() + field.offset;
    out << " " << field.name << "=";
    switch (field.storage) {
      case AttrField::Storage::real: out << read_at<double>(at); break;
      case AttrField::Storage::integer: out << read_at<std::int64_t>(at); break;
      case AttrField::Storage::list: out << text_of_list(field, attrs.data()); break;
      case AttrField::Storage::text: out << text_at(field, attrs.data()); break;
    }
  }
  return out.str();
}

std::string text_of(const Scalar& s) {
  if (s.kind == Scalar::Kind::floating) return std::to_string(s.floating);
  const std::string text =
      s.above_int64 ? std::to_string(static_cast<std::uint64_t>(s.integer)) : std::to_string(s.integer);
  return (s.kind == Scalar::Kind::logical ? "truth " : "") + text;
}

std::string text_of(const CaseInput& input) {
  if (input.absent) return " absent";
  if (input.scalar) return " " + text_of(*input.scalar);
  std::ostringstream out;
  out << " " << input.dtype << input.shape << " " << static_cast<int>(input.values.kind) << ":" << input.values.low
      << ":" << input.values.high;
  return out.str();
}

std::string text_of(const OpDef& op, const OpCase& c) {
  std::ostringstream out;
  out << c.name << " |";
  for (const CaseInput& input : c.inputs) out << text_of(input);
  out << " |" << (c.attrs.empty() ? "" : text_of(op.attrs, c.attrs)) << " |";
  for (const Scalar& s : c.scalars) out << " " << text_of(s);
  if (c.error) out << " | error " << static_cast<int>(*c.error);
  out << (c.gradient ? "" : " | no gradient") << "\n";
  return out.str();
}

std::string cases_of(const OpDef& op) {
  std::string text;
  if (op.cases) {
    for (const OpCase& c : op.cases()) text += text_of(op, c);
  }
  return text;
}

std::string declared(const OpDef& op) {
  std::ostringstream out;
  for (const InputDef& i : op.inputs) {
    out << " " << i.name << ":" << i.group << ":" << i.types.bits << (i.optional ? ":optional" : "")
        << (i.variadic ? ":variadic" : "") << (i.host_resident ? ":host" : "") << (i.mutable_ ? ":mutable" : "");
  }
  out << " ->";
  for (const OutputDef& o : op.outputs)
    out << " " << o.name << ":" << o.may_reuse_input << ":" << o.in_place_of << (o.variadic ? ":variadic" : "");
  out << ";" << (op.attrs.size ? text_of(op.attrs, op.attrs.defaults) : "") << ";";
  for (const ScalarDef& s : op.scalars) out << " " << s.name << ":" << static_cast<std::int32_t>(s.dtype);
  out << "; class " << static_cast<int>(op.error_class) << " effects " << static_cast<int>(op.effects)
      << (op.commutative ? " commutative" : "") << (op.internal ? " internal" : "") << (op.gradient ? " gradient" : "")
      << (op.decompose ? " decomposed" : "");
  for (const Saves& s : op.saves) out << " saves " << s.inputs << ":" << s.outputs;
  return out.str();
}

std::vector<const OpDef*> shipped() {
  std::vector<const OpDef*> ops;
  for (const BuiltInOp& op : built_in_ops()) ops.push_back(find_op(op.make().name));
  return ops;
}

std::string line_of(const OpDef& op) {
  const std::string cases = cases_of(op);
  Sha256 hash;
  hash.add(cases);
  std::ostringstream out;
  out << op.name << " " << op.id << declared(op) << "; " << std::count(cases.begin(), cases.end(), '\n') << " cases "
      << hash.hex().substr(0, 12);
  return out.str();
}

TEST(Definitions, HaveIdsOfTheirOwn) {
  std::set<std::uint32_t> ids = {1};  // the pointwise program
  for (const BuiltInOp& op : built_in_ops()) EXPECT_TRUE(ids.insert(op.id).second) << op.make().name;
}

TEST(Definitions, AreTheGoldenOnes) {
  if (std::getenv("UPDATE_DEFINITIONS")) {
    std::ofstream file(DEFINITIONS);
    for (const OpDef* op : shipped()) file << line_of(*op) << "\n";
  }
  std::map<std::string, std::string> golden;
  std::ifstream file(DEFINITIONS);
  for (std::string line; std::getline(file, line);) golden[line.substr(0, line.find(' '))] = line;
  EXPECT_EQ(golden.size(), shipped().size());
  for (const OpDef* op : shipped()) EXPECT_EQ(line_of(*op), golden[op->name]) << "its cases:\n" << cases_of(*op);
}

TEST(Definitions, AreDocumented) {
  for (const OpDef* op : shipped()) {
    EXPECT_FALSE(op->doc.empty()) << op->name;
    for (const AttrField& field : op->attrs.fields) EXPECT_FALSE(field.doc.empty()) << op->name << " " << field.name;
    for (const ArgumentDef& argument : op->arguments) {
      EXPECT_NE(argument.kind, ArgumentKind::unspecified) << op->name << " " << argument.name;
      if (op->internal) continue;
      EXPECT_FALSE(argument.doc.empty()) << op->name << " " << argument.name;
      EXPECT_TRUE(argument.required || argument.unless_given || !argument.otherwise.empty())
          << "nothing says what holds without " << op->name << " " << argument.name;
    }
    if (op->internal) continue;
    for (const InputDef& input : op->inputs) EXPECT_FALSE(input.doc.empty()) << op->name << " " << input.name;
    EXPECT_FALSE(op->outputs[0].doc.empty()) << op->name;
  }
}

// -------------------------------------------------------------------------------------------------- the public headers

std::string in_one_line(const std::string& text) {
  std::string out;
  std::istringstream words(text);
  for (std::string word; words >> word;) out += (out.empty() ? "" : " ") + word;
  return out;
}

// The docstring of each public function of the headers in ops/: the lines before its declaration, or the comment behind
// it. The first declaration of a name counts.
std::map<std::string, std::string> docstrings() {
  std::map<std::string, std::string> all;
  for (const char* header : {"math", "reduce", "linalg", "nn", "shape", "random"}) {
    std::ifstream file(std::string(OP_HEADERS) + "/" + header + ".h");
    EXPECT_TRUE(file) << header;
    std::string before;
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("///")) {
        before += line.substr(3);
        continue;
      }
      const std::size_t open = line.find('('), comment = line.find(" // ");
      for (const std::string result : {"Tensor ", "std::vector<Tensor> "}) {
        if (!line.starts_with(result) || open == std::string::npos) continue;
        const std::string behind = comment == std::string::npos ? "" : line.substr(comment + 4);
        all.emplace(line.substr(result.size(), open - result.size()), in_one_line(before.empty() ? behind : before));
      }
      before.clear();
    }
  }
  return all;
}

// Ops whose documentation is in scalar_ops.def alone.
bool is_scalar_op(const std::string& name) {
  static const std::set<std::string> names = {
#define LOCKSTEP_SCALAR_OP(id, name, error_class, doc) #name,
#include "lockstep/scalar_ops.def"
#undef LOCKSTEP_SCALAR_OP
  };
  return names.contains(name);
}

// What a definition says is said once more, where users read it, and nowhere else: in the same words.
TEST(Definitions, SayWhatThePublicHeadersSay) {
  const auto documented = docstrings();
  for (const OpDef* op : shipped()) {
    if (op->internal) {
      EXPECT_FALSE(documented.contains(op->name)) << op->name << " is internal and has a public function";
      continue;
    }
    if (is_scalar_op(op->name)) continue;
    ASSERT_TRUE(documented.contains(op->name)) << op->name << " has no public function";
    const std::string first = op->doc.substr(0, std::min(op->doc.find(". "), op->doc.rfind('.')));
    const std::string& text = documented.at(op->name);
    EXPECT_TRUE(text.starts_with(first)) << op->name << "\n  definition: " << op->doc << "\n  header:     " << text;
  }
}

}  // namespace
}  // namespace lockstep
