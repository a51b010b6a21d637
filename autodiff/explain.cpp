// Explains why a source has no gradient.
#include <algorithm>

#include "autodiff/tape.h"
#include "lockstep/error.h"

namespace lockstep {
namespace {

std::string describe_source(const Source& source) {
  return source.variable() ? source.variable()->read().describe() : source.tensor()->describe();
}

bool touches(const PathEnd& end, const std::vector<bool>& nodes) {
  return std::any_of(end.inputs.begin(), end.inputs.end(), [&](Node n) { return n != no_node && nodes[n]; });
}

}  // namespace

void TapeImpl::mark_dependents(std::vector<bool>& depends) const {
  const auto holds = [&](Node n) { return n != no_node && depends[n]; };
  for (const Record* record : records_) {
    if (!std::any_of(record->inputs.begin(), record->inputs.end(), holds)) continue;
    for (Node n : record->outputs) {
      if (n != no_node) depends[n] = true;
    }
  }
}

// The first op without a gradient on the path from the source to the target.
const PathEnd* TapeImpl::path_end_between(std::span<const Node> source_nodes, const TensorImpl& target) const {
  const std::uint32_t last = dependency_of_.find(target.id);
  if (last == IdMap::absent) return nullptr;
  std::vector<bool> depends(node_count_, false), upstream(last + std::size_t{1}, false);
  for (Node n : source_nodes) depends[n] = true;
  mark_dependents(depends);
  std::uint32_t first = PathEndDependency::none;
  upstream[last] = true;
  for (std::size_t i = upstream.size(); i-- > 0;) {  // a dependency refers to older dependencies only
    if (!upstream[i]) continue;
    const PathEndDependency& dependency = dependencies_[i];
    for (std::uint32_t t : dependency.from) upstream[t] = true;
    if (dependency.end != PathEndDependency::none && touches(path_ends_[dependency.end], depends))
      first = dependency.end;
  }
  return first == PathEndDependency::none ? nullptr : &path_ends_[first];
}

// A value that depends on the source and that the program read before it made the target. It is not known what the
// program did with it. It did not affect the target if the target comes from watched tensors alone.
const PathEnd* TapeImpl::read_between(std::span<const Node> source_nodes, const TensorImpl& target) const {
  const Node target_node = node_of(target);
  bool open = target_node == no_node;
  if (!open) {
    const std::vector<bool> leads = nodes_leading_to(target_node);
    for (const Record* record : records_) {
      const auto leading = [&](Node n) { return n != no_node && leads[n]; };
      if (!std::any_of(record->outputs.begin(), record->outputs.end(), leading)) continue;
      open |= std::find(record->inputs.begin(), record->inputs.end(), no_node) != record->inputs.end();
    }
  }
  if (!open) return nullptr;
  std::vector<bool> depends(node_count_, false);
  for (Node n : source_nodes) depends[n] = true;
  mark_dependents(depends);
  for (const PathEnd& read : reads_) {
    if (touches(read, depends) && read.time < target.id) return &read;
  }
  return nullptr;
}

void TapeImpl::raise_unconnected(const Tensor& target, const Source& source, std::span<const Node> source_nodes,
                                 CallSite where) const {
  std::string reason, fix;
  if (source_nodes.empty()) {
    if (source.variable() && !source.variable()->trainable()) {
      reason = "the variable is not trainable, and the tape was not told to watch it";
      fix = "call tape.watch(variable) before using it";
    } else if (source.variable()) {
      reason = "the variable was not used while the tape recorded";
      fix = "compute the target after the tape is made, from this variable";
    } else {
      reason = "the tensor is not watched by this tape";
      fix = "call tape.watch(tensor) before using it";
    }
  } else if (node_of(*target.impl()) == no_node) {
    reason = "the target does not come from anything that the tape watches, or was computed before the tape was made";
    fix = "compute the target after the tape is made";
  } else {
    reason = "no recorded op leads from the source to the target";
    fix = "check that the target is computed from the source";
  }

  if (const PathEnd* end = path_end_between(source_nodes, *target.impl())) {
    reason = "the path ends at " + end->what + ", at " + short_location(end->where);
    fix = end->fix;
  } else if (const PathEnd* read = read_between(source_nodes, *target.impl())) {
    reason += "; if a number that was read is part of it: the path ends at " + read->what + ", at " +
              short_location(read->where);
    fix = "compute the target from tensors alone, or pass {.unconnected = Unconnected::zero} if zeros are meant";
  }
  ErrorBuilder error(ErrorId::unconnected, "gradient", "the target does not depend on the source: " + reason);
  error.line("target", target.describe()).line("source", describe_source(source));
  if (stopped_)
    error.line("tape", "it was stopped at " + short_location(*stopped_) + "; nothing after that is recorded");
  error.at(where).fix(fix).raise();
}

}  // namespace lockstep
