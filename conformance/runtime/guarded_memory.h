// Bytes of the host that can only be read, between two pages that cannot be accessed at all.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>

namespace lockstep::conformance {

class GuardedMemory {
 public:
  /// Which of the two pages the bytes touch.
  enum class Edge { before, behind };

  GuardedMemory(std::span<const unsigned char> bytes, Edge edge) : size_(bytes.size()) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t usable = (size_ + page - 1) / page * page;
    mapped_ = usable + 2 * page;
    void* const memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    memory_ = static_cast<unsigned char*>(memory);
    unsigned char* const first = memory_ + page;
    data_ = edge == Edge::before ? first : first + usable - size_;
    if (size_ > 0) std::memcpy(data_, bytes.data(), size_);
    mprotect(memory_, page, PROT_NONE);
    mprotect(first, usable, PROT_READ);
    mprotect(first + usable, page, PROT_NONE);
  }
  ~GuardedMemory() { munmap(memory_, mapped_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  std::span<const unsigned char> bytes() const { return {data_, size_}; }
  /// From the last multiple of `alignment`, at most the size of a page, up to the end of the bytes.
  std::span<const unsigned char> from_multiple_of(std::size_t alignment) const {
    const std::size_t before = reinterpret_cast<std::uintptr_t>(data_) % alignment;
    return {data_ - before, size_ + before};
  }

 private:
  unsigned char *memory_ = nullptr, *data_ = nullptr;
  std::size_t size_, mapped_ = 0;
};

}  // namespace lockstep::conformance
