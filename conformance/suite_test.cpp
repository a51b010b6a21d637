// Tests of the suite itself: case ids, layouts, groups of extents, judging, the bounds file and the table of
// instructions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "conformance/bounds.h"
#include "conformance/case_data.h"
#include "conformance/cases/attributes.h"
#include "conformance/cases/generate.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/large_calls.h"
#include "conformance/cases/number_cases.h"
#include "conformance/cases/pairs.h"
#include "conformance/cases/ranks.h"
#include "conformance/cases/values.h"
#include "conformance/checks/instruction_table.h"
#include "conformance/checks/instructions.h"
#include "conformance/judge.h"
#include "conformance/suite/options.h"
#include "lockstep/lockstep.h"

namespace lockstep::conformance {
namespace {

// The cases that a run generates for an op in all suites but "numbers", which has its own test.
std::vector<TestCase> all_cases(const OpDef& op) {
  const Amount amount{5, 4, 3};
  constexpr MathMode strict = MathMode::strict;
  std::vector<TestCase> all = forward_cases(op, strict, amount);
  for (auto list : {large_call_cases(op, strict, amount), gradient_cases(op, strict, amount),
                    own_cases(op, MathMode::fast, amount), pair_cases(op, strict, amount, {strict, MathMode::fast})}) {
    std::move(list.begin(), list.end(), std::back_inserter(all));
  }
  return all;
}

TEST(Ids, LeadBackToTheSameCase) {
  std::size_t resized = 0, varied = 0, varied_twice = 0, of_higher_rank = 0;
  std::set<std::string> suites;
  for (const OpDef* op : registered_ops()) {
    for (const TestCase& t : all_cases(*op)) {
      suites.insert(t.suite);
      const TestCase back = parse_test_case(t.id());
      ASSERT_EQ(back.id(), t.id());
      ASSERT_EQ(back.call.inputs.size(), t.call.inputs.size()) << t.id();
      for (std::size_t i = 0; i < t.call.inputs.size(); ++i) {
        EXPECT_EQ(back.call.inputs[i].shape, t.call.inputs[i].shape) << t.id();
        EXPECT_EQ(back.call.inputs[i].values.high, t.call.inputs[i].values.high) << t.id();
      }
      EXPECT_EQ(attribute_bytes(*op, back.call), attribute_bytes(*op, t.call)) << t.id();
      resized += t.resized;
      const auto changes = std::count(t.call.name.begin(), t.call.name.end(), '@');
      of_higher_rank += t.call.name.find('^') != std::string::npos;
      varied += changes > 0;
      varied_twice += changes > 1;
    }
  }
  EXPECT_GT(resized, 300u);
  EXPECT_GT(of_higher_rank, 200u);
  EXPECT_GT(varied, 30u);
  EXPECT_GT(varied_twice, 10u);
  EXPECT_EQ(suites, (std::set<std::string>{"beside", "forward", "gradient", "pair", "refusal", "repeat", "rows",
                                           "second_gradient", "sizes", "special_gradient"}));
}

std::vector<Layout> all_layouts() {
  std::vector<Layout> all(std::begin(layouts), std::end(layouts));
  all.insert(all.end(), std::begin(chosen_layouts), std::end(chosen_layouts));
  return all;
}

// Each layout is a view of a block. All views must have the same elements.
TEST(Layouts, AllShowTheSameElements) {
  const Device device("reference");
  for (const Shape& shape : {Shape{7}, Shape{3, 5}, Shape{2, 3, 5}, Shape{2, 3, 4, 5}, Shape{2, 1, 3, 2, 4}}) {
    RefArray a = RefArray::zeros(DType::i32, shape);
    for (std::size_t i = 0; i < a.values.size(); ++i) a.values[i] = static_cast<long double>(i);
    for (Layout layout : all_layouts()) {
      if (shared_dimension(shape, layout)) continue;  // holds only values that are equal along this dimension
      EXPECT_EQ(to_array(to_tensor(a, device, layout)).values, a.values) << name_of(layout) << shape.to_string();
    }
  }
}

TEST(Layouts, NamesLeadBack) {
  for (Layout layout : all_layouts()) EXPECT_EQ(find_layout(name_of(layout)), layout);
  for (unsigned n : {0u, 17u, 18u, mixed_layouts - 1}) {
    EXPECT_EQ(find_layout("mixed." + std::to_string(n)), mixed_layout(n));
  }
  for (const char* wrong : {"mixed.306", "mixed.", "mixed.1x", "odd"}) EXPECT_FALSE(find_layout(wrong)) << wrong;
}

TEST(Layouts, OfMixedOperandsDiffer) {
  const Shape image{2, 3, 4, 5};
  for (unsigned n = 0; n < mixed_layouts; ++n) {
    const Layout mixed = mixed_layout(n);
    EXPECT_NE(layout_of_operand(mixed, 0, image), layout_of_operand(mixed, 1, image)) << n;
  }
}

TEST(Ids, OfNumbersLeadBack) {
  std::size_t count = 0;
  for (const OpDef* op : registered_ops()) {
    for (const TestCase& t : number_cases(*op, MathMode::strict, Amount{})) {
      const TestCase back = parse_test_case(t.id());
      EXPECT_EQ(back.id(), t.id());
      EXPECT_EQ(calls_with_numbers(back).size(), calls_with_numbers(t).size()) << t.id();
      ++count;
    }
  }
  EXPECT_GT(count, 300u);
}

TEST(Numbers, AreCastToEveryDType) {
  std::multiset<DType> targets;
  for (const TestCase& t : number_cases(*find_op("cast"), MathMode::strict, Amount{})) {
    const std::vector<OpCase> calls = calls_with_numbers(t);
    ASSERT_FALSE(calls.empty()) << t.id();
    for (const OpCase& call : calls) EXPECT_EQ(infer_outputs(*t.op, call), infer_outputs(*t.op, calls[0])) << t.id();
    targets.insert(infer_outputs(*t.op, calls[0])->front().dtype);
  }
  std::multiset<DType> all;
  for (int t = 0; t < dtype_count; ++t) all.insert(static_cast<DType>(t));
  EXPECT_EQ(targets, all) << "one case each";
}

TEST(Numbers, TakeEverySetOfPositions) {
  std::set<std::string> sets;
  for (const TestCase& t : number_cases(*find_op("clip"), MathMode::strict, Amount{})) sets.insert(t.numbers);
  EXPECT_EQ(sets, (std::set<std::string>{"0", "1", "2", "0.1", "0.2", "1.2", "0.1.2"}));
}

// A number beside a tensor that holds NaN, infinities and the ends of the format.
TEST(Numbers, MeetEveryCorner) {
  std::set<std::string> sets;
  for (const TestCase& t : number_cases(*find_op("clip"), MathMode::fast, Amount{})) {
    if (t.dtype() != DType::f32 || t.values != Values::corners) continue;
    sets.insert(t.numbers);
    TestCase called = t;
    called.call = calls_with_numbers(t).front();
    const std::vector<RefArray> inputs = case_inputs(called);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (called.call.inputs[i].scalar) continue;
      const std::vector<long double>& values = inputs[i].values;
      EXPECT_TRUE(std::any_of(values.begin(), values.end(), [](long double v) { return std::isnan(v); })) << t.id();
      EXPECT_GE(std::count(values.begin(), values.end(), -INFINITY), 1) << t.id();
    }
  }
  EXPECT_EQ(sets, (std::set<std::string>{"0", "1", "2", "0.1", "0.2", "1.2"})) << "at least one operand is a tensor";
}

TEST(Numbers, IncludeThoseWithShortCuts) {
  std::set<double> exponents;
  for (const TestCase& t : number_cases(*find_op("pow"), MathMode::strict, Amount{})) {
    if (t.dtype() != DType::f32 || t.numbers != "1") continue;
    for (const OpCase& call : calls_with_numbers(t)) exponents.insert(call.inputs[1].scalar->as_double());
  }
  for (const double number : {0.5, -1.0, 3.0}) EXPECT_TRUE(exponents.count(number)) << number;
}

TEST(Values, OfSortedKeysReachTheEndsOfTheirDType) {
  bool found = false;
  for (const TestCase& t : forward_cases(*find_op("argsort"), MathMode::lockstep, Amount{})) {
    if (t.values != Values::ends || t.call.inputs[0].shape.size() < 30) continue;
    found = true;
    const std::vector<long double> keys = case_inputs(t)[0].values;
    EXPECT_GT(std::count(keys.begin(), keys.end(), 0x1p63L - 1), 1) << t.id();
    EXPECT_GT(std::count(keys.begin(), keys.end(), -0x1p63L), 1) << t.id();
  }
  EXPECT_TRUE(found);
}

// Strict mode has these cases if it is tested too.
TEST(LockstepMode, AloneHasPairsAndHugeCalls) {
  Amount amount;
  amount.alone = true;
  const OpDef &copy = *find_op("copy"), &sum = *find_op("sum");
  const std::vector<TestCase> pairs = pair_cases(sum, MathMode::lockstep, amount, {MathMode::lockstep});
  EXPECT_GT(pairs.size(), 5u);
  for (const TestCase& t : pairs) EXPECT_EQ(t.after.find("mode."), std::string::npos) << t.id();
  const auto is_huge = [](const TestCase& t) { return t.call.inputs[0].shape.size() > 1 << 24; };
  const auto count_huge = [&](const Amount& of) {
    const std::vector<TestCase> all = large_call_cases(copy, MathMode::lockstep, of);
    return std::count_if(all.begin(), all.end(), is_huge);
  };
  EXPECT_EQ(count_huge(amount), 1);
  EXPECT_EQ(count_huge(Amount{}), 0);
}

// Long lines whose last element has the answer: enough of them that each dtype has one for each of its faults.
TEST(LongLines, AreChosenFromInEveryModeAndDType) {
  for (const char* name : {"max", "min", "argmax"}) {
    for (const MathMode mode : {MathMode::fast, MathMode::lockstep}) {
      std::set<DType> dtypes, own;
      for (const OpCase& c : find_op(name)->cases()) own.insert(dtype_of(*find_op(name), c));
      for (const TestCase& t : large_call_cases(*find_op(name), mode, Amount{})) {
        if (t.values == Values::extremes && t.call.inputs[0].shape.size() >= 184 * 1025) dtypes.insert(t.dtype());
      }
      EXPECT_EQ(dtypes, own) << name << " " << lockstep::name_of(mode);
    }
  }
}

TEST(Ids, AreRefusedWithWhatIsWrong) {
  const auto message = [](const std::string& id) -> std::string {
    try {
      parse_test_case(id);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_NE(message("nonsense").find("is not a case id"), std::string::npos);
  EXPECT_NE(message("forward/nope/f32/strict/f32.small/dense/drawn#1").find("no op \"nope\""), std::string::npos);
  EXPECT_NE(message("forward/matmul/f32/strict/f32.tiny/dense/drawn#1").find("no case \"f32.tiny\""),
            std::string::npos);
  EXPECT_NE(message("forward/matmul/f32/strict/f32.small/odd/drawn#1").find("no layout \"odd\""), std::string::npos);
  EXPECT_NE(message("forward/matmul/f32/loose/f32.small/dense/drawn#1").find("no math mode"), std::string::npos);
  EXPECT_NE(message("forward/matmul/f32/strict/f32.small~3x4,5x6/dense/drawn#1").find("these shapes"),
            std::string::npos);
  EXPECT_NE(message("forward/matmul/f64/strict/f32.small/dense/drawn#1").find("not f64"), std::string::npos);
}

TEST(Extents, OfAProductAreThree) {
  const OpDef& matmul = *find_op("matmul");
  const OpCase small{"f32/small", {{Shape{3, 4}}, {Shape{4, 5}}}};
  const auto groups = extent_groups(matmul, small);
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[1].dims.size(), 2u) << "the inner extent is one number";
  const auto grown = resized(matmul, small, groups, {7, 9, 11});
  ASSERT_TRUE(grown);
  EXPECT_EQ(grown->inputs[0].shape, (Shape{7, 9}));
  EXPECT_EQ(grown->inputs[1].shape, (Shape{9, 11}));
}

RefArray of(std::vector<long double> values, std::vector<long double> budget = {}) {
  return {DType::f32, Shape{static_cast<std::int64_t>(values.size())}, std::move(values), std::move(budget)};
}

// An op with a text, and a list that is longer than a shape. Its infer takes nothing but one text.
TEST(Attributes, TextsStayAndLongListsVary) {
  struct Attrs {
    BoundedText<16> axis = "rows";
    BoundedList<20> shape;
  };
  OpDef op;
  op.name = "suite_test::letters";
  op.inputs = {{"x"}};
  op.attrs = attr_schema<Attrs>("suite_letters_attrs", attr("axis", &Attrs::axis, ""),
                                attr("shape", &Attrs::shape, "", {.kind = ArgumentKind::list}));
  op.infer = [](InferContext& c) {
    if (c.attrs<Attrs>().axis.view() != "columns") c.fail(ErrorId::invalid_attribute, "", "");
    c.set(0, c.dtype(0), c.shape(0));
  };
  const OpCase own =
      OpCase{"own", {{Shape{2, 3}}}}.with(Attrs{.axis = "columns", .shape = BoundedList<20>(Ints(20, 7))});
  const auto changed = with_attributes(op, own, "shape.19=9");
  ASSERT_TRUE(changed);
  Attrs attrs;
  std::memcpy(&attrs, changed->attrs.data(), sizeof attrs);
  EXPECT_EQ(attrs.axis.view(), "columns");
  EXPECT_EQ(attrs.shape[19], 9);
  EXPECT_FALSE(with_attributes(op, own, "axis=1")) << "a text is not an integer";
  EXPECT_FALSE(with_attributes(op, own, "shape.20=1"));
  EXPECT_FALSE(shape_list(op)) << "a list of 20 numbers is not a shape";
  const std::vector<Base> bases = {{own, extent_groups(op, own)}};
  EXPECT_EQ(bases[0].groups.size(), 2u) << "both extents are free";
  EXPECT_EQ(attribute_variations(op, bases, 30, 1).size(), 60u);
  EXPECT_TRUE(with_rank(op, own, 5, false)) << "no axis has to follow";
  EXPECT_FALSE(with_rank(op, own, 5, true));
}

TEST(Judging, KnowsUlpNaNAndSignsOfZero) {
  Measure two;
  two.bound.ulp = 2;
  EXPECT_TRUE(judge(of({1 + 0x1p-22L}), of({1}), two).ok);
  EXPECT_FALSE(judge(of({1 + 0x1.8p-22L}), of({1}), two).ok);
  EXPECT_FALSE(judge(of({NAN}), of({1}), two).ok);
  EXPECT_FALSE(judge(of({1}), of({NAN}), two).ok);
  EXPECT_TRUE(judge(of({NAN}), of({NAN}), two).ok);
  EXPECT_FALSE(judge(of({INFINITY}), of({1e30L}), two).ok);
  const Bound& exact = Bounds::built_in().find(ErrorClass::exact, DType::f32, MathMode::strict);
  EXPECT_FALSE(judge(of({-0.0L}), of({0.0L}), Measure{exact}).ok);
  EXPECT_NEAR(judge(of({1 + 0x1p-23L, 1}), of({1, 1}), two).errors.mean_signed_ulp, 0.5, 1e-6);
}

TEST(Judging, MeasuresByTheOperandsWhereRoundingsAddUp) {
  const Bound& rounded = Bounds::built_in().find(ErrorClass::rounded, DType::f32, MathMode::strict);
  const Verdict once = judge(of({1 + 0x1p-23L}), of({1}, {1}), Measure{rounded});
  EXPECT_FALSE(once.ok);
  EXPECT_FALSE(once.by_budget);
  // 1 + 0x1p-20 - 1 with rounded operands: the error is a large part of the result, so ULPs of the result are
  // meaningless.
  const Verdict added_up = judge(of({0x1p-20L + 0x1p-24L}), of({0x1p-20L}, {2}), Measure{rounded});
  EXPECT_TRUE(added_up.ok);
  EXPECT_TRUE(added_up.by_budget);
  EXPECT_LE(added_up.worst_ulp, 64);
}

TEST(Judging, MistrustsWhatCannotTell) {
  Measure loose;
  loose.bound.roundings = 1;
  EXPECT_FALSE(judge(of({1}), of({1}, {0x1p24L}), loose).discriminates) << "anything from 0 to 2 would pass";
  EXPECT_TRUE(judge(of({1}), of({1}, {4}), loose).discriminates);
}

TEST(BoundsFile, EveryRowHasItsReason) {
  EXPECT_EQ(Bounds::built_in().find(ErrorClass::elementary, DType::f32, MathMode::strict).ulp, 2);
  EXPECT_EQ(Bounds::built_in().find(ErrorClass::transcendental, DType::f32, MathMode::strict).ulp, 4);
  EXPECT_EQ(Bounds::built_in().find(ErrorClass::power, DType::f32, MathMode::strict).ulp, 16);
  for (const DeviceInfo& device : devices()) {
    EXPECT_EQ(Bounds::built_in().text().find("\"" + device.driver + "\""), std::string::npos) << "no driver is named";
  }
}

TEST(BoundsFile, NonsenseIsRefused) {
  const auto refused = [](const std::string& text) {
    try {
      Bounds::parse(text, "mine.json");
    } catch (const IoError& e) {
      return e.id() == ErrorId::corrupt && std::string(e.what()).find("mine.json") != std::string::npos;
    }
    return false;
  };
  const std::string rest = R"("dtypes": ["f32"], "modes": ["strict"], "rationale": "r", "source": "s")";
  EXPECT_FALSE(refused(R"({"rows": [{"class": "sum", "ulp": 1, )" + rest + "}]}"));
  EXPECT_TRUE(refused("{"));
  EXPECT_TRUE(refused(R"({"rows": []})"));
  EXPECT_TRUE(refused(R"({"rows": [{"class": "sums", "ulp": 1, )" + rest + "}]}"));
  EXPECT_TRUE(refused(R"({"rows": [{"class": "sum", "ulp": -1, )" + rest + "}]}"));
  EXPECT_TRUE(refused(R"({"rows": [{"class": "sum", "ulp": "1", )" + rest + "}]}"));
  EXPECT_TRUE(refused(R"({"rows": [{"class": "sum", )" + rest + "}]}"));
  EXPECT_TRUE(refused(R"({"rows": [{"class": "sum", "ulp": 1, "driver": "cpu", )" + rest + "}]}"));
}

// A new opcode needs a row in instruction_table.cpp.
TEST(Instructions, AreAllAskedFor) {
  std::set<std::uint32_t> asked;
  for (const InstructionGroup& group : instruction_groups()) {
    for (const Instruction& i : group.instructions) asked.insert(i.opcode);
  }
  std::ifstream header(DRIVER_HEADER);
  std::stringstream text;
  text << header.rdbuf();
  const std::string all = text.str();
  std::size_t found = 0;
  for (std::size_t at = all.find("LKS_INSTR_"); at != std::string::npos; at = all.find("LKS_INSTR_", at + 1)) {
    const std::size_t equals = all.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", at);
    if (all.compare(equals, 3, " = ") != 0) continue;
    const auto opcode = static_cast<std::uint32_t>(std::stoul(all.substr(equals + 3)));
    if (opcode < LKS_INSTR_ADD) continue;  // inputs, constants and indices, which the ops' own programs cover
    ++found;
    EXPECT_TRUE(asked.count(opcode)) << all.substr(at, equals - at);
  }
  EXPECT_GE(found, 21u);
}

TEST(Instructions, AreThoseOfTheGuide) {
  std::ifstream guide(DRIVER_GUIDE);
  std::stringstream text;
  text << guide.rdbuf();
  EXPECT_NE(
      text.str().find("<!-- instructions -->\n\n" + instructions_as_markdown() + "\n<!-- end of instructions -->"),
      std::string::npos)
      << "docs/adding_a_driver.md needs this table:\n"
      << instructions_as_markdown();
}

TEST(Patterns, HaveStarsAndQuestionMarks) {
  EXPECT_TRUE(fits_pattern("conv2d*", "conv2d_backward_input"));
  EXPECT_TRUE(fits_pattern("*_backward*", "max_pool2d_backward"));
  EXPECT_TRUE(fits_pattern("m?x", "max"));
  EXPECT_FALSE(fits_pattern("max", "max_pool2d"));
  EXPECT_FALSE(fits_pattern("*x", "exp"));
}

}  // namespace
}  // namespace lockstep::conformance
