// Tests of one model that several threads run at the same time. ThreadSanitizer sees what they share without a lock.
#include <gtest/gtest.h>

#include <functional>
#include <latch>
#include <thread>
#include <utility>

#include "lockstep/lockstep.h"
#include "lockstep/parallel.h"
#include "nn/test_points.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep::nn {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::size_t thread_count_here = 4;

// Runs work(0) … work(3) at the same time, each on a thread of its own. Exceptions of threads are failures.
void on_threads(const std::function<void(std::size_t)>& work) {
  std::latch start(thread_count_here);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < thread_count_here; ++t) {
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      try {
        work(t);
      } catch (const std::exception& e) {
        ADD_FAILURE() << "thread " << t << ": " << e.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

class SharedModel : public testing::TestWithParam<std::string> {
 protected:
  static constexpr std::size_t rounds = 6;

  Model make() const {
    set_seed(3);
    Model model(Sequential(Conv2d{.filters = 4, .activation = relu}, MaxPool2d{}, Flatten{}, Dropout{0.5},
                           Dense{.units = 16}, Tanh{}, Dense{.units = 5}));
    model.build({10, 10, 2}, device);
    return model;
  }
  // Batches of different sizes, so that threads also prepare kernels side by side.
  Tensor batch(std::size_t number) const {
    const auto size = static_cast<std::int64_t>(1 + number % 5);
    return random_normal({size, 10, 10, 2}, 0, 1, {.key = RandomKey{number, 0}});
  }

  Device device{GetParam()};
  DeviceScope scope{device};
};

// The single thread comes last, so that the threads are the first to prepare kernels.
TEST_P(SharedModel, GivesEachThreadTheBitsOfASingleThread) {
  const Model model = make();
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < thread_count_here * rounds; ++i) inputs.push_back(batch(i));
  const std::string weights = model.weights_sha256();
  std::vector<Bytes> given(inputs.size());
  on_threads([&](std::size_t t) {
    for (std::size_t r = 0; r < rounds; ++r) {
      const std::size_t i = r * thread_count_here + t;
      given[i] = (r % 2 ? model.predict(inputs[i]) : model(inputs[i])).to_bytes();
    }
  });
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_EQ(given[i], model.predict(inputs[i]).to_bytes()) << "input " << i;
  }
  EXPECT_NE(given[0], given[5]) << "of different inputs";
  EXPECT_EQ(model.weights_sha256(), weights);
}

// Some threads record while others only predict: neither may change what the other computes.
TEST_P(SharedModel, SomeThreadsCanDifferentiate) {
  const Model model = make();
  const std::vector<Variable> variables = model.variables();
  const Tensor x = batch(7);
  const auto gradients = [&] {
    GradientTape tape;
    const Tensor y = sum(square(model(x)));
    std::vector<Bytes> all;
    for (const Tensor& g : tape.gradient(y, std::span<const Variable>(variables))) all.push_back(g.to_bytes());
    return all;
  };
  std::vector<std::vector<Bytes>> given(thread_count_here);
  on_threads([&](std::size_t t) {
    for (std::size_t r = 0; r < rounds; ++r) {
      if (t % 2 == 0) {
        given[t] = gradients();
      } else {
        given[t] = {model.predict(x).to_bytes()};
      }
    }
  });
  const std::vector<Bytes> alone = gradients();
  for (std::size_t t = 0; t < thread_count_here; ++t) {
    EXPECT_EQ(given[t], t % 2 == 0 ? alone : std::vector<Bytes>{model.predict(x).to_bytes()}) << "thread " << t;
  }
}

TEST_P(SharedModel, ErrorsNameTheScopeOfTheirThread) {
  const Model model = make();
  const Tensor wrong = zeros({1, 10, 10, 3});
  on_threads([&](std::size_t t) {
    const std::string own = "request_" + std::to_string(t);
    for (std::size_t r = 0; r < 20 * rounds; ++r) {
      const NameScope request(own);
      try {
        model(wrong);
        ADD_FAILURE() << "nothing was thrown";
      } catch (const Error& e) {
        EXPECT_TRUE(e.where().starts_with(own + "/model/conv2d, ")) << e.where();
      }
    }
  });
}

TEST_P(SharedModel, CanBeEvaluatedByEachThread) {
  set_seed(11);
  Model trained(Sequential(Dense{.units = 8}, Tanh{}, Dense{.units = 3}));
  trained.build({2}, device);
  trained.compile(
      {.optimizer = optim::Adam{}, .loss = losses::SparseCategoricalCrossentropy{}, .metrics = {metrics::Accuracy{}}});
  const Model& model = trained;
  std::vector<data::Dataset> sets;
  for (std::size_t t = 0; t < thread_count_here; ++t) sets.push_back(points(60, t));
  std::vector<std::map<std::string, double>> given(thread_count_here);
  on_threads([&](std::size_t t) { given[t] = model.evaluate(sets[t], 20); });
  for (std::size_t t = 0; t < thread_count_here; ++t) EXPECT_EQ(given[t], model.evaluate(sets[t], 20)) << t;
  EXPECT_NE(given[0], given[1]);
}

