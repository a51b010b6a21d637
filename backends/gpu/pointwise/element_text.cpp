#include "backends/gpu/pointwise/element_text.h"

#include <algorithm>

#include "backends/gpu/pointwise/instruction_text.h"

namespace gpu {
namespace {

std::string number(std::size_t n) { return std::to_string(n); }

// Conversions between an element in memory and its value in the kernel.
std::string loaded(lks_dtype t, const std::string& raw) {
  if (t == LKS_BOOL) return "(" + raw + " != uint8_t(0))";
  const bool same = t == LKS_F32 || t == LKS_F64 || t == LKS_I32 || t == LKS_I64;
  return same ? raw : std::string(type_name(t)) + "(" + raw + ")";
}
std::string stored(lks_dtype t, const std::string& value) {
  switch (t) {
    case LKS_BOOL: return "uint8_t(" + value + " ? 1 : 0)";
    case LKS_F16:
    case LKS_BF16: return "uint16_t(" + value + ")";
    case LKS_I8: return "int8_t(" + value + ")";
    case LKS_U8: return "uint8_t(" + value + ")";
    default: return value;
  }
}

// Code that computes the offsets of the strided ones among tensors `begin` to `end` and, if `axes`, the index along
// each axis.
std::string walk_text(const PointwiseShape& shape, std::size_t begin, std::size_t end, bool axes) {
  const auto is_strided = [&](std::size_t i) { return shape.walks[i] == Walk::strided; };
  bool any_strided = false;
  for (std::size_t i = begin; i < end; ++i) any_strided = any_strided || is_strided(i);
  if (!any_strided && !axes) return "";
  // Wide indices are unsigned, because glslang 12 crashes on a pointer plus an int64_t. Negative strides wrap.
  const std::string index = shape.wide ? "uint64_t" : "int";
  const std::string natural = shape.wide ? "uint64_t" : "uint";
  std::string text;
  for (std::size_t i = begin; i < end; ++i) {
    if (is_strided(i)) text += "  " + index + " at" + number(i) + " = " + index + "(0);\n";
  }
  if (axes) text += "  " + natural + " along[" + number(LKS_MAX_RANK) + "];\n";
  text += "  " + natural + " rest = " + natural + "(item);\n";
  text += "  for (int d = int(p.rank) - 1; d >= 0; --d) {\n";
  text += "    const " + natural + " extent = " + natural + "(p.extents[d]);\n";
  text += "    const " + natural + " k = rest % extent;\n    rest /= extent;\n";
  if (axes) text += "    along[d] = k;\n";
  for (std::size_t i = begin; i < end; ++i) {
    if (!is_strided(i)) continue;
    text += "    at" + number(i) + " += " + index + "(k) * " + index + "(p.strides" + number(i) + "[d]);\n";
  }
  return text + "  }\n";
}

std::string location(const Dialect& dialect, const PointwiseShape& shape, std::size_t i) {
  const std::string array = "o.tensor" + number(i);
  switch (shape.walks[i]) {
    case Walk::linear: return dialect.element(array, shape.wide ? "item" : "uint(item)");
    case Walk::single: return dialect.element(array, "");
    default: return dialect.element(array, "at" + number(i));
  }
}

// Code that loads an element's inputs. It is separate from the rest, so that all loads of an invocation are in flight
// before its first store, past which they may not be moved.
std::string load_text(const Dialect& dialect, const std::vector<lks_instr>& instrs, const PointwiseShape& shape,
                      std::size_t inputs) {
  std::string members, loads;
  for (std::size_t i = 0; i < instrs.size(); ++i) {
    const lks_instr& instr = instrs[i];
    if (instr.opcode != LKS_INSTR_INPUT) continue;
    const std::string name = "x" + number(i);
    members += std::string("  ") + type_name(instr.dtype) + " " + name + ";\n";
    loads += "  element." + name + " = " + loaded(instr.dtype, location(dialect, shape, instr.imm)) + ";\n";
  }
  if (members.empty()) members = "  uint unused;\n";
  return "struct Element {\n" + members + "};\n\n" + dialect.function +
         "Element load(Params p, Operands o, uint64_t item) {\n" + walk_text(shape, 0, inputs, false) +
         "  Element element;\n" + loads + "  return element;\n}\n\n";
}

std::string compute_text(const Dialect& dialect, const std::vector<lks_instr>& instrs,
                         const std::vector<std::uint32_t>& outputs, const PointwiseShape& shape, std::size_t inputs) {
  std::string text = dialect.function +
                     std::string("void compute(Params p, Operands o, uint64_t item, Element element) {\n") +
                     walk_text(shape, inputs, shape.dtypes.size(), reads_index(instrs));
  for (std::size_t i = 0; i < instrs.size(); ++i) {
    const lks_instr& instr = instrs[i];
    std::string value;
    if (instr.opcode == LKS_INSTR_INPUT) {
      value = "element.x" + number(i);
    } else if (instr.opcode == LKS_INSTR_SCALAR) {
      value = value_of_bits(instr.dtype, "o.scalar" + number(instr.imm));
    } else {
      value = instruction_text(dialect, instrs, i);
    }
    text += std::string("  ") + dialect.value + type_name(instr.dtype) + " v" + number(i) + " = " + value + ";\n";
  }
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    text += "  " + location(dialect, shape, inputs + o) + " = " +
            stored(shape.dtypes[inputs + o], "v" + number(outputs[o])) + ";\n";
  }
  return text + "}\n\n";
}

}  // namespace

std::string element_text(const Dialect& dialect, const std::vector<lks_instr>& instrs,
                         const std::vector<std::uint32_t>& outputs, const PointwiseShape& shape) {
  const std::size_t inputs = shape.dtypes.size() - outputs.size();
  return load_text(dialect, instrs, shape, inputs) + compute_text(dialect, instrs, outputs, shape, inputs);
}

std::string calls_text(const PointwiseShape& shape) {
  std::string loads, computes;
  for (unsigned i = 0; i < shape.per_invocation; ++i) {
    const std::string item = "first + " + number(i * pointwise_group), element = "element" + number(i);
    loads += "  const Element " + element + " = load(p, o, min(" + item + ", o.count - 1));\n";
    computes += "  if (" + item + " < o.count) compute(p, o, " + item + ", " + element + ");\n";
  }
  return loads + computes;
}

bool reads_index(const std::vector<lks_instr>& instrs) {
  return std::any_of(instrs.begin(), instrs.end(), [](const lks_instr& i) { return i.opcode == LKS_INSTR_INDEX; });
}

}  // namespace gpu
