// Prints api/lockstep/driver_ops.h from the registered ops: `generate_driver_ops > api/lockstep/driver_ops.h`. A test
// compares the file in the source tree with this output.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <set>
#include <string>

#include "lockstep/op_def.h"
#include "tools/driver_struct.h"

namespace {

using namespace lockstep;

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
    std::printf("\n *   %s: %s, %s in its own cases", in.name.c_str(), in.types.to_string().c_str(),
                ranks_of(op, i).text().c_str());
    if (i > 0 && in.group == op.inputs[0].group && in.group != '-')
      std::printf(", dtype of %s", op.inputs[0].name.c_str());
    if (!in.values.empty()) std::printf("; elements: %s", in.values.c_str());
  }
}

void print_outputs(const OpDef& op) {
  for (const OutputDef& out : op.outputs) {
    if (!out.doc.empty()) std::printf("\n *   %s: %s", out.name.c_str(), out.doc.c_str());
  }
}

std::string dtype_of(const OpDef& op, const ScalarDef& scalar) {
  switch (scalar.dtype) {
    case ScalarDef::of_inputs: return "dtype of " + op.inputs[0].name + " (f32 for f16 and bf16)";
    case ScalarDef::of_result: return "dtype of " + op.outputs[0].name + " (f32 for f16 and bf16)";
    case ScalarDef::widest_of_result: return "f64 if " + op.outputs[0].name + " is floating, else i64";
    default: break;
  }
  const std::uint32_t kind = LKS_DTYPE_CLASS(scalar.dtype);
  std::string name = "u";
  if (kind == LKS_CLASS_FLOAT) name = "f";
  if (kind == LKS_CLASS_INT) name = "i";
  return name + std::to_string(LKS_DTYPE_BITS(scalar.dtype));
}

// One line for scalars in a row that have the same dtype and values.
void print_scalars(const OpDef& op) {
  std::string names;
  for (std::size_t i = 0; i < op.scalars.size(); ++i) {
    const ScalarDef& scalar = op.scalars[i];
    names += (names.empty() ? "" : ", ") + scalar.name;
    if (i + 1 < op.scalars.size()) {
      const ScalarDef& next = op.scalars[i + 1];
      if (next.dtype == scalar.dtype && next.values == scalar.values) continue;
    }
    std::printf("\n *   %s: %s", names.c_str(), dtype_of(op, scalar).c_str());
    if (!scalar.values.empty()) std::printf("; %s", scalar.values.c_str());
    names.clear();
  }
}

// How attributes number the dtypes.
std::string numbered_dtypes() {
  std::string text;
  for (int t = 0; t < dtype_count; ++t) {
    text += (t ? ", " : "") + std::to_string(t) + " " + std::string(name_of(static_cast<DType>(t)));
  }
  return text;
}

// The runtime executes views, copies and host ops itself.
bool reaches_drivers(const OpDef& op) {
  return op.id != 0 && !op.pointwise() && !op.view && !op.copy_plan && !op.host && !op.count_outputs;
}

}  // namespace

int main() {
  std::printf(
      "/* driver_ops.h: ids, schema versions and attributes of the ops that a driver may offer kernels for.\n"
      " *\n"
      " * Generated from the op definitions by `generate_driver_ops`; do not edit. Pointwise ops (add, exp …) have no\n"
      " * entry: a driver runs their programs under LKS_OP_POINTWISE. docs/adding_a_driver.md says which of the ops\n"
      " * below every driver needs; the others are composed from those where a driver refuses them.\n"
      " *\n"
      " * An entry says what the op does; then (operands) -> results; scalars; attribute struct, in the order of the\n"
      " * kernel description and the launch. \"?\" marks an operand that may be absent. Then, line by line:\n"
      " *   Operands.   The dtypes (a driver may refuse all but those it has, LKS_REASON_DTYPE) and the ranks of\n"
      " *               the op's own cases. The suite asks for higher ranks too. The op accepts all up to\n"
      " *               LKS_MAX_RANK, and so does a kernel: operands of matmul have rank 2 or more; images,\n"
      " *               filters and taps 4, in conv, max_pool and avg_pool 3 to 5; bias, the indices of scatter_add\n"
      " *               and what argsort sorts 1; logits, targets and what an `axis` belongs to 1 or more; all\n"
      " *               others 0 or more.\n"
      " *   Elements.   Anything that the dtype holds, NaN and infinities too, unless the line says \"elements\". A\n"
      " *               launch that fails for its elements does so with LKS_INVALID_ARGUMENT and the reason that is\n"
      " *               named, and writes nothing. If the result is undefined, a kernel still stays within the\n"
      " *               tensors.\n"
      " *   Results.    They have the dtype of the first operand, unless a line says otherwise. Their extents are in\n"
      " *               the kernel description.\n"
      " *   Scalars.    Numbers in lks_launch.scalars, in the dtype of the line. The host has converted each of them\n"
      " *               once, as LKS_INSTR_CONVERT does: to a floating dtype it rounds to nearest even.\n"
      " *   Attributes. The host has checked attributes, scalars and shapes, so a driver need not. Axes are in\n"
      " *               range; windows, strides and dilations are 1 to 2^31 - 1; padding is 0 to 2^31 - 1, and in\n"
      " *               pooling smaller than the window; groups divide the channels of image and result. What max,\n"
      " *               min, mean and argmax reduce has one element or more. A dtype in an attribute is a number:\n"
      " *               %s. */\n"
      "#ifndef LOCKSTEP_DRIVER_OPS_H_\n#define LOCKSTEP_DRIVER_OPS_H_\n\n#include \"lockstep/driver.h\"\n\n",
      numbered_dtypes().c_str());
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
    print_outputs(*op);
    print_scalars(*op);
    std::printf(" */\n");
    std::printf("#define LKS_OP_%s %uu\n", upper(op->name).c_str(), op->id);
    std::printf("#define LKS_OP_%s_VERSION %uu\n", upper(op->name).c_str(), op->version);
    if (op->attrs.size && printed.insert(op->attrs.struct_name).second) {
      std::fputs(c_struct(op->attrs).c_str(), stdout);
    }
  }
  std::printf("\n#endif /* LOCKSTEP_DRIVER_OPS_H_ */\n");
  return 0;
}
