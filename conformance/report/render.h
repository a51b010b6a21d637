// Reports as pages to read.
#pragma once

#include <span>
#include <string>

#include "conformance/report/report.h"

namespace lockstep::conformance {

/// The report as Markdown, failures first.
std::string to_markdown(const Report& report);

/// The report as one self-contained page: no other file and nothing from the network.
std::string to_html(const Report& report);

/// The worst ULP of every op and dtype, a table per report and math mode: docs/conformance_table.md. Only cases of
/// `suite` count; empty means all. Where a bound is not in ULP, the share of it that was used stands beside errors
/// above 1.
std::string ulp_table(std::span<const Report> reports, const std::string& suite);

/// "0", "0.5", "1.83", "2.1e4", "∞".
std::string format_ulp(double ulp);

/// "passes the profile core", or how much is wrong with it.
std::string verdict_of(const Report& report);

}  // namespace lockstep::conformance
