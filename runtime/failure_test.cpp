// Tests of asynchronous failures: what is reported, where, how often, and which state is restored. The same programs
// also run on devices that report failures immediately.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"
#include "runtime/device_state.h"
#include "runtime/failing_gather.h"
#include "runtime/test_devices.h"
#include "runtime/toy_device.h"

namespace lockstep {
namespace {

class Failures : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    device = device_named(GetParam());
    scope.emplace(*device);
    is_inline = device->state().queue().is_inline();
    table.emplace(ones({3, 4}));
    outside.emplace(Tensor({std::int64_t{1}, std::int64_t{7}}));
    synchronize(*device);
  }
  void TearDown() override { EXPECT_NO_THROW(synchronize(*device)) << "a failure was left over"; }

  Tensor bad() const { return gather(*table, *outside); }
  // As an application does it: the program and the final wait in one try.
  int failures_to_the_end(const std::function<void()>& program) const {
    return failures_of([&] {
      program();
      synchronize(*device);
    });
  }
  static std::vector<float> values(const Variable& v) { return v.read().to_vector<float>(); }

  std::optional<Device> device;
  std::optional<DeviceScope> scope;
  std::optional<Tensor> table, outside;
  bool is_inline = false;
};

TEST_P(Failures, AreReportedOnceBySynchronize) {
  int failed = failures_of([&] { bad(); });
  EXPECT_EQ(failed, is_inline ? 1 : 0);
  failed += failures_of([&] { synchronize(*device); }, 3);
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(failures_of([&] { EXPECT_EQ((*table + 1.0f).to_vector<float>()[0], 2.0f); }, 3), 0);
}

TEST_P(Failures, AreReportedOnceByARead) {
  std::optional<Tensor> picked;
  int failed = failures_of([&] { picked.emplace(bad()); });
  if (picked) {
    failed += failures_of([&] { picked->to_vector<float>(); });
    EXPECT_EQ(failures_of([&] { picked->to_vector<float>(); }, 2), 2) << "a tensor without contents has none later";
    EXPECT_EQ(failures_of([&] { *picked + 1.0f; }, 2), 2);
    EXPECT_EQ(failures_of([&] { transpose(*picked).to_vector<float>(); }), 1);
  }
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(failures_of([&] { synchronize(*device); }, 3), 0);
}

TEST_P(Failures, AreNotMetByOpsOnNothing) {
  std::optional<Tensor> picked;
  int failed = failures_of([&] { picked.emplace(bad()); });
  const auto on_nothing = [&] {
    const Tensor none = zeros({0, 4});
    EXPECT_EQ((none + 1.0f).size(), 0);
    EXPECT_EQ(none.to_vector<float>().size(), 0u);
    EXPECT_EQ(concat({none, none}).size(), 0);
    // The memory of an empty tensor comes from the pool, and a failed command may have used it before.
    std::vector<Tensor> many;
    for (int i = 0; i < 20; ++i) many.push_back(zeros({0}));
    for (const Tensor& t : many) EXPECT_EQ(sum(t).item<float>(), 0.0f);
  };
  failed += failures_of([&] { synchronize(*device); });
  EXPECT_EQ(failed, 1);
  picked.reset();
  EXPECT_EQ(failures_of(on_nothing, 3), 0);
}

TEST_P(Failures, AreNotMetByReadsOfSoundTensors) {
  const Tensor sound = reshape(arange(12, f32), {3, 4});
  int failed = failures_of([&] { bad(); });
  EXPECT_EQ(failures_of([&] { EXPECT_EQ(sound.to_vector<float>()[5], 5.0f); }, 2), 0);
  failed += failures_of([&] { bad(); });
  EXPECT_EQ(failures_of([&] { EXPECT_EQ(transpose(sound).to_vector<float>()[1], 4.0f); }, 2), 0);
  EXPECT_EQ(failures_of([&] { EXPECT_EQ(table->to_vector<float>()[0], 1.0f); }), 0);
  failed += failures_of([&] { synchronize(*device); }, 4);
  EXPECT_EQ(failed, 2) << "each failure is reported, and once";
}

