// Copies, writes, reads and fills at odd offsets and sizes, on both kinds of queues, and tensor copies between devices.
#include <algorithm>
#include <cstring>

#include "conformance/runtime/guarded_memory.h"
#include "conformance/runtime/runtime_device.h"
#include "conformance/runtime/session.h"
#include "conformance/runtime/suites.h"
#include "lockstep/lockstep.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

struct Move {
  u64 to, from, bytes;
};

// Every size up to 70 at several offsets, and some large sizes. Each move has its own range of the buffers.
std::vector<Move> moves(u64& extent) {
  std::vector<Move> all;
  u64 at = 0;
  const auto add = [&](u64 to_offset, u64 from_offset, u64 bytes) {
    all.push_back({at + to_offset, at + from_offset, bytes});
    at += (bytes + 32 + 15) / 16 * 16;
  };
  for (u64 bytes = 0; bytes <= 70; ++bytes) {
    for (u64 to : {0, 1, 2, 3, 7, 8}) {
      for (u64 from : {0, 1, 4, 5, 7}) add(to, from, bytes);
    }
  }
  for (u64 bytes : {127, 1023, 4097, 65'535, 1'000'003}) {
    for (u64 to : {0, 1, 13}) {
      for (u64 from : {0, 3, 16}) add(to, from, bytes);
    }
  }
  extent = at;
  return all;
}

template <std::uint32_t kind>
void copies(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s, kind);
  u64 extent = 0;
  const std::vector<Move> all = moves(extent);
  const Buffer from(s, extent), to(s, extent);
  const Bytes source = TestRandom(target.seed).bytes(extent);
  Bytes expected(extent, 0xa5);
  queue.upload(from, source);
  queue.upload(to, expected);
  for (const Move& m : all) {
    queue.copy(to, m.to, from, m.from, m.bytes);
    std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(m.from), m.bytes,
                expected.begin() + static_cast<std::ptrdiff_t>(m.to));
  }
  queue.finish();
  check_same_bytes(queue.download(to), expected, "the target of copies at odd offsets");
  check_same_bytes(queue.download(from), source, "the source of copies");
}

template <std::uint32_t kind>
void copies_within(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s, kind);
  constexpr u64 half = 5000;
  const Buffer buffer(s, 2 * half);
  Bytes expected = TestRandom(target.seed).bytes(2 * half);
  queue.upload(buffer, expected);
  TestRandom random(target.seed + 1);
  for (int i = 0; i < 400; ++i) {
    const bool up = random.below(2);
    const u64 bytes = random.below(400), low = random.below(half - 400), high = half + random.below(half - 400);
    const u64 dst = up ? high : low, src = up ? low : high;
    queue.copy(buffer, dst, buffer, src, bytes);
    std::copy_n(expected.begin() + static_cast<std::ptrdiff_t>(src), bytes,
                expected.begin() + static_cast<std::ptrdiff_t>(dst));
  }
  // Source and destination are adjacent, so that one byte too many overwrites the source.
  queue.copy(buffer, 100, buffer, 37, 63);
  std::copy_n(expected.begin() + 37, 63, expected.begin() + 100);
  queue.copy(buffer, 1000, buffer, 1063, 63);
  std::copy_n(expected.begin() + 1063, 63, expected.begin() + 1000);
  queue.finish();
  check_same_bytes(queue.download(buffer), expected, "one buffer after copies between its halves");
}

template <std::uint32_t kind>
void writes(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s, kind);
  u64 extent = 0;
  const std::vector<Move> all = moves(extent);
  const Buffer to(s, extent);
  const Bytes source = TestRandom(target.seed).bytes(extent);
  Bytes expected(extent, 0x5a);
  queue.upload(to, expected);
  for (const Move& m : all) {
    queue.write(to, m.to, source.data() + m.from, m.bytes);
    std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(m.from), m.bytes,
                expected.begin() + static_cast<std::ptrdiff_t>(m.to));
  }
  queue.finish();
  check_same_bytes(queue.download(to), expected, "the target of writes at odd offsets");
}

// Writes from memory that can only be read and lies between pages that cannot be accessed, so that a driver which reads
// a byte before or behind crashes.
template <std::uint32_t kind>
void guarded_writes(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s, kind);
  TestRandom random(target.seed);
  for (const u64 size : {1, 3, 63, 4095, 4096, 4097, 70'001}) {
    for (const GuardedMemory::Edge edge : {GuardedMemory::Edge::before, GuardedMemory::Edge::behind}) {
      const Bytes expected = random.bytes(size);
      const GuardedMemory memory(expected, edge);
      const Buffer to(s, size);
      wait_for(s, queue.timeline(), queue.write(to, 0, memory.bytes().data(), size));
      check_same_bytes(queue.download(to), expected,
                       text("%llu bytes from the edge of a page", static_cast<unsigned long long>(size)));
    }
  }
}

