// Numbers that are known only at launch: their arithmetic, and the calls that take them.
#include "ops/launch_number.h"

#include <gtest/gtest.h>

#include "lockstep/call_op.h"
#include "lockstep/driver_ops.h"
#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "ops/attrs.h"
#include "ops/built_in.h"
#include "ops/observer.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

const LaunchNumber rate = LaunchNumber::symbol("rate", NumberKind::real);
const LaunchNumber step = LaunchNumber::symbol("step", NumberKind::integer);
const LaunchNumber position = LaunchNumber::symbol("position", NumberKind::counter);

LaunchValues usual_values() {
  LaunchValues values;
  values.set(rate, 0.1).set(step, 3).set(position, ~std::uint64_t{0});
  return values;
}

Scalar value_of(const LaunchNumber& number, const LaunchValues& values = usual_values()) {
  return LaunchFormula(number).value(values);
}

double real_of(const LaunchNumber& number) {
  const Scalar value = value_of(number);
  EXPECT_EQ(value.kind, Scalar::Kind::floating) << number.to_string();
  return value.floating;
}

std::int64_t integer_of(const LaunchNumber& number) {
  const Scalar value = value_of(number);
  EXPECT_EQ(value.kind, Scalar::Kind::integer) << number.to_string();
  EXPECT_FALSE(value.above_int64) << number.to_string();
  return value.integer;
}

void expect_refusal(const std::function<void()>& f, ErrorId id, const std::string& words) {
  expect_error_saying(f, id, {words}, nullptr, true);
}

// ---------------------------------------------------------------------------------------------------------- arithmetic

TEST(LaunchNumbers, RealNumbersAreComputedInF64) {
  EXPECT_EQ(real_of(rate), 0.1);
  EXPECT_EQ(real_of(rate * 0.7), 0.1 * 0.7);
  EXPECT_EQ(real_of(1 - rate), 1 - 0.1);
  EXPECT_EQ(real_of(rate + step), 0.1 + 3);
  EXPECT_EQ(real_of(1 / step), 1.0 / 3);
  EXPECT_EQ(real_of(step / 2), 1.5);
  EXPECT_EQ(real_of(as_real(step)), 3.0);
  // 1 - beta_2^3 as a running sum of weights, each operation rounded once.
  const LaunchNumber weights = LaunchNumber::symbol("weights", NumberKind::real);
  const LaunchNumber next = weights * 0.999 + (1 - LaunchNumber(0.999));
  double expected = 0;
  LaunchValues values;
  values.set(weights, 0);
  for (int t = 0; t < 3; ++t) {
    expected = expected * 0.999 + (1 - 0.999);
    values.set(weights, value_of(next, values));
  }
  EXPECT_EQ(value_of(1 / weights, values).floating, 1 / expected);
}

TEST(LaunchNumbers, IntegersAreExact) {
  EXPECT_EQ(integer_of(step * step - 10), -1);
  EXPECT_EQ(integer_of(integer_div(step, 2)), 1);
  EXPECT_EQ(integer_of(integer_div(0 - step, 2)), -1);
  EXPECT_EQ(integer_of(step + (std::int64_t{1} << 62)), (std::int64_t{1} << 62) + 3);
  LaunchValues values;
  values.set(step, INT64_MAX);
  expect_refusal([&] { value_of(step + 1, values); }, ErrorId::invalid_attribute, "is outside of i64");
  expect_refusal([&] { value_of(step * 2, values); }, ErrorId::invalid_attribute, "9223372036854775807 * 2");
  values.set(step, INT64_MIN);
  expect_refusal([&] { value_of(step - 1, values); }, ErrorId::invalid_attribute, "is outside of i64");
  expect_refusal([&] { value_of(integer_div(step, -1), values); }, ErrorId::invalid_attribute, "is outside of i64");
  expect_refusal([&] { value_of(integer_div(3, step - step), values); }, ErrorId::invalid_attribute, "divided by 0");
}

