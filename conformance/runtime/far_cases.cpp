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

// A dense matrix of a few rows, with its last row behind the far place; nullopt for all other operands.
std::optional<Operand> with_far_rows(const Operand& operand, u64 reach) {
  const bool is_matrix = operand.dims.size() == 2 && operand.strides.empty() && operand.dims[0] > 1;
  if (!is_matrix || operand.dims[0] > 9) return std::nullopt;
  Operand far = operand;
  const u64 steps = static_cast<u64>(operand.dims[0] - 1);
  far.strides = {static_cast<std::int64_t>(reach / (steps * operand.element_size())) + 1, 1};
  return far;
}

// Puts the inputs and outputs of a sample behind the far place of the buffer.
class FarSample {
 public:
  // `spread`, if given, replaces the first input: its rows are far apart, and only the last one is behind that place.
  FarSample(Queue& queue, const FarBuffer& far, const KernelSample& sample, const std::optional<Operand>& spread)
      : queue_(queue), far_(far), sample_(sample) {
    if (spread) sample_.inputs[0] = *spread;
    u64 next = 4096;  // behind the far place
    for (std::size_t i = 0; i < sample.inputs.size() + sample.outputs.size(); ++i) {
      const bool is_input = i < sample.inputs.size();
      const Operand& operand = is_input ? sample.inputs[i] : sample.outputs[i - sample.inputs.size()];
      if (operand.absent) {
        locations_.push_back({});
        continue;
      }
      check(next + operand.span() < behind, "a sample is larger than the bytes behind the far place");
      const bool is_spread = spread && i == 0;
      const u64 begin = is_spread ? 2048 : far.reach + next;
      locations_.push_back({&far.buffer, static_cast<std::int64_t>(begin / operand.element_size())});
      if (!is_input) {
        queue.fill(far.buffer, begin, operand.span(), 0xff);
      } else if (is_spread) {
        upload_rows(begin);
      } else {
        queue.upload(far.buffer, sample.values[i], begin);
      }
      next += (operand.span() + 127) / 64 * 64;
    }
  }

  const KernelSample& sample() const { return sample_; }
  const std::vector<TensorLocation>& locations() const { return locations_; }
  Bytes output(std::size_t o) const {
    const TensorLocation& at = locations_[sample_.inputs.size() + o];
    const Operand& operand = sample_.outputs[o];
    return queue_.download(far_.buffer, static_cast<u64>(at.offset) * operand.element_size(), operand.span());
  }

 private:
  void upload_rows(u64 begin) const {
    const Operand& operand = sample_.inputs[0];
    const u64 row = static_cast<u64>(operand.dims[1]) * operand.element_size();
    const u64 stride = static_cast<u64>(operand.strides[0]) * operand.element_size();
    for (u64 r = 0; r < static_cast<u64>(operand.dims[0]); ++r) {
      const auto from = sample_.values[0].begin() + static_cast<std::ptrdiff_t>(r * row);
      queue_.upload(far_.buffer, Bytes(from, from + static_cast<std::ptrdiff_t>(row)), begin + r * stride);
    }
  }

  Queue& queue_;
  const FarBuffer& far_;
  KernelSample sample_;
  std::vector<TensorLocation> locations_;
};

// Every kernel gives the same results there as on operands in buffers of their own.
int check_far_samples(Session& s, Queue& queue, const FarBuffer& far, u64 seed) {
  std::vector<KernelSample> samples = samples_of_other_dtypes(seed);
  for (KernelSample& sample : kernel_samples(seed, 3)) {
    // The others take exponentials and divide, which another kernel for other strides may do in another order.
    if (sample.core) samples.push_back(std::move(sample));
  }
  int count = 0;
  for (const KernelSample& sample : samples) {
    const Kernel kernel(s, sample, LKS_MODE_STRICT, any_alignment);
    if (!kernel) continue;
    const std::vector<Bytes> expected = run_sample(s, queue, sample, kernel);
    std::vector<std::optional<Operand>> first_inputs = {std::nullopt};
    if (!sample.inputs.empty()) first_inputs.push_back(with_far_rows(sample.inputs[0], far.reach));
    if (!first_inputs.back()) first_inputs.resize(1);
    for (const std::optional<Operand>& spread : first_inputs) {
      const FarSample placed(queue, far, sample, spread);
      if (!ran(s, queue, placed.sample(), placed.locations())) continue;
      ++count;
      for (std::size_t o = 0; o < expected.size(); ++o) {
        check_same_bytes(placed.output(o), expected[o],
                         sample.name + text(": output %zu, ", o) +
                             (spread ? "of rows that lie far apart" : "far behind in a buffer"));
      }
    }
  }
  return count;
}

void far_kernels(const RuntimeTarget& target) {
  Session s(target);
  const FarBuffer far = FarBuffer::of(s);
  Queue queue(s);
  const int count = check_far_operands(s, queue, far, target.seed) + check_far_rows(s, queue, far, target.seed + 1) +
                    check_far_samples(s, queue, far, target.seed + 2);
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
