// A correct driver that refuses everything beyond docs/driver_requirements.md: it accepts only the kernels, dtypes,
// ranks, instructions and sizes in the tables of that page and, except for copies, only dense operands that are aligned
// to min_alignment. The reference driver does the work. If the suite passes, the tables require enough.
//
// Options, read when the library is loaded. "least" is the name of the driver:
//   least.requirements  path of the page; if it is not set, everything is accepted
//   least.profile       the profile whose columns apply: core (default) or train
//   least.without       a line of a record, such as "instruction|ADD|f32" or "kernel|SUM|f32 → f32|8", that is refused
//                       too; with a number (rank or size): from that number on
//   least.record        path of a file to which each prepared kernel appends its requirements, once per process
//   least.queries       1: queried kernels are recorded too, but only while a second lks_driver is open: that of a
//                       runtime case. The first is the runtime's, which queries kernels for reports
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>

#include "backends/common/diag.h"
#include "backends/common/kernel_table.h"
#include "backends/testing/test_options.h"
#include "conformance/minimal/requirements.h"
#include "lockstep/driver_ops.h"

// The reference driver's entry function, renamed by CMake.
extern "C" lks_status LKS_CALL reference_entry(const lks_host_api* host, const lks_driver_api** out, lks_diag* diag);

namespace minimal {
namespace {

using common::refuse;

const lks_driver_api* reference = nullptr;
std::atomic<int> open_drivers{0};

std::string long_option(const lks_host_api& host, const char* key) {
  char text[1024];
  return host.get_option(host.host, key, text, sizeof text) < 0 ? "" : text;
}

// The accepted requirements, and those recorded so far in this process.
class RequirementLog {
 public:
  explicit RequirementLog(const lks_host_api& host)
      : record_(long_option(host, "least.record")), counts_queries_(!long_option(host, "least.queries").empty()) {
    if (const std::string path = long_option(host, "least.requirements"); !path.empty()) {
      std::ifstream page(path);
      const Requirements requirements = read_requirements(page);
      taken_ = long_option(host, "least.profile") == "train" ? requirements.train : requirements.core;
      limited_ = true;
    }
    std::istringstream without(long_option(host, "least.without"));
    without_ = read_record(without);
  }

  /// The first requirement of the kernel that is not accepted.
  Gap beyond(const Demand& demand) const {
    const Gap gap = forgone(demand);
    return limited_ && gap.text.empty() ? taken_.lacks(demand) : gap;
  }

  void note(const Demand& demand, bool prepared) {
    if (record_.empty() || (!prepared && !(counts_queries_ && open_drivers > 1))) return;
    const std::lock_guard lock(mutex_);
    if (seen_.lacks(demand).text.empty()) return;
    seen_.add(demand);
    const std::string lines = record_of(demand);
    if (std::FILE* file = std::fopen(record_.c_str(), "a")) {  // one write, because other processes append too
      std::setvbuf(file, nullptr, _IOFBF, lines.size() + 1);
      std::fwrite(lines.data(), 1, lines.size(), file);
      std::fclose(file);
    }
  }

 private:
  // The first requirement of the kernel that least.without refuses.
  Gap forgone(const Demand& demand) const {
    for (const auto& instruction : demand.instructions) {
      if (without_.instructions.contains(instruction)) return {instruction.first, LKS_REASON_DTYPE};
    }
    for (const auto& [kernel, rank] : demand.kernels) {
      const auto from = without_.kernels.find(kernel);
      if (from != without_.kernels.end() && rank >= from->second) return {kernel.first, LKS_REASON_DTYPE};
    }
    for (const auto& [what, size] : demand.sizes) {
      const auto from = without_.sizes.find(what);
      if (from != without_.sizes.end() && size >= from->second) return {what, LKS_REASON_SIZE};
    }
    return {};
  }

