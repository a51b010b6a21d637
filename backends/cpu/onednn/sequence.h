// A kernel that runs several oneDNN primitives in sequence.
#pragma once

#include <array>
#include <atomic>
#include <dnnl.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "backends/cpu/kernels.h"

namespace cpu::onednn {

/// Where an argument's data is: the index of a bound tensor, or an offset into the launch's workspace.
struct Location {
  bool in_workspace;
  std::size_t at;
};

inline Location tensor(std::size_t index) { return {false, index}; }

struct Argument {
  int name;  // DNNL_ARG_*
  dnnl::memory::desc desc;
  Location location;
};

/// Immutable once filled; serves launches on several threads at once. Valid only for the number of threads that it was
/// made with, because oneDNN splits the work and sizes scratchpads when a primitive is created.
class Sequence {
 public:
  Sequence() = default;
  ~Sequence() {
    for (const std::atomic<Frame*>& spare : spares_) delete spare.load();
  }
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  const dnnl::engine& engine() const { return engine_; }
  Location reserve(std::size_t bytes);
  /// Appends a primitive. Its attributes must leave the scratchpad to the caller (see attributes()).
  void add(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad, std::vector<Argument> arguments);
  /// Appends a copy into another layout. A small copy runs only on the calling thread.
  void add_reorder(const dnnl::memory::desc& from, Location from_location, const dnnl::memory::desc& to,
                   Location to_location);

  std::size_t workspace_bytes() const { return workspace_bytes_; }
  void run(const lks_kernel& kernel, const lks_launch& launch, char* workspace) const;

 private:
  struct Step {
    dnnl::primitive primitive;
    std::size_t first, count;  // its arguments
    bool alone;                // only on the calling thread
  };
  // oneDNN's objects for one launch. Creating them costs more than a small matmul, so they are kept for reuse: as many
  // sets as launches run at once, up to a limit.
  struct Frame {
    std::vector<dnnl::memory> memories;
    std::vector<dnnl_exec_arg_t> arguments;
    dnnl::stream stream;
  };
  std::unique_ptr<Frame> make_frame() const;
  std::unique_ptr<Frame> take_frame() const;
  void keep(std::unique_ptr<Frame> frame) const;

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  std::vector<Step> steps_;
  std::vector<Argument> arguments_;
  std::size_t workspace_bytes_ = 0;
  mutable std::array<std::atomic<Frame*>, 8> spares_{};
};

/// Attributes for scratchpads in the workspace and for the arithmetic that the math mode allows.
dnnl::primitive_attr attributes(std::uint32_t math_mode);

/// Makes a sequence for the number of threads that oneDNN uses at the time of the call.
using MakeSequence = std::function<std::unique_ptr<Sequence>()>;

/// Makes a kernel that runs the sequence, or refuses if oneDNN has no implementation. Sets the variant and the
/// workspace size in request.info.
lks_status make_kernel(const KernelRequest& request, Out out, MakeSequence make);

}  // namespace cpu::onednn
