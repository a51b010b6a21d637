// Tests of call sites: of C++ and of other languages, whose places are ids until somebody asks for their text.
#include "lockstep/call_site.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <latch>
#include <memory>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "runtime/caller.h"

namespace lockstep {
namespace {

static_assert(sizeof(CallSite) == 8);
static_assert(std::is_trivially_copyable_v<CallSite>);
static_assert(std::is_nothrow_default_constructible_v<CallSite>);

// Calls id n line n of a file, and counts how often it is asked.
class Lines : public CallSiteResolver {
 public:
  explicit Lines(std::string file) : file_(std::move(file)) {}
  SourcePlace resolve(std::uint64_t id) const override {
    ++resolved;
    return {file_, static_cast<std::uint32_t>(id), "step"};
  }
  bool is_library(std::uint64_t id) const override { return id == 1000; }
  mutable std::atomic<int> resolved{0};

 private:
  const std::string file_;
};

CallSite place_of_call(CallSite where = CallSite::current()) { return where; }

struct Argument {
  Argument(int, CallSite at = CallSite::current()) : where(at) {}  // NOLINT: implicit, as operands are
  CallSite where;
};
CallSite place_of_argument(const Argument& argument) { return argument.where; }

TEST(CallSites, NameTheLineOfTheCall) {
  const std::uint32_t before = __LINE__;
  const CallSite called = place_of_call();
  const CallSite converted = place_of_argument(1);
  const CallSite given = std::source_location::current();
  for (std::uint32_t i = 0; i < 3; ++i) {
    const CallSite site = i == 0 ? called : i == 1 ? converted : given;
    EXPECT_FALSE(site.is_empty());
    EXPECT_FALSE(site.is_external());
    const SourcePlace place = site.resolve();
    EXPECT_EQ(place.file, __FILE__);
    EXPECT_EQ(place.line, before + 1 + i);
    EXPECT_NE(place.function.find("TestBody"), std::string::npos) << place.function;
    EXPECT_EQ(site.cpp().line(), before + 1 + i);
  }
}

TEST(CallSites, MayBeEmpty) {
  for (const CallSite site : {CallSite(), CallSite(std::source_location())}) {
    EXPECT_TRUE(site.is_empty());
    EXPECT_FALSE(site.is_external());
    EXPECT_EQ(site.resolve().file, "<unknown>");
    EXPECT_EQ(site.resolve().line, 0u);
    EXPECT_EQ(site.cpp().line(), 0u);
  }
}

TEST(CallSites, OfAnotherLanguageAreResolvedOnDemand) {
  const auto lines = std::make_shared<Lines>("train.py");
  const ExternalCallSites sites(lines);
  const CallSite first = sites.at(0), twelfth = place_of_call(sites.at(12));
  EXPECT_TRUE(first.is_external());
  EXPECT_FALSE(first.is_empty());
  EXPECT_EQ(first.cpp().line(), 0u);
  EXPECT_EQ(lines->resolved, 0);
  const SourcePlace place = twelfth.resolve();
  EXPECT_EQ(place.file, "train.py");
  EXPECT_EQ(place.line, 12u);
  EXPECT_EQ(place.function, "step");
  EXPECT_EQ(lines->resolved, 1);
  EXPECT_EQ(first.resolve().line, 0u);
  EXPECT_EQ(lines->resolved, 2);
}

// Keeps the last id that it was asked for.
struct LastId : CallSiteResolver {
  SourcePlace resolve(std::uint64_t id) const override {
    last = id;
    return {"ids.py", 1, ""};
  }
  mutable std::uint64_t last = 0;
};

TEST(CallSites, KeepIdsOf48Bits) {
  const auto resolver = std::make_shared<LastId>();
  const ExternalCallSites sites(resolver);
  for (const std::uint64_t id :
       {std::uint64_t{1}, std::uint64_t{0x8001}, std::uint64_t{0xa5a5'5a5a'c3c3}, std::uint64_t{0xffff'ffff'ffff}}) {
    EXPECT_EQ(sites.at(id).resolve().file, "ids.py");
    EXPECT_EQ(resolver->last, id);
  }
  resolver->last = 5;
  const CallSite outside = sites.at(std::uint64_t{1} << 48);
  EXPECT_TRUE(outside.is_external());
  EXPECT_EQ(outside.resolve().file, "<unknown>");
  EXPECT_EQ(resolver->last, 5u);
}

TEST(CallSites, ThatNobodyResolvesAnyMoreAreUnknown) {
  CallSite old;
  {
    const ExternalCallSites sites(std::make_shared<Lines>("old.py"));
    old = sites.at(1000);
    EXPECT_EQ(old.resolve().file, "old.py");
    EXPECT_TRUE(is_external_library_line(old));
    EXPECT_FALSE(is_external_library_line(sites.at(999)));
  }
  const ExternalCallSites later(std::make_shared<Lines>("later.py"));
  EXPECT_EQ(old.resolve().file, "<unknown>") << "not a line of those that came later";
  EXPECT_EQ(old.resolve().line, 0u);
  EXPECT_FALSE(is_external_library_line(old));
  EXPECT_EQ(later.at(3).resolve().file, "later.py");
}

struct Failing : CallSiteResolver {
  SourcePlace resolve(std::uint64_t id) const override {
    if (id == 0) return {"", 4, "step"};
    throw std::runtime_error("the interpreter is gone");
  }
  bool is_library(std::uint64_t) const override { throw std::runtime_error("the interpreter is gone"); }
};

TEST(CallSites, WhoseResolverFailsAreUnknown) {
  const ExternalCallSites failing(std::make_shared<Failing>()), none(nullptr);
  EXPECT_EQ(failing.at(0).resolve().file, "<unknown>");
  EXPECT_EQ(failing.at(1).resolve().file, "<unknown>");
  EXPECT_FALSE(is_external_library_line(failing.at(1)));
  EXPECT_EQ(none.at(1).resolve().file, "<unknown>");
  EXPECT_FALSE(is_external_library_line(none.at(1)));
}

// Blocks in resolve() until it may go on.
struct Slow : CallSiteResolver {
  Slow(std::latch& entered, std::latch& go_on, bool& destroyed)
      : entered_(entered), go_on_(go_on), destroyed_(destroyed) {}
  ~Slow() override { destroyed_ = true; }
  SourcePlace resolve(std::uint64_t) const override {
    entered_.count_down();
    go_on_.wait();
    return {"slow.py", destroyed_ ? 0u : 1u, ""};
  }

