// Launch-time scalars: a kernel that has been launched uses those of each launch, all of them and whatever their place.
#include <bit>
#include <cstring>
#include <memory>
#include <utility>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

constexpr std::int64_t f32_as_dtype = 0, i32_as_dtype = 6;

u64 bits_of(double value) { return std::bit_cast<u64>(value); }
u64 bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

// A sample, and for each scalar another value that changes the result.
struct ScalarSample {
  KernelSample sample;
  std::vector<u64> others;
};

struct NumberPair {
  lks_dtype dtype;
  u64 first, other;
};

ScalarSample with_scalars(KernelSample sample, const std::vector<NumberPair>& numbers) {
  ScalarSample made{std::move(sample), {}};
  for (const NumberPair& number : numbers) {
    made.sample.scalar_dtypes.push_back(number.dtype);
    made.sample.scalars.push_back(number.first);
    made.others.push_back(number.other);
  }
  return made;
}

// The numbers, and after them the four words of a random key.
ScalarSample with_key(KernelSample sample, std::vector<NumberPair> numbers) {
  numbers.insert(numbers.end(), {{LKS_U32, 1, 6}, {LKS_U32, 2, 7}, {LKS_U32, 3, 8}, {LKS_U32, 4, 9}});
  return with_scalars(std::move(sample), numbers);
}

KernelSample random_sample(std::uint32_t op, const char* name, lks_dtype dtype, std::vector<std::int64_t> dims,
                           Bytes attrs) {
  KernelSample s;
  s.name = s.op_name = name;
  s.op = op;
  s.attrs = std::move(attrs);
  s.outputs = {{dtype, std::move(dims)}};
  return s;
}

void add_random(std::vector<ScalarSample>& all) {
  const lks_int_list shape = int_list({67, 5}), line = int_list({501});
  const lks_random_bits_attrs bits{.shape = shape, .dtype = i32_as_dtype};
  all.push_back(with_key(random_sample(LKS_OP_RANDOM_BITS, "random_bits", LKS_I32, {67, 5}, attr_bytes(bits)), {}));
  const lks_random_uniform_attrs uniform{.shape = shape, .dtype = f32_as_dtype};
  all.push_back(with_key(random_sample(LKS_OP_RANDOM_UNIFORM, "random_uniform", LKS_F32, {67, 5}, attr_bytes(uniform)),
                         {{LKS_F64, bits_of(0.0), bits_of(-1.0)}, {LKS_F64, bits_of(1.0), bits_of(3.0)}}));
  const std::vector<NumberPair> mean_and_deviation = {{LKS_F32, bits_of(0.0f), bits_of(4.0f)},
                                                      {LKS_F32, bits_of(1.0f), bits_of(3.0f)}};
  const lks_random_normal_attrs normal{.shape = shape, .dtype = f32_as_dtype};
  all.push_back(with_key(random_sample(LKS_OP_RANDOM_NORMAL, "random_normal", LKS_F32, {67, 5}, attr_bytes(normal)),
                         mean_and_deviation));
  const lks_random_truncated_normal_attrs truncated{.shape = shape, .dtype = f32_as_dtype};
  all.push_back(with_key(
      random_sample(LKS_OP_RANDOM_TRUNCATED_NORMAL, "random_truncated_normal", LKS_F32, {67, 5}, attr_bytes(truncated)),
      mean_and_deviation));
  const lks_random_permutation_attrs permutation{.shape = line};
  all.push_back(with_key(
      random_sample(LKS_OP_RANDOM_PERMUTATION, "random_permutation", LKS_I64, {501}, attr_bytes(permutation)), {}));
  KernelSample dropout = random_sample(LKS_OP_DROPOUT, "dropout", LKS_F32, {67, 5}, {});
  dropout.inputs = dropout.outputs;
  for (int i = 0; i < 67 * 5; ++i) {
    const Bytes number = attr_bytes(static_cast<float>(i + 1));
    dropout.values.resize(1);
    dropout.values[0].insert(dropout.values[0].end(), number.begin(), number.end());
  }
  all.push_back(with_key(std::move(dropout), {{LKS_F64, bits_of(0.25), bits_of(0.5)}}));
}

// Without scale and shift.
ScalarSample layer_norm_sample() {
  KernelSample s;
  s.name = s.op_name = "layer_norm";
  s.op = LKS_OP_LAYER_NORM;
  const Operand absent{LKS_F32, {}, {}, true};
  s.inputs = {{LKS_F32, {5, 7}}, absent, absent};
  s.outputs = {{LKS_F32, {5, 7}}};
  s.values.resize(3);
  for (int i = 0; i < 5 * 7; ++i) {
    const Bytes number = attr_bytes(static_cast<float>(i * i % 11) / 4);
    s.values[0].insert(s.values[0].end(), number.begin(), number.end());
  }
  return with_scalars(std::move(s), {{LKS_F32, bits_of(1e-5f), bits_of(0.5f)}});
}

// (x + first) second + y third.
ScalarSample pointwise_sample() {
  KernelSample s = multiply_add_sample(35);
  ProgramBuilder builder;
  const Expr x = builder.input(LKS_I32), y = builder.input(LKS_I32), first = builder.scalar(0, LKS_I32),
             second = builder.scalar(1, LKS_I32), third = builder.scalar(2, LKS_I32);
  const Expr result[] = {(x + first) * second + y * third};
  s.program = std::make_shared<Program>(builder.finish(result));
  s.name = "pointwise i32 with three scalars";
  return with_scalars(std::move(s), {{LKS_I32, 100, 1000}, {LKS_I32, 3, 5}, {LKS_I32, 2, 7}});
}

Bytes pointwise_result(const KernelSample& sample) {
  Bytes result = sample.values[0];
  for (std::size_t i = 0; i < result.size(); i += 4) {
    std::uint32_t x = 0, y = 0;
    std::memcpy(&x, sample.values[0].data() + i, 4);
    std::memcpy(&y, sample.values[1].data() + i, 4);
    x = (x + static_cast<std::uint32_t>(sample.scalars[0])) * static_cast<std::uint32_t>(sample.scalars[1]) +
        y * static_cast<std::uint32_t>(sample.scalars[2]);
    std::memcpy(result.data() + i, &x, 4);
  }
  return result;
}

void every_scalar(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  std::vector<ScalarSample> samples = {pointwise_sample()};
  add_random(samples);
  samples.push_back(layer_norm_sample());
  std::vector<Kernel> kept;  // kept, so that no kernel gets the address of a released one
  for (const auto& [sample, others] : samples) {
    kept.reserve(kept.size() + 1 + others.size());
    const std::size_t used = kept.size();
    kept.emplace_back(s, sample);
    if (!kept[used]) continue;
    const Bytes before = run_sample(s, queue, sample, kept[used])[0];
    if (sample.program) check_same_bytes(before, pointwise_result(sample), sample.name);
    for (std::size_t i = 0; i < others.size(); ++i) {
      KernelSample other = sample;
      other.scalars[i] = others[i];
      kept.emplace_back(s, other);
      const Bytes expected = run_sample(s, queue, other, kept.back())[0];
      const std::string what = sample.name + text(" with another scalar %zu", i);
      check(expected != before, what + " has the same result as before");
      check_same_bytes(run_sample(s, queue, other, kept[used])[0], expected,
                       what + ": a used kernel, compared with a fresh one");
    }
  }
}

}  // namespace

std::vector<RuntimeCase> scalar_cases() {
  return {
      {"queue", "every_scalar", "each scalar of a launch counts, also in a kernel that was launched with another",
       &every_scalar},
  };
}

}  // namespace lockstep::conformance
