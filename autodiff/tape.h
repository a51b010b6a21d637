// A tape: a flat list of records in program order. Values are numbered nodes. Records refer to them by number and hold
// only the tensors that their gradient rules declare to need.
#pragma once

#include <unordered_map>

#include "autodiff/arena.h"
#include "autodiff/id_map.h"
#include "lockstep/autodiff.h"
#include "ops/observer.h"

namespace lockstep {

using Node = std::uint32_t;
inline constexpr Node no_node = IdMap::absent;

/// A dtype and a shape whose extents are in the tape's arena.
struct RecordedShape {
  DType dtype;
  std::uint8_t rank;
  const Dim* dims;
  Shape shape() const { return Shape(std::span(dims, rank)); }
};

/// One recorded call, in the tape's arena. Only the references in saved_inputs and saved_outputs must be released.
struct Record {
  const OpDef* op;
  CallSite where;
  const ScopeName* scope;
  std::span<Node> inputs;   // no_node: not watched
  std::span<Node> outputs;  // no_node: not differentiable
  std::span<RecordedShape> input_shapes;
  std::span<RecordedShape> output_shapes;
  std::span<TensorImpl*> saved_inputs;  // nullptr: not saved
  std::span<TensorImpl*> saved_outputs;
  std::span<Operand> operands;  // empty unless there are numbers or absent inputs
  std::span<std::byte> attrs;
  std::span<Scalar> scalars;
};

/// A place where a gradient path ends: an op without a gradient, or a value that the host program read.
struct PathEnd {
  std::string what;
  CallSite where;
  std::vector<Node> inputs;
  std::uint64_t time = 0;  // tensors with larger ids are newer
  const char* fix = "compute the target without it, or pass {.unconnected = Unconnected::zero} if zeros are meant";
};

/// A result that depends on a path end. Used to explain why it has no gradient.
struct PathEndDependency {
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  std::uint32_t end;                    // where the path of this result ends
  std::span<const std::uint32_t> from;  // dependencies of the inputs
};

class TapeImpl : public OpObserver {
 public:
  explicit TapeImpl(GradientTape::Options options);
  ~TapeImpl() override;
  /// Destroys the tape. On another thread, returns it to its own thread instead.
  static void dispose_of(std::unique_ptr<TapeImpl> tape);

  void stop(CallSite where);
  void watch(TensorImpl& tensor, CallSite where);

  void record(const OpCall& call, std::span<const TensorRef> outputs) override;
  bool watches_any(const OpCall& call) const override;
  void value_read(const TensorImpl& impl, const char* how, CallSite where) override;

  std::vector<Tensor> gradient(const Tensor& target, std::span<const Source> sources, const GradientOptions& options,
                               CallSite where);

  std::size_t size() const { return records_.size(); }

 private:
  friend class ReversePass;

  Node node_of(const TensorImpl& tensor) const { return nodes_.find(tensor.id); }
  Node find_or_watch(const TensorImpl& tensor);
  Node add_node(const TensorImpl& tensor);
  void mark_dependents(std::vector<bool>& depends) const;
  void append(const OpCall& call, std::span<const Node> inputs, std::span<const TensorRef> outputs);
  void save_tensors(Record& record, const OpCall& call, std::span<const TensorRef> outputs);
  void note_path_end(std::vector<PathEnd>& ends, std::string what, CallSite where, std::span<const Node> inputs);
  void follow(const OpCall& call, std::span<const TensorRef> outputs, std::uint32_t end);
  std::vector<bool> nodes_leading_to(Node target) const;
  const PathEnd* path_end_between(std::span<const Node> source_nodes, const TensorImpl& target) const;
  const PathEnd* read_between(std::span<const Node> source_nodes, const TensorImpl& target) const;
  std::vector<Node> nodes_of(const Source& source) const;
  bool on_owner_thread() const { return !owner_queue_->closed() && op_observers().returned == owner_queue_; }
  void check_thread(CallSite where) const;
  void check_usable(CallSite where) const;
  void consume(CallSite where);
  void stop_observing();
  void drop_saved(Record& record);
  [[noreturn]] void raise_unconnected(const Tensor& target, const Source& source, std::span<const Node> source_nodes,
                                      CallSite where) const;

  const GradientTape::Options options_;
  const std::shared_ptr<ReturnedObservers> owner_queue_;  // of the thread that made the tape
  bool observing_ = true;
  std::atomic<bool> abandoned_{false};  // destroyed on another thread; its own thread has not noticed yet
  std::optional<CallSite> consumed_, stopped_;
  Arena arena_;
  IdMap nodes_;
  Node node_count_ = 0;
  std::vector<Record*> records_;
  std::vector<PathEnd> path_ends_, reads_;  // at ops; at values that were read
  std::vector<PathEndDependency> dependencies_;
  IdMap dependency_of_;                                                  // from tensors to dependencies
  std::unordered_map<std::uint64_t, std::vector<Node>> variable_nodes_;  // a variable may be read at several values
};

}  // namespace lockstep
