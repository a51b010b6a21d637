// Why there is no gradient.
#include <algorithm>

#include "autodiff/tape.h"
#include "lockstep/error.h"

namespace lockstep {
namespace {

std::string describe_source(const Source& source) {
  return source.variable() ? source.variable()->read().describe() : source.tensor()->describe();
}

}  // namespace

void TapeImpl::raise_unconnected(const Tensor& target, const Source& source, std::span<const Node> source_nodes,
                                 const std::source_location& where) const {
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

  // Everything that depends on the source, and the first place where that dependence was cut.
  std::vector<bool> depends(node_count_, false);
  for (Node n : source_nodes) depends[n] = true;
  const auto holds = [&](Node n) { return n != no_node && depends[n]; };
  for (const Record* record : records_) {
    if (!std::any_of(record->inputs.begin(), record->inputs.end(), holds)) continue;
    for (Node n : record->outputs) {
      if (n != no_node) depends[n] = true;
    }
  }
  for (const Cut& cut : cuts_) {
    if (!std::any_of(cut.inputs.begin(), cut.inputs.end(), holds)) continue;
    reason = "the path is cut by " + cut.what + ", at " + short_location(cut.where);
    fix = "compute the target without it, or pass {.unconnected = Unconnected::zero} if zeros are meant";
    break;
  }
  ErrorBuilder(ErrorId::unconnected, "gradient", "the target does not depend on the source: " + reason)
      .line("target", target.describe())
      .line("source", describe_source(source))
      .at(where)
      .fix(fix)
      .raise();
}

}  // namespace lockstep
