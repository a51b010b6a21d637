// Imported host memory: the driver only reads it, reads nothing before or behind it, and leaves it alone when the
// buffer is freed. The memory is write-protected and lies between pages that cannot be accessed, so that a driver which
// breaks a rule crashes.
#include <algorithm>
#include <deque>
#include <optional>

#include "conformance/runtime/guarded_memory.h"
#include "conformance/runtime/kernels.h"
#include "conformance/runtime/storage_layouts.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using Edge = GuardedMemory::Edge;

const lks_import_export_group& group_of(Session& s) {
  if (!(s.info.capabilities & LKS_CAP_IMPORT_EXPORT)) throw NotOffered("the driver does not import memory");
  const void* const group = s.api.get_group(s.driver, LKS_CAP_IMPORT_EXPORT);
  if (!group) throw CheckFailed("LKS_CAP_IMPORT_EXPORT is claimed and has no group");
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  if (s.info.min_alignment > page) throw NotOffered("buffers are aligned to more than a page of the host");
  return *static_cast<const lks_import_export_group*>(group);
}

// A sample's inputs, in imported memory and in buffers of the driver, at the same offsets.
class Inputs {
 public:
  Inputs(Session& s, Queue& queue, const KernelSample& sample, Edge edge) : s_(s) {
    imported_.reserve(sample.inputs.size());
    owned_.reserve(sample.inputs.size());
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) add(queue, sample.inputs[i], sample.values[i], edge);
  }

  const std::vector<TensorLocation>& imported() const { return in_imported_; }
  const std::vector<TensorLocation>& owned() const { return in_owned_; }

  // Frees the buffers and returns whether all memory is as it was.
  void free_and_check(const KernelSample& sample) {
    imported_.clear();
    for (std::size_t i = 0, m = 0; i < sample.inputs.size(); ++i) {
      if (sample.inputs[i].span() == 0) continue;
      check_same_bytes(memory_[m++].bytes(), sample.values[i], sample.name + ": imported memory after buffer_free");
    }
  }

 private:
  void add(Queue& queue, const Operand& operand, const Bytes& values, Edge edge) {
    if (operand.span() == 0) {  // absent or empty: there is nothing to import
      if (!operand.absent) owned_.emplace_back(s_, 1);
      const TensorLocation nowhere{operand.absent ? nullptr : &owned_.back(), 0};
      in_imported_.push_back(nowhere);
      in_owned_.push_back(nowhere);
      return;
    }
    const GuardedMemory& memory = memory_.emplace_back(values, edge);
    const std::span<const unsigned char> all = memory.from_multiple_of(s_.info.min_alignment);
    imported_.emplace_back(s_, group_of(s_), all);
    owned_.emplace_back(s_, all.size());
    queue.upload(owned_.back(), Bytes(all.begin(), all.end()));
    const std::size_t before = all.size() - values.size();
    const std::int64_t first = static_cast<std::int64_t>(before / operand.element_size()) + operand.first();
    in_imported_.push_back({&imported_.back(), first});
    in_owned_.push_back({&owned_.back(), first});
  }

  Session& s_;
  std::deque<GuardedMemory> memory_;
  std::vector<Buffer> imported_, owned_;
  std::vector<TensorLocation> in_imported_, in_owned_;
};

std::vector<Bytes> run(Session& s, Queue& queue, const KernelSample& sample, const Kernel& kernel,
                       const std::vector<TensorLocation>& inputs) {
  std::vector<Buffer> outputs;
  outputs.reserve(sample.outputs.size());
  std::vector<TensorLocation> locations = inputs;
  for (const Operand& output : sample.outputs) {
    outputs.emplace_back(s, output.span());
    queue.fill(outputs.back(), 0, output.span(), untouched);
    locations.push_back({&outputs.back(), output.first()});
  }
  std::optional<Buffer> workspace;
  if (kernel.info().workspace_bytes > 0) workspace.emplace(s, kernel.info().workspace_bytes);
  Launch launch(kernel, sample, locations, workspace ? &*workspace : nullptr);
  wait_for(s, queue.timeline(), launch_once(queue, launch));
  std::vector<Bytes> results;
  for (const Buffer& output : outputs) results.push_back(queue.download(output));
  return results;
}

