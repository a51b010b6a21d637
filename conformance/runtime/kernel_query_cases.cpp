// kernel_query, kernel_prepare and kernel_variant agree, and each refusal has a reason.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

constexpr std::uint32_t modes[] = {LKS_MODE_STRICT, LKS_MODE_FAST, LKS_MODE_LOCKSTEP};

// Whether kernel_variant lists this variant; the variant may have a space and details after the listed name.
bool is_listed(Session& s, std::uint32_t op, const std::string& variant) {
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const char* name = s.api.kernel_variant(s.driver, op, i);
    if (!name) return false;
    if (variant == name || variant.rfind(std::string(name) + " ", 0) == 0) return true;
  }
  return false;
}

void check_info(const lks_kernel_info& info, const std::string& what) {
  check(info.hdr.size == sizeof info && info.hdr.type == 0 && !info.hdr.next,
        what + ": the header of info was changed");
  check(std::memchr(info.variant, 0, sizeof info.variant) && info.variant[0],
        what + ": the kernel's variant has no name");
  check(info.order <= LKS_ORDER_PAIRWISE, what + text(": order is %u", info.order));
  check(info.determinism <= LKS_DETERMINISM_CROSS_DEVICE, what + text(": determinism is %u", info.determinism));
  for (const double number :
       {static_cast<double>(info.max_ulp), static_cast<double>(info.gamma_factor), info.cost_flops, info.cost_bytes}) {
    check(std::isfinite(number) && number >= 0, what + text(": a claim or a cost is %g", number));
  }
}

void check_deps(const Description& d, const std::string& what) {
  for (std::size_t i = 0; i < d.deps.size(); ++i) {
    check((d.deps[i].alignment & (d.deps[i].alignment - 1)) == 0,
          what + text(": operand %zu depends on the alignment %llu, which is not a power of two", i,
                      static_cast<unsigned long long>(d.deps[i].alignment)));
    check(d.deps[i].dense <= 1, what + ": dense is neither 0 nor 1");
  }
}

// What the query says about a kernel, and what the preparation says.
void check_same_info(const Description& asked, const Description& made, const std::string& what) {
  const lks_kernel_info &query = asked.info, &prepared = made.info;
  check(std::strcmp(query.variant, prepared.variant) == 0,
        what + ": the query promises variant " + query.variant + ", prepared is " + prepared.variant);
  check(query.workspace_bytes == prepared.workspace_bytes, what + ": query and preparation differ in workspace");
  check(query.max_ulp == prepared.max_ulp && query.gamma_factor == prepared.gamma_factor &&
            query.accumulate_dtype == prepared.accumulate_dtype && query.order == prepared.order &&
            query.determinism == prepared.determinism,
        what + ": query and preparation differ in what they claim");
  for (std::size_t i = 0; i < asked.deps.size(); ++i) {
    check(std::memcmp(&asked.deps[i], &made.deps[i], sizeof asked.deps[i]) == 0,
          what + text(": query and preparation differ in what the kernel depends on of operand %zu", i));
  }
}

// kernel_query and kernel_prepare give the same answer, in every mode that the device offers.
void query_and_prepare_agree(const RuntimeTarget& target) {
  Session s(target);
  for (std::uint32_t mode : modes) {
    if (!s.offers(mode)) continue;
    for (int size = 0; size < 6; ++size) {
      for (const KernelSample& sample : kernel_samples(target.seed, size)) {
        const std::string what = sample.name + text(" (set %d, mode %u)", size, mode);
        Description asked(sample, mode, s.info.min_alignment);
        lks_diag refusal = empty_diagnosis();
        const bool yes = query(s, asked, &refusal);
        Description made(sample, mode, s.info.min_alignment);
        const Kernel kernel(s, made, sample.name);
        check(static_cast<bool>(kernel) == yes, what + (yes ? ": the query says yes, the preparation refuses"
                                                            : ": the query says no, the preparation succeeds"));
        if (!yes) continue;
        check_info(asked.info, what);
        check_deps(asked, what);
        check_same_info(asked, made, what);
        check(is_listed(s, sample.op, asked.info.variant),
              what + ": kernel_variant does not list the variant " + asked.info.variant);
        check(mode == LKS_MODE_FAST || asked.info.determinism >= LKS_DETERMINISM_RUN_TO_RUN,
              what + ": outside fast mode a kernel gives the same bits each time, and this one does not claim to");
        check(mode != LKS_MODE_LOCKSTEP || asked.info.determinism == LKS_DETERMINISM_CROSS_DEVICE,
              what + ": a kernel of lockstep mode gives the bits of every device, and this one does not claim to");
      }
    }
  }
}

