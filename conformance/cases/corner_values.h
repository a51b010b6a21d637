// Values at the corners of number formats.
#pragma once

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// Whether input i of the case takes corner values: floats that are chosen from or go through one pointwise op, and
/// integers that are no indices.
bool takes_corners(const TestCase& t, std::size_t i);

/// Fills input i. In pointwise ops, element j of the first input and of the second run through all pairs.
void fill_corners(const TestCase& t, std::size_t i, double terms, std::uint64_t seed, RefArray& array);

/// Whether the op converts its only input to a shorter floating format.
bool takes_ties(const TestCase& t);

/// Numbers halfway between two of the output's format, and as near to that as the input's format allows.
void fill_ties(const TestCase& t, std::uint64_t seed, RefArray& array);

}  // namespace lockstep::conformance
