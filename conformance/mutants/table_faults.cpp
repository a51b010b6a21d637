// Faults in queries, in descriptions of the device and of kernels, and in the ABI.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <limits>
#include <mutex>
#include <thread>

#include "conformance/mutants/mutant.h"

namespace mutants {
namespace {

lks_status refuse(lks_diag* diag, int reason, const char* what) {
  diag->code = LKS_UNSUPPORTED;
  diag->reason = reason;
  diag->operand = -1;
  std::snprintf(diag->what, sizeof diag->what, "%s", what);
  return LKS_UNSUPPORTED;
}

// ------------------------------------------------------------------------------------------------ queries and refusals

// Query and prepare refuse every kernel for which `Allowed` is false.
template <bool (*Allowed)(const lks_kernel_desc&)>
void offers_only(lks_driver_api& t) {
  t.kernel_query = [](lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                      lks_diag* diag) -> lks_status {
    if (!Allowed(*desc)) return refuse(diag, LKS_REASON_OP, "no kernel");
    return correct().kernel_query(driver, ordinal, desc, info, diag);
  };
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    if (!Allowed(*desc)) return refuse(diag, LKS_REASON_OP, "no kernel");
    return correct().kernel_prepare(device, desc, out, info, diag);
  };
}

bool nothing(const lks_kernel_desc&) { return false; }

bool is_f32(const lks_tensor_desc& t) { return t.dtype == LKS_F32 || (t.flags & LKS_TENSOR_OPTIONAL_ABSENT) != 0; }

bool f32_pointwise(const lks_kernel_desc& d) {
  bool all = d.op == LKS_OP_POINTWISE;
  for (std::uint32_t i = 0; i < d.input_count; ++i) all = all && is_f32(d.inputs[i]);
  for (std::uint32_t i = 0; i < d.output_count; ++i) all = all && is_f32(d.outputs[i]);
  return all;
}

// A single core op is missing.
bool no_scatter_add(const lks_kernel_desc& d) { return d.op != LKS_OP_SCATTER_ADD; }

// Query accepts kernels that prepare refuses.
void query_lies(lks_driver_api& t) {
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    if (desc->op == LKS_OP_CONV2D) {
      const auto& a = *static_cast<const lks_conv2d_attrs*>(desc->attrs);
      if (a.dilation.values[0] > 1) return refuse(diag, LKS_REASON_ATTRIBUTE, "no dilation after all");
    }
    return correct().kernel_prepare(device, desc, out, info, diag);
  };
}

// Refuses kernels of an op, with the given reason, if an input is not aligned to `needed`.
template <std::uint32_t op, std::uint64_t needed, int reason, bool names_operand>
void needs_alignment(lks_driver_api& t) {
  static constexpr auto refused = [](const lks_kernel_desc& desc, lks_diag* diag) {
    for (std::uint32_t i = 0; desc.op == op && i < desc.input_count; ++i) {
      if (desc.inputs[i].alignment >= needed) continue;
      refuse(diag, reason, "an input is not aligned");
      diag->operand = names_operand ? static_cast<int>(i) : -1;
      return true;
    }
    return false;
  };
  t.kernel_query = [](lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                      lks_diag* diag) -> lks_status {
    if (refused(*desc, diag)) return LKS_UNSUPPORTED;
    return correct().kernel_query(driver, ordinal, desc, info, diag);
  };
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    if (refused(*desc, diag)) return LKS_UNSUPPORTED;
    return correct().kernel_prepare(device, desc, out, info, diag);
  };
}

// Query and prepare name different variants.
void query_names_another_variant(lks_driver_api& t) {
  t.kernel_query = [](lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().kernel_query(driver, ordinal, desc, info, diag);
    if (status == LKS_OK) std::snprintf(info->variant, sizeof info->variant, "fast_path");
    return status;
  };
}

void variants_not_listed(lks_driver_api& t) {
  t.kernel_variant = [](lks_driver*, std::uint32_t, std::uint32_t) -> const char* { return nullptr; };
}