// In lockstep mode the bits depend on nothing but the inputs, the number of CPU threads included.
TEST_P(SharedModel, EachThreadCanHaveItsOwnNumberOfThreads) {
  const std::vector<DeviceInfo> all = devices();
  const auto info = std::find_if(all.begin(), all.end(), [&](const DeviceInfo& d) { return d.id == GetParam(); });
  if (std::count(info->modes.begin(), info->modes.end(), MathMode::lockstep) == 0) {
    GTEST_SKIP() << "the device does not offer lockstep mode";
  }
  const Model model = make();
  const Tensor x = batch(4);
  std::vector<Bytes> given(thread_count_here);
  on_threads([&](std::size_t t) {
    const ThreadCountScope threads(static_cast<unsigned>(t + 1));
    const MathModeScope mode(MathMode::lockstep);
    for (std::size_t r = 0; r < rounds; ++r) given[t] = model.predict(x).to_bytes();
  });
  const MathModeScope mode(MathMode::lockstep);
  for (std::size_t t = 0; t < thread_count_here; ++t) EXPECT_EQ(given[t], model.predict(x).to_bytes()) << t;
}

TEST_P(SharedModel, KeepsNoMemoryOfItsCalls) {
  const Model model = make();
  const auto predict = [&](std::size_t t) {
    const DeviceScope here(device);
    model.predict(batch(t));
  };
  on_threads(predict);
  synchronize(device);
  const std::uint64_t live = memory_stats(device).live;
  on_threads(predict);
  synchronize(device);
  EXPECT_EQ(memory_stats(device).live, live);
}

INSTANTIATE_TEST_SUITE_P(Devices, SharedModel, testing::ValuesIn(available_devices()), &by_device);

// ------------------------------------------------------------------------------------------- what a shared call
// refuses

// A layer with a head that is called only in training.
class WithHead : public Layer {
 public:
  WithHead() : Layer("with_head"), body_(add(Dense{.units = 2})), head_(add(Dense{.units = 2, .name = "head"})) {}

 protected:
  Tensor call(const Tensor& x, const Call& c) const override {
    const Tensor y = body_(x, c);
    return c.training ? head_(y, c) : y;
  }

 private:
  Layer &body_, &head_;
};

// A layer whose choice of a child depends on a member.
class Switch : public Layer {
 public:
  explicit Switch(const bool& other)
      : Layer("switch"), other_(other), one_(add(Dense{.units = 2})), two_(add(Relu{})) {}

 protected:
  Tensor call(const Tensor& x, const Call& c) const override { return other_ ? two_(x, c) : one_(x, c); }

 private:
  const bool& other_;
  Layer &one_, &two_;
};

void expect_not_built(const std::string& layer, const std::function<void()>& act) {
  expect_error_saying(act, ErrorId::not_built, {layer + ": the layer is not built"}, "shared_model_test.cpp:", true);
}

TEST(ConstCalls, DoNotBuildLayers) {
  Model model(Sequential(WithHead{}));
  model.build({3});
  const Tensor x = ones({1, 3});
  expect_not_built("head", [&] { std::as_const(model)(x, {.training = true}); });
  EXPECT_EQ(model.variables().size(), 2u);
  EXPECT_NO_THROW(std::as_const(model)(x));
  model(x, {.training = true});
  EXPECT_EQ(model.variables().size(), 4u);
  EXPECT_NO_THROW(std::as_const(model)(x, {.training = true}));
}

TEST(ConstCalls, InferenceBuildsNoLayerEvenIfTheModelIsNotConst) {
  bool other = false;
  Model model(Sequential(Switch{other}));
  model.build({3});
  other = true;
  const Tensor x = ones({1, 3});
  expect_not_built("relu", [&] { model(x); });
  expect_not_built("relu", [&] { model.predict(x); });
  model(x, {.training = true});
  EXPECT_NO_THROW(model.predict(x));
}

TEST(ConstCalls, OfALayerOutsideAModelNeedABuiltOne) {
  Sequential net(Dense{.units = 2}, Relu{});
  const Sequential& shared = net;
  const Tensor x = ones({2, 3});
  expect_not_built("sequential", [&] { shared(x); });
  const Bytes first = net(x).to_bytes();
  EXPECT_EQ(shared(x).to_bytes(), first);
  Sequential later(Dense{.units = 1});
  EXPECT_NO_THROW(later(x)) << "after a call that was refused, layers are built as before";
}

}  // namespace
}  // namespace lockstep::nn