template <std::uint32_t kind>
void reads(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s, kind);
  u64 extent = 0;
  const std::vector<Move> all = moves(extent);
  const Buffer from(s, extent);
  const Bytes source = TestRandom(target.seed).bytes(extent);
  queue.upload(from, source);
  Bytes got(extent, 0xa5), expected = got;
  for (const Move& m : all) {
    queue.read(got.data() + m.to, from, m.from, m.bytes);
    std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(m.from), m.bytes,
                expected.begin() + static_cast<std::ptrdiff_t>(m.to));
  }
  queue.finish();
  check_same_bytes(got, expected, "host memory after reads at odd offsets");
}

template <std::uint32_t kind>
void fills(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s, kind);
  TestRandom random(target.seed);
  constexpr u64 field = 160, large = 300'008;
  for (std::uint32_t width : {1u, 2u, 4u, 8u}) {
    std::vector<Move> all;
    u64 at = 0;
    for (u64 bytes = 0; bytes <= 72; bytes += width) {
      for (u64 offset : {0u, 1u, 2u, 3u, 5u}) {
        all.push_back({at + offset * width, 0, bytes});
        at += field;
      }
    }
    all.push_back({at + width, 0, large - large % width});
    at += large + field;
    const Buffer buffer(s, at);
    Bytes expected = random.bytes(at);
    queue.upload(buffer, expected);
    for (const Move& m : all) {
      const u64 bits = random.bits();  // the bits above the pattern must be ignored
      queue.fill(buffer, m.to, m.bytes, bits, width);
      for (u64 i = 0; i < m.bytes; ++i) {
        expected[m.to + i] = static_cast<unsigned char>(bits >> (8 * (i % width)));
      }
    }
    queue.finish();
    check_same_bytes(queue.download(buffer), expected, text("fills with patterns of %u bytes", width));
  }
}

// More than twice 64 MiB, a common size of staging memory.
constexpr u64 large = (u64{130} << 20) + 40;

// A buffer of `large` bytes and a few more.
Buffer large_buffer(Session& s) {
  constexpr u64 bytes = large + 8;
  if (s.info.max_allocation < bytes) throw NotOffered("a buffer of 130 MiB is above max_allocation");
  return Buffer(s, bytes);
}

// Copies 130 MiB at odd offsets, on a queue of each kind.
void large_copy(const RuntimeTarget& target) {
  Session s(target);
  const Buffer from = large_buffer(s), to = large_buffer(s);
  constexpr u64 from_offset = 3, to_offset = 5, bytes = large - 1;
  for (const std::uint32_t kind : {LKS_QUEUE_COMPUTE, LKS_QUEUE_TRANSFER}) {
    Queue queue(s, kind);
    const Bytes source = TestRandom(target.seed + kind).bytes(from.bytes());  // not what the other queue has written
    queue.upload(from, source);
    queue.fill(to, 0, to.bytes(), 0x5c);
    queue.copy(to, to_offset, from, from_offset, bytes);
    Bytes expected(to.bytes(), 0x5c);
    std::copy_n(source.begin() + from_offset, bytes, expected.begin() + to_offset);
    check(queue.download(to) == expected, "130 MiB, copied from one buffer to another at odd offsets, differ");
  }
}

template <std::uint32_t kind>
void large_transfers(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s, kind);
  const Buffer buffer = large_buffer(s);
  constexpr u64 first = 3;
  const Bytes source = TestRandom(target.seed).bytes(large);
  queue.fill(buffer, 0, buffer.bytes(), 0x5c);
  queue.upload(buffer, source, first);
  check(queue.download(buffer, first, large) == source, "130 MiB, written at an odd offset and read back, differ");
  Bytes expected(buffer.bytes(), 0x5c);
  std::copy(source.begin(), source.end(), expected.begin() + first);
  check(queue.download(buffer) == expected, "a write of 130 MiB changed the bytes beside it");
}

// Fills 130 MiB with patterns of every width. Some bytes at each end stay as they were.
template <std::uint32_t kind>
void large_fills(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s, kind);
  const Buffer buffer = large_buffer(s);
  constexpr u64 pattern = 0xf1e2d3c4b5a69788u;
  for (const std::uint32_t width : {1u, 2u, 4u, 8u}) {
    if (kind == LKS_QUEUE_TRANSFER && (width == 2 || width == 4)) continue;
    const u64 first = width, bytes = (large - 2 * width) / width * width;
    queue.fill(buffer, 0, buffer.bytes(), 0x5c);
    queue.fill(buffer, first, bytes, pattern, width);
    Bytes expected(buffer.bytes(), 0x5c);
    for (u64 i = 0; i < width; ++i) expected[first + i] = static_cast<unsigned char>(pattern >> (8 * i));
    for (u64 done = width; done < bytes; done += std::min(done, bytes - done)) {
      std::memcpy(expected.data() + first + done, expected.data() + first, std::min(done, bytes - done));
    }
    check(queue.download(buffer) == expected,
          text("130 MiB, filled with a pattern of %u bytes, differ, or the bytes beside them", width));
  }
}

