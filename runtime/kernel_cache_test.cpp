// Tests which calls share a kernel: those of equal content that agree in the properties that the kernel declares as
// dependencies. The driver is scripted; each case chooses the dependencies.
#include <cstring>

#include "lockstep/lockstep.h"
#include "runtime/kernel_script.h"

namespace lockstep {
namespace {

using Call = ScriptedCall;

class KernelSharing : public KernelCacheTest {
 protected:
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
};

INSTANTIATE_TEST_SUITE_P(Queues, KernelSharing, testing::Bool(),
                         [](const auto& test) { return test.param ? "Inline" : "Asynchronous"; });

TEST_P(KernelSharing, AKernelThatDependsOnNothingServesAllOfItsKind) {
  Call other = usual;
  other.dims[0][0] = 9;
  other.strides[1][1] = 5;
  other.tensors[2].offset = 3;
  EXPECT_TRUE(share(usual, usual));
  EXPECT_TRUE(share(usual, other));
  EXPECT_EQ(cache->size(), 1u);
}

TEST_P(KernelSharing, CallsOfAnotherKindDoNot) {
  const auto differ = [&](auto&& change) {
    Call other = usual;
    change(other);
    return !share(usual, other);
  };
  EXPECT_TRUE(differ([](Call& c) { c.identity = 2, c.name = "another"; }));
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

// A program of one instruction, attached to the call.
struct OneInstruction {
  lks_dtype input = LKS_F32;
  lks_instr instr{}, in_function{};
  std::uint32_t output = 0, first = 0;
  lks_program program{}, body{};
  lks_function function{};
  lks_attached_program attached{};

  void attach(lks_kernel_desc& desc) {
    body.instr_count = program.instr_count = 1;
    program.input_count = program.output_count = 1;
    program.input_dtypes = &input;
    program.instrs = &instr;
    body.instrs = &in_function;
    program.outputs = &output;
    program.function_count = function.name ? 1 : 0;
    program.functions = &function;
    function.body = &body;
    attached = {&program, &first, &first};
    desc.programs = &attached;
    desc.program_count = 1;
  }
};

TEST_P(KernelSharing, EqualContentsShare) {
  Call copy_of_op = usual;
  copy_of_op.identity = 2;
  EXPECT_TRUE(share(usual, copy_of_op)) << "another definition with the same content";
  OneInstruction here, there;
  const auto with = [&](OneInstruction& program, std::uint64_t identity) {
    Call call = usual;
    call.identity = identity;
    call.describe = [&program](lks_kernel_desc& desc) { program.attach(desc); };
    return call;
  };
  here.function.name = there.function.name = "f";
  EXPECT_TRUE(share(with(here, 10), with(there, 11))) << "equal programs at two places";
  std::uint64_t identity = 20;
  const auto differ = [&](auto&& change) {
    there = here;
    change(there);
    const bool differs = !share(with(here, identity), with(there, identity + 1));
    identity += 2;
    return differs;
  };
  EXPECT_TRUE(differ([](OneInstruction& p) { p.input = LKS_F16; }));
  EXPECT_TRUE(differ([](OneInstruction& p) { p.output = 1; }));
  EXPECT_TRUE(differ([](OneInstruction& p) { p.first = 1; }));
  EXPECT_TRUE(differ([](OneInstruction& p) { p.function.name = "g"; }));
  EXPECT_TRUE(differ([](OneInstruction& p) { p.function.name = nullptr; }));
  EXPECT_TRUE(differ([](OneInstruction& p) { p.function.version = 2; }));
  EXPECT_TRUE(differ([](OneInstruction& p) { p.in_function.opcode = 1; }));
  EXPECT_TRUE(differ([](OneInstruction& p) { p.instr.opcode = 1; }));
  EXPECT_TRUE(differ([](OneInstruction& p) { p.instr.dtype = LKS_F64; }));
  EXPECT_TRUE(differ([](OneInstruction& p) { p.instr.imm = std::uint64_t{1} << 40; }));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(differ([i](OneInstruction& p) { p.instr.args[i] = 1; }));
}

TEST_P(KernelSharing, EachPartOfTheContentCounts) {
  std::uint64_t identity = 2;
  const auto differ = [&](std::function<void(lks_kernel_desc&)> change) {
    Call other = usual;
    other.identity = identity++;
    other.describe = std::move(change);
    return !share(usual, other);
  };
  static const std::uint32_t indices[] = {1, 0, 0};
  static const lks_dtype numbers[] = {LKS_F32, LKS_F64};
  static const lks_alias alias = {0, 1};
  EXPECT_FALSE(differ([](lks_kernel_desc&) {}));
  EXPECT_TRUE(differ([](lks_kernel_desc& d) { d.op = 7; }));
  EXPECT_TRUE(differ([](lks_kernel_desc& d) { d.op_version = 7; }));
  EXPECT_TRUE(differ([](lks_kernel_desc& d) { d.op_name = "calls"; }));
  EXPECT_TRUE(differ([](lks_kernel_desc& d) { d.attrs_size = 8; }));
  EXPECT_TRUE(differ([](lks_kernel_desc& d) { d.scalar_count = 2, d.scalar_dtypes = numbers; }));
  EXPECT_TRUE(differ([](lks_kernel_desc& d) { d.operands = indices; }));
  EXPECT_TRUE(differ([](lks_kernel_desc& d) { d.results = indices; }));
  EXPECT_TRUE(differ([](lks_kernel_desc& d) { d.alias_count = 1, d.aliases = &alias; }));
  EXPECT_TRUE(differ([](lks_kernel_desc& d) { d.input_count = 1, d.output_count = 2, d.outputs -= 1; }));
}

TEST_P(KernelSharing, OfManyTensorsEachCounts) {
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

TEST_P(KernelSharing, ExtentsCountWhereTheKernelSaysSo) {
  script.deps[1].dims = 2;  // the extent of dimension 1 of the second input
  Call rows = usual, columns = usual, of_another = usual;
  rows.dims[1][0] = 9;
  columns.dims[1][1] = 9;
  of_another.dims[0][1] = 9;
  EXPECT_TRUE(share(usual, rows));
  EXPECT_FALSE(share(usual, columns));
  EXPECT_TRUE(share(usual, of_another));
}

TEST_P(KernelSharing, StridesCountButThoseOfSingleElements) {
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

TEST_P(KernelSharing, StrideClassesAreZeroOneAndOther) {
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

TEST_P(KernelSharing, DenseTensorsAreToldApart) {
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

TEST_P(KernelSharing, AlignmentCountsUpToWhatTheKernelAsksFor) {
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

TEST_P(KernelSharing, WhatIsAbsentDependsOnNothing) {
  script.deps[1] = {.dims = 3, .strides = 3, .stride_classes = 3, .dense = 1, .alignment = 64};
  Call one = usual;
  one.tensors[1].absent = true;
  Call two = one;
  two.dims[1][0] = 77;
  EXPECT_TRUE(share(one, two));
}

TEST_P(KernelSharing, OneKindMayHaveKernelsThatDependOnDifferentThings) {
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

TEST_P(KernelSharing, TheDriverIsToldAllOfTheCall) {
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
  EXPECT_EQ(kernel->claims().accumulate_dtype, static_cast<std::uint32_t>(LKS_F64));
  EXPECT_EQ(kernel->claims().max_ulp, 1.5f);
  EXPECT_EQ(kernel->claims().gamma_factor, 2.5f);
}

TEST_P(KernelSharing, AQueryPreparesNothing) {
  const KernelQuery yes = KernelCache::query(device->entry(), Call(usual).request());
  EXPECT_EQ(yes.reason, LKS_REASON_NONE);
  EXPECT_EQ(yes.variant, "plain");
  script.refusal = LKS_REASON_SIZE;
  const KernelQuery no = KernelCache::query(device->entry(), Call(usual).request());
  EXPECT_EQ(no.reason, LKS_REASON_SIZE);
  EXPECT_EQ(no.text, "not like this");
  EXPECT_EQ(script.prepared, 0);
}

TEST_P(KernelSharing, KernelsAreReleasedWithTheCache) {
  find(usual);
  Call other = usual;
  other.mode = MathMode::fast;
  find(other);
  EXPECT_EQ(script.released, 0);
  cache->clear();
  EXPECT_EQ(cache->size(), 0u);
  EXPECT_EQ(script.released, 2);
  find(usual);
  EXPECT_EQ(script.prepared, 3);
}

TEST_P(KernelSharing, AClearedCacheIsLikeANewOne) {
  const auto find_depending_on = [&](std::uint32_t dims, std::int64_t rows, std::int64_t columns) {
    script.deps[0].dims = dims;
    Call call = usual;
    call.dims[0][0] = rows;
    call.dims[0][1] = columns;
    return find(call);
  };
  const Kernel* by_rows = find_depending_on(1, 4, 100);
  find_depending_on(2, 100, 6);
  EXPECT_EQ(find(usual), by_rows) << "of two that serve, the first";
  cache->clear();
  const Kernel* by_columns = find_depending_on(2, 100, 6);
  find_depending_on(1, 4, 100);
  EXPECT_EQ(find(usual), by_columns);
}

TEST_P(KernelSharing, DevicesDoNotShareKernels) {
  const Kernel* here = find(usual);
  KernelCache other(device->state());
  EXPECT_NE(other.find(Call(usual).request(), {"called"}).get(), here);
  EXPECT_EQ(find(usual), here);
  EXPECT_EQ(script.prepared, 2);
}

}  // namespace
}  // namespace lockstep
