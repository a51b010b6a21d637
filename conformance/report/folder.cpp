#include "conformance/report/folder.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "conformance/report/render.h"
#include "conformance/report/report_json.h"
#include "lockstep/error.h"
#include "runtime/atomic_file.h"

namespace lockstep::conformance {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) {
  AtomicFile file("report", path.string());
  file.write(text.data(), text.size());
  file.finish();
}

}  // namespace

void prepare_report_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder)) {
    const std::string why = error ? error.message() : "is not a folder";
    ErrorBuilder(ErrorId::cannot_write, "report", folder + ": " + why)
        .fix("give a folder that exists or can be made")
        .raise();
  }
  for (const char* name : {"report.json", "report.md", "report.html"}) {
    AtomicFile probe("report", (fs::path(folder) / name).string());  // its destructor removes the temporary file
  }
}

void write_report(const std::string& folder, const Report& report) {
  const fs::path place = folder;
  write(place / "report.json", to_json(report).dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  write(place / "report.md", to_markdown(report));
  write(place / "report.html", to_html(report));
}

Report read_report(const std::string& path) {
  std::error_code ignored;
  const fs::path file = fs::is_directory(path, ignored) ? fs::path(path) / "report.json" : fs::path(path);
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    ErrorBuilder(ErrorId::file_not_found, "report", file.string() + ": " + std::strerror(errno))
        .fix("give a folder that `lockstep conformance --report` wrote")
        .raise();
  }
  const Json json = Json::parse(stream, nullptr, false);
  if (json.is_discarded()) {
    ErrorBuilder(ErrorId::wrong_magic, "report", file.string() + ": is not JSON")
        .fix("give a report.json that `lockstep conformance --report` wrote, or its folder")
        .raise();
  }
  return parse_report(json, file.string());
}

}  // namespace lockstep::conformance