// Copies views at odd offsets to another device and back, through the public runtime.
void between_devices(const RuntimeTarget& target) {
  const Device device = runtime_device(target);
  std::vector<Device> others;
  for (const DeviceInfo& info : devices()) {
    const bool known = info.id == "reference:0" || info.id == "cpu:0";
    if (known && info.available && info.id != device.name()) others.push_back(Device(info.id));
  }
  others.push_back(device);  // a copy within the device, through the same code
  TestRandom random(target.seed);
  for (const Device& other : others) {
    for (int t = 0; t < dtype_count; ++t) {
      const auto dtype = static_cast<DType>(t);
      for (std::int64_t n : {1, 2, 3, 8, 17, 1001}) {
        const std::int64_t first = static_cast<std::int64_t>(random.below(5)) + 1;
        Bytes bytes = random.bytes(static_cast<std::size_t>(n + first + 3) * size_of(dtype));
        if (dtype == DType::boolean) std::for_each(bytes.begin(), bytes.end(), [](unsigned char& b) { b &= 1; });
        const Tensor whole = Tensor::from_bytes(bytes.data(), bytes.size(), {dtype, Shape{n + first + 3}}, device);
        const Tensor there = slice(whole, {{0, first, first + n, 1}}).to(other);
        const std::vector<std::byte> got = there.to_bytes(), back = there.to(device).to_bytes();
        const auto begin =
            bytes.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(first) * size_of(dtype));
        const Bytes expected(begin, begin + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(n) * size_of(dtype)));
        const auto same = [&](const std::vector<std::byte>& b) {
          return b.size() == expected.size() && std::memcmp(b.data(), expected.data(), b.size()) == 0;
        };
        const std::string what = text("%lld %s from offset %lld", static_cast<long long>(n),
                                      std::string(name_of(dtype)).c_str(), static_cast<long long>(first));
        check(same(got), what + " differ on " + other.name());
        check(same(back), what + " differ after they came back from " + other.name());
      }
    }
  }
}

}  // namespace

std::vector<RuntimeCase> copy_cases() {
  constexpr std::uint32_t compute = LKS_QUEUE_COMPUTE, transfer = LKS_QUEUE_TRANSFER;
  return {
      {"copy", "copies", "queue_copy at all odd offsets and sizes moves these bytes and no others", &copies<compute>},
      {"copy", "copies_within", "copies within one buffer, disjoint but side by side", &copies_within<compute>},
      {"copy", "writes", "queue_write at all odd offsets and sizes", &writes<compute>},
      {"copy", "guarded_writes", "queue_write reads the host's bytes and no other", &guarded_writes<compute>},
      {"copy", "reads", "queue_read at all odd offsets and sizes writes no host byte too many", &reads<compute>},
      {"copy", "fills", "queue_fill with patterns of 1, 2, 4 and 8 bytes", &fills<compute>},
      {"copy", "transfer_copies", "the same on a transfer queue: queue_copy", &copies<transfer>},
      {"copy", "transfer_copies_within", "copies within one buffer, on a transfer queue", &copies_within<transfer>},
      {"copy", "transfer_writes", "queue_write on a transfer queue", &writes<transfer>},
      {"copy", "transfer_guarded_writes", "the same on a transfer queue", &guarded_writes<transfer>},
      {"copy", "transfer_reads", "queue_read on a transfer queue", &reads<transfer>},
      {"copy", "transfer_fills", "queue_fill on a transfer queue", &fills<transfer>},
      {"copy", "large_copy", "130 MiB in one copy at odd offsets", &large_copy},
      {"copy", "large_transfers", "a write and a read of 130 MiB at an odd offset", &large_transfers<compute>},
      {"copy", "transfer_large_transfers", "the same on a transfer queue", &large_transfers<transfer>},
      {"copy", "large_fills", "130 MiB filled with patterns of 1, 2, 4 and 8 bytes", &large_fills<compute>},
      {"copy", "transfer_large_fills", "130 MiB filled on a transfer queue", &large_fills<transfer>},
      {"copy", "between_devices", "tensors of every dtype go to other devices and back, at odd offsets",
       &between_devices},
  };
}

}  // namespace lockstep::conformance
