// A mutant is a correct driver with one deliberate fault. Faults are listed in tables, one per kind;
// the mutant's number selects those that apply.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "backends/host/kernel.h"
#include "lockstep/driver.h"
#include "lockstep/driver_ops.h"

namespace mutants {

enum class Mutant : std::uint16_t {
#define MUTANT(name, base, profile, suites, ops, text) name,
#include "conformance/mutants/mutants.def"
#undef MUTANT
};

/// The table of the correct driver.
const lks_driver_api& correct();

/// A copy of a kernel description, which faults may change before it is passed to the correct driver.
struct EditableDesc {
  lks_kernel_desc desc;
  alignas(8) unsigned char attrs[512];
  std::shared_ptr<void> storage;  // owns what a fault has replaced

  bool changed = false;  // whether the attributes have changed

  explicit EditableDesc(const lks_kernel_desc& d);
  template <class A>
  A& attributes() {
    changed = true;
    return *reinterpret_cast<A*>(attrs);
  }
  template <class A>
  const A& attributes() const {
    return *reinterpret_cast<const A*>(attrs);
  }
  /// The description for the correct driver. It points into this object.
  lks_kernel_desc request() const {
    lks_kernel_desc d = desc;
    if (changed) d.attrs = attrs;
    return d;
  }
};

/// One launch of a faulty kernel.
struct Call {
  const lks_kernel& correct;
  const lks_launch& launch;
  const EditableDesc& desc;  // the attributes and tensors at preparation, without programs

  host::TensorView view(std::size_t i) const { return correct.view(launch, i); }
  std::size_t inputs() const { return desc.desc.input_count; }
  std::size_t tensors() const { return correct.dtypes.size(); }
  void run() const { correct.run(launch); }
};

inline constexpr std::uint32_t any_op = ~0u;

/// Runs instead of the correct kernel of an op. If the mutant's profile in mutants.def is `lockstep`, kernel,
/// description and info faults apply in lockstep mode only, otherwise in the other modes only. So no mutant of another
/// profile is found merely because lockstep mode compares bits.
struct KernelFault {
  Mutant mutant;
  std::uint32_t op;
  void (*run)(const Call& call);
  bool unchecked = false;                      // skips the correct kernel's check of the launch
  bool (*misses)(const Call& call) = nullptr;  // if set: ignores an error of that check if this returns true
  bool (*takes)(lks_dtype dtype) = nullptr;    // of a composite: the dtypes that its kernel takes; f32 if not set
};

/// Changes the description that the correct driver prepares.
struct DescFault {
  Mutant mutant;
  std::uint32_t op;
  void (*change)(EditableDesc& desc);
  bool reads_extents = false;  // then a kernel serves only the extents that it was prepared for
};

/// An op of which the mutant has its own kernels of f16 or bf16; the correct driver has none. The mutant's faults in
/// kernels and descriptions are in these kernels alone, which run a kernel of f32.
struct HalfFault {
  Mutant mutant;
  std::uint32_t op;
  lks_dtype dtype;
};

/// Changes the lks_kernel_info that query and prepare return.
struct InfoFault {
  Mutant mutant;
  std::uint32_t op;
  void (*change)(const lks_kernel_desc& desc, lks_kernel_info& info);
};

/// Replaces functions in the driver's table.
struct TableFault {
  Mutant mutant;
  void (*change)(lks_driver_api& table);
};

std::span<const KernelFault> layout_faults();
std::span<const KernelFault> sum_faults();
std::span<const KernelFault> op_faults();
std::span<const KernelFault> large_faults();
std::span<const KernelFault> limit_faults();
std::span<const KernelFault> misbehaviours();
std::span<const KernelFault> scalar_faults();
std::span<const KernelFault> conv_faults();
std::span<const KernelFault> shape_faults();
std::span<const KernelFault> variant_faults();
std::span<const KernelFault> block_faults();
std::span<const KernelFault> long_program_faults();

/// Faulty kernels for ops that the correct driver lacks. Each does the whole work itself.
std::span<const KernelFault> composite_faults();
std::span<const KernelFault> random_faults();
std::span<const KernelFault> row_faults();
std::span<const KernelFault> spatial_faults();
/// Answers query (`out` is null) or prepare for the kernel of such a fault, instead of the correct driver.
lks_status answer_for_composite(const KernelFault& fault, const lks_host_api& api, const lks_kernel_desc& desc,
                                lks_kernel_info& info, std::unique_ptr<lks_kernel>* out, lks_diag* diag);

std::span<const HalfFault> half_faults();

std::span<const DescFault> attribute_faults();
std::span<const DescFault> attribute_limit_faults();
std::span<const DescFault> conv_attribute_faults();
std::span<const DescFault> shape_attribute_faults();
std::span<const DescFault> variant_attribute_faults();
std::span<const DescFault> block_attribute_faults();
std::span<const DescFault> program_faults();
std::span<const DescFault> shortcut_faults();
std::span<const DescFault> instruction_faults();
std::span<const InfoFault> claim_faults();
std::span<const TableFault> table_faults();
std::span<const TableFault> memory_faults();
std::span<const TableFault> queue_faults();
std::span<const TableFault> error_faults();
std::span<const TableFault> wait_faults();
std::span<const TableFault> order_faults();
std::span<const TableFault> preparation_faults();
std::span<const TableFault> process_faults();
std::span<const DescFault> alias_faults();
std::span<const DescFault> honour_faults();

}  // namespace mutants
