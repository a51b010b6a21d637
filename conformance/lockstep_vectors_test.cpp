// The bits of lockstep mode, on every device that offers it, whatever the layout and the number of threads.
#include "conformance/lockstep_vectors.h"

#include <gtest/gtest.h>

#include <set>

#include "lockstep/ops.h"
#include "lockstep/parallel.h"

namespace lockstep::conformance {
namespace {

std::vector<std::string> lockstep_devices() {
  std::vector<std::string> ids;
  for (const DeviceInfo& device : devices()) {
    const bool offers = std::find(device.modes.begin(), device.modes.end(), MathMode::lockstep) != device.modes.end();
    if (device.available && offers) ids.push_back(device.id);
  }
  return ids;
}

TEST(LockstepVectors, SomeDeviceOffersTheMode) { EXPECT_FALSE(lockstep_devices().empty()); }

TEST(LockstepVectors, NamesAreUniqueAndTheSummingOpsAreThere) {
  std::set<std::string> names, ops;
  for (const VectorCase& c : lockstep_vectors()) {
    EXPECT_TRUE(names.insert(c.name()).second) << c.name();
    ops.insert(c.op);
  }
  for (const char* op : {"sum", "mean", "matmul", "conv2d", "conv2d_backward_input", "conv2d_backward_filter",
                         "avg_pool2d", "avg_pool2d_backward", "max_pool2d", "max_pool2d_backward", "scatter_add"}) {
    EXPECT_TRUE(ops.contains(op)) << op;
  }
}

// On a device whose sums are wider, most must differ: otherwise the vectors would not tell orders apart.
TEST(LockstepVectors, StrictSumsOfTheReferenceAreToldApart) {
  int told_apart = 0, sums = 0;
  const Device device("reference:0");
  for (const VectorCase& c : lockstep_vectors()) {
    if (c.op != "matmul" || c.inputs[0].dtype != DType::f32 || c.inputs[0].shape[-1] < 200) continue;
    const CaseOperands operands(*find_op(c.op), c.call, c.inputs, device, Layout::dense);
    const Tensor strict = invoke(*find_op(c.op), operands.operands())[0];
    const MathModeScope mode(MathMode::lockstep);
    const Tensor lockstep = invoke(*find_op(c.op), operands.operands())[0];
    told_apart += strict.to_bytes() != lockstep.to_bytes();
    ++sums;
  }
  EXPECT_GT(sums, 5);
  EXPECT_EQ(told_apart, sums);
}

// The comparison must be able to fail: in a bit, in a sign of zero, and in what only the hash covers.
TEST(LockstepVectors, TamperedBitsAreNoticed) {
  const Device device(lockstep_devices().front());
  bool bits = false, hashed = false;
  for (VectorCase c : lockstep_vectors()) {
    VectorOutput& out = c.outputs[0];
    if (out.first.empty() || (out.sha256.empty() ? bits : hashed)) continue;
    ASSERT_TRUE(check_vector(c, device, Layout::dense).ok) << c.name();
    if (out.sha256.empty()) {
      bits = true;
      out.first.back() ^= std::byte{0x80};
    } else {
      hashed = true;
      out.sha256.back() = out.sha256.back() == '0' ? '1' : '0';
    }
    EXPECT_FALSE(check_vector(c, device, Layout::dense).ok) << c.name();
  }
  EXPECT_TRUE(bits && hashed);
}

TEST(LockstepVectors, CorruptTextIsRefused) {
  EXPECT_THROW(read_lockstep_vectors(""), std::runtime_error);
  EXPECT_THROW(read_lockstep_vectors("{\"cases\":[{\"op\":\"sum\"}]}"), std::runtime_error);
  EXPECT_THROW(read_lockstep_vectors("{\"cases\":[{\"op\":\"none\",\"name\":\"x\",\"inputs\":[],\"outputs\":[]}]}"),
               std::runtime_error);
}

class LockstepDevice : public testing::TestWithParam<std::string> {};

TEST_P(LockstepDevice, GivesTheBits) {
  const Device device(GetParam());
  const unsigned before = thread_count();
  for (unsigned threads : {1u, 2u, 3u}) {
    set_thread_count(threads);
    for (Layout layout : layouts) {
      for (const VectorCase& c : lockstep_vectors()) {
        try {
          const Verdict v = check_vector(c, device, layout);
          EXPECT_TRUE(v.ok) << c.name() << ", " << name_of(layout) << ", " << threads << " threads: " << v.text;
        } catch (const Error& e) {
          ADD_FAILURE() << c.name() << ", " << name_of(layout) << ": " << e.what();
        }
      }
    }
  }
  set_thread_count(before);
}

INSTANTIATE_TEST_SUITE_P(All, LockstepDevice, testing::ValuesIn(lockstep_devices()),
                         [](const testing::TestParamInfo<std::string>& of) {
                           std::string name = of.param;
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name;
                         });

}  // namespace
}  // namespace lockstep::conformance
