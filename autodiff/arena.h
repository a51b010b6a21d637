// Memory for a tape's records: allocated in order, freed all at once.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

namespace lockstep {

class Arena {
 public:
  void* allocate(std::size_t bytes) {
    bytes = (bytes + 7) & ~std::size_t{7};
    if (bytes > left_) add_chunk(bytes);
    std::byte* result = next_;
    next_ += bytes;
    left_ -= bytes;
    return result;
  }

  template <class T>
  std::span<T> array(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 8);
    return {static_cast<T*>(allocate(count * sizeof(T))), count};
  }

  template <class T>
  std::span<T> copy(std::span<const T> values) {
    const std::span<T> result = array<T>(values.size());
    if (!values.empty()) std::memcpy(result.data(), values.data(), values.size_bytes());
    return result;
  }

  void clear() {
    chunks_.clear();
    next_ = nullptr;
    left_ = 0;
  }

 private:
  static constexpr std::size_t chunk_bytes = 64 * 1024;

  void add_chunk(std::size_t least) {
    const std::size_t bytes = least > chunk_bytes ? least : chunk_bytes;
    chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
    next_ = chunks_.back().get();
    left_ = bytes;
  }

  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::byte* next_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace lockstep
