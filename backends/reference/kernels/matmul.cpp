#include "backends/reference/kernels/ordered_sum.h"

namespace reference {
namespace {

class MatmulKernel : public lks_kernel {
 public:
  explicit MatmulKernel(bool lockstep) : lockstep_(lockstep) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView a = view(launch, 0), b = view(launch, 1), c = view(launch, 2);
    with_numeric(a.dtype, [&](auto zero) {
      using T = decltype(zero);
      with_products<T>(lockstep_, [&](auto empty) { multiply<T>(a, b, c, empty); });
    });
  }

 private:
  template <class T, class Sum>
  static void multiply(const host::TensorView& a, const host::TensorView& b, const host::TensorView& c, Sum empty) {
    const int row = c.rank - 2, column = c.rank - 1;
    const std::int64_t inner = a.dims[column];
    Walk walk(c.rank, c.dims);
    walk.add(c.strides);
    // An element of c combines a row of a with a column of b: along the other dimension of c their stride is 0.
    std::int64_t a_strides[LKS_MAX_RANK], b_strides[LKS_MAX_RANK];
    for (int d = 0; d < c.rank; ++d) {
      a_strides[d] = d == column ? 0 : a.strides[d];
      b_strides[d] = d == row ? 0 : b.strides[d];
    }
    walk.add(a_strides);
    walk.add(b_strides);
    for (; !walk.done(); walk.next()) {
      Sum sum = empty;
      for (std::int64_t k = 0; k < inner; ++k) {
        sum.add(k, a.as<T>()[walk.offset(1) + k * a.strides[column]], b.as<T>()[walk.offset(2) + k * b.strides[row]]);
      }
      c.as<T>()[walk.offset(0)] = sum.total();
    }
  }

  bool lockstep_;
};

}  // namespace

lks_status make_matmul(const KernelRequest& request, Out out) {
  const lks_status status = common::require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32, LKS_I64});
  if (status != LKS_OK) return status;
  describe_sum(request);
  common::emplace<MatmulKernel>(request, out, is_lockstep(request));
  return LKS_OK;
}

}  // namespace reference
