// Values for softmax and the losses built on it: rows whose largest number exceeds the others by more than exponentials
// can represent, at varying positions, and labels that name no class.
#pragma once

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// Whether the op computes exponentials along rows, and its case does not restrict the values.
bool has_peaks(const OpDef& op, const OpCase& c);

/// Whether input i of the case takes such values.
bool takes_peaks(const TestCase& t, std::size_t i);

/// Fills input i with such values.
void fill_peaks(const TestCase& t, std::size_t i, std::uint64_t seed, RefArray& array);

/// Whether labels are the op's only input, and labels that name no class have a defined result.
bool has_stray_labels(const OpDef& op, const OpCase& c);

/// Fills the labels. About half of them name no class.
void fill_stray_labels(const TestCase& t, std::uint64_t seed, RefArray& array);

}  // namespace lockstep::conformance
