// Tests of the place that errors name: the line of the public call, also in another language, and which lines count as
// the user's.
#include "runtime/caller.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lockstep/lockstep.h"

namespace lockstep {
namespace {

// A script: id n is its line n. From line 1000 on, it is the script's package for Lockstep.
class Script : public CallSiteResolver {
 public:
  SourcePlace resolve(std::uint64_t id) const override {
    ++resolved;
    return {"/home/user/train.py", static_cast<std::uint32_t>(id), "step"};
  }
  bool is_library(std::uint64_t id) const override { return id >= 1000; }
  mutable int resolved = 0;
};

class Callers : public testing::Test {
 protected:
  // The `where` of the error that f throws.
  static std::string where_of(const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& e) {
      EXPECT_TRUE(e.where().empty() || std::string(e.what()).find(e.where()) != std::string::npos) << e.what();
      return e.where();
    }
    return "nothing was thrown";
  }

  const std::shared_ptr<Script> script = std::make_shared<Script>();
  std::optional<ExternalCallSites> sites{std::in_place, script};
  const Tensor a = ones({2, 3}), b = ones({4, 5});
};

TEST_F(Callers, AreTheLinesOfPublicCalls) {
  const int before = __LINE__;
  EXPECT_EQ(where_of([] { full({2}, 2.5, DType::i32); }), "called at caller_test.cpp:" + std::to_string(before + 1));
  EXPECT_EQ(where_of([&] { matmul(a, b); }), "called at caller_test.cpp:" + std::to_string(before + 2));
  EXPECT_EQ(where_of([&] { a.item<float>(); }), "called at caller_test.cpp:" + std::to_string(before + 3));
}

TEST_F(Callers, OfAnotherLanguageAreResolvedForErrorsOnly) {
  const Tensor sum = add({a, sites->at(7)}, {a, sites->at(8)});
  EXPECT_EQ(sum.to_vector<float>(sites->at(9)), std::vector<float>(6, 2.0f));
  EXPECT_EQ(script->resolved, 0);
  EXPECT_EQ(where_of([&] { matmul({a, sites->at(12)}, b); }), "called at train.py:12");
  EXPECT_EQ(script->resolved, 1);
  EXPECT_EQ(where_of([&] { a.item<float>(sites->at(13)); }), "called at train.py:13");
  const NameScope model("model"), layer("dense");
  EXPECT_EQ(where_of([&] { matmul({a, sites->at(14)}, b); }), "model/dense, called at train.py:14");
}

TEST_F(Callers, ThatNobodyResolvesAnyMoreAreUnknown) {
  const CallSite old = sites->at(12);
  sites.reset();
  EXPECT_EQ(where_of([&] { matmul({a, old}, b); }), "called at <unknown>");
  const CallerScope scope(old);
  EXPECT_EQ(where_of([] { Dim(2) - Dim(3); }), "called at <unknown>");
  EXPECT_EQ(script->resolved, 0);
}

// Extents do not know from where they are computed.
TEST_F(Callers, OfAScopeAreNamedIfNoOtherLineIsKnown) {
  EXPECT_EQ(where_of([] { Dim(2) - Dim(3); }), "");
  const CallerScope scope(sites->at(21));
  EXPECT_EQ(where_of([] { Dim(2) - Dim(3); }), "called at train.py:21");
}

TEST_F(Callers, OfAScopeReplaceLinesOfTheLibrary) {
  const std::unique_ptr<nn::Layer> dense = nn::Dense{.units = 2}.make();
  (*dense)(a, {}, sites->at(30));
  EXPECT_EQ(script->resolved, 0);
  EXPECT_EQ(where_of([&] { (*dense)(b, {}, sites->at(31)); }), "dense, called at train.py:31");
  const CallerScope scope(sites->at(32));
  EXPECT_EQ(where_of([&] { (*dense)(b); }), "dense, called at train.py:32") << "the outermost scope wins";
}

TEST_F(Callers, OfAScopeReplaceLinesOfAPackage) {
  const CallSite package = sites->at(1000), user = sites->at(40), here = CallSite::current();
  EXPECT_TRUE(is_library_line(package));
  EXPECT_FALSE(is_library_line(user));
  EXPECT_FALSE(is_library_line(here)) << "tests are users";
  EXPECT_EQ(short_location(user_line(package)), "train.py:1000") << "there is no other line";
  {
    const CallerScope outer(sites->at(41)), inner(sites->at(42));
    EXPECT_EQ(short_location(user_line(package)), "train.py:41");
    EXPECT_EQ(short_location(user_line(user)), "train.py:40");
    EXPECT_EQ(short_location(user_line(here)), short_location(here));
  }
  {
    const CallerScope nowhere{CallSite()};
    const CallerScope inner(sites->at(43));
    EXPECT_EQ(short_location(user_line(package)), "train.py:43") << "a scope without a place is none";
  }
  EXPECT_EQ(short_location(user_line(package)), "train.py:1000");
}

TEST_F(Callers, AreKeptByTapes) {
  GradientTape tape;
  tape.watch(a, sites->at(50));
  tape.stop(sites->at(51));
  EXPECT_EQ(script->resolved, 0);
  try {
    tape.watch(a, sites->at(52));
    ADD_FAILURE() << "nothing was thrown";
  } catch (const StateError& e) {
    EXPECT_EQ(e.headline(), "the tape was stopped at train.py:51 and records nothing");
    EXPECT_EQ(e.where(), "called at train.py:52");
  }
}

TEST_F(Callers, MayHaveOnlyAFile) {
  EXPECT_EQ(short_location(sites->at(0)), "train.py");
  EXPECT_EQ(short_location(CallSite()), "<unknown>");
}

}  // namespace
}  // namespace lockstep
