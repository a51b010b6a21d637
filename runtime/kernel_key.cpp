#include "runtime/kernel_key.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace lockstep {

lks_dtype abi_dtype(DType t) {
  constexpr std::array<lks_dtype, dtype_count> types = {LKS_F32, LKS_F64, LKS_F16, LKS_BF16, LKS_I8,
                                                        LKS_U8,  LKS_I32, LKS_I64, LKS_BOOL};
  if (!is_dtype(t)) fail_dtype(static_cast<int>(t));
  return types[static_cast<std::size_t>(t)];
}

namespace {

std::size_t words_for(std::size_t bytes) { return (bytes + 7) / 8; }

// Writes the bytes, with zeros up to the next word. Returns the end.
std::uint64_t* write_bytes(std::uint64_t* words, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (; size >= 8; size -= 8, bytes += 8) std::memcpy(words++, bytes, 8);
  if (size == 0) return words;
  *words = 0;
  std::memcpy(words, bytes, size);
  return words + 1;
}

std::uint64_t two(std::uint64_t high, std::uint64_t low) { return high << 32 | low; }

// Writes a description word by word. Each list begins with its length, so that no two descriptions have the same words.
class Content {
 public:
  void add(const lks_kernel_desc& desc) {
    text(desc.op_name);
    word(two(desc.op, desc.op_version));
    word(two(desc.math_mode, desc.input_count));
    word(two(desc.output_count, desc.attrs_size));
    bytes(desc.attrs, desc.attrs_size);
    for (std::uint32_t i = 0; i < desc.input_count; ++i) tensor(desc.inputs[i]);
    for (std::uint32_t i = 0; i < desc.output_count; ++i) tensor(desc.outputs[i]);
    numbers(desc.scalar_dtypes, desc.scalar_count);
    numbers(desc.operands, desc.operands ? desc.operand_count : 0);
    numbers(desc.results, desc.results ? desc.output_count : 0);
    word(desc.alias_count);
    for (std::uint32_t i = 0; i < desc.alias_count; ++i) word(two(desc.aliases[i].output, desc.aliases[i].input));
    word(desc.program_count);
    for (std::uint32_t i = 0; i < desc.program_count; ++i) attached(desc.programs[i]);
  }

  std::vector<std::uint64_t> words;

 private:
  void word(std::uint64_t value) { words.push_back(value); }

  void bytes(const void* data, std::size_t size) {
    words.resize(words.size() + words_for(size));
    write_bytes(words.data() + words.size() - words_for(size), data, size);
  }

  void text(const char* chars) {
    const std::size_t size = std::strlen(chars);
    word(size);
    bytes(chars, size);
  }

  void numbers(const std::uint32_t* values, std::uint32_t count) {
    word(count);
    bytes(values, count * sizeof *values);
  }

  void tensor(const lks_tensor_desc& t) {
    word(two(t.dtype, static_cast<std::uint32_t>(t.rank)));
    word(two(t.layout, t.flags));
    word(t.opaque_bytes);
  }

  void attached(const lks_attached_program& a) {
    program(*a.program);
    numbers(a.inputs, a.program->input_count);
    numbers(a.outputs, a.outputs ? a.program->output_count : 0);
  }

  void program(const lks_program& p) {
    numbers(p.input_dtypes, p.input_count);
    word(p.instr_count);
    for (std::uint32_t i = 0; i < p.instr_count; ++i) {
      const lks_instr& instr = p.instrs[i];
      word(two(instr.opcode, instr.dtype));
      word(two(instr.args[0], instr.args[1]));
      word(instr.args[2]);
      word(instr.imm);
    }
    numbers(p.outputs, p.output_count);
    word(p.function_count);
    for (std::uint32_t i = 0; i < p.function_count; ++i) {
      text(p.functions[i].name);
      word(p.functions[i].version);
      program(*p.functions[i].body);
    }
  }
};

// Dtype, rank and absence; never 0, so that a key tells how many tensors there are.
std::uint32_t kind_of(const KernelTensor& t) {
  static_assert(offsetof(KernelTensor, reserved) == 3);
  std::uint32_t kind = 0;
  std::memcpy(&kind, &t.dtype, sizeof kind);
  return kind | std::uint32_t{1} << 31;
}

bool is_dense(const KernelTensor& t) {
  return are_dense_strides(
      t.rank, [&t](int i) { return t.dims[i]; }, t.strides);
}

}  // namespace

