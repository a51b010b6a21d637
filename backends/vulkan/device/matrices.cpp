#include "backends/vulkan/device/matrices.h"

#include <cstring>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "backends/vulkan/device/spirv.h"

namespace vulkan {
namespace {

using Words = std::span<const std::uint32_t>;

// Numbers of the SPIR-V specification 1.6 and of the extensions SPV_NV_cooperative_matrix, SPV_KHR_cooperative_matrix
// and SPV_KHR_bfloat16.
enum : std::uint32_t {
  op_extension = 10,
  op_type_int = 21,
  op_type_float = 22,
  op_type_pointer = 32,
  op_constant_true = 41,
  op_constant = 43,
  op_variable = 59,
  op_load_khr = 4457,
  op_store_khr = 4458,
  op_multiply_add_khr = 4459,
  op_load_nv = 5359,
  op_store_nv = 5360,
  op_multiply_add_nv = 5361,
  capability_float16 = 9,
  capability_bfloat16 = 5116,
  capability_bfloat16_matrices = 5118,
  capability_matrices_nv = 5357,
  capability_matrices_khr = 6022,
  decoration_aliased_pointer = 5356,
  storage_function = 7,
  storage_physical = 5349,
  encoding_bfloat16 = 0
};

constexpr std::uint32_t left_use = 0, right_use = 1, sum_use = 2;
constexpr std::string_view nv_extension = "SPV_NV_cooperative_matrix";

bool is_extension(Words words, std::string_view name) {
  return reinterpret_cast<const char*>(words.data() + 1) == name;  // strings in SPIR-V are zero-terminated
}

class Rewriter {
 public:
  explicit Rewriter(Words module) : module_(module), next_id_(module[3]) { look_around(); }

  bool is_needed() const { return is_needed_; }

  std::vector<std::uint32_t> run() {
    out_.assign(module_.begin(), module_.begin() + spirv::header_words);
    spirv::for_each_instruction(module_, [&](std::uint32_t opcode, Words words, std::size_t) {
      rewrite(opcode, words);
      return true;
    });
    out_[3] = next_id_;
    return std::move(out_);
  }

 private:
  void look_around() {
    std::unordered_set<std::uint32_t> addresses, decorated;
    std::unordered_map<std::uint32_t, std::uint32_t> pointee;  // by type of pointer to a function's variable
    spirv::for_each_instruction(module_, [&](std::uint32_t opcode, Words words, std::size_t) {
      if (opcode == spirv::op_capability && words[1] == capability_matrices_nv) is_needed_ = true;
      if (opcode == op_type_float && words[2] == 16) half_ = words[1];
      if (opcode == op_constant_true) true_ = words[2];
      if (opcode == op_constant) values_[words[2]] = words[3];
      if (opcode == spirv::op_decorate && words[2] == decoration_aliased_pointer) decorated.insert(words[1]);
      if (opcode == op_type_pointer && words[2] == storage_physical) addresses.insert(words[1]);
      if (opcode == op_type_pointer && words[2] == storage_function) pointee[words[1]] = words[3];
      if (opcode == op_variable && pointee.contains(words[1]) && addresses.contains(pointee[words[1]]) &&
          !decorated.contains(words[2])) {
        undecorated_.push_back(words[2]);
      }
      return true;
    });
  }

  void put(std::uint32_t opcode, std::initializer_list<std::uint32_t> operands, Words rest = {}) {
    out_.push_back(static_cast<std::uint32_t>(1 + operands.size() + rest.size()) << 16 | opcode);
    out_.insert(out_.end(), operands);
    out_.insert(out_.end(), rest.begin(), rest.end());
  }

  void put_extension(std::string_view name) {
    std::vector<std::uint32_t> text(name.size() / 4 + 1);
    std::memcpy(text.data(), name.data(), name.size());
    put(op_extension, {}, text);
  }

  std::uint32_t constant(std::uint32_t value) const { return first_constant_ + (value == 16 ? 3 : value); }
  std::uint32_t layout(std::uint32_t column_major) const { return constant(column_major == true_ ? 1 : 0); }

  void put_constants(std::uint32_t uint_type) {
    first_constant_ = next_id_;
    for (const std::uint32_t value : {0u, 1u, 2u, 16u}) put(op_constant, {uint_type, next_id_++, value});
  }

  void rewrite(std::uint32_t opcode, Words words) {
    switch (opcode) {
      case spirv::op_capability: return rewrite_capability(words);
      case op_extension: return rewrite_extension(words);
      case spirv::op_decorate: return rewrite_decoration(words);
      case op_type_int:
        copy(words);
        if (words[2] == 32 && words[3] == 0) put_constants(words[1]);
        return;
      case op_type_float:
        if (words[1] != half_) return copy(words);
        return put(op_type_float, {half_, 16, encoding_bfloat16});
      case spirv::op_type_matrix_nv: return rewrite_type(words);
      case op_load_nv:
        return put(op_load_khr, {words[1], words[2], words[3], layout(words[5]), words[4]}, words.subspan(6));
      case op_store_nv: return put(op_store_khr, {words[1], words[2], layout(words[4]), words[3]}, words.subspan(5));
      case op_multiply_add_nv: return put(op_multiply_add_khr, {}, words.subspan(1));
      case spirv::op_length_nv: return put(spirv::op_length_khr, {}, words.subspan(1));
      default: return copy(words);
    }
  }

  void rewrite_capability(Words words) {
    if (words[1] == capability_float16) return put(spirv::op_capability, {capability_bfloat16});
    if (words[1] != capability_matrices_nv) return copy(words);
    put(spirv::op_capability, {capability_matrices_khr});
    put(spirv::op_capability, {capability_bfloat16_matrices});
  }

  void rewrite_extension(Words words) {
    if (!is_extension(words, nv_extension)) return copy(words);
    put_extension("SPV_KHR_cooperative_matrix");
    put_extension("SPV_KHR_bfloat16");
  }

  // The specification requires this decoration on variables that hold addresses; the optimizer's scalar replacement
  // drops it.
  void rewrite_decoration(Words words) {
    for (const std::uint32_t variable : undecorated_) put(spirv::op_decorate, {variable, decoration_aliased_pointer});
    undecorated_.clear();
    copy(words);
  }

  void rewrite_type(Words words) {
    const std::uint32_t component = words[2], columns = words[5];
    const bool is_marked = values_[columns] == 8;
    const std::uint32_t use = component != half_ ? sum_use : is_marked ? right_use : left_use;
    put(spirv::op_type_matrix_khr,
        {words[1], component, words[3], words[4], is_marked ? constant(16) : columns, constant(use)});
  }

  void copy(Words words) { out_.insert(out_.end(), words.begin(), words.end()); }

  const Words module_;
  std::vector<std::uint32_t> out_;
  std::uint32_t next_id_;
  bool is_needed_ = false;
  std::uint32_t half_ = 0, true_ = 0, first_constant_ = 0;
  std::unordered_map<std::uint32_t, std::uint32_t> values_;
  std::vector<std::uint32_t> undecorated_;
};

}  // namespace

std::vector<std::uint32_t> with_khronos_matrices(std::span<const std::uint32_t> module) {
  Rewriter rewriter(module);
  if (!rewriter.is_needed()) return {module.begin(), module.end()};
  return rewriter.run();
}

}  // namespace vulkan
