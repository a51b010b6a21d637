// Applies the selected fault to the correct driver's table. Built once for each correct driver.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/mutants/half_kernel.h"

// The correct driver's entry function, renamed by CMake.
extern "C" lks_status LKS_CALL CORRECT_ENTRY(const lks_host_api* host, const lks_driver_api** out, lks_diag* diag);

namespace mutants {
namespace {

Mutant mutant = Mutant::honest;
const lks_driver_api* correct_table = nullptr;
const lks_host_api* host_api = nullptr;
std::vector<const KernelFault*> kernel_faults, composites;
std::vector<const HalfFault*> own_halves;
std::vector<const DescFault*> desc_faults;
std::vector<const InfoFault*> info_faults;

// Runs the fault instead of the correct kernel, which still checks launches unless the fault says otherwise.
class FaultyKernel : public lks_kernel {
 public:
  FaultyKernel(std::unique_ptr<lks_kernel> correct, const lks_kernel_desc& desc, const KernelFault& fault)
      : correct_(std::move(correct)), desc_(desc), name_(desc.op_name), fault_(fault) {
    dtypes = correct_->dtypes;
    ranks = correct_->ranks;
    const auto keep = [](const lks_tensor_desc* t, std::uint32_t n) {
      std::vector<lks_tensor_desc> kept;
      for (std::uint32_t i = 0; i < n; ++i) kept.push_back(LKS_ELEMENT(lks_tensor_desc, t, i));
      for (lks_tensor_desc& k : kept) k.hdr.size = sizeof k;
      return kept;
    };
    inputs_ = keep(desc.inputs, desc.input_count);
    outputs_ = keep(desc.outputs, desc.output_count);
    desc_.desc.op_name = name_.c_str();
    desc_.desc.inputs = inputs_.data();
    desc_.desc.outputs = outputs_.data();
    if (desc.scalar_count) scalar_dtypes_.assign(desc.scalar_dtypes, desc.scalar_dtypes + desc.scalar_count);
    desc_.desc.scalar_dtypes = scalar_dtypes_.data();
    desc_.desc.programs = nullptr;
  }
  lks_status check(const lks_launch& launch, lks_diag* diag) const override {
    if (fault_.unchecked) return LKS_OK;
    const lks_diag before = *diag;
    const lks_status status = correct_->check(launch, diag);
    if (status == LKS_OK || !fault_.misses || !fault_.misses({*correct_, launch, desc_})) return status;
    *diag = before;
    return LKS_OK;
  }
  void run(const lks_launch& launch) const override { fault_.run({*correct_, launch, desc_}); }

