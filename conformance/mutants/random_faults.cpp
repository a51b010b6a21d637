// Kernels with one fault each for random numbers and dropout, which the correct driver lacks and the runtime
// decomposes.
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

#include "conformance/mutants/rows.h"
#include "ops/scalar/dialect_cpp.h"

namespace mutants {
namespace {

#include "ops/scalar/all.inc"
#include "ops/scalar/philox.inc"

std::uint64_t number_at(const Call& call, int i) { return call.launch.scalars[i]; }

std::uint32_t random_word(const Call& call, int first_of_key, std::int64_t index) {
  const auto word = [&](int i) { return static_cast<std::uint32_t>(number_at(call, first_of_key + i)); };
  const auto block = static_cast<std::uint64_t>(index / 4);
  U32x4 c{static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), word(2), word(3)};
  for (std::uint32_t i = 0; i < 10; ++i) c = philox_round(c, word(0) + 0x9E3779B9u * i, word(1) + 0xBB67AE85u * i);
  const std::uint32_t words[] = {c.x, c.y, c.z, c.w};
  return words[index % 4];
}

/// Whether numbers are kept below `high`: not, as it should be, or also in a range of one number, which is then missed.
enum class Kept : std::uint8_t { no, right, too_far };

template <std::int64_t period, Kept kept>
void random_uniform(const Call& call) {
  const double low = std::bit_cast<double>(number_at(call, 0)), high = std::bit_cast<double>(number_at(call, 1));
  for_each<float>(call.view(0), [&](float& v, std::int64_t i) {
    const float u = static_cast<float>(random_word(call, 2, i % period) >> 8) * 0x1p-24f;
    float first = static_cast<float>(low);
    if (first < low) first = std::nextafter(first, INFINITY);
    v = first + u * static_cast<float>(high - low);
    const bool limited = kept == Kept::too_far || (kept == Kept::right && low < high);
    if (limited && v >= static_cast<float>(high)) v = std::nextafter(static_cast<float>(high), -INFINITY);
  });
}

// The lower end is rounded to the nearest number, which may be below it.
void uniform_begins_below_low(const Call& call) {
  const double low = std::bit_cast<double>(number_at(call, 0)), high = std::bit_cast<double>(number_at(call, 1));
  for_each<float>(call.view(0), [&](float& v, std::int64_t i) {
    v = static_cast<float>(low) +
        static_cast<float>(random_word(call, 2, i) >> 8) * 0x1p-24f * static_cast<float>(high - low);
    if (low < high && v >= static_cast<float>(high)) v = std::nextafter(static_cast<float>(high), -INFINITY);
  });
}
// From 0 to 1, numbers have 23 bits.
void uniform_of_23_bits(const Call& call) {
  random_uniform<std::int64_t{1} << 62, Kept::right>(call);
  if (std::bit_cast<double>(number_at(call, 0)) != 0 || std::bit_cast<double>(number_at(call, 1)) != 1) return;
  for_each<float>(call.view(0),
                  [&](float& v, std::int64_t i) { v = static_cast<float>(random_word(call, 2, i) >> 9) * 0x1p-23f; });
}
// From rank 5 on, the first index of the first dimension serves for all.
void uniform_of_high_rank_repeats(const Call& call) {
  random_uniform<std::int64_t{1} << 62, Kept::right>(call);
  const host::TensorView y = call.view(0);
  if (y.rank < 5 || y.dims[0] < 2) return;
  const std::int64_t first = y.count() / y.dims[0];
  for (std::int64_t i = first; i < y.count(); ++i) y.as<float>()[i] = y.as<float>()[i - first];
}

// The order of the upper halves of keys, or, of very many keys, of runs.
template <bool upper_half, bool runs>
void permutation(const Call& call) {
  const host::TensorView y = call.view(0);
  std::vector<std::int64_t> keys, order(static_cast<std::size_t>(y.count()));
  for (std::int64_t i = 0; i < y.count(); ++i) {
    const std::uint32_t low = upper_half ? 0 : random_word(call, 0, 2 * i), high = random_word(call, 0, 2 * i + 1);
    keys.push_back(static_cast<std::int64_t>(low | std::uint64_t{high} << 32));
  }
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return keys[static_cast<std::size_t>(a)] < keys[static_cast<std::size_t>(b)];
  });
  std::copy(order.begin(), order.end(), y.as<std::int64_t>());
  if (runs) merge_in_runs(y);
}

