#include "backends/vulkan/pointwise/shader_text.h"

#include <algorithm>

#include "backends/vulkan/device/pipelines.h"
#include "backends/vulkan/pointwise/instruction_text.h"

namespace lockstep::embedded {
std::string_view vulkan_common_text();
std::string_view vulkan_exact_text();
std::string_view vulkan_convert_text();
}  // namespace lockstep::embedded

namespace vulkan {
namespace {

std::string number(std::size_t n) { return std::to_string(n); }

const char* array_of(lks_dtype t) {
  switch (t) {
    case LKS_F32: return "Floats";
    case LKS_F64: return "Doubles";
    case LKS_F16:
    case LKS_BF16: return "Halves";
    case LKS_I8: return "SignedBytes";
    case LKS_I32: return "Ints";
    case LKS_I64: return "Int64s";
    default: return "Bytes";
  }
}

// Conversions between an element in memory and its value in the shader.
std::string loaded(lks_dtype t, const std::string& raw) {
  if (t == LKS_BOOL) return "(" + raw + " != uint8_t(0))";
  const bool same = t == LKS_F32 || t == LKS_F64 || t == LKS_I32 || t == LKS_I64;
  return same ? raw : std::string(glsl_type(t)) + "(" + raw + ")";
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

bool uses(const std::vector<lks_instr>& instrs, const PointwiseShape& shape, lks_dtype t) {
  const auto is_t = [t](lks_dtype d) { return d == t; };
  return std::any_of(shape.dtypes.begin(), shape.dtypes.end(), is_t) ||
         std::any_of(shape.scalars.begin(), shape.scalars.end(), is_t) ||
         std::any_of(instrs.begin(), instrs.end(), [&](const lks_instr& i) { return i.dtype == t; });
}

// What every element needs is in one struct, which the shader reads once: read on its own after a write, it would be
// loaded again, as the write might have changed it.
std::string params_text(const PointwiseShape& shape, bool axes) {
  std::string text = "struct Operands {\n  uint64_t count;\n";
  for (std::size_t i = 0; i < shape.dtypes.size(); ++i) {
    text += std::string("  ") + array_of(shape.dtypes[i]) + " tensor" + number(i) + ";\n";
  }
  for (std::size_t i = 0; i < shape.scalars.size(); ++i) text += "  uint64_t scalar" + number(i) + ";\n";
  text += "};\n\nlayout(buffer_reference, scalar, buffer_reference_align = 8) buffer Params {\n";
  if (!shape.pushes_operands()) text += "  Operands operands;\n";
  text += "  int64_t rank;\n";
  if (shape.strided() || axes) {
    text += "  int64_t extents[" + number(LKS_MAX_RANK) + "];\n";
    for (std::size_t i = 0; i < shape.dtypes.size(); ++i) {
      if (shape.walks[i] == Walk::strided)
        text += "  int64_t strides" + number(i) + "[" + number(LKS_MAX_RANK) + "];\n";
    }
  }
  return text + "};\n\n";
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

std::string location(const PointwiseShape& shape, std::size_t i) {
  const std::string pointer = "o.tensor" + number(i);
  switch (shape.walks[i]) {
    case Walk::linear: return "(" + pointer + (shape.wide ? " + item).v" : " + uint(item)).v");
    case Walk::single: return pointer + ".v";
    default: return "(" + pointer + " + at" + number(i) + ").v";
  }
}

// Code that loads an element's inputs. It is separate from the rest, so that all loads of an invocation are in flight
// before its first store, past which they may not be moved.
std::string load_text(const std::vector<lks_instr>& instrs, const PointwiseShape& shape, std::size_t inputs) {
  std::string members, loads;
  for (std::size_t i = 0; i < instrs.size(); ++i) {
    const lks_instr& instr = instrs[i];
    if (instr.opcode != LKS_INSTR_INPUT) continue;
    const std::string name = "x" + number(i);
    members += std::string("  ") + glsl_type(instr.dtype) + " " + name + ";\n";
    loads += "  element." + name + " = " + loaded(instr.dtype, location(shape, instr.imm)) + ";\n";
  }
  if (members.empty()) members = "  uint unused;\n";
  return "struct Element {\n" + members + "};\n\nElement load(Params p, Operands o, uint64_t item) {\n" +
         walk_text(shape, 0, inputs, false) + "  Element element;\n" + loads + "  return element;\n}\n\n";
}

std::string compute_text(const std::vector<lks_instr>& instrs, const std::vector<std::uint32_t>& outputs,
                         const PointwiseShape& shape, std::size_t inputs, bool axes) {
  std::string text = "void compute(Params p, Operands o, uint64_t item, Element element) {\n" +
                     walk_text(shape, inputs, shape.dtypes.size(), axes);
  for (std::size_t i = 0; i < instrs.size(); ++i) {
    const lks_instr& instr = instrs[i];
    std::string value;
    if (instr.opcode == LKS_INSTR_INPUT) {
      value = "element.x" + number(i);
    } else if (instr.opcode == LKS_INSTR_SCALAR) {
      value = glsl_of_bits(instr.dtype, "o.scalar" + number(instr.imm));
    } else {
      value = instruction_text(instrs, i);
    }
    text += std::string("  precise const ") + glsl_type(instr.dtype) + " v" + number(i) + " = " + value + ";\n";
  }
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    text +=
        "  " + location(shape, inputs + o) + " = " + stored(shape.dtypes[inputs + o], "v" + number(outputs[o])) + ";\n";
  }
  return text + "}\n\n";
}

std::string operands_text(const PointwiseShape& shape) {
  if (!shape.pushes_operands()) return "p.operands";
  std::string text = "Operands(push.operands[0]";
  std::size_t next = 1;
  for (const lks_dtype t : shape.dtypes)
    text += std::string(", ") + array_of(t) + "(push.operands[" + number(next++) + "])";
  for (std::size_t i = 0; i < shape.scalars.size(); ++i) text += ", push.operands[" + number(next++) + "]";
  return text + ")";
}

// The elements of an invocation are one workgroup apart, so that neighbouring invocations access neighbouring elements.
std::string main_text(const PointwiseShape& shape) {
  const unsigned per_invocation = shape.per_invocation;
  const std::string group = number(pointwise_group);
  std::string loads, computes;
  for (unsigned i = 0; i < per_invocation; ++i) {
    const std::string item = "first + " + number(i * pointwise_group), element = "element" + number(i);
    loads += "  const Element " + element + " = load(p, o, min(" + item + ", o.count - 1));\n";
    computes += "  if (" + item + " < o.count) compute(p, o, " + item + ", " + element + ");\n";
  }
  return "layout(local_size_x = " + group +
         ") in;\n\nvoid main() {\n  RETURN_IF_FAILED;\n  Params p = Params(push.params);\n"
         "  Operands o = " +
         operands_text(shape) +
         ";\n"
         "  const uint64_t first = uint64_t(group_number()) * " +
         number(per_invocation * pointwise_group) + " + gl_LocalInvocationIndex;\n  if (first >= o.count) return;\n" +
         loads + computes + "}\n";
}

}  // namespace

bool PointwiseShape::pushes_operands() const { return 1 + dtypes.size() + scalars.size() <= max_pushed_operands; }

bool PointwiseShape::strided() const { return std::find(walks.begin(), walks.end(), Walk::strided) != walks.end(); }

std::string why_not_writable(const std::vector<lks_instr>& instrs) {
  for (const lks_instr& instr : instrs) {
    const bool computes = instr.opcode >= LKS_INSTR_ADD && instr.opcode <= LKS_INSTR_SQRT;
    if (computes && (instr.dtype == LKS_F16 || instr.dtype == LKS_BF16))
      return "there is no arithmetic in 16-bit floats";
  }
  return "";
}

std::string shader_text(const std::vector<lks_instr>& instrs, const std::vector<std::uint32_t>& outputs,
                        const PointwiseShape& shape) {
  const bool axes =
      std::any_of(instrs.begin(), instrs.end(), [](const lks_instr& i) { return i.opcode == LKS_INSTR_INDEX; });
  std::string text = "#version 460\n";
  if (uses(instrs, shape, LKS_F64)) text += "#define WITH_F64\n";
  text += lockstep::embedded::vulkan_common_text();
  text += lockstep::embedded::vulkan_exact_text();
  text += lockstep::embedded::vulkan_convert_text();
  const std::size_t inputs = shape.dtypes.size() - outputs.size();
  return text + params_text(shape, axes) + load_text(instrs, shape, inputs) +
         compute_text(instrs, outputs, shape, inputs, axes) + main_text(shape);
}

}  // namespace vulkan
