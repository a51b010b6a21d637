// Reports as JSON; the schema is in README.md.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "conformance/report/report.h"

namespace lockstep::conformance {

using Json = nlohmann::ordered_json;

/// Everything of the report, and the totals and cells that follow from it.
Json to_json(const Report& report);

/// Throws IoError LS8002 (no report) or LS8004 (a report that contradicts its schema); `source` names it in errors.
Report parse_report(const Json& json, const std::string& source);

/// The one object of `lockstep conformance --json`.
Json summary_json(const Report& report);

/// A finite number as itself; others, which JSON does not have, as "inf", "-inf" and "nan".
Json number(double value);

Json to_json(const Totals& totals);
Json to_json(const Cell& cell);
Json to_json(const RunInfo& run);

const char* name_of(OpPlacement::How how);

}  // namespace lockstep::conformance
