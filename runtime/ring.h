// A first-in, first-out queue in one array that is used in a circle. Once it is long enough, adding and removing
// allocate nothing.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

namespace lockstep {

/// Its memory grows when needed and is kept until the ring is destroyed.
template <class T>
class Ring {
 public:
  class Iterator {
   public:
    using iterator_category = std::bidirectional_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = T*;
    using reference = T&;

    Iterator() = default;
    Iterator(Ring& ring, std::size_t at) : ring_(&ring), at_(at) {}

    T& operator*() const { return (*ring_)[at_]; }
    T* operator->() const { return &**this; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) {
      const Iterator before = *this;
      ++at_;
      return before;
    }
    Iterator& operator--() {
      --at_;
      return *this;
    }
    Iterator operator--(int) {
      const Iterator before = *this;
      --at_;
      return before;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.at_ == b.at_; }

   private:
    Ring* ring_ = nullptr;
    std::size_t at_ = 0;
  };

  Ring() = default;
  ~Ring() {
    clear();
    release();
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// Moves the other elements if the array must grow. If it cannot, throws, and nothing has changed.
  void push_back(T value) {
    if (size_ == capacity_) grow();
    std::construct_at(slot(size_), std::move(value));
    ++size_;
  }
  /// The ring must not be empty.
  void pop_front() {
    T* const oldest = slot(0);
    first_ = (first_ + 1) & (capacity_ - 1);
    --size_;
    std::destroy_at(oldest);
  }
  void clear() {
    while (!empty()) pop_front();
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  /// Element 0 is the oldest.
  T& operator[](std::size_t i) { return *slot(i); }
  T& front() { return *slot(0); }
  T& back() { return *slot(size_ - 1); }
  Iterator begin() { return {*this, 0}; }
  Iterator end() { return {*this, size_}; }
  std::reverse_iterator<Iterator> rbegin() { return std::reverse_iterator<Iterator>(end()); }
  std::reverse_iterator<Iterator> rend() { return std::reverse_iterator<Iterator>(begin()); }

 private:
  static constexpr std::size_t first_capacity = 16;

  // The capacity is a power of two.
  T* slot(std::size_t i) { return slots_ + ((first_ + i) & (capacity_ - 1)); }

  void grow() {
    static_assert(std::is_nothrow_move_constructible_v<T>);
    const std::size_t capacity = capacity_ == 0 ? first_capacity : 2 * capacity_;
    T* const slots = std::allocator<T>().allocate(capacity);
    for (std::size_t i = 0; i < size_; ++i) {
      std::construct_at(slots + i, std::move(*slot(i)));
      std::destroy_at(slot(i));
    }
    release();
    slots_ = slots;
    capacity_ = capacity;
    first_ = 0;
  }
  void release() {
    if (slots_) std::allocator<T>().deallocate(slots_, capacity_);
  }

  T* slots_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t first_ = 0;  // the slot of the oldest element
  std::size_t size_ = 0;
};

}  // namespace lockstep
