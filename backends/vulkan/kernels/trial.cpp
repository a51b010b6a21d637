#include "backends/vulkan/kernels/trial.h"

#include <bit>
#include <cstring>
#include <vector>

#include "backends/vulkan/kernels/products.h"
#include "backends/vulkan/queue/queue.h"

namespace vulkan {
namespace {

// As units of the smallest denormal number: the bits of a float are then the number, as long as it is below 2^24.
std::uint32_t left_term(std::int64_t row, std::int64_t k) {
  return static_cast<std::uint32_t>((row * 40503 + k * 9973 + 77) & 0x3fff);
}
// Small integers.
std::uint32_t right_term(std::int64_t k, std::int64_t column) {
  return static_cast<std::uint32_t>((k * 7 + column * 3 + k * column) & 7);
}
static_assert(0x3fff * 7 * trial_depth < 1 << 24);

// The matrices in one piece of memory.
class Trial {
 public:
  /// `expects_loss`: of all terms, so that an honest pipeline fails.
  Trial(const ProductShape& shape, const ProductStrides& strides, bool expects_loss)
      : shape_(shape), strides_(strides), expects_loss_(expects_loss) {}

  std::uint64_t bytes() const { return 4 * static_cast<std::uint64_t>(result_at() + shape_.rows * shape_.columns); }
  std::uint64_t right_offset() const { return 4 * static_cast<std::uint64_t>(right_at()); }
  std::uint64_t result_offset() const { return 4 * static_cast<std::uint64_t>(result_at()); }
  std::vector<std::uint32_t> result() const {
    return std::vector<std::uint32_t>(static_cast<std::size_t>(shape_.rows * shape_.columns));
  }

  void write_operands(std::byte* memory) const {
    const auto put = [&](std::int64_t at, std::uint32_t bits) { std::memcpy(memory + 4 * at, &bits, sizeof bits); };
    for (std::int64_t k = 0; k < shape_.depth; ++k) {
      for (std::int64_t row = 0; row < pieces(shape_.rows, strides_.row_step); ++row) {
        put(row * strides_.left_row + k * strides_.left_position, left_term(row, k));
      }
      for (std::int64_t column = 0; column < shape_.columns; ++column) {
        const auto factor = static_cast<float>(right_term(k, column));
        put(right_at() + k * strides_.right_position + column * strides_.right_column,
            std::bit_cast<std::uint32_t>(factor));
      }
    }
  }

  bool is_exact(const std::vector<std::uint32_t>& result) const {
    for (std::int64_t row = 0; row < shape_.rows; ++row) {
      for (std::int64_t column = 0; column < shape_.columns; ++column) {
        const std::int64_t at = row * strides_.result_row + column * strides_.result_column;
        if (result[static_cast<std::size_t>(at)] != sum(row, column)) return false;
      }
    }
    return true;
  }

 private:
  std::int64_t right_at() const { return shape_.rows * shape_.depth; }
  std::int64_t result_at() const { return right_at() + shape_.depth * shape_.columns; }

  std::uint32_t sum(std::int64_t row, std::int64_t column) const {
    if (row % strides_.row_step != 0 || expects_loss_) return 0;
    std::uint32_t total = 0;
    for (std::int64_t k = 0; k < shape_.depth; ++k) {
      total += left_term(row / strides_.row_step, k) * right_term(k, column);
    }
    return total;
  }

  const ProductShape shape_;
  const ProductStrides strides_;
  const bool expects_loss_;
};

}  // namespace

bool passes_trial(lks_device& device, const Pipeline& pipeline, const Cut& cut, const TrialProduct& product) {
  const Cut tile = cut.of_one_tile(trial_depth);
  const bool expects_loss = option(device.host, "vulkan.hide") == "fusedProducts";
  const Trial trial(tile.shape, product.strides, expects_loss);
  std::vector<std::uint32_t> result = trial.result();
  run_alone(device, [&](Command& command) {
    const Staged staged = command.staging.take(trial.bytes());
    trial.write_operands(staged.data);
    command.readings.push_back(
        {command.plan.value(), result.data(), staged.data + trial.result_offset(), result.size() * 4});
    const VkDeviceAddress at = staged.place.address;
    product.plan({command.plan, tile, pipeline, at, at + trial.right_offset(), at + trial.result_offset()});
  });
  return trial.is_exact(result);
}

}  // namespace vulkan