// Returns false if the driver refuses the sample. A kernel for aligned operands runs if they begin at buffers' starts.
bool check_sample(Session& s, Queue& queue, const KernelSample& sample, std::uint32_t mode, Edge edge) {
  const bool at_start = edge == Edge::before && std::all_of(sample.inputs.begin(), sample.inputs.end(),
                                                            [](const Operand& input) { return input.first() == 0; });
  const Kernel kernel(s, sample, mode, at_start ? s.info.min_alignment : any_alignment);
  if (!kernel) return false;
  Inputs inputs(s, queue, sample, edge);
  const std::vector<Bytes> expected = run(s, queue, sample, kernel, inputs.owned());
  const std::vector<Bytes> got = run(s, queue, sample, kernel, inputs.imported());
  for (std::size_t o = 0; o < expected.size() && must_repeat(sample, kernel, mode); ++o) {
    check_same_bytes(got[o], expected[o], sample.name + text(": output %zu, from imported memory", o));
  }
  inputs.free_and_check(sample);
  return true;
}

void kernels(const RuntimeTarget& target, std::uint32_t mode) {
  Session s(target);
  group_of(s);
  if (!s.offers(mode)) throw NotOffered("the device does not offer this math mode");
  Queue queue(s);
  const std::span<const StorageLayout> layouts = storage_layouts();
  std::size_t ran = 0, turn = 0;
  for (const KernelSample& sample : all_samples(target.seed)) {
    // Dense, and two of the other layouts in turn.
    const std::size_t others = layouts.size() - 1;
    for (const std::size_t at : {std::size_t{0}, 1 + turn % others, 1 + (turn + others / 2) % others}) {
      const KernelSample laid = in_layout(sample, layouts[at]);
      for (const Edge edge : {Edge::before, Edge::behind}) ran += check_sample(s, queue, laid, mode, edge);
    }
    ++turn;
  }
  check(ran > 0, "the driver refuses every kernel");
}

void strict_kernels(const RuntimeTarget& target) { kernels(target, LKS_MODE_STRICT); }
void fast_kernels(const RuntimeTarget& target) { kernels(target, LKS_MODE_FAST); }
void lockstep_kernels(const RuntimeTarget& target) { kernels(target, LKS_MODE_LOCKSTEP); }

// Imports the bytes, uses them in every way but by a kernel, and frees the buffer. The bytes begin at a page.
void use_bytes(Session& s, Queue& queue, const GuardedMemory& memory) {
  const std::span<const unsigned char> bytes = memory.bytes();
  const Bytes expected(bytes.begin(), bytes.end());
  const Buffer imported(s, group_of(s), bytes), copy(s, bytes.size());
  check_same_bytes(queue.download(imported), expected, "a read of imported memory");
  queue.copy(copy, 0, imported, 0, bytes.size());
  queue.finish();
  check_same_bytes(queue.download(copy), expected, "a copy of imported memory");
  if (!s.is_host_visible()) return;
  const Mapping mapping(s, imported, 0, bytes.size());
  check_same_bytes({mapping.data(), bytes.size()}, expected, "a mapping of imported memory");
}

void stays(const RuntimeTarget& target) {
  Session s(target);
  group_of(s);
  Queue queue(s);
  for (const std::size_t size : {1, 63, 4095, 4096, 100'001}) {
    const Bytes values = TestRandom(target.seed + size).bytes(size);
    const GuardedMemory memory(values, Edge::before);
    for (int time = 0; time < 2; ++time) {
      use_bytes(s, queue, memory);
      check_same_bytes(memory.bytes(), values, text("%zu bytes of imported memory after buffer_free", size));
    }
  }
}

void refusals(const RuntimeTarget& target) {
  Session s(target);
  const lks_import_export_group& group = group_of(s);
  const GuardedMemory memory(Bytes(4096, 1), Edge::before);
  for (const std::uint32_t kind : {0u, 0x7fffu}) {
    lks_buffer* buffer = nullptr;
    Call call("buffer_import of an unknown kind of handle");
    call.fails(group.buffer_import(s.device, kind, reinterpret_cast<std::uintptr_t>(memory.bytes().data()), 4096,
                                   &buffer, call.diag()),
               LKS_UNSUPPORTED);
    check(call.filled().reason != LKS_REASON_NONE, "buffer_import refused a kind of handle without a reason");
  }
}

}  // namespace

std::vector<RuntimeCase> import_cases() {
  return {
      {"memory", "imported_stays", "imported memory can be read, copied and mapped, and outlives its buffer", &stays},
      {"memory", "imported_kinds", "kinds of handles that nobody knows are refused", &refusals},
      {"memory", "imported_strict", "kernels only read imported memory, and nothing before or behind it",
       &strict_kernels},
      {"memory", "imported_fast", "the same in fast mode", &fast_kernels},
      {"memory", "imported_lockstep", "the same in lockstep mode", &lockstep_kernels},
  };
}

}  // namespace lockstep::conformance
