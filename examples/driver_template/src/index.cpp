// gather and scatter_add. An index out of range is an error, and then nothing is written.
#include <cstring>

#include "kernels.h"
#include "sums.h"

namespace {

std::int64_t index_at(const Tensor& indices, std::int64_t offset) {
  return indices.dtype == LKS_I32 ? indices.as<std::int32_t>()[offset] : indices.as<std::int64_t>()[offset];
}

lks_status check_indices(const Tensor& indices, std::int64_t extent, int axis, lks_diag* diag) {
  Walk<1> walk(indices.rank, indices.dims);
  walk.follow(0, indices.strides);
  for (long long position = 0; !walk.done(); walk.next(), ++position) {
    const std::int64_t index = index_at(indices, walk.offset(0));
    if (index >= 0 && index < extent) continue;
    fail(diag, LKS_INVALID_ARGUMENT, "index %lld at position %lld is outside axis %d of extent %lld",
         static_cast<long long>(index), position, axis, static_cast<long long>(extent));
    diag->reason = LKS_REASON_INDEX;
    std::snprintf(diag->hint, sizeof diag->hint, "indices go from 0 to the extent - 1");
    return LKS_INVALID_ARGUMENT;
  }
  return LKS_OK;
}

// y[before, indices, after] = x[before, index, after]
class Gather : public lks_kernel {
 public:
  explicit Gather(std::int64_t axis) : axis_(static_cast<int>(axis)) {}
  lks_status check(const lks_launch& launch, lks_diag* diag) const override {
    return check_indices(tensor(launch, 1), tensor(launch, 0).dims[axis_], axis_, diag);
  }
  void run(const lks_launch& launch) const override {
    const Tensor x = tensor(launch, 0), indices = tensor(launch, 1), y = tensor(launch, 2);
    std::int64_t x_strides[LKS_MAX_RANK] = {}, index_strides[LKS_MAX_RANK] = {};
    for (int d = 0; d < y.rank; ++d) {
      if (d < axis_) x_strides[d] = x.strides[d];
      if (d >= axis_ && d < axis_ + indices.rank) index_strides[d] = indices.strides[d - axis_];
      if (d >= axis_ + indices.rank) x_strides[d] = x.strides[d - indices.rank + 1];
    }
    Walk<3> walk(y.rank, y.dims);
    walk.follow(0, x_strides);
    walk.follow(1, index_strides);
    walk.follow(2, y.strides);
    const std::int64_t size = bytes_of(x.dtype);
    for (; !walk.done(); walk.next()) {
      const std::int64_t from = walk.offset(0) + index_at(indices, walk.offset(1)) * x.strides[axis_];
      std::memcpy(y.data + walk.offset(2) * size, x.data + from * size, static_cast<std::size_t>(size));
    }
  }

 private:
  int axis_;
};

class ScatterAdd : public lks_kernel {
 public:
  explicit ScatterAdd(const lks_scatter_add_attrs& a) : axis_(static_cast<int>(a.axis)), extent_(a.extent) {}
  lks_status check(const lks_launch& launch, lks_diag* diag) const override {
    return check_indices(tensor(launch, 1), extent_, axis_, diag);
  }
  void run(const lks_launch& launch) const override {
    const Tensor updates = tensor(launch, 0), indices = tensor(launch, 1), y = tensor(launch, 2);
    with_number(y.dtype, [&](auto zero) { add<decltype(zero)>(updates, indices, y); });
  }

 private:
  // Visiting the updates in row-major order adds them to each output element in ascending order.
  template <class T>
  void add(const Tensor& updates, const Tensor& indices, const Tensor& y) const {
    Walk<1> all(y.rank, y.dims);
    all.follow(0, y.strides);
    for (; !all.done(); all.next()) y.as<T>()[all.offset(0)] = 0;
    std::int64_t y_strides[LKS_MAX_RANK];
    for (int d = 0; d < y.rank; ++d) y_strides[d] = d == axis_ ? 0 : y.strides[d];
    Walk<2> walk(updates.rank, updates.dims);
    walk.follow(0, updates.strides);
    walk.follow(1, y_strides);
    for (; !walk.done(); walk.next()) {
      const std::int64_t index = index_at(indices, walk.index(axis_) * indices.strides[0]);
      T& place = y.as<T>()[walk.offset(1) + index * y.strides[axis_]];
      place = static_cast<T>(static_cast<Sum<T>>(place) + static_cast<Sum<T>>(updates.as<T>()[walk.offset(0)]));
    }
  }
  int axis_;
  std::int64_t extent_;
};

lks_status require_indices(const Request& request) {
  const lks_dtype t = request.input(1).dtype;
  return t == LKS_I32 || t == LKS_I64 ? LKS_OK : refuse(request.diag, LKS_REASON_DTYPE, 1, "indices are i32 or i64");
}

}  // namespace

lks_status make_gather(const Request& request, Made* made) {
  if (const lks_status status = require_indices(request); status != LKS_OK) return status;
  const auto attrs = request.attrs<lks_gather_attrs>();
  return make_kernel<Gather>(request, made, attrs.axis);
}

lks_status make_scatter_add(const Request& request, Made* made) {
  if (const lks_status status = require_indices(request); status != LKS_OK) return status;
  if (const lks_status status = require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32, LKS_I64}); status != LKS_OK) {
    return status;
  }
  const auto attrs = request.attrs<lks_scatter_add_attrs>();
  describe_sums(request);
  return make_kernel<ScatterAdd>(request, made, attrs);
}
