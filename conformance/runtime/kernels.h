// Kernels through the C interface: sample calls of the core ops, their descriptions and launches.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conformance/runtime/session.h"
#include "lockstep/driver_ops.h"
#include "lockstep/program.h"

namespace lockstep::conformance {

struct Operand {
  lks_dtype dtype;
  std::vector<std::int64_t> dims;
  std::vector<std::int64_t> strides = {};  // empty: dense row-major
  bool absent = false;

  std::vector<std::int64_t> all_strides() const;
  std::int64_t count() const;
  /// The position of element 0 among those that the operand spans: 0 unless strides are negative.
  std::int64_t first() const;
  /// Bytes from the lowest element to the highest, including gaps.
  std::uint64_t span() const;
  std::uint64_t element_size() const { return LKS_DTYPE_BITS(dtype) / 8; }
};

/// One call of an op: everything that its description needs, and the bytes of its inputs (of their whole spans).
struct KernelSample {
  std::string name;  // "matmul f32 5x7x3"
  std::uint32_t op = 0, version = 1;
  const char* op_name = "";
  Bytes attrs;
  std::vector<Operand> inputs, outputs;
  std::vector<lks_dtype> scalar_dtypes;
  std::vector<std::uint64_t> scalars;
  std::shared_ptr<const Program> program;
  std::vector<lks_alias> aliases;
  std::vector<Bytes> values;
  bool core = true;          // one of the core kernels that every driver has
  bool sums_floats = false;  // its bits may depend on the order of summation
};

/// A list-valued attribute.
inline lks_int_list int_list(std::initializer_list<std::int64_t> values) {
  lks_int_list all{};
  for (const std::int64_t v : values) all.values[all.count++] = v;
  return all;
}

template <class A>
Bytes attr_bytes(const A& attrs) {
  const auto* at = reinterpret_cast<const unsigned char*>(&attrs);
  return Bytes(at, at + sizeof attrs);
}

/// Samples of every core op and of some others. Each `size` gives different, odd extents.
std::vector<KernelSample> kernel_samples(std::uint64_t seed, int size);
/// Reductions, matrix products and convolutions over many floats of very different magnitude, so that another order of
/// addition gives other bits.
std::vector<KernelSample> large_samples(std::uint64_t seed);

/// Samples of core ops in other dtypes than those of `kernel_samples`. Drivers may refuse them.
std::vector<KernelSample> samples_of_other_dtypes(std::uint64_t seed);
/// Samples of ops on channels and rows that fill several blocks. Drivers may refuse them.
std::vector<KernelSample> block_samples(std::uint64_t seed);
/// All samples: those of every size, large ones, those of several blocks, and those of other dtypes.
std::vector<KernelSample> all_samples(std::uint64_t seed);

/// out = 3 a + b on `n` i32. `multiply_add` computes the expected result.
KernelSample multiply_add_sample(std::int64_t n);
/// A program of `instructions` instructions on tensors of rank 8.
KernelSample long_program_sample(int instructions);
Bytes multiply_add(const Bytes& a, const Bytes& b);
/// out = exp(x) on 35 f32. The program calls the named function.
KernelSample exponential_sample();

/// The alignment of operands that may begin at any element.
inline constexpr std::uint64_t any_alignment = 1;

/// The arguments of kernel_query and kernel_prepare, with their storage. The sample must outlive it.
class Description {
 public:
  /// `alignment` applies to every operand; an element's own alignment is the minimum.
  Description(const KernelSample& sample, std::uint32_t mode, std::uint64_t alignment);
  lks_kernel_desc desc;
  lks_kernel_info info;
  std::vector<lks_operand_deps> deps;
  std::vector<lks_tensor_desc> tensors;

  /// Overwrites everything that the driver was passed, because it may not keep pointers to it.
  void scribble();

 private:
  lks_attached_program attached_{};
  std::vector<std::uint32_t> inputs_, outputs_;
  std::vector<lks_dtype> scalars_;
  Bytes attrs_;
  std::vector<lks_alias> aliases_;
};

/// Calls kernel_query: whether the driver offers the kernel, and if not, the diag.
bool query(Session& session, Description& description, lks_diag* refusal = nullptr);

/// Asks kernel_query and kernel_prepare, which must agree, also in the reason of a refusal. Returns the refusal, or
/// nullopt if the driver offers the kernel.
std::optional<lks_diag> refusal_of(Session& session, Description& description, const std::string& what);
/// Whether the driver offers the kernel. If it does not, `reason` must be why.
bool is_offered(Session& session, Description& description, std::int32_t reason, const std::string& what);

class Kernel {
 public:
  /// Prepares a kernel for operands at the start of buffers. `operator bool` is false if the driver refuses it
  /// (LKS_UNSUPPORTED). Other failures throw.
  Kernel(Session& session, const KernelSample& sample, std::uint32_t mode = LKS_MODE_STRICT)
      : Kernel(session, sample, mode, session.info.min_alignment) {}
  /// The same for operands at multiples of `alignment`; an element's own alignment is the minimum.
  Kernel(Session& session, const KernelSample& sample, std::uint32_t mode, std::uint64_t alignment);
  /// Prepares a description that the caller may have changed. The description is overwritten.
  Kernel(Session& session, Description& description, const std::string& name);
  ~Kernel();
  Kernel(Kernel&& other) noexcept
      : session_(other.session_), handle_(std::exchange(other.handle_, nullptr)), info_(other.info_) {}
  Kernel& operator=(Kernel&&) = delete;

  explicit operator bool() const { return handle_ != nullptr; }
  lks_kernel* handle() const { return handle_; }
  const lks_kernel_info& info() const { return info_; }

 private:
  void prepare(Description& description, const std::string& name);

  Session* session_;
  lks_kernel* handle_ = nullptr;
  lks_kernel_info info_;
};

/// Whether the kernel gives the same bits each time on the same bytes. Only in fast mode need sums not do that.
inline bool must_repeat(const KernelSample& sample, const Kernel& kernel, std::uint32_t mode) {
  return mode != LKS_MODE_FAST || !sample.sums_floats || kernel.info().determinism >= LKS_DETERMINISM_RUN_TO_RUN;
}

/// The location of a tensor: its first element, counted in elements from the start of the buffer.
struct TensorLocation {
  const Buffer* buffer = nullptr;
  std::int64_t offset = 0;
};

/// One launch, with its storage.
class Launch {
 public:
  /// `locations` lists inputs, then outputs. `workspace` may be nullptr if the kernel needs none.
  Launch(const Kernel& kernel, const KernelSample& sample, const std::vector<TensorLocation>& locations,
         const Buffer* workspace = nullptr, std::uint64_t workspace_offset = 0);
  const lks_launch& abi();
  void scribble();

 private:
  lks_launch launch_;
  std::vector<lks_binding> bindings_;
  std::vector<std::vector<std::int64_t>> dims_, strides_;
  std::vector<std::uint64_t> scalars_;
};

/// Enqueues the launch, then overwrites everything that it pointed to.
std::uint64_t launch_once(Queue& queue, Launch& launch);

/// Uploads the sample's inputs, launches, and returns the bytes of each output.
std::vector<Bytes> run_sample(Session& session, Queue& queue, const KernelSample& sample, const Kernel& kernel);

}  // namespace lockstep::conformance
