// Tests of what is undone, and done again, after a failure on a device with streams: variables, steps and uploads that
// several streams use, and the threads that find the failure.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "autodiff/variable_impl.h"
#include "lockstep/lockstep.h"
#include "runtime/caller.h"
#include "runtime/device_state.h"
#include "runtime/failing_gather.h"
#include "runtime/tensor_impl.h"
#include "runtime/toy_streams.h"

namespace lockstep {
namespace {

class UndoOnStreams : public ToyStreams {
 protected:
  // Here, because the tests expect this file in its error.
  Tensor bad() const { return gather(table, Tensor({std::int64_t{1}, std::int64_t{7}})); }
};

// The undo gives the variable back the write of another queue than the one on which the failure was found.
TEST_F(UndoOnStreams, AVariableIsReadWhereItWasWrittenBefore) {
  const Variable v(Tensor({1.0f, 2.0f}), "v");  // an upload
  be_slow();
  {
    const StreamScope in(a);
    bad();
    v.assign(full({2}, 9.0));
    EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{1, 2}));
  }
  EXPECT_EQ(failures_of([&] { a.synchronize(); }, 2), 1);
  EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{1, 2}));
}

// Whenever a failure is found, another call fails before the upload that is enqueued again. The last time, slow calls
// come before it.
TEST_F(UndoOnStreams, AnUploadThatIsRepeatedSeveralTimesIsWaitedFor) {
  const Tensor scratch = zeros({4});
  synchronize(toy());
  be_slow();
  std::function<void(int)> fail_when_repeated = [&](int times) {
    const auto again = [&, times] {
      const StreamScope in(a);
      if (times > 0) {
        bad();
        fail_when_repeated(times - 1);
      } else {
        Tensor slow = ones({8});
        for (int i = 0; i < 20; ++i) slow = slow + 1.0f;
      }
    };
    toy().state().queue().fill(*scratch.impl()->block, 0, 16, 0, 4, {.op = "fill", .again = again});
  };
  std::optional<Variable> v;
  {
    const StreamScope in(a);
    bad();
    fail_when_repeated(1);
    v.emplace(Tensor({1.0f, 2.0f}), "v");
  }
  {
    const StreamScope in(b);
    v->assign(full({2}, 9.0));
    EXPECT_EQ(v->read().to_vector<float>(), all(2, 9));
  }
  EXPECT_EQ(failures_of([&] { a.synchronize(); }, 3), 2);
  EXPECT_EQ(v->read().to_vector<float>(), all(2, 9)) << "the upload came after the assignment";
}

TEST_F(UndoOnStreams, ADeleterMayMakeCallsThatWaitForTheStream) {
  std::optional<Variable> v;
  {
    const StreamScope in(a);
    v.emplace(full({2}, 5.0), "v");
  }
  a.synchronize();
  be_slow();
  bool is_deleted = false;
  {
    const StreamScope in(a);
    std::shared_ptr<const float> memory(new float[2]{1, 2}, [&](const float* values) {
      delete[] values;
      is_deleted = true;
      const StreamScope other(b);
      v->assign(full({2}, 7.0));  // waits for the stream that has used the variable
    });
    const Tensor uploaded =
        from_memory(std::move(memory), 2 * sizeof(float), {f32, {2}}, std::nullopt, CopyPolicy::always);
    bad();
  }
  EXPECT_EQ(failures_of([&] { a.synchronize(); }, 2), 1);
  EXPECT_TRUE(is_deleted);
  EXPECT_EQ(v->read().to_vector<float>(), all(2, 7));
}

