// Queues: the order of commands within one queue and between queues. A value is reached only when its command is done.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;
constexpr u64 large = 8 << 20;  // bytes; a command on so many takes long enough to be observed half done

// Each command of a queue sees the writes of the commands before it.
void in_order(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const Buffer data(s, large), copied(s, large);
  for (int round = 1; round <= 10; ++round) {
    Bytes tail(64);
    queue.fill(data, 0, large, static_cast<u64>(round));
    queue.copy(copied, 0, data, 0, large);
    queue.fill(data, 0, large, 0xee);  // must not overtake the copy
    queue.read(tail.data(), copied, large - 64, 64);
    queue.finish();
    check_same_bytes(tail, Bytes(64, static_cast<unsigned char>(round)), "fill, copy, fill, read in one queue");
  }
}

// Another queue sees the end of a large fill, copy or write once the command's value is reached. Then the host may
// overwrite what was written from. All memory outlives the queues, because a driver may say too early that it is done.
void wait_means_done(const RuntimeTarget& target) {
  Session s(target);
  const Buffer data(s, large), copied(s, large), written(s, large);
  Bytes source(large);
  Queue worker(s), reader(s);
  const auto check_end = [&](u64 value, const Buffer& buffer, int round, const char* command) {
    wait_for(s, worker.timeline(), value);
    std::fill(source.end() - 64, source.end(), static_cast<unsigned char>(0xee));
    check_same_bytes(reader.download(buffer, large - 64, 64), Bytes(64, static_cast<unsigned char>(round)),
                     text("round %d: the end of a %s of 8 MiB, after timeline_wait said it was done", round, command));
  };
  for (int round = 1; round <= 20; ++round) {
    check_end(worker.fill(data, 0, large, static_cast<u64>(round), 1), data, round, "fill");
    check_end(worker.copy(copied, 0, data, 0, large), copied, round, "copy");
    std::fill(source.begin(), source.end(), static_cast<unsigned char>(round));
    check_end(worker.write(written, 0, source.data(), large), written, round, "write");
  }
}

// The same for a read into host memory, which needs no second queue.
void read_means_read(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const Buffer data(s, large);
  Bytes host(large);
  for (int round = 1; round <= 20; ++round) {
    queue.fill(data, 0, large, static_cast<u64>(round), 1);
    const u64 value = queue.read(host.data(), data, 0, large);
    wait_for(s, queue.timeline(), value);
    check(host[large - 1] == round && host[0] == round,
          text("round %d: the host memory of a read holds 0x%02x after timeline_wait said it was done", round,
               host[large - 1]));
  }
}

// timeline_query must not report a value before its data is there either. A query need not submit recorded commands,
// so the queue is flushed first.
void query_means_done(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const Buffer data(s, large);
  Bytes host(large);
  for (int round = 1; round <= 10; ++round) {
    queue.fill(data, 0, large, static_cast<u64>(round), 1);
    const u64 value = queue.read(host.data(), data, 0, large);
    queue.flush();
    u64 reached = 0, before = 0;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    do {
      reached = query(s, queue.timeline());
      check(reached >= before, "timeline_query went backwards");
      check(s.is_inline() || reached <= value, "timeline_query is beyond the newest value of its queue");
      before = reached;
      check(std::chrono::steady_clock::now() < deadline, "a read of 8 MiB was not done within a minute");
    } while (reached < value);
    check(host[large - 1] == round,
          text("round %d: timeline_query reached the value before the data was there", round));
  }
}

// Another queue sees the last element of a long-running kernel once the launch's value is reached.
void launch_means_done(const RuntimeTarget& target) {
  Session s(target);
  constexpr std::int64_t n = 1 << 17;
  const KernelSample sample = multiply_add_sample(n);
  const Kernel kernel(s, sample);
  check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
  Queue worker(s), reader(s);
  const Buffer a(s, 4 * n), b(s, 4 * n), out(s, 4 * n);
  worker.upload(a, sample.values[0]);
  worker.upload(b, sample.values[1]);
  const Bytes expected = multiply_add(sample.values[0], sample.values[1]);
  for (int round = 0; round < 10; ++round) {
    worker.fill(out, 0, 4 * n, 0xee);
    worker.finish();
    Launch launch(kernel, sample, {{&a, 0}, {&b, 0}, {&out, 0}});
    wait_for(s, worker.timeline(), launch_once(worker, launch));
    check_same_bytes(reader.download(out, 4 * n - 64, 64), Bytes(expected.end() - 64, expected.end()),
                     text("round %d: the end of a kernel's output, after timeline_wait said it was done", round));
    check_same_bytes(reader.download(out), expected, text("round %d: a kernel's output", round));
  }
}

