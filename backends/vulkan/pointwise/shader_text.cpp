#include "backends/vulkan/pointwise/shader_text.h"

#include <algorithm>

#include "backends/vulkan/device/pipelines.h"

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

constexpr gpu::Dialect glsl = {
    .function = "",
    .value = "precise const ",
    .zero_f32 = "0.0",
    .zero_f64 = "0.0lf",
    // Mesa 22.3 miscompiles comparisons of a widened int with a constant of 64 bits, leaves out additions of and
    // multiplications by a zero that it knows, and leaves out a conversion of a long integer to a float and back.
    .hidden_zero = "(o.count >> 63)",
    .arithmetic = [](lks_dtype, const char* op, const std::string& a,
                     const std::string& b) { return a + " " + op + " " + b; },
    .element =
        [](const std::string& array, const std::string& index) {
          return index.empty() ? array + ".v" : "(" + array + " + " + index + ").v";
        },
};

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
  if (!pushes_operands(shape)) text += "  Operands operands;\n";
  text += "  int64_t rank;\n";
  if (shape.strided() || axes) {
    text += "  int64_t extents[" + number(LKS_MAX_RANK) + "];\n";
    for (std::size_t i = 0; i < shape.dtypes.size(); ++i) {
      if (shape.walks[i] == gpu::Walk::strided)
        text += "  int64_t strides" + number(i) + "[" + number(LKS_MAX_RANK) + "];\n";
    }
  }
  return text + "};\n\n";
}

std::string operands_text(const PointwiseShape& shape) {
  if (!pushes_operands(shape)) return "p.operands";
  std::string text = "Operands(push.words[0]";
  std::size_t next = 1;
  for (const lks_dtype t : shape.dtypes)
    text += std::string(", ") + array_of(t) + "(push.words[" + number(next++) + "])";
  for (std::size_t i = 0; i < shape.scalars.size(); ++i) text += ", push.words[" + number(next++) + "]";
  return text + ")";
}

std::string main_text(const PointwiseShape& shape) {
  return "layout(local_size_x = " + number(gpu::pointwise_group) +
         ") in;\n\nvoid main() {\n  RETURN_IF_FAILED;\n  Params p = Params(push.params);\n"
         "  Operands o = " +
         operands_text(shape) +
         ";\n"
         "  const uint64_t first = uint64_t(group_number()) * " +
         number(shape.per_invocation * gpu::pointwise_group) +
         " + gl_LocalInvocationIndex;\n  if (first >= o.count) return;\n" + gpu::calls_text(shape) + "}\n";
}

}  // namespace

bool pushes_operands(const PointwiseShape& shape) {
  return 1 + shape.dtypes.size() + shape.scalars.size() <= max_pushed_words;
}

std::string shader_text(const std::vector<lks_instr>& instrs, const std::vector<std::uint32_t>& outputs,
                        const PointwiseShape& shape) {
  std::string text = "#version 460\n";
  if (uses(instrs, shape, LKS_F64)) text += "#define WITH_F64\n";
  text += lockstep::embedded::vulkan_common_text();
  text += lockstep::embedded::vulkan_exact_text();
  text += lockstep::embedded::vulkan_convert_text();
  text += "PUSH_CONSTANTS(uint64_t words[" + number(max_pushed_words) + "];);\n";
  return text + params_text(shape, gpu::reads_index(instrs)) + gpu::element_text(glsl, instrs, outputs, shape) +
         main_text(shape);
}

}  // namespace vulkan
