// Copies and pointwise programs whose results have gaps between rows, permuted dimensions, negative strides, or several
// of these, with up to eight dimensions. The bytes between the elements do not change.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using Numbers = std::vector<std::int64_t>;

constexpr unsigned char untouched = 0xa5;

// Strides of a tensor whose dimensions are stored in the order `stored`. The last of these has stride `step`; `gap`
// elements follow each of its rows.
Numbers strides_for(const Numbers& dims, const std::vector<std::size_t>& stored, std::int64_t step, std::int64_t gap) {
  Numbers strides(dims.size(), 1);
  std::int64_t next = step;
  for (std::size_t s = stored.size(); s-- > 0;) {
    strides[stored[s]] = next;
    next = next * dims[stored[s]] + (s + 1 == stored.size() ? gap : 0);
  }
  return strides;
}

struct StorageLayout {
  const char* name;
  std::int64_t step, gap;
  int moved;  // storage order: 0: unchanged; 1: the last two dimensions exchanged; 2: the last one second; 3: reversed
  bool first_backward = false, last_backward = false;  // the first or last dimension runs backward
};
constexpr StorageLayout storage_layouts[] = {{"dense", 1, 0, 0},
                                             {"rows with a gap", 1, 3, 0},
                                             {"every second element", 2, 0, 0},
                                             {"the last two exchanged", 1, 0, 1},
                                             {"the last dimension stored second", 1, 0, 2},
                                             {"the last dimension stored second, with gaps", 1, 2, 2},
                                             {"dimensions in reverse order", 1, 0, 3},
                                             {"dimensions in reverse order, every second element", 2, 1, 3},
                                             {"rows backward", 1, 0, 0, false, true},
                                             {"the first dimension backward, rows with a gap", 1, 3, 0, true, false},
                                             {"the last two exchanged, both ends backward", 1, 0, 1, true, true}};

std::vector<std::size_t> order_for(std::size_t rank, int moved) {
  std::vector<std::size_t> order(rank);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (rank > 1 && moved == 1) std::swap(order[rank - 2], order[rank - 1]);
  if (rank > 2 && moved == 2) std::rotate(order.begin() + 1, order.end() - 1, order.end());
  if (moved == 3) std::reverse(order.begin(), order.end());
  return order;
}

Operand operand(lks_dtype dtype, const Numbers& dims, const StorageLayout& layout) {
  Numbers strides = strides_for(dims, order_for(dims.size(), layout.moved), layout.step, layout.gap);
  if (layout.first_backward && dims.size() > 1) strides.front() = -strides.front();
  if (layout.last_backward) strides.back() = -strides.back();
  return {dtype, dims, strides};
}

// Byte offsets of the elements in row-major order.
std::vector<std::size_t> byte_offsets(const Operand& o) {
  std::vector<std::size_t> offsets;
  const Numbers strides = o.all_strides();
  Numbers at(o.dims.size(), 0);
  for (std::int64_t n = o.count(); n > 0; --n) {
    const std::int64_t offset = std::inner_product(at.begin(), at.end(), strides.begin(), o.first());
    offsets.push_back(static_cast<std::size_t>(offset) * o.element_size());
    for (std::size_t d = at.size(); d-- > 0;) {
      if (++at[d] < o.dims[d]) break;
      at[d] = 0;
    }
  }
  return offsets;
}

Bytes gathered(const Bytes& bytes, const Operand& o) {
  Bytes dense;
  for (const std::size_t at : byte_offsets(o)) {
    const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    dense.insert(dense.end(), from, from + static_cast<std::ptrdiff_t>(o.element_size()));
  }
  return dense;
}

Bytes scattered(const Bytes& dense, const Operand& o) {
  Bytes bytes(o.span(), untouched);
  std::size_t n = 0;
  for (const std::size_t at : byte_offsets(o)) {
    std::copy_n(dense.begin() + static_cast<std::ptrdiff_t>(n), o.element_size(),
                bytes.begin() + static_cast<std::ptrdiff_t>(at));
    n += o.element_size();
  }
  return bytes;
}

