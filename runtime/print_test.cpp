// Tests the complete text of tensors: number formats, columns, and how large tensors are summarised.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "lockstep/lockstep.h"

namespace lockstep {
namespace {

class Print : public testing::Test {
 protected:
  static std::string text(const Tensor& x) {
    std::ostringstream out;
    out << x;
    return out.str();
  }
  // The text after the first line.
  static std::string elements(const Tensor& x) {
    const std::string all = text(x);
    return all.substr(all.find('\n') + 1);
  }
  static std::string numbers(const std::vector<double>& values) {
    return elements(Tensor(values, {static_cast<std::int64_t>(values.size())}));
  }

  DeviceScope scope{Device("reference")};
};

TEST_F(Print, TheFirstLineSaysWhatItIs) {
  EXPECT_EQ(text(Tensor(2.5f)), "Tensor f32 () reference:0\n2.5000");
  EXPECT_EQ(text(Tensor::abstract({DType::i32, {Dim::symbol("batch"), 2}})), "Tensor i32 (batch, 2) abstract");
}

TEST_F(Print, FloatsOfOneTensorHaveOneForm) {
  EXPECT_EQ(numbers({1.5, -2, 3.25}), "[ 1.5000, -2.0000,  3.2500]");
  EXPECT_EQ(numbers({1, -20}), "[  1., -20.]") << "whole numbers";
  EXPECT_EQ(numbers({1, 5000}), "[   1., 5000.]");
  EXPECT_EQ(numbers({0, 0}), "[0., 0.]");
  EXPECT_EQ(numbers({0, 0.5}), "[0.0000, 0.5000]");
  EXPECT_EQ(numbers({99999999}), "[99999999.]");
  EXPECT_EQ(numbers({1e8}), "[1.0000e+08]");
  EXPECT_EQ(numbers({0.0001}), "[0.0001]");
  EXPECT_EQ(numbers({0.00009}), "[9.0000e-05]");
  EXPECT_EQ(numbers({0.5, -500}), "[   0.5000, -500.0000]") << "a thousandfold";
  EXPECT_EQ(numbers({0.5, -501}), "[ 5.0000e-01, -5.0100e+02]") << "more than that";
  EXPECT_EQ(numbers({INFINITY, -INFINITY, -NAN, 1}), "[ inf, -inf,  nan,   1.]");
  EXPECT_EQ(numbers({NAN}), "[nan]");
  EXPECT_EQ(numbers({INFINITY, 0.5}), "[   inf, 0.5000]") << "what is infinite decides nothing";
}

TEST_F(Print, OtherTypesAreExact) {
  EXPECT_EQ(elements(Tensor({1, -12})), "[  1, -12]");
  EXPECT_EQ(elements(Tensor(std::vector<std::int64_t>{INT64_MIN, INT64_MAX}, {2})),
            "[-9223372036854775808,  9223372036854775807]");
  EXPECT_EQ(elements(equal(Tensor({1, 2}), Tensor({1, 3}))), "[ true, false]");
}

TEST_F(Print, RowsStandBelowEachOther) {
  EXPECT_EQ(elements(reshape(arange(8), {2, 2, 2})), "[[[0, 1],\n  [2, 3]],\n [[4, 5],\n  [6, 7]]]");
  EXPECT_EQ(elements(transpose(reshape(arange(6), {2, 3}))), "[[0, 3],\n [1, 4],\n [2, 5]]");
  EXPECT_EQ(elements(zeros({0})), "[]");
  EXPECT_EQ(elements(zeros({2, 0})), "[[],\n []]");
}

TEST_F(Print, OfLongTensorsOnlyTheEdgesAreShown) {
  EXPECT_EQ(elements(arange(1001)), "[   0,    1,    2, …,  998,  999, 1000]");
  EXPECT_EQ(elements(arange(1000)).find("…"), std::string::npos) << "a thousand elements are shown";
  EXPECT_EQ(elements(reshape(arange(1400), {7, 200})),
            "[[   0,    1,    2, …,  197,  198,  199],\n"
            " [ 200,  201,  202, …,  397,  398,  399],\n"
            " [ 400,  401,  402, …,  597,  598,  599],\n"
            " …\n"
            " [ 800,  801,  802, …,  997,  998,  999],\n"
            " [1000, 1001, 1002, …, 1197, 1198, 1199],\n"
            " [1200, 1201, 1202, …, 1397, 1398, 1399]]");
  EXPECT_EQ(elements(reshape(arange(1002), {167, 6})).substr(0, 40), "[[   0,    1,    2,    3,    4,    5],\n ")
      << "six would not get shorter";
  std::vector<double> hidden(1001, 0.0);
  hidden[500] = 0.5;
  EXPECT_EQ(numbers(hidden), "[0., 0., 0., …, 0., 0., 0.]") << "the form is that of what is shown";
}

TEST_F(Print, DescriptionsNameTheOriginOrTheVariable) {
  const Variable w(Tensor({1.0f, 2.0f}), "w");
  EXPECT_EQ(w.read().describe(), "Variable \"w\" f32 (2) reference:0");
  const NameScope model("model");
  EXPECT_EQ((Tensor({1.0f}) + 1.0f).describe(), "Tensor f32 (1) reference:0   output of model/add");
  EXPECT_EQ(Tensor({1.0f}).describe(), "Tensor f32 (1) reference:0   output of model/tensor");
  EXPECT_EQ(transpose(ones({2, 3})).describe(), "Tensor f32 (3, 2) reference:0   output of model/transpose");
  EXPECT_EQ((Tensor::abstract({DType::f32, {2}}) + 1.0f).describe(), "Tensor f32 (2) abstract   output of model/add");
}

}  // namespace
}  // namespace lockstep