// One queue waits for the other and must see its writes, in both directions.
template <std::uint32_t kind>
void two_queues(const RuntimeTarget& target) {
  Session s(target);
  const Buffer data(s, large), result(s, 64);
  Queue first(s), second(s, kind);
  for (int round = 1; round <= 20; ++round) {
    Queue& producer = round % 2 ? first : second;
    Queue& consumer = round % 2 ? second : first;
    const u64 value = producer.fill(data, 0, large, static_cast<u64>(round));
    consumer.wait_on(producer.timeline(), value);
    const u64 copied = consumer.copy(result, 0, data, large - 64, 64);
    producer.wait_on(consumer.timeline(), copied);
    producer.fill(data, 0, large, 0xee);
    check_same_bytes(consumer.download(result), Bytes(64, static_cast<unsigned char>(round)),
                     text("round %d: what one queue copied after waiting for the other", round));
    producer.finish();
  }
}

// The wait is enqueued long before another thread signals; no later command may run until then.
void wait_holds_back(const RuntimeTarget& target) {
  Session s(target);
  Queue waiter(s), other(s);
  const Buffer data(s, 4096);
  for (int round = 1; round <= 3; ++round) {
    Timeline gate(s);
    other.fill(data, 0, 4096, 0xaa);
    other.finish();
    std::string failure;
    std::thread commands([&] {  // on an inline queue the wait itself blocks
      try {
        waiter.wait_on(gate.handle(), 5);
        waiter.fill(data, 0, 4096, static_cast<u64>(round));
      } catch (const std::exception& e) {
        failure = e.what();
      }
    });
    const auto look = [&] { return other.download(data); };
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    Bytes before = look();
    gate.signal(4);  // the queue waits for 5
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    Bytes almost = look();
    gate.signal(round == 2 ? 9 : 5);  // a timeline may skip the value that is waited for
    commands.join();
    check(failure.empty(), failure);
    waiter.finish();
    check_same_bytes(before, Bytes(4096, 0xaa), "memory that a command behind an unfulfilled wait writes");
    check_same_bytes(almost, Bytes(4096, 0xaa), "memory behind a wait for 5 on a timeline at 4");
    check_same_bytes(look(), Bytes(4096, static_cast<unsigned char>(round)), "the same memory after the signal");
  }
}

// Waits that are enqueued before what they wait for: for a host timeline, for a queue that waits for that timeline, and
// for a value that its queue has not assigned yet.
void chained_waits(const RuntimeTarget& target) {
  Session s(target);
  if (s.is_inline()) throw NotOffered("an inline queue waits in the call, so nothing can be queued behind it");
  Queue first(s), second(s), third(s), looker(s);
  const Buffer data(s, 4096);
  Timeline gate(s);
  looker.fill(data, 0, 4096, 0x11);
  looker.finish();
  constexpr u64 future = 20;
  third.wait_on(second.timeline(), future);
  third.fill(data, 3072, 1024, 0x44);
  first.wait_on(gate.handle(), 1);
  const u64 filled = first.fill(data, 0, 3072, 0x22);
  second.wait_on(first.timeline(), filled);
  second.copy(data, 1024, data, 0, 1024);
  second.fill(data, 0, 1024, 0x33);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  check_same_bytes(looker.download(data), Bytes(4096, 0x11), "memory behind chained waits");
  gate.signal(1);
  second.finish();
  Bytes expected(4096, 0x22);
  std::fill(expected.begin(), expected.begin() + 1024, 0x33);
  std::fill(expected.begin() + 3072, expected.end(), 0x11);
  check_same_bytes(looker.download(data), expected, "memory after the gate opened, but not yet the third queue's wait");
  while (second.newest() < future) second.fill(data, 0, 1, 0x33);
  third.finish();
  std::fill(expected.begin() + 3072, expected.end(), 0x44);
  check_same_bytes(looker.download(data), expected, "memory after the last of three chained waits");
}

