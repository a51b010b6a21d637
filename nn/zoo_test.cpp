#include "lockstep/zoo.h"

#include <gtest/gtest.h>

#include "lockstep/lockstep.h"
#include "runtime/expect_error.h"

namespace lockstep {
namespace {

using Shapes = std::vector<Shape>;

Shapes shapes_of(nn::Model model) {
  model.build({28, 28, 1}, Device("reference"));
  Shapes shapes;
  for (const Variable& v : model.variables()) shapes.push_back(v.shape());
  return shapes;
}

const Shapes of_mlp = {{784, 512}, {512}, {512, 256}, {256}, {256, 10}, {10}};
// Two 3×3 convolutions leave 24×24, and pooling leaves 12×12.
const Shapes of_cnn = {{32, 3, 3, 1}, {32}, {64, 3, 3, 32}, {64}, {12 * 12 * 64, 128}, {128}, {128, 10}, {10}};

TEST(Zoo, ModelsHaveTheirLayers) {
  EXPECT_EQ(zoo::names(), (std::vector<std::string>{"mlp", "cnn"}));
  EXPECT_EQ(shapes_of(zoo::mlp()), of_mlp);
  EXPECT_EQ(shapes_of(zoo::cnn()), of_cnn);
  EXPECT_EQ(shapes_of(zoo::make("mlp", 10)), of_mlp);
  EXPECT_EQ(shapes_of(zoo::make("cnn", 10)), of_cnn);
  EXPECT_EQ(shapes_of(zoo::make("mlp", 7)).back(), (Shape{7}));
  EXPECT_EQ(shapes_of(zoo::make("cnn", 7)).back(), (Shape{7}));
}

TEST(Zoo, UnknownModelsAreRefused) {
  EXPECT_EQ(error_text([] { zoo::make("rnn", 10); }),
            "UsageError[LS9001] model: there is no model \"rnn\"\n  fix    use mlp or cnn");
}

}  // namespace
}  // namespace lockstep
