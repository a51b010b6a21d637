// Outputs that alias inputs: the kernel is right, or it is refused with LKS_REASON_ALIAS.
#include <algorithm>
#include <functional>
#include <optional>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

bool is_same_place(const Operand& a, const Operand& b) {
  return a.dtype == b.dtype && a.dims == b.dims && a.all_strides() == b.all_strides();
}

bool is_offered_in_place(Session& s, const KernelSample& sample, const std::string& what) {
  Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
  return is_offered(s, asked, LKS_REASON_ALIAS, what);
}

// Runs the sample with the aliased output in the memory of its input; returns all outputs.
std::vector<Bytes> run_in_place(Session& s, Queue& queue, const KernelSample& sample, const Kernel& kernel) {
  std::vector<Buffer> buffers;
  buffers.reserve(sample.inputs.size() + sample.outputs.size());
  std::vector<TensorLocation> locations;
  for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
    if (sample.inputs[i].absent) {
      locations.push_back({});
      continue;
    }
    buffers.emplace_back(s, std::max<std::uint64_t>(1, sample.inputs[i].span()));
    queue.upload(buffers.back(), sample.values[i]);
    locations.push_back({&buffers.back(), 0});
  }
  for (std::size_t o = 0; o < sample.outputs.size(); ++o) {
    const auto alias =
        std::find_if(sample.aliases.begin(), sample.aliases.end(), [&](const lks_alias& a) { return a.output == o; });
    if (alias != sample.aliases.end()) {
      locations.push_back(locations[alias->input]);
    } else {
      buffers.emplace_back(s, std::max<std::uint64_t>(1, sample.outputs[o].span()));
      locations.push_back({&buffers.back(), 0});
    }
  }
  std::optional<Buffer> workspace;
  if (kernel.info().workspace_bytes > 0) workspace.emplace(s, kernel.info().workspace_bytes);
  Launch launch(kernel, sample, locations, workspace ? &*workspace : nullptr);
  wait_for(s, queue.timeline(), launch_once(queue, launch));
  std::vector<Bytes> results;
  for (std::size_t o = 0; o < sample.outputs.size(); ++o)
    results.push_back(queue.download(*locations[sample.inputs.size() + o].buffer, 0, sample.outputs[o].span()));
  return results;
}

// Kernel samples, changed so that more of them have an output with the dtype, shape and strides of an input.
std::vector<KernelSample> samples_to_alias(std::uint64_t seed) {
  std::vector<KernelSample> all;
  for (int size : {2, 3, 4}) {
    for (KernelSample& sample : kernel_samples(seed, size)) {
      if (sample.op == LKS_OP_MATMUL && sample.inputs[0].dims.size() == 2) {
        for (Operand* t : {&sample.inputs[0], &sample.inputs[1], &sample.outputs[0]}) t->dims = {33, 33};
        for (Bytes& values : sample.values) {
          Bytes whole;
          while (whole.size() < sample.inputs[0].span()) whole.insert(whole.end(), values.begin(), values.end());
          whole.resize(sample.inputs[0].span());
          values = whole;
        }
        sample.name = "matmul 33x33x33";
      }
      if (sample.op == LKS_OP_GATHER) {  // as many indices as rows
        sample.outputs[0].dims[0] = sample.inputs[1].dims[0] = 7;
        const std::int64_t reversed[] = {6, 5, 4, 3, 2, 1, 0};
        sample.values[1].assign(reinterpret_cast<const unsigned char*>(reversed),
                                reinterpret_cast<const unsigned char*>(reversed) + sizeof reversed);
        sample.name = "gather of all rows, backwards";
      }
      all.push_back(std::move(sample));
    }
  }
  return all;
}

void aliases(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  std::size_t asked = 0;
  for (KernelSample& sample : samples_to_alias(target.seed)) {
    const Kernel apart(s, sample);
    if (!apart) continue;
    const std::vector<Bytes> expected = run_sample(s, queue, sample, apart);
    for (std::uint32_t i = 0; i < sample.inputs.size(); ++i) {
      for (std::uint32_t o = 0; o < sample.outputs.size(); ++o) {
        if (sample.inputs[i].absent || !is_same_place(sample.inputs[i], sample.outputs[o])) continue;
        sample.aliases = {{o, i}};
        const std::string what = sample.name + text(" with output %u in the memory of input %u", o, i);
        ++asked;
        if (!is_offered_in_place(s, sample, what)) continue;
        const std::vector<Bytes> got = run_in_place(s, queue, sample, Kernel(s, sample));
        for (std::size_t k = 0; k < expected.size(); ++k)
          check_same_bytes(got[k], expected[k], what + text(": output %zu", k));
      }
    }
    sample.aliases.clear();
  }
  check(asked > 5, "hardly any sample has an output like an input");
}

// An alias between tensors with different layouts, or with an operand that does not exist, is refused.
void impossible(const RuntimeTarget& target) {
  Session s(target);
  KernelSample plain = multiply_add_sample(35);
  check(static_cast<bool>(Kernel(s, plain)), "a pointwise program on i32 is refused");
  const auto refused = [&](const std::function<void(KernelSample&)>& change, const char* what) {
    KernelSample sample = plain;
    sample.aliases = {{0, 0}};
    change(sample);
    check(!is_offered_in_place(s, sample, what), std::string(what) + " is accepted");
  };
  refused(
      [](KernelSample& k) {
        for (Operand* t : {&k.inputs[0], &k.inputs[1], &k.outputs[0]}) t->dims = {5, 7};
        k.inputs[0].strides = {1, 5};
      },
      "an alias of a dense output and a transposed input");
  refused(
      [](KernelSample& k) {
        for (Operand* t : {&k.inputs[1], &k.outputs[0]}) t->dims = {5, 7};
        k.inputs[0].dims = {7};
      },
      "an alias of an output and a broadcast input");
  for (const KernelSample& sample : kernel_samples(target.seed, 2)) {
    if (!sample.program || sample.outputs.size() < 2 || !Kernel(s, sample)) continue;
    refused(
        [&](KernelSample& k) {
          k = sample;  // its second output has another dtype than its input
          k.aliases = {{1, 0}};
        },
        "an alias of an output and an input of another dtype");
  }
  refused([](KernelSample& k) { k.aliases = {{0, 2}}; }, "an alias of an input that is not there");
  refused([](KernelSample& k) { k.aliases = {{1, 0}}; }, "an alias of an output that is not there");
}

}  // namespace

std::vector<RuntimeCase> alias_cases() {
  return {
      {"memory", "aliases", "an output takes an input's memory and is right, or that is refused as such", &aliases},
      {"memory", "impossible_aliases", "tensors that lie differently cannot share memory", &impossible},
  };
}

}  // namespace lockstep::conformance
