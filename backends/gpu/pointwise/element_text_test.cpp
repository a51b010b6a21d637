#include "backends/gpu/pointwise/element_text.h"

#include <gtest/gtest.h>

#include "backends/gpu/pointwise/instruction_text.h"

namespace gpu {
namespace {

constexpr Dialect dialect = {
    .function = "device ",
    .value = "const ",
    .zero_f32 = "0.0f",
    .zero_f64 = "0.0",
    .hidden_zero = "",
    .arithmetic = [](lks_dtype, const char* op, const std::string& a,
                     const std::string& b) { return "rounded(" + a + " " + op + " " + b + ")"; },
    .element = [](const std::string& array,
                  const std::string& index) { return array + "[" + (index.empty() ? "0" : index) + "]"; },
};

lks_instr instruction(std::uint32_t opcode, lks_dtype t, std::uint64_t imm, std::uint32_t a = 0, std::uint32_t b = 0) {
  lks_instr instr{};
  instr.opcode = opcode;
  instr.dtype = t;
  instr.imm = imm;
  instr.args[0] = a;
  instr.args[1] = b;
  return instr;
}

PointwiseShape some_shape() {
  PointwiseShape shape;
  shape.dtypes = {LKS_F32, LKS_F16, LKS_F32, LKS_BOOL};
  shape.walks = {Walk::linear, Walk::single, Walk::linear, Walk::strided};
  shape.per_invocation = 2;
  return shape;
}

TEST(ElementText, is_written_in_the_dialect) {
  const std::vector<lks_instr> instrs = {
      instruction(LKS_INSTR_INPUT, LKS_F32, 0),      instruction(LKS_INSTR_INPUT, LKS_F16, 1),
      instruction(LKS_INSTR_CONVERT, LKS_F32, 0, 1), instruction(LKS_INSTR_ADD, LKS_F32, 0, 0, 2),
      instruction(LKS_INSTR_CONST, LKS_I64, 7),      instruction(LKS_INSTR_CONVERT, LKS_BOOL, 0, 3)};
  EXPECT_FALSE(reads_index(instrs));
  EXPECT_EQ(element_text(dialect, instrs, {3, 5}, some_shape()),
            "struct Element {\n"
            "  float x0;\n"
            "  uint x1;\n"
            "};\n\n"
            "device Element load(Params p, Operands o, uint64_t item) {\n"
            "  Element element;\n"
            "  element.x0 = o.tensor0[uint(item)];\n"
            "  element.x1 = uint(o.tensor1[0]);\n"
            "  return element;\n"
            "}\n\n"
            "device void compute(Params p, Operands o, uint64_t item, Element element) {\n"
            "  int at3 = int(0);\n"
            "  uint rest = uint(item);\n"
            "  for (int d = int(p.rank) - 1; d >= 0; --d) {\n"
            "    const uint extent = uint(p.extents[d]);\n"
            "    const uint k = rest % extent;\n"
            "    rest /= extent;\n"
            "    at3 += int(k) * int(p.strides3[d]);\n"
            "  }\n"
            "  const float v0 = element.x0;\n"
            "  const uint v1 = element.x1;\n"
            "  const float v2 = half_to_float(v1);\n"
            "  const float v3 = rounded(v0 + v2);\n"
            "  const int64_t v4 = int64_t(uint64_t(0x7ul));\n"
            "  const bool v5 = !is_equal(v3, 0.0f);\n"
            "  o.tensor2[uint(item)] = v3;\n"
            "  o.tensor3[at3] = uint8_t(v5 ? 1 : 0);\n"
            "}\n\n");
}

// The values that a compiler must not know are combined with a zero that it cannot know.
TEST(ElementText, hides_what_compilers_get_wrong) {
  Dialect hiding = dialect;
  hiding.hidden_zero = "(o.count >> 63)";
  const std::vector<lks_instr> instrs = {
      instruction(LKS_INSTR_INPUT, LKS_F32, 0),      instruction(LKS_INSTR_CONST, LKS_F32, 0x80000000),
      instruction(LKS_INSTR_ADD, LKS_F32, 0, 0, 1),  instruction(LKS_INSTR_CONST, LKS_F32, 0),
      instruction(LKS_INSTR_LT, LKS_BOOL, 0, 2, 3),  instruction(LKS_INSTR_CONST, LKS_F32, 0x3f800000),
      instruction(LKS_INSTR_MUL, LKS_F32, 0, 2, 5),  instruction(LKS_INSTR_CONVERT, LKS_I64, 0, 6),
      instruction(LKS_INSTR_CONVERT, LKS_F32, 0, 7), instruction(LKS_INSTR_CONVERT, LKS_I64, 0, 8)};
  const auto text = [&](const Dialect& in, std::size_t i) { return instruction_text(in, instrs, i); };
  EXPECT_NE(text(hiding, 1), text(dialect, 1)) << "a zero that is added";
  EXPECT_NE(text(hiding, 1).find("| (o.count >> 63)"), std::string::npos);
  EXPECT_EQ(text(hiding, 3), text(dialect, 3)) << "a zero that is compared";
  EXPECT_EQ(text(hiding, 5), text(dialect, 5)) << "no zero";
  EXPECT_EQ(text(hiding, 7), text(dialect, 7)) << "the first conversion to a long integer";
  EXPECT_NE(text(hiding, 9).find("floatBitsToUint(v8) | uint((o.count >> 63))"), std::string::npos) << "there and back";
  EXPECT_EQ(text(dialect, 9).find("floatBitsToUint"), std::string::npos);
}

TEST(ElementText, loads_all_elements_of_an_invocation_before_it_stores_one) {
  EXPECT_EQ(calls_text(some_shape()),
            "  const Element element0 = load(p, o, min(first + 0, o.count - 1));\n"
            "  const Element element1 = load(p, o, min(first + 256, o.count - 1));\n"
            "  if (first + 0 < o.count) compute(p, o, first + 0, element0);\n"
            "  if (first + 256 < o.count) compute(p, o, first + 256, element1);\n");
}

}  // namespace
}  // namespace gpu
