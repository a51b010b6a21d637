#include "conformance/runtime/kernels.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace lockstep::conformance {

std::vector<std::int64_t> Operand::all_strides() const {
  if (!strides.empty() || dims.empty()) return strides;
  std::vector<std::int64_t> dense(dims.size(), 1);
  for (std::size_t d = dims.size() - 1; d > 0; --d) dense[d - 1] = dense[d] * dims[d];
  return dense;
}

std::int64_t Operand::count() const {
  std::int64_t n = 1;
  for (std::int64_t d : dims) n *= d;
  return n;
}

std::uint64_t Operand::span() const {
  if (absent || count() == 0) return 0;
  std::int64_t last = 0;
  const std::vector<std::int64_t> s = all_strides();
  for (std::size_t d = 0; d < dims.size(); ++d) last += (dims[d] - 1) * std::abs(s[d]);
  return static_cast<std::uint64_t>(last + 1) * element_size();
}

std::int64_t Operand::first() const {
  std::int64_t at = 0;
  const std::vector<std::int64_t> s = all_strides();
  for (std::size_t d = 0; d < dims.size(); ++d) at += s[d] < 0 ? (dims[d] - 1) * -s[d] : 0;
  return at;
}

Description::Description(const KernelSample& sample, std::uint32_t mode, std::uint64_t alignment)
    : deps(sample.inputs.size() + sample.outputs.size()),
      scalars_(sample.scalar_dtypes),
      attrs_(sample.attrs),
      aliases_(sample.aliases) {
  std::vector<Operand> all = sample.inputs;
  all.insert(all.end(), sample.outputs.begin(), sample.outputs.end());
  for (const Operand& operand : all) {
    lks_tensor_desc t;
    std::memset(&t, 0, sizeof t);
    t.hdr.size = sizeof t;
    t.dtype = operand.dtype;
    if (operand.absent) t.flags = LKS_TENSOR_OPTIONAL_ABSENT;
    t.rank = static_cast<std::int32_t>(operand.dims.size());
    const std::vector<std::int64_t> strides = operand.all_strides();
    std::copy(operand.dims.begin(), operand.dims.end(), t.dims);
    std::copy(strides.begin(), strides.end(), t.strides);
    t.alignment = std::max(alignment, operand.element_size());
    tensors.push_back(t);
  }
  std::memset(&desc, 0, sizeof desc);
  desc.hdr.size = sizeof desc;
  desc.op = sample.op;
  desc.op_version = sample.version;
  desc.op_name = sample.op_name;
  desc.attrs = attrs_.empty() ? nullptr : attrs_.data();
  desc.attrs_size = static_cast<std::uint32_t>(attrs_.size());
  desc.math_mode = mode;
  desc.input_count = static_cast<std::uint32_t>(sample.inputs.size());
  desc.output_count = static_cast<std::uint32_t>(sample.outputs.size());
  desc.inputs = tensors.data();
  desc.outputs = tensors.data() + sample.inputs.size();
  desc.scalar_count = static_cast<std::uint32_t>(scalars_.size());
  desc.scalar_dtypes = scalars_.data();
  desc.operand_count = sample.program ? 0 : desc.input_count;
  desc.alias_count = static_cast<std::uint32_t>(aliases_.size());
  desc.aliases = aliases_.data();
  if (sample.program) {
    for (std::uint32_t i = 0; i < desc.input_count; ++i) inputs_.push_back(i);
    for (std::uint32_t i = 0; i < desc.output_count; ++i) outputs_.push_back(i);
    attached_ = {&sample.program->abi(), inputs_.data(), outputs_.data()};
    desc.program_count = 1;
    desc.programs = &attached_;
  }
  std::memset(&info, 0, sizeof info);
  info.hdr.size = sizeof info;
  info.deps = deps.data();
}

void Description::scribble() {
  if (!tensors.empty()) std::memset(tensors.data(), 0x5c, tensors.size() * sizeof tensors[0]);
  std::fill(attrs_.begin(), attrs_.end(), static_cast<unsigned char>(0x5c));
  std::fill(inputs_.begin(), inputs_.end(), 0x5c5c5c5cu);
  std::fill(outputs_.begin(), outputs_.end(), 0x5c5c5c5cu);
  std::fill(scalars_.begin(), scalars_.end(), 0x5c5c5c5cu);
  std::fill(aliases_.begin(), aliases_.end(), lks_alias{0x5c5c5c5cu, 0x5c5c5c5cu});
  std::memset(&attached_, 0x5c, sizeof attached_);
  std::memset(&desc, 0x5c, sizeof desc);
}

bool query(Session& session, Description& description, lks_diag* refusal) {
  Call call("kernel_query");
  const lks_status status = call.done(
      session.api.kernel_query(session.driver, session.ordinal, &description.desc, &description.info, call.diag()));
  if (status == LKS_OK) return true;
  call.fails(status, LKS_UNSUPPORTED);
  check(call.filled().reason != LKS_REASON_NONE,
        std::string("kernel_query refused with LKS_REASON_NONE, set diag.reason to one of LKS_REASON_OP to "
                    "LKS_REASON_HARDWARE: ") +
            call.filled().what);
  if (refusal) *refusal = call.filled();
  return false;
}

