// Buffers: alignment, contents, mapping, refusals, exhaustion, threads.
#include <algorithm>
#include <atomic>
#include <bit>
#include <memory>
#include <thread>

#include "conformance/runtime/session.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

const std::vector<u64>& odd_sizes() {
  static const std::vector<u64> sizes = {1,
                                         2,
                                         3,
                                         15,
                                         16,
                                         17,
                                         63,
                                         64,
                                         65,
                                         255,
                                         257,
                                         1000,
                                         4095,
                                         4096,
                                         4097,
                                         65'535,
                                         65'537,
                                         1'000'003,
                                         1 << 21,
                                         (1 << 21) + 1,
                                         (8 << 20) - 1};
  return sizes;
}

Bytes pattern(u64 bytes, u64 seed) { return TestRandom(seed).bytes(bytes); }

void alignment(const RuntimeTarget& target) {
  Session s(target);
  const u64 promised = s.info.min_alignment;
  check(promised >= 16 && std::has_single_bit(promised),
        text("min_alignment is %llu, which is not a power of two of 16 or more",
             static_cast<unsigned long long>(promised)));
  if (!s.is_host_visible()) throw NotOffered("the host cannot see this memory, so it cannot see addresses either");
  std::vector<Buffer> held;
  for (u64 bytes : odd_sizes()) {
    held.emplace_back(s, bytes);
    for (u64 offset : {u64{0}, bytes / 2, bytes - 1}) {
      const Mapping whole(s, held.back(), 0, bytes), part(s, held.back(), offset, bytes - offset);
      check(reinterpret_cast<std::uintptr_t>(whole.data()) % promised == 0,
            text("a buffer of %llu bytes lies at %p, not at a multiple of %llu", static_cast<unsigned long long>(bytes),
                 static_cast<void*>(whole.data()), static_cast<unsigned long long>(promised)));
      check(part.data() == whole.data() + offset,
            "a second mapping at an offset lies elsewhere than the first one plus it");
    }
  }
}

void zero_bytes(const RuntimeTarget& target) {
  Session s(target);
  lks_buffer* buffer = nullptr;
  Call call("buffer_alloc of 0 bytes");
  const lks_status status = call.done(s.api.buffer_alloc(s.device, 0, 0, &buffer, call.diag()));
  if (status == LKS_OK && buffer) s.api.buffer_free(s.device, buffer);
  check(status != LKS_OK, "buffer_alloc of 0 bytes succeeded: sizes are above 0");
}

void unknown_heap(const RuntimeTarget& target) {
  Session s(target);
  check(s.info.heap_count >= 1 && s.info.heap_count <= 4, text("heap_count is %u", s.info.heap_count));
  for (std::uint32_t heap : {s.info.heap_count, 99u}) {
    lks_buffer* buffer = nullptr;
    Call call("buffer_alloc in a heap that is not there");
    const lks_status status = call.done(s.api.buffer_alloc(s.device, heap, 64, &buffer, call.diag()));
    if (status == LKS_OK && buffer) s.api.buffer_free(s.device, buffer);
    check(status != LKS_OK, text("buffer_alloc in heap %u of %u succeeded", heap, s.info.heap_count));
  }
}

void contents_survive(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  std::vector<Buffer> held;
  std::vector<Bytes> expected;
  for (int round = 0; round < 2; ++round) {
    for (u64 bytes : odd_sizes()) {
      held.emplace_back(s, bytes);
      expected.push_back(pattern(bytes, target.seed + held.size()));
      queue.upload(held.back(), expected.back());
      const Buffer passing(s, bytes + 1);
      queue.fill(passing, 0, passing.bytes(), 0xee);
      queue.finish();
    }
  }
  for (std::size_t i = 0; i < held.size(); ++i) {
    check_same_bytes(queue.download(held[i]), expected[i],
                     text("buffer %zu, of %zu bytes, after other allocations", i, expected[i].size()));
  }
}

