// A report on disk: report.json, report.md and report.html in one folder.
#pragma once

#include <string>

#include "conformance/report/report.h"

namespace lockstep::conformance {

/// Makes the folder and those above it, and finds out whether it can be written, so that it is known before the run.
/// Throws IoError LS8005.
void prepare_report_folder(const std::string& folder);

/// Each file appears in full or not at all; an older report stays valid until then. Throws IoError LS8005.
void write_report(const std::string& folder, const Report& report);

/// From a folder, or from its report.json. Throws IoError LS8001 (missing), LS8002 (no report), LS8004 (damaged).
Report read_report(const std::string& path);

}  // namespace lockstep::conformance
