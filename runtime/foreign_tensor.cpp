#include "runtime/foreign_tensor.h"

#include <algorithm>

#include "lockstep/error.h"
#include "lockstep/foreign.h"
#include "runtime/caller.h"
#include "runtime/device_state.h"
#include "runtime/element.h"
#include "runtime/enums.h"
#include "runtime/forked.h"
#include "runtime/memory/foreign.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

constexpr std::uint64_t smallest_page = 4096;

}  // namespace

SharedTensor share_host_memory(DeviceState& device, const std::byte* first, const TensorSpec& spec,
                               const std::int64_t* strides, const std::shared_ptr<const void>& owner,
                               const BlockPurpose& purpose) {
  std::int64_t last = 0;  // the element that lies furthest from the first
  for (int d = 0; d < spec.shape.rank(); ++d) {
    if (strides[d] < 0) return {{}, "the array runs backwards along dimension " + std::to_string(d)};
    last += strides[d] * (spec.shape[d] - 1);
  }
  check_size(device, spec, purpose);
  // A block begins at a multiple of the device's alignment, which is more than other libraries give their arrays. So
  // this one may begin before the first element. Nobody reads these bytes; they can be read, since the page is the
  // same.
  const std::uint64_t element = size_of(spec.dtype), alignment = device.info().min_alignment;
  const std::uint64_t before = reinterpret_cast<std::uintptr_t>(first) % alignment;
  if (before % element != 0) {
    return {{}, "the elements are not aligned to their size of " + std::to_string(element) + " bytes"};
  }
  if (before != 0 && alignment > smallest_page) {
    return {
        {},
        "the elements are not aligned to the " + std::to_string(alignment) + " bytes that " + device.name() + " needs"};
  }
  const std::uint64_t bytes = before + (static_cast<std::uint64_t>(last) + 1) * element;
  ForeignBlock imported = import_host_memory(device, first - before, bytes, owner);
  if (!imported.block) return {{}, std::move(imported.refusal)};
  TensorRef tensor = TensorRef::adopt(new TensorImpl);
  tensor->dtype = spec.dtype;
  tensor->id = next_tensor_id();
  tensor->device = &device;
  tensor->block = std::move(imported.block);
  tensor->shape = spec.shape;
  tensor->offset = static_cast<std::int64_t>(before / element);
  std::copy_n(strides, spec.shape.rank(), tensor->strides);
  tensor->dense = strides_are_dense(spec.shape, strides);
  tensor->producer = purpose.label;
  tensor->scope = thread_state().scope;
  return {std::move(tensor), ""};
}

Tensor from_memory(std::shared_ptr<const void> memory, std::size_t bytes, const TensorSpec& spec,
                   std::optional<Device> device, CopyPolicy copy, CallSite where) {
  static constexpr const char* op = "from_memory";
  check_not_forked();
  const CallerScope caller(where);
  check_enum(copy, CopyPolicy::never, "copy policy", op, where);
  check_countable(spec, op, where);
  const auto needed = static_cast<std::size_t>(spec.bytes());
  if (bytes != needed) {
    raise(
        ErrorId::element_count, op,
        std::to_string(bytes) + " bytes do not fill " + std::string(name_of(spec.dtype)) + " " + spec.shape.to_string(),
        "give " + std::to_string(needed) + " bytes", where);
  }
  if (!memory && needed > 0) raise(ErrorId::invalid_use, op, "the memory is null", "give the elements", where);
  check_booleans(memory.get(), spec, op, where);
  DeviceState& state = (device ? *device : default_device()).state();
  const BlockPurpose purpose{.label = op, .where = &where};
  if (needed > 0 && copy != CopyPolicy::always) {
    std::int64_t strides[max_rank];
    fill_dense_strides(spec.shape, strides);
    SharedTensor shared =
        share_host_memory(state, static_cast<const std::byte*>(memory.get()), spec, strides, memory, purpose);
    if (shared.tensor) return Tensor::adopt(shared.tensor.detach());
    if (copy == CopyPolicy::never)
      raise(ErrorId::copy_needed, op, shared.refusal, "allow a copy: CopyPolicy::if_needed", where);
  }
  TensorRef tensor = make_tensor(state, spec.dtype, spec.shape, purpose);
  write_owned(*tensor, memory, where);
  return Tensor::adopt(tensor.detach());
}

}  // namespace lockstep