// Runs the sample with an output filled with a pattern, and compares all bytes. Returns false if the driver refuses it.
bool check_sample(Session& s, Queue& queue, const KernelSample& sample, const Bytes& dense_result) {
  const Kernel kernel(s, sample);
  if (!kernel) return false;
  std::vector<Buffer> buffers;
  std::vector<TensorLocation> locations;
  buffers.reserve(sample.inputs.size() + 2);
  for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
    buffers.emplace_back(s, sample.inputs[i].span());
    queue.upload(buffers.back(), sample.values[i]);
    locations.push_back({&buffers.back(), sample.inputs[i].first()});
  }
  const Operand& output = sample.outputs[0];
  buffers.emplace_back(s, output.span());
  queue.fill(buffers.back(), 0, output.span(), untouched);
  locations.push_back({&buffers.back(), output.first()});
  const Buffer& result = buffers.back();
  if (kernel.info().workspace_bytes > 0) buffers.emplace_back(s, kernel.info().workspace_bytes);
  Launch launch(kernel, sample, locations, kernel.info().workspace_bytes > 0 ? &buffers.back() : nullptr);
  wait_for(s, queue.timeline(), launch_once(queue, launch));
  check_same_bytes(queue.download(result), scattered(dense_result, output), sample.name);
  return true;
}

std::vector<Numbers> shapes() {
  return {{37},
          {5, 19},
          {130, 67},
          {3, 5, 17},
          {2, 3, 9, 7},
          {2, 3, 2, 5, 9},
          {2, 2, 3, 2, 2, 11},
          {2, 1, 3, 2, 2, 2, 5},
          {2, 2, 1, 3, 2, 1, 2, 7},
          {515, 261}};
}

std::string name_for(const char* op, lks_dtype dtype, const Numbers& dims, const StorageLayout& in,
                     const StorageLayout& out) {
  std::string shape;
  for (const std::int64_t d : dims) shape += (shape.empty() ? "" : "x") + std::to_string(d);
  return text("%s of %u-bit elements, %s, from \"%s\" to \"%s\"", op, LKS_DTYPE_BITS(dtype), shape.c_str(), in.name,
              out.name);
}

void strided_copies(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  TestRandom random(target.seed);
  constexpr lks_dtype dtypes[] = {LKS_F32, LKS_U8, LKS_F16, LKS_I64};
  std::size_t turn = 0;
  int refused = 0;
  for (const Numbers& dims : shapes()) {
    for (const StorageLayout& out : storage_layouts) {
      for (std::size_t k = 0; k < 3; ++k, ++turn) {
        const StorageLayout& in = storage_layouts[(turn * 5 + k) % std::size(storage_layouts)];
        const lks_dtype dtype = dtypes[turn % std::size(dtypes)];
        KernelSample sample;
        sample.op = LKS_OP_COPY;
        sample.op_name = "copy";
        sample.inputs = {operand(dtype, dims, in)};
        sample.outputs = {operand(dtype, dims, out)};
        sample.values = {random.bytes(sample.inputs[0].span())};
        sample.name = name_for("copy", dtype, dims, in, out);
        if (check_sample(s, queue, sample, gathered(sample.values[0], sample.inputs[0]))) continue;
        check(dtype != LKS_F32, "the driver refuses " + sample.name + ", which joining tensors needs");
        ++refused;
      }
    }
  }
  if (refused == static_cast<int>(turn)) throw NotOffered("the driver has no copy between strided layouts");
}

void strided_pointwise(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  TestRandom random(target.seed);
  std::size_t turn = 0;
  int ran = 0;
  for (const Numbers& dims : shapes()) {
    for (const StorageLayout& out : storage_layouts) {
      ++turn;
      const StorageLayout &a = storage_layouts[turn * 3 % std::size(storage_layouts)],
                          &b = storage_layouts[(turn * 5 + 2) % std::size(storage_layouts)];
      KernelSample sample = multiply_add_sample(1);
      sample.inputs = {operand(LKS_I32, dims, a), operand(LKS_I32, dims, b)};
      sample.outputs = {operand(LKS_I32, dims, out)};
      sample.values = {random.bytes(sample.inputs[0].span()), random.bytes(sample.inputs[1].span())};
      sample.name = name_for("pointwise 3 a + b", LKS_I32, dims, a, out) + ", b \"" + b.name + "\"";
      const Bytes result =
          multiply_add(gathered(sample.values[0], sample.inputs[0]), gathered(sample.values[1], sample.inputs[1]));
      ran += check_sample(s, queue, sample, result);
    }
  }
  if (ran == 0) throw NotOffered("the driver has no pointwise kernel for strided results");
}

}  // namespace

std::vector<RuntimeCase> strided_cases() {
  return {{"copy", "strided_copies", "copies of up to eight dimensions into tensors with gaps and permuted dimensions",
           &strided_copies},
          {"copy", "strided_pointwise", "pointwise results that lie so, and inputs that lie in other ways",
           &strided_pointwise}};
}

}  // namespace lockstep::conformance
