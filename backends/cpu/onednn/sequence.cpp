#include "backends/cpu/onednn/sequence.h"

#include <cstdio>
#include <new>
#include <utility>

#include "api/internal/mutex.h"
#include "backends/cpu/onednn/threads.h"

namespace cpu::onednn {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t small_reorder = 256 * 1024;  // bytes; copying them takes as long as starting and joining a team

void require(dnnl_status_t status, const char* what) { dnnl::error::wrap_c_api(status, what); }

void* address(const lks_kernel& kernel, const lks_launch& launch, std::size_t index) {
  const lks_binding& b = launch.bindings[index];
  return static_cast<char*>(b.buffer->data) + b.offset * bytes_of(kernel.dtypes[index]);
}

// Holds one sequence for each number of threads that the kernel was launched with; nearly always only one.
class SequenceKernel : public lks_kernel {
 public:
  SequenceKernel(const lks_host_api& api, MakeSequence make, int threads, std::unique_ptr<Sequence> first)
      : api_(api), make_(std::move(make)), first_threads_(threads), first_(std::move(first)) {}

  void run(const lks_launch& launch) const override {
    const int threads = usable_threads(api_);
    const ThreadScope scope(threads);
    const Sequence& sequence = threads == first_threads_ ? *first_ : other(threads);
    if (sequence.workspace_bytes() <= first_->workspace_bytes()) {
      char* const data = launch.workspace ? static_cast<char*>(launch.workspace->data) : nullptr;
      return sequence.run(*this, launch, data + launch.workspace_offset);
    }
    // The host sized the workspace for the first sequence, and this one needs more.
    struct Free {
      void operator()(char* p) const { ::operator delete (p, std::align_val_t{alignment}); }
    };
    const std::unique_ptr<char, Free> own(
        static_cast<char*>(::operator new (sequence.workspace_bytes(), std::align_val_t{alignment})));
    sequence.run(*this, launch, own.get());
  }

 private:
  const Sequence& other(int threads) const {
    const lockstep::LockGuard lock(mutex_);
    for (const auto& [count, sequence] : others_) {
      if (count == threads) return *sequence;
    }
    others_.emplace_back(threads, make_());
    return *others_.back().second;
  }

  const lks_host_api& api_;
  const MakeSequence make_;
  const int first_threads_;
  const std::unique_ptr<Sequence> first_;
  mutable lockstep::Mutex mutex_;
  mutable std::vector<std::pair<int, std::unique_ptr<Sequence>>> others_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace

Location Sequence::reserve(std::size_t bytes) {
  const Location location{true, workspace_bytes_};
  workspace_bytes_ += (bytes + alignment - 1) / alignment * alignment;
  return location;
}

void Sequence::add(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
                   std::vector<Argument> arguments) {
  if (scratchpad.get_size() > 0) arguments.push_back({DNNL_ARG_SCRATCHPAD, scratchpad, reserve(scratchpad.get_size())});
  steps_.push_back({primitive, arguments_.size(), arguments.size(), false});
  for (Argument& a : arguments) arguments_.push_back(std::move(a));
}

void Sequence::add_reorder(const dnnl::memory::desc& from, Location from_location, const dnnl::memory::desc& to,
                           Location to_location) {
  const bool alone = from.get_size() <= small_reorder;
  const ThreadScope scope(alone ? 1 : current_threads());
  const dnnl::reorder::primitive_desc pd(engine_, from, engine_, to, attributes(LKS_MODE_STRICT));
  add(dnnl::reorder(pd), pd.scratchpad_desc(), {{DNNL_ARG_FROM, from, from_location}, {DNNL_ARG_TO, to, to_location}});
  steps_.back().alone = alone;
}

std::unique_ptr<Sequence::Frame> Sequence::make_frame() const {
  auto frame = std::make_unique<Frame>();
  for (const Argument& a : arguments_) {
    frame->memories.emplace_back(a.desc, engine_, static_cast<void*>(DNNL_MEMORY_NONE));
    frame->arguments.push_back({a.name, frame->memories.back().get()});
  }
  frame->stream = dnnl::stream(engine_);
  return frame;
}

std::unique_ptr<Sequence::Frame> Sequence::take_frame() const {
  for (std::atomic<Frame*>& spare : spares_) {
    if (!spare.load(std::memory_order_relaxed)) continue;
    if (Frame* frame = spare.exchange(nullptr, std::memory_order_acquire)) return std::unique_ptr<Frame>(frame);
  }
  return make_frame();
}

void Sequence::keep(std::unique_ptr<Frame> frame) const {
  Frame* const used = frame.release();
  for (std::atomic<Frame*>& spare : spares_) {
    Frame* none = nullptr;
    if (spare.compare_exchange_strong(none, used, std::memory_order_release, std::memory_order_relaxed)) return;
  }
  delete used;
}

void Sequence::run(const lks_kernel& kernel, const lks_launch& launch, char* workspace) const {
  std::unique_ptr<Frame> frame = take_frame();
  for (std::size_t i = 0; i < arguments_.size(); ++i) {
    const Location location = arguments_[i].location;
    void* data = location.in_workspace ? workspace + location.at : address(kernel, launch, location.at);
    require(dnnl_memory_set_data_handle(frame->arguments[i].memory, data), "oneDNN refuses a memory address");
  }
  for (const Step& step : steps_) {
    const ThreadScope scope(step.alone ? 1 : current_threads());
    require(dnnl_primitive_execute(step.primitive.get(), frame->stream.get(), static_cast<int>(step.count),
                                   frame->arguments.data() + step.first),
            "a oneDNN primitive failed");
  }
  require(dnnl_stream_wait(frame->stream.get()), "oneDNN's stream failed");
  keep(std::move(frame));
}

dnnl::primitive_attr attributes(std::uint32_t math_mode) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  // Set explicitly, because an environment variable can change oneDNN's default.
  attr.set_fpmath_mode(math_mode == LKS_MODE_FAST ? dnnl::fpmath_mode::any : dnnl::fpmath_mode::strict);
  return attr;
}

lks_status make_kernel(const KernelRequest& request, Out out, MakeSequence make) {
  const int threads = usable_threads(request.api);
  const ThreadScope scope(threads);
  std::unique_ptr<Sequence> sequence;
  try {
    sequence = make();
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_out_of_memory) throw std::bad_alloc();
    return common::refuse(request.diag, LKS_REASON_ATTRIBUTE, -1, DRIVER_WHERE, "oneDNN has no %s of this kind: %s",
                          request.desc.op_name, e.what());
  }
  const dnnl_version_t& version = *dnnl_version();
  std::snprintf(request.info.variant, sizeof request.info.variant, "onednn %d.%d.%d", version.major, version.minor,
                version.patch);
  request.info.workspace_bytes = sequence->workspace_bytes();
  common::emplace<SequenceKernel>(request, out, request.api, std::move(make), threads, std::move(sequence));
  return LKS_OK;
}

}  // namespace cpu::onednn
