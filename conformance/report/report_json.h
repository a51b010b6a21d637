// Reports as JSON; the schema is in README.md.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "conformance/report/report.h"

namespace lockstep::conformance {

using Json = nlohmann::ordered_json;

/// The whole report, with the totals and cells that are computed from it.
Json to_json(const Report& report);

/// Throws IoError LS8002 (not a report) or LS8004 (does not match the schema). `source` is its name in errors.
Report parse_report(const Json& json, const std::string& source);

/// One case of a report.
Json to_json(const CaseResult& result);
CaseResult parse_case(const Json& json, const std::string& source);

/// The JSON object that `lockstep conformance --json` prints.
Json summary_json(const Report& report);

/// A finite number, or "inf", "-inf" or "nan", which JSON numbers cannot represent.
Json number(double value);

Json to_json(const Totals& totals);
Json to_json(const Cell& cell);
Json to_json(const RunInfo& run);

const char* name_of(OpPlacement::How how);

}  // namespace lockstep::conformance