TEST_P(Failures, AVariableThatWasAssignedOneKeepsItsValue) {
  for (const bool is_read : {false, true}) {
    Variable v(full({2, 4}, 5.0), "v");
    std::optional<Tensor> reading;
    if (is_read) reading = v.read();  // then the assignment needs other memory
    const std::vector<float> before = values(v);
    EXPECT_EQ(failures_to_the_end([&] { v.assign(bad()); }), 1) << is_read;
    EXPECT_EQ(values(v), before) << is_read;
    EXPECT_EQ(failures_of([&] { synchronize(*device); }, 2), 0);
    EXPECT_EQ(failures_to_the_end([&] { v.assign_add(bad()); }), 1) << is_read;
    EXPECT_EQ(values(v), before) << is_read;
    v.assign(full({2, 4}, 6.0));
    EXPECT_EQ(values(v), std::vector<float>(8, 6.0f)) << is_read;
    if (reading) {
      EXPECT_EQ(reading->to_vector<float>(), before);
    }
  }
}

// A read of the variable reports the failure, before synchronize().
TEST_P(Failures, AVariableMeetsItOnce) {
  for (const bool is_read : {false, true}) {
    Variable v(full({2, 4}, 5.0), "v");
    std::optional<Tensor> reading;
    if (is_read) reading = v.read();
    int failed = failures_of([&] { v.assign(bad()); });
    failed += failures_of([&] { values(v); });
    EXPECT_EQ(failed, 1) << is_read;
    EXPECT_EQ(values(v), std::vector<float>(8, 5.0f)) << is_read;
    EXPECT_EQ((v * 2.0f).to_vector<float>(), std::vector<float>(8, 10.0f)) << is_read;
    EXPECT_EQ(failures_of([&] { synchronize(*device); }), 0);
  }
}

// Commands after the failed one are undone, up to the point where the failure is reported, even if they are valid.
TEST_P(Failures, WhatComesAfterDidNotHappen) {
  for (const bool is_read : {false, true}) {
    Variable v(full({2, 4}, 5.0), "v"), w(full({3}, 1.0), "w");
    std::optional<Tensor> readings[2];
    if (is_read) readings[0] = v.read(), readings[1] = w.read();
    const Tensor sound = full({2, 4}, 9.0);
    EXPECT_EQ(failures_to_the_end([&] {
                const Tensor picked = bad();
                v.assign(sound);
                w.assign(full({3}, 2.0));
                v.assign(picked);
                w.assign(full({3}, 3.0));
                v.assign(sound);
                w.assign_add(full({3}, 1.0));
              }),
              1);
    EXPECT_EQ(values(v), std::vector<float>(8, 5.0f)) << is_read;
    EXPECT_EQ(values(w), std::vector<float>(3, 1.0f)) << is_read;
    v.assign(sound);
    EXPECT_EQ(values(v), std::vector<float>(8, 9.0f)) << is_read;
  }
}

// Tensors are assigned in a different order from that of their computation.
TEST_P(Failures, AssignmentsAreUndoneInTheirOwnOrder) {
  Variable v(full({2, 4}, 5.0), "v");
  const Tensor reading = v.read();
  EXPECT_EQ(failures_to_the_end([&] {
              const Tensor first = bad(), second = full({2, 4}, 8.0);
              v.assign(second);
              v.assign(first);
              v.assign(second);
            }),
            1);
  EXPECT_EQ(values(v), std::vector<float>(8, 5.0f));
  EXPECT_EQ(values(v), reading.to_vector<float>());
}

