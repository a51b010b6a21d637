// Fuzzes calls that run: the public functions with small tensors and arbitrary options, and every op with the calls
// that the fuzzer of shapes draws, where they are small, and their first gradients. Each call must be refused with a
// Lockstep error or give what its specs say. LOCKSTEP_FUZZ_ROUNDS and LOCKSTEP_FUZZ_SEED set the number of rounds and
// the seed.
#include <gtest/gtest.h>

#include <algorithm>

#include "ops/fuzzed_call.h"
#include "ops/infer.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

// Calls public functions with small tensors, dense or as views of one element, and with arbitrary options.
class CallFuzzer {
 public:
  explicit CallFuzzer(Draw& draw) : draw_(draw) {}

  Tensor next() {
    const Tensor x = tensor();
    switch (draw_.below(15)) {
      case 0: return pad(x, numbers(x.rank()), numbers(x.rank()), draw_.scalar());
      case 1: return reshape(x, numbers(4));
      case 2: return slice(x, slices());
      case 3: return transpose(x, numbers(x.rank()));
      case 4: return expand_dims(x, draw_.number());
      case 5: return squeeze(x, small());
      case 6: return select_index(x, small(), draw_.number());
      case 7: return concat({x, tensor()}, small());
      case 8: return conv2d(image(), image(), {pair(), padding(), pair(), small()});
      case 9: return max_pool2d(image(), {pair(), pair(), padding()});
      case 10: return avg_pool2d(image(), {pair(), pair(), padding()});
      case 11: return one_hot(cast(x, DType::i32), draw_.number(), dtype());
      case 12: return arange(draw_.number(), dtype(), draw_.scalar().as_double(), draw_.scalar().as_double());
      case 13: return scatter_add(x, zeros({x.rank() ? x.shape()[0] : 1}, i64), draw_.number(), small());
      default: return broadcast_to(x, Shape(std::span<const std::int64_t>(extents())));
    }
  }

 private:
  std::int64_t small() { return draw_.one_in(4) ? draw_.number() : static_cast<std::int64_t>(draw_.below(6)) - 2; }
  DType dtype() { return static_cast<DType>(draw_.below(10)); }
  Tensor tensor() {
    Shape shape;
    for (std::size_t rank = draw_.below(4); rank-- > 0;) shape.append(static_cast<std::int64_t>(draw_.below(4)));
    if (draw_.one_in(4)) return broadcast_to(ones({}), shape);
    return draw_.one_in(3) ? transpose(ones(shape)) : ones(shape);
  }
  Tensor image() {
    Shape shape{1};
    for (int i = 0; i < 3; ++i) shape.append(static_cast<std::int64_t>(1 + draw_.below(4)));
    return ones(shape);
  }
  Ints numbers(int count) {
    Ints list;
    for (int i = 0; i < count; ++i) list.push_back(small());
    return list;
  }
  Ints extents() {
    Ints list;
    for (std::size_t rank = draw_.below(5); rank-- > 0;) list.push_back(draw_.extent());
    return list;
  }
  std::vector<Slice> slices() {
    std::vector<Slice> list;
    for (std::size_t n = draw_.below(3); n-- > 0;) list.push_back({small(), small(), small(), small()});
    return list;
  }
  Pair pair() { return {small(), small()}; }
  Padding padding() { return draw_.one_in(3) ? Padding::same() : Padding::of(small(), small(), small(), small()); }
  Draw& draw_;
};

class Calls : public testing::TestWithParam<std::string> {};

TEST_P(Calls, OfFunctionsRefuseOrStayInside) {
  const Device device(GetParam());
  const DeviceScope scope(device);
  const std::uint64_t rounds = setting("LOCKSTEP_FUZZ_ROUNDS", 1500);
  Draw draw(setting("LOCKSTEP_FUZZ_SEED", 16));
  CallFuzzer fuzzer(draw);
  set_memory_limit(device, std::uint64_t{64} << 20);
  std::uint64_t accepted = 0;
  for (std::uint64_t i = 0; i < rounds && !HasFailure(); ++i) {
    try {
      const Tensor y = fuzzer.next();
      check_spec(y.spec());
      if (y.size() > 1 << 16) continue;  // a large view of few elements: reading it would copy it
      ++accepted;
      EXPECT_EQ(y.to_bytes().size(), static_cast<std::size_t>(y.spec().bytes()));
    } catch (const Error& e) {
      EXPECT_FALSE(e.where().empty()) << e.what();
    } catch (const std::exception& e) {
      ADD_FAILURE() << "untyped: " << e.what() << " in round " << i;
    }
  }
  set_memory_limit(device, std::nullopt);
  EXPECT_GT(accepted, rounds / 10);
}

// ------------------------------------------------------------------------------------------------- every op, gradients

constexpr std::int64_t max_elements = 4096;  // of an operand or a result

// Extents of 0 count as 1: sums over the empty axes of a tensor are as large as its other extents say.
bool is_small(const TensorSpec& spec) {
  if (!spec.shape.is_known()) return false;
  Shape filled = spec.shape;
  for (int i = 0; i < filled.rank(); ++i) filled.set_dim(i, std::max<std::int64_t>(filled[i], 1));
  return elements(filled) <= max_elements;
}

// The specs of the results of a call that is valid and small.
std::optional<std::vector<TensorSpec>> small_results(const FuzzedCall& c) {
  std::vector<TensorSpec> specs;
  for (const Tensor& t : c.tensors) {
    if (!is_small(t.spec())) return std::nullopt;
  }
  try {
    const OpCall call = c.call();
    check_call(call);
    specs.resize(output_count(call));
    CallTypes types(call);
    infer_specs(call, types, specs);
  } catch (const Error&) {
    return std::nullopt;
  }
  if (!std::all_of(specs.begin(), specs.end(), is_small)) return std::nullopt;
  return specs;
}

