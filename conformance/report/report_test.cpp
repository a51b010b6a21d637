// Tests of reports: totals, cells, merging, and the JSON, Markdown and HTML forms.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "conformance/report/folder.h"
#include "conformance/report/render.h"
#include "conformance/report/report_json.h"
#include "conformance/report/sample_report.h"
#include "lockstep/error.h"

namespace lockstep::conformance {
namespace {

namespace fs = std::filesystem;

CaseResult case_of(std::string id, Outcome outcome, double ulp = 0, bool required = true) {
  CaseResult c{.id = std::move(id), .suite = "forward", .op = "exp", .dtype = "f32", .mode = "strict"};
  c.outcome = outcome;
  c.required = required;
  c.native = true;
  c.errors = {.elements = 10, .max_ulp = ulp, .p99_ulp = ulp / 2, .mean_signed_ulp = ulp / 4, .share = ulp / 8};
  c.errors.worst = "at " + c.id;
  c.bound = "8 ulp of " + c.id;
  return c;
}

template <class F>
void expect_error(ErrorId id, const std::string& part, F f) {
  try {
    f();
    FAIL() << "no error; expected " << part;
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), id) << e.what();
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    EXPECT_FALSE(e.hint().empty());
  }
}

class ReportFolder : public testing::Test {
 protected:
  ReportFolder() : folder_(fs::temp_directory_path() / ("lockstep_report_test_" + std::to_string(getpid()))) {
    fs::remove_all(folder_);
  }
  ~ReportFolder() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST(Totals, CountEveryOutcome) {
  Report report;
  for (Outcome o : {Outcome::pass, Outcome::pass, Outcome::fail, Outcome::crash, Outcome::timeout, Outcome::mistrusted,
                    Outcome::unsupported}) {
    report.cases.push_back(case_of("c" + std::to_string(report.cases.size()), o, 1.5));
  }
  report.run.seconds = 3;
  const Totals t = totals_of(report);
  EXPECT_EQ(t.cases, 7);
  EXPECT_EQ(t.passed, 2);
  EXPECT_EQ(t.failed, 1);
  EXPECT_EQ(t.crashed, 1);
  EXPECT_EQ(t.timed_out, 1);
  EXPECT_EQ(t.mistrusted, 1);
  EXPECT_EQ(t.unsupported, 1);
  EXPECT_EQ(t.required_missing, 1);
  EXPECT_EQ(t.worst_ulp, 1.5);
  EXPECT_EQ(t.seconds, 3);
  EXPECT_FALSE(t.all_passed());
}

TEST(Totals, OnlyFailuresAndRequiredRefusalsCountAgainstADriver) {
  Report report;
  EXPECT_FALSE(totals_of(report).all_passed()) << "no case proves nothing";
  report.cases.push_back(case_of("a", Outcome::pass));
  EXPECT_TRUE(totals_of(report).all_passed());
  report.cases.push_back(case_of("b", Outcome::unsupported, 0, false));
  EXPECT_TRUE(totals_of(report).all_passed());
  for (Outcome o : {Outcome::fail, Outcome::crash, Outcome::timeout, Outcome::mistrusted}) {
    Report wrong = report;
    wrong.cases.push_back(case_of("c", o, 0, false));
    EXPECT_FALSE(totals_of(wrong).all_passed()) << name_of(o);
  }
  report.cases.push_back(case_of("d", Outcome::unsupported));
  EXPECT_FALSE(totals_of(report).all_passed());
}

TEST(CellsOf, TakeTheWorstOfTheirCases) {
  Report report;
  report.cases = {case_of("a", Outcome::pass, 1), case_of("b", Outcome::pass, 4), case_of("c", Outcome::pass, 2)};
  report.cases[1].errors.elements = 30;
  report.cases[2].suite = "gradient";
  report.cases[2].native = false;
  const Cells cells = cells_of(report);
  ASSERT_EQ(cells.total.size(), 1u);
  const Cell& cell = cells.total[0];
  EXPECT_EQ(cell.cases, 3);
  EXPECT_EQ(cell.passed, 3);
  EXPECT_EQ(cell.errors.max_ulp, 4);
  EXPECT_EQ(cell.errors.p99_ulp, 2);
  EXPECT_EQ(cell.errors.share, 0.5);
  EXPECT_EQ(cell.errors.elements, 50);
  EXPECT_DOUBLE_EQ(cell.errors.mean_signed_ulp, (10 * 0.25 + 30 * 1.0 + 10 * 0.5) / 50);
  EXPECT_EQ(cell.worst_case, "b");
  EXPECT_EQ(cell.errors.worst, "at b");
  EXPECT_EQ(cell.bound, "8 ulp of b");
  EXPECT_FALSE(cell.native) << "one case took several kernels";
  ASSERT_EQ(cells.by_suite.size(), 2u);
  EXPECT_EQ(cells.by_suite[0].suite, "forward");
  EXPECT_EQ(cells.by_suite[0].cases, 2);
  EXPECT_TRUE(cells.by_suite[0].native);
  EXPECT_EQ(cells.by_suite[1].errors.max_ulp, 2);
}

TEST(CellsOf, ShowTheGravestOutcome) {
  const auto outcome_of = [](std::vector<CaseResult> cases) {
    return cells_of(Report{{}, std::move(cases)}).total.at(0).outcome;
  };
  const CaseResult pass = case_of("p", Outcome::pass), refused = case_of("u", Outcome::unsupported, 0, false),
                   missing = case_of("m", Outcome::unsupported), fail = case_of("f", Outcome::fail),
                   crash = case_of("c", Outcome::crash);
  EXPECT_EQ(outcome_of({pass, fail, crash}), Outcome::crash);
  EXPECT_EQ(outcome_of({missing, fail, pass}), Outcome::fail);
  EXPECT_EQ(outcome_of({refused, pass}), Outcome::pass) << "an optional refusal hides what passed";
  EXPECT_EQ(outcome_of({pass, missing}), Outcome::unsupported);
  EXPECT_EQ(outcome_of({refused}), Outcome::unsupported);
}

TEST(CellsOf, AWrongNaNIsTheLargestError) {
  Report report;
  report.cases = {case_of("a", Outcome::pass, 1), case_of("b", Outcome::fail, NAN), case_of("c", Outcome::pass, 9)};
  const Cell cell = cells_of(report).total.at(0);
  EXPECT_TRUE(std::isinf(cell.errors.max_ulp));
  EXPECT_EQ(cell.worst_case, "b");
  EXPECT_TRUE(std::isinf(totals_of(report).worst_ulp));
}

TEST(Digest, DependsOnResultsAndNotOnOrderOrTime) {
  const std::vector<CaseResult> cases = {case_of("a", Outcome::pass, 1), case_of("b", Outcome::pass, 2)};
  const std::string digest = digest_of(cases);
  EXPECT_EQ(digest.size(), 64u);
  std::vector<CaseResult> same = {cases[1], cases[0]};
  same[0].seconds = 12;
  EXPECT_EQ(digest_of(same), digest);
  std::vector<CaseResult> other = cases;
  other[1].errors.max_ulp = std::nextafter(2.0, 3.0);
  EXPECT_NE(digest_of(other), digest);
  other = cases;
  other[0].outcome = Outcome::fail;
  EXPECT_NE(digest_of(other), digest);
  other = cases;
  other[0].id = "c";
  EXPECT_NE(digest_of(other), digest);
  EXPECT_NE(digest_of({cases[0]}), digest);
}

TEST(ReplayLine, QuotesTheCaseAndNamesWhatItDependsOn) {
  RunInfo run{.device = "cpu:0"};
  EXPECT_EQ(replay_line(run, "exp/f32/it's"), "lockstep conformance --device cpu:0 --case 'exp/f32/it'\\''s'");
  run.seed = 7;
  run.driver_option = "./libfoo.so";
  EXPECT_EQ(replay_line(run, "a"), "lockstep conformance --driver ./libfoo.so --seed 7 --case 'a'");
  run.driver_option = "./my drivers/libfoo.so";
  run.bounds_file = "tight.json";
  EXPECT_EQ(replay_line(run, "a"),
            "lockstep conformance --driver './my drivers/libfoo.so' --seed 7 --bounds tight.json --case 'a'");
}

TEST(ReportAsJson, ComesBackUnchanged) {
  const Report report = sample_report();
  const std::string text = to_json(report).dump();
  const Report back = parse_report(Json::parse(text), "test");
  EXPECT_EQ(to_json(back).dump(), text);
  EXPECT_EQ(totals_of(back).digest, totals_of(report).digest);
  EXPECT_TRUE(std::isinf(totals_of(back).worst_ulp)) << "infinities survive";
}

TEST(ReportAsJson, HasASummaryOfOneObject) {
  const Json line = summary_json(sample_report());
  for (const char* key :
       {"driver", "device", "profile", "cases", "passed", "failed", "crashed", "timed_out", "mistrusted", "unsupported",
        "cells", "cells_passed", "required_missing", "worst_ulp", "seconds", "digest"}) {
    EXPECT_TRUE(line.contains(key)) << key;
  }
  EXPECT_EQ(line.size(), 16u);
}

TEST(ReportAsJson, DamageIsNamed) {
  const Json good = to_json(sample_report());
  expect_error(ErrorId::wrong_magic, "x.json", [] { parse_report(Json::array(), "x.json"); });
  expect_error(ErrorId::wrong_magic, "version 1", [&] {
    Json json = good;
    json["format_version"] = 2;
    parse_report(json, "x.json");
  });
  expect_error(ErrorId::corrupt, "cases[1] has the unknown outcome \"maybe\"", [&] {
    Json json = good;
    json["cases"][1]["outcome"] = "maybe";
    parse_report(json, "x.json");
  });
  expect_error(ErrorId::corrupt, "run has no field \"seed\"", [&] {
    Json json = good;
    json["run"].erase("seed");
    parse_report(json, "x.json");
  });
  expect_error(ErrorId::corrupt, "another type", [&] {
    Json json = good;
    json["cases"][0]["seconds"] = "long";
    parse_report(json, "x.json");
  });
}

TEST(Merge, PutsShardsTogether) {
  const Report whole = sample_report();
  std::vector<Report> shards(3, Report{whole.run, {}});
  for (std::size_t i = 0; i < whole.cases.size(); ++i) shards[i % 3].cases.push_back(whole.cases[i]);
  for (std::size_t i = 0; i < 3; ++i) shards[i].run.shard = std::to_string(i + 1) + "/3";
  shards[0].run.variants = {{"matmul", {"a", "b", "c"}, {"a"}}};
  shards[1].run.variants = {{"matmul", {"a", "b", "c"}, {"c", "a"}}};
  shards[2].run.variants = {};
  const Report merged = merge(shards);
  EXPECT_EQ(totals_of(merged).digest, totals_of(whole).digest);
  EXPECT_EQ(merged.run.shard, "");
  EXPECT_DOUBLE_EQ(merged.run.seconds, 3 * whole.run.seconds);
  ASSERT_EQ(merged.run.variants.size(), 1u);
  EXPECT_EQ(merged.run.variants[0].hit, (std::vector<std::string>{"a", "c"}));
  shards.pop_back();
  EXPECT_EQ(merge(shards).run.shard, "1/3, 2/3");
}

TEST(Merge, RefusesWhatIsNoShardOfTheSameRun) {
  const Report report = sample_report();
  expect_error(ErrorId::bad_arguments, "no report", [] { merge({}); });
  expect_error(ErrorId::bad_arguments, "in two of the reports", [&] { merge({report, report}); });
  Report other{report.run, {}};
  other.run.library_sha256 = "0";
  expect_error(ErrorId::bad_arguments, "hash of the driver's file", [&] { merge({report, other}); });
}

TEST(ReportAsMarkdown, HasEveryFailureAndEscapes) {
  const Report report = sample_report();
  const std::string text = to_markdown(report);
  for (const CaseResult* c : failures_of(report)) {
    EXPECT_NE(text.find(replay_line(report.run, c->id)), std::string::npos) << c->id;
  }
  EXPECT_NE(text.find("does not pass the profile core"), std::string::npos);
  EXPECT_NE(text.find(totals_of(report).digest), std::string::npos);
  EXPECT_NE(text.find("brgemm"), std::string::npos) << "a variant that never ran";
  EXPECT_NE(text.find("10 bits of the operands"), std::string::npos) << "a precision probe";
}

TEST(ReportAsHtml, HoldsEverythingAndNothingFromElsewhere) {
  const Report report = sample_report();
  const std::string html = to_html(report);
  const std::size_t start = html.find("id=\"data\">") + 10, end = html.find("</script>", start);
  const Json data = Json::parse(html.substr(start, end - start));
  EXPECT_EQ(data["failures"].size(), failures_of(report).size());
  for (const CaseResult* c : failures_of(report)) {
    const bool there = std::any_of(data["failures"].begin(), data["failures"].end(), [&](const Json& f) {
      return f["id"] == c->id && f["text"] == c->text && f["replay"] == replay_line(report.run, c->id);
    });
    EXPECT_TRUE(there) << c->id;
  }
  const Cells cells = cells_of(report);
  EXPECT_EQ(data["cells"].size(), cells.total.size() + cells.by_suite.size());
  EXPECT_EQ(data["totals"]["digest"], digest_of(report.cases));
  EXPECT_EQ(html.find("TF32 <script>"), std::string::npos) << "a text became markup";
  EXPECT_EQ(html.find("{{"), std::string::npos);
  for (const char* outside : {"http://", "https://", "src=", "@import", "url("}) {
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  }
}

TEST(UlpTable, StatesTheWorstOfEveryOpAndDtype) {
  Report report{RunInfo{.device = "cpu:0"}, {case_of("a", Outcome::pass, 1.25), case_of("b", Outcome::pass, 0.5)}};
  report.cases.push_back(case_of("c", Outcome::pass, 300));
  report.cases.back().dtype = "f16";
  report.cases.back().bound = "4 u sum|a||b|";
  report.cases.push_back(case_of("d", Outcome::fail, 300));
  report.cases.back().op = "log";
  // Cases are in the order in which workers finish them; the table is sorted by op.
  report.cases.push_back(case_of("e", Outcome::pass, 0.5));
  report.cases.back().op = "add";
  report.cases.push_back(case_of("f", Outcome::pass, 0.25));
  report.cases.back().mode = "lockstep";
  std::reverse(report.cases.begin(), report.cases.end());
  const Report one[] = {report};
  EXPECT_EQ(
      ulp_table(one, "forward"),
      "\n### cpu:0, strict\n\n| op | f32 | f16 |\n| --- | ---: | ---: |\n| add | 0.5 | |\n| exp | 1.25 | 300 (38) |\n"
      "| log | **fail** | |\n\n### cpu:0, lockstep\n\n| op | f32 |\n| --- | ---: |\n| exp | 0.25 |\n");
  EXPECT_EQ(ulp_table(one, "gradient"), "");
}

TEST(FormatUlp, IsShort) {
  EXPECT_EQ(format_ulp(0), "0");
  EXPECT_EQ(format_ulp(0.5), "0.5");
  EXPECT_EQ(format_ulp(1.8349), "1.83");
  EXPECT_EQ(format_ulp(0.0004), "4e-04");
  EXPECT_EQ(format_ulp(123456), "1.2e+05");
  EXPECT_EQ(format_ulp(NAN), "∞");
}

TEST_F(ReportFolder, IsMadeAndReadBack) {
  const std::string deep = (folder_ / "a/b").string();
  prepare_report_folder(deep);
  EXPECT_TRUE(fs::is_empty(deep)) << "preparing leaves something behind";
  const Report report = sample_report();
  write_report(deep, report);
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(deep)) {
    ++files;
    EXPECT_EQ(entry.path().stem(), "report") << entry.path();
  }
  EXPECT_EQ(files, 3u);
  EXPECT_EQ(to_json(read_report(deep)).dump(), to_json(report).dump());
  EXPECT_EQ(to_json(read_report(deep + "/report.json")).dump(), to_json(report).dump());
}

TEST_F(ReportFolder, AnUnusableFolderIsFoundBeforeTheRun) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "file") << "x";
  expect_error(ErrorId::cannot_write, "file", [&] { prepare_report_folder((folder_ / "file").string()); });
  expect_error(ErrorId::cannot_write, "below", [&] { prepare_report_folder((folder_ / "file/below").string()); });
  expect_error(ErrorId::cannot_write, "/proc", [] { prepare_report_folder("/proc/lockstep_report"); });
  fs::create_directories(folder_ / "taken/report.html");
  expect_error(ErrorId::cannot_write, "report.html", [&] { prepare_report_folder((folder_ / "taken").string()); });
}

TEST_F(ReportFolder, ReadingWhatIsNoReportSaysSo) {
  fs::create_directories(folder_);
  const std::string file = (folder_ / "report.json").string();
  expect_error(ErrorId::file_not_found, file, [&] { read_report(folder_.string()); });
  std::ofstream(file) << "{ \"format\": ";
  expect_error(ErrorId::wrong_magic, file, [&] { read_report(folder_.string()); });
}

}  // namespace
}  // namespace lockstep::conformance