TEST_P(Failures, OfAGradientLeaveVariableAndOptimizerAlone) {
  for (const bool is_read : {false, true}) {
    Variable w(full({2, 4}, 5.0), "w");
    std::optional<Tensor> reading;
    if (is_read) reading = w.read();
    optim::Optimizer adam{optim::Adam{}};
    EXPECT_EQ(failures_to_the_end([&] {
                const Tensor gradient = bad();
                adam.apply(std::span(&gradient, 1), std::span(&w, 1));
              }),
              1);
    EXPECT_EQ(values(w), std::vector<float>(8, 5.0f)) << is_read;
    EXPECT_EQ(adam.steps(), 0);

    std::optional<Tensor> late;  // its failure is known before the step
    EXPECT_EQ(failures_to_the_end([&] { late.emplace(bad()); }), 1);
    if (late) {
      EXPECT_EQ(failures_of([&] { adam.apply(std::span(&*late, 1), std::span(&w, 1)); }), 1);
      EXPECT_EQ(failures_of([&] { w.assign(*late); }), 1);
    }
    EXPECT_EQ(values(w), std::vector<float>(8, 5.0f)) << is_read;
    EXPECT_EQ(adam.steps(), 0);
    const Tensor good = ones({2, 4});
    adam.apply(std::span(&good, 1), std::span(&w, 1));
    EXPECT_LT(values(w)[7], 5.0f);
  }
}

TEST_P(Failures, AVariableMadeOfOneBecomesUsableByAssign) {
  if (is_inline) GTEST_SKIP() << "there is no such variable";
  Variable v(bad(), "v");
  EXPECT_EQ(failures_of([&] { values(v); }, 3), 3);
  v.assign(full({2, 4}, 1.5));
  EXPECT_EQ(values(v), std::vector<float>(8, 1.5f));
  EXPECT_EQ(failures_of([&] { synchronize(*device); }), 0);
}

// The queue waits for room while a failed tensor is being used. The failure then becomes known between the op's checks
// and its launch, when the device already works again.
TEST_P(Failures, NothingIsComputedFromWhatFailed) {
  if (is_inline) GTEST_SKIP() << "an inline queue has nothing pending";
  const Tensor sound = zeros({1}), picked = bad();
  std::optional<Tensor> from_it;
  bool refused = false;
  for (int i = 0; i < 9000 && !refused; ++i) {
    sound + 1.0f;
    try {
      from_it = picked * 2.0f;
    } catch (const ShapeError&) {
      refused = true;
    }
  }
  EXPECT_TRUE(refused || failures_of([&] { from_it->to_vector<float>(); }) == 1);
  EXPECT_EQ(failures_of([&] { from_it->to_vector<float>(); }), 1) << "a result from before the failure was known";
  failures_of([&] { synchronize(*device); });
}

// What is uploaded from the host depends on no command, so it arrives even if a command before it failed.
TEST_P(Failures, UploadsAfterThemArrive) {
  for (const bool read_first : {false, true}) {
    const auto on_host = [](const std::vector<float>& values) {
      const DeviceScope host(Device("reference"));
      return Tensor(values, Shape{static_cast<std::int64_t>(values.size())});
    };
    int failed = failures_of([&] { bad(); });
    const Variable v(Tensor({1.5f, 2.5f}), "v");
    const Tensor t({7, 8, 9}), moved = on_host({4, 5}).to(*device);
    for (int i = 0; i < 50; ++i) {
      const Tensor gone = on_host({1, 2, 3, 4, static_cast<float>(i)}).to(*device);  // its memory may be used again
    }
    const Tensor late({0.5f, 0.25f, 1.0f, 2.0f, 3.0f});
    if (!read_first) failed += failures_of([&] { synchronize(*device); }, 2);
    EXPECT_EQ(failures_of([&] {
                EXPECT_EQ(values(v), (std::vector<float>{1.5f, 2.5f}));
                EXPECT_EQ(t.to_vector<std::int32_t>(), (std::vector<std::int32_t>{7, 8, 9}));
                EXPECT_EQ((v * moved).to_vector<float>(), (std::vector<float>{6, 12.5f}));
                EXPECT_EQ(late.to_vector<float>(), (std::vector<float>{0.5f, 0.25f, 1, 2, 3}));
              }),
              0)
        << read_first;
    failed += failures_of([&] { synchronize(*device); }, 2);
    EXPECT_EQ(failed, 1) << read_first;
  }
}

