// A scripted driver for tests of the kernel cache: each test says what the driver answers. The record of the questions
// is guarded by a lock, so that several threads may ask.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/internal/mutex.h"
#include "lockstep/options.h"
#include "runtime/kernel_cache.h"
#include "runtime/scripted_driver.h"

namespace lockstep {

/// The answers of the driver, and a record of the questions.
struct KernelScript {
  std::vector<lks_operand_deps> deps{3};
  std::int32_t refusal = LKS_REASON_NONE;
  std::int32_t refused_operand = 1;
  lks_status failure = LKS_OK;
  std::function<void(const lks_kernel_desc& desc)> during;  // runs in kernel_prepare, without the script's lock
  std::function<void()> while_released;                     // runs in kernel_release, likewise

  int prepared = 0, released = 0;
  lks_kernel_desc last{};
  std::vector<lks_tensor_desc> inputs, outputs;
};

inline KernelScript script;
inline Mutex script_mutex;

inline lks_status scripted_answer(const lks_kernel_desc* desc, lks_kernel_info* info, lks_diag* diag) {
  script.last = *desc;
  script.inputs.assign(desc->inputs, desc->inputs + desc->input_count);
  script.outputs.assign(desc->outputs, desc->outputs + desc->output_count);
  if (script.failure != LKS_OK) return script.failure;
  if (script.refusal != LKS_REASON_NONE) {
    diag->reason = script.refusal;
    diag->operand = script.refused_operand;
    std::snprintf(diag->what, sizeof diag->what, "not like this");
    return LKS_UNSUPPORTED;
  }
  for (std::size_t i = 0; i < script.deps.size(); ++i) info->deps[i] = script.deps[i];
  std::snprintf(info->variant, sizeof info->variant, "plain");
  info->workspace_bytes = 48;
  info->accumulate_dtype = LKS_F64;
  info->max_ulp = 1.5f;
  info->gamma_factor = 2.5f;
  return LKS_OK;
}

inline const lks_driver_api& kernel_script_table() {
  static const lks_driver_api api = [] {
    lks_driver_api t = scripted_driver();
    t.kernel_query = [](lks_driver*, std::uint32_t, const lks_kernel_desc* desc, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
      LockGuard lock(script_mutex);
      return scripted_answer(desc, info, diag);
    };
    t.kernel_prepare = [](lks_device*, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                          lks_diag* diag) -> lks_status {
      if (script.during) script.during(*desc);
      LockGuard lock(script_mutex);
      const lks_status status = scripted_answer(desc, info, diag);
      if (status != LKS_OK) return status;
      ++script.prepared;
      *out = any_handle<lks_kernel>();
      return status;
    };
    t.kernel_release = [](lks_device*, lks_kernel*) {
      if (script.while_released) script.while_released();
      LockGuard lock(script_mutex);
      ++script.released;
    };
    return t;
  }();
  return api;
}

/// A call with two inputs and one output, all of rank 2.
struct ScriptedCall {
  std::int64_t dims[3][2] = {{4, 6}, {4, 6}, {4, 6}};
  std::int64_t strides[3][2] = {{6, 1}, {6, 1}, {6, 1}};
  KernelTensor tensors[3];
  std::uint64_t identity = 1;  // of the op's definition
  const char* name = "called";
  std::int64_t attrs[2] = {1, 2};
  std::vector<std::uint8_t> numbers;
  std::vector<lks_dtype> scalars;  // made of the numbers
  MathMode mode = MathMode::strict;
  std::function<void(lks_kernel_desc& desc)> describe;

  KernelRequest request() {
    for (int i = 0; i < 3; ++i) {
      tensors[i].rank = tensors[i].rank ? tensors[i].rank : 2;
      tensors[i].dims = dims[i];
      tensors[i].strides = strides[i];
    }
    scalars.assign(numbers.begin(), numbers.end());
    return {.op = identity,
            .attrs = attrs,
            .attrs_size = sizeof attrs,
            .number_dtypes = numbers,
            .mode = mode,
            .tensors = tensors,
            .input_count = 2,
            .describe =
                [](lks_kernel_desc& desc, const void* context) {
                  const auto& call = *static_cast<const ScriptedCall*>(context);
                  desc.op_name = call.name;
                  desc.scalar_count = static_cast<std::uint32_t>(call.scalars.size());
                  desc.scalar_dtypes = call.scalars.data();
                  if (call.describe) call.describe(desc);
                },
            .context = this};
  }
};

/// The parameter: whether the device's queue is inline.
class KernelCacheTest : public testing::TestWithParam<bool> {
 protected:
  KernelCacheTest() {
    script = {};
    device = std::make_unique<ScriptedDevice>(kernel_script_table(), GetParam() ? LKS_CAP_INLINE_QUEUE : 0);
    make_cache();
  }
  ~KernelCacheTest() override {
    script.during = nullptr;
    cache.reset();
    EXPECT_EQ(script.released, script.prepared) << "no kernel is leaked";
    set_option("kernel_cache.capacity", std::nullopt);
    set_option("kernel_cache.per_thread", std::nullopt);
  }

  void make_cache() { cache = std::make_unique<KernelCache>(device->state()); }
  void limit(int answers, int per_thread = 256) {
    set_option("kernel_cache.capacity", std::to_string(answers));
    set_option("kernel_cache.per_thread", std::to_string(per_thread));
    make_cache();
  }

  KernelLookup look_up(ScriptedCall call) { return cache->find(call.request(), {"called"}); }
  const Kernel* find(const ScriptedCall& call) { return look_up(call).get(); }
  /// Whether the driver has to be asked for this call.
  bool is_new(const ScriptedCall& call) {
    const int before = script.prepared;
    find(call);
    return script.prepared != before;
  }

  static ScriptedCall with_attribute(std::int64_t number) {
    ScriptedCall call;
    call.attrs[0] = number;
    return call;
  }
  static ScriptedCall with_extent(std::int64_t extent) {
    ScriptedCall call;
    call.dims[0][0] = extent;
    return call;
  }

  std::unique_ptr<ScriptedDevice> device;
  std::unique_ptr<KernelCache> cache;
  const ScriptedCall usual;
};

}  // namespace lockstep
