// Red zones: a command does not change the bytes around its operands, and its result does not depend on them. Each
// kernel runs twice, with two different patterns around its operands.
#include <algorithm>
#include <optional>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

constexpr unsigned char patterns[] = {0xff, 0x5a};  // the first is NaN as a float of any width
constexpr u64 zone = 256;                           // minimum number of bytes before and after each operand

// A tensor inside a larger buffer.
struct Field {
  u64 bytes, begin;  // the size of the buffer; the offset of the tensor
};

// How far behind the first red zone operands begin, and the alignment that the kernel is told. Eight bytes are not
// enough for vectors of 16, and 16 or 32 not for longer ones, or for a device whose buffers begin at 64.
struct Start {
  u64 elements, bytes, alignment;
};
constexpr u64 eight_bytes = 8;
constexpr Start starts[] = {{0, 0, zone},          {1, 0, any_alignment},
                            {3, 0, any_alignment}, {0, eight_bytes, eight_bytes},
                            {0, 16, 16},           {0, 32, 32}};

Field field_for(const Operand& operand, const Start& start) {
  const u64 begin = zone + start.elements * operand.element_size() + start.bytes;
  return {begin + operand.span() + zone, begin};
}

// Marks the bytes of the operand's elements; gaps between them are part of the red zone.
void mark(const Operand& operand, u64 begin, std::vector<bool>& is_element) {
  const std::vector<std::int64_t> strides = operand.all_strides();
  std::vector<std::int64_t> at(operand.dims.size(), 0);
  for (std::int64_t n = operand.count(); n > 0; --n) {
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < at.size(); ++d) offset += at[d] * strides[d];
    const u64 first = begin + static_cast<u64>(offset) * operand.element_size();
    for (u64 b = 0; b < operand.element_size(); ++b) is_element[first + b] = true;
    for (std::size_t d = at.size(); d-- > 0;) {
      if (++at[d] < operand.dims[d]) break;
      at[d] = 0;
    }
  }
}

struct Surrounded {
  std::vector<Buffer> buffers;
  std::vector<Bytes> before;
  std::vector<TensorLocation> locations;
};

// Puts the sample's operands into buffers filled with the pattern.
Surrounded surround(Session& s, Queue& queue, const KernelSample& sample, unsigned char pattern, const Start& start) {
  Surrounded all;
  const std::size_t count = sample.inputs.size() + sample.outputs.size();
  all.buffers.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_input = i < sample.inputs.size();
    const Operand& operand = is_input ? sample.inputs[i] : sample.outputs[i - sample.inputs.size()];
    const Field field = field_for(operand, start);
    all.buffers.emplace_back(s, field.bytes);
    Bytes bytes(field.bytes, pattern);
    if (is_input && !operand.absent) {
      std::copy(sample.values[i].begin(), sample.values[i].end(),
                bytes.begin() + static_cast<std::ptrdiff_t>(field.begin));
    }
    queue.upload(all.buffers.back(), bytes);
    all.before.push_back(std::move(bytes));
    all.locations.push_back({&all.buffers.back(), static_cast<std::int64_t>(field.begin / operand.element_size())});
  }
  return all;
}

void check_workspace(Queue& queue, const std::optional<Buffer>& workspace, u64 begin, u64 bytes, unsigned char pattern,
                     const std::string& name) {
  if (!workspace) return;
  Bytes got = queue.download(*workspace);
  std::fill_n(got.begin() + static_cast<std::ptrdiff_t>(begin), bytes, pattern);
  check_same_bytes(got, Bytes(got.size(), pattern), name + ": bytes around its workspace");
}

// Runs the sample with `pattern` around its operands. Returns the bytes of the outputs' elements, all others set to 0.
std::vector<Bytes> run_amid(Session& s, Queue& queue, const KernelSample& sample, const Kernel& kernel,
                            unsigned char pattern, const Start& start) {
  const Surrounded all = surround(s, queue, sample, pattern, start);
  std::optional<Buffer> workspace;
  const u64 needed = kernel.info().workspace_bytes, begin = s.info.min_alignment * 4;
  if (needed > 0) {
    workspace.emplace(s, begin + needed + zone);
    queue.fill(*workspace, 0, workspace->bytes(), pattern);
  }
  Launch launch(kernel, sample, all.locations, workspace ? &*workspace : nullptr, begin);
  wait_for(s, queue.timeline(), launch_once(queue, launch));
  for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
    check_same_bytes(queue.download(all.buffers[i]), all.before[i], sample.name + text(": input %zu and around it", i));
  }
  check_workspace(queue, workspace, begin, needed, pattern, sample.name);
  std::vector<Bytes> results;
  for (std::size_t o = 0; o < sample.outputs.size(); ++o) {
    const std::size_t i = sample.inputs.size() + o;
    const Bytes got = queue.download(all.buffers[i]);
    std::vector<bool> is_element(got.size(), false);
    mark(sample.outputs[o], field_for(sample.outputs[o], start).begin, is_element);
    Bytes around = got, elements = got;
    for (std::size_t b = 0; b < got.size(); ++b)
      (is_element[b] ? around[b] : elements[b]) = is_element[b] ? pattern : 0;
    check_same_bytes(around, all.before[i], sample.name + text(": bytes around output %zu", o));
    results.push_back(std::move(elements));
  }
  return results;
}

