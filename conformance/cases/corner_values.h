// Values at the edge cases of number formats.
#pragma once

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// Whether input i of the case takes corner values: floats of pointwise ops and of ops that choose, and integers that
/// are not indices.
bool takes_corners(const TestCase& t, std::size_t i);

/// Fills input i. In pointwise ops, the elements of the first and second input run through all pairs; in the suite
/// "numbers", whose tensors are short, each tensor runs through all numbers.
void fill_corners(const TestCase& t, std::size_t i, double terms, std::uint64_t seed, RefArray& array);

/// Whether the op converts its only input to a shorter floating format.
bool takes_ties(const TestCase& t);

/// Numbers halfway between two neighbours of the output's format, and numbers as close to halfway as the input's format
/// allows.
void fill_ties(const TestCase& t, std::uint64_t seed, RefArray& array);

}  // namespace lockstep::conformance
