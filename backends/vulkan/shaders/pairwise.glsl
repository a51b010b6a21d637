// Sums, and other reductions, in the orders of lockstep mode. Includers define `Partial`, the partial result of some
// elements, `Partial identity()`, that of no elements, and `Partial join(Partial, Partial)`.

// Joins parts pairwise in a tree as they arrive: two parts of the same number of leaves are joined as soon as both
// exist.
#define PAIRWISE(name, most)    \
  Partial name##_pending[most]; \
  uint name##_depth = 0, name##_count = 0
#define PAIRWISE_ADD(name, part_)                                       \
  {                                                                     \
    Partial latest_ = part_;                                            \
    for (uint below_ = name##_count; (below_ & 1) != 0; below_ >>= 1) { \
      latest_ = join(name##_pending[--name##_depth], latest_);          \
    }                                                                   \
    name##_pending[name##_depth++] = latest_;                           \
    name##_count += 1;                                                  \
  }
#define PAIRWISE_TOTAL(result_, name)                                                                 \
  {                                                                                                   \
    result_ = identity();                                                                             \
    if (name##_depth > 0) {                                                                           \
      result_ = name##_pending[name##_depth - 1];                                                     \
      for (uint i_ = name##_depth - 1; i_ > 0; --i_) result_ = join(name##_pending[i_ - 1], result_); \
    }                                                                                                 \
  }

// Reduces one chunk of `count_` terms in one invocation; term_ is an expression in position_. The 32 lanes are joined
// by halving, that is in the order 0, 16, 8, 24 …. Lanes without elements are +0 and change nothing, so only the
// smallest power of two of lanes that holds all elements is visited.
#define JOIN_LANES_OF_CHUNK(result_, count_, position_, term_)                                                       \
  {                                                                                                                  \
    const uint log_lanes_ = count_ <= 1 ? 0 : min(uint(findMSB(count_ - 1)) + 1, 5u);                                \
    PAIRWISE(joined, 6);                                                                                             \
    for (uint number_ = 0; number_ < (1u << log_lanes_); ++number_) {                                                \
      Partial lane_ = identity();                                                                                    \
      for (uint position_ = log_lanes_ == 0 ? 0 : bitfieldReverse(number_) >> (32 - log_lanes_); position_ < count_; \
           position_ += 32) {                                                                                        \
        lane_ = join(lane_, term_);                                                                                  \
      }                                                                                                              \
      PAIRWISE_ADD(joined, lane_);                                                                                   \
    }                                                                                                                \
    PAIRWISE_TOTAL(result_, joined);                                                                                 \
  }
