// Batched matrix products over the last two dimensions.
#include "kernels.h"
#include "sums.h"

namespace {

struct Matmul : lks_kernel {
  void run(const lks_launch& launch) const override {
    const Tensor a = tensor(launch, 0), b = tensor(launch, 1), c = tensor(launch, 2);
    with_number(c.dtype, [&](auto zero) { multiply<decltype(zero)>(a, b, c); });
  }

  template <class T>
  static void multiply(const Tensor& a, const Tensor& b, const Tensor& c) {
    const int row = c.rank - 2, column = c.rank - 1;
    const std::int64_t inner = a.dims[column], a_step = a.strides[column], b_step = b.strides[row];
    // An element of c combines a row of a with a column of b: along the other dimension of c their stride is 0.
    std::int64_t a_strides[LKS_MAX_RANK], b_strides[LKS_MAX_RANK];
    for (int d = 0; d < c.rank; ++d) {
      a_strides[d] = d == column ? 0 : a.strides[d];
      b_strides[d] = d == row ? 0 : b.strides[d];
    }
    Walk<3> walk(c.rank, c.dims);
    walk.follow(0, a_strides);
    walk.follow(1, b_strides);
    walk.follow(2, c.strides);
    for (; !walk.done(); walk.next()) {
      const T* left = a.as<T>() + walk.offset(0);
      const T* right = b.as<T>() + walk.offset(1);
      ChainSum<T> sum;
      for (std::int64_t k = 0; k < inner; ++k) sum.add(k, left[k * a_step], right[k * b_step]);
      c.as<T>()[walk.offset(2)] = sum.total();
    }
  }
};

}  // namespace

lks_status make_matmul(const Request& request, Made* made) {
  if (const lks_status status = require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32, LKS_I64}); status != LKS_OK) {
    return status;
  }
  describe_sums(request);
  return make_kernel<Matmul>(request, made);
}
