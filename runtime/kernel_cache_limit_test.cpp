// Tests what the kernel cache keeps, and for how long: the limits of both levels, and refusals.
#include <thread>

#include "lockstep/lockstep.h"
#include "runtime/counted_allocations.h"
#include "runtime/kernel_script.h"

namespace lockstep {
namespace {

using Call = ScriptedCall;

class KernelLimits : public KernelCacheTest {
 protected:
  // The second time, and every later one.
  long allocations_when_known(const Call& call) {
    Call made = call;
    const KernelRequest request = made.request();
    const DriverCall caller{"called"};
    KernelLookup first = cache->find(request, caller);
    const long before = allocations();
    for (int i = 0; i < 10; ++i) cache->find(request, caller);
    return allocations() - before;
  }
};

INSTANTIATE_TEST_SUITE_P(Queues, KernelLimits, testing::Bool(),
                         [](const auto& test) { return test.param ? "Inline" : "Asynchronous"; });

TEST_P(KernelLimits, WhatWasUsedLongestAgoGoesFirst) {
  limit(3);
  for (int i = 0; i < 3; ++i) find(with_attribute(i));
  EXPECT_FALSE(is_new(with_attribute(0)));  // found in the thread's table, which counts as a use too
  EXPECT_EQ(cache->counters.evictions, 0u);
  EXPECT_TRUE(is_new(with_attribute(3))) << "1 has to go";
  EXPECT_EQ(cache->counters.evictions, 1u);
  EXPECT_EQ(cache->size(), 3u);
  for (int kept : {0, 2, 3}) EXPECT_FALSE(is_new(with_attribute(kept))) << kept;
  EXPECT_TRUE(is_new(with_attribute(1)));
  EXPECT_EQ(cache->counters.evictions, 2u);
  EXPECT_EQ(cache->counters.prepares, 5u);
}

TEST_P(KernelLimits, KernelsOfOneKindGoOneByOne) {
  limit(3);
  script.deps[0].dims = 1;
  for (int i = 2; i < 5; ++i) find(with_extent(i));
  EXPECT_FALSE(is_new(with_extent(2)));
  EXPECT_TRUE(is_new(with_extent(5))) << "3 has to go";
  EXPECT_EQ(cache->size(), 3u);
  EXPECT_FALSE(is_new(with_extent(2)));
  EXPECT_TRUE(is_new(with_extent(3))) << "now 4";
  EXPECT_FALSE(is_new(with_extent(5)));
  EXPECT_FALSE(is_new(with_extent(2)));
  EXPECT_TRUE(is_new(with_extent(4)));
  EXPECT_EQ(cache->counters.evictions, 3u);
  EXPECT_EQ(script.released, 3);
}

TEST_P(KernelLimits, TheOrderIsThatOfTheUses) {
  constexpr int capacity = 8;
  limit(capacity);
  script.deps[0].dims = 1;
  std::vector<int> by_use;  // the latest last
  unsigned random = 1;
  for (int i = 0; i < 2000; ++i) {
    random = random * 1664525u + 1013904223u;
    const int extent = 2 + static_cast<int>(random >> 16) % 12;
    const auto known = std::find(by_use.begin(), by_use.end(), extent);
    ASSERT_EQ(is_new(with_extent(extent)), known == by_use.end()) << i;
    if (known != by_use.end()) by_use.erase(known);
    by_use.push_back(extent);
    if (by_use.size() > capacity) by_use.erase(by_use.begin());
  }
}

TEST_P(KernelLimits, TheDefaultIs4096) {
  script.deps[0].dims = 1;
  for (int i = 0; i < 4096; ++i) find(with_extent(i + 2));
  EXPECT_EQ(cache->size(), 4096u);
  EXPECT_EQ(cache->counters.evictions, 0u);
  find(with_extent(5000));
  EXPECT_EQ(cache->size(), 4096u);
  EXPECT_EQ(cache->counters.evictions, 1u);
}

TEST_P(KernelLimits, OtherLimitsAreRefused) {
  for (const char* key : {"kernel_cache.capacity", "kernel_cache.per_thread"}) {
    for (const char* bad : {"0", "-1", "", "many", "3 kernels", "99999999999999999999", "16777217"}) {
      set_option(key, bad);
      EXPECT_THROW(KernelCache(device->state()), UsageError) << key << " " << bad;
    }
    set_option(key, "1");
    EXPECT_NO_THROW(KernelCache(device->state()));
    set_option(key, std::nullopt);
  }
  set_option("kernel_cache.per_thread", "257");
  EXPECT_THROW(KernelCache(device->state()), UsageError) << "a thread has room for 256";
}

TEST_P(KernelLimits, AKernelInUseOutlivesItsEviction) {
  limit(1);
  script.deps[0].dims = 1;
  {
    const KernelLookup in_use = look_up(with_extent(2));
    find(with_extent(3));
    EXPECT_EQ(cache->counters.evictions, 1u);
    EXPECT_EQ(script.released, 0);
    EXPECT_EQ(in_use.get()->variant(), "plain");
  }
  EXPECT_EQ(script.released, 1);
}

TEST_P(KernelLimits, AThreadsTableHoldsWhatItKnows) {
  limit(1);
  Call call = usual;
  KernelRequest request = call.request();
  request.borrows = true;
  cache->find(request, {"called"});
  const KernelLookup borrowed = cache->find(request, {"called"});
  EXPECT_EQ(borrowed.shared() == nullptr, GetParam()) << "commands of other queues outlive the call";
  std::thread([&] { find(with_attribute(7)); }).join();
  EXPECT_EQ(cache->counters.evictions, 1u);
  EXPECT_EQ(borrowed.get()->variant(), "plain");
  EXPECT_TRUE(is_new(usual)) << "what was evicted is not found again";
}

TEST_P(KernelLimits, KernelsAreReleasedWithoutTheLock) {
  limit(1);
  script.while_released = [this] { cache->size(); };  // would wait for ever
  find(with_attribute(1));
  std::thread([&] { find(with_attribute(2)); }).join();
  find(with_attribute(1));  // this thread's table had the first one
  script.deps[0].dims = 1;
  Call call = with_attribute(3);
  for (std::int64_t rows : {2, 3}) {
    call.dims[0][0] = rows;
    find(call);
  }
  cache->clear();
  EXPECT_EQ(script.prepared, 5);
  EXPECT_EQ(script.released, 5);
  script.while_released = nullptr;
}

TEST_P(KernelLimits, WhatIsFoundAgainIsNotAllocated) {
  EXPECT_EQ(allocations_when_known(usual), 0) << "first level";
  script.deps[0] = {.dims = 3, .strides = 3, .stride_classes = 3, .dense = 1, .alignment = 64};
  script.deps[2] = script.deps[0];
  EXPECT_EQ(allocations_when_known(with_attribute(2)), 0) << "second level";
  script.refusal = LKS_REASON_DTYPE;
  EXPECT_EQ(allocations_when_known(with_attribute(3)), 0) << "a refusal of all layouts";
  script.refusal = LKS_REASON_SIZE;
  EXPECT_EQ(allocations_when_known(with_attribute(4)), 0) << "a refusal of this layout";
}

TEST_P(KernelLimits, CallsThatShareASlotAreFoundInTheSecondLevel) {
  limit(100, 1);
  Call one = with_attribute(1), two = with_attribute(2);
  const KernelRequest requests[] = {one.request(), two.request()};
  for (const KernelRequest& request : requests) cache->find(request, {"called"});
  const long before = allocations();
  for (int i = 0; i < 10; ++i) cache->find(requests[i % 2], {"called"});
  EXPECT_EQ(allocations(), before);
  EXPECT_EQ(script.prepared, 2);
}

TEST_P(KernelLimits, CallsAreForgottenWithoutTheirKernels) {
  limit(2, 1);
  int described = 0;
  const auto by_another_definition = [&](std::uint64_t identity) {
    Call call = usual;
    call.identity = identity;
    call.describe = [&](lks_kernel_desc&) { ++described; };
    return call;
  };
  for (std::uint64_t identity = 2; identity < 200; ++identity) find(by_another_definition(identity));
  EXPECT_EQ(described, 198);
  find(by_another_definition(2));
  EXPECT_EQ(described, 199) << "described again";
  find(by_another_definition(2));
  EXPECT_EQ(described, 199);
  EXPECT_EQ(script.prepared, 1);
  EXPECT_EQ(cache->counters.evictions, 0u);
}

TEST_P(KernelLimits, KindsOfWhichNothingIsLeftAreSweptOut) {
  limit(4, 1);
  const auto use_many = [&] {
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(is_new(with_attribute(i)));
    EXPECT_EQ(cache->size(), 4u);
    return live_allocations();
  };
  const long before = use_many();
  EXPECT_LE(use_many(), before + 200);
}

// ------------------------------------------------------------------------------------------------------------ refusals

TEST_P(KernelLimits, RefusalsAreKeptForTheCallsForWhichTheyHold) {
  const auto times_asked = [&](std::int32_t reason, std::initializer_list<Call> calls) {
    cache->clear();
    script.refusal = reason;
    const std::uint64_t before = cache->counters.refusals;
    for (int i = 0; i < 3; ++i) {
      for (const Call& call : calls) {
        const KernelLookup lookup = look_up(call);
        EXPECT_EQ(lookup.get(), nullptr);
        EXPECT_EQ(lookup.refusal().reason, reason);
        EXPECT_EQ(lookup.refusal().operand, 1);
        EXPECT_EQ(lookup.refusal().text, "not like this");
      }
    }
    return cache->counters.refusals - before;
  };
  Call turned = usual, unaligned = usual;
  turned.strides[1][0] = 1;
  unaligned.tensors[2].offset = 1;
  const std::initializer_list<Call> calls = {usual, with_extent(9), turned, unaligned};
  for (std::int32_t always : {LKS_REASON_OP, LKS_REASON_DTYPE, LKS_REASON_RANK, LKS_REASON_ATTRIBUTE,
                              LKS_REASON_MATH_MODE, LKS_REASON_VERSION, LKS_REASON_HARDWARE, LKS_REASON_EXTENSION}) {
    EXPECT_EQ(times_asked(always, calls), 1u) << always;
  }
  for (std::int32_t here : {LKS_REASON_LAYOUT, LKS_REASON_SIZE, LKS_REASON_ALIAS, LKS_REASON_PROGRAM}) {
    EXPECT_EQ(times_asked(here, calls), 4u) << here;
  }
  for (std::int32_t now : {int{LKS_REASON_RESOURCE}, int{LKS_REASON_INDEX}, 99})
    EXPECT_EQ(times_asked(now, calls), 12u) << now;
}

TEST_P(KernelLimits, ARefusalWithoutAReasonIsOneOfTheOp) {
  script.failure = LKS_UNSUPPORTED;
  for (const Call& call : {usual, with_extent(9)}) EXPECT_EQ(look_up(call).refusal().reason, LKS_REASON_OP);
  EXPECT_EQ(cache->counters.refusals, 1u) << "it holds for all extents";
}

TEST_P(KernelLimits, ARefusalIsOneObject) {
  script.refusal = LKS_REASON_LAYOUT;
  const KernelLookup one = look_up(usual), two = look_up(usual);
  EXPECT_EQ(&one.refusal(), &two.refusal());
  EXPECT_EQ(KernelLookup().refusal().reason, LKS_REASON_NONE);
}

TEST_P(KernelLimits, OneLayoutMayBeRefusedAndAnotherNot) {
  script.refusal = LKS_REASON_LAYOUT;
  EXPECT_EQ(find(usual), nullptr);
  script.refusal = LKS_REASON_NONE;
  script.deps[0].dims = 1;
  EXPECT_NE(find(with_extent(9)), nullptr);
  EXPECT_EQ(find(usual), nullptr);
  EXPECT_EQ(script.prepared, 1);
  EXPECT_EQ(cache->counters.refusals, 1u);
  EXPECT_EQ(cache->size(), 2u);
}

TEST_P(KernelLimits, RefusalsCountAndGoAsKernelsDo) {
  limit(2);
  script.refusal = LKS_REASON_SIZE;
  for (int i = 2; i < 5; ++i) find(with_extent(i));
  EXPECT_EQ(cache->counters.evictions, 1u);
  EXPECT_EQ(cache->counters.refusals, 3u);
  find(with_extent(4));
  find(with_extent(3));
  EXPECT_EQ(cache->counters.refusals, 3u);
  find(with_extent(2));
  EXPECT_EQ(cache->counters.refusals, 4u);
}

TEST_P(KernelLimits, FailuresAreNotKept) {
  script.failure = LKS_OUT_OF_MEMORY;
  EXPECT_THROW(find(usual), OutOfMemoryError);
  EXPECT_THROW(find(usual), OutOfMemoryError);
  EXPECT_EQ(cache->size(), 0u);
  script.failure = LKS_OK;
  EXPECT_NE(find(usual), nullptr);
  EXPECT_EQ(script.prepared, 1);
}

}  // namespace
}  // namespace lockstep