TEST(LaunchNumbers, CountersWrapAround) {
  EXPECT_EQ(integer_of(position + 1), 0);
  EXPECT_EQ(integer_of(position * position), 1);
  EXPECT_EQ(integer_of(integer_div(position, 2)), INT64_MAX) << "the quotient of positive numbers";
  EXPECT_EQ(integer_of(low_word(position)), 0xffffffff);
  EXPECT_EQ(integer_of(high_word(position + 3)), 0);
  EXPECT_EQ(integer_of(low_word(position + step)), 2);
  EXPECT_TRUE(value_of(0 + position).above_int64) << "on either side";
  const Scalar before = value_of(position - 1);
  EXPECT_TRUE(before.above_int64);
  EXPECT_EQ(static_cast<std::uint64_t>(before.integer), ~std::uint64_t{0} - 1);
}

TEST(LaunchNumbers, AreConvertedWithOneRounding) {
  LaunchValues values;
  values.set(step, 9007199254740993).set(rate, 9007199254740993).set(position, 18446744073709551615u);
  EXPECT_EQ(value_of(as_real(step), values).floating, 9007199254740992.0);  // a tie, rounded to even
  EXPECT_EQ(value_of(rate, values).floating, 9007199254740992.0);
  EXPECT_EQ(value_of(as_real(position), values).floating, 0x1p64);
  EXPECT_EQ(value_of(step, values).integer, 9007199254740993) << "an integer stays one";
}

TEST(LaunchNumbers, OperationsOnPlainNumbersAreCarriedOut) {
  const LaunchNumber sum = LaunchNumber(2) + 3;
  EXPECT_TRUE(sum.is_known());
  EXPECT_EQ(sum.scalar().integer, 5);
  EXPECT_EQ((LaunchNumber(1) / 4).scalar().floating, 0.25);
  EXPECT_FALSE((rate * 0).is_known()) << "it may be NaN";
}

TEST(LaunchNumbers, EqualExpressionsAreOne) {
  EXPECT_EQ((rate * 0.5 + 1).scalar().at_launch,
            (LaunchNumber::symbol("rate", NumberKind::real) * 0.5 + 1).scalar().at_launch);
  EXPECT_NE((rate * 0.5).scalar().at_launch, (rate * 0.25).scalar().at_launch);
  EXPECT_NE((rate + step).scalar().at_launch, (step + rate).scalar().at_launch);
  EXPECT_NE((rate * 0.0).scalar().at_launch, (rate * -0.0).scalar().at_launch);
  EXPECT_NE(LaunchNumber::symbol("rate", NumberKind::integer).scalar().at_launch, rate.scalar().at_launch);
  const std::vector<LaunchNumber> symbols = LaunchFormula((rate + step) * rate).symbols();
  ASSERT_EQ(symbols.size(), 2u);
  EXPECT_EQ(symbols[0].to_string(), "rate");
  EXPECT_EQ(symbols[1].to_string(), "step");
}

TEST(LaunchNumbers, HaveATextForm) {
  EXPECT_EQ((1 / step).to_string(), "1/step");
  EXPECT_EQ(((1 - rate) * rate).to_string(), "(1-rate)*rate");
  EXPECT_EQ((rate * 0.5).to_string(), "rate*0.5");
  EXPECT_EQ(low_word(position + 7).to_string(), "low(position+7)");
  EXPECT_EQ(integer_div(step, 2).to_string(), "div(step, 2)");
  EXPECT_EQ(LaunchNumber(-3).to_string(), "-3");
  EXPECT_EQ(LaunchNumber(0.1).to_string(), "0.10000000000000001") << "no two numbers share a text";
}

TEST(LaunchNumbers, ExtentsAreIntegers) {
  const Dim batch = Dim::symbol("batch"), width = Dim::symbol("width");
  LaunchValues values;
  values.set(batch, 32).set(width, 7);
  const auto extent = [&](Dim d) { return value_of(LaunchNumber::of(d), values).integer; };
  EXPECT_EQ(LaunchNumber::of(5).scalar().integer, 5);
  EXPECT_EQ(LaunchNumber::of(batch * 784).to_string(), "batch*784");
  EXPECT_EQ(extent(batch * 784), 32 * 784);
  EXPECT_EQ(extent(batch * width + batch - 3), 32 * 7 + 32 - 3);
  EXPECT_EQ(extent(floor_div(width - 2, 2) + 1), 3);
  EXPECT_EQ(extent(batch * floor_div(floor_div(width, 2), 2)), 32);
  EXPECT_EQ(value_of(1 / LaunchNumber::of(batch), values).floating, 1.0 / 32);
  expect_refusal([&] { values.set(batch * 2, 64); }, ErrorId::invalid_use, "batch*2");
}

