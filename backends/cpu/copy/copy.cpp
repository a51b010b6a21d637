// Copies between strided layouts.
#include <algorithm>
#include <cstring>

#include "backends/cpu/copy/move_block.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/stream.h"

namespace cpu {
namespace {

constexpr double ns_per_byte = 0.06;  // read and written
constexpr std::int64_t staging_bytes = 16384;

// The extents of a copy and both tensors' strides in bytes, sorted by the destination's strides, the largest first.
struct Shape {
  int rank = 0;
  std::int64_t size = 1;  // of an element
  std::int64_t dims[LKS_MAX_RANK], to[LKS_MAX_RANK], from[LKS_MAX_RANK];

  Shape(const host::TensorView& source, const host::TensorView& target) : size(bytes_of(target.dtype)) {
    for (int d = 0; d < target.rank; ++d) {
      if (target.dims[d] != 1) insert(target.dims[d], target.strides[d] * size, source.strides[d] * size);
    }
    merge();
    if (rank == 0) insert(1, size, size);
  }
  std::int64_t count() const {
    std::int64_t n = 1;
    for (int d = 0; d < rank; ++d) n *= dims[d];
    return n;
  }

 private:
  void insert(std::int64_t extent, std::int64_t to_stride, std::int64_t from_stride) {
    int at = rank++;
    for (; at > 0 && std::abs(to[at - 1]) < std::abs(to_stride); --at) {
      dims[at] = dims[at - 1];
      to[at] = to[at - 1];
      from[at] = from[at - 1];
    }
    dims[at] = extent;
    to[at] = to_stride;
    from[at] = from_stride;
  }
  void merge() {
    int kept = 0;
    for (int d = 0; d < rank; ++d) {
      const bool merges = kept > 0 && to[kept - 1] == to[d] * dims[d] && from[kept - 1] == from[d] * dims[d];
      kept = merges ? kept : kept + 1;
      dims[kept - 1] = merges ? dims[kept - 1] * dims[d] : dims[d];
      to[kept - 1] = to[d];
      from[kept - 1] = from[d];
    }
    rank = kept;
  }
};

// For a source and a destination that are both dense.
void copy_dense(const lks_host_api& api, char* to, const char* from, std::int64_t bytes) {
  constexpr std::int64_t piece = 64;
  const bool large = bytes >= stream_threshold();
  parallel(api, (bytes + piece - 1) / piece, grain_for(piece * ns_per_byte), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t first = begin * piece, count = std::min(bytes, end * piece) - first;
    if (!large) {
      std::memcpy(to + first, from + first, static_cast<std::size_t>(count));
      return;
    }
    stream_out(to + first, from + first, count);
    stream_fence();
  });
}

// All other copies, in blocks along two dimensions: the one in which the destination is contiguous, and the one in
// which the source is.
class BlockedCopy {
 public:
  BlockedCopy(const Shape& shape, char* to, char* from) : s_(shape), to_(to), from_(from) {
    const int last = s_.rank - 1;
    const bool side_by_side = s_.from[last] == s_.size && s_.to[last] == s_.size;
    row_dim_ = last - 1;
    for (int d = 0; !side_by_side && d < last; ++d) {
      if (s_.from[d] == s_.size) row_dim_ = d;
    }
    streams_ = s_.count() * s_.size >= stream_threshold() && s_.to[last] == s_.size && s_.dims[last] * s_.size >= 64;
    const std::int64_t elements = staging_bytes / s_.size;
    columns_ = std::min<std::int64_t>(s_.dims[last], side_by_side ? elements : 64);
    row_extent_ = row_dim_ >= 0 ? s_.dims[row_dim_] : 1;
    rows_ = std::clamp<std::int64_t>(elements / columns_, 1, row_extent_);
    across_ = (s_.dims[last] + columns_ - 1) / columns_;
    down_ = (row_extent_ + rows_ - 1) / rows_;
  }

  void run(const lks_host_api& api) const {
    const std::int64_t blocks = s_.count() / s_.dims[s_.rank - 1] / row_extent_ * across_ * down_;
    const double ns_per_block = 2 * ns_per_byte * static_cast<double>(rows_ * columns_ * s_.size);
    parallel(api, blocks, grain_for(ns_per_block), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t b = begin; b < end; ++b) copy_block(b);
      if (streams_) stream_fence();
    });
  }

 private:
  void copy_block(std::int64_t block) const {
    const int last = s_.rank - 1;
    const std::int64_t column = block % across_ * columns_, row = block / across_ % down_ * rows_;
    std::int64_t rest = block / across_ / down_;
    Block to{to_ + column * s_.to[last], 0, s_.to[last]}, from{from_ + column * s_.from[last], 0, s_.from[last]};
    for (int d = last - 1; d >= 0; --d) {
      std::int64_t index = row;
      if (d != row_dim_) {
        index = rest % s_.dims[d];
        rest /= s_.dims[d];
      } else {
        to.row_stride = s_.to[d];
        from.row_stride = s_.from[d];
      }
      to.data += index * s_.to[d];
      from.data += index * s_.from[d];
    }
    const std::int64_t rows = std::min(rows_, row_extent_ - row), columns = std::min(columns_, s_.dims[last] - column);
    streams_ ? stream_block(to, from, rows, columns) : move_block(to, from, rows, columns, s_.size);
  }

  void stream_block(const Block& to, const Block& from, std::int64_t rows, std::int64_t columns) const {
    alignas(64) char staged[staging_bytes];
    const std::int64_t bytes = columns * s_.size;
    move_block({staged, bytes, s_.size}, from, rows, columns, s_.size);
    for (std::int64_t r = 0; r < rows; ++r) stream_out(to.data + r * to.row_stride, staged + r * bytes, bytes);
  }

  const Shape& s_;
  char *to_, *from_;
  int row_dim_;
  std::int64_t rows_, columns_, row_extent_, across_, down_;
  bool streams_;
};

class CopyKernel : public lks_kernel {
 public:
  explicit CopyKernel(const lks_host_api& api) : api_(api) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView from = view(launch, 0), to = view(launch, 1);
    if (to.count() == 0) return;
    const Shape shape(from, to);
    if (shape.rank == 1 && shape.to[0] == shape.size && shape.from[0] == shape.size) {
      return copy_dense(api_, to.data, from.data, shape.dims[0] * shape.size);
    }
    BlockedCopy(shape, to.data, from.data).run(api_);
  }

 private:
  const lks_host_api& api_;
};

}  // namespace

lks_status make_copy(const KernelRequest& request, Out out) {
  common::emplace<CopyKernel>(request, out, request.api);
  return LKS_OK;
}

}  // namespace cpu
