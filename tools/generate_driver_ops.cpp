// Prints api/lockstep/driver_ops.h from the registered ops: `generate_driver_ops > api/lockstep/driver_ops.h`. A test
// compares the file in the source tree with this output.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <set>
#include <string>

#include "lockstep/op_def.h"

namespace {

using namespace lockstep;

const char* c_type(AttrField::Kind kind) {
  switch (kind) {
    case AttrField::Kind::integer: return "int64_t";
    case AttrField::Kind::real: return "double";
    default: return "lks_int_list";
  }
}

std::string upper(const std::string& name) {
  std::string out;
  for (char c : name) out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

std::string list_inputs(const OpDef& op) {
  std::string text;
  for (const InputDef& in : op.inputs) {
    text += (text.empty() ? "" : ", ") + in.name + (in.optional ? "?" : in.variadic ? "…" : "");
  }
  std::string results;
  for (const OutputDef& out : op.outputs) results += (results.empty() ? "" : ", ") + out.name;
  std::string signature = "(" + text + ") -> " + results;
  for (const ScalarDef& s : op.scalars) signature += (&s == &op.scalars[0] ? "; scalars " : ", ") + s.name;
  return signature + (op.attrs.size ? "; " + op.attrs.struct_name : "");
}

struct Ranks {
  int least = max_rank + 1, most = -1;
  void add(int rank) {
    least = std::min(least, rank);
    most = std::max(most, rank);
  }
  std::string text() const {
    if (most < 0) return "any rank";
    if (least == most) return "rank " + std::to_string(least);
    return "rank " + std::to_string(least) + " to " + std::to_string(most);
  }
};

// The ranks that occur in the op's own cases.
Ranks ranks_of(const OpDef& op, std::size_t input) {
  Ranks ranks;
  for (const OpCase& c : op.cases ? op.cases() : std::vector<OpCase>()) {
    if (c.error || input >= c.inputs.size() || c.inputs[input].absent || c.inputs[input].scalar) continue;
    ranks.add(c.inputs[input].shape.rank());
  }
  return ranks;
}

void print_inputs(const OpDef& op) {
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const InputDef& in = op.inputs[i];
    std::printf("\n *   %s: %s, %s in the suite", in.name.c_str(), in.types.to_string().c_str(),
                ranks_of(op, i).text().c_str());
    if (i > 0 && in.group == op.inputs[0].group && in.group != '-')
      std::printf(", dtype of %s", op.inputs[0].name.c_str());
    if (!in.values.empty()) std::printf("; elements: %s", in.values.c_str());
  }
}

// The runtime executes views, assemblies and host ops itself.
bool reaches_drivers(const OpDef& op) { return op.id != 0 && !op.pointwise() && !op.view && !op.copy_plan && !op.host; }

void print_attrs(const AttrSchema& schema) {
  std::printf("typedef struct %s {\n", schema.struct_name.c_str());
  for (const AttrField& field : schema.fields) {
    std::printf("  %s %s; /* %s */\n", c_type(field.kind), field.name.c_str(), field.doc.c_str());
  }
  std::printf("} %s;\n", schema.struct_name.c_str());
}

}  // namespace

int main() {
  std::printf(
      "/* driver_ops.h: ids, schema versions and attributes of the ops that a driver may offer kernels for.\n"
      " *\n"
      " * Generated from the op definitions by `generate_driver_ops`; do not edit. Pointwise ops (add, exp …) have no\n"
      " * entry: a driver runs their programs under LKS_OP_POINTWISE. docs/adding_a_driver.md says which of the ops\n"
      " * below every driver needs; the others are composed from those where a driver refuses them.\n"
      " * Of each operand: its dtypes (a driver may refuse all but those it has), and the ranks that the suite gives "
      "it. */\n"
      "#ifndef LOCKSTEP_DRIVER_OPS_H_\n#define LOCKSTEP_DRIVER_OPS_H_\n\n#include \"lockstep/driver.h\"\n\n");
  std::printf(
      "/* At most eight integers. */\n"
      "typedef struct lks_int_list {\n  int64_t count;\n  int64_t values[LKS_MAX_RANK];\n} lks_int_list;\n\n");
  std::printf(
      "/* An op that only lks_kernel_desc.op_name tells: registered by an application. */\n"
      "#define LKS_OP_NAMED 0u\n\n"
      "/* The program attached to the kernel description, for each element of the outputs; inputs broadcast by rank\n"
      " * (aligned at the last dimension) and by extents of 1. */\n"
      "#define LKS_OP_POINTWISE 1u\n#define LKS_OP_POINTWISE_VERSION 1u\n");
  std::set<std::string> printed;
  for (const OpDef* op : registered_ops()) {
    if (!reaches_drivers(*op)) continue;
    std::printf("\n/* %s\n * %s", op->doc.c_str(), list_inputs(*op).c_str());
    print_inputs(*op);
    std::printf(" */\n");
    std::printf("#define LKS_OP_%s %uu\n", upper(op->name).c_str(), op->id);
    std::printf("#define LKS_OP_%s_VERSION %uu\n", upper(op->name).c_str(), op->version);
    if (op->attrs.size && printed.insert(op->attrs.struct_name).second) print_attrs(op->attrs);
  }
  std::printf("\n#endif /* LOCKSTEP_DRIVER_OPS_H_ */\n");
  return 0;
}
