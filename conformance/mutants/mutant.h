// A mutant is an honest driver with one fault. The faults stand in tables, one per kind of fault; the mutant's number
// picks those that apply.
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

/// The driver underneath, unchanged.
const lks_driver_api& honest();

/// A description of a kernel that may be changed before the honest driver sees it.
struct EditableDesc {
  lks_kernel_desc desc;
  alignas(8) unsigned char attrs[512];
  std::shared_ptr<void> storage;  // of a rewritten program

  bool changed = false;  // the attributes

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
  /// What the honest driver is asked; it refers to this object.
  lks_kernel_desc request() const {
    lks_kernel_desc d = desc;
    if (changed) d.attrs = attrs;
    return d;
  }
};

/// One launch of a kernel whose work a fault does in its own way.
struct Call {
  const lks_kernel& honest;
  const lks_launch& launch;
  const EditableDesc& desc;  // attributes and tensors as they were when the kernel was prepared; no programs

  host::TensorView view(std::size_t i) const { return honest.view(launch, i); }
  std::size_t inputs() const { return desc.desc.input_count; }
  std::size_t tensors() const { return honest.dtypes.size(); }
  void run() const { honest.run(launch); }
};

inline constexpr std::uint32_t any_op = ~0u;

/// Runs instead of the honest kernel of an op. This and the next kind appear only in the modes that the profile of
/// mutants.def is about: in lockstep mode for `lockstep`, in the others for the rest, so that nothing is noticed for
/// its bits in lockstep mode alone.
struct KernelFault {
  Mutant mutant;
  std::uint32_t op;
  void (*run)(const Call& call);
  bool unchecked = false;                      // the honest kernel's checks are left out
  bool (*misses)(const Call& call) = nullptr;  // or what they find is overlooked where this says so
};

/// Changes what the honest driver is asked to prepare.
struct DescFault {
  Mutant mutant;
  std::uint32_t op;
  void (*change)(EditableDesc& desc);
};

/// Changes what is said about a kernel, at query and prepare.
struct InfoFault {
  Mutant mutant;
  std::uint32_t op;
  void (*change)(const lks_kernel_desc& desc, lks_kernel_info& info);
};

/// Changes entries of the driver's table.
struct TableFault {
  Mutant mutant;
  void (*change)(lks_driver_api& table);
};

std::span<const KernelFault> layout_faults();
std::span<const KernelFault> sum_faults();
std::span<const KernelFault> op_faults();
std::span<const KernelFault> large_faults();
std::span<const KernelFault> misbehaviours();
std::span<const KernelFault> scalar_faults();

/// Faults in ops for which the honest driver has no kernel: each does the whole work itself.
std::span<const KernelFault> composite_faults();
/// In the honest driver's place, what it would say about a kernel of such an op. `out` may be null.
lks_status answer_for_composite(const lks_host_api& api, const lks_kernel_desc& desc, lks_kernel_info& info,
                                std::unique_ptr<lks_kernel>* out, lks_diag* diag);

std::span<const DescFault> attribute_faults();
std::span<const DescFault> program_faults();
std::span<const DescFault> instruction_faults();
std::span<const InfoFault> claim_faults();
std::span<const TableFault> table_faults();
std::span<const TableFault> memory_faults();
std::span<const TableFault> queue_faults();
std::span<const TableFault> error_faults();
std::span<const TableFault> wait_faults();
std::span<const DescFault> alias_faults();
std::span<const DescFault> honour_faults();

}  // namespace mutants
