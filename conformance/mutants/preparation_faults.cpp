// Faults in queries and preparations: kernels that depend on what is gone, answers that differ, refusals that mean
// something else.
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backends/common/diag.h"
#include "backends/host/kernel.h"
#include "conformance/mutants/mutant.h"

namespace mutants {
namespace {

std::mutex mutex;

// Query and prepare refuse what `Refused` refuses, and else answer as the correct driver.
template <bool (*Refused)(const lks_kernel_desc& desc, lks_diag* diag)>
void refuses(lks_driver_api& t) {
  t.kernel_query = [](lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                      lks_diag* diag) -> lks_status {
    return Refused(*desc, diag) ? LKS_UNSUPPORTED : correct().kernel_query(driver, ordinal, desc, info, diag);
  };
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    return Refused(*desc, diag) ? LKS_UNSUPPORTED : correct().kernel_prepare(device, desc, out, info, diag);
  };
}

bool refuse(lks_diag* diag, int reason, int operand, const char* what) {
  common::refuse(diag, reason, operand, DRIVER_WHERE, "%s", what);
  return true;
}

// Attributes of another size than the driver's own are refused.
bool other_size_of_attributes(const lks_kernel_desc& d, lks_diag* diag) {
  if (d.op != LKS_OP_SUM || d.attrs_size == sizeof(lks_reduce_attrs)) return false;
  return refuse(diag, LKS_REASON_ATTRIBUTE, -1, "other attributes");
}

// Products of more than 32 rows are refused as if there were none.
bool many_rows(const lks_kernel_desc& d, lks_diag* diag) {
  if (d.op != LKS_OP_MATMUL || d.inputs[0].dims[d.inputs[0].rank - 2] <= 32) return false;
  return refuse(diag, LKS_REASON_OP, -1, "no product of so many rows");
}

// An operand that is not aligned is refused, and the other operand is blamed.
bool alignment_of_another(const lks_kernel_desc& d, lks_diag* diag) {
  for (std::uint32_t i = 0; d.op == LKS_OP_MATMUL && i < d.input_count; ++i) {
    if (common::tensor_of(d, i).alignment >= 16) continue;
    return refuse(diag, LKS_REASON_LAYOUT, i == 0 ? 1 : 0, "an input is not aligned");
  }
  return false;
}

lks_status blaming_next(lks_status status, lks_diag* diag) {
  if (status == LKS_UNSUPPORTED && diag->reason == LKS_REASON_EXTENSION && diag->operand >= 0) ++diag->operand;
  return status;
}
void refusal_blames_next_operand(lks_driver_api& t) {
  t.kernel_query = [](lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                      lks_diag* diag) -> lks_status {
    return blaming_next(correct().kernel_query(driver, ordinal, desc, info, diag), diag);
  };
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    return blaming_next(correct().kernel_prepare(device, desc, out, info, diag), diag);
  };
}

void refusal_names_a_command(lks_driver_api& t) {
  t.kernel_query = [](lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().kernel_query(driver, ordinal, desc, info, diag);
    if (status != LKS_OK) diag->value = 1;
    return status;
  };
}

// A preparation claims more than the query.
void prepare_claims_more(lks_driver_api& t) {
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    const lks_status status = correct().kernel_prepare(device, desc, out, info, diag);
    if (status == LKS_OK) info->determinism = LKS_DETERMINISM_CROSS_DEVICE;
    return status;
  };
}

// Writes to deps even if there are none.
void prepare_needs_deps(lks_driver_api& t) {
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    volatile std::uint32_t* const reserved = &info->deps->reserved;
    *reserved = 0;
    return correct().kernel_prepare(device, desc, out, info, diag);
  };
}

// ------------------------------------------------------------------------------------------------- drivers and devices

std::map<lks_device*, lks_driver*> driver_of;  // of the devices that are open

void remember_devices(lks_driver_api& t) {
  t.device_open = [](lks_driver* driver, std::uint32_t ordinal, lks_device** out, lks_diag* diag) -> lks_status {
    const lks_status status = correct().device_open(driver, ordinal, out, diag);
    std::lock_guard lock(mutex);
    if (status == LKS_OK) driver_of[*out] = driver;
    return status;
  };
  t.device_close = [](lks_device* device) {
    {
      std::lock_guard lock(mutex);
      driver_of.erase(device);
    }
    correct().device_close(device);
  };
}

// Products are refused while no device of the driver is open.
void product_query_needs_device(lks_driver_api& t) {
  remember_devices(t);
  t.kernel_query = [](lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                      lks_diag* diag) -> lks_status {
    bool is_open = false;
    {
      std::lock_guard lock(mutex);
      for (const auto& [device, its_driver] : driver_of) is_open = is_open || its_driver == driver;
    }
    if (desc->op == LKS_OP_MATMUL && !is_open) {
      refuse(diag, LKS_REASON_RESOURCE, -1, "open the device first");
      return LKS_UNSUPPORTED;
    }
    return correct().kernel_query(driver, ordinal, desc, info, diag);
  };
}

// Closing a driver ends those that were opened after it.
std::map<lks_driver*, std::uint64_t> opened;  // the number of each driver, which grows
std::map<lks_driver*, bool> ended;
void closing_ends_later_drivers(lks_driver_api& t) {
  remember_devices(t);
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    static std::uint64_t number = 0;
    const lks_status status = correct().driver_open(host, out, diag);
    if (status != LKS_OK) return status;
    std::lock_guard lock(mutex);
    opened[*out] = ++number;
    ended[*out] = false;
    return status;
  };
  t.driver_close = [](lks_driver* driver) {
    {
      std::lock_guard lock(mutex);
      for (const auto& [other, number] : opened) ended[other] = ended[other] || number > opened[driver];
      opened.erase(driver);
    }
    correct().driver_close(driver);
  };
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    {
      std::lock_guard lock(mutex);
      if (ended[driver_of[device]]) return common::fail(diag, LKS_UNAVAILABLE, DRIVER_WHERE, "the library was closed");
    }
    return correct().buffer_alloc(device, heap, bytes, out, diag);
  };
}