void refusal_without_reason(lks_driver_api& t) {
  t.kernel_query = [](lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().kernel_query(driver, ordinal, desc, info, diag);
    if (status == LKS_UNSUPPORTED) diag->reason = LKS_REASON_NONE;
    return status;
  };
}

// ---------------------------------------------------------------------------------------------------------- the device

// Writes the whole lks_device_info, even if the host's struct is smaller.
void describe_writes_past(lks_driver_api& t) {
  t.device_describe = [](lks_driver* driver, std::uint32_t ordinal, lks_device_info* info,
                         lks_diag* diag) -> lks_status {
    const std::uint32_t size = info->hdr.size;
    lks_device_info full;
    std::memset(&full, 0, sizeof full);
    full.hdr.size = sizeof full;
    const lks_status status = correct().device_describe(driver, ordinal, &full, diag);
    if (status != LKS_OK) return status;
    full.hdr.size = size;
    std::memcpy(info, &full, sizeof full);
    return LKS_OK;
  };
}

// Accepts only structs of exactly the size that it was built with.
void exact_struct_size(lks_driver_api& t) {
  t.device_describe = [](lks_driver* driver, std::uint32_t ordinal, lks_device_info* info,
                         lks_diag* diag) -> lks_status {
    if (info->hdr.size != sizeof(lks_device_info)) {
      std::snprintf(diag->what, sizeof diag->what, "lks_device_info has %u bytes", info->hdr.size);
      return diag->code = LKS_ABI_MISMATCH;
    }
    return correct().device_describe(driver, ordinal, info, diag);
  };
  t.kernel_query = [](lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                      lks_diag* diag) -> lks_status {
    if (desc->hdr.size != sizeof(lks_kernel_desc)) return refuse(diag, LKS_REASON_VERSION, "another lks_kernel_desc");
    return correct().kernel_query(driver, ordinal, desc, info, diag);
  };
}

void any_ordinal_described(lks_driver_api& t) {
  t.device_describe = [](lks_driver* driver, std::uint32_t, lks_device_info* info, lks_diag* diag) -> lks_status {
    return correct().device_describe(driver, 0, info, diag);
  };
}

void changes_its_description(lks_driver_api& t) {
  t.device_describe = [](lks_driver* driver, std::uint32_t ordinal, lks_device_info* info,
                         lks_diag* diag) -> lks_status {
    static std::uint32_t calls = 0;
    const lks_status status = correct().device_describe(driver, ordinal, info, diag);
    info->compute_units = ++calls;
    return status;
  };
}

void knows_four_dimensions(lks_driver_api& t) {
  t.device_describe = [](lks_driver* driver, std::uint32_t ordinal, lks_device_info* info,
                         lks_diag* diag) -> lks_status {
    const std::uint32_t size = info->hdr.size;
    const lks_status status = correct().device_describe(driver, ordinal, info, diag);
    if (size >= offsetof(lks_device_info, max_rank) + sizeof info->max_rank) info->max_rank = 4;
    return status;
  };
}

// Process-global state: driver_open succeeds only once, and the library stays loaded.
void opens_once(lks_driver_api& t) {
  t.flags &= ~std::uint32_t{LKS_DRIVER_UNLOADABLE};
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    static bool opened = false;
    if (opened) {
      std::snprintf(diag->what, sizeof diag->what, "already initialised");
      return diag->code = LKS_UNAVAILABLE;
    }
    opened = true;
    return correct().driver_open(host, out, diag);
  };
}

// Keeps a copy of the host's table in the size of a later version, even if the host's table is smaller.
void reads_past_host(lks_driver_api& t) {
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    struct Newer {
      lks_host_api api;
      void* later[4];
    };
    static Newer kept;
    std::memcpy(static_cast<void*>(&kept), static_cast<const void*>(host), sizeof kept);
    return correct().driver_open(host, out, diag);
  };
}

// driver_close crashes.
void crashes_on_close(lks_driver_api& t) {
  t.driver_close = [](lks_driver*) { __builtin_trap(); };
}