// Uploads whose variables are assigned to behind the failures.
TEST_P(Failures, UploadsBehindSeveralOfThemArrive) {
  if (is_inline) GTEST_SKIP() << "an op that fails throws at once";
  std::optional<Variable> v, w;
  EXPECT_EQ(failures_to_the_end([&] {
              bad();
              v.emplace(Tensor({1.0f, 2.0f}), "v");
              v->assign(full({2}, 9.0));
              bad();
              w.emplace(Tensor({3.0f}), "w");
              w->assign_add(full({1}, 9.0));
            }),
            1);
  EXPECT_EQ(values(*v), (std::vector<float>{1, 2})) << "what came after the failure did not happen";
  EXPECT_EQ(values(*w), std::vector<float>{3});
  const Tensor picked = bad();
  const Tensor sent({6.0f, 7.0f});
  EXPECT_EQ(failures_of([&] { picked.to_vector<float>(); }), 1);
  EXPECT_EQ(failures_of([&] { EXPECT_EQ((sent + 1.0f).to_vector<float>(), (std::vector<float>{7, 8})); }), 0);
}

TEST_P(Failures, ManyOfThemAreEachReported) {
  for (int i = 0; i < 600; ++i) ASSERT_EQ(failures_to_the_end([&] { bad(); }), 1) << i;
}

// A later failure does not make the host forget an earlier one.
TEST_P(Failures, EachKeepsItsOwnTensors) {
  if (is_inline) GTEST_SKIP() << "there are no such tensors";
  std::vector<Tensor> picked, sound;
  for (int i = 0; i < 5; ++i) {
    picked.push_back(bad());
    EXPECT_EQ(failures_of([&] { synchronize(*device); }, 2), 1);
    sound.push_back(full({4}, i));
  }
  for (std::size_t i = 0; i < picked.size(); ++i) {
    EXPECT_EQ(failures_of([&] { picked[i].to_vector<float>(); }), 1) << i;
    EXPECT_EQ(failures_of([&] { EXPECT_EQ(sound[i].to_vector<float>()[3], static_cast<float>(i)); }), 0) << i;
  }
}

TEST_P(Failures, NameTheLayerThatTheyCameFrom) {
  std::optional<Error> error;
  try {
    const NameScope model("model"), layer("embedding");
    bad();
  } catch (const Error& e) {
    error = e;
  }
  try {
    synchronize(*device);
  } catch (const Error& e) {
    error = e;
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->where().find("model/embedding, called at failure_test.cpp:"), 0u) << error->what();
}

// A script in which id n is line n.
class Script : public CallSiteResolver {
 public:
  SourcePlace resolve(std::uint64_t id) const override {
    ++resolved;
    return {"train.py", static_cast<std::uint32_t>(id), "step"};
  }
  mutable std::atomic<int> resolved{0};
};

TEST_P(Failures, NameALineOfAnotherLanguage) {
  const auto script = std::make_shared<Script>();
  const ExternalCallSites sites(script);
  std::optional<Error> error;
  try {
    gather(Operand(*table, sites.at(12)), *outside);
    EXPECT_FALSE(is_inline);
    EXPECT_EQ(script->resolved, 0) << "the queue keeps the id";
    synchronize(*device);
  } catch (const Error& e) {
    error = e;
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->op(), "gather");
  EXPECT_EQ(error->where(), "called at train.py:12") << error->what();
  EXPECT_EQ(script->resolved, 1);
}

TEST_P(Failures, NameNoLineOfALanguageThatIsGone) {
  if (is_inline) GTEST_SKIP() << "an op that fails throws at once";
  {
    const ExternalCallSites sites(std::make_shared<Script>());
    gather(Operand(*table, sites.at(12)), *outside);
  }
  try {
    synchronize(*device);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.where(), "called at <unknown>") << e.what();
  }
}

TEST_P(Failures, AreReportedOnAnotherThreadToo) {
  int failed = failures_of([&] { bad(); });
  std::thread([&] { failed += failures_of([&] { synchronize(*device); }, 2); }).join();
  failed += failures_of([&] { synchronize(*device); }, 2);
  EXPECT_EQ(failed, 1);
}