// -------------------------------------------------------------------------------------------------------- kept kernels

// A kernel that several preparations share. It ends with the first release.
class SharedKernel : public lks_kernel {
 public:
  explicit SharedKernel(lks_kernel* correct) : correct_(correct) {
    dtypes = correct->dtypes;
    ranks = correct->ranks;
  }
  void run(const lks_launch& launch) const override {
    if (!has_ended) correct_->run(launch);
  }
  std::atomic<bool> has_ended{false};

 private:
  const std::unique_ptr<lks_kernel> correct_;
};

std::vector<std::int64_t> key_of(const lks_kernel_desc& d) {
  std::vector<std::int64_t> key = {d.math_mode};
  for (std::uint32_t i = 0; i < d.input_count + d.output_count; ++i) {
    const lks_tensor_desc& t = common::tensor_of(d, i);
    key.insert(key.end(), {t.dtype, t.rank});
    key.insert(key.end(), t.dims, t.dims + t.rank);
    key.insert(key.end(), t.strides, t.strides + t.rank);
  }
  return key;
}

// Equal products share a kernel, whose uses are not counted.
std::map<std::vector<std::int64_t>, SharedKernel*> shared;
void release_ends_twins(lks_driver_api& t) {
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    const lks_status status = correct().kernel_prepare(device, desc, out, info, diag);
    if (status != LKS_OK || desc->op != LKS_OP_MATMUL) return status;
    std::lock_guard lock(mutex);
    SharedKernel*& known = shared[key_of(*desc)];
    if (known && !known->has_ended) {
      correct().kernel_release(device, *out);
    } else {
      known = new SharedKernel(*out);  // never deleted: it may be released more than once
    }
    *out = known;
    return status;
  };
  t.kernel_release = [](lks_device* device, lks_kernel* kernel) {
    if (auto* const one = dynamic_cast<SharedKernel*>(kernel)) {
      one->has_ended = true;
    } else {
      correct().kernel_release(device, kernel);
    }
  };
}

// Translates the program of its description when it runs: the program must still be there.
class LateKernel : public lks_kernel {
 public:
  LateKernel(lks_device* device, const lks_kernel_desc& d, const lks_kernel& correct) : device_(device), desc_(d) {
    dtypes = correct.dtypes;
    ranks = correct.ranks;
    for (std::uint32_t i = 0; i < d.input_count + d.output_count; ++i) {
      tensors_.push_back(common::tensor_of(d, i));
      tensors_.back().hdr.size = sizeof(lks_tensor_desc);
    }
    body_ = d.programs[0];
    for (std::uint32_t i = 0; i < d.input_count; ++i) inputs_.push_back(i);
    for (std::uint32_t i = 0; i < d.output_count; ++i) outputs_.push_back(i);
    if (d.scalar_count) scalars_.assign(d.scalar_dtypes, d.scalar_dtypes + d.scalar_count);
    body_.inputs = inputs_.data();
    body_.outputs = outputs_.data();
    desc_.hdr = {sizeof desc_, 0, nullptr};
    desc_.op_name = "pointwise";
    desc_.inputs = tensors_.data();
    desc_.outputs = tensors_.data() + d.input_count;
    desc_.scalar_dtypes = scalars_.data();
    desc_.programs = &body_;
    desc_.alias_count = 0;
  }
  void run(const lks_launch& launch) const override {
    lks_kernel* kernel = nullptr;
    lks_kernel_info info{};
    info.hdr.size = sizeof info;
    lks_diag diag = common::empty_diag();
    if (correct().kernel_prepare(device_, &desc_, &kernel, &info, &diag) != LKS_OK) return;
    kernel->run(launch);
    correct().kernel_release(device_, kernel);
  }

 private:
  lks_device* device_;
  lks_kernel_desc desc_;
  std::vector<lks_tensor_desc> tensors_;
  std::vector<std::uint32_t> inputs_, outputs_;
  std::vector<lks_dtype> scalars_;
  lks_attached_program body_;
};

void keeps_program(lks_driver_api& t) {
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    const lks_status status = correct().kernel_prepare(device, desc, out, info, diag);
    if (status != LKS_OK || desc->op != LKS_OP_POINTWISE) return status;
    lks_kernel* const now = *out;
    *out = new LateKernel(device, *desc, *now);
    correct().kernel_release(device, now);
    return status;
  };
}

constexpr TableFault faults[] = {
    {Mutant::exact_size_of_attributes, &refuses<&other_size_of_attributes>},
    {Mutant::large_product_refused_as_op, &refuses<&many_rows>},
    {Mutant::alignment_of_another, &refuses<&alignment_of_another>},
    {Mutant::refusal_blames_next_operand, &refusal_blames_next_operand},
    {Mutant::refusal_names_a_command, &refusal_names_a_command},
    {Mutant::prepare_claims_more, &prepare_claims_more},
    {Mutant::prepare_needs_deps, &prepare_needs_deps},
    {Mutant::product_query_needs_device, &product_query_needs_device},
    {Mutant::closing_ends_later_drivers, &closing_ends_later_drivers},
    {Mutant::release_ends_twins, &release_ends_twins},
    {Mutant::keeps_program, &keeps_program},
};

}  // namespace

std::span<const TableFault> preparation_faults() { return faults; }

}  // namespace mutants
