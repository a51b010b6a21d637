#include "conformance/report/sample_report.h"

#include <cmath>
#include <limits>

#include "lockstep/op_def.h"

namespace lockstep::conformance {
namespace {

// Deterministic pseudo-random numbers that look like measurements.
class Numbers {
 public:
  double next() {  // in [0, 1)
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state_ >> 11) * 0x1p-53;
  }

 private:
  std::uint64_t state_ = 7;
};

double allowed_ulp(ErrorClass c) {
  switch (c) {
    case ErrorClass::exact: return 0;
    case ErrorClass::rounded: return 0.5;
    case ErrorClass::elementary: return 2;
    case ErrorClass::transcendental:
    case ErrorClass::gelu: return 4;
    case ErrorClass::power: return 16;
    case ErrorClass::sum:
    case ErrorClass::composed: return 0;  // their bounds are componentwise, not in ULP
  }
  return 0;
}

void measure(CaseResult& c, const OpDef& op, Numbers& numbers) {
  const double allowed = allowed_ulp(op.error_class);
  c.errors.elements = 64 + static_cast<std::int64_t>(numbers.next() * 4000);
  c.errors.share = op.error_class == ErrorClass::exact ? 0 : 0.05 + 0.9 * numbers.next();
  c.errors.max_ulp = allowed > 0                           ? allowed * c.errors.share
                     : op.error_class == ErrorClass::exact ? 0
                                                           : std::exp(9 * numbers.next() - 2);
  c.errors.p99_ulp = 0.6 * c.errors.max_ulp;
  c.errors.mean_signed_ulp = 0.02 * (numbers.next() - 0.5) * c.errors.max_ulp;
  c.errors.worst = "x = 0x1.8p-3 gives 0x1.23456p+0, exactly 0x1.23457p+0";
  c.bound = allowed > 0 ? "2 ulp" : c.errors.max_ulp == 0 ? "bits" : "4 u sum|a||b|";
}

void add_ops(Report& report, Numbers& numbers) {
  for (const OpDef* op : registered_ops()) {
    for (const char* dtype : {"f32", "f64", "f16", "bf16"}) {
      for (const char* mode : {"strict", "fast", "lockstep"}) {
        for (const char* suite : {"forward", "gradient"}) {
          CaseResult c{.id = op->name + "/" + dtype + "/" + mode + "/" + suite + "/p7", .suite = suite};
          c.op = op->name;
          c.dtype = dtype;
          c.mode = mode;
          c.required = std::string(dtype) == "f32";
          c.native = numbers.next() < 0.8;
          c.seconds = 0.4 * numbers.next() * numbers.next();
          measure(c, *op, numbers);
          report.cases.push_back(std::move(c));
        }
      }
    }
  }
}

CaseResult& find(Report& report, const std::string& op, const std::string& dtype, const std::string& mode) {
  for (CaseResult& c : report.cases) {
    if (c.op == op && c.dtype == dtype && c.mode == mode) return c;
  }
  return report.cases.front();
}

void break_some(Report& report) {
  CaseResult& wrong = find(report, "matmul", "f32", "strict");
  wrong.outcome = Outcome::fail;
  wrong.errors.max_ulp = 8189;
  wrong.errors.share = 210;
  wrong.text =
      "y[3, 17] is 0x1.fep+6, exactly 0x1.00002p+7: off by 8189 ulp\n10 bits of the operands count: TF32 <script>";
  CaseResult& crashed = find(report, "conv2d", "f64", "fast");
  crashed = {.id = crashed.id, .suite = crashed.suite, .op = "conv2d", .dtype = "f64", .mode = "fast"};
  crashed.outcome = Outcome::crash;
  crashed.text = "the process ended with signal 11 (SIGSEGV)";
  CaseResult& hung = find(report, "gather", "f32", "lockstep");
  hung.outcome = Outcome::timeout;
  hung.text = "no answer in 20 s";
  CaseResult& blind = find(report, "relu", "f64", "strict");
  blind.outcome = Outcome::mistrusted;
  blind.text = "every element is 0: a driver that writes nothing would pass";
  CaseResult& refused = find(report, "erf", "f32", "fast");
  refused.outcome = Outcome::unsupported;
  refused.text = "LKS_REASON_PROGRAM: function erf is not known";
  refused.errors = {};
  CaseResult& not_a_number = find(report, "log", "f64", "strict");
  not_a_number.outcome = Outcome::fail;
  not_a_number.errors.max_ulp = not_a_number.errors.share = std::numeric_limits<double>::infinity();
  not_a_number.text = "log(-0.5) is 0, exactly NaN";
}

void add_suite(Report& report, const std::string& suite,
               const std::vector<std::pair<std::string, std::string>>& cases) {
  for (const auto& [name, text] : cases) {
    CaseResult c{.id = suite + "/" + name, .suite = suite};
    c.text = text;
    c.required = true;
    c.seconds = 0.03;
    report.cases.push_back(std::move(c));
  }
}

void add_runtime(Report& report) {
  add_suite(report, "precision",
            {{"matmul/f32/strict", "24 bits of the operands, sums of 24 bits, not contracted"},
             {"matmul/f32/fast", "10 bits of the operands: TF32; sums of 24 bits"},
             {"add/f32/strict", "denormals are kept"}});
  add_suite(
      report, "memory",
      {{"alignment", "64 bytes"}, {"red_zones", ""}, {"limit", "exact to the byte"}, {"threads/8", "20000 blocks"}});
  add_suite(report, "queue", {{"message_passing", ""}, {"store_buffering", ""}, {"random_dag/17", "64 commands"}});
  add_suite(report, "copy", {{"reference:0-cpu:0/odd_offsets", ""}, {"overlap", ""}});
  add_suite(report, "abi", {{"older_structs", ""}, {"newer_structs", ""}, {"load_50_times", ""}});
  add_suite(report, "threads", {{"launch/8", ""}});
  add_suite(report, "fault", {{"launch/k1", "alloc"}, {"launch/k2", "submit"}, {"launch/k3", "map"}});
  report.cases.back().outcome = Outcome::fail;
  report.cases.back().text = "after the fault, 4096 bytes are still allocated";
}

void add_placements(Report& report) {
  report.run.variants = {{"matmul", {"gemm_avx2", "gemv", "gemm_tail", "brgemm"}, {"gemm_avx2", "gemv", "gemm_tail"}},
                         {"conv2d", {"direct", "im2col", "depthwise"}, {"direct", "im2col", "depthwise"}},
                         {"sum", {"inner", "outer", "all"}, {"inner", "outer", "all"}}};
  for (const OpDef* op : registered_ops()) {
    const bool decomposed = static_cast<bool>(op->decompose);
    for (const char* mode : {"strict", "fast", "lockstep"}) {
      report.run.placements.push_back({op->name, "f32", mode,
                                       decomposed ? OpPlacement::How::decomposed : OpPlacement::How::native,
                                       decomposed ? "pointwise, sum" : ""});
    }
    if (op->pointwise()) continue;
    report.run.placements.push_back(
        {op->name, "i32", "strict", OpPlacement::How::refused, "LKS_REASON_DTYPE: i32 has no kernel"});
  }
}

}  // namespace