// The device has the core kernels in every mode that it offers; without them it could run hardly any op.
void core_is_offered(const RuntimeTarget& target) {
  Session s(target);
  for (std::uint32_t mode : modes) {
    if (!s.offers(mode)) continue;
    for (const KernelSample& sample : kernel_samples(target.seed, 2)) {
      if (!sample.core) continue;
      Description asked(sample, mode, s.info.min_alignment);
      lks_diag refusal = empty_diagnosis();
      const bool yes = query(s, asked, &refusal);
      // After LKS_REASON_LAYOUT the host makes the input dense and asks again.
      check(yes || refusal.reason == LKS_REASON_LAYOUT,
            sample.name + text(" in mode %u is refused for %s: %s; only LKS_REASON_LAYOUT would be a right refusal",
                               mode, reason_name(refusal.reason).c_str(), refusal.what));
    }
  }
}

bool is_dense(const KernelSample& sample) {
  const auto dense = [](const Operand& operand) { return operand.strides.empty(); };
  return std::all_of(sample.inputs.begin(), sample.inputs.end(), dense) &&
         std::all_of(sample.outputs.begin(), sample.outputs.end(), dense);
}

// Does what the host does if a kernel is refused for an alignment: replaces the input that the refusal names by an
// aligned copy and asks again.
void check_copies_help(Session& s, Description& asked, std::size_t inputs, const std::string& what) {
  lks_diag refusal = empty_diagnosis();
  while (!query(s, asked, &refusal)) {
    const bool names_an_input = refusal.operand >= 0 && refusal.operand < static_cast<int>(inputs);
    check(refusal.reason == LKS_REASON_LAYOUT && names_an_input,
          what + text(": for its alignment operand %d is refused for %s; the host can copy an input that is refused "
                      "for LKS_REASON_LAYOUT: %s",
                      refusal.operand, reason_name(refusal.reason).c_str(), refusal.what));
    std::uint64_t& alignment = asked.tensors[static_cast<std::size_t>(refusal.operand)].alignment;
    check(alignment < s.info.min_alignment,
          what + text(": operand %d is refused for its alignment, and is aligned as copies are: %s", refusal.operand,
                      refusal.what));
    alignment = s.info.min_alignment;
  }
}

// Inputs may be views that begin at any element; the host copies an input that is refused for its alignment. The
// copies, and all outputs except those of `copy`, are aligned to min_alignment.
void alignment_can_be_had(const RuntimeTarget& target) {
  Session s(target);
  for (std::uint32_t mode : modes) {
    if (!s.offers(mode)) continue;
    for (int size = 0; size < 6; ++size) {
      for (const KernelSample& sample : kernel_samples(target.seed, size)) {
        const std::string what = sample.name + text(" (set %d, mode %u)", size, mode);
        Description at_start(sample, mode, s.info.min_alignment), anywhere(sample, mode, any_alignment);
        lks_diag refusal = empty_diagnosis();
        const bool taken = query(s, at_start, &refusal);
        check(taken || refusal.reason != LKS_REASON_LAYOUT || !is_dense(sample),
              what + ": dense operands, aligned as buffers are, are refused for their layout, which no copy betters: " +
                  refusal.what);
        const bool is_copy = sample.op == LKS_OP_COPY;
        for (std::size_t o = 0; o < sample.outputs.size() && !is_copy; ++o) {
          anywhere.tensors[sample.inputs.size() + o].alignment = s.info.min_alignment;
        }
        if (!taken || query(s, anywhere, &refusal)) continue;
        check(!is_copy,
              what +
                  ": refused where an operand begins at any element; the host needs `copy` to read and write such "
                  "views: " +
                  refusal.what);
        check_copies_help(s, anywhere, sample.inputs.size(), what);
      }
    }
  }
}

