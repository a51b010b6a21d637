#include "conformance/checks/large_calls.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "conformance/case_data.h"
#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/large_calls.h"
#include "conformance/cases/values.h"
#include "conformance/checks/forward.h"
#include "lockstep/error.h"
#include "ops/random/key_scalars.h"
#include "ops/random/philox_reference.h"
#include "runtime/device_state.h"
#include "runtime/element.h"

namespace lockstep::conformance {
namespace {

// The values of a case. For large inputs only the random values, which the tensor repeats; but not if the answer lies
// in one place, or in few.
std::vector<RefArray> drawn_inputs(const TestCase& t) {
  if (t.values == Values::extremes || is_sparse(t.values)) return case_inputs(t);
  TestCase small = t;
  for (CaseInput& in : small.call.inputs) {
    if (!in.absent && !in.scalar && in.shape.size() > max_drawn) in.shape = Shape{drawn_of_larger};
  }
  return case_inputs(small);
}

// Whether all devices must give the same bits.
bool agree_in_bits(const TestCase& t) {
  if (t.mode == MathMode::lockstep) return true;
  return t.op->error_class == ErrorClass::exact || t.op->error_class == ErrorClass::rounded;
}

// The round-off of a result, relative to it: of the last rounding, if there is one to f16 or bf16.
long double roundoff_of(DType t) {
  switch (t) {
    case DType::f64: return 0x1p-52L;
    case DType::f16: return 0x1p-10L;
    case DType::bf16: return 0x1p-7L;
    default: return 0x1p-23L;
  }
}

// How far two correct results of sums may differ. Most sums here are exact whatever the order. For the others the
// tolerance is wide, because the oracle judges precision elsewhere: this finds results that are missing or computed
// from other elements.
long double allowed_between_sums(const TestCase& t, DType dtype, long double expected, long double typical) {
  const bool exact = are_exact(t.values) && expected == std::trunc(expected);
  if (!divides_sums(*t.op) && (exact || t.values == Values::tiny)) return 0;
  const long double ulp = is_half_width(dtype) ? 0x1p-7L : dtype == DType::f64 ? 0x1p-48L : 0x1p-19L;
  // It averages means of planes. They are rounded, and may cancel.
  const long double cancelled = t.op->name == "avg_pool" ? typical : 0;
  return (std::fabs(expected) + cancelled) * ulp;
}

// How far two results may differ without a question to the oracle. Functions: two units in the last place. Composed
// ops, whose sums differ in order: 32 units of a typical result.
long double near_enough(const TestCase& t, DType dtype, long double expected, long double typical) {
  const long double computed = 32 * roundoff_of(compute_dtype(dtype));
  const long double steps = t.op->error_class == ErrorClass::composed ? (std::fabs(expected) + typical) * computed : 0;
  return std::fabs(expected) * roundoff_of(dtype) * (is_half_width(dtype) ? 1 : 2) + steps;
}

// Whether the oracle decides about results that are not nearly equal. For sums, which are too long for it, a tolerance
// decides.
bool oracle_decides(const TestCase& t) { return t.op->error_class != ErrorClass::sum; }

long double typical_of(const RefArray& a) {
  long double total = 0, count = 0;
  for (long double v : a.values) {
    if (!std::isfinite(v)) continue;
    total += std::fabs(v);
    count += 1;
  }
  return count > 0 ? total / count : 1;
}

// The first element that is too far off; empty if there is none.
std::string first_far(const TestCase& t, const Tensor& result, const Tensor& expected, std::size_t output) {
  if (result.to_bytes() == expected.to_bytes()) return "";
  const RefArray given = to_array(result), wanted = to_array(expected);
  const bool floating = is_floating(given.dtype);
  const long double typical = typical_of(wanted);
  const long double smallest = given.dtype == DType::f64   ? 0x1p-1060L
                               : given.dtype == DType::f16 ? 0x1p-20L
                                                           : 0x1p-120L;
  const auto allowed_between = oracle_decides(t) ? &near_enough : &allowed_between_sums;
  for (std::size_t i = 0; i < given.values.size(); ++i) {
    const long double a = given.values[i], b = wanted.values[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const long double allowed = allowed_between(t, given.dtype, b, typical);
    const bool finite = std::isfinite(a) && std::isfinite(b);
    if (floating && finite && std::fabs(a - b) <= (allowed > 0 ? allowed + smallest : 0)) continue;
    char text[160];
    std::snprintf(text, sizeof text, "output %zu, element %zu of %zu: %.10Lg and %.10Lg", output, i,
                  given.values.size(), a, b);
    return text;
  }
  return "";
}

// The inputs with all their values, where only the first were drawn.
std::vector<RefArray> whole_inputs(const TestCase& t, std::vector<RefArray> inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const CaseInput& in = t.call.inputs[i];
    const std::size_t given = inputs[i].values.size();
    if (in.absent || in.scalar || given == static_cast<std::size_t>(in.shape.size())) continue;
    inputs[i].shape = in.shape;
    inputs[i].values.resize(static_cast<std::size_t>(in.shape.size()));
    for (std::size_t k = given; k < inputs[i].values.size(); ++k) inputs[i].values[k] = inputs[i].values[k - given];
  }
  return inputs;
}

// What is wrong with the results of a call, if those of the trusted device are right; empty if nothing is.
std::string compare(const TestCase& t, const std::vector<RefArray>& inputs, const std::vector<Tensor>& results,
                    const std::vector<Tensor>& expected, const Setting& setting) {
  if (agree_in_bits(t)) return first_difference(results, expected);
  for (std::size_t o = 0; o < results.size(); ++o) {
    std::string far = first_far(t, results[o], expected[o], o);
    if (far.empty()) continue;
    if (!oracle_decides(t)) return far;
    const Verdict verdict = compare_with_oracle(t, whole_inputs(t, inputs), results, std::nullopt, setting);
    return verdict.ok ? "" : far + "; " + verdict.text;
  }
  return "";
}

constexpr std::int64_t tile_size = 4099;

// The case with all its tensors of n elements; nullopt if the op does not accept that.
std::optional<TestCase> of_size(const TestCase& t, std::int64_t n) {
  TestCase sized = t;
  for (CaseInput& in : sized.call.inputs) {
    if (!in.absent && !in.scalar) in.shape = Shape{n};
  }
  return infer_outputs(*t.op, sized.call) ? std::optional(sized) : std::nullopt;
}

// The first position at which `bytes` is not `tile` over and over; nullopt if there is none.
std::optional<std::size_t> first_not_repeated(const std::vector<std::byte>& bytes, const std::vector<std::byte>& tile,
                                              DType dtype) {
  for (std::size_t at = 0; at < bytes.size(); at += tile.size()) {
    const std::size_t n = std::min(tile.size(), bytes.size() - at);
    if (const auto within = first_unlike(bytes.data() + at, tile.data(), n, dtype)) return at + *within;
  }
  return std::nullopt;
}

RefArray array_of(const std::byte* bytes, DType dtype, const Shape& shape) {
  RefArray array = RefArray::zeros(dtype, shape);
  for (std::size_t i = 0; i < array.values.size(); ++i) {
    array.values[i] = element_value(bytes + i * size_of(dtype), dtype);
  }
  return array;
}

// The results of a call of few elements, which the results of larger calls repeat.
class Tile {
 public:
  Tile(const TestCase& t, const std::vector<RefArray>& inputs, const std::vector<Tensor>& results,
       const Setting& setting)
      : case_(t), inputs_(inputs), results_(results), setting_(setting) {
    for (const Tensor& r : results) bytes_.push_back(r.to_bytes());
  }

