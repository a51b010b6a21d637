// Tests of the names of scopes: each is interned once, whatever threads ask for it at the same time.
#include "lockstep/scope.h"

#include <gtest/gtest.h>

#include <latch>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace lockstep {
namespace {

TEST(ScopeNames, AreInternedOncePerParent) {
  const ScopeName* const a = intern_scope(nullptr, "scope_test_a");
  const ScopeName* const b = intern_scope(nullptr, "scope_test_b");
  EXPECT_EQ(intern_scope(nullptr, "scope_test_a"), a);
  EXPECT_NE(a, b);
  const ScopeName* const inner = intern_scope(a, "inner");
  EXPECT_EQ(intern_scope(a, std::string("inn") + "er"), inner);
  EXPECT_NE(intern_scope(b, "inner"), inner);
  EXPECT_NE(intern_scope(nullptr, "inner"), inner);
  EXPECT_EQ(inner->parent, a);
  EXPECT_EQ(inner->name, "inner");
  EXPECT_EQ(inner->path(), "scope_test_a/inner");
}

// More names than the table has places.
TEST(ScopeNames, AreToldApartInAnyNumber) {
  std::set<const ScopeName*> all;
  for (int i = 0; i < 5000; ++i) all.insert(intern_scope(nullptr, "scope_test_" + std::to_string(i)));
  EXPECT_EQ(all.size(), 5000u);
  for (int i = 0; i < 5000; ++i) {
    const std::string name = "scope_test_" + std::to_string(i);
    const ScopeName* const known = intern_scope(nullptr, name);
    EXPECT_TRUE(all.contains(known));
    EXPECT_EQ(known->name, name);
  }
}

TEST(ScopeNames, ThreadsThatAskTogetherGetTheSame) {
  constexpr std::size_t threads = 4, names = 2000;
  std::latch start(threads);
  std::vector<std::vector<const ScopeName*>> given(threads);
  std::vector<std::thread> running;
  for (std::size_t t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      start.arrive_and_wait();
      for (std::size_t i = 0; i < names; ++i)
        given[t].push_back(intern_scope(nullptr, "together_" + std::to_string(i)));
    });
  }
  for (std::thread& thread : running) thread.join();
  for (std::size_t t = 1; t < threads; ++t) EXPECT_EQ(given[t], given[0]) << "thread " << t;
}

TEST(ScopeNames, AScopeIsThatOfItsThread) {
  EXPECT_EQ(current_scope(), nullptr);
  const NameScope outer("scope_test_outer");
  {
    const NameScope inner("inner");
    EXPECT_EQ(current_scope()->path(), "scope_test_outer/inner");
    std::thread([] { EXPECT_EQ(current_scope(), nullptr); }).join();
  }
  EXPECT_EQ(current_scope()->path(), "scope_test_outer");
}

}  // namespace
}  // namespace lockstep
