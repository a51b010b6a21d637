// Every part of a description that changes the meaning of a kernel is honoured, or refused with the reason. A driver
// that ignores a program, an order of operands, a flag or an extension would silently return a wrong result.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

constexpr std::uint32_t unknown_flags[] = {1u << 2, 1u << 9, 1u << 31};
const lks_header unknown_extension{sizeof(lks_header), 0x7fff'0006u, nullptr};
const lks_header behind_another{sizeof(lks_header), LKS_MAY_SKIP | 7u, &unknown_extension};

void must_refuse(Session& s, Description& asked, std::int32_t reason, const std::string& what) {
  check(!is_offered(s, asked, reason, what), what + " is offered, and nobody can know what it means");
}

template <class Body>
void for_each_offered(Session& s, std::uint64_t seed, Body&& body) {
  for (const KernelSample& sample : kernel_samples(seed, 1)) {
    Description plain(sample, LKS_MODE_STRICT, s.info.min_alignment);
    if (query(s, plain)) body(sample);
  }
}

void unknown_flags_are_refused(const RuntimeTarget& target) {
  Session s(target);
  for_each_offered(s, target.seed, [&](const KernelSample& sample) {
    for (std::size_t i = 0; i < sample.inputs.size() + sample.outputs.size(); ++i) {
      for (std::uint32_t flag : unknown_flags) {
        Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
        asked.tensors[i].flags |= flag;
        must_refuse(s, asked, LKS_REASON_EXTENSION, sample.name + text(" with flag 0x%x of tensor %zu", flag, i));
      }
    }
  });
}

void unknown_extensions_are_refused(const RuntimeTarget& target) {
  Session s(target);
  for_each_offered(s, target.seed, [&](const KernelSample& sample) {
    for (const lks_header* extension : {&unknown_extension, &behind_another}) {
      Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
      asked.desc.hdr.next = extension;
      must_refuse(s, asked, LKS_REASON_EXTENSION, sample.name + " with an unknown extension");
      for (std::size_t i = 0; i < sample.inputs.size() + sample.outputs.size(); ++i) {
        Description extended(sample, LKS_MODE_STRICT, s.info.min_alignment);
        extended.tensors[i].hdr.next = extension;
        must_refuse(s, extended, LKS_REASON_EXTENSION,
                    sample.name + text(" with an unknown extension of tensor %zu", i));
      }
    }
  });
}

// Whether the driver offers the sample with `program` in place of its own.
bool is_offered_with(Session& s, const KernelSample& sample, const lks_program& program, const std::string& what) {
  constexpr std::uint32_t straight[] = {0, 1};
  const lks_attached_program body{&program, straight, straight};
  Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
  asked.desc.programs = &body;
  return is_offered(s, asked, LKS_REASON_EXTENSION, what);
}

lks_program extended(lks_program program, const lks_header& extension) {
  program.hdr.next = &extension;
  return program;
}

// A program of a description, and the body of a named function, may carry extensions too.
void program_extensions_are_refused(const RuntimeTarget& target) {
  Session s(target);
  const lks_header may_be_skipped{sizeof(lks_header), LKS_MAY_SKIP | 8u, nullptr};
  for (const KernelSample& sample : {multiply_add_sample(35), exponential_sample()}) {
    const lks_program& program = sample.program->abi();
    if (!is_offered_with(s, sample, program, sample.name)) continue;
    check(is_offered_with(s, sample, extended(program, may_be_skipped), sample.name),
          sample.name + ", whose program has an extension that may be skipped, is refused");
    for (const lks_header* extension : {&unknown_extension, &behind_another}) {
      std::string what = sample.name + ", whose program has an unknown extension,";
      check(!is_offered_with(s, sample, extended(program, *extension), what), what + " is offered");
      if (program.function_count == 0) continue;
      what = sample.name + ", where the body of a function has an unknown extension,";
      const lks_program body = extended(*program.functions[0].body, *extension);
      std::vector<lks_function> functions(program.functions, program.functions + program.function_count);
      functions[0].body = &body;
      lks_program changed = program;
      changed.functions = functions.data();
      check(!is_offered_with(s, sample, changed, what), what + " is offered");
    }
  }
}

// Nobody knows a layout that the driver has not named.
void unknown_layouts_are_refused(const RuntimeTarget& target) {
  Session s(target);
  for_each_offered(s, target.seed, [&](const KernelSample& sample) {
    for (std::size_t i = 0; i < sample.inputs.size() + sample.outputs.size(); ++i) {
      if (i < sample.inputs.size() && sample.inputs[i].absent) continue;
      Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
      asked.tensors[i].layout = 0x7fff'0001u;
      asked.tensors[i].opaque_bytes = 4096;
      must_refuse(s, asked, LKS_REASON_LAYOUT, sample.name + text(" with an unknown layout of tensor %zu", i));
    }
  });
}

// --------------------------------------------------------------------------------------------- prologues and epilogues

bool is_f32(const Operand& o) { return o.dtype == LKS_F32 && !o.absent; }

Bytes negated(Bytes f32) {
  for (std::size_t i = 3; i < f32.size(); i += 4) f32[i] ^= 0x80u;
  return f32;
}

Program negation() {
  ProgramBuilder builder;
  const Expr result[] = {-builder.input(LKS_F32)};
  return builder.finish(result);
}

// -op(…): an epilogue on the op's only result.
void check_epilogue(Session& s, Queue& queue, const KernelSample& sample, const Program& minus) {
  const std::uint32_t from[] = {LKS_ROOT_RESULT | 0u}, to[] = {0}, results[] = {LKS_FROM_PROGRAM | 0u};
  const lks_attached_program attached{&minus.abi(), from, to};
  Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
  asked.desc.programs = &attached;
  asked.desc.program_count = 1;
  asked.desc.results = results;
  const std::string what = sample.name + " whose result is negated by a program";
  if (!is_offered(s, asked, LKS_REASON_PROGRAM, what)) return;
  const Kernel plain(s, sample), fused(s, asked, what);
  check_same_bytes(run_sample(s, queue, sample, fused)[0], negated(run_sample(s, queue, sample, plain)[0]), what);
}

// op(-a, …): a prologue on the first operand.
void check_prologue(Session& s, Queue& queue, const KernelSample& sample, const Program& minus) {
  const std::uint32_t from[] = {0};
  const lks_attached_program attached{&minus.abi(), from, nullptr};
  std::vector<std::uint32_t> operands;
  for (std::uint32_t i = 0; i < sample.inputs.size(); ++i) operands.push_back(i == 0 ? LKS_FROM_PROGRAM | 0u : i);
  Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
  asked.desc.programs = &attached;
  asked.desc.program_count = 1;
  asked.desc.operands = operands.data();
  const std::string what = sample.name + " whose first operand is negated by a program";
  if (!is_offered(s, asked, LKS_REASON_PROGRAM, what)) return;
  const Kernel plain(s, sample), fused(s, asked, what);
  KernelSample by_hand = sample;
  by_hand.values[0] = negated(by_hand.values[0]);
  check_same_bytes(run_sample(s, queue, sample, fused)[0], run_sample(s, queue, by_hand, plain)[0], what);
}

void programs_run_or_are_refused(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const Program minus = negation();
  std::size_t asked = 0;
  for_each_offered(s, target.seed, [&](const KernelSample& sample) {
    if (sample.program || sample.sums_floats) return;
    if (sample.outputs.size() == 1 && is_f32(sample.outputs[0])) check_epilogue(s, queue, sample, minus), ++asked;
    if (!sample.inputs.empty() && is_f32(sample.inputs[0])) check_prologue(s, queue, sample, minus), ++asked;
  });
  check(asked > 10, "hardly any sample could have a program");
}

// ----------------------------------------------------------------------------------------------- operands and results

// op(b, a), for operands with the same dtype and shape.
void check_exchanged(Session& s, Queue& queue, const KernelSample& sample) {
  std::vector<std::uint32_t> operands(sample.inputs.size());
  for (std::uint32_t i = 0; i < operands.size(); ++i) operands[i] = i < 2 ? 1 - i : i;
  Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
  asked.desc.operands = operands.data();
  const std::string what = sample.name + " with its operands exchanged";
  if (!is_offered(s, asked, LKS_REASON_PROGRAM, what)) return;
  const Kernel plain(s, sample), exchanged(s, asked, what);
  KernelSample by_hand = sample;
  std::swap(by_hand.values[0], by_hand.values[1]);
  check_same_bytes(run_sample(s, queue, sample, exchanged)[0], run_sample(s, queue, by_hand, plain)[0], what);
}

void operands_in_order_or_refused(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  for_each_offered(s, target.seed, [&](KernelSample sample) {
    if (sample.program || sample.inputs.size() < 2 || sample.inputs[1].absent) return;
    if (sample.op == LKS_OP_MATMUL && sample.inputs[0].dims.size() == 2 && is_f32(sample.inputs[0])) {
      for (Operand* t : {&sample.inputs[0], &sample.inputs[1], &sample.outputs[0]}) t->dims = {3, 3};
      for (Bytes& values : sample.values) values.resize(sample.inputs[0].span());
      sample.name = "matmul 3x3x3";
    }
    const Operand &a = sample.inputs[0], &b = sample.inputs[1];
    if (a.dtype == b.dtype && a.dims == b.dims) check_exchanged(s, queue, sample);
    const std::uint32_t beyond[] = {0, 1, 2, 3, 4, 5, 6, 7};
    Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
    asked.desc.operands = beyond;
    asked.desc.operand_count = asked.desc.input_count + 1;
    must_refuse(s, asked, LKS_REASON_PROGRAM, sample.name + " with an operand that is not an input");
    const std::uint32_t no_output[] = {7, 7};
    Description result(sample, LKS_MODE_STRICT, s.info.min_alignment);
    result.desc.results = no_output;
    must_refuse(s, result, LKS_REASON_PROGRAM, sample.name + " with a result that is not an output");
  });
}

// A function is known by its name and version. If a driver does not know these, it runs the body: here a negation,
// under the name of another function in a later version, and under a name that nobody has.
void functions_have_versions(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const KernelSample sample = exponential_sample();
  const lks_program& program = sample.program->abi();
  check(program.function_count == 1, "the suite's program does not call one function");
  if (!is_offered_with(s, sample, program, sample.name)) throw NotOffered("the driver refuses programs of f32");
  const Program minus = negation();
  const std::pair<const char*, std::uint32_t> names[] = {
      {program.functions[0].name, program.functions[0].version + 999}, {"suite::negated", 1}};
  for (const auto& [name, version] : names) {
    const lks_function function{name, version, 0, &minus.abi()};
    lks_program changed = program;
    changed.functions = &function;
    constexpr std::uint32_t straight[] = {0};
    const lks_attached_program body{&changed, straight, straight};
    Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
    asked.desc.programs = &body;
    const std::string what =
        text("a program that calls version %u of a function \"%s\", which negates,", version, name);
    const Kernel kernel(s, asked, what);
    check(static_cast<bool>(kernel), what + " is refused: a driver can always run the body");
    check_same_bytes(run_sample(s, queue, sample, kernel)[0], negated(sample.values[0]),
                     what + " gives another result");
  }
}

// A pointwise kernel must have exactly one body, which reads the kernel's inputs and gives its outputs.
void bodies_are_whole(const RuntimeTarget& target) {
  Session s(target);
  const KernelSample sample = multiply_add_sample(35);
  const auto refused = [&](const char* what, std::span<const std::uint32_t> inputs,
                           std::span<const std::uint32_t> outputs, std::uint32_t count = 1) {
    const lks_attached_program body{&sample.program->abi(), inputs.data(), outputs.data()};
    const lks_attached_program bodies[] = {body, body};
    Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
    asked.desc.programs = count ? bodies : nullptr;
    asked.desc.program_count = count;
    must_refuse(s, asked, LKS_REASON_PROGRAM, what);
  };
  const std::uint32_t straight[] = {0, 1}, exchanged[] = {1, 0}, twice[] = {1, 1}, root[] = {0, LKS_ROOT_RESULT},
                      out[] = {0}, no_output[] = {1};
  refused("a pointwise kernel without a program", straight, out, 0);
  refused("a pointwise kernel of two programs", straight, out, 2);
  refused("a program that takes the kernel's inputs exchanged", exchanged, out);
  refused("a program that takes one input twice", twice, out);
  refused("a program that takes the result of a root op", root, out);
  refused("a program without outputs", straight, {});
  refused("a program that gives an output that is not there", straight, no_output);
}

}  // namespace

std::vector<RuntimeCase> honour_cases() {
  return {
      {"abi", "unknown_flags", "a tensor with a flag that nobody knows is refused for it", &unknown_flags_are_refused},
      {"abi", "unknown_extensions", "an extension that nobody knows is refused unless it may be skipped",
       &unknown_extensions_are_refused},
      {"abi", "program_extensions", "the same in the extensions of programs and of the bodies of their functions",
       &program_extensions_are_refused},
      {"abi", "unknown_layouts", "a tensor in a layout that nobody knows is refused for it",
       &unknown_layouts_are_refused},
      {"abi", "function_versions", "a named function is known by its version too, and any other runs as its body",
       &functions_have_versions},
      {"abi", "programs", "a program on an operand or a result is run, or refused", &programs_run_or_are_refused},
      {"abi", "operands",
       "operands in another order are taken in that order, or refused, and results that are not there",
       &operands_in_order_or_refused},
      {"abi", "bodies", "a pointwise kernel has one program, of its own inputs and outputs", &bodies_are_whole},
  };
}

}  // namespace lockstep::conformance
