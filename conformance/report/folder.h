// A report on disk: report.json, report.md and report.html in one folder.
#pragma once

#include <string>

#include "conformance/report/report.h"

namespace lockstep::conformance {

/// Creates the folder and its parents, and checks before the run that it is writable. Throws IoError LS8005.
void prepare_report_folder(const std::string& folder);

/// Writes the three files. Each is replaced atomically, so an older report stays valid until then. Throws IoError
/// LS8005.
void write_report(const std::string& folder, const Report& report);

/// Reads a report from its folder or from the path of report.json. Throws IoError LS8001 (missing), LS8002 (not a
/// report), LS8004 (damaged).
Report read_report(const std::string& path);

}  // namespace lockstep::conformance
