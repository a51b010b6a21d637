// Tests which calls share a kernel: those that agree in the properties that the kernel declares as dependencies. The
// driver is scripted; each case chooses the dependencies.
#include "runtime/kernel_cache.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>

#include "lockstep/lockstep.h"
#include "runtime/scripted_driver.h"

namespace lockstep {
namespace {

// The answers of the driver, and a record of the queries.
struct Script {
  std::vector<lks_operand_deps> deps;
  std::int32_t refusal = LKS_REASON_NONE;
  int prepared = 0, released = 0;
  lks_kernel_desc last{};
  std::vector<lks_tensor_desc> inputs, outputs;
};
Script script;

lks_status answer(const lks_kernel_desc* desc, lks_kernel_info* info, lks_diag* diag) {
  script.last = *desc;
  script.inputs.assign(desc->inputs, desc->inputs + desc->input_count);
  script.outputs.assign(desc->outputs, desc->outputs + desc->output_count);
  if (script.refusal != LKS_REASON_NONE) {
    diag->reason = script.refusal;
    diag->operand = 1;
    std::snprintf(diag->what, sizeof diag->what, "not like this");
    return LKS_UNSUPPORTED;
  }
  for (std::size_t i = 0; i < script.deps.size(); ++i) info->deps[i] = script.deps[i];
  std::snprintf(info->variant, sizeof info->variant, "plain");
  info->workspace_bytes = 48;
  return LKS_OK;
}

const lks_driver_api& table() {
  static const lks_driver_api api = [] {
    lks_driver_api t = scripted_driver();
    t.kernel_query = [](lks_driver*, std::uint32_t, const lks_kernel_desc* desc, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status { return answer(desc, info, diag); };
    t.kernel_prepare = [](lks_device*, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                          lks_diag* diag) -> lks_status {
      *out = any_handle<lks_kernel>();
      const lks_status status = answer(desc, info, diag);
      script.prepared += status == LKS_OK;
      return status;
    };
    t.kernel_release = [](lks_device*, lks_kernel*) { ++script.released; };
    return t;
  }();
  return api;
}

// A call with two inputs and one output, all of rank 2.
struct Call {
  std::int64_t dims[3][2] = {{4, 6}, {4, 6}, {4, 6}};
  std::int64_t strides[3][2] = {{6, 1}, {6, 1}, {6, 1}};
  KernelTensor tensors[3];
  int op = 0;
  std::int64_t attrs[2] = {1, 2};
  std::vector<std::uint8_t> numbers;
  MathMode mode = MathMode::strict;

  KernelRequest request() {
    static const int ops[2] = {};
    for (int i = 0; i < 3; ++i) {
      tensors[i].rank = tensors[i].rank ? tensors[i].rank : 2;
      tensors[i].dims = dims[i];
      tensors[i].strides = strides[i];
    }
    return {.op_key = &ops[op],
            .attrs = attrs,
            .attrs_size = sizeof attrs,
            .number_dtypes = numbers,
            .mode = mode,
            .tensors = tensors,
            .input_count = 2,
            .describe = [](lks_kernel_desc& desc, const void*) { desc.op_name = "called"; }};
  }
};

class KernelCacheTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    script = {};
    script.deps.resize(3);
    device = std::make_unique<ScriptedDevice>(table(), GetParam() ? LKS_CAP_INLINE_QUEUE : 0);
    cache = std::make_unique<KernelCache>(device->state());
  }

  const Kernel* find(Call call) { return cache->find(call.request(), {"called"}).get(); }

  // Whether the second call gets the kernel of the first.
  bool share(const Call& first, const Call& second) {
    cache->clear();
    const Kernel* one = find(first);
    const int before = script.prepared;
    const Kernel* two = find(second);
    EXPECT_EQ(one == two, script.prepared == before);
    EXPECT_EQ(find(first), one) << "the first one is still there";
    EXPECT_EQ(find(second), two);
    return one == two;
  }