  const std::vector<std::byte>& bytes(std::size_t output) const { return bytes_[output]; }

  /// The first byte of a larger result that is wrong, if it should repeat this one; nullopt if there is none. If
  /// devices may round differently, another result may be right too: the ends of a tensor may be computed by other
  /// instructions.
  std::optional<std::size_t> first_fault(const Tensor& result, std::size_t output) {
    const std::vector<std::byte> given = result.to_bytes();
    const auto at = first_not_repeated(given, bytes_[output], result.dtype());
    if (!at || agree_in_bits(case_)) return at;
    if (oracle_decides(case_)) return first_that_oracle_refuses(given, output, *at);
    RefArray values = to_array(results_[output]);
    values.shape = result.shape();
    const Tensor repeated = repeated_tensor(values, result.device());
    return first_far(case_, result, repeated, output).empty() ? std::nullopt : at;
  }

 private:
  // Asks the oracle about each tile of the result, from the one of byte `at` on, that differs from this one. What is
  // missing in the last tile is taken from this one.
  std::optional<std::size_t> first_that_oracle_refuses(const std::vector<std::byte>& given, std::size_t output,
                                                       std::size_t at) {
    const std::vector<std::byte>& own = bytes_[output];
    if (!oracle_) oracle_.emplace(case_, inputs_, setting_);
    for (std::size_t begin = at / own.size() * own.size(); begin < given.size(); begin += own.size()) {
      const std::size_t n = std::min(own.size(), given.size() - begin);
      const auto unlike = first_unlike(given.data() + begin, own.data(), n, results_[output].dtype());
      if (!unlike) continue;
      std::vector<std::byte> one = own;
      std::memcpy(one.data(), given.data() + begin, n);
      const RefArray array = array_of(one.data(), results_[output].dtype(), results_[output].shape());
      if (oracle_->judge(output, array).ok) continue;
      return begin + *unlike;
    }
    return std::nullopt;
  }

