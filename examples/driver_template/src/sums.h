// The sums of docs/lockstep_mode.md, section 3. Whoever adds in these orders has the bits of every other device.
#pragma once

#include <cstdint>
#include <type_traits>

// The type that sums of T add in: T itself; integers unsigned, so that they wrap.
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

// The sums of chunks, joined as a tree. After chunk number c one join is made for each 1 bit at the low end of c.
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

// Of products, for matmul and convolution: chunks of 256 positions, in each one product after the other. Positions
// ascend; those in the padding are left out and keep their number.
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

// Of elements, for reductions: chunks of 1024 positions, dealt to 32 lanes, which are joined by halving.
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