  std::unique_ptr<ScriptedDevice> device;
  std::unique_ptr<KernelCache> cache;
  const Call usual;
};

INSTANTIATE_TEST_SUITE_P(Queues, KernelCacheTest, testing::Bool(),
                         [](const auto& test) { return test.param ? "Inline" : "Asynchronous"; });

TEST_P(KernelCacheTest, AKernelThatDependsOnNothingServesAllOfItsKind) {
  Call other = usual;
  other.dims[0][0] = 9;
  other.strides[1][1] = 5;
  other.tensors[2].offset = 3;
  EXPECT_TRUE(share(usual, usual));
  EXPECT_TRUE(share(usual, other));
  EXPECT_EQ(cache->size(), 1u);
}

TEST_P(KernelCacheTest, CallsOfAnotherKindDoNot) {
  const auto differ = [&](auto&& change) {
    Call other = usual;
    change(other);
    return !share(usual, other);
  };
  EXPECT_TRUE(differ([](Call& c) { c.op = 1; }));
  EXPECT_TRUE(differ([](Call& c) { c.attrs[0] = 7; }));
  EXPECT_TRUE(differ([](Call& c) { c.attrs[1] = 7; }));
  EXPECT_TRUE(differ([](Call& c) { c.mode = MathMode::fast; }));
  EXPECT_TRUE(differ([](Call& c) { c.numbers = {1}; }));
  EXPECT_TRUE(differ([](Call& c) { c.tensors[0].dtype = DType::f64; }));
  EXPECT_TRUE(differ([](Call& c) { c.tensors[1].rank = 1; }));
  EXPECT_TRUE(differ([](Call& c) { c.tensors[1].absent = true; }));
  Call one = usual, two = usual;
  one.numbers = {1, 2};
  two.numbers = {2, 1};
  EXPECT_FALSE(share(one, two));
}

TEST_P(KernelCacheTest, OfManyTensorsEachCounts) {
  std::vector<KernelTensor> tensors(12);
  std::int64_t dims[] = {4}, strides[] = {1};
  for (KernelTensor& t : tensors) t = {.rank = 1, .dims = dims, .strides = strides};
  script.deps.clear();
  Call call = usual;  // the request refers to it
  KernelRequest request = call.request();
  request.tensors = tensors;
  request.input_count = 11;
  const auto prepared = [&] {
    cache->find(request, {"called"});
    return script.prepared;
  };
  EXPECT_EQ(prepared(), 1);
  EXPECT_EQ(prepared(), 1);
  tensors[0].dtype = DType::i32;
  EXPECT_EQ(prepared(), 2);
  std::swap(tensors[0].dtype, tensors[1].dtype);
  EXPECT_EQ(prepared(), 3);
  tensors[11].rank = 0;
  EXPECT_EQ(prepared(), 4);
  EXPECT_EQ(prepared(), 4);
}

TEST_P(KernelCacheTest, ExtentsCountWhereTheKernelSaysSo) {
  script.deps[1].dims = 2;  // the extent of dimension 1 of the second input
  Call rows = usual, columns = usual, of_another = usual;
  rows.dims[1][0] = 9;
  columns.dims[1][1] = 9;
  of_another.dims[0][1] = 9;
  EXPECT_TRUE(share(usual, rows));
  EXPECT_FALSE(share(usual, columns));
  EXPECT_TRUE(share(usual, of_another));
}

TEST_P(KernelCacheTest, StridesCountButThoseOfSingleElements) {
  script.deps[0].strides = 1;
  Call far = usual, inner = usual;
  far.strides[0][0] = 7;
  inner.strides[0][1] = 7;
  EXPECT_FALSE(share(usual, far));
  EXPECT_TRUE(share(usual, inner));
  Call single = usual, single_far = usual;
  single.dims[0][0] = single_far.dims[0][0] = 1;
  single_far.strides[0][0] = 7;
  EXPECT_TRUE(share(single, single_far));
}

TEST_P(KernelCacheTest, StrideClassesAreZeroOneAndOther) {
  script.deps[0].stride_classes = 1;
  const auto with = [&](std::int64_t extent, std::int64_t stride) {
    Call call = usual;
    call.dims[0][0] = extent;
    call.strides[0][0] = stride;
    return call;
  };
  EXPECT_TRUE(share(with(4, 6), with(5, -3)));
  EXPECT_FALSE(share(with(4, 6), with(4, 1)));
  EXPECT_FALSE(share(with(4, 6), with(4, 0)));
  EXPECT_FALSE(share(with(4, 1), with(4, 0)));
  EXPECT_FALSE(share(with(1, 1), with(4, 1)));
  EXPECT_FALSE(share(with(1, 0), with(4, 0)));
  EXPECT_FALSE(share(with(1, 6), with(4, 6)));
  EXPECT_TRUE(share(with(1, 6), with(1, 0)));
}

TEST_P(KernelCacheTest, DenseTensorsAreToldApart) {
  script.deps[0].dense = 1;
  Call strided = usual, shorter = usual, single = usual, turned = usual;
  strided.strides[0][0] = 12;
  shorter.dims[0][0] = 2;
  single.dims[0][0] = 1;
  single.strides[0][0] = 99;
  turned.strides[0][0] = 1;
  turned.strides[0][1] = 4;
  EXPECT_FALSE(share(usual, strided));
  EXPECT_FALSE(share(usual, turned));
  EXPECT_TRUE(share(strided, turned));
  EXPECT_TRUE(share(usual, shorter));
  EXPECT_TRUE(share(usual, single)) << "where a single element's next one would lie says nothing";
}

TEST_P(KernelCacheTest, AlignmentCountsUpToWhatTheKernelAsksFor) {
  const auto at = [&](std::int64_t offset) {
    Call call = usual;
    call.tensors[0].offset = offset;  // in f32 elements of 4 bytes
    return call;
  };
  script.deps[0].alignment = 16;
  EXPECT_TRUE(share(at(0), at(4))) << "16 bytes are enough";
  EXPECT_TRUE(share(at(0), at(8)));
  EXPECT_FALSE(share(at(0), at(2)));
  EXPECT_FALSE(share(at(1), at(2)));
  EXPECT_TRUE(share(at(1), at(3)));
  script.deps[0].alignment = 4096;
  EXPECT_TRUE(share(at(0), at(16))) << "blocks promise 64 bytes and no more";
  EXPECT_FALSE(share(at(0), at(8)));
  script.deps[0].alignment = 1;
  EXPECT_TRUE(share(at(0), at(1)));
}

TEST_P(KernelCacheTest, WhatIsAbsentDependsOnNothing) {
  script.deps[1] = {.dims = 3, .strides = 3, .stride_classes = 3, .dense = 1, .alignment = 64};
  Call one = usual;
  one.tensors[1].absent = true;
  Call two = one;
  two.dims[1][0] = 77;
  EXPECT_TRUE(share(one, two));
}

TEST_P(KernelCacheTest, OneKindMayHaveKernelsThatDependOnDifferentThings) {
  script.deps[0].dims = 1;
  Call tall = usual, wide = usual;
  tall.dims[0][0] = 100;
  find(usual);
  script.deps[0].dims = 2;
  find(tall);
  EXPECT_EQ(script.prepared, 2);
  wide = tall;
  wide.dims[0][1] = 100;
  find(wide);
  EXPECT_EQ(script.prepared, 3);
  find(usual);
  find(tall);
  find(wide);
  EXPECT_EQ(script.prepared, 3);
  EXPECT_EQ(cache->size(), 3u);
}

TEST_P(KernelCacheTest, RefusalsThatNothingCouldLiftAreKept) {
  const std::int32_t kept[] = {LKS_REASON_OP,        LKS_REASON_DTYPE,   LKS_REASON_RANK,    LKS_REASON_ATTRIBUTE,
                               LKS_REASON_MATH_MODE, LKS_REASON_VERSION, LKS_REASON_HARDWARE};
  const std::int32_t asked_again[] = {LKS_REASON_LAYOUT, LKS_REASON_SIZE, LKS_REASON_ALIAS, LKS_REASON_RESOURCE};
  const auto times_asked = [&](std::int32_t reason) {
    cache->clear();
    script.refusal = reason;
    const std::uint64_t before = cache->counters.refusals;
    for (int i = 0; i < 3; ++i) {
      const KernelLookup lookup = cache->find(Call(usual).request(), {"called"});
      EXPECT_EQ(lookup.get(), nullptr);
      EXPECT_EQ(lookup.reason, reason);
      EXPECT_EQ(lookup.operand, 1);
      EXPECT_EQ(lookup.text, "not like this");
    }
    return cache->counters.refusals - before;
  };
  for (std::int32_t reason : kept) EXPECT_EQ(times_asked(reason), 1u) << reason;
  for (std::int32_t reason : asked_again) EXPECT_EQ(times_asked(reason), 3u) << reason;
}

TEST_P(KernelCacheTest, TheDriverIsToldAllOfTheCall) {
  Call call = usual;
  call.mode = MathMode::fast;
  call.tensors[0].dtype = DType::f16;
  call.tensors[0].offset = 3;
  call.dims[0][0] = 5;
  call.strides[0][1] = -2;
  call.tensors[1].absent = true;
  const Kernel* kernel = find(call);
  EXPECT_STREQ(script.last.op_name, "called");
  EXPECT_EQ(script.last.hdr.size, sizeof(lks_kernel_desc));
  EXPECT_EQ(script.last.attrs_size, sizeof call.attrs);
  EXPECT_EQ(script.last.math_mode, static_cast<std::uint32_t>(LKS_MODE_FAST));
  EXPECT_EQ(script.last.operand_count, 2u);
  ASSERT_EQ(script.inputs.size(), 2u);
  ASSERT_EQ(script.outputs.size(), 1u);
  EXPECT_EQ(script.inputs[0].hdr.size, sizeof(lks_tensor_desc));
  EXPECT_EQ(script.inputs[0].dtype, LKS_F16);
  EXPECT_EQ(script.inputs[0].rank, 2);
  EXPECT_EQ(script.inputs[0].dims[0], 5);
  EXPECT_EQ(script.inputs[0].dims[1], 6);
  EXPECT_EQ(script.inputs[0].strides[0], 6);
  EXPECT_EQ(script.inputs[0].strides[1], -2);
  EXPECT_EQ(script.inputs[0].alignment, 2u) << "three elements of two bytes in";
  EXPECT_EQ(script.inputs[0].flags, 0u);
  EXPECT_EQ(script.inputs[1].flags, static_cast<std::uint32_t>(LKS_TENSOR_OPTIONAL_ABSENT));
  EXPECT_EQ(script.inputs[1].rank, 0);
  EXPECT_EQ(script.outputs[0].alignment, 64u);
  EXPECT_EQ(kernel->variant(), "plain");
  EXPECT_EQ(kernel->workspace_bytes(), 48u);
}

TEST_P(KernelCacheTest, AQueryPreparesNothing) {
  const KernelLookup yes = KernelCache::query(device->entry(), Call(usual).request());
  EXPECT_EQ(yes.reason, LKS_REASON_NONE);
  EXPECT_EQ(yes.variant, "plain");
  script.refusal = LKS_REASON_SIZE;
  const KernelLookup no = KernelCache::query(device->entry(), Call(usual).request());
  EXPECT_EQ(no.reason, LKS_REASON_SIZE);
  EXPECT_EQ(no.text, "not like this");
  EXPECT_EQ(script.prepared, 0);
}

TEST_P(KernelCacheTest, KernelsAreReleasedWithTheCache) {
  find(usual);
  Call other = usual;
  other.op = 1;
  find(other);
  EXPECT_EQ(script.released, 0);
  cache->clear();
  EXPECT_EQ(cache->size(), 0u);
  EXPECT_EQ(script.released, 2);
  find(usual);
  EXPECT_EQ(script.prepared, 3);
}

TEST_P(KernelCacheTest, DevicesDoNotShareKernels) {
  const Kernel* here = find(usual);
  KernelCache other(device->state());
  EXPECT_NE(other.find(Call(usual).request(), {"called"}).get(), here);
  EXPECT_EQ(find(usual), here);
  EXPECT_EQ(script.prepared, 2);
}

TEST_P(KernelCacheTest, WhatWasUsedLongestAgoIsDroppedWhenItIsFull) {
  const auto with = [&](std::int64_t number) {
    Call call = usual;
    call.attrs[0] = number;
    return call;
  };
  constexpr int capacity = 4096;
  for (int i = 0; i < capacity; ++i) find(with(i));
  EXPECT_EQ(cache->size(), 4096u);
  EXPECT_EQ(cache->counters.evictions, 0u);
  find(with(capacity));
  EXPECT_GE(cache->counters.evictions, 2000u) << "half of them";
  EXPECT_LE(cache->counters.evictions, 2100u);
  EXPECT_EQ(cache->size() + cache->counters.evictions, 4097u);
  const int prepared = script.prepared;
  find(with(capacity - 1));
  find(with(capacity));
  EXPECT_EQ(script.prepared, prepared) << "the latest are there";
  find(with(0));
  EXPECT_EQ(script.prepared, prepared + 1) << "the first are gone";
  EXPECT_EQ(cache->size() + cache->counters.evictions, 4098u);
}

TEST_P(KernelCacheTest, AKindThatIsDroppedCountsWithAllItsKernels) {
  script.deps[0].dims = 1;
  Call call = usual;
  for (std::int64_t extent : {4, 5, 6}) {
    call.dims[0][0] = extent;
    find(call);
  }
  for (int i = 0; i < 4093; ++i) {
    call.attrs[0] = 100 + i;
    find(call);
  }
  EXPECT_EQ(cache->size(), 4096u);
  call.attrs[0] = 5000;
  find(call);
  EXPECT_GE(cache->counters.evictions, 2000u) << "half of the kinds";
  EXPECT_EQ(cache->size() + cache->counters.evictions, 4095u) << "the oldest of them had three kernels";
}

TEST_P(KernelCacheTest, AKindKeepsAtMost512Kernels) {
  script.deps[0].dims = 1;
  Call call = usual;
  for (int i = 0; i < 512; ++i) {
    call.dims[0][0] = i + 2;
    find(call);
  }
  EXPECT_EQ(cache->size(), 512u);
  EXPECT_EQ(cache->counters.evictions, 0u);
  call.dims[0][0] = 1000;
  find(call);
  EXPECT_EQ(cache->size(), 1u);
  EXPECT_EQ(cache->counters.evictions, 512u);
  EXPECT_EQ(script.released, 512);
}

}  // namespace
}  // namespace lockstep