  const TestCase& case_;
  const std::vector<RefArray>& inputs_;
  const std::vector<Tensor>& results_;
  const Setting& setting_;
  std::vector<std::vector<std::byte>> bytes_;
  std::optional<OracleJudge> oracle_;
};

// The case with `rows` rows in place of its own number, in inputs and in the attribute `shape`; nullopt if there is
// none, or the op does not accept it.
std::optional<TestCase> with_rows(const TestCase& t, std::int64_t rows) {
  const auto outputs = infer_outputs(*t.op, t.call);
  if (!outputs || outputs->empty() || (*outputs)[0].shape.rank() == 0) return std::nullopt;
  const std::int64_t own = (*outputs)[0].shape[0];
  TestCase other = t;
  for (CaseInput& in : other.call.inputs) {
    if (!in.absent && !in.scalar && in.shape.rank() > 0 && in.shape[0] == own) in.shape.set_dim(0, rows);
  }
  if (const auto shape = shape_list(*t.op)) {
    other.call.attrs = attribute_bytes(*t.op, t.call);
    std::byte* const first = other.call.attrs.data() + *shape + offsetof(IntList, values);
    if (std::memcmp(first, &own, sizeof own) == 0) std::memcpy(first, &rows, sizeof rows);
  }
  return infer_outputs(*t.op, other.call) ? std::optional(other) : std::nullopt;
}

// Whether results repeat if the inputs do. They do not if an op uses positions.
bool repeats(const TestCase& t, const std::vector<RefArray>& inputs, Device trusted) {
  const std::vector<Tensor> results = call_on(*of_size(t, 2 * tile_size), inputs, trusted);
  const std::vector<Tensor> expected = call_on(*of_size(t, tile_size), inputs, trusted);
  for (std::size_t o = 0; o < results.size(); ++o) {
    if (first_not_repeated(results[o].to_bytes(), expected[o].to_bytes(), results[o].dtype())) return false;
  }
  return true;
}

// Whether the device has a kernel of its own for a shorter call. If not it runs the decomposition, which shorter cases
// test.
bool has_own_kernel(const TestCase& t, const Setting& setting) {
  const auto& decompositions = setting.device.state().counters.decompositions;
  const std::uint64_t before = decompositions.load();
  TestCase shorter = t;
  shorter.call = *with_shapes(*t.op, t.call, {Shape{1000}});
  to_array(call_on(shorter, case_inputs(shorter), setting.device)[0]);
  return decompositions.load() == before;
}

// The order must be a permutation by which keys ascend, and equal keys keep their order.
Verdict judge_order(const std::vector<std::int64_t>& keys, const std::vector<std::int64_t>& order) {
  std::vector<bool> seen(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto at = static_cast<std::size_t>(order[i]);
    if (at >= keys.size() || seen[at])
      return failure("position " + std::to_string(i) + " of the order is not a new index");
    seen[at] = true;
    if (i == 0) continue;
    const auto last = static_cast<std::size_t>(order[i - 1]);
    const bool ascends = keys[last] < keys[at] || (keys[last] == keys[at] && last < at);
    if (!ascends) return failure("the order does not ascend at position " + std::to_string(i));
  }
  return {};
}

// Whether the case orders so many keys that only the order's properties are checked.
bool is_long_sort(const TestCase& t) {
  const bool sorts = t.op->name == "argsort" || t.op->name == "random_permutation";
  return sorts && (*infer_outputs(*t.op, t.call))[0].shape.size() == long_sort;
}

// Orders very many keys: given ones, most of which occur several times, or random ones.
Verdict check_long_sort(const TestCase& t, const Setting& setting) {
  if (!has_own_kernel(t, setting)) return {};
  std::vector<std::int64_t> keys(long_sort);
  const DeviceScope scope(setting.device);
  if (t.call.inputs.empty()) {
    const RandomKey key = key_from(t.call.scalars, 0);
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<std::int64_t>(random_long_word(key, i));
    return judge_order(keys, call_on(t, {}, setting.device)[0].to_vector<std::int64_t>());
  }
  const RandomKey key{t.seed, 41};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    keys[i] = static_cast<std::int64_t>(random_long_word(key, i) % (keys.size() / 4)) << 20;
  }
  return judge_order(keys, invoke1(*t.op, {Tensor(keys, Shape{long_sort}, setting.device)}).to_vector<std::int64_t>());
}

}  // namespace

