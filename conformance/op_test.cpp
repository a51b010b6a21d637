// Every op on every device that is there, against its oracle: forward in several layouts, gradient, second gradient.
#include <gtest/gtest.h>

#include "conformance/checks/forward.h"
#include "conformance/checks/gradient.h"

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

class OpTest : public testing::TestWithParam<OpOnDevice> {
 protected:
  Setting setting() const { return {Device(GetParam().device), Device("reference"), Bounds::built_in()}; }
  TestCase test_case(const char* suite, const OpCase& c, Layout layout = Layout::dense) const {
    return {suite, GetParam().op, c, false, MathMode::strict, layout, Values::drawn, 0};
  }
};

TEST_P(OpTest, ForwardAgreesWithTheOracle) {
  ASSERT_TRUE(GetParam().op->cases) << "the op has no conformance cases";
  const std::vector<OpCase> cases = GetParam().op->cases();
  ASSERT_FALSE(cases.empty());
  for (const OpCase& c : cases) {
    for (Layout layout : {Layout::dense, Layout::sliced, Layout::transposed}) {
      const TestCase t = test_case(c.error ? "refusal" : "forward", c, layout);
      const Verdict v = c.error ? check_refusal(t, setting()) : check_forward(t, setting());
      if (!v.ok) ADD_FAILURE() << t.id() << " on " << GetParam().device << ": " << v.text;
    }
  }
}

TEST_P(OpTest, GradientAgreesWithDifferencesOfTheOracle) {
  for (const OpCase& c : GetParam().op->cases()) {
    if (!has_gradient(*GetParam().op, c)) continue;
    const TestCase t = test_case("gradient", c);
    const Verdict v = check_gradient(t, setting());
    if (!v.ok) ADD_FAILURE() << t.id() << " on " << GetParam().device << ": " << v.text;
  }
}

TEST_P(OpTest, SecondGradientAgreesWithDifferencesOfTheOracle) {
  for (const OpCase& c : GetParam().op->cases()) {
    if (!has_gradient(*GetParam().op, c)) continue;
    const TestCase t = test_case("second_gradient", c);
    const Verdict v = check_second_gradient(t, setting());
    if (!v.ok) ADD_FAILURE() << t.id() << " on " << GetParam().device << ": " << v.text;
  }
}

INSTANTIATE_TEST_SUITE_P(All, OpTest, testing::ValuesIn(everything()), test_name);

}  // namespace
}  // namespace lockstep::conformance
