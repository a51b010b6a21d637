// One case of the suite: a call of an op, the kind of its values, the memory layout, and the math mode.
#pragma once

#include <optional>
#include <string>

#include "conformance/cases/layouts.h"
#include "lockstep/device.h"
#include "lockstep/op_def.h"

namespace lockstep::conformance {

/// The kind of the floating values of a case. All kinds but `drawn` replace the values that the op's case specifies, if
/// it leaves a choice. Indices stay as they are.
enum class Values : std::uint8_t {
  drawn,         // as the op's case specifies
  exact,         // small integers: all sums are exact, in any order
  wide_first,    // first input: odd integers of as many bits as keep sums exact; others: -1, 0 and 1
  wide_last,     // the same with the last input in place of the first
  spread,        // signs and magnitudes over many powers of two
  tiny,          // around the smallest normal number, including subnormal numbers
  special,       // ordinary numbers, and zeros of both signs, infinities, NaN, the largest and the smallest numbers
  cancelling,    // terms that nearly cancel
  corners,       // special numbers and integer limits, in all pairs; for ops that choose: zeros of both signs, NaN
  ties,          // for conversions: halfway between two results, and close to that
  infinite,      // small integers and a few infinities: all sums are exact, infinite or NaN, in any order
  sparse_first,  // first input: integers that need nearly all bits; others: mostly zeros; sums of any length are exact
  sparse_last,   // the same with the last input in place of the first
  extremes,      // for ops that choose: the answer first, last, around powers of two; ties; neighbours; rows of -inf
  bits,          // for ops that move or compare, and for sums of integers: arbitrary bits
  neighbours,    // for the same ops: few different numbers, each next to another
  bad_index,     // for refusals: one out-of-range index, at varying positions
  peaks,         // for softmax and similar ops: rows with one number far above the others; labels that name no class
  stray,         // labels, half of which name no class
  counted,       // for sums that are divided: positive, so that a wrong divisor exceeds the bound
  huge,          // for sums: finite, of one sign, close to the largest number: sums of two and more terms are infinite
  ends,          // for ops that choose among integers that `corners` leaves as they are: the ends of the dtype, ties
};
inline constexpr Values value_kinds[] = {
    Values::drawn,       Values::exact,    Values::wide_first, Values::wide_last,
    Values::spread,      Values::tiny,     Values::special,    Values::cancelling,
    Values::corners,     Values::ties,     Values::infinite,   Values::sparse_first,
    Values::sparse_last, Values::extremes, Values::bits,       Values::neighbours};
/// Kinds that only certain ops get; they are never chosen at random.
inline constexpr Values chosen_value_kinds[] = {Values::bad_index, Values::peaks, Values::stray,
                                                Values::counted,   Values::huge,  Values::ends};
const char* name_of(Values values);
/// Whether all finite sums of such numbers are exact, in any order.
bool are_exact(Values values);
/// Whether all numbers of an input but a few are zero.
bool is_sparse(Values values);

struct TestCase {
  // "forward", "gradient", "second_gradient", "special_gradient", "beside", "repeat", "rows", "sizes", "numbers",
  // "refusal" or "pair"
  std::string suite;
  const OpDef* op = nullptr;
  OpCase call;
  bool resized = false;  // its extents differ from those of the op's own case and are part of the id
  MathMode mode = MathMode::strict;
  Layout layout = Layout::dense;
  Values values = Values::drawn;
  std::uint64_t seed = 0;
  std::string after = "";  // suite "pair": how the preceding call differs, see pairs.h
  std::string numbers;     // suite "numbers": which inputs are plain numbers, such as "0.2"; part of the id

  /// The dtype under which the report lists the case: of the first tensor in group T, else of the first output.
  DType dtype() const;
  /// "forward/matmul/f32/strict/f32.small~17x3,3x129/transposed/wide_first#7". For the suite "pair", it also says how
  /// the preceding call differs: "pair/sum/f32/strict/f32.rows/transposed/drawn/empty.1#7". "f32.rows^5" and
  /// "f32.rows^5.front" are the case "f32.rows" with rank 5, see ranks.h; "plain@strides.0=2" has another attribute,
  /// see attributes.h.
  std::string id() const;
};

/// The call as a case of no suite, with default settings. The op must outlive it.
TestCase test_case_of(const OpDef& op, const OpCase& call);

/// The layout of input i in a case with this layout. Variables are dense.
Layout layout_of_input(const OpDef& op, const OpCase& c, std::size_t i, Layout layout);

/// Whether some tensor among the inputs is not dense in a case with this layout.
bool layout_takes_effect(Layout layout, const OpDef& op, const OpCase& c);

/// `TestCase::dtype` of a call of an op.
DType dtype_of(const OpDef& op, const OpCase& call);

/// The case with that id, whether or not a run would generate it. Throws UsageError LS9001, which says what is wrong.
TestCase parse_test_case(const std::string& id);

/// Whether `id` names a case of an op. Other ids belong to the runtime suites or to those of special_suites.h.
bool is_test_case_id(const std::string& id);

}  // namespace lockstep::conformance