Verdict check_large_calls(const TestCase& t, const Setting& setting) {
  if (is_long_sort(t)) return check_long_sort(t, setting);
  const std::vector<RefArray> inputs = drawn_inputs(t);
  const std::vector<Tensor> results = read_back(call_on(t, inputs, setting.device), setting);
  // If the device is the trusted one, this compares two runs on it.
  const std::string other = compare(t, inputs, results, call_on(t, inputs, setting.trusted), setting);
  return other.empty() ? Verdict() : failure("this is not what " + setting.trusted.name() + " gives: " + other);
}

Verdict check_repeat(const TestCase& t, const Setting& setting) {
  const std::vector<RefArray> inputs = drawn_inputs(t);
  const std::vector<Tensor> live = call_on(t, inputs, setting.device);
  const std::vector<Tensor> results = read_back(live, setting);
  for (int again = 0; again < 3; ++again) {
    const std::string changed = first_difference(results, call_on(t, inputs, setting.device));
    if (!changed.empty()) return failure("run again, it gives other bits: " + changed);
  }
  const std::string overwritten = first_difference(results, live);
  if (!overwritten.empty()) return failure("a later call changed the results of the first: " + overwritten);
  return {};
}

Verdict check_sizes(const TestCase& t, const Setting& setting) {
  const auto tile = of_size(t, tile_size);
  if (!tile) return {};
  const std::vector<RefArray> inputs = case_inputs(*tile);
  const std::vector<Tensor> expected = call_on(*tile, inputs, setting.device);
  const std::string other = compare(*tile, inputs, expected, call_on(*tile, inputs, setting.trusted), setting);
  if (!other.empty()) return failure("4099 elements are not what " + setting.trusted.name() + " gives: " + other);
  Tile repeated(*tile, inputs, expected, setting);
  if (!repeats(t, inputs, setting.trusted)) return {};
  for (const std::int64_t n : sizes_of(t)) {
    const TestCase sized = *of_size(t, n);
    std::vector<RefArray> some = inputs;
    for (std::size_t i = 0; n < tile_size && i < some.size(); ++i) {
      if (some[i].shape.rank() == 0) continue;
      some[i].values.resize(static_cast<std::size_t>(n));
      some[i].shape = Shape{n};
    }
    const std::vector<Tensor> results = call_on(sized, some, setting.device);
    for (std::size_t o = 0; o < results.size(); ++o) {
      const auto at = repeated.first_fault(results[o], o);
      if (!at) continue;
      return failure("of " + std::to_string(n) + " elements, number " +
                     std::to_string(*at / size_of(results[o].dtype())) + " is not what it is among 4099");
    }
  }
  return {};
}