// get_group returns a table for capabilities that the device does not have.
void group_without_capability(lks_driver_api& t) {
  t.get_group = [](lks_driver* driver, std::uint64_t capability) -> const void* {
    static constexpr lks_header empty{sizeof(lks_header), 0, nullptr};
    const void* const own = correct().get_group(driver, capability);
    return own ? own : &empty;
  };
}

// The diag is written on success.
void diag_written_on_success(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_launch(queue, launches, count, value, diag);
    if (status == LKS_OK) std::snprintf(diag->what, sizeof diag->what, "success");
    return status;
  };
}

// All variant names share one buffer, so each call overwrites the previous name.
void variant_text_overwritten(lks_driver_api& t) {
  t.kernel_variant = [](lks_driver* driver, std::uint32_t op, std::uint32_t index) -> const char* {
    static char text[64];
    const char* name = correct().kernel_variant(driver, op, index);
    if (!name) return nullptr;
    std::snprintf(text, sizeof text, "%s%u", name, index);
    return text;
  };
}

// A thread still runs after driver_close and after the library is unloaded.
void leaves_a_thread(lks_driver_api& t) {
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    std::thread([] {
      while (true) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }).detach();
    return correct().driver_open(host, out, diag);
  };
}

// The first driver_open starts a thread that serves all later ones and never ends.
void pool_is_never_joined(lks_driver_api& t) {
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    static std::once_flag once;
    std::call_once(once, [] {
      std::thread([] {
        while (true) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }).detach();
    });
    return correct().driver_open(host, out, diag);
  };
}

// The first driver_open makes a static object, whose destructor crashes when the process ends.
void crashes_at_exit(lks_driver_api& t) {
  t.flags &= ~std::uint32_t{LKS_DRIVER_UNLOADABLE};
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    struct Trap {
      ~Trap() { __builtin_trap(); }
    };
    static const Trap trap{};
    return correct().driver_open(host, out, diag);
  };
}

void catches_signals(lks_driver_api& t) {
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    std::signal(SIGUSR1, [](int) {});
    return correct().driver_open(host, out, diag);
  };
}

// Global state of the parent makes driver_open fail in a forked child.
void opens_in_one_process(lks_driver_api& t) {
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    static const pid_t first = getpid();
    if (getpid() == first) return correct().driver_open(host, out, diag);
    std::snprintf(diag->what, sizeof diag->what, "initialised in another process");
    return diag->code = LKS_UNAVAILABLE;
  };
}

void device_opens_once(lks_driver_api& t) {
  t.device_open = [](lks_driver* driver, std::uint32_t ordinal, lks_device** out, lks_diag* diag) -> lks_status {
    static bool opened = false;
    if (opened) {
      std::snprintf(diag->what, sizeof diag->what, "the device is in use");
      return diag->code = LKS_UNAVAILABLE;
    }
    opened = true;
    return correct().device_open(driver, ordinal, out, diag);
  };
}

void asks_with_a_lock(lks_driver_api& t) {
  static std::mutex lock;
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    const std::lock_guard held(lock);
    return correct().queue_launch(queue, launches, count, value, diag);
  };
  t.timeline_query = [](lks_timeline* timeline, std::uint64_t* reached, lks_diag* diag) -> lks_status {
    const std::lock_guard held(lock);
    return correct().timeline_query(timeline, reached, diag);
  };
}

