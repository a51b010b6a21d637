// Copies between strided layouts.
#include <cstring>

#include "backends/reference/kernels/kernels.h"

namespace reference {
namespace {

class CopyKernel : public lks_kernel {
 public:
  void run(const lks_launch& launch) const override {
    const host::TensorView from = view(launch, 0), to = view(launch, 1);
    const std::size_t size = host::size_of(from.dtype);
    Walk walk(to.rank, to.dims);
    walk.add(from.strides);
    walk.add(to.strides);
    for (; !walk.done(); walk.next()) {
      std::memcpy(to.data + walk.offset(1) * static_cast<std::int64_t>(size),
                  from.data + walk.offset(0) * static_cast<std::int64_t>(size), size);
    }
  }
};

}  // namespace

lks_status make_copy(const KernelRequest& request, Out out) {
  common::emplace<CopyKernel>(request, out);
  return LKS_OK;
}

}  // namespace reference
