// Compares the oracle, its derivatives and every available device with values from NumPy and PyTorch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "conformance/case_json.h"
#include "conformance/checks/gradient.h"
#include "conformance/golden_checks.h"
#include "runtime/test_devices.h"

namespace lockstep::conformance {
namespace {

const GoldenBook& book() {
  static const GoldenBook all = read_golden(LOCKSTEP_GOLDEN_FILE);
  return all;
}

std::vector<const GoldenCase*> cases_of(const std::string& op) {
  std::vector<const GoldenCase*> cases;
  for (const GoldenCase& c : book().cases) {
    if (c.op == op) cases.push_back(&c);
  }
  return cases;
}

std::vector<std::string> ops() {
  std::vector<std::string> names;
  for (const OpDef* op : registered_ops()) names.push_back(op->name);
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& of) {
  std::string name = of.param;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

class GoldenOp : public testing::TestWithParam<std::string> {};

TEST_P(GoldenOp, HasCasesOrAReasonForNone) {
  const bool excepted = book().exceptions.contains(GetParam()), given = !cases_of(GetParam()).empty();
  EXPECT_NE(excepted, given) << "write cases in conformance/golden, or name the op among the exceptions there";
}

TEST_P(GoldenOp, HasGradientsIfTheOpHas) {
  const OpDef& op = *find_op(GetParam());
  const std::vector<OpCase> own = op.cases();
  const bool differentiable = std::any_of(own.begin(), own.end(), [&](const OpCase& c) { return has_gradient(op, c); });
  if (!differentiable || book().exceptions.contains(op.name)) return;
  const auto cases = cases_of(op.name);
  EXPECT_TRUE(std::any_of(cases.begin(), cases.end(), [](const GoldenCase* c) { return c->gradient.has_value(); }));
}

TEST_P(GoldenOp, OracleAgrees) {
  for (const GoldenCase* c : cases_of(GetParam())) {
    const Verdict v = check_oracle(*c);
    EXPECT_TRUE(v.ok) << c->name() << ": " << v.text;
  }
}

TEST_P(GoldenOp, DifferencesOfTheOracleAgree) {
  for (const GoldenCase* c : cases_of(GetParam())) {
    if (!c->gradient) continue;
    const Verdict v = check_oracle_derivatives(*c);
    EXPECT_TRUE(v.ok) << c->name() << ": " << v.text;
  }
}

// The checks must be able to fail: one value of each kind is changed a little at a time.
TEST_P(GoldenOp, TamperedValuesAreNoticed) {
  for (const GoldenCase* c : cases_of(GetParam())) {
    for (std::size_t o = 0; o < c->outputs.size(); ++o) {
      if (c->outputs[o].values.empty()) continue;
      GoldenCase tampered = *c;
      long double& value = tampered.outputs[o].values.back();
      value = std::isfinite(value)
                  ? value + std::max(1e-9L * std::fabs(value), is_floating(c->outputs[o].dtype) ? 1e-9L : 1.0L)
                  : 0;
      EXPECT_FALSE(check_oracle(tampered).ok) << c->name() << ", output " << o;
    }
    if (!c->gradient || c->gradient->first.empty() || c->gradient->first[0].values.empty()) continue;
    for (auto part : {&GoldenGradient::first, &GoldenGradient::second}) {
      GoldenCase tampered = *c;
      ((*tampered.gradient).*part)[0].values.back() += 1e-2L;
      const Device reference("reference:0");
      EXPECT_FALSE(check_device_gradients(tampered, reference).ok) << c->name();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenOp, testing::ValuesIn(ops()), test_name);

TEST(Golden, NamesOnlyOpsThatExist) {
  for (const auto& [op, reason] : book().exceptions) {
    EXPECT_TRUE(find_op(op)) << op;
    EXPECT_FALSE(reason.empty()) << op;
  }
}

TEST(Golden, CaseNamesAreUnique) {
  std::set<std::string> names;
  for (const GoldenCase& c : book().cases) EXPECT_TRUE(names.insert(c.name()).second) << c.name();
}

TEST(Golden, AttributesAreTextsAndListsOfAnyLength) {
  struct Attrs {
    BoundedText<16> letters = "default";
    BoundedList<20> factors;
    IntList axes;
  };
  OpDef op;
  op.name = "golden_test::letters";
  op.attrs = attr_schema<Attrs>("golden_letters_attrs", attr("letters", &Attrs::letters, ""),
                                attr("factors", &Attrs::factors, ""), attr("axes", &Attrs::axes, ""));
  const auto read = [&](const nlohmann::json& json) {
    Attrs attrs;
    const std::vector<std::byte> bytes = attributes_from(op, json);
    EXPECT_EQ(bytes.size(), sizeof attrs);
    std::memcpy(&attrs, bytes.data(), sizeof attrs);
    return attrs;
  };
  const auto written = [](const Attrs& attrs) {
    return nlohmann::json{
        {"letters", attrs.letters.view()}, {"factors", attrs.factors.view()}, {"axes", attrs.axes.view()}};
  };
  std::vector<std::int64_t> twenty(20);
  std::iota(twenty.begin(), twenty.end(), -5);
  const nlohmann::json json = {{"letters", std::string("s\0d", 3)}, {"factors", twenty}, {"axes", {0, 2}}};
  EXPECT_EQ(written(read(json)), json);
  EXPECT_EQ(read(nlohmann::json::object()).letters.view(), "default");
  const Attrs shorter = read({{"letters", "s"}}), same{.letters = "s"};
  EXPECT_EQ(std::memcmp(&shorter, &same, sizeof same), 0) << "nothing of the default is left";
  twenty.push_back(0);
  EXPECT_THROW(read({{"factors", twenty}}), std::runtime_error);
  EXPECT_THROW(read({{"letters", std::string(17, 's')}}), std::runtime_error);
}

class GoldenDevice : public testing::TestWithParam<std::string> {};

TEST_P(GoldenDevice, ForwardAgrees) {
  for (const GoldenCase& c : book().cases) {
    try {
      const Verdict v = check_device(c, Device(GetParam()));
      EXPECT_TRUE(v.ok) << c.name() << " on " << GetParam() << ": " << v.text;
    } catch (const Error& e) {
      ADD_FAILURE() << c.name() << " on " << GetParam() << ": " << e.what();
    }
  }
}

TEST_P(GoldenDevice, GradientsOfBothOrdersAgree) {
  for (const GoldenCase& c : book().cases) {
    if (!c.gradient) continue;
    try {
      const Verdict v = check_device_gradients(c, Device(GetParam()));
      EXPECT_TRUE(v.ok) << c.name() << " on " << GetParam() << ": " << v.text;
    } catch (const Error& e) {
      ADD_FAILURE() << c.name() << " on " << GetParam() << ": " << e.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenDevice, testing::ValuesIn(available_devices()), test_name);

}  // namespace
}  // namespace lockstep::conformance
