// A few oneDNN primitives that run one after the other, as one kernel.
#pragma once

#include <atomic>
#include <dnnl.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "backends/cpu/kernels.h"

namespace cpu::onednn {

/// Where an argument's data lies: a bound tensor, or an offset into the launch's workspace.
struct Place {
  bool in_workspace;
  std::size_t at;
};

inline Place tensor(std::size_t index) { return {false, index}; }

struct Argument {
  int name;  // DNNL_ARG_*
  dnnl::memory::desc desc;
  Place place;
};

/// Immutable once filled; serves launches on many threads at once. It holds for the number of threads that it was made
/// with: oneDNN cuts the work, and sizes scratchpads, when a primitive is made.
class Sequence {
 public:
  Sequence() = default;
  ~Sequence() { delete spare_.load(); }
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  const dnnl::engine& engine() const { return engine_; }
  Place reserve(std::size_t bytes);
  /// Appends a primitive, whose attributes must leave the scratchpad to the caller (see attributes()).
  void add(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad, std::vector<Argument> arguments);
  /// Appends a copy into another layout. A small one runs on the calling thread alone.
  void add_reorder(const dnnl::memory::desc& from, Place from_place, const dnnl::memory::desc& to, Place to_place);

  std::size_t workspace_bytes() const { return workspace_bytes_; }
  void run(const lks_kernel& kernel, const lks_launch& launch, char* workspace) const;

 private:
  struct Step {
    dnnl::primitive primitive;
    std::size_t first, count;  // its arguments
    bool alone;                // on the calling thread
  };
  // oneDNN's objects for one launch. Making them costs more than a small matmul, so one set is kept.
  struct Frame {
    std::vector<dnnl::memory> memories;
    std::vector<dnnl_exec_arg_t> arguments;
    dnnl::stream stream;
  };
  std::unique_ptr<Frame> make_frame() const;

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  std::vector<Step> steps_;
  std::vector<Argument> arguments_;
  std::size_t workspace_bytes_ = 0;
  mutable std::atomic<Frame*> spare_{nullptr};
};

/// Scratchpads from the workspace, and arithmetic as the math mode allows.
dnnl::primitive_attr attributes(std::uint32_t math_mode);

/// Makes a sequence for the number of threads that oneDNN would use at that moment.
using MakeSequence = std::function<std::unique_ptr<Sequence>()>;

/// A kernel that runs the sequence; a refusal where oneDNN has none. Fills in variant and workspace.
lks_status make_kernel(const KernelRequest& request, Out out, MakeSequence make);

}  // namespace cpu::onednn
