#include "conformance/checks/large.h"

#include <bit>

#include "lockstep/memory.h"
#include "lockstep/ops.h"
#include "ops/random/philox_reference.h"

namespace lockstep::conformance {
namespace {

// 2^29 numbers of four bytes, and a few more. From `edge` on, byte offsets need more than 31 bits; element indices do
// not.
constexpr std::int64_t edge = std::int64_t{1} << 29, count = edge + 37;
constexpr RandomKey key{17, 4};

struct Window {
  std::int64_t first, size;
};
constexpr Window windows[] = {{0, 1000}, {edge / 2 - 500, 1000}, {edge - 500, 537}, {count - 9, 9}};

// Random bits whose value is known at every position.
Tensor known_bits() { return random_bits(Shape{count}, DType::i32, key); }
std::int32_t known_bit(std::int64_t i) {
  return static_cast<std::int32_t>(random_word(key, static_cast<std::uint64_t>(i)));
}

Tensor look(const Tensor& x, Window w) { return slice(x, {Slice{0, w.first, w.first + w.size}}); }

template <class T, class Expected>
void compare(const Tensor& x, Expected&& expected, const char* what, CaseResult& result) {
  for (Window w : windows) {
    const std::vector<T> got = look(x, w).to_vector<T>();
    for (std::int64_t i = 0; i < w.size && result.outcome == Outcome::pass; ++i) {
      if (got[static_cast<std::size_t>(i)] == expected(w.first + i)) continue;
      result.outcome = Outcome::fail;
      result.text = std::string(what) + ": element " + std::to_string(w.first + i) + " of " + std::to_string(count) +
                    " is " + std::to_string(got[static_cast<std::size_t>(i)]) + ", not " +
                    std::to_string(expected(w.first + i));
    }
  }
}

void pointwise(CaseResult& result) {
  const Tensor x = known_bits();
  compare<std::int32_t>(x, known_bit, "random bits", result);
  const auto next = [](std::int64_t i) {
    return std::bit_cast<std::int32_t>(std::bit_cast<std::uint32_t>(known_bit(i)) + 1);
  };
  compare<std::int32_t>(x + 1, next, "x + 1", result);
}

void copied(CaseResult& result) {
  const Tensor x = known_bits();
  const Tensor front = slice(x, {Slice{0, 0, edge}}), back = slice(x, {Slice{0, edge}});
  compare<std::int32_t>(concat({front, back}, 0), known_bit, "two parts joined", result);
}

void summed(CaseResult& result) {
  std::uint32_t total = 0;
  for (std::int64_t i = 0; i < count; ++i) total += std::bit_cast<std::uint32_t>(known_bit(i));
  const auto got = std::bit_cast<std::uint32_t>(sum(known_bits()).item<std::int32_t>());
  if (got == total) return;
  result.outcome = Outcome::fail;
  result.text = "the wrapping sum is " + std::to_string(got) + ", not " + std::to_string(total);
}

void gathered(CaseResult& result) {
  const std::vector<std::int64_t> at = {0, 1, edge - 1, edge, edge + 1, count - 1};
  const std::vector<std::int32_t> got =
      gather(known_bits(), Tensor(at, Shape{static_cast<std::int64_t>(at.size())}, default_device()))
          .to_vector<std::int32_t>();
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (got[i] == known_bit(at[i])) continue;
    result.outcome = Outcome::fail;
    result.text = "gather at " + std::to_string(at[i]) + " gives another element";
  }
}

struct LargeCase {
  const char* op;
  void (*run)(CaseResult&);
};
constexpr LargeCase cases[] = {{"add", &pointwise}, {"concat", &copied}, {"sum", &summed}, {"gather", &gathered}};

}  // namespace

std::vector<std::string> large_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  const Options& o = request.options;
  if (!request.stress || (!o.dtype.empty() && o.dtype != "i32")) return ids;
  for (const LargeCase& c : cases) {
    if (o.op.empty() || fits_pattern(o.op, c.op)) ids.push_back(std::string("large/") + c.op + "/i32/strict/2GiB");
  }
  return ids;
}

bool run_large(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  if (parts.size() != 5 || parts[4] != "2GiB") return false;
  const DeviceScope scope(setting.device);
  set_memory_poison(setting.device, false);  // it would take longer than the test
  bool found = false;
  try {
    for (const LargeCase& c : cases) {
      if (parts[1] != c.op) continue;
      found = true;
      c.run(result);
    }
  } catch (const OutOfMemoryError& e) {
    result.outcome = Outcome::unsupported;
    result.text = e.headline();
  }
  release_cached_memory(setting.device);
  set_memory_poison(setting.device, true);
  return found;
}

}  // namespace lockstep::conformance