TEST(LaunchNumbers, AreRefusedWithoutAValue) {
  LaunchValues values;
  values.set(rate, 1);
  expect_refusal([&] { value_of(rate * step, values); }, ErrorId::symbolic_value, "`step` has no value");
  expect_refusal([&] { rate.scalar().as_double(); }, ErrorId::symbolic_value, "`rate` is known only at launch");
  expect_refusal([&] { values.set(rate, step); }, ErrorId::symbolic_value, "`step` is known only at launch");
}

TEST(LaunchNumbers, ThatTheTableDoesNotHaveAreRefused) {
  Scalar unknown(1.0);
  for (const std::uint32_t handle : {0x7fffffffu, 0xffffffffu}) {
    unknown.at_launch = handle;
    const std::string text = "a number's at_launch is " + std::to_string(handle);
    expect_refusal([&] { unknown.as_double(); }, ErrorId::invalid_use, text);
    expect_refusal([&] { LaunchNumber(unknown).to_string(); }, ErrorId::invalid_use, text);
    expect_refusal([&] { LaunchFormula(LaunchNumber(unknown)).symbols(); }, ErrorId::invalid_use, text);
    expect_refusal([&] { add(ones({2}), Operand(unknown)); }, ErrorId::invalid_use, text);
  }
}

TEST(LaunchNumbers, TakeOnlyValuesOfTheirKind) {
  LaunchValues values;
  expect_refusal([&] { values.set(step, 2.5); }, ErrorId::invalid_attribute, "`step`");
  expect_refusal([&] { values.set(step, ~std::uint64_t{0}); }, ErrorId::invalid_attribute, "18446744073709551615");
  expect_refusal([&] { values.set(position, -1); }, ErrorId::invalid_attribute, "`position`");
  expect_refusal([&] { values.set(rate * 2, 1); }, ErrorId::invalid_use, "rate*2");
  expect_refusal([&] { values.set(LaunchNumber(1), 1); }, ErrorId::invalid_use, "is not a symbol");
  expect_refusal([&] { low_word(rate); }, ErrorId::invalid_use, "`rate` is a floating number");
  expect_refusal([&] { integer_div(step, rate); }, ErrorId::invalid_use, "`rate`");
}

// ---------------------------------------------------------------------------------------------------- calls on
// abstract tensors

// Keeps the numbers of the calls of one op: those among its operands, then its own.
class NumberLog : public OpObserver {
 public:
  explicit NumberLog(std::string op) : op_(std::move(op)) { op_observers().add(this); }
  ~NumberLog() override { op_observers().remove(this); }
  void record(const OpCall& call, std::span<const TensorRef>) override {
    if (call.op.name != op_) return;
    for (const Operand& operand : call.inputs) {
      if (operand.is_scalar()) numbers.emplace_back(operand.scalar());
    }
    for (const Scalar& number : call.scalars) numbers.emplace_back(number);
  }
  bool watches_any(const OpCall&) const override { return false; }
  void value_read(const TensorImpl&, const char*, CallSite) override {}
  std::vector<LaunchNumber> numbers;

 private:
  const std::string op_;
};

Tensor abstract(const Shape& shape, DType dtype = f32) { return Tensor::abstract({dtype, shape}); }

TEST(NumbersOfAbstractCalls, AreKeptByTheCall) {
  NumberLog log("mul");
  const Tensor y = mul(abstract({2, 3}), Operand(rate * 0.5));
  EXPECT_TRUE(y.is_abstract());
  EXPECT_EQ(y.spec(), (TensorSpec{f32, {2, 3}}));
  ASSERT_EQ(log.numbers.size(), 1u);
  EXPECT_EQ(log.numbers[0].to_string(), "rate*0.5");
}

TEST(NumbersOfAbstractCalls, HaveTheDtypeOfTheirKind) {
  EXPECT_EQ(mul(abstract({2}, i64), Operand(step)).dtype(), i64);
  EXPECT_EQ(mul(abstract({2}, i64), Operand(position)).dtype(), i64);
  EXPECT_EQ(mul(abstract({2}, i64), Operand(rate)).dtype(), f32) << "as a plain 2.5 would";
  EXPECT_EQ(mul(abstract({2}, f16), Operand(step)).dtype(), f16);
  AbstractCallsScope describing;
  EXPECT_EQ(add(Operand(step), 1).dtype(), i32);
  EXPECT_EQ(add(Operand(step), Operand(rate)).dtype(), f32);
}

