// The driver's own matmul, for f32, f64, i32 and i64 and any strides. Used in lockstep mode and for everything that
// oneDNN does not serve.
#include "backends/cpu/linalg/blocked_product.h"
#include "backends/cpu/linalg/product.h"
#include "backends/cpu/linalg/skinny.h"
#include "backends/cpu/lockstep.h"

namespace cpu {
namespace {

template <class T, Products products>
class MatmulKernel : public lks_kernel {
 public:
  MatmulKernel(const lks_host_api& api, const Product& product, const Blocking& blocking)
      : api_(api), p_(product), blocking_(blocking) {}

  void run(const lks_launch& launch) const override {
    if (p_.empty()) return;
    const T* a = view(launch, 0).template as<T>();
    const T* b = view(launch, 1).template as<T>();
    T* c = view(launch, 2).template as<T>();
    T* workspace = reinterpret_cast<T*>(static_cast<char*>(launch.workspace->data) + launch.workspace_offset);
    const std::int64_t across = pieces_of(p_.n, blocking_.columns),
                       per_matrix = across * pieces_of(p_.m, blocking_.rows);
    for_each_unit(api_, blocking_, per_matrix * p_.batch_count(), workspace, [&](std::int64_t unit, T* panels) {
      const Product::Offsets at = p_.at(unit / per_matrix);
      compute(a + at.a, b + at.b, c + at.c, unit % per_matrix / across, unit % across, panels);
    });
  }

 private:
  void compute(const T* a, const T* b, T* c, std::int64_t down, std::int64_t right, T* panels) const {
    const std::int64_t row = down * blocking_.rows, column = right * blocking_.columns;
    const ResultBlock<T> block{c + row * p_.c.row + column * p_.c.column,
                               p_.c.row,
                               p_.n == 1 ? 1 : p_.c.column,
                               row,
                               column,
                               std::min(blocking_.rows, p_.m - row),
                               std::min(blocking_.columns, p_.n - column)};
    const auto pack_a = [&](std::int64_t r, std::int64_t rows, std::int64_t k, std::int64_t depth, T* to) {
      return pack_left<T>(a + r * p_.a.row + k * p_.a.column, p_.a.row, p_.k == 1 ? 1 : p_.a.column, rows, depth, to);
    };
    const auto pack_b = [&](std::int64_t j, std::int64_t columns, std::int64_t k, std::int64_t depth, T* to) {
      pack_strided<T, tile_columns<T>>(b + j * p_.b.column + k * p_.b.row, p_.b.column, p_.b.row, columns, depth, to);
      return to;
    };
    compute_block<T, products>(block, p_.k, blocking_, pack_a, pack_b, panels);
  }

  const lks_host_api& api_;
  const Product p_;
  const Blocking blocking_;
};

std::int64_t useful_threads(const KernelRequest& request, const Product& p) {
  const double flops = 2.0 * static_cast<double>(p.batch_count()) * static_cast<double>(p.m) *
                       static_cast<double>(p.n) * static_cast<double>(p.k);
  constexpr double worth_a_thread = 1e5;  // flops; a few microseconds
  const auto most = static_cast<std::int64_t>(std::min(flops / worth_a_thread, 1e6)) + 1;
  return std::min<std::int64_t>(request.api.thread_count(request.api.host), most);
}

template <class T, Products products>
void make_of_type(const KernelRequest& request, Out out, const Product& p) {
  const std::int64_t threads = useful_threads(request, p);
  constexpr SliceOrder order = products == Products::separate ? SliceOrder::pairwise : SliceOrder::chain;
  const Blocking blocking = Blocking::choose<T>(p.m, p.n, p.k, p.batch_count(), threads, order);
  request.info.workspace_bytes = blocking.workspace_bytes<T>();
  common::emplace<MatmulKernel<T, products>>(request, out, request.api, p, blocking);
}

}  // namespace

lks_status make_matmul(const KernelRequest& request, Out out) {
  const lks_status status = common::require_dtypes(request, {LKS_F32, LKS_F64, LKS_I32, LKS_I64});
  if (status != LKS_OK) return status;
  const Product p = product_of(request.input(0), request.input(1), request.output(0));
  // Integers wrap, so the order of their sums does not matter.
  with_numeric(request.input(0).dtype,
               [&](auto zero) { make_of_type<Wrapping<decltype(zero)>, Products::fused>(request, out, p); });
  for (std::size_t i = 0; i < 3; ++i) request.depends_on_layout(i);
  return LKS_OK;
}

lks_status make_skinny_matmul_lockstep(const KernelRequest& request, Out out) {
  if (const lks_status status = require_lockstep(request); status != LKS_OK) return status;
  if (const lks_status status = common::require_dtypes(request, {LKS_F32, LKS_F64}); status != LKS_OK) return status;
  const Product p = product_of(request.input(0), request.input(1), request.output(0));
  if (!SkinnyMatmulKernel<float>::serves(p)) {
    return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE, "for a few rows times dense rows alone");
  }
  if (request.input(0).dtype == LKS_F64) {
    common::emplace<SkinnyMatmulKernel<double>>(request, out, request.api, p, useful_threads(request, p));
  } else {
    common::emplace<SkinnyMatmulKernel<float>>(request, out, request.api, p, useful_threads(request, p));
  }
  declare_lockstep(request);
  for (std::size_t i = 0; i < 3; ++i) request.depends_on_layout(i);
  return LKS_OK;
}

lks_status make_matmul_lockstep(const KernelRequest& request, Out out) {
  if (const lks_status status = require_lockstep(request); status != LKS_OK) return status;
  if (const lks_status status = common::require_dtypes(request, {LKS_F32, LKS_F64}); status != LKS_OK) return status;
  const Product p = product_of(request.input(0), request.input(1), request.output(0));
  if (request.input(0).dtype == LKS_F64) {
    make_of_type<double, Products::separate>(request, out, p);
  } else {
    make_of_type<float, Products::separate>(request, out, p);
  }
  declare_lockstep(request);
  for (std::size_t i = 0; i < 3; ++i) request.depends_on_layout(i);
  return LKS_OK;
}

}  // namespace cpu
