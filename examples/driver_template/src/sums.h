// The sums of docs/lockstep_mode.md, section 3. A device that adds in these orders gets the same bits as every other
// device.
#pragma once

#include <cstdint>
#include <type_traits>

// The type in which sums of T are added: T itself for floats, an unsigned type for integers so that they wrap.
template <class T>
struct Adds {
  using type = T;
};
template <>
struct Adds<std::int32_t> {
  using type = std::uint32_t;
};
template <>
struct Adds<std::int64_t> {
  using type = std::uint64_t;
};
template <class T>
using Sum = typename Adds<T>::type;

// Adds the sums of chunks as a binary tree: after chunk number c, one addition for each trailing 1 bit of c.
template <class S>
class Pairwise {
 public:
  void add(S chunk) {
    for (std::uint64_t c = chunks_++; c & 1; c >>= 1) chunk = stack_[--depth_] + chunk;
    stack_[depth_++] = chunk;
  }
  S total() const {
    if (depth_ == 0) return S(0);
    S sum = stack_[depth_ - 1];
    for (int i = depth_ - 2; i >= 0; --i) sum = stack_[i] + sum;
    return sum;
  }

 private:
  S stack_[64];
  int depth_ = 0;
  std::uint64_t chunks_ = 0;
};

// Sums of products, for matmul and convolution. Each chunk of 256 positions is summed sequentially. Positions must
// ascend. Positions in the padding are skipped, but they keep their numbers.
template <class T>
class ChainSum {
 public:
  void add(std::int64_t position, T a, T b) {
    while (position >= end_) close();
    chunk_ += static_cast<Sum<T>>(a) * static_cast<Sum<T>>(b);
  }
  T total() {
    close();
    return static_cast<T>(chunks_.total());
  }

 private:
  void close() {
    chunks_.add(chunk_);
    chunk_ = 0;
    end_ += 256;
  }
  std::int64_t end_ = 256;
  Sum<T> chunk_ = 0;
  Pairwise<Sum<T>> chunks_;
};

// Sums of elements, for reductions. Each chunk of 1024 positions is distributed over 32 lanes, which are then added by
// halving.
template <class T>
class LaneSum {
 public:
  void add(T x) {
    lanes_[count_ % 32] += static_cast<Sum<T>>(x);
    if (++count_ == 1024) close();
  }
  T total() {
    if (count_ > 0) close();
    return static_cast<T>(chunks_.total());
  }

 private:
  void close() {
    for (int half = 16; half > 0; half /= 2) {
      for (int l = 0; l < half; ++l) lanes_[l] += lanes_[l + half];
    }
    chunks_.add(lanes_[0]);
    for (Sum<T>& lane : lanes_) lane = 0;
    count_ = 0;
  }
  int count_ = 0;
  Sum<T> lanes_[32] = {};
  Pairwise<Sum<T>> chunks_;
};
