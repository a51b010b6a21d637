// Faults in launch-time scalars: truncated, swapped, misread, kept from the first launch.
#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <mutex>
#include <vector>

#include "conformance/mutants/terms.h"

namespace mutants {
namespace {

// Runs the kernel with each scalar replaced by `change(bits, dtype, position)`.
template <class Change>
void with_scalars(const Call& call, Change change) {
  std::vector<std::uint64_t> scalars(call.launch.scalars, call.launch.scalars + call.launch.scalar_count);
  for (std::size_t i = 0; i < scalars.size(); ++i) scalars[i] = change(scalars[i], call.desc.desc.scalar_dtypes[i], i);
  lks_launch launch = call.launch;
  launch.scalars = scalars.data();
  call.correct.run(launch);
}

void long_numbers_cut(const Call& call) {
  with_scalars(call, [](std::uint64_t bits, lks_dtype dtype, std::size_t) {
    return dtype == LKS_I64 ? static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(bits)))
                            : bits;
  });
}

void double_numbers_in_float(const Call& call) {
  with_scalars(call, [](std::uint64_t bits, lks_dtype dtype, std::size_t) {
    return dtype == LKS_F64
               ? std::bit_cast<std::uint64_t>(static_cast<double>(static_cast<float>(std::bit_cast<double>(bits))))
               : bits;
  });
}

void numbers_lose_their_sign(const Call& call) {
  with_scalars(call, [](std::uint64_t bits, lks_dtype dtype, std::size_t) {
    const auto value = static_cast<std::int32_t>(bits);
    return dtype == LKS_I32 && value < 0 ? static_cast<std::uint32_t>(-static_cast<std::int64_t>(value)) : bits;
  });
}

void numbers_in_bf16(const Call& call) {
  with_scalars(call, [](std::uint64_t bits, lks_dtype dtype, std::size_t) {
    return dtype == LKS_F32 ? bits & 0xffff0000u : bits;
  });
}

void true_numbers_are_false(const Call& call) {
  with_scalars(call, [](std::uint64_t bits, lks_dtype dtype, std::size_t) { return dtype == LKS_BOOL ? 0 : bits; });
}

void second_number_is_the_first(const Call& call) {
  with_scalars(
      call, [&call](std::uint64_t bits, lks_dtype, std::size_t i) { return i == 1 ? call.launch.scalars[0] : bits; });
}

void ninth_number_is_the_first(const Call& call) {
  with_scalars(
      call, [&call](std::uint64_t bits, lks_dtype, std::size_t i) { return i == 8 ? call.launch.scalars[0] : bits; });
}

void numbers_swapped(const Call& call) {
  const std::uint32_t count = call.launch.scalar_count;
  with_scalars(call, [&call, count](std::uint64_t bits, lks_dtype, std::size_t i) {
    return count == 2 ? call.launch.scalars[1 - i] : bits;
  });
}

void numbers_swapped_in_fast_mode(const Call& call) {
  call.desc.desc.math_mode == LKS_MODE_FAST ? numbers_swapped(call) : call.run();
}

// A kernel keeps all scalars of its first launch except the first one. The key is the description's address, which is
// unique per kernel.
void later_scalars_baked_in(const Call& call) {
  static std::mutex mutex;
  static std::map<const void*, std::vector<std::uint64_t>> first;
  const std::span now(call.launch.scalars, call.launch.scalar_count);
  std::vector<std::uint64_t> kept;
  {
    const std::lock_guard lock(mutex);
    kept = first.try_emplace(&call.desc, now.begin(), now.end()).first->second;
  }
  with_scalars(call, [&kept](std::uint64_t bits, lks_dtype, std::size_t i) {
    return i > 0 && i < kept.size() ? kept[i] : bits;
  });
}

// Scalars of i32 are read as 64 bits, and saturate.
void upper_bits_of_scalars_count(const Call& call) {
  with_scalars(call, [](std::uint64_t bits, lks_dtype dtype, std::size_t) {
    if (dtype != LKS_I32 || bits >> 32 == 0) return bits;
    constexpr std::int64_t least = std::numeric_limits<std::int32_t>::min();
    return static_cast<std::uint64_t>(std::max(static_cast<std::int64_t>(bits), least));
  });
}

constexpr KernelFault faults[] = {
    {Mutant::long_numbers_cut, LKS_OP_POINTWISE, &long_numbers_cut},
    {Mutant::double_numbers_in_float, LKS_OP_POINTWISE, &double_numbers_in_float},
    {Mutant::numbers_lose_their_sign, LKS_OP_POINTWISE, &numbers_lose_their_sign},
    {Mutant::numbers_in_bf16, LKS_OP_POINTWISE, &numbers_in_bf16},
    {Mutant::true_numbers_are_false, LKS_OP_POINTWISE, &true_numbers_are_false},
    {Mutant::second_number_is_the_first, LKS_OP_POINTWISE, &second_number_is_the_first},
    {Mutant::ninth_number_is_the_first, LKS_OP_POINTWISE, &ninth_number_is_the_first},
    {Mutant::numbers_swapped, LKS_OP_POINTWISE, &numbers_swapped},
    {Mutant::numbers_swapped_in_fast_mode, LKS_OP_POINTWISE, &numbers_swapped_in_fast_mode},
    {Mutant::key_baked_in, LKS_OP_RANDOM_BITS, &later_scalars_baked_in},
    {Mutant::later_numbers_baked_in, LKS_OP_POINTWISE, &later_scalars_baked_in},
    {Mutant::upper_bits_of_scalars_count, LKS_OP_POINTWISE, &upper_bits_of_scalars_count},
};

}  // namespace

std::span<const KernelFault> scalar_faults() { return faults; }

}  // namespace mutants
