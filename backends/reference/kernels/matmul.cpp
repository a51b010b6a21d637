#include "backends/reference/kernels/kernels.h"

namespace reference {
namespace {

class MatmulKernel : public lks_kernel {
 public:
  void run(const lks_launch& launch) const override {
    const host::TensorView a = view(launch, 0), b = view(launch, 1), c = view(launch, 2);
    with_numeric(a.dtype, [&](auto zero) { multiply<decltype(zero)>(a, b, c); });
  }

 private:
  template <class T>
  static void multiply(const host::TensorView& a, const host::TensorView& b, const host::TensorView& c) {
    const int row = c.rank - 2, column = c.rank - 1;
    const std::int64_t inner = a.dims[column];
    Walk walk(c.rank, c.dims);
    walk.add(c.strides);
    // An element of c meets a row of a and a column of b: their strides along the other dimension of c are 0.
    std::int64_t a_strides[LKS_MAX_RANK], b_strides[LKS_MAX_RANK];
    for (int d = 0; d < c.rank; ++d) {
      a_strides[d] = d == column ? 0 : a.strides[d];
      b_strides[d] = d == row ? 0 : b.strides[d];
    }
    walk.add(a_strides);
    walk.add(b_strides);
    for (; !walk.done(); walk.next()) {
      typename Accumulator<T>::type total = 0;
      using Wide = decltype(total);
      for (std::int64_t k = 0; k < inner; ++k) {
        total += static_cast<Wide>(a.as<T>()[walk.offset(1) + k * a.strides[column]]) *
                 static_cast<Wide>(b.as<T>()[walk.offset(2) + k * b.strides[row]]);
      }
      c.as<T>()[walk.offset(0)] = static_cast<T>(total);
    }
  }
};

}  // namespace

lks_status make_matmul(const KernelRequest& request, Out out) {
  const lks_status status = host::require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32, LKS_I64});
  if (status != LKS_OK) return status;
  host::emplace<MatmulKernel>(request, out);
  return LKS_OK;
}

}  // namespace reference
