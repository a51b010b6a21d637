// docs/driver_requirements.md: what the profiles `core` and `train` ask of every driver, in tables that this reads and
// writes.
#pragma once

#include <istream>
#include <string>

#include "conformance/least/demand.h"

namespace least {

struct Requirements {
  Demand core, train;

  bool operator==(const Requirements&) const = default;
};

/// What the tables of the page say.
Requirements read_requirements(std::istream& page);

/// The page with other tables.
std::string with_requirements(std::istream& page, const Requirements& requirements);

/// One per line, for records: what a kernel asked. `read_record` takes many such lines, in any order and repeated.
std::string record_of(const Demand& demand);
Demand read_record(std::istream& record);

}  // namespace least
