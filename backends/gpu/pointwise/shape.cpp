#include "backends/gpu/pointwise/shape.h"

#include <algorithm>

#include "api/internal/instructions.h"

namespace gpu {
namespace {

bool is_single(const lks_tensor_desc& t) {
  return std::all_of(t.dims, t.dims + t.rank, [](std::int64_t extent) { return extent == 1; });
}

// Whether the tensor has the output's shape and is dense and row-major.
bool is_linear(const lks_tensor_desc& t, const lks_tensor_desc& output) {
  if (t.rank > output.rank) return false;
  std::int64_t expected = 1;
  for (int d = 1; d <= output.rank; ++d) {
    const std::int64_t extent = output.dims[output.rank - d];
    if (d > t.rank ? extent != 1 : t.dims[t.rank - d] != extent) return false;
    if (d <= t.rank && extent != 1 && t.strides[t.rank - d] != expected) return false;
    expected *= extent;
  }
  return true;
}

}  // namespace

PointwiseShape::PointwiseShape(const common::KernelRequest& r) {
  for (std::uint32_t i = 0; i < r.tensor_count(); ++i) {
    const lks_tensor_desc& t = r.tensor(i);
    dtypes.push_back(t.dtype);
    const bool is_input = i < r.desc.input_count;
    walks.push_back(is_linear(t, r.output(0)) ? Walk::linear : is_input && is_single(t) ? Walk::single : Walk::strided);
  }
  scalars.assign(r.desc.scalar_dtypes, r.desc.scalar_dtypes + r.desc.scalar_count);
}

bool PointwiseShape::strided() const { return std::find(walks.begin(), walks.end(), Walk::strided) != walks.end(); }

std::string why_not_writable(const std::vector<lks_instr>& instrs) {
  for (const lks_instr& instr : instrs) {
    const bool computes = instr.opcode >= LKS_INSTR_ADD && instr.opcode <= LKS_INSTR_SQRT;
    if (computes && lockstep::is_half_width(instr.dtype)) return "there is no arithmetic in 16-bit floats";
  }
  return "";
}

}  // namespace gpu
