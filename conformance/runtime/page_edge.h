// Memory that ends where a page ends, and behind which nothing can be read or written.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <new>

namespace lockstep::conformance {

class PageEdge {
 public:
  /// `bytes` is a multiple of 8. The memory is zero.
  explicit PageEdge(std::size_t bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t usable = (bytes + page - 1) / page * page;
    mapped_ = usable + page;
    void* const memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    memory_ = static_cast<unsigned char*>(memory);
    mprotect(memory_ + usable, page, PROT_NONE);
    data_ = memory_ + usable - bytes;
  }
  /// A copy of the first `bytes` bytes of something.
  PageEdge(const void* from, std::size_t bytes) : PageEdge(bytes) { std::memcpy(data_, from, bytes); }
  ~PageEdge() { munmap(memory_, mapped_); }
  PageEdge(const PageEdge&) = delete;
  PageEdge& operator=(const PageEdge&) = delete;

  unsigned char* data() const { return data_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  unsigned char *memory_ = nullptr, *data_ = nullptr;
  std::size_t mapped_ = 0;
};

}  // namespace lockstep::conformance
