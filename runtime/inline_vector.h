// A vector whose first N elements need no allocation.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace lockstep {

template <class T, std::size_t N>
class InlineVector {
 public:
  InlineVector() = default;
  explicit InlineVector(std::span<const T> values) {
    for (const T& v : values) push_back(v);
  }
  InlineVector(const InlineVector&) = delete;
  InlineVector& operator=(const InlineVector&) = delete;
  ~InlineVector() {
    std::destroy_n(data_, size_);
    if (!is_inline()) ::operator delete(static_cast<void*>(data_));
  }

  void push_back(T value) {
    if (size_ == capacity_) grow();
    new (static_cast<void*>(data_ + size_++)) T(std::move(value));
  }
  /// Adds a value-initialised element.
  T& emplace_back() {
    if (size_ == capacity_) grow();
    return *new (static_cast<void*>(data_ + size_++)) T();
  }
  /// Makes room for `count` more elements, which the caller writes.
  T* extend(std::size_t count) {
    static_assert(std::is_trivial_v<T>);
    while (size_ + count > capacity_) grow();
    return data_ + std::exchange(size_, size_ + count);
  }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& back() { return data_[size_ - 1]; }
  operator std::span<const T>() const { return {data_, size_}; }
  operator std::span<T>() { return {data_, size_}; }

 private:
  T* inline_data() { return std::launder(reinterpret_cast<T*>(storage_)); }
  bool is_inline() { return data_ == inline_data(); }
  void grow() {
    const std::size_t capacity = capacity_ * 2;
    T* bigger = static_cast<T*>(::operator new(capacity * sizeof(T)));
    std::uninitialized_move_n(data_, size_, bigger);
    std::destroy_n(data_, size_);
    if (!is_inline()) ::operator delete(static_cast<void*>(data_));
    data_ = bigger;
    capacity_ = capacity;
  }

  alignas(T) unsigned char storage_[N * sizeof(T)];
  T* data_ = inline_data();
  std::size_t size_ = 0;
  std::size_t capacity_ = N;
};

}  // namespace lockstep