std::optional<lks_diag> refusal_of(Session& session, Description& description, const std::string& what) {
  lks_diag refusal = empty_diagnosis();
  const bool offered = query(session, description, &refusal);
  lks_kernel* kernel = nullptr;
  Call call("kernel_prepare");
  const lks_status status =
      call.done(session.api.kernel_prepare(session.device, &description.desc, &kernel, &description.info, call.diag()));
  if (status == LKS_OK && kernel) session.api.kernel_release(session.device, kernel);
  if (offered) {
    call.ok(status);
    check(kernel != nullptr, what + ": kernel_prepare succeeded without a kernel");
    return std::nullopt;
  }
  check(status == LKS_UNSUPPORTED, what + " is refused by the query, and preparing it gives " + status_name(status));
  check(call.filled().reason == refusal.reason, what + ": the query refuses for " + reason_name(refusal.reason) +
                                                    ", the preparation for " + reason_name(call.filled().reason));
  return refusal;
}

bool is_offered(Session& session, Description& description, std::int32_t reason, const std::string& what) {
  const std::optional<lks_diag> refusal = refusal_of(session, description, what);
  if (!refusal) return true;
  check(refusal->reason == reason,
        what + " is refused for " + reason_name(refusal->reason) + ", not for " + reason_name(reason));
  return false;
}

Kernel::Kernel(Session& session, const KernelSample& sample, std::uint32_t mode, std::uint64_t alignment)
    : session_(&session) {
  Description description(sample, mode, alignment);
  prepare(description, sample.name);
}

Kernel::Kernel(Session& session, Description& description, const std::string& name) : session_(&session) {
  prepare(description, name);
}

void Kernel::prepare(Description& description, const std::string& name) {
  Session& session = *session_;
  Call call("kernel_prepare");
  const lks_status status = call.done(
      session.api.kernel_prepare(session.device, &description.desc, &handle_, &description.info, call.diag()));
  info_ = description.info;
  info_.deps = nullptr;
  description.scribble();
  if (status == LKS_UNSUPPORTED) {
    handle_ = nullptr;
    return;
  }
  call.ok(status);
  check(handle_ != nullptr, "kernel_prepare succeeded without a kernel: " + name);
}

Kernel::~Kernel() {
  if (handle_) session_->api.kernel_release(session_->device, handle_);
}

Launch::Launch(const Kernel& kernel, const KernelSample& sample, const std::vector<TensorLocation>& locations,
               const Buffer* workspace, std::uint64_t workspace_offset)
    : scalars_(sample.scalars) {
  // A driver ignores the bits above the width of a scalar.
  for (std::size_t i = 0; i < scalars_.size(); ++i) {
    const std::uint32_t width = LKS_DTYPE_BITS(sample.scalar_dtypes[i]);
    if (width < 64) scalars_[i] |= ~std::uint64_t{0} << width;
  }
  const std::size_t inputs = sample.inputs.size(), count = inputs + sample.outputs.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Operand& operand = i < inputs ? sample.inputs[i] : sample.outputs[i - inputs];
    dims_.push_back(operand.dims);
    strides_.push_back(operand.all_strides());
    dims_.back().resize(LKS_MAX_RANK);
    strides_.back().resize(LKS_MAX_RANK);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const bool absent = i < inputs && sample.inputs[i].absent;
    bindings_.push_back(
        {absent ? nullptr : locations[i].buffer->handle(), locations[i].offset, dims_[i].data(), strides_[i].data()});
  }
  std::memset(&launch_, 0, sizeof launch_);
  static const lks_header extension{sizeof(lks_header), LKS_MAY_SKIP | 5u, nullptr};  // of an unknown type
  launch_.hdr = {sizeof launch_, 0, &extension};
  launch_.kernel = kernel.handle();
  launch_.workspace = workspace ? workspace->handle() : nullptr;
  launch_.workspace_offset = workspace_offset;
  launch_.binding_count = static_cast<std::uint32_t>(count);
  launch_.scalar_count = static_cast<std::uint32_t>(scalars_.size());
}

const lks_launch& Launch::abi() {
  launch_.bindings = bindings_.data();
  launch_.scalars = scalars_.data();
  return launch_;
}

void Launch::scribble() {
  for (std::size_t i = 0; i < bindings_.size(); ++i) {
    std::fill(dims_[i].begin(), dims_[i].end(), 1);
    std::fill(strides_[i].begin(), strides_[i].end(), 0);
    bindings_[i].offset = 0;
  }
  std::fill(scalars_.begin(), scalars_.end(), 0x5c5c5c5c5c5c5c5cu);
}

std::uint64_t launch_once(Queue& queue, Launch& launch) {
  const std::uint64_t value = queue.launch(&launch.abi());
  launch.scribble();
  return value;
}

std::vector<Bytes> run_sample(Session& session, Queue& queue, const KernelSample& sample, const Kernel& kernel) {
  std::vector<Buffer> buffers;
  buffers.reserve(sample.inputs.size() + sample.outputs.size() + 1);
  std::vector<TensorLocation> locations;
  for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
    if (sample.inputs[i].absent) {
      locations.push_back({});
      continue;
    }
    buffers.emplace_back(session, std::max<std::uint64_t>(1, sample.inputs[i].span()));
    if (!sample.values[i].empty()) queue.upload(buffers.back(), sample.values[i]);
    locations.push_back({&buffers.back(), 0});
  }
  for (const Operand& output : sample.outputs) {
    buffers.emplace_back(session, output.span());
    queue.fill(buffers.back(), 0, output.span(), 0xff);
    locations.push_back({&buffers.back(), 0});
  }
  std::optional<Buffer> workspace;
  if (kernel.info().workspace_bytes > 0) workspace.emplace(session, kernel.info().workspace_bytes);
  Launch launch(kernel, sample, locations, workspace ? &*workspace : nullptr);
  wait_for(session, queue.timeline(), launch_once(queue, launch));
  std::vector<Bytes> results;
  for (std::size_t o = 0; o < sample.outputs.size(); ++o) {
    results.push_back(queue.download(*locations[sample.inputs.size() + o].buffer));
  }
  return results;
}

}  // namespace lockstep::conformance