Report sample_report() {
  Report report;
  report.run = {.driver = "cpu", .driver_vendor = "Lockstep", .driver_version = "0.1.0", .build_id = "3f9d2c1a"};
  report.run.library = "/opt/lockstep/lib/lockstep/liblockstep_driver_cpu_v4.so";
  report.run.library_sha256 = "9b74c9897bac770ffc029102a200c5de5f2e1c33b9a4e8d1a6f7c0b2d3e4f501";
  report.run.device = "cpu:0";
  report.run.device_name = "AMD EPYC 9354 32-Core Processor";
  report.run.device_version = "oneDNN 3.5.3, x86-64-v4";
  report.run.device_type = "cpu";
  report.run.lockstep_version = "0.1.0";
  report.run.suite_version = "1";
  report.run.abi_major = 1;
  report.run.abi_minor = 2;
  report.run.profile = "core";
  report.run.modes = {"strict", "fast", "lockstep"};
  report.run.seed = 7;
  report.run.threads = 2;
  report.run.date = "2026-11-26T02:40:00Z";
  report.run.seconds = 214.7;
  report.run.bounds_file = "conformance/bounds.json";
  report.run.bounds_sha256 = "51a3d2f04be2c1908f7d6a5b4c3e2d1f0a9b8c7d6e5f40312233445566778899";
  Numbers numbers;
  add_ops(report, numbers);
  break_some(report);
  add_runtime(report);
  add_placements(report);
  return report;
}

}  // namespace lockstep::conformance