void kernels(const RuntimeTarget& target, std::uint32_t mode) {
  Session s(target);
  if (!s.offers(mode)) throw NotOffered("the device does not offer this math mode");
  Queue queue(s);
  int ran = 0;
  for (const KernelSample& sample : all_samples(target.seed)) {
    for (const Start& start : starts) {
      const Kernel kernel(s, sample, mode, std::min(s.info.min_alignment, start.alignment));
      if (!kernel) continue;
      ++ran;
      const std::vector<Bytes> one = run_amid(s, queue, sample, kernel, patterns[0], start);
      const std::vector<Bytes> two = run_amid(s, queue, sample, kernel, patterns[1], start);
      if (!must_repeat(sample, kernel, mode)) continue;  // the bytes around its operands have been checked
      for (std::size_t o = 0; o < one.size(); ++o) {
        check_same_bytes(two[o], one[o],
                         sample.name + text(" (first elements shifted by %d and %d bytes): output %zu amid other bytes",
                                            static_cast<int>(start.elements), static_cast<int>(start.bytes), o));
      }
    }
  }
  check(ran > 0, "the driver refuses every kernel");
}

void strict_kernels(const RuntimeTarget& target) { kernels(target, LKS_MODE_STRICT); }
void fast_kernels(const RuntimeTarget& target) { kernels(target, LKS_MODE_FAST); }
void lockstep_kernels(const RuntimeTarget& target) { kernels(target, LKS_MODE_LOCKSTEP); }

// Commands on one of several buffers, allocated one after the other, do not change its neighbours.
void neighbours(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  std::vector<Buffer> row;
  const std::vector<u64> sizes = {1, 17, 64, 100, 4096, 4097, 65'536, 100'001};
  for (u64 bytes : sizes) {
    for (int i = 0; i < 3; ++i) row.emplace_back(s, bytes);
  }
  std::vector<Bytes> expected;
  TestRandom random(target.seed);
  for (const Buffer& buffer : row) {
    expected.push_back(random.bytes(buffer.bytes()));
    queue.upload(buffer, expected.back());
  }
  for (std::size_t i = 1; i < row.size(); i += 3) {  // the middle one of every three
    const u64 bytes = row[i].bytes();
    queue.fill(row[i], 0, bytes, 0x3c, 1);
    queue.copy(row[i], 0, row[i - 1], 0, bytes);
    expected[i] = expected[i - 1];
    if (i % 2) {
      queue.write(row[i], 0, expected[i + 1].data(), bytes);
      expected[i] = expected[i + 1];
    }
  }
  queue.finish();
  for (std::size_t i = 0; i < row.size(); ++i) {
    check_same_bytes(
        queue.download(row[i]), expected[i],
        text("buffer %zu of %llu bytes in a row of buffers", i, static_cast<unsigned long long>(row[i].bytes())));
  }
}

// A kernel whose output aliases an input, as its description declares.
void in_place(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  KernelSample sample = multiply_add_sample(1237);
  sample.aliases = {{0, 0}};
  const Kernel aligned(s, sample), anywhere(s, sample, LKS_MODE_STRICT, any_alignment),
      at_eight_bytes(s, sample, LKS_MODE_STRICT, eight_bytes);
  if (!aligned && !anywhere && !at_eight_bytes) throw NotOffered("no pointwise program in place");
  for (std::int64_t offset : {0, 1, 7, 2}) {
    const Kernel& kernel = offset == 0 ? aligned : offset == 2 ? at_eight_bytes : anywhere;
    if (!kernel) continue;
    const u64 begin = 4 * static_cast<u64>(offset), bytes = sample.values[0].size();
    const Buffer a(s, bytes + begin + 64), b(s, bytes);
    Bytes expected(a.bytes(), 0xa5);
    std::copy(sample.values[0].begin(), sample.values[0].end(), expected.begin() + static_cast<std::ptrdiff_t>(begin));
    queue.upload(a, expected);
    queue.upload(b, sample.values[1]);
    Launch launch(kernel, sample, {{&a, offset}, {&b, 0}, {&a, offset}});
    wait_for(s, queue.timeline(), launch_once(queue, launch));
    const Bytes result = multiply_add(sample.values[0], sample.values[1]);
    std::copy(result.begin(), result.end(), expected.begin() + static_cast<std::ptrdiff_t>(begin));
    check_same_bytes(queue.download(a), expected, "a pointwise program in place");
  }
}

}  // namespace

std::vector<RuntimeCase> red_zone_cases() {
  return {
      {"memory", "red_zones_strict",
       "kernels write all of their outputs and no byte around them, and read none around their inputs",
       &strict_kernels},
      {"memory", "red_zones_fast", "the same in fast mode", &fast_kernels},
      {"memory", "red_zones_lockstep", "the same in lockstep mode", &lockstep_kernels},
      {"memory", "neighbours", "commands on one buffer leave the buffers beside it alone", &neighbours},
      {"memory", "in_place", "a declared alias computes in the memory of its input", &in_place},
  };
}

}  // namespace lockstep::conformance
