#include "backends/vulkan/kernels/sort.h"

namespace vulkan {
namespace {

class ArgsortKernel : public lks_kernel {
 public:
  explicit ArgsortKernel(const Sort& sort) : sort_(sort) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor x = tensor(launch, 0), order = tensor(launch, 1);
    if (x.count() == 0) return;
    sort_.plan(plan, x, 64, launch.workspace->address + launch.workspace_offset, &order);
  }

 private:
  const Sort sort_;
};

}  // namespace

lks_status make_argsort(const KernelRequest& r, Out out) {
  lks_status s = common::require_dtypes(r, {LKS_I64});
  if (s == LKS_OK) s = require_dense(r);
  if (s != LKS_OK) return s;
  const std::int64_t count = r.input(0).dims[0];
  if (count > max_sorted) return common::refuse(r.diag, LKS_REASON_SIZE, 0, DRIVER_WHERE, "argsort: too many elements");
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  r.info.workspace_bytes = sort_workspace_bytes(count);
  if (r.info.deps) r.info.deps[0].dims = 1;  // the size of the workspace depends on it
  if (out) common::emplace<ArgsortKernel>(r, out, Sort(*context_of(r).device, LKS_I64));
  return LKS_OK;
}

}  // namespace vulkan