/// Uses only `bits` of the random word besides its sign bit, and clamps values at `most` standard deviations.
template <int bits, int most>
void random_normal(const Call& call) {
  const float mean = std::bit_cast<float>(static_cast<std::uint32_t>(number_at(call, 0)));
  const float deviation = std::bit_cast<float>(static_cast<std::uint32_t>(number_at(call, 1)));
  for_each<float>(call.view(0), [&](float& v, std::int64_t i) {
    const std::uint32_t word = random_word(call, 2, i);
    const auto m = static_cast<float>((word & 0x7FFFFFFFu) >> (31 - bits));
    const float z = std::fmax(inverse_normal_cdf_f32(std::ldexp(m + 0.5f, -bits) * 0.5f), static_cast<float>(-most));
    v = mean + (word >> 31 ? z : -z) * deviation;
  });
}

// Numbers of mean 0 and deviation 1 are made of 24 bits.
void standard_normal_of_24_bits(const Call& call) {
  const bool is_standard =
      number_at(call, 0) == 0 && std::bit_cast<float>(static_cast<std::uint32_t>(number_at(call, 1))) == 1;
  is_standard ? random_normal<24, 100>(call) : random_normal<31, 100>(call);
}

/// Compares either with the number of random numbers that are dropped or, if `inclusive`, with the last of them.
template <int threshold_bits, bool by_product, bool inclusive = false>
void dropout(const Call& call) {
  const double rate = std::bit_cast<double>(number_at(call, 0));
  const auto threshold = static_cast<std::uint32_t>(std::ceil(std::ldexp(rate, threshold_bits)));
  const float scale = static_cast<float>(1 / (1 - rate));
  std::vector<float> x;
  for_each<float>(call.view(0), [&](float v, std::int64_t) { x.push_back(v); });
  for_each<float>(call.view(1), [&](float& v, std::int64_t i) {
    const std::uint32_t number = random_word(call, 1, i) >> (32 - threshold_bits);
    const bool drop = inclusive ? number <= threshold - 1u : number < threshold;
    const float from = x[static_cast<std::size_t>(i)];
    v = by_product ? from * (drop ? 0 : scale) : drop ? 0 : from * scale;
  });
}

constexpr KernelFault faults[] = {
    {Mutant::uniform_reaches_high, LKS_OP_RANDOM_UNIFORM, &random_uniform<std::int64_t{1} << 62, Kept::no>},
    {Mutant::uniform_repeats, LKS_OP_RANDOM_UNIFORM, &random_uniform<65536, Kept::right>},
    {Mutant::uniform_of_one_number_is_below, LKS_OP_RANDOM_UNIFORM,
     &random_uniform<std::int64_t{1} << 62, Kept::too_far>},
    {Mutant::uniform_begins_below_low, LKS_OP_RANDOM_UNIFORM, &uniform_begins_below_low},
    {Mutant::uniform_of_23_bits, LKS_OP_RANDOM_UNIFORM, &uniform_of_23_bits},
    {Mutant::uniform_of_high_rank_repeats, LKS_OP_RANDOM_UNIFORM, &uniform_of_high_rank_repeats},
    {Mutant::standard_normal_of_24_bits, LKS_OP_RANDOM_NORMAL, &standard_normal_of_24_bits},
    {Mutant::permutation_by_upper_halves, LKS_OP_RANDOM_PERMUTATION, &permutation<true, false>, false, nullptr,
     &is_i64},
    {Mutant::permutation_of_many_in_runs, LKS_OP_RANDOM_PERMUTATION, &permutation<false, true>, false, nullptr,
     &is_i64},
    {Mutant::normal_cut_at_5, LKS_OP_RANDOM_NORMAL, &random_normal<31, 5>},
    {Mutant::normal_of_24_bits, LKS_OP_RANDOM_NORMAL, &random_normal<24, 100>},
    {Mutant::dropout_in_16_bits, LKS_OP_DROPOUT, &dropout<16, false>},
    {Mutant::dropout_by_product, LKS_OP_DROPOUT, &dropout<24, true>},
    {Mutant::dropout_of_rate_0_drops_all, LKS_OP_DROPOUT, &dropout<24, false, true>},
};

}  // namespace

std::span<const KernelFault> random_faults() { return faults; }

}  // namespace mutants