// Runs fuzzed calls with elements in place of abstract tensors.
class Runner {
 public:
  struct Counts {
    int executed = 0, differentiated = 0;
  };

  Runner(const OpDef& op, Draw& draw) : op_(op), draw_(draw) {}

  void run(const FuzzedCall& c, std::span<const TensorSpec> specs) {
    try {
      std::vector<Tensor> inputs;
      for (const Tensor& t : c.tensors) inputs.push_back(with_elements(t.spec()));
      std::vector<Operand> operands;
      std::size_t next = 0;
      for (const Operand& o : c.operands) {
        operands.push_back(o.is_tensor() ? Operand(inputs[next++]) : o);
      }
      GradientTape tape;
      std::vector<Source> sources;
      for (const Tensor& t : inputs) {
        if (!is_floating(t.dtype())) continue;
        tape.watch(t);
        sources.emplace_back(t);
      }
      const std::vector<Tensor> y = invoke(op_, operands, c.call().attrs, c.scalars);
      for (std::size_t o = 0; o < y.size(); ++o) expect(y[o], specs[o]);
      ++counts.executed;
      if (op_.effects != Effects::state) differentiate(tape, y, sources);
    } catch (const Error& e) {
      EXPECT_FALSE(e.where().empty()) << e.what();
    } catch (const std::exception& e) {
      ADD_FAILURE() << "untyped: " << e.what();
    }
  }

  Counts counts;

 private:
  static void expect(const Tensor& given, const TensorSpec& spec) {
    ASSERT_EQ(given.spec(), spec);
    EXPECT_EQ(given.to_bytes().size(), static_cast<std::size_t>(spec.bytes()));
  }

  // The call was valid, so its gradients have few reasons to fail.
  void differentiate(GradientTape& tape, const std::vector<Tensor>& y, const std::vector<Source>& sources) {
    if (sources.empty() || !is_floating(y[0].dtype())) return;
    const DeviceScope scope(y[0].device());
    const Tensor upstream = with_elements(y[0].spec());
    try {
      const std::vector<Tensor> gradients =
          tape.gradient(y[0], sources, {.upstream = upstream, .unconnected = Unconnected::zero});
      for (std::size_t i = 0; i < gradients.size(); ++i) expect(gradients[i], sources[i].tensor()->spec());
      ++counts.differentiated;
    } catch (const Error& e) {
      // Attributes with symbolic extents, which the fuzzer draws too, give gradients without elements.
      constexpr ErrorId allowed[] = {ErrorId::no_gradient_rule, ErrorId::out_of_memory, ErrorId::index_out_of_range,
                                     ErrorId::symbolic_value};
      EXPECT_TRUE(std::find(std::begin(allowed), std::end(allowed), e.id()) != std::end(allowed)) << e.what();
    }
  }

  // Small numbers, zeros of both signs and, rarely, NaN and infinity; dense, transposed, or one element everywhere.
  Tensor with_elements(const TensorSpec& spec) {
    constexpr float values[] = {0, 1, 2, 3, 1, 0.5f, -0.0f, -1, INFINITY, NAN};
    const auto element = [&] { return draw_.one_in(8) ? draw_.of(values) : values[draw_.below(4)]; };
    if (draw_.one_in(6)) return broadcast_to(cast(Tensor(element()), spec.dtype), spec.shape);
    std::vector<float> elements(static_cast<std::size_t>(spec.shape.size()));
    for (float& v : elements) v = element();
    if (spec.shape.rank() < 2 || !draw_.one_in(6)) return cast(Tensor(elements, spec.shape), spec.dtype);
    Shape reversed;
    for (int i = spec.shape.rank(); i-- > 0;) reversed.append(spec.shape[i]);
    return transpose(cast(Tensor(elements, reversed), spec.dtype));
  }

  const OpDef& op_;
  Draw& draw_;
};

TEST_P(Calls, OfEveryOpAndItsGradientsRefuseOrGiveWhatTheySay) {
  const Device device(GetParam());
  const DeviceScope scope(device);
  const std::uint64_t rounds = setting("LOCKSTEP_FUZZ_ROUNDS", 1500);
  // Vulkan compiles most of these kernels, which takes far longer than to run them.
  const std::uint64_t max_runs = rounds / (device.driver() == "vulkan" ? 250 : 15);
  Draw draw(setting("LOCKSTEP_FUZZ_SEED", 16));
  set_memory_limit(device, std::uint64_t{64} << 20);
  int differentiated = 0;
  for (const OpDef* op : registered_ops()) {
    Fuzzer fuzzer(*op, draw);
    Runner runner(*op, draw);
    std::uint64_t runs = 0;
    for (std::uint64_t i = 0; i < rounds && runs < max_runs; ++i) {
      const FuzzedCall c = fuzzer.next();
      const auto specs = small_results(c);
      if (!specs) continue;
      ++runs;
      runner.run(c, *specs);
      ASSERT_FALSE(HasFailure()) << c.text();
    }
    EXPECT_GT(runner.counts.executed, 0) << op->name;
    differentiated += runner.counts.differentiated > 0 ? 1 : 0;
  }
  set_memory_limit(device, std::nullopt);
  EXPECT_GT(differentiated, 40);
}

INSTANTIATE_TEST_SUITE_P(Devices, Calls, testing::ValuesIn(available_devices()), &by_device);

}  // namespace
}  // namespace lockstep
