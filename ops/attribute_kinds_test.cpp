// Attributes that are texts or lists of any length, and the one step that makes attributes canonical.
#include <gtest/gtest.h>

#include "ops/call_op_test.h"
#include "ops/kept_call.h"
#include "tools/driver_struct.h"

namespace lockstep {
namespace {

const Tensor wide = Tensor::abstract({DType::f32, Shape{2, 3}});

const std::string operand =
    "\n  x      Tensor f32 (2, 3) abstract\n  where  called at attribute_kinds_test.cpp:N\n  fix    ";

std::string refusal(const char* op, const Arguments& arguments) {
  return error_text([&] { call_op(op, One{wide}, arguments); });
}

// --------------------------------------------------------------------------------------------- texts, and longer lists

struct LetterAttrs {
  BoundedText<16> letters = "ss";
  BoundedList<20> factors;
};

// Does with x what the letters say, one after the other, and then multiplies it by each factor. The byte 0 negates.
const OpDef& op_of_letters() {
  using A = LetterAttrs;
  static const OpDef& op = []() -> const OpDef& {
    OpDef def = pointwise_op("attribute_kinds_test::letters", [](Expr x) { return x; });
    def.attrs = attr_schema<A>("acme_letters_attrs", attr("letters", &A::letters, "s squares, d doubles"),
                               attr("factors", &A::factors, "of the result", {.kind = ArgumentKind::list}));
    def.infer = [](InferContext& c) {
      for (const char letter : c.attrs<A>().letters.view()) {
        if (letter == 's' || letter == 'd' || letter == 0) continue;
        c.fail(ErrorId::invalid_attribute, std::string("there is no letter ") + letter, "use s and d");
      }
      c.set(0, c.dtype(0), c.shape(0));
    };
    def.body = [](ProgramBuilder&, const OpCall& call, std::span<const Expr> inputs) {
      const A& attrs = call.attrs_as<A>();
      Expr y = inputs[0];
      for (const char letter : attrs.letters.view()) y = letter == 's' ? y * y : letter == 'd' ? y + y : -y;
      for (const std::int64_t factor : attrs.factors.view()) y = y * factor;
      return std::vector<Expr>{y};
    };
    return register_op(std::move(def));
  }();
  return op;
}

// 20 numbers, of which the last one is 3 and all others are 1.
Ints three_at_the_end() {
  Ints factors(20, 1);
  factors.back() = 3;
  return factors;
}

template <std::size_t N>
Ints numbers_in(const BoundedList<N>& list) {
  return {list.view().begin(), list.view().end()};
}

TEST(TextsAndLists, AreGivenByName) {
  const OpDef& op = op_of_letters();
  const Tensor x({1.0f, 2.0f, 3.0f});
  const auto result = [&](const Arguments& arguments) { return values(call_op(op.name, One{x}, arguments)); };
  EXPECT_EQ(result({}), (std::vector<float>{1, 16, 81})) << "the default";
  EXPECT_EQ(result({{"letters", "sd"}}), (std::vector<float>{2, 8, 18}));
  EXPECT_EQ(result({{"letters", "ds"}}), (std::vector<float>{4, 16, 36}));
  EXPECT_EQ(result({{"letters", ""}}), (std::vector<float>{1, 2, 3})) << "not the default";
  EXPECT_EQ(result({{"letters", std::string("s\0", 2)}}), (std::vector<float>{-1, -4, -9}));
  EXPECT_EQ(result({{"letters", "ddddddddddddddds"}}).front(), 0x1p30f) << "as many as there is room for";
  EXPECT_EQ(result({{"letters", "d"}, {"factors", three_at_the_end()}}), (std::vector<float>{6, 12, 18}));
  const Arguments abstract = {{"letters", "sd"}, {"factors", three_at_the_end()}};
  EXPECT_EQ(call_op(op.name, One{wide}, abstract)[0].spec(), wide.spec());
  const LetterAttrs attrs{.letters = "d", .factors = BoundedList<20>(three_at_the_end())};
  EXPECT_EQ(values({invoke1(op, {Operand(x)}, &attrs)}), (std::vector<float>{6, 12, 18}));
}

TEST(TextsAndLists, MayBeGivenToAbstractCalls) {
  const OpDef& op = op_of_letters();
  ASSERT_EQ(op.arguments.size(), 2u);
  EXPECT_EQ(op.arguments[0].kind, ArgumentKind::text) << "which the type of the field says";
  EXPECT_EQ(op.arguments[0].unless_given->to_string(), "ss");
  EXPECT_EQ(op.arguments[1].unless_given->to_string(), "[]");
  EXPECT_EQ(c_struct(op.attrs),
            "typedef struct acme_letters_attrs {\n"
            "  struct { int64_t size; char text[16]; } letters; /* s squares, d doubles */\n"
            "  struct { int64_t count; int64_t values[20]; } factors; /* of the result */\n"
            "} acme_letters_attrs;\n");
  struct Attrs {
    BoundedText<8> order;
  };
  OpDef def = same_def("attribute_kinds_test::ordered_by_text");
  def.attrs = attr_schema<Attrs>("acme_ordered_by_text_attrs",
                                 attr("order", &Attrs::order, "", {.otherwise = "the order of the inputs"}));
  EXPECT_FALSE(register_op(std::move(def)).arguments[0].unless_given) << "an empty text stands for something";
}

TEST(TextsAndLists, OfOtherKindsOrTooLongAreRefused) {
  const std::string name = op_of_letters().name;
  const auto refused = [&](const char* argument, const ArgumentValue& value, const std::string& text) {
    EXPECT_EQ(refusal(name.c_str(), {{argument, value}}),
              "ShapeError[" + text.substr(0, 6) + "] " + name + ": the argument \"" + argument + "\"" + text.substr(6));
  };
  refused("letters", 3, "LS2013 is 3" + operand + "give a text");
  refused("letters", true, "LS2013 is true" + operand + "give a text");
  refused("letters", {1, 2}, "LS2013 is [1, 2]" + operand + "give a text");
  refused("factors", 3, "LS2013 is 3" + operand + "give a list of whole numbers");
  refused("factors", "sd", "LS2013 is \"sd\"" + operand + "give a list of whole numbers");
  refused("letters", std::string(17, 's'),
          "LS2007 has 17 bytes, there is room for 16" + operand + "give at most 16 bytes");
  refused("factors", Ints(21, 1), "LS2007 has 21 numbers, there is room for 20" + operand + "give at most 20 numbers");
  expect_error(ErrorId::invalid_attribute, [] { (void)BoundedText<8>("123456789"); });
  expect_error(ErrorId::invalid_attribute, [] { (void)BoundedList<2>{1, 2, 3}; });
}

TEST(TextsAndLists, OfCallsMadeByHandAreChecked) {
  const OpDef& op = op_of_letters();
  const auto refused = [&](const LetterAttrs& attrs, const std::string& text) {
    expect_error_saying([&] { invoke1(op, {Operand(wide)}, &attrs); }, ErrorId::invalid_attribute, {text},
                        "attribute_kinds_test.cpp:", true);
  };
  LetterAttrs attrs;
  for (const std::int64_t size : {-1, 17}) {
    attrs.letters.size = size;
    refused(attrs, "letters has " + std::to_string(size) + " bytes, a text takes 0 to 16");
  }
  attrs.letters = "ss";
  attrs.letters.text[15] = 'd';
  refused(attrs, "letters has other bytes than 0 behind its text");
  attrs.letters = "ss";
  attrs.factors.count = 21;
  refused(attrs, "factors has 21 numbers, a list takes 0 to 20");
}

TEST(TextsAndLists, OfKindsThatTheyCannotHoldAreRefused) {
  struct Attrs {
    BoundedText<8> text;
    std::int64_t integer = 0;
  };
  const auto with = [](ArgumentKind of_text, ArgumentKind of_integer) {
    OpDef def = same_def("attribute_kinds_test::other_kinds");
    def.attrs = attr_schema<Attrs>("acme_other_kinds_attrs", attr("text", &Attrs::text, "", {.kind = of_text}),
                                   attr("integer", &Attrs::integer, "", {.kind = of_integer}));
    return def;
  };
  using Kind = ArgumentKind;
  for (const Kind kind : {Kind::axis, Kind::axes, Kind::order}) {
    expect_error(ErrorId::invalid_op_definition, [&] { register_op(with(kind, Kind::integer)); });
  }
  for (const Kind kind : {Kind::text, Kind::axes, Kind::order}) {
    expect_error(ErrorId::invalid_op_definition, [&] { register_op(with(Kind::text, kind)); });
  }
  EXPECT_EQ(find_op("attribute_kinds_test::other_kinds"), nullptr);
}

TEST(TextsAndLists, EqualOnesShareAKernel) {
  const OpDef& op = op_of_letters();
  const Tensor x({1.0f, 2.0f, 3.0f});
  const auto& prepares = x.device().state().kernels().counters.prepares;
  const auto call = [&](const std::string& letters) { call_op(op.name, One{x}, {{"letters", letters}}); };
  const std::uint64_t before = prepares;
  call("dsd");
  const std::uint64_t first = prepares;
  EXPECT_GT(first, before);
  call(std::string("ds") + "d");
  EXPECT_EQ(prepares, first);
  call("dss");
  EXPECT_GT(prepares, first);
}

TEST(TextsAndLists, CountForGradients) {
  const OpDef& op = op_of_letters();
  for (const char* letters : {"sd", "ds", "dss", ""}) {
    const Arguments arguments = {{"letters", letters}, {"factors", three_at_the_end()}};
    const GradcheckResult check =
        gradcheck([&](const std::vector<Tensor>& in) { return call_op(op.name, One{in[0]}, arguments)[0]; },
                  {Tensor(std::vector<double>{0.5, -1.25, 2}, Shape{3})});
    EXPECT_TRUE(check.ok) << letters << ": " << check.text;
  }
}

TEST(TextsAndLists, CountForKeptCalls) {
  const OpDef& op = op_of_letters();
  const Tensor x({1.0f, 2.0f, 3.0f});
  const Tensor abstract = abstract_like(x);
  const auto result = [&](const LetterAttrs& attrs) {
    const One operands{abstract};
    const KeepAnswer kept = keep_call({op, operands, &attrs, {}, CallSite::current()}, x.device().state());
    if (!kept.call) return std::vector<float>{};
    TensorImpl* const input = x.impl();
    std::vector<TensorRef> outputs(1);
    kept.call->launch(std::span<TensorImpl* const>(&input, 1), outputs);
    return Tensor::share(outputs[0].get()).to_vector<float>();
  };
  EXPECT_EQ(result({.letters = "sd"}), (std::vector<float>{2, 8, 18}));
  EXPECT_EQ(result({.letters = "d", .factors = BoundedList<20>(three_at_the_end())}), (std::vector<float>{6, 12, 18}));
}

TEST(NormalizeAttributes, OfListsWithOtherCapacities) {
  using Pair = BoundedList<2>;
  using Twelve = BoundedList<12>;
  struct Attrs {
    Pair axes = Pair::missing();
    Twelve order = Twelve::missing();
  };
  OpDef def = same_def("attribute_kinds_test::axes_of_other_capacities");
  def.attrs = attr_schema<Attrs>("acme_axes_attrs", attr("axes", &Attrs::axes, "", {.kind = ArgumentKind::axes}),
                                 attr("order", &Attrs::order, "", {.kind = ArgumentKind::order}));
  const OpDef& op = register_op(std::move(def));
  const auto normalized = [&](Attrs attrs) {
    normalize_attributes(op, One{wide}, &attrs);
    return attrs;
  };
  EXPECT_EQ(numbers_in(normalized({}).axes), (Ints{0, 1}));
  EXPECT_EQ(numbers_in(normalized({}).order), (Ints{1, 0}));
  EXPECT_EQ(numbers_in(normalized({.axes = {-1, 0}}).axes), (Ints{0, 1}));
  EXPECT_EQ(numbers_in(normalized({.order = Twelve(Ints(11, -1))}).order), Ints(11, 1));
  const Tensor cube = Tensor::abstract({DType::f32, Shape{2, 3, 4}});
  expect_error_saying([&] { call_op(op.name, One{cube}); }, ErrorId::invalid_attribute,
                      {op.name, "the argument \"axes\" is not given and stands for all 3 axes, there is room for 2",
                       "give at most 2 axes"},
                      "attribute_kinds_test.cpp:");
}

TEST(NormalizeAttributes, OfAnOpWithoutInputs) {
  struct Attrs {
    std::int64_t side = 1;
  };
  OpDef def;
  def.name = "attribute_kinds_test::square_of_ones";
  def.attrs =
      attr_schema<Attrs>("acme_square_attrs", attr("side", &Attrs::side, "extent", {.kind = ArgumentKind::integer}));
  def.normalize = [](NormalizeContext& c) {
    auto& side = c.attrs<Attrs>().side;
    if (side < 0) c.fail(ErrorId::invalid_attribute, "the side is " + std::to_string(side), "give 0 or more");
    side = 2 * side;
  };
  def.infer = [](InferContext& c) {
    const std::int64_t side = c.attrs<Attrs>().side;
    c.set(0, DType::f32, {side, side});
  };
  def.decompose = [](DecomposeContext& d) { d.set(0, ones(d.output_spec(0).shape)); };
  def.reference = [](RefContext& r) { r.outputs[0].values.assign(r.outputs[0].values.size(), 1); };
  const std::string name = register_op(std::move(def)).name;
  EXPECT_EQ(values(call_op(name, {})), (std::vector<float>{1, 1, 1, 1}));
  expect_error_saying(
      [&] {
        call_op(name, {}, {{"side", -1}});
      },
      ErrorId::invalid_attribute, {"the side is -1"}, "attribute_kinds_test.cpp:");
  Attrs canonical{-1};
  expect_error(ErrorId::invalid_attribute, [&] { normalize_attributes(*find_op(name), {}, &canonical); });
}

// ---------------------------------------------------------------------------------------------- one step for everybody

TEST(NormalizeAttributes, LeavesCanonicalOnesAsTheyAre) {
  for (const OpDef* op : registered_ops()) {
    if (!op->cases) continue;
    for (const OpCase& c : op->cases()) {
      if (c.error || c.attrs.empty()) continue;
      std::vector<Tensor> tensors;
      std::vector<Operand> operands;
      tensors.reserve(c.inputs.size());
      for (const CaseInput& in : c.inputs) {
        tensors.push_back(Tensor::abstract({in.dtype, in.shape}));
        operands.push_back(in.absent ? Operand::absent() : Operand(tensors.back()));
      }
      std::vector<std::byte> attrs = c.attrs;
      normalize_attributes(*op, operands, attrs.data());
      EXPECT_EQ(attrs, c.attrs) << op->name << " " << c.name;
    }
  }
}

TEST(NormalizeAttributes, OfAnOpOfAnApplication) {
  struct Attrs {
    std::int64_t axis = -1;
  };
  OpDef def;
  def.name = "attribute_kinds_test::same";
  def.inputs = {{"x"}};
  def.attrs =
      attr_schema<Attrs>("acme_same_attrs", attr("axis", &Attrs::axis, "from the front", {.kind = ArgumentKind::axis}));
  def.infer = [](InferContext& c) {
    EXPECT_EQ(c.attrs<Attrs>().axis, 1) << "the last of two axes, from the front";
    c.set(0, c.dtype(0), c.shape(0));
  };
  def.decompose = [](DecomposeContext& d) { d.set(0, d.tensor(0)); };
  def.reference = [](RefContext& r) { r.outputs[0].values = r.inputs[0].values; };
  const OpDef& op = register_op(std::move(def));
  ASSERT_EQ(op.arguments.size(), 1u);
  EXPECT_EQ(op.arguments[0].name, "axis");
  EXPECT_EQ(op.arguments[0].unless_given->to_string(), "-1");
  EXPECT_EQ(values(call_op("attribute_kinds_test::same", One{matrix()})), counted);
}

}  // namespace
}  // namespace lockstep