void write_call(CallWords& words, const KernelRequest& r) {
  const std::size_t tensors = r.tensors.size(), numbers = r.number_dtypes.size();
  std::uint64_t* to = words.extend(2 + (tensors + 1) / 2 + words_for(numbers) + words_for(r.attrs_size));
  *to++ = r.op;
  *to++ = two(r.attrs_size, numbers << 8 | static_cast<std::uint64_t>(r.mode));
  std::size_t i = 0;
  for (; i + 1 < tensors; i += 2) *to++ = two(kind_of(r.tensors[i]), kind_of(r.tensors[i + 1]));
  if (i < tensors) *to++ = kind_of(r.tensors[i]);
  if (numbers > 0) to = write_bytes(to, r.number_dtypes.data(), numbers);
  if (r.attrs_size > 0) write_bytes(to, r.attrs, r.attrs_size);
}

std::vector<std::uint64_t> content_of(const lks_kernel_desc& desc) {
  Content content;
  content.add(desc);
  return std::move(content.words);
}

// A larger alignment than that of buffers, at whose multiples blocks start, is never reported, so that the same call
// always finds the same kernel.
std::uint64_t alignment_of(const KernelTensor& t, std::uint64_t most) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(t.offset) * size_of(t.dtype);
  return bytes == 0 ? most : std::min(most, std::uint64_t{1} << std::countr_zero(bytes));
}

void write_layout(LayoutWords& words, std::uint64_t number, const Deps& deps, std::span<const KernelTensor> tensors,
                  std::uint64_t alignment) {
  words.push_back(number);
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    const KernelTensor& t = tensors[k];
    const lks_operand_deps& d = deps[k];
    if (t.absent) continue;
    for (int i = 0; i < t.rank; ++i) {
      const std::uint32_t bit = 1u << i;
      if (d.dims & bit) words.push_back(static_cast<std::uint64_t>(t.dims[i]));
      if (d.strides & bit) words.push_back(t.dims[i] == 1 ? 0 : static_cast<std::uint64_t>(t.strides[i]));
      if (d.stride_classes & bit) {
        words.push_back(t.dims[i] == 1 ? 3 : t.strides[i] == 0 ? 0 : t.strides[i] == 1 ? 1 : 2);
      }
    }
    if (d.dense) words.push_back(is_dense(t));
    if (d.alignment > 1) words.push_back(std::min(alignment_of(t, alignment), d.alignment));
  }
}

bool same_deps(const Deps& a, const Deps& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const lks_operand_deps& x, const lks_operand_deps& y) {
    return x.dims == y.dims && x.strides == y.strides && x.stride_classes == y.stride_classes && x.dense == y.dense &&
           x.alignment == y.alignment;
  });
}

Deps simplified(Deps deps, std::span<const KernelTensor> tensors, std::uint64_t alignment) {
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    lks_operand_deps& d = deps[k];
    const std::uint32_t dimensions = tensors[k].absent ? 0 : (1u << tensors[k].rank) - 1;
    d.dims &= dimensions;
    d.strides &= dimensions;
    d.stride_classes &= dimensions;
    d.dense = d.dense && dimensions;
    d.alignment = tensors[k].absent || d.alignment <= 1 ? 0 : std::min(d.alignment, alignment);
  }
  return deps;
}

Deps depends_on_all(std::span<const KernelTensor> tensors, std::uint64_t alignment) {
  lks_operand_deps all{};
  all.dims = all.strides = ~0u;
  all.alignment = alignment;
  return simplified(Deps(tensors.size(), all), tensors, alignment);
}

}  // namespace lockstep
