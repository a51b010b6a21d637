// Fails the command if an index is out of range. Few indices are checked by one workgroup, which finds the first such
// index. Many are checked by many workgroups, which only mark that there is one; then a single workgroup finds the
// first.
#define CHECK_FIELDS                          \
  uint64_t first, end; /* which to look at */ \
  uint64_t per_group;                         \
  int64_t extent;                             \
  uint64_t value; /* of the command */        \
  int axis;                                   \
  uint mode;                                  \
  uint launch; /* of the command */           \
  uint padding

const uint mode_find = 0, mode_mark = 1, mode_explain = 2;
const uint not_failed = 0, failed = 1, failed_unexplained = 2;

shared uint64_t first_outside[gl_WorkGroupSize.x];

// The position of the first index out of range; `end_` if there is none.
// Includers define `bool is_outside(Params, uint64_t at)`.
#define FIRST_OUTSIDE(result_, p_, begin_, end_)                                             \
  {                                                                                          \
    const uint t_ = gl_LocalInvocationIndex;                                                 \
    uint64_t at_ = begin_ + t_;                                                              \
    while (at_ < end_ && !is_outside(p_, at_)) at_ += gl_WorkGroupSize.x;                    \
    first_outside[t_] = min(at_, end_);                                                      \
    for (uint half_ = gl_WorkGroupSize.x / 2; half_ > 0; half_ /= 2) {                       \
      barrier();                                                                             \
      if (t_ < half_) first_outside[t_] = min(first_outside[t_], first_outside[t_ + half_]); \
    }                                                                                        \
    barrier();                                                                               \
    result_ = first_outside[0];                                                              \
  }

// Includers also define `int64_t index_at(Params, uint64_t at)`. Other workgroups of the dispatch may be marking
// meanwhile: the first test must not let only some invocations of this workgroup return, because it has barriers.
#define CHECK_INDICES(p_)                                                                         \
  {                                                                                               \
    const uint state_ = push.state.failed;                                                        \
    if (state_ == failed || (p_.mode == mode_explain && state_ == not_failed)) return;            \
    const uint64_t begin_ = p_.first + group_number() * p_.per_group;                             \
    const uint64_t end_ = min(p_.end, begin_ + p_.per_group);                                     \
    uint64_t found_;                                                                              \
    FIRST_OUTSIDE(found_, p_, begin_, end_);                                                      \
    if (gl_LocalInvocationIndex != 0 || found_ >= end_) return;                                   \
    if (p_.mode == mode_mark) {                                                                   \
      atomicMax(push.state.failed, failed_unexplained);                                           \
      return;                                                                                     \
    }                                                                                             \
    push.state.axis = p_.axis;                                                                    \
    push.state.value = p_.value;                                                                  \
    push.state.launch = p_.launch;                                                                \
    push.state.index = index_at(p_, found_);                                                      \
    push.state.position = int64_t(found_);                                                        \
    push.state.extent = p_.extent;                                                                \
    push.state.failed = failed;                                                                   \
  }