constexpr TableFault faults[] = {
    {Mutant::supports_nothing, &offers_only<&nothing>},
    {Mutant::supports_f32_pointwise, &offers_only<&f32_pointwise>},
    {Mutant::no_scatter_add, &offers_only<&no_scatter_add>},
    {Mutant::copy_needs_alignment, &needs_alignment<LKS_OP_COPY, 16, LKS_REASON_LAYOUT, true>},
    {Mutant::sum_needs_more_than_buffers_have, &needs_alignment<LKS_OP_SUM, 128, LKS_REASON_LAYOUT, true>},
    {Mutant::alignment_refused_as_op, &needs_alignment<LKS_OP_MATMUL, 16, LKS_REASON_OP, true>},
    {Mutant::alignment_of_nobody, &needs_alignment<LKS_OP_GATHER, 16, LKS_REASON_LAYOUT, false>},
    {Mutant::query_lies, &query_lies},
    {Mutant::query_names_another_variant, &query_names_another_variant},
    {Mutant::variants_not_listed, &variants_not_listed},
    {Mutant::refusal_without_reason, &refusal_without_reason},
    {Mutant::describe_writes_past, &describe_writes_past},
    {Mutant::exact_struct_size, &exact_struct_size},
    {Mutant::any_ordinal_described, &any_ordinal_described},
    {Mutant::changes_its_description, &changes_its_description},
    {Mutant::knows_four_dimensions, &knows_four_dimensions},
    {Mutant::opens_once, &opens_once},
    {Mutant::group_without_capability, &group_without_capability},
    {Mutant::diag_written_on_success, &diag_written_on_success},
    {Mutant::variant_text_overwritten, &variant_text_overwritten},
    {Mutant::reads_past_host, &reads_past_host},
    {Mutant::crashes_on_close, &crashes_on_close},
    {Mutant::leaves_a_thread, &leaves_a_thread},
    {Mutant::pool_is_never_joined, &pool_is_never_joined},
    {Mutant::crashes_at_exit, &crashes_at_exit},
    {Mutant::catches_signals, &catches_signals},
    {Mutant::opens_in_one_process, &opens_in_one_process},
    {Mutant::device_opens_once, &device_opens_once},
    {Mutant::asks_with_a_lock, &asks_with_a_lock},
};

// -------------------------------------------------------------------------------------------------- claims of kernels

void claims_double_sums(const lks_kernel_desc&, lks_kernel_info& info) {
  info.accumulate_dtype = LKS_F64;
  info.order = LKS_ORDER_SEQUENTIAL;
  info.gamma_factor = 1;
}
void claims_determinism(const lks_kernel_desc&, lks_kernel_info& info) {
  info.determinism = LKS_DETERMINISM_RUN_TO_RUN;
}
void claims_correct_rounding(const lks_kernel_desc&, lks_kernel_info& info) { info.max_ulp = 0.5f; }
// A smaller error than the final rounding of the result alone.
void claims_small_errors(const lks_kernel_desc&, lks_kernel_info& info) { info.gamma_factor = 1e-3f; }
void costs_are_nan(const lks_kernel_desc&, lks_kernel_info& info) {
  info.cost_flops = std::numeric_limits<double>::quiet_NaN();
}
void wants_workspace(const lks_kernel_desc&, lks_kernel_info& info) {
  if (info.workspace_bytes < 64) info.workspace_bytes = 64;
}
void depends_on_nothing(const lks_kernel_desc& desc, lks_kernel_info& info) {
  if (!info.deps) return;
  for (std::uint32_t i = 0; i < desc.input_count + desc.output_count; ++i) info.deps[i] = {};
}

constexpr InfoFault claims[] = {
    {Mutant::overclaimed_accumulation, LKS_OP_MATMUL, &claims_double_sums},
    {Mutant::racy_sum, LKS_OP_SUM, &claims_determinism},
    {Mutant::changes_from_run_to_run, LKS_OP_MATMUL, &claims_determinism},
    {Mutant::fast_matmul_changes_from_run_to_run, LKS_OP_MATMUL, &claims_determinism},
    {Mutant::overclaimed_ulp, LKS_OP_POINTWISE, &claims_correct_rounding},
    {Mutant::overclaimed_gamma, LKS_OP_MATMUL, &claims_small_errors},
    {Mutant::costs_are_nan, LKS_OP_SUM, &costs_are_nan},
    {Mutant::sum_reads_workspace, LKS_OP_SUM, &wants_workspace},
    {Mutant::extents_baked_in, LKS_OP_SUM, &depends_on_nothing},
};

}  // namespace

std::span<const TableFault> table_faults() { return faults; }
std::span<const InfoFault> claim_faults() { return claims; }

}  // namespace mutants
