// What a refusal means: to whom it applies, and which operand it names.
#include <algorithm>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/storage_layouts.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

constexpr std::uint32_t modes[] = {LKS_MODE_STRICT, LKS_MODE_FAST, LKS_MODE_LOCKSTEP};

// Whether a refusal for this reason holds for all extents, strides and alignments.
bool holds_for_all(std::int32_t reason) {
  return reason != LKS_REASON_LAYOUT && reason != LKS_REASON_SIZE && reason != LKS_REASON_ALIAS &&
         reason != LKS_REASON_PROGRAM && reason != LKS_REASON_RESOURCE;
}

// Whether the two calls differ in extents alone.
bool is_same_but_for_extents(const KernelSample& a, const KernelSample& b) {
  const auto same = [](const Operand& x, const Operand& y) {
    return x.dtype == y.dtype && x.dims.size() == y.dims.size() && x.absent == y.absent;
  };
  return a.op == b.op && a.attrs == b.attrs &&
         std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(), same) &&
         std::equal(a.outputs.begin(), a.outputs.end(), b.outputs.begin(), b.outputs.end(), same);
}

struct Answer {
  bool offered;
  lks_diag refusal = empty_diagnosis();
};

Answer answer_for(Session& s, const KernelSample& sample, std::uint32_t mode) {
  Description asked(sample, mode, s.info.min_alignment);
  Answer answer{};
  answer.offered = query(s, asked, &answer.refusal);
  return answer;
}

// The host remembers some refusals for the op: it would not ask again for a kernel that exists.
void check_refusal_holds(const KernelSample& one, const Answer& first, const KernelSample& two, const Answer& second) {
  if (first.offered == second.offered) return;
  const KernelSample &offered = first.offered ? one : two, &refused = first.offered ? two : one;
  const lks_diag& why = first.offered ? second.refusal : first.refusal;
  check(!holds_for_all(why.reason), refused.name + " is refused for " + reason_name(why.reason) +
                                        ", which holds for all extents, strides and alignments, and " + offered.name +
                                        " with others is offered: " + why.what);
}

// Dense inputs, and two of the other layouts in turn.
void refusals_hold(const RuntimeTarget& target) {
  Session s(target);
  const std::vector<KernelSample> first = kernel_samples(target.seed, 1);
  const std::span<const StorageLayout> layouts = storage_layouts();
  const std::size_t others = layouts.size() - 1;
  std::size_t turn = 0;
  for (std::uint32_t mode : modes) {
    if (!s.offers(mode)) continue;
    std::vector<Answer> answers;
    for (const KernelSample& sample : first) answers.push_back(answer_for(s, sample, mode));
    for (int size = 0; size < 6; ++size) {
      const std::vector<KernelSample> varied = kernel_samples(target.seed, size);
      for (std::size_t i = 0; i < first.size(); ++i, ++turn) {
        if (!is_same_but_for_extents(first[i], varied[i])) continue;
        for (const std::size_t at : {std::size_t{0}, 1 + turn % others, 1 + (turn + others / 2) % others}) {
          const KernelSample other = in_layout(varied[i], layouts[at]);
          check_refusal_holds(first[i], answers[i], other, answer_for(s, other, mode));
        }
      }
    }
  }
}

// A refusal for something about one operand names that operand, or none.
void operands_are_named(const RuntimeTarget& target) {
  Session s(target);
  for (const KernelSample& sample : kernel_samples(target.seed, 1)) {
    if (Description plain(sample, LKS_MODE_STRICT, s.info.min_alignment); !query(s, plain)) continue;
    const auto refused_for = [&](std::size_t i, const char* what, auto&& change) {
      Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
      change(asked.tensors[i]);
      const std::string call = sample.name + text(" with %s of tensor %zu", what, i);
      const std::optional<lks_diag> refusal = refusal_of(s, asked, call);
      check(refusal.has_value(), call + " is offered");
      check(refusal->operand == -1 || refusal->operand == static_cast<int>(i),
            call + text(" is refused for operand %d: %s", refusal->operand, refusal->what));
    };
    for (std::size_t i = 0; i < sample.inputs.size() + sample.outputs.size(); ++i) {
      if (i < sample.inputs.size() && sample.inputs[i].absent) continue;
      refused_for(i, "an unknown flag", [](lks_tensor_desc& t) { t.flags |= 1u << 9; });
      refused_for(i, "an unknown dtype", [](lks_tensor_desc& t) { t.dtype = LKS_DTYPE(29, 32); });
      refused_for(i, "rank 9", [](lks_tensor_desc& t) { t.rank = LKS_MAX_RANK + 1; });
    }
  }
}

}  // namespace

std::vector<RuntimeCase> refusal_cases() {
  return {
      {"abi", "refusals_hold", "what is refused for all extents and layouts is offered for none", &refusals_hold},
      {"abi", "operands_are_named", "a refusal names the operand that caused it, or none", &operands_are_named},
  };
}

}  // namespace lockstep::conformance