void other_modes(const RuntimeTarget& target) {
  Session s(target);
  for (std::uint32_t mode : {0u, 1u, 2u, 3u, 77u, 0xffff'ffffu}) {
    if (mode < 32 && s.offers(mode)) continue;
    for (const KernelSample& sample : kernel_samples(target.seed, 1)) {
      Description asked(sample, mode, s.info.min_alignment);
      lks_diag refusal = empty_diagnosis();
      check(!query(s, asked, &refusal),
            sample.name + text(" is offered in mode %u, which the device does not offer", mode));
      check(refusal.reason == LKS_REASON_MATH_MODE || refusal.reason == LKS_REASON_OP,
            sample.name + text(" in mode %u is refused for %s, not for LKS_REASON_MATH_MODE: %s", mode,
                               reason_name(refusal.reason).c_str(), refusal.what));
      check(!Kernel(s, sample, mode),
            sample.name + text(" is prepared in mode %u, which the device does not offer", mode));
    }
  }
}

lks_diag expected_refusal(Session& s, Description& asked, const std::string& what) {
  const std::optional<lks_diag> refusal = refusal_of(s, asked, what);
  check(refusal.has_value(), what + " is offered");
  return *refusal;
}

void unknown_op(const RuntimeTarget& target) {
  Session s(target);
  for (std::uint32_t op : {0x7fff'fff0u, 0xffff'ffffu, 59u}) {
    KernelSample sample = multiply_add_sample(8);
    sample.program = nullptr;
    sample.op = op;
    sample.op_name = "no_such_op";
    Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
    const lks_diag refusal = expected_refusal(s, asked, text("op %u", op));
    check(refusal.reason == LKS_REASON_OP, text("an unknown op is refused for %s, not for LKS_REASON_OP: %s",
                                                reason_name(refusal.reason).c_str(), refusal.what));
    check(!s.api.kernel_variant(s.driver, op, 0), "an unknown op has variants");
  }
  KernelSample named = multiply_add_sample(8);
  named.program = nullptr;
  named.op = LKS_OP_NAMED;
  named.op_name = "suite::no_such_op";
  Description asked(named, LKS_MODE_STRICT, s.info.min_alignment);
  expected_refusal(s, asked, "a named op that nobody knows");
}

void newer_schema(const RuntimeTarget& target) {
  Session s(target);
  for (KernelSample& sample : kernel_samples(target.seed, 1)) {
    Description before(sample, LKS_MODE_STRICT, s.info.min_alignment);
    if (!query(s, before)) continue;
    sample.version = 1000;
    Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
    const lks_diag refusal = expected_refusal(s, asked, sample.name + " of schema version 1000");
    check(refusal.reason == LKS_REASON_VERSION,
          sample.name + text(" of schema version 1000 is refused for %s, not for LKS_REASON_VERSION: %s",
                             reason_name(refusal.reason).c_str(), refusal.what));
  }
}

// Descriptions that every driver must refuse.
void nonsense(const RuntimeTarget& target) {
  Session s(target);
  for (const KernelSample& sample : kernel_samples(target.seed, 1)) {
    Description before(sample, LKS_MODE_STRICT, s.info.min_alignment);
    if (!query(s, before) || sample.inputs.empty()) continue;
    for (lks_dtype dtype : {LKS_DTYPE(LKS_CLASS_FLOAT_E4M3, 8), LKS_DTYPE(LKS_CLASS_INT, 4), LKS_DTYPE(29, 32), 0u}) {
      Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
      for (lks_tensor_desc& t : asked.tensors) t.dtype = dtype;
      expected_refusal(s, asked, sample.name + text(" of dtype 0x%x", dtype));
    }
    for (std::int32_t rank : {LKS_MAX_RANK + 1, 1000, -1}) {
      Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
      asked.tensors[0].rank = rank;
      const lks_diag refusal = expected_refusal(s, asked, sample.name + text(" with an input of rank %d", rank));
      check(refusal.operand <= 0 || refusal.reason != LKS_REASON_RANK, "the refused rank is blamed on another operand");
    }
  }
}

// deps may be NULL, structs may be larger than the driver's, and extensions with LKS_MAY_SKIP are skipped.
void optional_parts(const RuntimeTarget& target) {
  Session s(target);
  for (const KernelSample& sample : kernel_samples(target.seed, 1)) {
    Description plain(sample, LKS_MODE_STRICT, s.info.min_alignment);
    if (!query(s, plain)) continue;
    Description without(sample, LKS_MODE_STRICT, s.info.min_alignment);
    without.info.deps = nullptr;
    check(query(s, without), sample.name + " is refused when the host does not ask for deps");
    Description larger(sample, LKS_MODE_STRICT, s.info.min_alignment);
    const lks_header extension{sizeof(lks_header), LKS_MAY_SKIP | 4u, nullptr};
    struct {
      lks_kernel_info info;
      unsigned char future[64];
    } grown;
    std::memset(&grown, 0xc3, sizeof grown);
    grown.info = larger.info;
    grown.info.hdr.size = sizeof grown;
    grown.info.hdr.next = &extension;
    larger.desc.hdr = {sizeof larger.desc + 64, 0, &extension};
    for (lks_tensor_desc& t : larger.tensors) t.hdr.next = &extension;
    Call call("kernel_query with newer structs");
    call.ok(s.api.kernel_query(s.driver, s.ordinal, &larger.desc, &grown.info, call.diag()));
    check(std::strcmp(grown.info.variant, plain.info.variant) == 0,
          sample.name + ": newer structs give another variant");
    check(grown.info.hdr.size == sizeof grown && grown.info.hdr.next == &extension,
          sample.name + ": the header of info was changed");
    for (unsigned char byte : grown.future) check(byte == 0xc3, sample.name + ": kernel_query wrote beyond info");
  }
}

// Properties that a kernel's deps do not name may differ at launch.
void deps_are_true(Session& s, Queue& queue, std::uint64_t seed, std::uint32_t mode) {
  const std::vector<KernelSample> described = kernel_samples(seed, 2), launched = kernel_samples(seed, 3);
  for (std::size_t i = 0; i < described.size(); ++i) {
    const KernelSample &first = described[i], &other = launched[i];
    if (first.attrs != other.attrs) continue;            // these are different kernels
    if (mode == LKS_MODE_FAST && !first.core) continue;  // which take exponentials, and may take them in another way
    Description asked(first, mode, s.info.min_alignment);
    if (!query(s, asked)) continue;
    bool depends = false;
    for (const lks_operand_deps& d : asked.deps)
      depends = depends || d.dims || d.strides || d.stride_classes || d.dense;
    if (depends) continue;
    const Kernel general(s, first, mode), special(s, other, mode);
    check(special && general, first.name + ": a kernel that depends on no extent is refused for other extents");
    const std::vector<Bytes> expected = run_sample(s, queue, other, special),
                             got = run_sample(s, queue, other, general);
    for (std::size_t o = 0; o < got.size(); ++o) {
      check_same_bytes(got[o], expected[o],
                       first.name + ", prepared for other extents on which it claims not to depend, output");
    }
  }
}

void deps_are_true_in_every_mode(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  for (const std::uint32_t mode : {LKS_MODE_STRICT, LKS_MODE_FAST, LKS_MODE_LOCKSTEP}) {
    if (s.offers(mode)) deps_are_true(s, queue, target.seed, mode);
  }
}

// The variants of all samples; empty where a kernel is refused.
std::vector<std::string> variants(const lks_driver_api& api, lks_driver* driver, const RuntimeTarget& target,
                                  std::uint64_t alignment) {
  std::vector<std::string> all;
  for (const KernelSample& sample : kernel_samples(target.seed, 2)) {
    Description asked(sample, LKS_MODE_STRICT, alignment);
    Call call("kernel_query");
    const bool yes =
        call.done(api.kernel_query(driver, target.ordinal, &asked.desc, &asked.info, call.diag())) == LKS_OK;
    all.emplace_back(yes ? asked.info.variant : "");
  }
  return all;
}

// kernel_query allocates nothing, passes no fault point and needs no open device: it gives the same answers with one.
void query_is_free(const RuntimeTarget& target) {
  const Session s(target);
  const std::uint64_t alignment = s.info.min_alignment;
  DriverLibrary library(target.library);
  TestHost host;
  const lks_driver_api& api = library.table(host.api());
  lks_driver* driver = nullptr;
  Call open("driver_open");
  open.ok(api.driver_open(&host.api(), &driver, open.diag()));
  const std::unique_ptr<lks_driver, void(LKS_CALL*)(lks_driver*)> owner(driver, api.driver_close);
  host.fail_at(0);
  const std::vector<std::string> closed = variants(api, driver, target, alignment);
  check(host.passed(LKS_FAULT_ALLOC) == 0, "kernel_query allocates");
  check(!closed[0].empty(), "without an open device, a pointwise program on i32 is refused");
  const std::vector<KernelSample> samples = kernel_samples(target.seed, 2);
  const std::vector<std::string> opened = variants(s.api, s.driver, target, alignment);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    check(closed[i] == opened[i], samples[i].name + ": a query names the variant \"" + closed[i] +
                                      "\" without an open device, and \"" + opened[i] + "\" with one");
  }
}

}  // namespace

std::vector<RuntimeCase> kernel_query_cases() {
  return {
      {"abi", "query_and_prepare_agree", "a query's answer and variant are those of the preparation, and are listed",
       &query_and_prepare_agree},
      {"abi", "core_is_offered", "the small core of kernels is there in every mode that the device offers",
       &core_is_offered},
      {"abi", "alignment_can_be_had",
       "what a kernel refuses for its alignment the host can copy, and copies take every alignment",
       &alignment_can_be_had},
      {"abi", "other_modes", "modes that the device does not offer are refused for their mode", &other_modes},
      {"abi", "unknown_op", "unknown ops are refused for the op", &unknown_op},
      {"abi", "newer_schema", "newer schemas of known ops are refused for their version", &newer_schema},
      {"abi", "nonsense", "impossible dtypes and ranks are refused with a reason", &nonsense},
      {"abi", "optional_parts", "deps may be left out, structs may be larger, extensions are skipped", &optional_parts},
      {"abi", "deps_are_true", "a kernel serves every call that agrees in what it says it depends on",
       &deps_are_true_in_every_mode},
      {"abi", "query_is_free", "a query needs no open device and takes nothing", &query_is_free},
  };
}

}  // namespace lockstep::conformance
