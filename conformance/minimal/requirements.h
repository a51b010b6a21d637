// Reads and writes the tables of docs/driver_requirements.md: what the profiles `core` and `train` require of drivers.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "conformance/minimal/demand.h"

namespace minimal {

struct Requirements {
  Demand core, train;

  bool operator==(const Requirements&) const = default;
};

/// The parts of a text between separators, without blanks and backticks around them.
std::vector<std::string> split(const std::string& text, const std::string& separator);

/// Reads the tables of the page.
Requirements read_requirements(std::istream& page);

/// Returns the page with its tables replaced.
std::string with_requirements(std::istream& page, const Requirements& requirements);

/// The requirements of a demand as lines of a record. `read_record` accepts such lines in any order, also repeated.
std::string record_of(const Demand& demand);
Demand read_record(std::istream& record);

}  // namespace minimal