// Its stream's queue may serve the next stream only when somebody who is concerned has found the failure.
TEST_F(UndoOnStreams, ANewStreamUndoesNothingOfAnother) {
  const Variable v(full({4}, 5.0), "v");
  const Tensor reading = v.read();  // so that an assignment needs other memory
  synchronize(toy());
  {
    const StreamScope in(Stream::create(toy()));
    bad();
    v.assign(full({4}, 1.0));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // it fails meanwhile
  const TensorImpl* const assigned = &v.impl().value();
  std::vector<Stream> next;
  for (int i = 0; i < 3; ++i) next.push_back(Stream::create(toy()));
  EXPECT_EQ(&v.impl().value(), assigned);
  int failed = 0;
  std::thread([&] { failed = failures_of([] { synchronize(toy()); }, 2); }).join();
  EXPECT_EQ(failed, 1);
  EXPECT_NE(&v.impl().value(), assigned) << "the failure undoes the assignment";
  EXPECT_EQ(assigned->refs.load(), 1u) << "who reads the variable meanwhile may still have the undone value";
  EXPECT_EQ(v.read().to_vector<float>(), all(4, 5));
  v.assign(full({4}, 2.0));
  EXPECT_EQ(v.read().to_vector<float>(), all(4, 2));
}

TEST_F(UndoOnStreams, AStepThatFailsDoesNotTakeAStepOfOtherVariablesWithIt) {
  const Variable w1(full({4}, 5.0), "w1"), w2(full({4}, 5.0), "w2");
  optim::Optimizer sgd(optim::Sgd{.learning_rate = 1.0, .momentum = 0.5});
  const Tensor gradient = ones({4});
  synchronize(toy());
  be_slow();
  {
    const StreamScope in(a);
    bad();
    sgd.apply(std::span(&gradient, 1), std::span(&w1, 1));
  }
  {
    const StreamScope in(b);
    sgd.apply(std::span(&gradient, 1), std::span(&w2, 1));
  }
  EXPECT_EQ(failures_of([&] { synchronize(toy()); }, 2), 1);
  EXPECT_EQ(sgd.steps(), 1);
  const std::vector<Variable> slots = sgd.state();
  ASSERT_EQ(slots.size(), 1u);
  EXPECT_EQ(slots[0].name(), "w2/momentum");
  EXPECT_EQ(slots[0].read().to_vector<float>(), all(4, 1));
  EXPECT_EQ(w1.read().to_vector<float>(), all(4, 5));
  EXPECT_EQ(w2.read().to_vector<float>(), all(4, 4));
}

// Keeps the mean of its last inputs. In training, an op after that fails.
class LastMean : public nn::Layer {
 public:
  LastMean() : Layer("last_mean") {}

 protected:
  void build(const Shape& input) override { last_ = add_variable("last", zeros({input[-1]}), false); }
  Tensor call(const Tensor& x, const nn::Call& c) const override {
    if (c.training) {
      last_->assign(mean(x, {{0}}));
      gather(zeros({2}), Tensor({std::int64_t{7}}));
    }
    return x - *last_;
  }

 private:
  std::optional<Variable> last_;
};

// The statistic is changed before the call that fails, and restored with the update after that.
TEST_F(UndoOnStreams, AStepThatFailsLeavesALaterChangeOfAStatisticAlone) {
  nn::Model model(nn::Sequential(LastMean{}, nn::Dense{.units = 3}));
  model.build({2});
  model.compile({.optimizer = optim::Sgd{.learning_rate = 0.1}, .loss = losses::SparseCategoricalCrossentropy{}});
  const std::vector<Variable> variables = model.variables();
  const auto last = std::find_if(variables.begin(), variables.end(), [](const Variable& v) { return !v.trainable(); });
  ASSERT_NE(last, variables.end());
  const data::Batch batch{full({4, 2}, 1.0), Tensor({0, 1, 2, 1})};
  synchronize(toy());
  be_slow();
  {
    const StreamScope in(a);
    model.train_step(batch);
  }
  {
    const StreamScope in(b);
    last->assign(full({2}, 9.0));
    EXPECT_EQ(last->read().to_vector<float>(), all(2, 9));
  }
  EXPECT_EQ(failures_of([&] { synchronize(toy()); }, 2), 1);
  EXPECT_EQ(last->read().to_vector<float>(), all(2, 9));
  EXPECT_EQ(model.optimizer().steps(), 0);
}

// A script: id n is its line n. From line 1000 on, it is the script's package for Lockstep.
class Script : public CallSiteResolver {
 public:
  SourcePlace resolve(std::uint64_t id) const override {
    return {"/home/user/train.py", static_cast<std::uint32_t>(id), "step"};
  }
  bool is_library(std::uint64_t id) const override { return id >= 1000; }
};

TEST_F(UndoOnStreams, AFailureNamesTheLineOfTheThreadThatMadeTheCall) {
  ExternalCallSites sites(std::make_shared<Script>());
  {
    const StreamScope in(a);
    const CallerScope caller(sites.at(41));
    gather({table, sites.at(1000)}, Tensor({std::int64_t{7}}));
  }
  std::string place;
  std::uint32_t line_afterwards = 0;
  std::thread([&] {
    const CallerScope caller(sites.at(77));
    const NameScope elsewhere("elsewhere");
    try {
      synchronize(toy());
    } catch (const Error& e) {
      place = e.where();
    }
    line_afterwards = thread_state().caller.resolve().line;
  }).join();
  EXPECT_EQ(place, "called at train.py:41");
  EXPECT_EQ(line_afterwards, 77u) << "the thread has its own line again";
}

}  // namespace
}  // namespace lockstep
