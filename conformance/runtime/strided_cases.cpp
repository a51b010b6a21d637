// Copies and pointwise programs whose results have gaps between rows, permuted dimensions, negative strides, or several
// of these, with up to eight dimensions. The bytes between the elements do not change.
#include "conformance/runtime/kernels.h"
#include "conformance/runtime/storage_layouts.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using Numbers = std::vector<std::int64_t>;

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
    for (const StorageLayout& out : storage_layouts()) {
      for (std::size_t k = 0; k < 3; ++k, ++turn) {
        const StorageLayout& in = storage_layouts()[(turn * 5 + k) % storage_layouts().size()];
        const lks_dtype dtype = dtypes[turn % std::size(dtypes)];
        KernelSample sample;
        sample.op = LKS_OP_COPY;
        sample.op_name = "copy";
        sample.inputs = {operand_in(in, dtype, dims)};
        sample.outputs = {operand_in(out, dtype, dims)};
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
    for (const StorageLayout& out : storage_layouts()) {
      ++turn;
      const StorageLayout &a = storage_layouts()[turn * 3 % storage_layouts().size()],
                          &b = storage_layouts()[(turn * 5 + 2) % storage_layouts().size()];
      KernelSample sample = multiply_add_sample(1);
      sample.inputs = {operand_in(a, LKS_I32, dims), operand_in(b, LKS_I32, dims)};
      sample.outputs = {operand_in(out, LKS_I32, dims)};
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