TEST(NumbersOfAbstractCalls, BecomeTensorsWhereOpsNeedTensors) {
  AbstractCallsScope describing;
  NumberLog log("full");
  EXPECT_EQ(sum(Operand(rate)).spec(), (TensorSpec{f32, {}}));
  EXPECT_EQ(full({4}, step, i32).spec(), (TensorSpec{i32, {4}}));
  ASSERT_EQ(log.numbers.size(), 2u);
  EXPECT_EQ(log.numbers[0].to_string(), "rate");
  EXPECT_EQ(log.numbers[1].to_string(), "step");
  expect_refusal([] { full({4}, rate, i32); }, ErrorId::symbolic_value, "this op checks its value");
}

TEST(NumbersOfAbstractCalls, MayBeAnOpsOwn) {
  const Tensor w = abstract({3}), g = abstract({3});
  NumberLog log("sgd_update");
  const std::vector<Scalar> numbers = {rate};
  const std::vector<Operand> operands = {w, g};
  EXPECT_EQ(invoke(built_in("sgd_update"), operands, nullptr, numbers)[0].spec(), w.spec());
  ASSERT_EQ(log.numbers.size(), 1u);
  EXPECT_EQ(log.numbers[0].to_string(), "rate");
}

TEST(NumbersOfAbstractCalls, MayBeTheKeyOfRandomNumbers) {
  const LaunchNumber stream = position + 2;
  const std::vector<Scalar> key = {7, 0, low_word(stream), high_word(stream)};
  AbstractCallsScope describing;
  const lks_random_uniform_attrs attrs{{1, {5}}, static_cast<std::int64_t>(f32)};
  NumberLog log("random_bits");
  {
    // Its parts are abstract: the bits, with this key, and what is made of them.
    const OpDef& op = built_in("random_uniform");
    std::vector<Scalar> numbers = {0.0, 1.0};
    numbers.insert(numbers.end(), key.begin(), key.end());
    const TensorSpec spec{f32, {5}};
    const OpCall call{op, {}, &attrs, numbers, {}};
    DecomposeContext parts(call, std::span(&spec, 1));
    op.decompose(parts);
    EXPECT_EQ(parts.results[0]->spec(), spec);
  }
  ASSERT_EQ(log.numbers.size(), 4u);
  EXPECT_EQ(log.numbers[0].to_string(), "7");
  EXPECT_EQ(log.numbers[2].to_string(), "low(position+2)");
  EXPECT_EQ(log.numbers[3].to_string(), "high(position+2)");
  std::vector<Scalar> numbers = {rate, 1.0};
  numbers.insert(numbers.end(), key.begin(), key.end());
  expect_refusal([&] { invoke1(built_in("random_uniform"), std::span<const Operand>(), &attrs, numbers); },
                 ErrorId::symbolic_value, "`rate` is known only at launch, and this op checks its value");
}

TEST(NumbersOfAbstractCalls, MayBeTheKeyOfACallByName) {
  AbstractCallsScope describing;
  const Scalar stream = position + 2;
  const Tensor x = abstract({5});
  const Operand operand(x);
  LaunchValues values;
  values.set(position, (std::uint64_t{3} << 32) + 5);
  const auto expect_key = [&](const char* op, std::span<const Operand> inputs, Arguments arguments) {
    arguments.emplace_back("seed", -1);
    arguments.emplace_back("stream", stream);
    NumberLog log(op);
    EXPECT_TRUE(call_op(op, inputs, arguments)[0].is_abstract()) << op;
    ASSERT_GE(log.numbers.size(), 4u) << op;
    const std::span<const LaunchNumber> key = std::span(log.numbers).last(4);
    EXPECT_EQ(key[0].to_string(), "4294967295") << op << ": all bits of -1";
    EXPECT_EQ(key[1].to_string(), "4294967295") << op;
    EXPECT_EQ(key[2].to_string(), "low(position+2)") << op;
    EXPECT_EQ(value_of(key[2], values).integer, 7) << op;
    EXPECT_EQ(value_of(key[3], values).integer, 3) << op;
  };
  for (const char* op : {"random_uniform", "random_normal", "random_truncated_normal", "random_bits"}) {
    expect_key(op, {}, {{"shape", {5}}});
  }
  expect_key("random_permutation", {}, {{"n", 5}});
  expect_key("dropout", std::span(&operand, 1), {{"rate", 0.5}});
}

