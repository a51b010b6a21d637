#include <gtest/gtest.h>

#include <sstream>
#include <thread>

#include "lockstep/lockstep.h"

namespace lockstep {
namespace {

float value(const Tensor& t) { return t.item<float>(); }

// Runs f, and returns the error it throws.
template <class F>
std::optional<Error> error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  return std::nullopt;
}

TEST(GradientTape, TheTutorialsExample) {
  const Variable x(2.0f, "x");
  GradientTape tape;
  const Tensor y = 3.0f * x * x;
  EXPECT_EQ(value(y), 12.0f);
  EXPECT_EQ(value(tape.gradient(y, x)), 12.0f);
}

TEST(GradientTape, NestedTapesGiveSecondOrder) {
  const Variable x(2.0f, "x");
  GradientTape outer;
  const Tensor slope = [&] {
    GradientTape inner;
    const Tensor y = 3.0f * x * x;
    return inner.gradient(y, x);
  }();
  EXPECT_EQ(value(slope), 12.0f);
  EXPECT_EQ(value(outer.gradient(slope, x)), 6.0f);
}

TEST(GradientTape, ThirdOrderToo) {
  const Tensor x(2.0f);
  GradientTape first;
  first.watch(x);
  GradientTape second;
  second.watch(x);
  GradientTape third;
  third.watch(x);
  const Tensor y = x * x * x * x;  // 4x³ = 32, 12x² = 48, 24x = 48
  const Tensor d1 = third.gradient(y, x), d2 = second.gradient(d1, x), d3 = first.gradient(d2, x);
  EXPECT_EQ(value(d1), 32.0f);
  EXPECT_EQ(value(d2), 48.0f);
  EXPECT_EQ(value(d3), 48.0f);
}

TEST(GradientTape, OneUseUnlessPersistent) {
  const Variable x(3.0f);
  GradientTape tape;
  const Tensor y = square(x), z = exp(x);
  tape.gradient(y, x);
  const auto error = error_of([&] { tape.gradient(z, x); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->id(), ErrorId::tape_consumed);
  EXPECT_NE(error->headline().find("tape_test.cpp:"), std::string::npos) << "names the call that consumed it";

  GradientTape persistent({.persistent = true});
  const Tensor a = square(x), b = a * x;
  EXPECT_EQ(value(persistent.gradient(a, x)), 6.0f);
  EXPECT_EQ(value(persistent.gradient(b, x)), 27.0f);
  EXPECT_EQ(value(persistent.gradient(b, a)), 3.0f) << "with respect to a value in between";
}

TEST(GradientTape, PersistentTapesRecordTheirOwnGradients) {
  const Variable x(2.0f);
  GradientTape tape({.persistent = true});
  const Tensor y = x * x * x;
  const Tensor slope = tape.gradient(y, x);
  EXPECT_EQ(value(tape.gradient(slope, x)), 12.0f);
}

TEST(GradientTape, SeveralSourcesAndSharedPaths) {
  const Variable a(2.0f, "a"), b(5.0f, "b");
  GradientTape tape;
  const Tensor p = a * b;
  const Tensor y = p * p + p + a;  // dy/da = (2p + 1) b + 1, dy/db = (2p + 1) a
  const std::vector<Tensor> g = tape.gradient(y, {a, b});
  EXPECT_EQ(value(g[0]), 21.0f * 5 + 1);
  EXPECT_EQ(value(g[1]), 21.0f * 2);
}

TEST(GradientTape, BroadcastGradientsAreSummed) {
  const Tensor x = ones({3, 4}), row = ones({4}), column = ones({3, 1}), scalar(2.0f);
  GradientTape tape;
  for (const Tensor& t : {x, row, column, scalar}) tape.watch(t);
  const Tensor y = sum((x + row) * column * scalar);
  const std::vector<Tensor> g = tape.gradient(y, {x, row, column, scalar});
  EXPECT_EQ(g[0].shape(), (Shape{3, 4}));
  EXPECT_EQ(g[1].to_vector<float>(), std::vector<float>(4, 6.0f));
  EXPECT_EQ(g[2].to_vector<float>(), std::vector<float>(3, 16.0f));
  EXPECT_EQ(value(g[3]), 24.0f);
}

TEST(GradientTape, WatchStopAndPause) {
  const Tensor x(3.0f);
  {
    GradientTape tape;
    tape.watch(x);
    const Tensor y = x * stop_gradient(x);
    EXPECT_EQ(value(tape.gradient(y, x)), 3.0f);
  }
  {
    GradientTape tape;
    tape.watch(x);
    const Tensor hidden = [&] {
      NoGradient pause;
      return x * x;
    }();
    EXPECT_EQ(value(tape.gradient(x * hidden, x)), 9.0f);
  }
}

TEST(GradientTape, IntegersCannotBeWatched) {
  GradientTape tape;
  const auto error = error_of([&] { tape.watch(Tensor({1, 2})); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->id(), ErrorId::not_differentiable_dtype);
}

TEST(GradientTape, SeveralElementsNeedAnUpstream) {
  const Variable x(ones({3}), "x");
  GradientTape tape({.persistent = true});
  const Tensor y = x * 2.0f;
  const auto error = error_of([&] { tape.gradient(y, x); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->id(), ErrorId::target_not_scalar);
  EXPECT_EQ(tape.gradient(y, x, {.upstream = Tensor({1.0f, 2.0f, 3.0f})}).to_vector<float>(),
            (std::vector<float>{2, 4, 6}));
}

// ------------------------------------------------------------------------------------- why there is no gradient

std::string reason(const std::function<Tensor(GradientTape&, const Variable&)>& f) {
  const Variable x(ones({3}), "x");
  GradientTape tape;
  const auto error = error_of([&] { tape.gradient(f(tape, x), x); });
  if (!error) return "none";
  EXPECT_EQ(error->id(), ErrorId::unconnected);
  return error->headline();
}

TEST(Unconnected, NotUsed) {
  EXPECT_NE(reason([](GradientTape&, const Variable&) {
              return Tensor(1.0f) + 1.0f;
            }).find("was not used while the tape recorded"),
            std::string::npos);
}

TEST(Unconnected, CutByAnOpWithoutGradient) {
  const std::string text = reason([](GradientTape&, const Variable& x) { return sum(cast(argmax(x * 2.0f), f32)); });
  EXPECT_NE(text.find("`argmax`, which is not differentiable, at tape_test.cpp:"), std::string::npos) << text;
}

TEST(Unconnected, CutByStopGradient) {
  const std::string text = reason([](GradientTape&, const Variable& x) { return sum(stop_gradient(x * 2.0f)); });
  EXPECT_NE(text.find("`stop_gradient`"), std::string::npos) << text;
}

TEST(Unconnected, CutByReadingAValue) {
  const std::string text = reason([](GradientTape&, const Variable& x) { return Tensor(sum(x).item<float>()) * 2.0f; });
  EXPECT_NE(text.find("gives the value to code that the tape does not record, at tape_test.cpp:"), std::string::npos)
      << text;
}

TEST(Unconnected, PrintingCutsNothing) {
  const std::string text = reason([](GradientTape&, const Variable& x) {
    const Tensor y = x * 2.0f;
    std::ostringstream out;
    out << y << transpose(reshape(y, {3, 1}));
    return sum(stop_gradient(y) * 3.0f);
  });
  EXPECT_NE(text.find("ends at `stop_gradient`"), std::string::npos) << text;
  EXPECT_EQ(text.find("print.cpp"), std::string::npos) << text;
}

TEST(Unconnected, OnlyCutsOnThePathAreNamed) {
  const std::string text = reason([](GradientTape&, const Variable& x) {
    const Tensor y = x * 2.0f;
    const Tensor aside = argmax(y);  // earlier, but not part of the target
    sum(y).item<float>();
    return sum(exp(stop_gradient(y + 1.0f)));
  });
  EXPECT_NE(text.find("ends at `stop_gradient`"), std::string::npos) << text;

  const Variable x(ones({3}), "x"), other(2.0f, "other");
  GradientTape tape;
  const Tensor aside = argmax(x * 2.0f), y = other * other;
  sum(x * 2.0f).item<float>();
  const Tensor target = y * y;
  const auto error = error_of([&] { tape.gradient(target, x); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->headline().find("the path ends at"), std::string::npos) << error->what();
}

TEST(Unconnected, LeavesTheTapeForAnotherSource) {
  const Variable x(3.0f, "x"), unused(2.0f, "unused");
  GradientTape tape;
  const Tensor y = x * x;
  for (int i = 0; i < 2; ++i) {
    const auto error = error_of([&] { tape.gradient(y, {x, unused}); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->id(), ErrorId::unconnected) << error->what();
  }
  EXPECT_EQ(value(tape.gradient(y, x)), 6.0f);
}

TEST(Unconnected, ComputedBeforeTheTape) {
  const Variable x(2.0f, "x");
  const Tensor y = x * 3.0f;
  GradientTape tape;
  const auto error = error_of([&] { tape.gradient(y, x); });
  ASSERT_TRUE(error);
  EXPECT_NE(error->hint().find("after the tape is made"), std::string::npos) << error->what();
}

TEST(Unconnected, NotTrainableAndNotWatched) {
  const Variable frozen(2.0f, "frozen", false);
  const Tensor plain(2.0f);
  GradientTape tape({.persistent = true});
  const Tensor y = frozen * plain;
  EXPECT_NE(error_of([&] { tape.gradient(y, frozen); })->headline().find("not trainable"), std::string::npos);
  EXPECT_NE(error_of([&] { tape.gradient(y, plain); })->headline().find("not watched"), std::string::npos);
  tape.watch(frozen);
  EXPECT_EQ(value(tape.gradient(frozen * 4.0f, frozen)), 4.0f);
}

TEST(Unconnected, ZerosOnRequest) {
  const Variable x(ones({2, 3}), "x");
  GradientTape tape;
  const Tensor zero = tape.gradient(Tensor(1.0f) * 2.0f, x, {.unconnected = Unconnected::zero});
  EXPECT_EQ(zero.shape(), (Shape{2, 3}));
  EXPECT_EQ(zero.to_vector<float>(), std::vector<float>(6, 0.0f));
}

// --------------------------------------------------------------------------------------------------------- long tapes

TEST(GradientTape, TwoHundredThousandOpsNeitherOverflowNorSlowDown) {
  const DeviceScope scope(Device("reference"));
  const Variable x(1.0f, "x");
  const auto run = [&](int length) {
    GradientTape tape;
    Tensor y = x + 0.0f;
    for (int i = 1; i < length; ++i) y = y + 1.0f;
    EXPECT_EQ(tape.size(), static_cast<std::size_t>(length));
    return value(tape.gradient(y, x));
  };
  EXPECT_EQ(run(200'000), 1.0f);
}

TEST(GradientTape, UnsavedValuesAreLetGo) {
  const DeviceScope scope(Device("reference"));
  const Tensor x = ones({1024 * 256});
  GradientTape tape;
  tape.watch(x);
  const std::uint64_t before = memory_stats(x.device()).live;
  Tensor y = x + 1.0f;
  for (int i = 0; i < 20; ++i) y = y + 1.0f;  // an addition's gradient needs neither operand
  EXPECT_LE(memory_stats(x.device()).live, before + (3 << 20));
}

TEST(GradientTape, BelongsToItsThread) {
  GradientTape tape;
  const Variable x(2.0f);
  const Tensor y = square(x);
  std::optional<Error> error;
  std::thread([&] { error = error_of([&] { tape.gradient(y, x); }); }).join();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->id(), ErrorId::wrong_nesting);
}

// ------------------------------------------------------------------------------------------- where a recording ends

TEST(TapeOnAnotherThread, LetsGoOfWhatItSaved) {
  const DeviceScope scope(Device("reference"));
  const Variable x(ones({1 << 16}), "x");
  const std::uint64_t live = memory_stats(default_device()).live;
  auto tape = std::make_unique<GradientTape>();
  { const Tensor y = exp(exp(x)); }
  EXPECT_GT(memory_stats(default_device()).live, live);
  std::thread([&] { tape.reset(); }).join();
  { const Tensor z = x + 1.0f; }  // the tape's own thread notices at its next op
  EXPECT_EQ(memory_stats(default_device()).live, live);
}

TEST(TapeOnAnotherThread, MayOutliveItsThread) {
  const Variable x(2.0f, "x");
  std::unique_ptr<GradientTape> tape;
  std::optional<Tensor> y;
  std::thread([&] {
    tape = std::make_unique<GradientTape>();
    y = square(x);
  }).join();
  const auto error = error_of([&] { tape->gradient(*y, x); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->id(), ErrorId::wrong_nesting);
  tape.reset();
  GradientTape here;
  EXPECT_EQ(value(here.gradient(square(x), x)), 4.0f);
}

TEST(TapeOnAnotherThread, IsHandedBackWhileItsOwnRecords) {
  const Variable x(2.0f, "x");
  for (int round = 0; round < 50; ++round) {
    auto tape = std::make_unique<GradientTape>();
    std::thread other([&] { tape.reset(); });
    Tensor y = square(x);
    for (int i = 0; i < 20; ++i) y = y + x;
    other.join();
    GradientTape mine;
    EXPECT_EQ(value(mine.gradient(y * x, x)), 44.0f) << "y is from before this tape";
  }
}

// A pause that is destroyed there, too, ends with the next op of its own thread and does not affect the other thread.
TEST(TapeOnAnotherThread, SoDoesAPause) {
  const Variable x(2.0f, "x");
  GradientTape tape;
  auto pause = std::make_unique<NoGradient>();
  const Tensor hidden = square(x);
  std::thread([&] {
    GradientTape other;
    const NoGradient own;
    pause.reset();
    EXPECT_EQ(error_of([&] { other.gradient(square(x), x); })->id(), ErrorId::unconnected);
  }).join();
  EXPECT_EQ(value(tape.gradient(x * hidden, x)), 4.0f);
}

// The library pauses observers too. A tape that ends then is an older one, and changes nothing for newer ones.
TEST(PausedTapes, MayEndInAnyOrder) {
  const Variable x(2.0f, "x");
  for (const bool stopped : {false, true}) {
    auto outer = std::make_unique<GradientTape>();
    const Tensor y = square(x);
    const NoGradient first;
    GradientTape inner;
    {
      const NoGradient second;
      if (stopped) outer->stop();
      outer.reset();
    }
    EXPECT_EQ(value(inner.gradient(square(x), x)), 4.0f);
  }
  auto outer = std::make_unique<GradientTape>();
  const Tensor y = square(x);
  const NoGradient first;
  GradientTape inner;
  std::thread([&] { outer.reset(); }).join();
  Variable z(1.0f, "z");
  z.assign_add(x.read());
  EXPECT_EQ(value(inner.gradient(square(x), x)), 4.0f) << "assign_add pauses tapes, and found the returned one";
}

TEST(PausedTapes, APauseOutlivesAnOlderOne) {
  const Variable x(2.0f, "x");
  GradientTape tape(GradientTape::Options{.persistent = true});
  auto older = std::make_unique<NoGradient>();
  auto newer = std::make_unique<NoGradient>();
  older.reset();
  EXPECT_EQ(error_of([&] { tape.gradient(square(x), x); })->id(), ErrorId::unconnected);
  newer.reset();
  EXPECT_EQ(value(tape.gradient(square(x), x)), 4.0f);

  auto returned = std::make_unique<NoGradient>();
  std::thread([&] { returned.reset(); }).join();
  {
    const NoGradient here;
    EXPECT_EQ(error_of([&] { tape.gradient(square(x), x); })->id(), ErrorId::unconnected);
  }
  EXPECT_EQ(value(tape.gradient(square(x), x)), 4.0f);
}

TEST(TapeOnAnotherThread, CannotBeStopped) {
  GradientTape tape;
  std::optional<Error> error;
  std::thread([&] { error = error_of([&] { tape.stop(); }); }).join();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->id(), ErrorId::wrong_nesting);
}

TEST(StoppedTape, WatchesNothingMore) {
  const Variable x(3.0f, "x");
  GradientTape tape({.persistent = true});
  const Tensor y = square(x);
  const std::string place = "was stopped at tape_test.cpp:" + std::to_string(__LINE__ + 1) + " ";
  tape.stop();
  tape.stop();
  const auto error = error_of([&] { tape.watch(y); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->id(), ErrorId::invalid_use);
  EXPECT_NE(error->headline().find(place), std::string::npos) << error->what();
  const Tensor slope = tape.gradient(y, x);
  EXPECT_EQ(value(slope), 6.0f);
  EXPECT_EQ(value(tape.gradient(y, x)), 6.0f) << "a persistent tape stays one";
  EXPECT_EQ(error_of([&] { tape.gradient(slope, x); })->id(), ErrorId::unconnected) << "gradient() is not recorded";
}

TEST(StoppedTape, LeavesOtherTapesAlone) {
  const Variable x(2.0f, "x");
  GradientTape outer, middle, inner;
  middle.stop();
  const Tensor y = x * x * x;
  const Tensor slope = inner.gradient(y, x);
  EXPECT_EQ(value(slope), 12.0f);
  EXPECT_EQ(value(outer.gradient(slope, x)), 12.0f);
  EXPECT_EQ(error_of([&] { middle.gradient(y, x); })->id(), ErrorId::unconnected);
}

// A variable that is read, assigned and read again: both reads count as the variable.
TEST(GradientTape, AVariableThatWasAssignedBetweenTwoReads) {
  Variable v(2.0f, "v");
  GradientTape tape({.persistent = true});
  const Tensor before = v.read();
  v.assign(Tensor(5.0f));
  const Tensor y = before * 3.0f + v * 4.0f;
  EXPECT_EQ(value(tape.gradient(y, v)), 7.0f);
  EXPECT_EQ(value(tape.gradient(v.read(), v)), 1.0f);
  EXPECT_EQ(value(tape.gradient(before, v)), 1.0f);
}

TEST(GradientTape, ThreadsTrainIndependently) {
  const Variable x(3.0f);
  std::vector<float> slopes(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        GradientTape tape;
        const Tensor y = square(x) * static_cast<float>(t);
        slopes[static_cast<std::size_t>(t)] = value(tape.gradient(y, x));
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(slopes, (std::vector<float>{0, 6, 12, 18}));
}

// --------------------------------------------------------------------------------------------------------- gradcheck

TEST(Gradcheck, AcceptsRightAndRejectsWrongGradients) {
  const Tensor x = random_uniform({3, 4}, 0.5, 2, {.dtype = f64}), w = random_normal({4, 2}, 0, 1, {.dtype = f64});
  const GradcheckResult good =
      gradcheck([](const std::vector<Tensor>& in) { return tanh(matmul(log(in[0]), in[1])); }, {x, w});
  EXPECT_TRUE(good.ok) << good.text;
  const GradcheckResult bad =
      gradcheck([](const std::vector<Tensor>& in) { return in[0] * stop_gradient(in[0]); }, {x});
  EXPECT_FALSE(bad.ok);
  EXPECT_NE(bad.text.find("input 0"), std::string::npos) << bad.text;
  EXPECT_THROW(gradcheck([](const std::vector<Tensor>& in) { return in[0]; }, {ones({2})}), DTypeError);
}

// The gradient of a gradient drops unused inputs twice. Each keeps its own placeholder.
TEST(TapeTest, SecondGradientOfARegisteredProduct) {
  const OpDef& product = register_op(pointwise_op("tape_test::product", [](Expr a, Expr b) { return a * b; }));
  const Tensor a(3.0f), b(5.0f);
  GradientTape outer;
  outer.watch(a);
  outer.watch(b);
  GradientTape inner;
  inner.watch(a);
  const Tensor by_a = inner.gradient(7.0f * invoke1(product, {a, b}), {a})[0];
  EXPECT_EQ(by_a.item<float>(), 35);
  const auto second = outer.gradient(by_a, {a, b}, {.unconnected = Unconnected::zero});
  EXPECT_EQ(second[0].item<float>(), 0);
  EXPECT_EQ(second[1].item<float>(), 7);
}

}  // namespace
}  // namespace lockstep
