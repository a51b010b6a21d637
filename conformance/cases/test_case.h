// One case of the suite: a call of an op, what its values are like, how they lie in memory, and under which math mode.
#pragma once

#include <optional>
#include <string>

#include "conformance/cases/layouts.h"
#include "lockstep/device.h"
#include "lockstep/op_def.h"

namespace lockstep::conformance {

/// What the floating values of a case are like. All but `drawn` replace what the op's case asks for where it leaves a
/// choice; indices stay as they are.
enum class Values : std::uint8_t {
  drawn,         // as the op's case asks
  exact,         // small integers: all sums are exact, in any order
  wide_first,    // odd integers of as many bits as sums stay exact with in the first input, -1, 0 and 1 in the others
  wide_last,     // the same with the last input
  spread,        // signs and magnitudes over many powers of two
  tiny,          // around the smallest normal number, subnormal ones among them
  special,       // zeros of both signs, infinities, NaN, the largest and the smallest numbers among ordinary ones
  cancelling,    // terms that nearly cancel
  corners,       // special numbers and the ends of integers, in all pairs; for choices zeros of both signs and some NaN
  ties,          // for conversions: halfway between two results, and beside
  infinite,      // small integers and a few infinities: all sums are exact, infinite or NaN, in any order
  sparse_first,  // mostly zeros in all inputs but the first, whose integers need nearly all bits: exact, of any length
  sparse_last,   // the same with the last input
  extremes,      // for choices: the answer first, last and around powers of two; ties; one unit away; rows of -inf
  bits,          // for what is moved or compared: any bits
  neighbours,    // … and few numbers, one unit apart
  bad_index,     // for refusals: one index that lies outside, at one place after the other
  peaks,         // for softmax and its like: rows with one number far above the others; labels that name no class
  stray,         // labels, half of which name no class
  counted,       // for sums that are divided: positive, so that a wrong divisor shows beside the bound
};
inline constexpr Values value_kinds[] = {
    Values::drawn,       Values::exact,    Values::wide_first, Values::wide_last,
    Values::spread,      Values::tiny,     Values::special,    Values::cancelling,
    Values::corners,     Values::ties,     Values::infinite,   Values::sparse_first,
    Values::sparse_last, Values::extremes, Values::bits,       Values::neighbours};
/// Kinds that some ops get where they belong, and no case by chance.
inline constexpr Values chosen_value_kinds[] = {Values::bad_index, Values::peaks, Values::stray, Values::counted};
const char* name_of(Values values);
/// Whether all finite sums of such numbers are exact, in any order.
bool are_exact(Values values);

struct TestCase {
  // "forward", "gradient", "second_gradient", "special_gradient", "beside", "repeat", "sizes", "numbers", "refusal"
  std::string suite;
  const OpDef* op = nullptr;
  OpCase call;
  bool resized = false;  // its extents are not those of the op's own case, and part of the id
  MathMode mode = MathMode::strict;
  Layout layout = Layout::dense;
  Values values = Values::drawn;
  std::uint64_t seed = 0;
  std::string after = "";  // of the suite "pair": in what the call before it differed, see pairs.h
  std::string numbers;     // suite "numbers": which inputs are plain numbers, such as "0.2"; part of the id

  /// The dtype under which the report files it: of the first tensor of group T, else of the first output.
  DType dtype() const;
  /// "forward/matmul/f32/strict/f32.small~17x3,3x129/transposed/wide_first#7"; of a pair with what came before at the
  /// end: "pair/sum/f32/strict/f32.rows/transposed/drawn/empty.1#7".
  std::string id() const;
};

/// How input i lies in a case of that layout: variables are dense.
Layout layout_of_input(const OpDef& op, const OpCase& c, std::size_t i, Layout layout);

/// `TestCase::dtype` of a call of an op.
DType dtype_of(const OpDef& op, const OpCase& call);

/// The case of that id, whether or not a run would have generated it. Throws UsageError LS9001 with what is wrong.
TestCase parse_test_case(const std::string& id);

/// Whether `id` names a case of an op, as against one of the runtime suites.
bool is_test_case_id(const std::string& id);

}  // namespace lockstep::conformance
