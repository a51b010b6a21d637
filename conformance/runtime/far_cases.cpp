// Offsets, strides and byte counts that 31 or 32 bits do not hold. The buffers are large, but only a few places in them
// are touched, so that a device that commits memory when it is touched needs little of it. Where an offset is cut, it
// leads to bytes near the beginning of the buffer, which differ.
#include <optional>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

constexpr u64 behind = u64{1} << 20;  // bytes of the buffer behind the far place

// A buffer with a place at `reach` that needs 33 bits, or, on a device without room for that, all 32 bits.
struct FarBuffer {
  Buffer buffer;
  u64 reach;

  static FarBuffer of(Session& s) {
    for (const u64 distance : {u64{1} << 32, u64{1} << 31}) {
      const u64 bytes = distance + behind;
      if (bytes > s.info.max_allocation || bytes > free_memory(s)) continue;
      try {
        return {Buffer(s, bytes), distance};
      } catch (const DriverFailure& e) {
        if (e.status != LKS_OUT_OF_MEMORY) throw;
      }
    }
    throw NotOffered("the device has no room for a buffer of 2 GiB and 1 MiB");
  }
};

void transfers_on(Session& s, const FarBuffer& far, std::uint32_t kind, u64 seed) {
  Queue queue(s, kind);
  TestRandom random(seed);
  const Buffer& buffer = far.buffer;
  const u64 places[] = {5, far.reach / 2 + 5, far.reach + 5};
  constexpr u64 size = 70'001, to_fill = 100'000, filled = 5000, to_copy = 200'000;
  std::vector<Bytes> written;
  for (const u64 place : places) {
    written.push_back(random.bytes(size));
    queue.upload(buffer, written.back(), place);
  }
  for (std::size_t i = 0; i < std::size(places); ++i) {
    queue.fill(buffer, places[i] + to_fill, filled, 0x31 + i);
    // From the next place, the last of all from the first.
    queue.copy(buffer, places[i] + to_copy, buffer, places[(i + 1) % std::size(places)], size);
  }
  for (std::size_t i = 0; i < std::size(places); ++i) {
    const std::string at = text(" at byte %llu", static_cast<unsigned long long>(places[i]));
    check_same_bytes(queue.download(buffer, places[i], size), written[i], "what was written" + at);
    check_same_bytes(queue.download(buffer, places[i] + to_fill, filled),
                     Bytes(filled, static_cast<unsigned char>(0x31 + i)),
                     "what was filled behind what was written" + at);
    check_same_bytes(queue.download(buffer, places[i] + to_copy, size), written[(i + 1) % std::size(places)],
                     "what was copied behind what was written" + at);
  }
}

void far_transfers(const RuntimeTarget& target) {
  Session s(target);
  const FarBuffer far = FarBuffer::of(s);
  for (const std::uint32_t kind : {LKS_QUEUE_COMPUTE, LKS_QUEUE_TRANSFER}) {
    transfers_on(s, far, kind, target.seed + kind);
  }
}

// Runs the sample, unless the driver refuses it. Returns whether it ran.
bool ran(Session& s, Queue& queue, const KernelSample& sample, const std::vector<TensorLocation>& locations) {
  const Kernel kernel(s, sample, LKS_MODE_STRICT, any_alignment);
  if (!kernel) return false;
  std::optional<Buffer> workspace;
  if (kernel.info().workspace_bytes > 0) workspace.emplace(s, kernel.info().workspace_bytes);
  Launch launch(kernel, sample, locations, workspace ? &*workspace : nullptr);
  wait_for(s, queue.timeline(), launch_once(queue, launch));
  return true;
}

KernelSample copy_sample(Operand from, Operand to) {
  KernelSample sample;
  sample.op = LKS_OP_COPY;
  sample.op_name = "copy";
  sample.name = "copy";
  sample.inputs = {std::move(from)};
  sample.outputs = {std::move(to)};
  return sample;
}

// Dense operands that lie at the far place. What lies at the same distance from the beginning stays as it is.
int check_far_operands(Session& s, Queue& queue, const FarBuffer& far, u64 seed) {
  TestRandom random(seed);
  constexpr u64 size = 1028, first = 1000, second = 20'000, third = 40'000;
  const Bytes near = random.bytes(third + size), a = random.bytes(size), b = random.bytes(size);
  queue.upload(far.buffer, near);
  queue.upload(far.buffer, a, far.reach + first);
  queue.upload(far.buffer, b, far.reach + second);
  const auto at = [&](u64 byte, u64 element_size) {
    return TensorLocation{&far.buffer, static_cast<std::int64_t>((far.reach + byte) / element_size)};
  };
  int count = 0;
  const auto check_result = [&](const Bytes& expected, const std::string& what) {
    ++count;
    check_same_bytes(queue.download(far.buffer, far.reach + third, size), expected, what + " far behind in a buffer");
    check_same_bytes(queue.download(far.buffer, 0, near.size()), near, "the beginning of the buffer after " + what);
  };
  const Operand bytes{LKS_U8, {static_cast<std::int64_t>(size)}};
  if (ran(s, queue, copy_sample(bytes, bytes), {at(first, 1), at(third, 1)})) check_result(a, "a copy of bytes");
  const KernelSample sum = multiply_add_sample(size / 4);
  if (ran(s, queue, sum, {at(first, 4), at(second, 4), at(third, 4)})) {
    check_result(multiply_add(a, b), "a pointwise program");
  }
  return count;
}

