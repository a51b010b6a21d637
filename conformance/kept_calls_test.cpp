// Every case of every op, kept and made at once. A call that can be kept is one kernel, and a launch gives the bits of
// the call; a call that cannot is not one kernel.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "conformance/case_data.h"
#include "lockstep/lockstep.h"
#include "ops/kept_call.h"
#include "runtime/test_devices.h"
#include "runtime/thread_state.h"

namespace lockstep::conformance {
namespace {

// Records the kernels that the thread launches until the end of the scope.
class KernelLog {
 public:
  KernelLog() { thread_state().kernels_used = &used; }
  ~KernelLog() { thread_state().kernels_used = nullptr; }
  KernelLog(const KernelLog&) = delete;
  std::vector<KernelUse> used;
};

// Others take long to prepare a kernel for each case; ops/kept_call_test.cpp has a few calls on each device.
std::vector<std::string> tried_devices() {
  std::vector<std::string> ids = available_devices();
  std::erase_if(ids, [](const std::string& id) { return id != "cpu:0" && id != "reference:0"; });
  return ids;
}

class KeptCases : public testing::TestWithParam<std::string> {
 protected:
  void check(const OpDef& op, const OpCase& c) {
    const std::vector<RefArray> values = case_inputs(op, c);
    const CaseOperands own(op, c, values, device_, Layout::dense), kept(op, c, values, device_, Layout::dense);
    const OpCall call{op, kept.operands(), attrs_of(op, c), c.scalars, CallSite::current()};
    const KeepAnswer answer = keep_call(call, device_.state());
    EXPECT_EQ(answer.call != nullptr, answer.route == CallRoute::kernel);
    routes.insert(answer.route);
    std::vector<Tensor> expected;
    std::vector<KernelUse> used;
    try {
      KernelLog log;
      expected = invoke(op, own.operands(), call.attrs, c.scalars);
      used = std::move(log.used);
    } catch (const Error& e) {
      EXPECT_EQ(e.id(), ErrorId::no_kernel) << e.what();
      EXPECT_EQ(answer.call, nullptr);
      return;
    }
    const bool one_kernel = used.size() == 1 && used[0].op == (op.pointwise() ? "pointwise" : op.name);
    // In these cases the kernel is launched after something that is not a kernel.
    const bool prepared_first = answer.route == CallRoute::rewritten || answer.route == CallRoute::copied_operand;
    if (!prepared_first) {
      EXPECT_EQ(answer.call != nullptr, one_kernel);
    }
    if (!answer.call) return;
    EXPECT_EQ(answer.call->kernel().variant(), used.at(0).variant);
    ops.insert(op.name);
    std::vector<TensorImpl*> inputs;
    for (const Operand& operand : kept.operands()) {
      if (operand.is_tensor()) inputs.push_back(operand.impl());
    }
    std::vector<TensorRef> outputs(expected.size());
    answer.call->launch(inputs, outputs);
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const Tensor given = Tensor::share(outputs[o].get());
      EXPECT_EQ(given.spec(), expected[o].spec());
      EXPECT_TRUE(given.to_bytes() == expected[o].to_bytes()) << "other bits in output " << o;
    }
  }

  const Device device_{GetParam()};
  const DeviceScope scope_{device_};
  std::set<std::string> ops;  // that were kept
  std::set<CallRoute> routes;
};
INSTANTIATE_TEST_SUITE_P(Devices, KeptCases, testing::ValuesIn(tried_devices()), &by_device);

TEST_P(KeptCases, GiveTheBitsOfTheCall) {
  for (const OpDef* op : registered_ops()) {
    if (!op->cases) continue;
    for (const OpCase& c : op->cases()) {
      if (c.error) continue;
      SCOPED_TRACE(op->name + "/" + c.name);
      check(*op, c);
    }
  }
  EXPECT_GE(ops.size(), 40u) << "a device has kernels for most ops";
  for (const CallRoute route : {CallRoute::kernel, CallRoute::view, CallRoute::copies}) {
    EXPECT_TRUE(routes.contains(route)) << static_cast<int>(route);
  }
  if (GetParam() == "reference:0") {
    EXPECT_TRUE(routes.contains(CallRoute::decomposed)) << "it has the few kernels that a driver needs";
  }
}

}  // namespace
}  // namespace lockstep::conformance
