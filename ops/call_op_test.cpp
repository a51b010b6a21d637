// Calls by name give what the public functions give, and refuse what they refuse, with the same errors.
#include "lockstep/call_op.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "lockstep/lockstep.h"
#include "ops/kept_call.h"
#include "ops/launch_number.h"
#include "runtime/expect_error.h"
#include "tools/driver_struct.h"

namespace lockstep {
namespace {

using One = std::array<Operand, 1>;
using Two = std::array<Operand, 2>;

const std::vector<float> counted = {1, 2, 3, 4, 5, 6};
Tensor matrix() { return Tensor(counted, Shape{2, 3}); }

std::vector<float> values(const std::vector<Tensor>& results) { return results.at(0).to_vector<float>(); }

template <class F>
void expect_error(ErrorId id, F&& f) {
  expect_error_saying(f, id, {""}, nullptr);
}

TEST(CallByName, ReducesOverAxes) {
  const Tensor x = matrix();
  EXPECT_EQ(values(call_op("sum", One{x})), (std::vector<float>{21}));
  EXPECT_EQ(values(call_op("sum", One{x}, {{"axes", {1}}})), (std::vector<float>{6, 15}));
  EXPECT_EQ(values(call_op("sum", One{x}, {{"axes", -2}})), (std::vector<float>{5, 7, 9}));
  const std::vector<std::int64_t> empty;
  for (const char* op : {"sum", "mean", "max", "min"}) {
    const Tensor all = call_op(op, One{x})[0];
    EXPECT_EQ(call_op(op, One{x}, {{"axes", empty}})[0].to_bytes(), all.to_bytes()) << op << " over all axes";
    EXPECT_EQ(call_op(op, One{Tensor(3.0f)}, {{"axes", empty}})[0].shape(), Shape{}) << op;
  }
  EXPECT_EQ(values(call_op("sum", One{x}, {{"axes", empty}})), values({sum(x, {.axes = {}})}));
  EXPECT_EQ(values(call_op("sum", One{x}, {{"axes", {}}})), (std::vector<float>{21})) << "as the header writes it";
  EXPECT_EQ(call_op("max", One{x}, {{"axes", {-1, 0}}, {"keep", true}})[0].shape(), (Shape{1, 1}));
  EXPECT_EQ(call_op("argmax", One{x})[0].to_vector<std::int64_t>(), (std::vector<std::int64_t>{2, 2}));
}

TEST(CallByName, ConvertsAndMoves) {
  const Tensor x = matrix();
  EXPECT_EQ(call_op("cast", One{x}, {{"to", "i32"}})[0].dtype(), DType::i32);
  EXPECT_EQ(call_op("cast", One{x}, {{"to", DType::f64}})[0].dtype(), DType::f64);
  EXPECT_EQ(values(call_op("transpose", One{x})), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(values(call_op("transpose", One{x}, {{"order", Ints{}}})), values({transpose(x, Ints{})}));
  EXPECT_EQ(values(call_op("transpose", One{x}, {{"order", {-1, 0}}})), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(call_op("reshape", One{x}, {{"shape", {3, -1}}})[0].shape(), (Shape{3, 2}));
  EXPECT_EQ(values(call_op("slice", One{x}, {{"axes", {1}}, {"starts", {-1}}, {"steps", {-2}}})),
            (std::vector<float>{3, 1, 6, 4}));
  EXPECT_EQ(values(call_op("slice", One{x}, {{"axes", {0, 1}}, {"starts", {1, 0}}, {"stops", {2, 2}}})),
            (std::vector<float>{4, 5}));
  EXPECT_EQ(values(call_op("pad", One{x}, {{"before", {0, 1}}, {"after", {0, 0}}, {"value", 9}})),
            (std::vector<float>{9, 1, 2, 3, 9, 4, 5, 6}));
  EXPECT_EQ(values(call_op("concat", Two{x, x}, {{"axis", -1}})),
            (std::vector<float>{1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}));
  EXPECT_EQ(values(call_op("full", {}, {{"shape", {2}}, {"value", 2.5}})), (std::vector<float>{2.5, 2.5}));
  EXPECT_EQ(call_op("arange", {}, {{"shape", {3}}, {"step", 2}})[0].to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{0, 2, 4}));
  const Device device = x.device();
  EXPECT_EQ(call_op("to_device", One{x}, {{"device", std::string(device.name())}})[0].device(), device);
}

TEST(CallByName, MultipliesMatrices) {
  const Tensor x = matrix();
  EXPECT_EQ(values(call_op("matmul", Two{x, x}, {{"transpose_b", true}})), (std::vector<float>{14, 32, 32, 77}));
  EXPECT_EQ(call_op("matmul", Two{x, x}, {{"transpose_a", true}})[0].shape(), (Shape{3, 3}));
}

TEST(CallByName, TakesPaddingAsNumbersAndAsAChoice) {
  const Tensor x = ones({1, 5, 5, 1}), w = ones({1, 3, 3, 1});
  const auto shape = [&](const Arguments& arguments) { return call_op("conv2d", Two{x, w}, arguments)[0].shape(); };
  EXPECT_EQ(shape({}), (Shape{1, 3, 3, 1}));
  EXPECT_EQ(shape({{"padding", "valid"}}), (Shape{1, 3, 3, 1}));
  EXPECT_EQ(shape({{"padding", "same"}}), (Shape{1, 5, 5, 1}));
  EXPECT_EQ(shape({{"padding", "same"}, {"strides", {2, 1}}}), (Shape{1, 3, 5, 1}));
  EXPECT_EQ(shape({{"padding", {1, 0, 0, 0}}}), (Shape{1, 4, 3, 1}));
  // Empty lists are those that are not given, as in SpatialConvolution and SpatialPool.
  const Ints empty;
  EXPECT_EQ(call_op("conv", Two{x, w}, {{"strides", empty}, {"dilation", empty}})[0].shape(), conv(x, w).shape());
  EXPECT_EQ(call_op("max_pool", One{x}, {{"window", empty}, {"strides", empty}})[0].shape(), max_pool(x).shape());
  // Strides of pooling are those of the window unless they are given.
  EXPECT_EQ(call_op("avg_pool2d", One{x}, {{"window", {2, 1}}})[0].shape(), (Shape{1, 2, 5, 1}));
  EXPECT_EQ(call_op("avg_pool2d", One{x}, {{"padding", "same"}})[0].shape(), (Shape{1, 3, 3, 1}));
  const std::vector<Tensor> pooled = call_op("max_pool2d", One{x}, {{"strides", {1, 1}}});
  ASSERT_EQ(pooled.size(), 2u) << "all outputs";
  EXPECT_EQ(pooled[0].shape(), (Shape{1, 4, 4, 1}));
  EXPECT_EQ(pooled[1].dtype(), DType::i32);
}

TEST(CallByName, DrawsTheNumbersOfItsKey) {
  const Arguments key = {{"shape", {5}}, {"seed", 3}, {"stream", 4}};
  const auto drawn = random_uniform({5}, 0, 1, {.key = RandomKey{3, 4}}).to_vector<float>();
  EXPECT_EQ(values(call_op("random_uniform", {}, key)), drawn);
  constexpr std::uint64_t high = std::uint64_t{1} << 63, most = ~std::uint64_t{0};
  for (const RandomKey& large : {RandomKey{high, 4}, RandomKey{3, most}, RandomKey{most, high}}) {
    const Arguments numbers = {{"shape", {5}}, {"seed", large.seed}, {"stream", large.stream}};
    EXPECT_EQ(values(call_op("random_uniform", {}, numbers)),
              random_uniform({5}, 0, 1, {.key = large}).to_vector<float>());
  }
  set_seed(7);
  const RandomKey next = random_position();
  const auto of_thread = values(call_op("random_normal", {}, {{"shape", {5}}}));
  EXPECT_EQ(of_thread, random_normal({5}, 0, 1, {.key = next}).to_vector<float>());
  EXPECT_EQ(random_position().stream, next.stream + 1) << "the call takes one key of the thread";
  EXPECT_EQ(values(call_op("dropout", One{matrix()}, {{"rate", 0}})), counted);
  EXPECT_EQ(call_op("random_permutation", {}, {{"n", 1}})[0].to_vector<std::int64_t>(), (std::vector<std::int64_t>{0}));
}

// -------------------------------------------------------------------------------------------------------------
// refusals

const Tensor wide = Tensor::abstract({DType::f32, Shape{2, 3}});
const std::string operand =
    "\n  x      Tensor f32 (2, 3) description\n  where  called at call_op_test.cpp:N\n  fix    ";

std::string refusal(const char* op, const Arguments& arguments) {
  return error_text([&] { call_op(op, One{wide}, arguments); });
}

TEST(CallByName, RefusesWhatIsNotThere) {
  const std::string no_op = error_text([] { call_op("acme::swish", {}); });
  EXPECT_TRUE(no_op.starts_with("StateError[LS1011] acme::swish: there is no op of that name\n")) << no_op;
  EXPECT_EQ(refusal("sum", {{"dim", 1}}),
            "ShapeError[LS2012] sum: there is no argument \"dim\"" + operand + "the op takes axes, keep");
  EXPECT_EQ(refusal("exp", {{"axis", 1}}),
            "ShapeError[LS2012] exp: there is no argument \"axis\"" + operand + "the op takes inputs alone");
}

// Tensors keep their values, so an op that writes into an input cannot be called by name.
TEST(CallByName, RefusesOpsWithoutAPublicFunction) {
  const std::string start = "StateError[LS1011] ", where = "\n  where  called at call_op_test.cpp:N\n  fix    ";
  const Tensor x = ones({2}), gradient = ones({2});
  const Tensor shares_memory = x;
  EXPECT_EQ(error_text([&] {
              call_op("sgd_update", Two{x, gradient}, {{"rate", 0.5}});
            }),
            start + "sgd_update: the op writes into its input w, and tensors keep their values" + where +
                "update variables with Optimizer::apply or Variable::assign");
  EXPECT_EQ(shares_memory.to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(error_text([&] { call_op("copy", One{x}); }),
            start + "copy: the op is a part of other ops and has no public function" + where +
                "`lockstep ops` lists the ops that have one");
  for (const OpDef* op : registered_ops()) {
    const bool writes =
        std::any_of(op->inputs.begin(), op->inputs.end(), [](const InputDef& input) { return input.mutable_; });
    if (op->internal || writes) expect_error(ErrorId::unknown_op, [&] { call_op(op->name, {}); });
  }
}

TEST(CallByName, ShowsWhatWasGiven) {
  EXPECT_EQ(refusal("softmax", {{"axis", 1.0}}),
            "ShapeError[LS2013] softmax: the argument \"axis\" is 1.0" + operand + "give a whole number");
  EXPECT_EQ(refusal("sum", {{"keep", "true"}}),
            "ShapeError[LS2013] sum: the argument \"keep\" is \"true\"" + operand + "give true or false");
  EXPECT_EQ(ArgumentValue(-2.0).to_string(), "-2.0");
  EXPECT_EQ(ArgumentValue(0.5).to_string(), "0.5");
  EXPECT_EQ(ArgumentValue(1e20).to_string(), "1e+20");
  EXPECT_EQ(ArgumentValue(std::nan("")).to_string(), "nan");
  EXPECT_EQ(ArgumentValue(1).to_string(), "1");
}

TEST(CallByName, RefusesOtherKinds) {
  EXPECT_EQ(refusal("sum", {{"keep", 1}}),
            "ShapeError[LS2013] sum: the argument \"keep\" is 1" + operand + "give true or false");
  EXPECT_EQ(refusal("sum", {{"axes", "all"}}),
            "ShapeError[LS2013] sum: the argument \"axes\" is \"all\"" + operand + "give an axis or a list of axes");
  EXPECT_EQ(refusal("softmax", {{"axis", 0.5}}),
            "ShapeError[LS2013] softmax: the argument \"axis\" is 0.5" + operand + "give a whole number");
  EXPECT_EQ(refusal("softmax", {{"axis", 0}, {"axis", 1}}),
            "ShapeError[LS2013] softmax: the argument \"axis\" is given twice" + operand + "give it once");
  EXPECT_EQ(refusal("cast", {}),
            "ShapeError[LS2013] cast: the argument \"to\" is missing" + operand + "give a dtype, such as \"f32\"");
  EXPECT_EQ(refusal("avg_pool2d", {{"padding", "full"}}),
            "ShapeError[LS2013] avg_pool2d: the argument \"padding\" is \"full\"" + operand +
                "give \"valid\", \"same\", a list of whole numbers");
  EXPECT_EQ(refusal("sum", {{"axes", ~std::uint64_t{0}}}),
            "ShapeError[LS2013] sum: the argument \"axes\" is 18446744073709551615" + operand +
                "give an axis or a list of axes");
  expect_error(ErrorId::unknown_dtype, [] { call_op("cast", One{wide}, {{"to", "f8"}}); });
}

TEST(CallByName, RefusesWrongInputs) {
  EXPECT_EQ(error_text([] { call_op("add", One{wide}); }),
            "ShapeError[LS2011] add: input b is missing\n  a      Tensor f32 (2, 3) description\n"
            "  where  called at call_op_test.cpp:N\n  fix    give it");
  expect_error(ErrorId::wrong_input_count, [] { call_op("exp", Two{wide, wide}); });
  expect_error(ErrorId::wrong_input_count, [] { call_op("concat", {}); });
}

TEST(CallByName, RefusesAsThePublicFunctionDoes) {
  EXPECT_EQ(refusal("sum", {{"axes", {5}}}), error_text([] { sum(wide, {.axes = {5}}); }));
  EXPECT_EQ(refusal("softmax", {{"axis", 2}}), error_text([] { softmax(wide, 2); }));
  EXPECT_EQ(refusal("transpose", {{"order", {0, 0}}}), error_text([] { transpose(wide, Ints{0, 0}); }));
  EXPECT_EQ(refusal("transpose", {{"order", {0, 1, 2, 3, 4, 5, 6, 7, 8}}}), error_text([] {
              transpose(wide, Ints{0, 1, 2, 3, 4, 5, 6, 7, 8});
            }));
  EXPECT_EQ(refusal("reshape", {{"shape", {-1, -1}}}), error_text([] { reshape(wide, {-1, -1}); }));
  EXPECT_EQ(refusal("avg_pool2d", {{"padding", "same"}}),
            error_text([] { avg_pool2d(wide, {.padding = Padding::same()}); }));
  const std::vector<std::int64_t> nine(9, 1);
  EXPECT_EQ(refusal("broadcast_to", {{"shape", nine}}),
            "ShapeError[LS2005] broadcast_to: rank 9 exceeds the limit of 8" + operand + "merge dimensions");
  expect_error(ErrorId::invalid_shape, [&] { call_op("full", {}, {{"shape", nine}, {"value", 1}}); });
  // A negative extent is not taken for the handle of a symbolic one.
  (void)Dim::symbol("batch");
  expect_error(ErrorId::invalid_shape, [] { call_op("broadcast_to", One{wide}, {{"shape", {-1, 3}}}); });
}

// ------------------------------------------------------------------------------------------------ ops of applications

OpDef same_def(std::string name) {
  OpDef def;
  def.name = std::move(name);
  def.inputs = {{"x"}};
  def.infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); };
  def.decompose = [](DecomposeContext& d) { d.set(0, d.tensor(0)); };
  def.reference = [](RefContext& r) { r.outputs[0].values = r.inputs[0].values; };
  return def;
}

struct AttrsOfAllKinds {
  std::int64_t integer = 0, truth = 0, dtype = 0, axis = 0, device = 0, choice = 0, unspecified = 0;
  double real = 0;
  IntList axes, order, extents, list;
  BoundedList<20> long_list;
  BoundedText<8> text;
};

// Has an attribute of each kind, whose name is the kind, and a number.
const OpDef& op_of_all_kinds() {
  using A = AttrsOfAllKinds;
  static const OpDef& op = []() -> const OpDef& {
    const auto kind = [](ArgumentKind k) { return ArgumentDef{.kind = k}; };
    OpDef def = same_def("call_op_test::all_kinds");
    def.attrs = attr_schema<A>(
        "acme_all_kinds_attrs", attr("integer", &A::integer, "", kind(ArgumentKind::integer)),
        attr("truth", &A::truth, "", kind(ArgumentKind::truth)),
        attr("dtype", &A::dtype, "", kind(ArgumentKind::dtype)), attr("axis", &A::axis, "", kind(ArgumentKind::axis)),
        attr("device", &A::device, "", kind(ArgumentKind::device)),
        attr("choice", &A::choice, "", {.kind = ArgumentKind::choice, .choices = {"first", "second"}}),
        attr("unspecified", &A::unspecified, ""), attr("real", &A::real, "", kind(ArgumentKind::real)),
        attr("axes", &A::axes, "", kind(ArgumentKind::axes)), attr("order", &A::order, "", kind(ArgumentKind::order)),
        attr("extents", &A::extents, "", kind(ArgumentKind::extents)),
        attr("list", &A::list, "", kind(ArgumentKind::list)),
        attr("long_list", &A::long_list, "", kind(ArgumentKind::list)),
        attr("text", &A::text, "", kind(ArgumentKind::text)));
    def.scalars = {{.name = "number", .unless_given = 1}};
    return register_op(std::move(def));
  }();
  return op;
}

TEST(CallByName, RefusesNumbersKnownOnlyAtLaunchForEachKindOfAttribute) {
  const OpDef& op = op_of_all_kinds();
  ASSERT_EQ(call_op(op.name, One{wide}, {})[0].spec(), wide.spec()) << "without arguments it can be called";
  for (const NumberKind kind : {NumberKind::integer, NumberKind::counter, NumberKind::real}) {
    const Scalar symbol = LaunchNumber::symbol("position", kind);
    for (const AttrField& field : op.attrs.fields) {
      const Arguments arguments = {{field.name, symbol}};
      expect_error_saying([&] { call_op(op.name, One{wide}, arguments); }, ErrorId::symbolic_value,
                          {"the argument \"" + field.name + "\" is `position`, a number that is known only at launch"},
                          "call_op_test.cpp:", true);
    }
    EXPECT_EQ(call_op(op.name, One{wide}, {{"number", symbol}})[0].spec(), wide.spec()) << "the call is described";
  }
}

TEST(CallByName, RefusesNumbersKnownOnlyAtLaunchAsAttributesOfBuiltInOps) {
  const Scalar step = LaunchNumber::symbol("step", NumberKind::integer);
  expect_error(ErrorId::symbolic_value, [&] { call_op("softmax", One{wide}, {{"axis", step}}); });
  expect_error(ErrorId::symbolic_value, [&] { call_op("sum", One{wide}, {{"axes", step}}); });
  expect_error(ErrorId::symbolic_value, [&] { call_op("random_permutation", {}, {{"n", step}}); });
  // Its value is checked, also in a described call.
  expect_error(ErrorId::symbolic_value, [&] { call_op("dropout", One{wide}, {{"rate", step}}); });
  // A key is integers.
  const Scalar rate = LaunchNumber::symbol("rate", NumberKind::real);
  expect_error_saying(
      [&] {
        call_op("dropout", One{wide}, {{"rate", 0.5}, {"seed", 1}, {"stream", rate}});
      },
      ErrorId::wrong_argument, {"the argument \"stream\" is rate", "give a whole number"}, nullptr);
}

TEST(CallByName, RefusesWhatAnAttributeCannotHold) {
  const OpDef& op = op_of_all_kinds();
  const auto refused = [&](const Arguments& arguments, const std::string& text) {
    expect_error_saying([&] { call_op(op.name, One{wide}, arguments); }, ErrorId::wrong_argument, {text}, nullptr);
  };
  refused({{"unspecified", {1, 2}}}, "the argument \"unspecified\" is [1, 2]");
  refused({{"unspecified", 0.5}}, "the argument \"unspecified\" is 0.5");
  refused({{"axis", 0.5}}, "the argument \"axis\" is 0.5");
  refused({{"real", true}}, "the argument \"real\" is true");
  refused({{"integer", "1"}}, "the argument \"integer\" is \"1\"");
  refused({{"list", "1"}}, "the argument \"list\" is \"1\"");
  refused({{"text", 1}}, "the argument \"text\" is 1");
  refused({{"text", DType::f32}}, "the argument \"text\" is f32");
  EXPECT_EQ(call_op(op.name, One{wide}, {{"unspecified", 3}})[0].spec(), wide.spec());
}

// A call by name takes the arguments one by one for attributes, then numbers.
TEST(CallByName, ArgumentsOfAnOpNameItsAttributesAndNumbersInOrder) {
  struct Attrs {
    std::int64_t axis = 0;
  };
  const ArgumentDef axis{.name = "axis", .kind = ArgumentKind::axis, .required = true};
  const ArgumentDef factor{.name = "factor", .kind = ArgumentKind::number};
  const auto with = [](std::string name, std::vector<ArgumentDef> arguments) {
    OpDef def = same_def(std::move(name));
    def.attrs = attr_schema<Attrs>("acme_ordered_attrs", attr("axis", &Attrs::axis, ""));
    def.scalars = {{"factor"}};
    def.arguments = std::move(arguments);
    return def;
  };
  const std::string name = "call_op_test::ordered";
  for (const std::vector<ArgumentDef>& arguments :
       {std::vector{factor, axis}, std::vector{axis}, std::vector{axis, factor, factor}}) {
    expect_error_saying([&] { register_op(with(name, arguments)); }, ErrorId::invalid_op_definition,
                        {name, "`arguments` are not its attributes and then its numbers"}, nullptr);
  }
  EXPECT_EQ(find_op(name), nullptr);
  OpDef other = with("call_op_test::unordered", {factor});
  other.by_name = [](const CallByName& c) { return std::vector<Tensor>{c.input(0).tensor()}; };
  EXPECT_NO_THROW(register_op(std::move(other))) << "`by_name` says what the arguments are";
  register_op(with(name, {axis, factor}));
  EXPECT_EQ(values(call_op(name, One{matrix()}, {{"axis", 0}, {"factor", 2}})), counted);
  expect_error_saying(
      [&] {
        call_op(name, One{wide}, {{"axis", 0}});
      },
      ErrorId::wrong_argument, {"the argument \"factor\" is missing"}, nullptr);
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
    OpDef def = pointwise_op("call_op_test::letters", [](Expr x) { return x; });
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
  const Arguments described = {{"letters", "sd"}, {"factors", three_at_the_end()}};
  EXPECT_EQ(call_op(op.name, One{wide}, described)[0].spec(), wide.spec());
  const LetterAttrs attrs{.letters = "d", .factors = BoundedList<20>(three_at_the_end())};
  EXPECT_EQ(values({invoke1(op, {Operand(x)}, &attrs)}), (std::vector<float>{6, 12, 18}));
}

TEST(TextsAndLists, AreDescribed) {
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
  OpDef def = same_def("call_op_test::ordered_by_text");
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
                        "call_op_test.cpp:", true);
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
    OpDef def = same_def("call_op_test::other_kinds");
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
  EXPECT_EQ(find_op("call_op_test::other_kinds"), nullptr);
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
  const Tensor description = described_like(x);
  const auto result = [&](const LetterAttrs& attrs) {
    const One operands{description};
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
  OpDef def = same_def("call_op_test::axes_of_other_capacities");
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
                      "call_op_test.cpp:");
}

TEST(NormalizeAttributes, OfAnOpWithoutInputs) {
  struct Attrs {
    std::int64_t side = 1;
  };
  OpDef def;
  def.name = "call_op_test::square_of_ones";
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
      ErrorId::invalid_attribute, {"the side is -1"}, "call_op_test.cpp:");
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
  def.name = "call_op_test::same";
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
  EXPECT_EQ(values(call_op("call_op_test::same", One{matrix()})), counted);
}

}  // namespace
}  // namespace lockstep
