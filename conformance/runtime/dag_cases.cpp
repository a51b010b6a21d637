// Random sequences of commands on several queues, with only the waits that are needed. The result is compared byte for
// byte with the same commands executed one after the other on the host.
#include <algorithm>
#include <memory>
#include <thread>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

constexpr std::int64_t elements = 1021;  // of each i32 buffer
constexpr u64 buffer_bytes = 4 * elements;

struct Access {
  std::size_t queue;
  u64 value;
};

// One buffer, its expected contents and its most recent accesses.
struct Cell {
  explicit Cell(Session& s) : buffer(s, buffer_bytes), model(buffer_bytes) {}
  Buffer buffer;
  Bytes model;
  std::vector<Access> writers, readers;  // since the last write; one per queue is enough
};

class RandomProgram {
 public:
  // `last` is the kind of the last queue.
  RandomProgram(Session& session, u64 seed, std::size_t queues, std::size_t cells, std::uint32_t last)
      : session_(session),
        random_(seed),
        sample_(multiply_add_sample(elements)),
        kernel_(session, sample_),
        last_(last) {
    check(static_cast<bool>(kernel_), "a pointwise program on i32 is refused");
    for (std::size_t q = 0; q < queues; ++q) {
      queues_.push_back(std::make_unique<Queue>(session, q + 1 < queues ? std::uint32_t{LKS_QUEUE_COMPUTE} : last));
    }
    for (std::size_t c = 0; c < cells; ++c) {
      cells_.push_back(std::make_unique<Cell>(session));
      cells_.back()->model = random_.bytes(buffer_bytes);
      queues_[0]->upload(cells_.back()->buffer, cells_.back()->model);
    }
  }

  void run(int commands) {
    for (int i = 0; i < commands; ++i) step();
    for (auto& queue : queues_) queue->finish();
    for (std::size_t c = 0; c < cells_.size(); ++c) {
      check_same_bytes(queues_[0]->download(cells_[c]->buffer), cells_[c]->model,
                       text("buffer %zu after %d random commands on %zu queues", c, commands, queues_.size()));
    }
    for (std::size_t i = 0; i < reads_.size(); ++i) {
      check_same_bytes(*reads_[i].got, reads_[i].expected, text("read %zu among random commands", i));
    }
  }

 private:
  struct Read {
    std::unique_ptr<Bytes> got;
    Bytes expected;
  };

  Cell& any_cell() { return *cells_[random_.below(cells_.size())]; }

  // Makes the queue wait for the accesses by other queues.
  void order_after(std::size_t queue, const std::vector<Access>& accesses) {
    for (const Access& a : accesses) {
      if (a.queue != queue) queues_[queue]->wait_on(queues_[a.queue]->timeline(), a.value);
    }
  }
  void before_read(std::size_t queue, const Cell& cell) { order_after(queue, cell.writers); }
  void before_write(std::size_t queue, const Cell& cell) {
    order_after(queue, cell.writers);
    order_after(queue, cell.readers);
  }
  static void after_read(Cell& cell, Access access) {
    std::erase_if(cell.readers, [&](const Access& a) { return a.queue == access.queue; });
    cell.readers.push_back(access);
  }
  static void after_write(Cell& cell, Access access) {
    cell.writers = {access};
    cell.readers.clear();
  }

  void step() {
    const std::size_t queue = random_.below(queues_.size());
    switch (random_.below(5)) {
      case 0: return fill(queue);
      case 1: return copy(queue);
      case 2: return launch(queue);
      case 3: return read(queue);
      default: return write(queue);
    }
  }

  void fill(std::size_t q) {
    Cell& to = any_cell();
    const u64 offset = random_.below(buffer_bytes), bytes = random_.below(buffer_bytes - offset + 1);
    const u64 pattern = random_.bits();
    before_write(q, to);
    after_write(to, {q, queues_[q]->fill(to.buffer, offset, bytes, pattern, 1)});
    std::fill_n(to.model.begin() + static_cast<std::ptrdiff_t>(offset), bytes, static_cast<unsigned char>(pattern));
  }

