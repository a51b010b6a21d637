// Tests of moved-from handles: they can be copied, assigned to and destroyed; every other use is an error.
#include <gtest/gtest.h>

#include <sstream>

#include "lockstep/handle.h"
#include "lockstep/lockstep.h"
#include "runtime/expect_error.h"

namespace lockstep {
namespace {

template <class F>
void expect_moved(F&& f, const char* what) {
  try {
    f();
    ADD_FAILURE() << "no error that the " << what << " was moved from";
  } catch (const StateError& e) {
    EXPECT_EQ(e.id(), ErrorId::invalid_use) << e.what();
    EXPECT_NE(std::string(e.what()).find(std::string("the ") + what + " was moved from"), std::string::npos)
        << e.what();
    EXPECT_FALSE(e.hint().empty());
  }
}

template <class F>
void expect_moved_here(F&& f, const char* what) {
  expect_moved(f, what);
  try {
    f();
  } catch (const StateError& e) {
    EXPECT_NE(e.where().find("handles_test.cpp:"), std::string::npos) << e.what();
  }
}

TEST(MovedFrom, TensorsCanBeCopiedAndAssignedTo) {
  Tensor gone = ones({2});
  Tensor here = std::move(gone);
  const Tensor copy = gone;  // NOLINT: this use is what the test checks
  Tensor moved = std::move(gone);
  Tensor assigned = ones({3});
  assigned = gone;
  expect_moved_here([&] { copy.shape(); }, "tensor");
  expect_moved_here([&] { moved.shape(); }, "tensor");
  expect_moved_here([&] { assigned.shape(); }, "tensor");
  assigned = here;
  gone = here;
  EXPECT_EQ(assigned.to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(gone.to_vector<float>(), (std::vector<float>{1, 1}));
  std::vector<Tensor> some = {here, copy, here};
  some.erase(some.begin());
  EXPECT_EQ(some[1].size(), 2);
}

TEST(MovedFrom, TensorsAreRefusedByAllElse) {
  Tensor x = ones({2});
  const Tensor y = std::move(x);
  expect_moved_here([&] { x.dtype(); }, "tensor");
  expect_moved_here([&] { x.rank(); }, "tensor");
  expect_moved_here([&] { x.size(); }, "tensor");
  expect_moved_here([&] { x.spec(); }, "tensor");
  expect_moved_here([&] { x.device(); }, "tensor");
  expect_moved_here([&] { x.is_abstract(); }, "tensor");
  expect_moved_here([&] { x.id(); }, "tensor");
  expect_moved_here([&] { x.describe(); }, "tensor");
  expect_moved_here([&] { x.item<float>(); }, "tensor");
  expect_moved_here([&] { x.to_vector<float>(); }, "tensor");
  expect_moved_here([&] { x.to_bools(); }, "tensor");
  expect_moved_here([&] { x.to_bytes(); }, "tensor");
  expect_moved_here([&] { x.to(y.device()); }, "tensor");
  expect_moved([&] { std::ostringstream() << x; }, "tensor");
  // An operand without a tensor means a number; a moved-from tensor must not count as the number 0.
  expect_moved_here([&] { x + y; }, "tensor");
  expect_moved_here([&] { y* x; }, "tensor");
  expect_moved_here([&] { concat({y, x}); }, "tensor");
  expect_moved_here([&] { sum(x); }, "tensor");
  Variable v(y);
  expect_moved([&] { Variable w(x); }, "tensor");
  expect_moved_here([&] { v.assign(x); }, "tensor");
  expect_moved_here([&] { v.assign_add(x); }, "tensor");
  GradientTape tape;
  expect_moved_here([&] { tape.watch(x); }, "tensor");
  const Tensor z = sum(v * 2.0);
  expect_moved_here([&] { tape.gradient(x, v); }, "tensor");
  expect_moved([&] { tape.gradient(z, x); }, "tensor");
  expect_moved_here([&] { tape.gradient(z, v, {.upstream = x}); }, "tensor");
  optim::Optimizer sgd{optim::Sgd{}};
  expect_moved_here([&] { sgd.apply(std::span(&x, 1), std::span(&v, 1)); }, "tensor");
  expect_moved([&] { data::Dataset::from_tensors(y, x); }, "tensor");
  expect_moved([&] { save_tensors("unused.safetensors", {{"x", x}}); }, "tensor");
}

TEST(MovedFrom, Variables) {
  Variable v(ones({2}), "v");
  const Variable w = std::move(v);
  const Variable copy = v;  // NOLINT: this use is what the test checks
  EXPECT_TRUE(copy == v);
  EXPECT_FALSE(copy == w);
  expect_moved_here([&] { v.read(); }, "variable");
  expect_moved_here([&] { v.assign(ones({2})); }, "variable");
  expect_moved_here([&] { v.assign_add(ones({2})); }, "variable");
  expect_moved_here([&] { v.name(); }, "variable");
  expect_moved_here([&] { v.trainable(); }, "variable");
  expect_moved_here([&] { v.shape(); }, "variable");
  expect_moved_here([&] { v.dtype(); }, "variable");
  expect_moved_here([&] { v.device(); }, "variable");
  expect_moved_here([&] { copy.id(); }, "variable");
  expect_moved_here([&] { v + 1.0; }, "variable");
  GradientTape tape;
  expect_moved_here([&] { tape.watch(v); }, "variable");
  const Tensor y = sum(w * 2.0);
  expect_moved([&] { tape.gradient(y, v); }, "variable");
  optim::Optimizer sgd{optim::Sgd{}};
  const Tensor g = ones({2});
  expect_moved_here([&] { sgd.apply(std::span(&g, 1), std::span(&v, 1)); }, "variable");
  expect_moved([&] { weights_sha256(std::span(&v, 1)); }, "variable");
  v = w;
  EXPECT_EQ(v.name(), "v");
}

TEST(MovedFrom, Optimizers) {
  optim::Optimizer a{optim::Adam{}};
  const optim::Optimizer b = std::move(a);
  const Variable v(ones({2}));
  const Tensor g = ones({2});
  expect_moved_here([&] { a.apply(std::span(&g, 1), std::span(&v, 1)); }, "optimizer");
  expect_moved([&] { a.learning_rate(); }, "optimizer");
  expect_moved_here([&] { a.set_learning_rate(1); }, "optimizer");
  expect_moved([&] { a.steps(); }, "optimizer");
  expect_moved([&] { a.state(); }, "optimizer");
  expect_moved([&] { a.slots_per_variable(); }, "optimizer");
  expect_moved_here([&] { a.snapshot(); }, "optimizer");
  expect_moved_here([&] { a.restore(b.snapshot(), {}); }, "optimizer");
  expect_moved([&] { save_optimizer("unused.safetensors", a); }, "optimizer");
  a = optim::Sgd{};
  EXPECT_EQ(a.steps(), 0);
}

TEST(MovedFrom, ModelsAndLayers) {
  nn::Model model{nn::Dense{.units = 2}};
  nn::Model other = std::move(model);
  expect_moved_here([&] { model.build({3}); }, "model");
  expect_moved([&] { model.built(); }, "model");
  expect_moved_here([&] { model.device(); }, "model");
  expect_moved_here([&] { model(ones({1, 3})); }, "model");
  expect_moved_here([&] { model.variables(); }, "model");
  expect_moved_here([&] { model.trainable_variables(); }, "model");
  expect_moved_here([&] { model.summary(); }, "model");
  expect_moved([&] { model.compile({.optimizer = optim::Sgd{}, .loss = losses::MeanSquaredError{}}); }, "model");
  expect_moved_here([&] { model.optimizer(); }, "model");
  const data::Dataset data = data::Dataset::from_tensors(ones({4, 3}), ones({4, 2}));
  expect_moved_here([&] { model.train_step({ones({4, 3}), ones({4, 2})}); }, "model");
  expect_moved_here([&] { model.fit(data, {.verbose = nn::Verbose::silent}); }, "model");
  expect_moved_here([&] { model.evaluate(data); }, "model");
  expect_moved_here([&] { model.predict(ones({1, 3})); }, "model");
  expect_moved_here([&] { model.save_weights("unused.safetensors"); }, "model");
  expect_moved_here([&] { model.load_weights("unused.safetensors"); }, "model");
  expect_moved_here([&] { model.weights_sha256(); }, "model");
  expect_moved_here([&] { model.save_checkpoint("unused.checkpoint"); }, "model");
  expect_moved_here([&] { model.load_checkpoint("unused.checkpoint"); }, "model");
  expect_moved([&] { model.epochs(); }, "model");
  other.build({3});
  EXPECT_EQ(other.variables().size(), 2u);

  nn::Sequential layer{nn::Flatten{}};
  nn::Sequential taken = std::move(layer);
  expect_moved_here([&] { layer(ones({2, 3})); }, "layer");
  expect_moved([&] { layer.name(); }, "layer");
  expect_moved([&] { layer.variables(); }, "layer");
  expect_moved([&] { layer.children(); }, "layer");
  EXPECT_EQ(taken(ones({2, 3})).shape(), (Shape{2, 3}));
}

TEST(MovedFrom, DataSets) {
  data::Dataset set = data::Dataset::from_tensors(ones({4, 3}), ones({4}));
  data::Dataset other = std::move(set);
  expect_moved([&] { set.size(); }, "data set");
  expect_moved([&] { set.features(); }, "data set");
  expect_moved([&] { set.labels(); }, "data set");
  expect_moved([&] { set.take(1); }, "data set");
  expect_moved([&] { set.batches(2, default_device()); }, "data set");
  data::Dataset::Pass pass = other.batches(2, default_device());
  data::Dataset::Pass next = std::move(pass);
  expect_moved([&] { pass.next(); }, "pass");
  expect_moved([&] { pass.batch_count(); }, "pass");
  EXPECT_EQ(next.batch_count(), 2);
  EXPECT_THROW(data::Dataset(nullptr), StateError);
}

TEST(EmptyFunctions, AreRefusedWhereTheyAreGiven) {
  nn::Model model{nn::Dense{.units = 2}};
  EXPECT_THROW(model.compile({.optimizer = optim::Sgd{}, .loss = losses::Loss{"none", nullptr}}), StateError);
  EXPECT_THROW(nn::Model(nn::Lambda{}), ShapeError);
  EXPECT_THROW(nn::Model(std::unique_ptr<nn::Layer>()), StateError);
  const data::Dataset set = data::Dataset::from_tensors(ones({4, 3}), ones({4}));
  EXPECT_THROW(set.prepare(nullptr), StateError);
  EXPECT_THROW(gradcheck(nullptr, {}), StateError);
  EXPECT_THROW(parallel_for(4, 1, nullptr), StateError);
  const data::Batch batch{ones({4, 3}), ones({4})};
  const Device devices[] = {default_device(), default_device()};
  EXPECT_THROW(compare(nullptr, std::span(&batch, 1), devices), StateError);
}

TEST(Handles, OfWhichNoLineIsKnownNameNone) {
  EXPECT_EQ(error_text([] { fail_moved_from("thing", CallSite()); }),
            "StateError[LS1008] thing: the thing was moved from and holds nothing\n"
            "  fix    copy it instead of moving it, or assign it another one first");
  EXPECT_NE(error_text([] { fail_moved_from("thing", CallSite::current()); }).find("called at handles_test.cpp:N"),
            std::string::npos);
}

}  // namespace
}  // namespace lockstep