 private:
  std::unique_ptr<lks_kernel> correct_;
  EditableDesc desc_;
  std::string name_;
  std::vector<lks_tensor_desc> inputs_, outputs_;
  std::vector<lks_dtype> scalar_dtypes_;
  const KernelFault& fault_;
};

bool concerns_lockstep(Mutant m) {
  static constexpr std::string_view profiles[] = {
#define MUTANT(name, base, profile, suites, ops, text) #profile,
#include "conformance/mutants/mutants.def"
#undef MUTANT
  };
  return profiles[static_cast<int>(m)] == "lockstep";
}

// Whether this is a kernel of f16 or bf16 that the mutant has of its own.
bool is_own_half(const lks_kernel_desc& desc) {
  return std::any_of(own_halves.begin(), own_halves.end(),
                     [&](const HalfFault* h) { return h->op == desc.op && has_dtype(desc, h->dtype); });
}

// Whether faults in kernels, descriptions and claims concern this kernel.
bool is_concerned(const lks_kernel_desc& desc) {
  const bool in_mode = concerns_lockstep(mutant) == (desc.math_mode == LKS_MODE_LOCKSTEP);
  return in_mode && (own_halves.empty() || is_own_half(desc));
}

EditableDesc edited(const lks_kernel_desc& desc) {
  EditableDesc e(desc);
  if (!is_concerned(desc)) return e;
  if (is_own_half(desc)) promote(e);
  for (const DescFault* fault : desc_faults) {
    if (fault->op == any_op || fault->op == desc.op) fault->change(e);
  }
  return e;
}

void change_claims(const lks_kernel_desc& desc, lks_kernel_info& info) {
  if (!is_concerned(desc)) return;
  for (const InfoFault* fault : info_faults) {
    if (fault->op == any_op || fault->op == desc.op) fault->change(desc, info);
  }
  for (const DescFault* fault : desc_faults) {
    if (!fault->reads_extents || fault->op != desc.op || !info.deps) continue;
    for (std::uint32_t i = 0; i < desc.input_count + desc.output_count; ++i) info.deps[i].dims = ~0u;
  }
}

// The fault that provides a kernel which the correct driver does not have; nullptr if none does.
const KernelFault* composite_of(const lks_kernel_desc& desc) {
  if (!is_concerned(desc)) return nullptr;
  const auto fault =
      std::find_if(composites.begin(), composites.end(), [&](const auto* f) { return f->op == desc.op; });
  return fault == composites.end() ? nullptr : *fault;
}

lks_status LKS_CALL kernel_query(lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc,
                                 lks_kernel_info* info, lks_diag* diag) {
  if (const KernelFault* fault = composite_of(*desc)) {
    return answer_for_composite(*fault, *host_api, *desc, *info, nullptr, diag);
  }
  const EditableDesc e = edited(*desc);
  const lks_kernel_desc request = e.request();
  const lks_status status = correct_table->kernel_query(driver, ordinal, &request, info, diag);
  if (status == LKS_OK) change_claims(*desc, *info);
  return status;
}

lks_status LKS_CALL kernel_prepare(lks_device* device, const lks_kernel_desc* desc, lks_kernel** out,
                                   lks_kernel_info* info, lks_diag* diag) {
  const EditableDesc e = edited(*desc);
  lks_kernel* made = nullptr;
  const lks_kernel_desc request = e.request();
  lks_status status;
  if (const KernelFault* fault = composite_of(*desc)) {
    std::unique_ptr<lks_kernel> absent;
    status = answer_for_composite(*fault, *host_api, *desc, *info, &absent, diag);
    made = absent.release();
  } else {
    status = correct_table->kernel_prepare(device, &request, &made, info, diag);
  }
  if (status != LKS_OK) return status;
  change_claims(*desc, *info);
  *out = made;
  if (!is_concerned(*desc)) return LKS_OK;
  for (const KernelFault* fault : kernel_faults) {
    if (fault->op == any_op || fault->op == desc->op)
      made = new FaultyKernel(std::unique_ptr<lks_kernel>(made), *desc, *fault);
  }
  if (is_own_half(*desc)) made = make_half_kernel(std::unique_ptr<lks_kernel>(made), *desc).release();
  *out = made;
  return LKS_OK;
}

template <class Fault>
void select(std::span<const Fault> faults, std::vector<const Fault*>& into) {
  for (const Fault& fault : faults) {
    if (fault.mutant == mutant) into.push_back(&fault);
  }
}

// Returns whether there was any fault to apply.
bool apply(lks_driver_api& table) {
  for (const auto faults : {layout_faults(), sum_faults(), op_faults(), large_faults(), limit_faults(), misbehaviours(),
                            scalar_faults(), conv_faults(), shape_faults(), long_program_faults(), composite_faults(),
                            random_faults(), row_faults(), spatial_faults(), variant_faults(), block_faults()})
    select(faults, kernel_faults);
  for (const auto faults : {composite_faults(), random_faults(), row_faults(), spatial_faults()})
    select(faults, composites);
  select(half_faults(), own_halves);
  for (const auto faults : {attribute_faults(), attribute_limit_faults(), conv_attribute_faults(),
                            shape_attribute_faults(), program_faults(), instruction_faults(), shortcut_faults(),
                            alias_faults(), honour_faults(), variant_attribute_faults(), block_attribute_faults()})
    select(faults, desc_faults);
  select(claim_faults(), info_faults);
  bool changed = !kernel_faults.empty() || !desc_faults.empty() || !info_faults.empty();
  if (changed) {
    table.kernel_query = &kernel_query;
    table.kernel_prepare = &kernel_prepare;
  }
  for (const auto faults : {table_faults(), memory_faults(), queue_faults(), error_faults(), wait_faults(),
                            order_faults(), preparation_faults(), process_faults()}) {
    for (const TableFault& fault : faults) {
      if (fault.mutant != mutant) continue;
      fault.change(table);
      changed = true;
    }
  }
  return changed;
}

constexpr const char* names[] = {
#define MUTANT(name, base, profile, suites, ops, text) #name,
#include "conformance/mutants/mutants.def"
#undef MUTANT
};

// The mutant of a file "…/liblockstep_driver_mutant_<name>.so"; no mutant if mutants.def does not list the name.
std::optional<Mutant> mutant_of(std::string_view file) {
  constexpr std::string_view before = "liblockstep_driver_mutant_", after = ".so";
  const auto start = file.rfind(before);
  if (start == file.npos || !file.ends_with(after)) return std::nullopt;
  file.remove_prefix(start + before.size());
  file.remove_suffix(after.size());
  const auto* name = std::find(std::begin(names), std::end(names), file);
  if (name == std::end(names)) return std::nullopt;
  return static_cast<Mutant>(name - std::begin(names));
}

}  // namespace

const lks_driver_api& correct() { return *correct_table; }

EditableDesc::EditableDesc(const lks_kernel_desc& d) : desc(d) {
  std::memset(attrs, 0, sizeof attrs);
  if (d.attrs) std::memcpy(attrs, d.attrs, d.attrs_size < sizeof attrs ? d.attrs_size : sizeof attrs);
}

}  // namespace mutants

extern "C" LKS_EXPORT lks_status LKS_CALL lockstep_mutant_entry(const char* file, const lks_host_api* host,
                                                                const lks_driver_api** out, lks_diag* diag) {
  using namespace mutants;
  host_api = host;
  if (const lks_status status = CORRECT_ENTRY(host, &correct_table, diag); status != LKS_OK) return status;
  static lks_driver_api table;
  static const bool ready = [file] {
    const std::optional<Mutant> selected = file ? mutant_of(file) : std::nullopt;
    if (!selected) return false;
    mutant = *selected;
    table = *correct_table;
    table.name = names[static_cast<int>(mutant)];
    const bool changed = apply(table);
    return changed || mutant == Mutant::honest || mutant == Mutant::honest_async;
  }();
  if (!ready) {
    std::snprintf(diag->what, sizeof diag->what, "%s names no mutant, or a mutant without a fault",
                  file ? file : "the library");
    return LKS_INTERNAL;
  }
  *out = &table;
  return LKS_OK;
}
