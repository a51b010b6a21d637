#include "nn/compare/replay.h"

#include <algorithm>
#include <cmath>

#include "lockstep/ops.h"
#include "ops/infer.h"
#include "ops/invoke.h"
#include "runtime/device_state.h"
#include "runtime/element.h"

namespace lockstep {
namespace {

constexpr std::int64_t line_bytes = 64;

// The range of a view's element offsets, relative to its first element: from `lowest` to `highest`.
struct Span {
  std::int64_t lowest = 0, highest = 0;
};

Span span_of(const TensorImpl& view) {
  Span span;
  for (int d = 0; d < view.shape.rank(); ++d) {
    const std::int64_t reach = (view.shape[d] - 1) * view.strides[d];
    (reach < 0 ? span.lowest : span.highest) += reach;
  }
  return span;
}

// Visits the elements of a view in row-major order, with their offsets relative to the first element.
template <class F>
void each_place(const TensorImpl& view, F visit) {
  const int rank = view.shape.rank();
  std::int64_t index[max_rank] = {}, place = 0;
  const std::int64_t count = view.shape.size();
  for (std::int64_t n = 0; n < count; ++n) {
    visit(n, place);
    for (int d = rank - 1; d >= 0; --d) {
      place += view.strides[d];
      if (++index[d] < view.shape[d]) break;
      place -= view.shape[d] * view.strides[d];
      index[d] = 0;
    }
  }
}

// Creates a tensor on `device` with the same elements, strides, and offset within a cache line.
TensorRef with_layout_of(const TensorImpl& original, DeviceState& device, CallSite where) {
  const std::vector<std::byte> dense = Tensor::share(const_cast<TensorImpl*>(&original)).to_bytes(where);
  if (original.shape.is_empty()) return make_tensor(device, original.dtype, original.shape, {.where = &where});
  const std::size_t size = size_of(original.dtype);
  const Span span = span_of(original);
  const std::int64_t per_line = line_bytes / static_cast<std::int64_t>(size);
  const std::int64_t before = (original.offset + span.lowest) % per_line;
  const std::int64_t extent = before + span.highest - span.lowest + 1;
  std::vector<std::byte> block(static_cast<std::size_t>(extent) * size);
  const std::int64_t first = before - span.lowest;
  each_place(original, [&](std::int64_t n, std::int64_t place) {
    std::copy_n(dense.data() + static_cast<std::size_t>(n) * size, size,
                block.data() + static_cast<std::size_t>(first + place) * size);
  });
  TensorRef copy = make_tensor(device, original.dtype, Shape{extent}, {.where = &where});
  write_dense(*copy, block.data(), where);
  copy->shape = original.shape;
  std::copy_n(original.strides, max_rank, copy->strides);
  copy->offset += first;
  copy->dense = original.dense;
  return copy;
}

std::vector<TensorRef> run(const RecordedCall& recorded, Device device, std::span<const TensorRef> inputs) {
  std::vector<Operand> operands = recorded.operands;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (inputs[i]) operands[i] = Operand::borrow(inputs[i].get(), recorded.where);
  }
  const DeviceScope scope(device);
  const OpCall call = recorded.call(operands);
  std::vector<TensorRef> outputs(output_count(call));
  invoke_into(call, outputs);
  return outputs;
}

}  // namespace

std::vector<TensorRef> replay(const RecordedCall& recorded, Device device) {
  PauseObservers pause;
  std::vector<TensorRef> inputs;
  for (const TensorRef& input : recorded.inputs) {
    inputs.push_back(input ? with_layout_of(*input, device.state(), recorded.where) : TensorRef());
  }
  return run(recorded, device, inputs);
}

double count_terms(const RecordedCall& recorded) {
  PauseObservers pause;
  std::vector<Tensor> ones;
  std::vector<TensorRef> inputs;
  for (const TensorRef& input : recorded.inputs) {
    if (!input) {
      inputs.emplace_back();
    } else if (!is_floating(input->dtype)) {
      inputs.push_back(input);
    } else {
      ones.push_back(ones_like({Tensor::share(input.get()), recorded.where}));
      inputs.push_back(TensorRef::share(ones.back().impl()));
    }
  }
  double most = 1;
  for (const TensorRef& output : run(recorded, recorded.outputs[0]->device->device(), inputs)) {
    const std::vector<std::byte> bytes = Tensor::share(output.get()).to_bytes(recorded.where);
    const std::size_t size = size_of(output->dtype);
    for (std::size_t at = 0; at + size <= bytes.size(); at += size) {
      most = std::max(most, static_cast<double>(element_value(bytes.data() + at, output->dtype)));
    }
  }
  return most;
}

}  // namespace lockstep
