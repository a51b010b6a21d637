// Reports in readable form: Markdown, HTML and the ULP table.
#pragma once

#include <span>
#include <string>

#include "conformance/report/report.h"

namespace lockstep::conformance {

/// The report as Markdown, failures first.
std::string to_markdown(const Report& report);

/// The report as one self-contained HTML page, which loads no other file.
std::string to_html(const Report& report);

/// The table in docs/conformance_table.md: the worst error in ULP of every op and dtype, one table per report and math
/// mode. Only cases of `suite` count; empty means all. If a bound is not in ULP, errors above 1 ULP also show the error
/// as a share of the bound.
std::string ulp_table(std::span<const Report> reports, const std::string& suite);

/// Formats an error in ULP: "0", "4e-04", "1.83", "1.2e+05", "∞" (also for NaN).
std::string format_ulp(double ulp);

/// "passes the profile core", or the numbers of failures.
std::string verdict_of(const Report& report);

}  // namespace lockstep::conformance
