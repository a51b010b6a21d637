// Calls by name give what the public functions give, and refuse what they refuse, with the same errors.
#include "lockstep/call_op.h"

#include <gtest/gtest.h>

#include <array>

#include "lockstep/lockstep.h"
#include "runtime/expect_error.h"

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
  EXPECT_EQ(values(call_op("sum", One{x}, {{"axes", std::vector<std::int64_t>{}}})), counted) << "over no axes";
  EXPECT_EQ(call_op("max", One{x}, {{"axes", {-1, 0}}, {"keep", true}})[0].shape(), (Shape{1, 1}));
  EXPECT_EQ(call_op("argmax", One{x})[0].to_vector<std::int64_t>(), (std::vector<std::int64_t>{2, 2}));
}

TEST(CallByName, ConvertsAndMoves) {
  const Tensor x = matrix();
  EXPECT_EQ(call_op("cast", One{x}, {{"to", "i32"}})[0].dtype(), DType::i32);
  EXPECT_EQ(call_op("cast", One{x}, {{"to", DType::f64}})[0].dtype(), DType::f64);
  EXPECT_EQ(values(call_op("transpose", One{x})), (std::vector<float>{1, 4, 2, 5, 3, 6}));
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

TEST(CallByName, RefusesOtherKinds) {
  EXPECT_EQ(refusal("sum", {{"keep", 1}}),
            "ShapeError[LS2013] sum: the argument \"keep\" is 1" + operand + "give true or false");
  EXPECT_EQ(refusal("sum", {{"axes", "all"}}),
            "ShapeError[LS2013] sum: the argument \"axes\" is all" + operand + "give an axis or a list of axes");
  EXPECT_EQ(refusal("softmax", {{"axis", 0.5}}),
            "ShapeError[LS2013] softmax: the argument \"axis\" is 0.5" + operand + "give a whole number");
  EXPECT_EQ(refusal("softmax", {{"axis", 0}, {"axis", 1}}),
            "ShapeError[LS2013] softmax: the argument \"axis\" is given twice" + operand + "give it once");
  EXPECT_EQ(refusal("cast", {}),
            "ShapeError[LS2013] cast: the argument \"to\" is missing" + operand + "give a dtype, such as \"f32\"");
  EXPECT_EQ(refusal("avg_pool2d", {{"padding", "full"}}),
            "ShapeError[LS2013] avg_pool2d: the argument \"padding\" is full" + operand +
                "give \"valid\", \"same\", a list of whole numbers");
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
  // A negative extent is not taken for the handle of a symbolic one.
  (void)Dim::symbol("batch");
  expect_error(ErrorId::invalid_shape, [] { call_op("broadcast_to", One{wide}, {{"shape", {-1, 3}}}); });
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
