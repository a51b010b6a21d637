// Every op on every device that is there, against its oracle: forward in several layouts, gradient, second gradient.
#include <gtest/gtest.h>

#include "conformance/op_checks.h"

namespace lockstep::conformance {
namespace {

struct OpOnDevice {
  const OpDef* op;
  std::string device;
};

void PrintTo(const OpOnDevice& p, std::ostream* out) { *out << p.op->name << " on " << p.device; }

std::vector<OpOnDevice> everything() {
  std::vector<OpOnDevice> all;
  for (const DeviceInfo& device : devices()) {
    if (!device.available) continue;
    for (const OpDef* op : registered_ops()) all.push_back({op, device.id});
  }
  return all;
}

std::string test_name(const testing::TestParamInfo<OpOnDevice>& info) {
  std::string name = info.param.device + "_" + info.param.op->name;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

std::string replay(const OpOnDevice& p, const OpCase& c) { return p.op->name + "/" + c.name + " on " + p.device; }

class OpTest : public testing::TestWithParam<OpOnDevice> {};

TEST_P(OpTest, ForwardAgreesWithTheOracle) {
  ASSERT_TRUE(GetParam().op->cases) << "the op has no conformance cases";
  const std::vector<OpCase> cases = GetParam().op->cases();
  ASSERT_FALSE(cases.empty());
  for (const OpCase& c : cases) {
    for (Layout layout : layouts) {
      const Verdict v = check_forward(*GetParam().op, c, Device(GetParam().device), layout);
      if (!v.ok) ADD_FAILURE() << replay(GetParam(), c) << " " << name_of(layout) << ": " << v.text;
    }
  }
}

TEST_P(OpTest, GradientAgreesWithDifferencesOfTheOracle) {
  for (const OpCase& c : GetParam().op->cases()) {
    if (!has_gradient(*GetParam().op, c)) continue;
    const Verdict v = check_gradient(*GetParam().op, c, Device(GetParam().device));
    if (!v.ok) ADD_FAILURE() << replay(GetParam(), c) << ": " << v.text;
  }
}

TEST_P(OpTest, SecondGradientAgreesWithDifferencesOfTheOracle) {
  for (const OpCase& c : GetParam().op->cases()) {
    if (!has_gradient(*GetParam().op, c)) continue;
    const Verdict v = check_second_gradient(*GetParam().op, c, Device(GetParam().device));
    if (!v.ok) ADD_FAILURE() << replay(GetParam(), c) << ": " << v.text;
  }
}

INSTANTIATE_TEST_SUITE_P(All, OpTest, testing::ValuesIn(everything()), test_name);

}  // namespace
}  // namespace lockstep::conformance