TEST(NumbersOfAbstractCalls, TheNumberOfElementsIsOne) {
  const Tensor x = abstract({Dim::symbol("batch"), 784});
  GradientTape tape;
  tape.watch(x);
  const Tensor y = mean(x);
  NumberLog log("div");
  EXPECT_EQ(tape.gradient(y, x).spec(), x.spec());
  ASSERT_EQ(log.numbers.size(), 1u);
  EXPECT_EQ(log.numbers[0].to_string(), "real(batch*784)");
  LaunchValues values;
  for (const std::int64_t batch : {2, 3}) {
    values.set(Dim::symbol("batch"), batch);
    EXPECT_EQ(value_of(log.numbers[0], values).floating, 784.0 * static_cast<double>(batch));
  }
}

TEST(NumbersOfAbstractCalls, AnUpstreamGradientMayHaveElementsAllTheSame) {
  const Tensor x = abstract({Dim::symbol("batch"), 3});
  GradientTape tape;
  tape.watch(x);
  const Tensor g = tape.gradient(mean(x), x, {.upstream = Tensor(2.0f)});
  EXPECT_TRUE(g.is_abstract());
  EXPECT_EQ(g.spec(), x.spec());
}

// -------------------------------------------------------------------------------------------------------- calls made

class NumbersAtOnce : public testing::TestWithParam<std::string> {
 protected:
  DeviceScope scope{Device(GetParam())};
  const Tensor x = ones({2, 2});
};

TEST_P(NumbersAtOnce, AreRefused) {
  const auto refused = [](const std::function<void()>& f) {
    expect_error_saying(f, ErrorId::symbolic_value, {"`rate` is known only at launch"}, nullptr, true);
  };
  refused([&] { mul(x, Operand(rate)); });
  refused([&] { sub(Operand(rate), x); });
  refused([&] { matmul(x, Operand(rate)); });
  refused([&] { add(Operand(rate), 1); });
  refused([&] { sum(Operand(rate)); });
  refused([&] { full({2}, rate); });
  refused([&] { pad(x, {1, 1}, {0, 0}, rate); });
  refused([&] {
    const std::vector<Scalar> numbers = {rate};
    const std::vector<Operand> operands = {x, x};
    invoke(built_in("sgd_update"), operands, nullptr, numbers);
  });
  EXPECT_EQ(x.to_vector<float>(), std::vector<float>(4, 1.0f));
}

TEST_P(NumbersAtOnce, AreRefusedBesideEmptyTensorsToo) {
  const Tensor none = zeros({0});
  const auto refused = [](const std::function<void()>& f, const std::string& number) {
    expect_error_saying(f, ErrorId::symbolic_value, {"`" + number + "` is known only at launch"}, nullptr, true);
  };
  refused([&] { add(none, Operand(rate)); }, "rate");
  refused([&] { matmul(zeros({0, 2}), Operand(rate)); }, "rate");
  refused([&] { full({0}, rate); }, "rate");
  refused(
      [&] {
        const std::vector<Scalar> numbers = {rate};
        const std::vector<Operand> operands = {none, none};
        invoke(built_in("sgd_update"), operands, nullptr, numbers);
      },
      "rate");
  for (const std::int64_t count : {0, 5}) {
    const Arguments arguments = {{"shape", {count}}, {"seed", 7}, {"stream", position.scalar()}};
    refused([&] { call_op("random_uniform", {}, arguments); }, "low(position)");
  }
  EXPECT_EQ(add(none, 1).shape(), (Shape{0}));
}

TEST_P(NumbersAtOnce, ErrorsNameTheCall) {
  expect_error_saying([&] { mul(x, Operand(rate * 2)); }, ErrorId::symbolic_value,
                      {"mul: the number `rate*2`", "number rate*2, known only at launch"},
                      "launch_number_test.cpp:", true);
}

INSTANTIATE_TEST_SUITE_P(Devices, NumbersAtOnce, testing::ValuesIn(available_devices()), &by_device);

}  // namespace
}  // namespace lockstep