  const std::string record_;
  const bool counts_queries_;
  bool limited_ = false;
  Demand taken_, without_, seen_;
  std::mutex mutex_;
};

RequirementLog* requirement_log = nullptr;

constexpr std::uint64_t buffer_alignment = 64;  // the reference driver's min_alignment

lks_status check_layouts(const lks_kernel_desc& desc, lks_diag* diag) {
  for (std::uint32_t i = 0; i < desc.input_count + desc.output_count; ++i) {
    const lks_tensor_desc& t = common::tensor_of(desc, i);
    if (t.flags & LKS_TENSOR_OPTIONAL_ABSENT) continue;
    if (common::is_dense(t) && t.alignment >= buffer_alignment) continue;
    return refuse(diag, LKS_REASON_LAYOUT, static_cast<int>(i), DRIVER_WHERE,
                  "%s: operand %u is strided or begins elsewhere than a buffer", desc.op_name, i);
  }
  return LKS_OK;
}

// Called after the reference driver has accepted the kernel, so that it gives the reason for invalid descriptions.
lks_status check(const lks_kernel_desc& desc, bool prepared, lks_diag* diag) {
  const Demand demand = demand_of(desc);
  if (const Gap beyond = requirement_log->beyond(demand); !beyond.text.empty()) {
    return refuse(diag, beyond.reason, -1, DRIVER_WHERE, "%s: not in the requirements: %s", desc.op_name,
                  beyond.text.c_str());
  }
  if (desc.op != LKS_OP_COPY) {
    if (const lks_status status = check_layouts(desc, diag); status != LKS_OK) return status;
  }
  requirement_log->note(demand, prepared);
  return LKS_OK;
}

// Sets deps so that the host asks again for operands that are not dense and aligned.
void set_dependencies(const lks_kernel_desc& desc, lks_kernel_info& info) {
  if (!info.deps || desc.op == LKS_OP_COPY) return;
  for (std::uint32_t i = 0; i < desc.input_count + desc.output_count; ++i) {
    info.deps[i].dense = 1;
    info.deps[i].alignment = buffer_alignment;
    // Sizes are checked for each kernel, so kernels depend on all extents.
    info.deps[i].dims = (1u << LKS_MAX_RANK) - 1;
  }
}

lks_status LKS_CALL driver_open(const lks_host_api* host, lks_driver** out, lks_diag* diag) {
  const lks_status status = reference->driver_open(host, out, diag);
  if (status == LKS_OK) ++open_drivers;
  return status;
}
void LKS_CALL driver_close(lks_driver* driver) {
  --open_drivers;
  reference->driver_close(driver);
}

lks_status LKS_CALL kernel_query(lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc,
                                 lks_kernel_info* info, lks_diag* diag) {
  const lks_status status = reference->kernel_query(driver, ordinal, desc, info, diag);
  if (status != LKS_OK) return status;
  set_dependencies(*desc, *info);
  return check(*desc, false, diag);
}

lks_status LKS_CALL kernel_prepare(lks_device* device, const lks_kernel_desc* desc, lks_kernel** out,
                                   lks_kernel_info* info, lks_diag* diag) {
  lks_kernel* kernel = nullptr;
  const lks_status status = reference->kernel_prepare(device, desc, &kernel, info, diag);
  if (status != LKS_OK) return status;
  if (const lks_status refused = check(*desc, true, diag); refused != LKS_OK) {
    reference->kernel_release(device, kernel);
    return refused;
  }
  set_dependencies(*desc, *info);
  *out = kernel;
  return LKS_OK;
}

}  // namespace
}  // namespace minimal

extern "C" LKS_EXPORT lks_status LKS_CALL lks_driver_entry_v1(const lks_host_api* host, const lks_driver_api** out,
                                                              lks_diag* diag) {
  using namespace minimal;
  if (const lks_status status = reference_entry(host, &reference, diag); status != LKS_OK) return status;
  // Later hosts in this process get the same table.
  static RequirementLog only(*host);
  requirement_log = &only;
  static lks_driver_api table;
  static const bool ready = [] {
    table = *reference;
    table.name = "least";
    table.driver_open = &driver_open;
    table.driver_close = &driver_close;
    table.kernel_query = &kernel_query;
    table.kernel_prepare = &kernel_prepare;
    return true;
  }();
  *out = ready ? &table : nullptr;
  return LKS_OK;
}