// Another thread may find a failure between the moment in which an upload is enqueued and that in which its thread goes
// on.
TEST_P(Failures, UploadsBesideThemOnAnotherThreadArrive) {
  std::atomic<bool> stop{false};
  std::thread failing([&] {
    const DeviceScope here(*device);
    while (!stop) failures_of([&] { bad().to_vector<float>(); });
  });
  int lost = 0;
  for (int i = 0; i < 200; ++i) {
    const std::vector<float> sent(16, static_cast<float>(i));
    lost += failures_of([&] { lost += Tensor(sent, Shape{16}).to_vector<float>() != sent; });
  }
  stop = true;
  failing.join();
  EXPECT_EQ(lost, 0);
}

INSTANTIATE_TEST_SUITE_P(Devices, Failures, testing::ValuesIn(devices_and_toy()), &by_device);

// ------------------------------------------------------------------------------------------------------- failed waits

class FailedWaits : public testing::Test {
 protected:
  void TearDown() override {
    set_option("toy.fail_wait", std::nullopt);
    set_option("toy.delay_us", std::nullopt);
  }
  // Makes the next wait fail, with this value in diag.value.
  static void fail_next_wait(std::uint64_t value) {
    static int generation = 0;
    set_option("toy.fail_wait", std::to_string(++generation) + ":" + std::to_string(value));
  }
  const DeviceScope scope{toy()};
};

// A failed wait raises an error, even if the driver attributes it to an older command.
TEST_F(FailedWaits, AlwaysRaise) {
  const Tensor table = ones({3, 4});
  EXPECT_THROW(gather(table, Tensor({std::int64_t{9}})).to_vector<float>(), ShapeError);  // an older failure
  for (std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{3}, std::uint64_t{1} << 40}) {
    set_option("toy.delay_us", "2000");
    const Tensor sum = table + 1.0f;
    fail_next_wait(value);
    EXPECT_THROW(synchronize(toy()), DeviceError) << value;
    EXPECT_NO_THROW(synchronize(toy())) << value;
    EXPECT_EQ(sum.to_vector<float>()[11], 2.0f) << "the command itself has not failed";

    fail_next_wait(value);
    EXPECT_THROW((table + 2.0f).to_vector<float>(), DeviceError) << value;
    const Tensor picked = gather(table, Tensor({std::int64_t{9}}));
    EXPECT_THROW(picked.to_vector<float>(), ShapeError) << "a failure after that is thrown as usual";
    EXPECT_NO_THROW(synchronize(toy()));
  }
}

// No matter which fault point of a device fails, waits among them, the memory of commands in flight is kept until they
// are done.
class FaultsInFlight : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    device = device_named(GetParam());
    scope.emplace(*device);
    if (GetParam() == "toy:0") set_option("toy.delay_us", "500");
  }
  void TearDown() override { set_option("toy.delay_us", std::nullopt); }

  std::optional<Device> device;
  std::optional<DeviceScope> scope;
};

TEST_P(FaultsInFlight, LeaveNothingBehind) {
  int failed = 0;
  for (std::uint64_t k = 1;; ++k) {
    std::vector<float> got;
    bool fired = false;
    {
      FaultInjection fault(k);
      try {
        const Tensor x = arange(3000, f32);
        Variable v(x * 2.0f, "v");
        v.assign(v + 1.0f);
        got = v.read().to_vector<float>();
        release_cached_memory(*device);
        const Tensor moved = transpose(reshape(x, {30, 100}));
        EXPECT_EQ(moved.to_vector<float>()[1], 100.0f);
        synchronize(*device);
        EXPECT_EQ(got[2999], 5999.0f);
      } catch (const Error& e) {
        EXPECT_TRUE(e.id() == ErrorId::driver_failed || e.id() == ErrorId::out_of_memory) << e.what();
        ++failed;
      }
      fired = fault.fired();
    }
    EXPECT_EQ((ones({1000}) + 1.0f).to_vector<float>()[999], 2.0f) << "after fault point " << k;
    EXPECT_NO_THROW(synchronize(*device)) << "after fault point " << k;
    if (!fired) break;
  }
  EXPECT_GT(failed, device->state().queue().is_inline() ? 4 : 8);
}

INSTANTIATE_TEST_SUITE_P(Devices, FaultsInFlight, testing::ValuesIn(devices_and_toy()), &by_device);

}  // namespace
}  // namespace lockstep
