// f32 matmul by oneDNN, without copies. Each operand needs contiguous rows or contiguous columns; its batch dimensions
// may have any strides that are not negative.
#include "backends/cpu/linalg/blocked_product.h"
#include "backends/cpu/linalg/product.h"
#include "backends/cpu/lockstep.h"
#include "backends/cpu/onednn/sequence.h"

namespace cpu {
namespace {

using dnnl::memory;

// Finds strides that oneDNN's fast implementations read: one of the two is 1, and rows (or columns) do not overlap.
// Returns false if there are none.
bool plain_strides(std::int64_t rows, std::int64_t columns, const MatrixStrides& s, std::int64_t& row,
                   std::int64_t& column) {
  row = rows == 1 ? columns : s.row;
  column = columns == 1 ? 1 : s.column;
  if (rows == 1 && column > 1) row = 1;  // a single row with gaps: read it as column-major
  return (column == 1 && row >= columns) || (row == 1 && column >= rows);
}

// Describes the layout of an operand; returns false if oneDNN does not read it. A batch dimension of stride 0 is
// broadcast.
bool describe(const Product& p, std::int64_t rows, std::int64_t columns, const MatrixStrides& s, memory::desc& out) {
  memory::dims dims, strides;
  for (int d = 0; d < p.batch_rank; ++d) {
    if (s.batch[d] < 0) return false;
    dims.push_back(s.batch[d] == 0 ? 1 : p.batch[d]);
    strides.push_back(s.batch[d] == 0 ? rows * columns : s.batch[d]);
  }
  std::int64_t row = 0, column = 0;
  if (!plain_strides(rows, columns, s, row, column)) return false;
  dims.insert(dims.end(), {rows, columns});
  strides.insert(strides.end(), {row, column});
  out = memory::desc(dims, memory::data_type::f32, strides);
  return true;
}

// Whether the driver's own kernel, which computes whole tiles, is faster than the overhead of calling oneDNN: up to
// about 32 × 32 × 32.
bool is_small(const Product& p) {
  constexpr double max_multiplications = 40000;
  const std::int64_t tiles = round_up(p.m, tile_rows) * round_up(p.n, tile_columns<float>);
  return static_cast<double>(p.batch_count()) * static_cast<double>(tiles) * static_cast<double>(p.k) <=
         max_multiplications;
}

}  // namespace

lks_status make_matmul_onednn(const KernelRequest& request, Out out) {
  if (const lks_status status = refuse_lockstep(request); status != LKS_OK) return status;
  if (const lks_status status = common::require_dtypes(request, {LKS_F32}); status != LKS_OK) return status;
  const Product p = product_of(request.input(0), request.input(1), request.output(0));
  if (p.empty() || p.k == 0 || is_small(p)) {
    return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE,
                          "empty and small products are not for oneDNN");
  }
  memory::desc a, b, c;
  const bool readable = describe(p, p.m, p.k, p.a, a) && describe(p, p.k, p.n, p.b, b) && describe(p, p.m, p.n, p.c, c);
  if (!readable) {
    return common::refuse(request.diag, LKS_REASON_LAYOUT, -1, DRIVER_WHERE, "oneDNN does not read these strides");
  }
  const std::uint32_t mode = request.desc.math_mode;
  const lks_status status = onednn::make_kernel(request, out, [=] {
    auto sequence = std::make_unique<onednn::Sequence>();
    const dnnl::matmul::primitive_desc pd(sequence->engine(), a, b, c, onednn::attributes(mode));
    sequence->add(dnnl::matmul(pd), pd.scratchpad_desc(),
                  {{DNNL_ARG_SRC, a, onednn::tensor(0)},
                   {DNNL_ARG_WEIGHTS, b, onednn::tensor(1)},
                   {DNNL_ARG_DST, c, onednn::tensor(2)}});
    return sequence;
  });
  if (status == LKS_OK) {
    for (std::size_t i = 0; i < 3; ++i) request.depends_on_layout(i);
  }
  return status;
}

}  // namespace cpu