Verdict check_rows(const TestCase& t, const Setting& setting) {
  const auto small = with_rows(t, row_period), twice = with_rows(t, 2 * row_period);
  if (!small || !twice) return failure("the op has no rows to repeat");
  const std::vector<RefArray> tiles = case_inputs(*small);
  const std::vector<Tensor> expected = call_on(*small, tiles, setting.device);
  const std::vector<Tensor> trusted = call_on(*small, tiles, setting.trusted);
  const std::string other = compare(*small, tiles, expected, trusted, setting);
  if (!other.empty()) return failure("61 rows are not what " + setting.trusted.name() + " gives: " + other);
  const std::vector<Tensor> both = call_on(*twice, tiles, setting.trusted);
  const std::vector<Tensor> results = call_on(t, tiles, setting.device);
  Tile repeated(*small, tiles, expected, setting);
  for (std::size_t o = 0; o < results.size(); ++o) {
    if (first_not_repeated(both[o].to_bytes(), trusted[o].to_bytes(), both[o].dtype())) {
      return failure("the case is wrong: repeated rows give results that do not repeat");
    }
    const auto at = repeated.first_fault(results[o], o);
    if (!at) continue;
    const std::size_t row = repeated.bytes(o).size() / static_cast<std::size_t>(row_period);
    return failure("output " + std::to_string(o) + ": row " + std::to_string(*at / row) + " of " +
                   std::to_string(results[o].shape()[0]) + " is not what it is among 61");
  }
  return {};
}

Verdict check_bad_index(const TestCase& t, const Setting& setting) {
  const std::vector<RefArray> good = case_inputs(t);
  const DeviceScope scope(setting.device);
  CaseOperands operands(*t.op, t.call, good, setting.device, t.layout);
  const auto call = [&] { to_array(call_with(t, operands)[0]); };
  for (std::size_t i = 0; i < good.size(); ++i) {
    const CaseInput& in = t.call.inputs[i];
    if (in.absent || in.scalar || in.values.kind != CaseValues::Kind::indices) continue;
    const long double extent = in.values.high + 1;
    std::vector<long double> outside = {extent, -1, 0x1p31L - 1, -0x1p31L};
    if (in.dtype == DType::i64) outside.insert(outside.end(), {0x1p32L, -0x1p63L, 0x1p32L + extent - 1});
    std::size_t turn = 0;
    for (const std::size_t place : {0, 1, 63, 64, 65, 1023, 1024, 1025, 65535, 65536, 65537}) {
      std::vector<std::size_t> places = {place};
      if (place == 1) places[0] = good[i].values.size() - 1;
      if (places[0] >= good[i].values.size()) continue;
      for (int more = 0; more < 2; ++more, ++turn) {
        RefArray bad = good[i];
        const long double index = outside[turn % outside.size()];
        bad.values[places[0]] = index;
        char text[120];
        std::snprintf(text, sizeof text, "the index %.0Lf at position %zu of %zu", index, places[0],
                      good[i].values.size());
        operands.replace(i, bad);
        try {
          call();
        } catch (const Error& e) {
          if (e.id() == ErrorId::index_out_of_range) continue;
          if (e.id() == ErrorId::no_kernel) throw;  // the driver may have no kernel
          return failure(std::string(text) + " is refused with another error: " + e.what());
        }
        return failure(std::string(text) + " is not refused");
      }
    }
    operands.replace(i, good[i]);
  }
  // A correct call afterwards must succeed.
  call();
  return {};
}

}  // namespace lockstep::conformance
