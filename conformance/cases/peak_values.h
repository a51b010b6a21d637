// Values for softmax and the losses made of it: rows whose largest number stands out by more than exponentials can
// bear, at one place after the other, and labels that name no class.
#pragma once

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// Whether the op takes exponentials along rows, and its case leaves the values open.
bool has_peaks(const OpDef& op, const OpCase& c);

/// Whether input i of the case takes values of that kind.
bool takes_peaks(const TestCase& t, std::size_t i);

/// Fills input i with them.
void fill_peaks(const TestCase& t, std::size_t i, std::uint64_t seed, RefArray& array);

/// Whether the op takes labels alone, and gives an answer to those that name no class.
bool has_stray_labels(const OpDef& op, const OpCase& c);

/// Fills its labels: half of them name no class.
void fill_stray_labels(const TestCase& t, std::uint64_t seed, RefArray& array);

}  // namespace lockstep::conformance
