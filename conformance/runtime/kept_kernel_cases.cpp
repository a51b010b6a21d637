// Prepared kernels stand alone: they need nothing that kernel_prepare was passed, and no other kernel.
#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <numeric>
#include <optional>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

void check_results(const std::vector<Bytes>& got, const std::vector<Bytes>& expected, const std::string& what) {
  for (std::size_t o = 0; o < expected.size(); ++o)
    check_same_bytes(got[o], expected[o], what + text(", output %zu", o));
}

// Of two kernels that were prepared for the same call, one is released. Others are prepared, perhaps in its memory.
void twins(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const std::vector<KernelSample> samples = kernel_samples(target.seed, 2);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const KernelSample& sample = samples[i];
    std::optional<Kernel> first(std::in_place, s, sample);
    if (!*first) continue;
    const Kernel second(s, sample);
    const std::vector<Bytes> expected = run_sample(s, queue, sample, second);
    check_results(run_sample(s, queue, sample, *first), expected, sample.name + ", prepared twice");
    first.reset();
    std::vector<Kernel> others;
    for (std::size_t k = 1; k < 4; ++k) others.emplace_back(s, samples[(i + k) % samples.size()]);
    check_results(run_sample(s, queue, sample, second), expected,
                  sample.name + ", prepared twice, after the other kernel was released");
  }
}

// A copy of a program, of all that it points to.
class ProgramCopy {
 public:
  explicit ProgramCopy(const lks_program& from)
      : program_(from),
        input_dtypes_(from.input_dtypes, from.input_dtypes + from.input_count),
        instrs_(from.instrs, from.instrs + from.instr_count),
        outputs_(from.outputs, from.outputs + from.output_count) {
    for (std::uint32_t f = 0; f < from.function_count; ++f) {
      const lks_function& function = from.functions[f];
      names_.emplace_back(function.name);
      bodies_.push_back(std::make_unique<ProgramCopy>(*function.body));
      functions_.push_back({names_.back().c_str(), function.version, 0, &bodies_.back()->program_});
    }
    program_.input_dtypes = input_dtypes_.data();
    program_.instrs = instrs_.data();
    program_.outputs = outputs_.data();
    program_.functions = functions_.data();
  }
  ProgramCopy(const ProgramCopy&) = delete;
  ProgramCopy& operator=(const ProgramCopy&) = delete;

  const lks_program& abi() const { return program_; }

  void scribble() {
    for (const auto& body : bodies_) body->scribble();
    for (std::string& name : names_) std::fill(name.begin(), name.end(), '?');
    overwrite(functions_);
    overwrite(input_dtypes_);
    overwrite(instrs_);
    overwrite(outputs_);
    std::memset(static_cast<void*>(&program_), 0x5c, sizeof program_);
  }

 private:
  template <class T>
  static void overwrite(std::vector<T>& all) {
    if (!all.empty()) std::memset(static_cast<void*>(all.data()), 0x5c, all.size() * sizeof(T));
  }

  lks_program program_;
  std::vector<lks_dtype> input_dtypes_;
  std::vector<lks_instr> instrs_;
  std::vector<std::uint32_t> outputs_;
  std::deque<std::string> names_;
  std::vector<std::unique_ptr<ProgramCopy>> bodies_;
  std::vector<lks_function> functions_;
};

std::vector<KernelSample> samples_with_programs(std::uint64_t seed) {
  std::vector<KernelSample> all = {exponential_sample(), long_program_sample(40)};
  for (KernelSample& sample : kernel_samples(seed, 2)) {
    if (sample.program) all.push_back(std::move(sample));
  }
  return all;
}

// The program of a description, its functions with their names, and the op's name are gone before the launch.
void programs_are_copied(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  for (const KernelSample& sample : samples_with_programs(target.seed)) {
    const Kernel usual(s, sample);
    if (!usual) continue;
    const std::vector<Bytes> expected = run_sample(s, queue, sample, usual);
    auto program = std::make_unique<ProgramCopy>(sample.program->abi());
    std::vector<std::uint32_t> inputs(sample.inputs.size()), outputs(sample.outputs.size());
    std::iota(inputs.begin(), inputs.end(), 0u);
    std::iota(outputs.begin(), outputs.end(), 0u);
    std::string op_name = sample.op_name;
    const lks_attached_program body{&program->abi(), inputs.data(), outputs.data()};
    Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
    asked.desc.programs = &body;
    asked.desc.op_name = op_name.c_str();
    const Kernel kernel(s, asked, sample.name);
    check(static_cast<bool>(kernel), sample.name + " is refused the second time");
    program->scribble();
    std::fill(op_name.begin(), op_name.end(), '?');
    check_results(run_sample(s, queue, sample, kernel), expected, sample.name + ", after its program was overwritten");
    program.reset();
    check_results(run_sample(s, queue, sample, kernel), expected, sample.name + ", after its program was freed");
  }
}

// The same freedom for kernel_prepare as for kernel_query: no deps, a larger info, a larger description.
void optional_parts_prepared(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const lks_header extension{sizeof(lks_header), LKS_MAY_SKIP | 9u, nullptr};
  for (const KernelSample& sample : kernel_samples(target.seed, 1)) {
    const Kernel usual(s, sample);
    if (!usual) continue;
    Description without(sample, LKS_MODE_STRICT, s.info.min_alignment);
    without.info.deps = nullptr;
    const Kernel kernel(s, without, sample.name);
    check(static_cast<bool>(kernel), sample.name + " is refused when the host does not ask for deps");
    check_results(run_sample(s, queue, sample, kernel), run_sample(s, queue, sample, usual),
                  sample.name + ", prepared without deps");
    Description larger(sample, LKS_MODE_STRICT, s.info.min_alignment);
    struct {
      lks_kernel_info info;
      unsigned char future[64];
    } grown;
    std::memset(&grown, 0xc3, sizeof grown);
    grown.info = larger.info;
    grown.info.hdr = {sizeof grown, 0, &extension};
    larger.desc.hdr = {sizeof larger.desc + 64, 0, &extension};
    lks_kernel* handle = nullptr;
    Call call("kernel_prepare with newer structs");
    call.ok(s.api.kernel_prepare(s.device, &larger.desc, &handle, &grown.info, call.diag()));
    s.api.kernel_release(s.device, handle);
    check(std::strcmp(grown.info.variant, usual.info().variant) == 0,
          sample.name + ": newer structs give another variant");
    check(grown.info.hdr.size == sizeof grown && grown.info.hdr.next == &extension,
          sample.name + ": the header of info was changed");
    for (unsigned char byte : grown.future) check(byte == 0xc3, sample.name + ": kernel_prepare wrote beyond info");
  }
}

}  // namespace

std::vector<RuntimeCase> kept_kernel_cases() {
  return {
      {"abi", "twins", "a kernel works on after another one for the same call was released", &twins},
      {"abi", "programs_are_copied", "a prepared kernel needs no program, function or name of its description",
       &programs_are_copied},
      {"abi", "optional_parts_prepared", "a preparation without deps, and with larger structs",
       &optional_parts_prepared},
  };
}

}  // namespace lockstep::conformance