// Three rows of a tensor, of which the second begins half-way to the far place and the third behind it.
int check_far_rows(Session& s, Queue& queue, const FarBuffer& far, u64 seed) {
  TestRandom random(seed);
  constexpr std::int64_t columns = 257, first = 25'000;  // in elements
  constexpr u64 size = 4, row_bytes = columns * size;
  const std::int64_t stride = static_cast<std::int64_t>(far.reach / (2 * size)) + 3;
  const Operand rows{LKS_I32, {3, columns}, {stride, 1}}, dense{LKS_I32, {3, columns}};
  const Bytes a = random.bytes(3 * row_bytes), b = random.bytes(3 * row_bytes);
  const Buffer other(s, a.size()), result(s, a.size());
  const auto row_of = [&](const Bytes& bytes, std::int64_t r) {
    const auto from = bytes.begin() + r * static_cast<std::ptrdiff_t>(row_bytes);
    return Bytes(from, from + static_cast<std::ptrdiff_t>(row_bytes));
  };
  const auto place_of = [&](std::int64_t r) { return static_cast<u64>(first + r * stride) * size; };
  for (std::int64_t r = 0; r < 3; ++r) queue.upload(far.buffer, row_of(a, r), place_of(r));
  queue.upload(other, b);
  int count = 0;
  if (ran(s, queue, copy_sample(rows, dense), {{&far.buffer, first}, {&result, 0}})) {
    ++count;
    check_same_bytes(queue.download(result), a, "a copy of rows that lie far apart");
  }
  KernelSample sum = multiply_add_sample(1);
  sum.inputs = {rows, dense};
  sum.outputs = {dense};
  if (ran(s, queue, sum, {{&far.buffer, first}, {&other, 0}, {&result, 0}})) {
    ++count;
    check_same_bytes(queue.download(result), multiply_add(a, b), "a pointwise program on rows that lie far apart");
  }
  if (ran(s, queue, copy_sample(dense, rows), {{&other, 0}, {&far.buffer, first}})) {
    ++count;
    for (std::int64_t r = 0; r < 3; ++r) {
      check_same_bytes(queue.download(far.buffer, place_of(r), row_bytes), row_of(b, r),
                       text("row %d of a copy into rows that lie far apart", static_cast<int>(r)));
    }
  }
  return count;
}

void far_kernels(const RuntimeTarget& target) {
  Session s(target);
  const FarBuffer far = FarBuffer::of(s);
  Queue queue(s);
  const int count = check_far_operands(s, queue, far, target.seed) + check_far_rows(s, queue, far, target.seed + 1);
  if (count == 0) throw NotOffered("the driver refuses these kernels");
}

// Fills and copies that are so long. All of the buffer is touched.
void far_counts(const RuntimeTarget& target) {
  Session s(target);
  const FarBuffer far = FarBuffer::of(s);
  Queue queue(s);
  constexpr u64 some = 1000;
  const u64 half = far.reach / 2, length = far.reach + 70 * some;
  queue.fill(far.buffer, far.reach, behind, 0x11);
  queue.fill(far.buffer, 0, length, 0x5a);
  for (const u64 place : {u64{0}, half, far.reach - some, length - some}) {
    check_same_bytes(queue.download(far.buffer, place, some), Bytes(some, 0x5a),
                     text("a long fill, at byte %llu", static_cast<unsigned long long>(place)));
  }
  check_same_bytes(queue.download(far.buffer, length, some), Bytes(some, 0x11), "the bytes behind a long fill");
  const Bytes end = TestRandom(target.seed).bytes(some);
  queue.upload(far.buffer, end, half);
  queue.copy(far.buffer, half + 4 * some, far.buffer, 0, half + some);
  check_same_bytes(queue.download(far.buffer, far.reach + 4 * some, some), end, "the end of a long copy");
}

}  // namespace

std::vector<RuntimeCase> far_cases() {
  return {
      {"copy", "far_transfers", "writes, reads, fills and copies at offsets that 32 bits do not hold", &far_transfers},
      {"copy", "far_kernels", "kernels on operands that lie there, and on rows that are as far apart", &far_kernels},
      {"copy", "far_counts", "fills and copies of more bytes than 31 or 32 bits count", &far_counts, true}};
}

}  // namespace lockstep::conformance
