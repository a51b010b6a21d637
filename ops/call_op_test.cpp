// Calls by name give what the public functions give, and refuse what they refuse, with the same errors.
#include "ops/call_op_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ops/launch_number.h"

namespace lockstep {
namespace {

using Two = std::array<Operand, 2>;

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
  EXPECT_EQ(call_op("full", {}, {{"shape", {2}}, {"value", true}, {"dtype", DType::boolean}})[0].to_bytes(),
            std::vector<std::byte>(2, std::byte{1}));
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
const std::string operand = "\n  x      Tensor f32 (2, 3) abstract\n  where  called at call_op_test.cpp:N\n  fix    ";

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
            "ShapeError[LS2011] add: input b is missing\n  a      Tensor f32 (2, 3) abstract\n"
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
    EXPECT_EQ(call_op(op.name, One{wide}, {{"number", symbol}})[0].spec(), wide.spec()) << "the call is abstract";
  }
}

TEST(CallByName, RefusesNumbersKnownOnlyAtLaunchAsAttributesOfBuiltInOps) {
  const Scalar step = LaunchNumber::symbol("step", NumberKind::integer);
  expect_error(ErrorId::symbolic_value, [&] { call_op("softmax", One{wide}, {{"axis", step}}); });
  expect_error(ErrorId::symbolic_value, [&] { call_op("sum", One{wide}, {{"axes", step}}); });
  expect_error(ErrorId::symbolic_value, [&] { call_op("random_permutation", {}, {{"n", step}}); });
  // Its value is checked, also in an abstract call.
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
  refused({{"unspecified", ~std::uint64_t{0}}}, "the argument \"unspecified\" is 18446744073709551615");
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

}  // namespace
}  // namespace lockstep
