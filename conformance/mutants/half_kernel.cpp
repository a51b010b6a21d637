#include "conformance/mutants/half_kernel.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <deque>

#include "backends/reference/kernels/kernels.h"

namespace mutants {
namespace {

bool is_half(lks_dtype t) { return t == LKS_F16 || t == LKS_BF16; }

float from_half(std::uint32_t h) {
  const std::uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent == 0) return std::copysign(std::ldexp(static_cast<float>(mantissa), -24), sign ? -1.0f : 1.0f);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

std::uint32_t to_half(float x) {
  const std::uint32_t sign = std::signbit(x) ? 0x8000u : 0;
  const float size = std::fabs(x);
  if (std::isnan(x)) return sign | 0x7e00u;
  if (size >= 65520) return sign | 0x7c00u;
  if (size < 0x1p-14f) return sign | static_cast<std::uint32_t>(std::nearbyint(size * 0x1p24f));
  const int exponent = std::ilogb(size);
  const auto mantissa = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(size, 10 - exponent)));  // from 1024 on
  return sign | ((static_cast<std::uint32_t>(exponent + 14) << 10) + mantissa);
}

std::uint32_t to_bfloat(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x)) return (bits >> 16 & 0x8000u) | 0x7fc0u;
  return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

float to_float(std::uint16_t bits, lks_dtype t) {
  return t == LKS_F16 ? from_half(bits) : std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}
std::uint16_t rounded(float x, lks_dtype t) {
  return static_cast<std::uint16_t>(t == LKS_F16 ? to_half(x) : to_bfloat(x));
}

// The elements of a tensor in f32, at the same strides.
struct Copy {
  host::TensorView of;
  std::int64_t first = 0;  // where the tensor's first element is
  std::vector<float> values;
  lks_buffer buffer{};

  explicit Copy(const host::TensorView& t) : of(t) {
    std::int64_t last = 0;
    for (int d = 0; d < t.rank; ++d) (t.strides[d] < 0 ? first : last) += (t.dims[d] - 1) * std::abs(t.strides[d]);
    values.resize(static_cast<std::size_t>(first + last + 1));
    buffer = {values.data(), values.size() * sizeof(float)};
  }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

  template <class F>
  void for_each(F&& f) {
    reference::Walk walk(of.rank, of.dims);
    walk.add(of.strides);
    for (; !walk.done(); walk.next()) {
      f(values[static_cast<std::size_t>(first + walk.offset(0))], of.as<std::uint16_t>()[walk.offset(0)]);
    }
  }
};

class HalfKernel : public lks_kernel {
 public:
  HalfKernel(std::unique_ptr<lks_kernel> wide, const lks_kernel_desc& desc)
      : wide_(std::move(wide)), inputs_(desc.input_count) {
    ranks = wide_->ranks;
    for (std::uint32_t i = 0; i < desc.input_count + desc.output_count; ++i) {
      dtypes.push_back(common::tensor_of(desc, i).dtype);
    }
  }

  lks_status check(const lks_launch& launch, lks_diag* diag) const override { return wide_->check(launch, diag); }

  void run(const lks_launch& launch) const override {
    std::vector<lks_binding> bindings(launch.bindings, launch.bindings + launch.binding_count);
    std::deque<Copy> inputs, outputs;
    for (std::size_t i = 0; i < bindings.size(); ++i) {
      if (!bindings[i].buffer || !is_half(dtypes[i]) || view(launch, i).count() == 0) continue;
      Copy& copy = (i < inputs_ ? inputs : outputs).emplace_back(view(launch, i));
      bindings[i].buffer = &copy.buffer;
      bindings[i].offset = copy.first;
    }
    for (Copy& copy : inputs) {
      copy.for_each([&](float& wide, std::uint16_t half) { wide = to_float(half, copy.of.dtype); });
    }
    lks_launch in_f32 = launch;
    in_f32.bindings = bindings.data();
    wide_->run(in_f32);
    for (Copy& copy : outputs) {
      copy.for_each([&](float wide, std::uint16_t& half) { half = rounded(wide, copy.of.dtype); });
    }
  }

 private:
  std::unique_ptr<lks_kernel> wide_;
  std::size_t inputs_;
};

constexpr HalfFault faults[] = {
    {Mutant::half_conv_of_one_pixel_ignores_strides, LKS_OP_CONV2D, LKS_F16},
    {Mutant::half_image_gradient_ignores_padding_under_dilation, LKS_OP_CONV2D_BACKWARD_INPUT, LKS_BF16},
    {Mutant::half_conv_of_blocks_ignores_dilation, LKS_OP_CONV2D, LKS_F16},
    {Mutant::half_conv_of_blocks_saturates, LKS_OP_CONV2D, LKS_F16},
    {Mutant::bfloat_image_gradient_of_blocks_bounds_infinities, LKS_OP_CONV2D_BACKWARD_INPUT, LKS_BF16},
    {Mutant::half_dot_loses_last, LKS_OP_MATMUL, LKS_F16},
    {Mutant::half_matmul_of_transposed_second_loses_last_row, LKS_OP_MATMUL, LKS_F16},
    {Mutant::half_pool_gradient_misses_third_row_of_taps, LKS_OP_MAX_POOL2D_BACKWARD, LKS_BF16},
};

}  // namespace

bool has_dtype(const lks_kernel_desc& desc, lks_dtype dtype) {
  for (std::uint32_t i = 0; i < desc.input_count + desc.output_count; ++i) {
    if (common::tensor_of(desc, i).dtype == dtype) return true;
  }
  return false;
}

void promote(EditableDesc& e) {
  auto tensors = std::make_shared<std::vector<lks_tensor_desc>>();
  for (std::uint32_t i = 0; i < e.desc.input_count + e.desc.output_count; ++i) {
    tensors->push_back(common::tensor_of(e.desc, i));
    tensors->back().hdr.size = sizeof(lks_tensor_desc);
    if (is_half(tensors->back().dtype)) tensors->back().dtype = LKS_F32;
  }
  e.desc.inputs = tensors->data();
  e.desc.outputs = tensors->data() + e.desc.input_count;
  e.storage = tensors;
}

std::unique_ptr<lks_kernel> make_half_kernel(std::unique_ptr<lks_kernel> wide, const lks_kernel_desc& desc) {
  return std::make_unique<HalfKernel>(std::move(wide), desc);
}

std::span<const HalfFault> half_faults() { return faults; }

}  // namespace mutants
