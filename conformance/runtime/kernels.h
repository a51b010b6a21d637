// Kernels described and launched by hand: a sample call of each core op, its description, and one launch of it.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "conformance/runtime/session.h"
#include "lockstep/driver_ops.h"
#include "lockstep/program.h"

namespace lockstep::conformance {

struct Operand {
  lks_dtype dtype;
  std::vector<std::int64_t> dims;
  std::vector<std::int64_t> strides = {};  // empty: dense row-major; never negative
  bool absent = false;

  std::vector<std::int64_t> all_strides() const;
  std::int64_t count() const;
  /// Bytes from the first element to the last, gaps included.
  std::uint64_t span() const;
  std::uint64_t element_size() const { return LKS_DTYPE_BITS(dtype) / 8; }
};

/// One call of an op: all that its description needs, and bytes for its inputs (over their spans).
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
  bool core = true;          // of the small core that every driver has
  bool sums_floats = false;  // its bits may depend on the order of a sum
};

/// An attribute that is a list.
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

/// Samples of every core op and of some others; each `size` gives other, odd extents.
std::vector<KernelSample> kernel_samples(std::uint64_t seed, int size);
/// Reductions, products and convolutions over many floats of very different magnitude: another order of addition
/// gives other bits.
std::vector<KernelSample> large_samples(std::uint64_t seed);

/// out = 3 a + b on `n` i32, the sample whose result the suites know; `multiply_add` computes it.
KernelSample multiply_add_sample(std::int64_t n);
/// A program of that many instructions on tensors of rank 8.
KernelSample long_program_sample(int instructions);
Bytes multiply_add(const Bytes& a, const Bytes& b);

/// Of operands that may begin at any element.
inline constexpr std::uint64_t any_alignment = 1;

/// What kernel_query and kernel_prepare take, with its storage. Valid while it and the sample live.
class Description {
 public:
  /// `alignment`: of every operand, at least that of its elements.
  Description(const KernelSample& sample, std::uint32_t mode, std::uint64_t alignment);
  lks_kernel_desc desc;
  lks_kernel_info info;
  std::vector<lks_operand_deps> deps;
  std::vector<lks_tensor_desc> tensors;

  /// Overwrites all that the driver was shown: it may keep none of it.
  void scribble();

 private:
  lks_attached_program attached_{};
  std::vector<std::uint32_t> inputs_, outputs_;
  std::vector<lks_dtype> scalars_;
  Bytes attrs_;
  std::vector<lks_alias> aliases_;
};

/// The answer to a query: whether the driver has it, and the diag where not.
bool query(Session& session, Description& description, lks_diag* refusal = nullptr);

class Kernel {
 public:
  /// For operands at the start of buffers. nullopt-like: `operator bool` is false where the driver refuses
  /// (LKS_UNSUPPORTED). Other failures throw.
  Kernel(Session& session, const KernelSample& sample, std::uint32_t mode = LKS_MODE_STRICT)
      : Kernel(session, sample, mode, session.info.min_alignment) {}
  /// The same for operands at multiples of `alignment`, at least that of their elements.
  Kernel(Session& session, const KernelSample& sample, std::uint32_t mode, std::uint64_t alignment);
  /// Of a description that was changed by hand; it is overwritten.
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

/// Where a tensor lies: its first element, counted in elements from the start of the buffer.
struct Place {
  const Buffer* buffer = nullptr;
  std::int64_t offset = 0;
};

/// One launch, with its storage.
class Launch {
 public:
  /// `places`: inputs, then outputs. `workspace` may be nullptr where the kernel needs none.
  Launch(const Kernel& kernel, const KernelSample& sample, const std::vector<Place>& places,
         const Buffer* workspace = nullptr, std::uint64_t workspace_offset = 0);
  const lks_launch& abi();
  void scribble();

 private:
  lks_launch launch_;
  std::vector<lks_binding> bindings_;
  std::vector<std::vector<std::int64_t>> dims_, strides_;
  std::vector<std::uint64_t> scalars_;
};

/// Launches and then overwrites all that the launch pointed to.
std::uint64_t launch_once(Queue& queue, Launch& launch);

/// Uploads the sample's inputs, launches, and returns the bytes of each output; throws NotOffered where refused.
std::vector<Bytes> run_sample(Session& session, Queue& queue, const KernelSample& sample, const Kernel& kernel);

}  // namespace lockstep::conformance
