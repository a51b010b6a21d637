#include "conformance/cases/number_cases.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "conformance/cases/corner_values.h"
#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/values.h"
#include "conformance/suite/split.h"

namespace lockstep::conformance {
namespace {

const InputDef& input_of(const OpDef& op, std::size_t i) { return op.inputs[std::min(i, op.inputs.size() - 1)]; }

bool may_be_number(const OpDef& op, const OpCase& c, std::size_t i) {
  const InputDef& def = input_of(op, i);
  return !c.inputs[i].absent && !def.mutable_ && !def.host_resident;
}

// The last three are numbers for which compilers know short cuts: roots, reciprocals and remainders.
enum class Kind : std::uint8_t { fraction, whole, large, truth, half, minus_one, three };

bool has_short_cuts(Kind kind) { return kind == Kind::half || kind == Kind::minus_one || kind == Kind::three; }

// A number of this kind. Fractions and whole numbers are within the range of the input's values. Each `turn` gives
// another number.
Scalar number_for(const CaseInput& in, Kind kind, int turn) {
  const bool limited = in.values.kind == CaseValues::Kind::range || in.values.kind == CaseValues::Kind::indices;
  const double low = limited ? in.values.low : -3, high = limited ? in.values.high : 3;
  const double at = low + (high - low) * (turn == 0 ? 0.3 : 0.85);
  switch (kind) {
    case Kind::truth: return Scalar(turn == 0);
    case Kind::fraction: return Scalar(at);
    case Kind::large:  // needs more bits than an i32 or a double has
      return Scalar(turn == 0 ? std::int64_t{0x0123456789abcdef} : std::int64_t{-0x123456789abcdef});
    case Kind::half: return Scalar(0.5);
    case Kind::minus_one: return Scalar(std::int64_t{-1});
    case Kind::three: return Scalar(std::int64_t{3});
    default: return Scalar(static_cast<std::int64_t>(std::clamp(std::floor(at), std::ceil(low), std::floor(high))));
  }
}

struct Call {
  Kind kind;
  int turn;
  bool mixed = false;  // the first number is whole, the others are fractions
};
constexpr Call calls[] = {{Kind::whole, 0},          {Kind::fraction, 0}, {Kind::truth, 0}, {Kind::fraction, 1},
                          {Kind::whole, 1},          {Kind::large, 0},    {Kind::large, 1}, {Kind::truth, 1},
                          {Kind::fraction, 0, true}, {Kind::whole, 0},    {Kind::half, 0},  {Kind::minus_one, 0},
                          {Kind::three, 0}};

std::string text_of(const std::vector<std::size_t>& positions) {
  std::string text;
  for (std::size_t p : positions) text += (text.empty() ? "" : ".") + std::to_string(p);
  return text;
}

// Every set of positions. Of more than four positions: each alone, all but the first, and all of them.
std::vector<std::vector<std::size_t>> sets_of(const OpDef& op, const OpCase& c) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (may_be_number(op, c, i)) all.push_back(i);
  }
  std::vector<std::vector<std::size_t>> sets;
  if (all.size() > 4) {
    for (std::size_t p : all) sets.push_back({p});
    sets.emplace_back(all.begin() + 1, all.end());
    sets.push_back(all);
    return sets;
  }
  for (unsigned members = 1; members < 1u << all.size(); ++members) {
    std::vector<std::size_t>& set = sets.emplace_back();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (members >> i & 1) set.push_back(all[i]);
    }
  }
  return sets;
}

}  // namespace

std::optional<std::vector<std::size_t>> number_positions(const TestCase& t) {
  std::vector<std::size_t> positions;
  for (const std::string& part : split(t.numbers, '.')) {
    std::size_t p = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), p);
    if (error != std::errc{} || end != part.data() + part.size() || p >= t.call.inputs.size()) return std::nullopt;
    if (!may_be_number(*t.op, t.call, p)) return std::nullopt;
    positions.push_back(p);
  }
  return positions;
}

std::vector<OpCase> calls_with_numbers(const TestCase& t) {
  std::vector<OpCase> all;
  const auto positions = number_positions(t);
  if (!positions) return all;
  // Numbers outside the range of an input's values are for inputs of which every number is asked anyway.
  const bool any_number =
      std::all_of(positions->begin(), positions->end(), [&](std::size_t p) { return takes_corners(t, p); });
  for (const Call& call : calls) {
    if (has_short_cuts(call.kind) && !any_number) continue;
    // In several steps, a large number and a corner may overflow on the way.
    if (call.kind == Kind::large && t.values == Values::corners && !is_one_step(*t.op)) continue;
    OpCase c = t.call;
    for (std::size_t p : *positions) {
      CaseInput& in = c.inputs[p];
      const Kind kind = call.mixed && p == positions->front() ? Kind::whole : call.kind;
      in.scalar = number_for(in, kind, call.turn);
      in.shape = Shape{};
    }
    if (infer_outputs(*t.op, c)) all.push_back(std::move(c));
  }
  return all;
}

namespace {

// Whether a tensor of the call has more than one element.
bool has_several_elements(const OpCase& c) {
  return std::any_of(c.inputs.begin(), c.inputs.end(),
                     [](const CaseInput& in) { return !in.absent && !in.scalar && in.shape.size() > 1; });
}

}  // namespace

std::vector<TestCase> number_cases(const OpDef& op, MathMode mode, const Amount& amount) {
  std::vector<TestCase> cases, longer;
  if (!op.cases || op.host) return cases;
  std::map<std::pair<DType, std::string>, std::size_t> places;  // in the list of cases
  std::set<std::pair<DType, std::string>> has_longer;
  for (const OpCase& own : op.cases()) {
    if (own.error) continue;
    for (const std::vector<std::size_t>& set : sets_of(op, own)) {
      TestCase t = test_case_of(op, own);
      t.suite = "numbers";
      t.mode = mode;
      t.seed = amount.seed;
      t.numbers = text_of(set);
      const std::vector<OpCase> calls = calls_with_numbers(t);
      if (calls.empty()) continue;
      // If all operands are numbers, the dtype of the case has no effect, but an attribute may give the output's. Then
      // the case should be one of that dtype, since a driver need not have it.
      const bool alone = set.size() == own.inputs.size();
      const DType dtype = alone ? infer_outputs(op, calls.front())->front().dtype : t.dtype();
      if (has_several_elements(calls.front()) && has_longer.insert({dtype, t.numbers}).second) {
        longer.push_back(t);
        t.values = Values::corners;
        if (op.pointwise() && applies(t.values, op, calls.front())) longer.push_back(t);
        t.values = Values::drawn;
      }
      const auto [place, added] = places.insert({{dtype, t.numbers}, cases.size()});
      if (added) {
        cases.push_back(std::move(t));
      } else if (cases[place->second].dtype() != dtype && t.dtype() == dtype) {
        cases[place->second] = std::move(t);
      }
    }
  }
  std::set<std::string> seen;
  for (const TestCase& t : cases) seen.insert(t.id());
  for (TestCase& t : longer) {
    if (seen.insert(t.id()).second) cases.push_back(std::move(t));
  }
  return cases;
}

}  // namespace lockstep::conformance