 private:
  std::latch &entered_, &go_on_;
  bool& destroyed_;
};

TEST(CallSites, MayBeRemovedWhileTheyAreResolved) {
  std::latch entered(1), go_on(1);
  bool destroyed = false;
  std::optional<ExternalCallSites> sites;
  sites.emplace(std::make_shared<Slow>(entered, go_on, destroyed));
  SourcePlace place;
  std::thread asking([&, site = sites->at(1)] { place = site.resolve(); });
  entered.wait();
  sites.reset();
  go_on.count_down();
  asking.join();
  EXPECT_EQ(place.file, "slow.py");
  EXPECT_EQ(place.line, 1u);
  EXPECT_TRUE(destroyed);
}

TEST(CallSites, OfSeveralThreadsAreKeptApart) {
  constexpr int rounds = 200;
  std::latch start(2);
  std::atomic<int> wrong{0};
  const auto run = [&](const std::string& file) {
    start.arrive_and_wait();
    std::vector<CallSite> removed;
    for (int i = 0; i < rounds; ++i) {
      const ExternalCallSites sites(std::make_shared<Lines>(file));
      removed.push_back(sites.at(static_cast<std::uint64_t>(i) + 1));
      const SourcePlace place = removed.back().resolve();
      wrong += place.file != file || place.line != static_cast<std::uint32_t>(i) + 1;
      wrong += i > 0 && removed[static_cast<std::size_t>(i) - 1].resolve().file != "<unknown>";
    }
  };
  std::thread a(run, "a.py"), b(run, "b.py");
  a.join();
  b.join();
  EXPECT_EQ(wrong, 0);
}

// In a process of its own, since it uses up all numbers.
TEST(CallSites, BeyondTheLastNumberAreUnknown) {
  const auto use_up = [] {
    const auto lines = std::make_shared<Lines>("many.py");
    const ExternalCallSites kept(std::make_shared<Lines>("kept.py"));
    int known = 0, of_others = 0;
    for (int i = 0; i < 40000; ++i) {
      const SourcePlace place = ExternalCallSites(lines).at(1).resolve();
      known += place.file == "many.py";
      of_others += place.file == "kept.py";
    }
    // Other tests of this process may have taken some.
    std::_Exit(known > 30000 && known < 32767 && of_others == 0 ? 0 : 1);
  };
  EXPECT_EXIT(use_up(), testing::ExitedWithCode(0), "");
}

// GCC and Clang do not use it in CallSite.
TEST(LocationsInTheTable, AreKeptOnce) {
  using detail::LocationInTable;
  const auto here = [](std::source_location where = std::source_location::current()) { return where; };
  std::uint64_t bits[2];
  for (std::uint64_t& b : bits) b = LocationInTable(here()).bits();
  EXPECT_EQ(bits[0], bits[1]);
  EXPECT_EQ(bits[0] % 2, 0u);
  const std::source_location other = here();
  EXPECT_NE(LocationInTable(other).bits(), bits[0]);
  const std::source_location left = here(), right = here();
  EXPECT_NE(LocationInTable(left).bits(), LocationInTable(right).bits()) << "two calls in one line";
  EXPECT_EQ(LocationInTable(other).location().line(), other.line());
  EXPECT_STREQ(LocationInTable(other).location().file_name(), __FILE__);
  EXPECT_EQ(LocationInTable(std::source_location()).bits(), 0u);
  EXPECT_EQ(LocationInTable(std::uint64_t{0}).location().line(), 0u);
  EXPECT_EQ(LocationInTable(std::uint64_t{77}).bits(), 77u);
}

}  // namespace
}  // namespace lockstep
