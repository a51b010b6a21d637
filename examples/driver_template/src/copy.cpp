// Copies between any two strided layouts, for every dtype.
#include <cstring>

#include "kernels.h"

namespace {

struct Copy : lks_kernel {
  void run(const lks_launch& launch) const override {
    const Tensor from = tensor(launch, 0), to = tensor(launch, 1);
    const std::int64_t size = bytes_of(from.dtype);
    Walk<2> walk(to.rank, to.dims);
    walk.follow(0, from.strides);
    walk.follow(1, to.strides);
    for (; !walk.done(); walk.next()) {
      std::memcpy(to.data + walk.offset(1) * size, from.data + walk.offset(0) * size, static_cast<std::size_t>(size));
    }
  }
};

}  // namespace

lks_status make_copy(const Request& request, Made* made) { return make_kernel<Copy>(request, made); }