void rapid_submits(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const Buffer data(s, 256);
  Bytes reads(200);
  for (int i = 0; i < 200; ++i) {
    queue.fill(data, static_cast<u64>(i), 1, static_cast<u64>(i));
    queue.read(&reads[static_cast<std::size_t>(i)], data, static_cast<u64>(i), 1);
  }
  queue.finish();
  for (int i = 0; i < 200; ++i) {
    check(reads[static_cast<std::size_t>(i)] == i,
          text("command pair %d of 200 in a row read %u", i, reads[static_cast<std::size_t>(i)]));
  }
}

// out = 3 out + b, `count` times in one submission (an odd number): each launch reads the result of the one before.
// Another queue reads the last result once the submission's value is reached. All memory outlives the queues, as above.
template <std::int64_t n, int count>
void one_unit(const RuntimeTarget& target) {
  Session s(target);
  KernelSample sample = multiply_add_sample(n);
  const Kernel kernel(s, sample);
  check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
  const Buffer ping(s, 4 * n), pong(s, 4 * n), b(s, 4 * n);
  Queue queue(s), reader(s);
  queue.upload(b, sample.values[1]);
  Bytes expected = sample.values[0];
  for (int i = 0; i < count; ++i) expected = multiply_add(expected, sample.values[1]);
  for (int round = 0; round < 5; ++round) {
    queue.upload(ping, sample.values[0]);
    std::vector<std::unique_ptr<Launch>> launches;
    std::vector<lks_launch> unit;
    for (int i = 0; i < count; ++i) {
      const Buffer& from = i % 2 ? pong : ping;
      const Buffer& to = i % 2 ? ping : pong;
      launches.push_back(
          std::make_unique<Launch>(kernel, sample, std::vector<TensorLocation>{{&from, 0}, {&b, 0}, {&to, 0}}));
      unit.push_back(launches.back()->abi());
    }
    const u64 value = queue.launch(unit.data(), static_cast<std::uint32_t>(unit.size()));
    for (auto& launch : launches) launch->scribble();
    std::fill(unit.begin(), unit.end(), lks_launch{});
    wait_for(s, queue.timeline(), value);
    check_same_bytes(reader.download(pong, 4 * n - 64, 64), Bytes(expected.end() - 64, expected.end()),
                     text("round %d: the end of the result of %d launches, read by another queue", round, count));
    check_same_bytes(queue.download(pong), expected,
                     text("%d launches in one submission, each on the result before", count));
  }
}

// A launch on empty tensors. The host skips such launches if it can, but a batch may turn out to be empty only later.
void empty_launch(const RuntimeTarget& target) {
  Session s(target);
  const KernelSample sample = multiply_add_sample(0);
  const Kernel kernel(s, sample);
  check(static_cast<bool>(kernel), "a pointwise program on an empty i32 tensor is refused");
  Queue queue(s);
  const Buffer a(s, 64), b(s, 64), out(s, 64);
  queue.fill(out, 0, 64, 0x5a);
  Launch launch(kernel, sample, {{&a, 0}, {&b, 0}, {&out, 0}});
  wait_for(s, queue.timeline(), queue.launch(&launch.abi(), 1));
  check_same_bytes(queue.download(out), Bytes(64, 0x5a), "memory beside an empty result");
}

void reverse_elements(Bytes& bytes, u64 size) {
  std::reverse(bytes.begin(), bytes.end());
  for (std::size_t at = 0; at + size <= bytes.size(); at += size) {
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                 bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
  }
}