// The host and the queues see the same bytes while a mapping is held, also while another mapping of the same buffer is
// held and after that one has ended.
void held_mapping(Session& s, Queue& queue, u64 seed) {
  const Buffer buffer(s, 10'001);
  const Mapping held(s, buffer, 0, buffer.bytes());
  const auto check_both_ways = [&](unsigned char byte, const std::string& mapping) {
    queue.fill(buffer, 5, 9000, byte);
    queue.finish();
    check_same_bytes({held.data() + 5, 9000}, Bytes(9000, byte), "what a queue wrote, read through " + mapping);
    const Bytes bytes = pattern(buffer.bytes(), seed + byte);
    std::copy(bytes.begin(), bytes.end(), held.data());
    check_same_bytes(queue.download(buffer), bytes, "what the host wrote through " + mapping + ", read by a queue");
  };
  check_both_ways(0x31, "a mapping that is held");
  {
    const Mapping second(s, buffer, 100, 5000);
    check_both_ways(0x32, "the first of two mappings");
  }
  check_both_ways(0x33, "the first of two mappings, after the second ended");
  constexpr std::size_t many = 64, part = 100;
  std::vector<std::unique_ptr<Mapping>> mappings;
  for (std::size_t i = 0; i < many; ++i) mappings.push_back(std::make_unique<Mapping>(s, buffer, i * part, part));
  check_both_ways(0x34, "the first of 65 mappings");
  for (std::size_t i = 0; i < many; ++i) {
    check_same_bytes({mappings[i]->data(), part}, {held.data() + i * part, part}, text("mapping %zu of many", i));
  }
}

void mapping(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const Buffer buffer(s, 10'001);
  const auto map = [&](u64 offset, u64 bytes) {
    void* at = nullptr;
    Call call("buffer_map");
    const lks_status status = call.done(s.api.buffer_map(s.device, buffer.handle(), offset, bytes, &at, call.diag()));
    if (status == LKS_OK) s.api.buffer_unmap(s.device, buffer.handle());
    return status;
  };
  if (!s.is_host_visible()) {
    check(map(0, 16) == LKS_UNSUPPORTED, "buffer_map of a heap without LKS_HEAP_HOST_VISIBLE is not LKS_UNSUPPORTED");
    return;
  }
  const Bytes bytes = pattern(buffer.bytes(), target.seed);
  {
    const Mapping whole(s, buffer, 0, buffer.bytes());
    std::copy(bytes.begin(), bytes.end(), whole.data());
  }
  check_same_bytes(queue.download(buffer), bytes, "what the host wrote into mapped memory, read by a queue");
  queue.fill(buffer, 3, 1000, 0x77);
  queue.finish();
  {
    const Mapping part(s, buffer, 3, 1000);
    check(std::all_of(part.data(), part.data() + 1000, [](unsigned char b) { return b == 0x77; }),
          "what a queue wrote is not in the mapped memory");
  }
  held_mapping(s, queue, target.seed);
  const u64 huge = ~u64{0};
  for (const auto& [offset, n] :
       {std::pair<u64, u64>{0, 10'002}, {10'002, 1}, {10'000, 2}, {huge, 1}, {huge - 3, 8}, {8, huge}, {8, huge - 7}}) {
    check(map(offset, n) != LKS_OK, text("buffer_map of %llu bytes at %llu of a buffer of 10001 succeeded",
                                         static_cast<unsigned long long>(n), static_cast<unsigned long long>(offset)));
  }
}

void refusals(const RuntimeTarget& target) {
  Session s(target);
  std::vector<u64> sizes = {u64{1} << 60, u64{1} << 62, ~u64{0}, ~u64{0} - 63};
  if (s.info.max_allocation < u64{1} << 60) sizes.push_back(s.info.max_allocation + 1);
  for (int round = 0; round < 200; ++round) {
    for (u64 bytes : sizes) {
      lks_buffer* buffer = nullptr;
      Call call("buffer_alloc");
      const lks_status status = call.done(s.api.buffer_alloc(s.device, 0, bytes, &buffer, call.diag()));
      if (status == LKS_OK && buffer) s.api.buffer_free(s.device, buffer);
      const auto n = static_cast<unsigned long long>(bytes);
      check(status == LKS_OUT_OF_MEMORY || status == LKS_INVALID_ARGUMENT,
            text("buffer_alloc of %llu bytes, above max_allocation, returned %s", n, status_name(status).c_str()));
      check(status != LKS_OUT_OF_MEMORY || call.filled().requested_bytes == bytes,
            text("buffer_alloc of %llu bytes ran out of memory and says in diag.requested_bytes %llu", n,
                 static_cast<unsigned long long>(call.filled().requested_bytes)));
    }
  }
  Queue queue(s);
  const Buffer after(s, 4096);
  queue.fill(after, 0, 4096, 0x42);
  check(queue.download(after) == Bytes(4096, 0x42), "after refused allocations an ordinary buffer does not work");
}

// diag.free_bytes of LKS_OUT_OF_MEMORY, while some memory is allocated. Other processes may change it meanwhile.
void out_of_memory_tells(const RuntimeTarget& target) {
  Session s(target);
  const u64 total = s.info.heaps[0].bytes, allowance = total / 16;
  std::vector<Buffer> held;
  const u64 piece = std::min<u64>({total / 32, u64{16} << 20, s.info.max_allocation});
  for (u64 taken = 0; taken < std::min<u64>(total / 4, u64{256} << 20); taken += piece) {
    held.emplace_back(s, piece);
  }
  for (u64 bytes : {s.info.max_allocation, u64{1} << 60, ~u64{0} - 63}) {
    const u64 before = free_memory(s);
    lks_buffer* buffer = nullptr;
    Call call("buffer_alloc");
    const lks_status status = call.done(s.api.buffer_alloc(s.device, 0, bytes, &buffer, call.diag()));
    const u64 after = free_memory(s);
    if (status == LKS_OK) s.api.buffer_free(s.device, buffer);
    if (status != LKS_OUT_OF_MEMORY) continue;
    check(call.filled().heap == 0, text("heap 0 is out of memory, and diag.heap is %u", call.filled().heap));
    const u64 told = call.filled().free_bytes;
    const u64 least = std::min(before, after), most = std::max(before, after);
    check(told + allowance >= least && told <= most + allowance,
          text("out of memory says that %llu bytes are free, device_memory said %llu before and %llu after",
               static_cast<unsigned long long>(told), static_cast<unsigned long long>(before),
               static_cast<unsigned long long>(after)));
  }
}

// Allocates buffers of `piece` bytes until one is refused or there are `most`; returns their number.
std::size_t exhaust(Session& s, Queue& queue, u64 piece, std::size_t most) {
  std::vector<Buffer> held;
  try {
    while (held.size() < most) {
      held.emplace_back(s, piece);
      queue.fill(held.back(), 0, 64, held.size());
      queue.fill(held.back(), piece - 64, 64, held.size());
    }
  } catch (const DriverFailure& e) {
    check(e.status == LKS_OUT_OF_MEMORY, std::string("an allocation too many: ") + e.what());
  }
  for (std::size_t i = 0; i < held.size(); ++i) {
    const Bytes expected(64, static_cast<unsigned char>(i + 1));
    check_same_bytes(queue.download(held[i], 0, 64), expected, text("start of buffer %zu of many", i));
    check_same_bytes(queue.download(held[i], piece - 64, 64), expected, text("end of buffer %zu of many", i));
  }
  return held.size();
}

void exhaustion(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  constexpr u64 cap = u64{256} << 20;  // other processes need host memory too
  const u64 piece = std::min<u64>(4 << 20, s.info.max_allocation);
  const std::size_t first = exhaust(s, queue, piece, cap / piece);
  check(first > 0, "not one buffer of 4 MiB");
  for (int round = 0; round < 3; ++round) {
    const std::size_t again = exhaust(s, queue, piece, cap / piece);
    check(again == first, text("%zu buffers of %llu bytes fit, and after freeing them all only %zu", first,
                               static_cast<unsigned long long>(piece), again));
  }
}

void accounting(const RuntimeTarget& target) {
  Session s(target);
  const auto memory = [&](std::uint32_t ordinal, lks_device* device, std::uint32_t heap, u64& total, u64& free_bytes) {
    Call call("device_memory");
    return call.done(s.api.device_memory(s.driver, ordinal, device, heap, &total, &free_bytes, call.diag()));
  };
  for (std::uint32_t heap = 0; heap < s.info.heap_count; ++heap) {
    u64 total = 0, free_bytes = ~u64{0};
    check(memory(s.ordinal, s.device, heap, total, free_bytes) == LKS_OK, "device_memory of an open device failed");
    check(free_bytes <= total,
          text("heap %u has %llu free bytes of %llu", heap, static_cast<unsigned long long>(free_bytes),
               static_cast<unsigned long long>(total)));
    check(total == s.info.heaps[heap].bytes,
          text("heap %u has %llu bytes by device_memory and %llu by device_describe", heap,
               static_cast<unsigned long long>(total), static_cast<unsigned long long>(s.info.heaps[heap].bytes)));
    total = 0, free_bytes = ~u64{0};
    const lks_status closed = memory(s.ordinal, nullptr, heap, total, free_bytes);
    check(closed == LKS_OK || closed == LKS_UNAVAILABLE,
          "device_memory without an open device returned " + status_name(closed));
    check(closed != LKS_OK || (total == s.info.heaps[heap].bytes && free_bytes > 0 && free_bytes <= total),
          text("device_memory without an open device says that %llu bytes of %llu are free in heap %u",
               static_cast<unsigned long long>(free_bytes), static_cast<unsigned long long>(total), heap));
  }
  u64 total = 0, free_bytes = 0;
  check(memory(s.ordinal, s.device, s.info.heap_count, total, free_bytes) != LKS_OK,
        "device_memory of a heap that is not there succeeded");
  // Memory that was written to cannot be free, even if other processes use the device.
  const u64 piece = std::min<u64>(u64{16} << 20, s.info.max_allocation);
  const Buffer held(s, piece);
  Queue queue(s);
  queue.fill(held, 0, piece, 0x55);
  queue.finish();
  check(memory(s.ordinal, s.device, 0, total, free_bytes) == LKS_OK, "device_memory of an open device failed");
  check(
      free_bytes <= total - piece / 2,
      text("beside a buffer of %llu bytes, heap 0 has %llu free bytes of %llu", static_cast<unsigned long long>(piece),
           static_cast<unsigned long long>(free_bytes), static_cast<unsigned long long>(total)));
  check(s.info.max_allocation > 0, "max_allocation is 0");
  check(s.info.max_allocation <= s.info.heaps[0].bytes, "max_allocation is above the size of heap 0");
}

// So many small buffers at once, each with its own contents.
void many_buffers(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  constexpr u64 count = 1500, width = 8;
  std::vector<Buffer> held;
  held.reserve(count);
  for (u64 i = 0; i < count; ++i) {
    held.emplace_back(s, 64 + i % 100);
    queue.fill(held.back(), 0, 64, 0x0101'0000'0000'0000 + i, width);
  }
  Bytes got(count * width), expected(count * width);
  for (u64 i = 0; i < count; ++i) {
    queue.read(got.data() + i * width, held[i], 56, width);
    for (u64 b = 0; b < width; ++b) {
      expected[i * width + b] = static_cast<unsigned char>((0x0101'0000'0000'0000 + i) >> (8 * b));
    }
  }
  queue.finish();
  check_same_bytes(got, expected, "eight bytes of each of 1,500 buffers");
}

// The work of one thread: allocates and frees buffers, each with its own contents, which are checked before the free.
void churn(Session& s, u64 seed, int rounds) {
  Queue queue(s);
  TestRandom random(seed);
  struct Held {
    Buffer buffer;
    Bytes bytes;
  };
  std::vector<Held> held;
  for (int i = 0; i < rounds; ++i) {
    const u64 bytes = 1 + random.below(i % 16 == 0 ? 300'000 : 3000);
    held.push_back({Buffer(s, bytes), random.bytes(bytes)});
    if (s.is_host_visible() && i % 2) {
      const Mapping map(s, held.back().buffer, 0, bytes);
      std::copy(held.back().bytes.begin(), held.back().bytes.end(), map.data());
    } else {
      queue.upload(held.back().buffer, held.back().bytes);
    }
    if (held.size() < 12) continue;
    const auto at = held.begin() + static_cast<std::ptrdiff_t>(random.below(held.size()));
    check_same_bytes(queue.download(at->buffer), at->bytes, "a buffer while other threads allocate and free");
    std::vector<Held> rest;
    for (auto it = held.begin(); it != held.end(); ++it) {
      if (it != at) rest.push_back(std::move(*it));
    }
    held = std::move(rest);
  }
}

void eight_threads(const RuntimeTarget& target) {
  Session s(target);
  std::vector<std::string> failures(8);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < failures.size(); ++t) {
    threads.emplace_back([&, t] {
      try {
        churn(s, target.seed + t, 400);
      } catch (const std::exception& e) {
        failures[t] = e.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) check(failure.empty(), failure);
}

}  // namespace

std::vector<RuntimeCase> memory_cases() {
  return {
      {"memory", "alignment", "buffers of any size, and mappings of parts of them, lie where min_alignment promises",
       &alignment},
      {"memory", "zero_bytes", "a buffer of no bytes is refused", &zero_bytes},
      {"memory", "unknown_heap", "a heap that is not there is refused", &unknown_heap},
      {"memory", "contents_survive", "no allocation or free changes what another buffer holds", &contents_survive},
      {"memory", "mapping", "host and queues see the same bytes, and ranges outside the buffer are refused", &mapping},
      {"memory", "refusals", "sizes above max_allocation are refused with requested_bytes, and leave the device usable",
       &refusals},
      {"memory", "out_of_memory_tells", "an answer of out of memory says how much is free", &out_of_memory_tells},
      {"memory", "exhaustion", "after memory ran out and all was freed, as much fits as before", &exhaustion},
      {"memory", "accounting", "device_memory and device_describe agree; free is what a buffer leaves of the total",
       &accounting},
      {"memory", "many_buffers", "1,500 buffers at once hold what was written to them", &many_buffers},
      {"memory", "eight_threads", "eight threads allocate, write, map and free side by side", &eight_threads},
  };
}

}  // namespace lockstep::conformance