  void copy(std::size_t q) {
    Cell &to = any_cell(), &from = any_cell();
    if (&to == &from) return fill(q);
    const u64 bytes = random_.below(buffer_bytes) + 1;
    const u64 dst = random_.below(buffer_bytes - bytes + 1), src = random_.below(buffer_bytes - bytes + 1);
    before_read(q, from);
    before_write(q, to);
    const u64 value = queues_[q]->copy(to.buffer, dst, from.buffer, src, bytes);
    after_read(from, {q, value});
    after_write(to, {q, value});
    std::copy_n(from.model.begin() + static_cast<std::ptrdiff_t>(src), bytes,
                to.model.begin() + static_cast<std::ptrdiff_t>(dst));
  }

  void launch(std::size_t q) {
    Cell &a = any_cell(), &b = any_cell(), &out = any_cell();
    if (&out == &a || &out == &b) return read(q);
    if (last_ == LKS_QUEUE_TRANSFER && q + 1 == queues_.size()) return copy(q);
    before_read(q, a);
    before_read(q, b);
    before_write(q, out);
    Launch one(kernel_, sample_, {{&a.buffer, 0}, {&b.buffer, 0}, {&out.buffer, 0}});
    const u64 value = launch_once(*queues_[q], one);
    after_read(a, {q, value});
    after_read(b, {q, value});
    after_write(out, {q, value});
    out.model = multiply_add(a.model, b.model);
  }

  void read(std::size_t q) {
    Cell& from = any_cell();
    const u64 offset = random_.below(buffer_bytes), bytes = random_.below(buffer_bytes - offset) + 1;
    before_read(q, from);
    reads_.push_back({std::make_unique<Bytes>(bytes), {}});
    after_read(from, {q, queues_[q]->read(reads_.back().got->data(), from.buffer, offset, bytes)});
    const auto begin = from.model.begin() + static_cast<std::ptrdiff_t>(offset);
    reads_.back().expected.assign(begin, begin + static_cast<std::ptrdiff_t>(bytes));
  }

  void write(std::size_t q) {
    Cell& to = any_cell();
    const u64 offset = random_.below(buffer_bytes), bytes = random_.below(buffer_bytes - offset) + 1;
    sources_.push_back(std::make_unique<Bytes>(random_.bytes(bytes)));
    before_write(q, to);
    after_write(to, {q, queues_[q]->write(to.buffer, offset, sources_.back()->data(), bytes)});
    std::copy(sources_.back()->begin(), sources_.back()->end(), to.model.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  Session& session_;
  TestRandom random_;
  KernelSample sample_;
  Kernel kernel_;
  const std::uint32_t last_;
  std::vector<Read> reads_;
  std::vector<std::unique_ptr<Bytes>> sources_;
  std::vector<std::unique_ptr<Cell>> cells_;
  std::vector<std::unique_ptr<Queue>> queues_;
};

void random_programs(const RuntimeTarget& target, std::size_t queues, int programs, int commands,
                     std::uint32_t last = LKS_QUEUE_COMPUTE) {
  Session s(target);
  for (int i = 0; i < programs; ++i) {
    const u64 seed = target.seed * 1000 + static_cast<u64>(i) + queues * 100;
    try {
      RandomProgram(s, seed, queues, 3 + static_cast<std::size_t>(i) % 4, last).run(commands);
    } catch (const CheckFailed& e) {
      throw CheckFailed(text("program %d of seed %llu: ", i, static_cast<unsigned long long>(target.seed)) + e.what());
    }
  }
}

void one_queue(const RuntimeTarget& target) { random_programs(target, 1, 10, 200); }
void two_queues(const RuntimeTarget& target) { random_programs(target, 2, 15, 150); }
void three_queues(const RuntimeTarget& target) { random_programs(target, 3, 15, 150); }
void with_transfers(const RuntimeTarget& target) { random_programs(target, 3, 15, 150, LKS_QUEUE_TRANSFER); }
void long_programs(const RuntimeTarget& target) {
  for (std::size_t queues = 1; queues <= 6; ++queues) random_programs(target, queues, 40, 1000);
}

}  // namespace

std::vector<RuntimeCase> dag_cases() {
  return {
      {"queue", "random_one_queue", "random commands on one queue give the simulator's bytes", &one_queue},
      {"queue", "random_two_queues", "random commands on two queues, with the waits they need", &two_queues},
      {"queue", "random_three_queues", "random commands on three queues, with the waits they need", &three_queues},
      {"queue", "random_with_transfers", "random commands on two compute queues and a transfer queue", &with_transfers},
      {"queue", "random_long", "many long random programs on one to six queues", &long_programs, true},
  };
}

}  // namespace lockstep::conformance