// A kernel that is launched again with other memory and another scalar must not use the first ones.
void rebinding(const RuntimeTarget& target) {
  Session s(target);
  std::vector<Kernel> kept;  // kept, so that no kernel gets the address of a released one
  const std::vector<KernelSample> samples = kernel_samples(target.seed, 2);
  kept.reserve(2 * samples.size());
  for (const KernelSample& sample : samples) {
    kept.emplace_back(s, sample);
    kept.emplace_back(s, sample);
    const Kernel &kernel = kept[kept.size() - 2], &fresh = kept.back();
    if (!kernel) continue;
    Queue queue(s);
    const std::vector<Bytes> once = run_sample(s, queue, sample, kernel);
    std::vector<Buffer> keep;  // so that the second run gets other addresses
    for (int i = 0; i < 4; ++i) keep.emplace_back(s, 1000 * static_cast<u64>(i) + 1);
    KernelSample other = sample;
    for (std::size_t i = 0; i < other.values.size(); ++i)
      reverse_elements(other.values[i], other.inputs[i].element_size());
    if (!other.scalars.empty()) other.scalars[0] = other.op == LKS_OP_RANDOM_BITS ? 6 : 0x40a0'0000u;  // 5.0f
    const std::vector<Bytes> expected = run_sample(s, queue, other, fresh), got = run_sample(s, queue, other, kernel);
    const std::vector<Bytes> again = run_sample(s, queue, sample, kernel);
    for (std::size_t o = 0; o < once.size(); ++o) {
      check_same_bytes(got[o], expected[o], sample.name + ": a used kernel on other inputs, compared with a fresh one");
      check_same_bytes(again[o], once[o], sample.name + ": a kernel on its first inputs again");
    }
  }
}

// A newer host may ask for a kind of queue that the driver does not know.
void unknown_kind(const RuntimeTarget& target) {
  Session s(target);
  for (const std::uint32_t kind : {2u, 3u, 0x100u, 0x8000'0000u, ~0u}) {
    Call call("queue_create of an unknown kind");
    lks_queue* queue = nullptr;
    lks_timeline* timeline = nullptr;
    const lks_status status = s.api.queue_create(s.device, kind, &queue, &timeline, call.diag());
    if (status == LKS_OK) s.api.queue_destroy(queue);
    call.fails(status, LKS_UNSUPPORTED);
    const std::int32_t reason = call.filled().reason;
    check(reason == LKS_REASON_EXTENSION,
          text("queue_create refused the unknown kind %u with %s", kind, reason_name(reason).c_str()));
  }
  static_cast<void>(Queue(s));
}

}  // namespace

std::vector<RuntimeCase> queue_cases() {
  return {
      {"queue", "in_order", "commands of one queue see each other's writes in order", &in_order},
      {"queue", "wait_means_done", "when timeline_wait returns, all bytes of the command are written",
       &wait_means_done},
      {"queue", "read_means_read", "when timeline_wait returns, a read has filled the host memory", &read_means_read},
      {"queue", "query_means_done", "timeline_query never runs ahead of the data", &query_means_done},
      {"queue", "launch_means_done", "when timeline_wait returns, a kernel has written all of its output",
       &launch_means_done},
      {"queue", "two_queues", "queue_wait orders two queues, in both directions", &two_queues<LKS_QUEUE_COMPUTE>},
      {"queue", "compute_and_transfer", "queue_wait orders a compute and a transfer queue, in both directions",
       &two_queues<LKS_QUEUE_TRANSFER>},
      {"queue", "wait_holds_back", "commands behind a wait do not run before the signal, which may come later",
       &wait_holds_back},
      {"queue", "chained_waits", "waits before their signals hold over several queues", &chained_waits},
      {"queue", "rapid_submits", "many small commands in a row all run, in order", &rapid_submits},
      {"queue", "one_unit", "launches of one submission run one after the other", &one_unit<70'001, 17>},
      {"queue", "long_unit", "the same for 301 small launches", &one_unit<64, 301>},
      {"queue", "empty_launch", "a launch on empty tensors writes nothing", &empty_launch},
      {"queue", "unknown_kind", "a kind of queue that the driver does not know is refused", &unknown_kind},
      {"queue", "rebinding", "a kernel serves other memory, inputs and scalars as well as its first", &rebinding},
  };
}

}  // namespace lockstep::conformance
