#include "backends/vulkan/kernels/trial.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "backends/vulkan/kernels/products.h"
#include "backends/vulkan/queue/queue.h"

namespace vulkan {
namespace {

// Products are integers, in units of the smallest denormal number. The bits of such a float are the integer itself, as
// long as it is below 2^24.
std::uint32_t left_term(std::int64_t row, std::int64_t k) {
  return static_cast<std::uint32_t>((row * 40503 + k * 9973 + 77) & 0x3fff);
}
std::uint32_t right_term(std::int64_t k, std::int64_t column) {
  return static_cast<std::uint32_t>((k * 7 + column * 3 + k * column) & 7);
}
static_assert(0x3fff * 7 * trial_depth < 1 << 24);

// The units of the left and the right integers, whose product is that unit. There are two cases: an operand is
// denormal, or only the products are.
struct Units {
  int left, right;  // exponents of two
};
constexpr int smallest = -149;
constexpr Units all_units[] = {{smallest, 0}, {-80, smallest + 80}};

// Makes denormal numbers without arithmetic of the host, which might flush them to zero.
std::uint32_t bits_of(std::uint32_t integer, int exponent) {
  return exponent == smallest ? integer
                              : std::bit_cast<std::uint32_t>(std::ldexp(static_cast<float>(integer), exponent));
}

// The matrices of a trial, in one piece of memory.
class Trial {
 public:
  /// `expects_loss`: expects all terms to be lost, so that a correct pipeline fails.
  Trial(const ProductShape& shape, const ProductStrides& strides, const Units& units, bool expects_loss)
      : shape_(shape), strides_(strides), units_(units), expects_loss_(expects_loss) {}

  /// The result is read back when the command is done; this object must exist until then.
  void plan(Command& command, const ProductPartition& tile, const Pipeline& pipeline, const TrialProduct& product) {
    result_.resize(static_cast<std::size_t>(shape_.rows * shape_.columns));
    const std::uint64_t right = 4 * static_cast<std::uint64_t>(right_at());
    const std::uint64_t result = 4 * static_cast<std::uint64_t>(result_at());
    const Staged staged = command.staging.take(result + 4 * result_.size());
    write_operands(staged.data);
    command.host_copies.push_back({command.plan.value(), result_.data(), staged.data + result, 4 * result_.size()});
    const VkDeviceAddress at = staged.location.address;
    product.plan({command.plan, tile, pipeline, at, at + right, at + result});
  }

  bool is_exact() const {
    for (std::int64_t row = 0; row < shape_.rows; ++row) {
      for (std::int64_t column = 0; column < shape_.columns; ++column) {
        const std::int64_t at = row * strides_.result_row + column * strides_.result_column;
        if (result_[static_cast<std::size_t>(at)] != sum(row, column)) return false;
      }
    }
    return true;
  }

 private:
  void write_operands(std::byte* memory) const {
    const auto put = [&](std::int64_t at, std::uint32_t bits) { std::memcpy(memory + 4 * at, &bits, sizeof bits); };
    for (std::int64_t k = 0; k < shape_.depth; ++k) {
      for (std::int64_t row = 0; row < ceil_div(shape_.rows, strides_.row_step); ++row) {
        put(row * strides_.left_row + k * strides_.left_position, bits_of(left_term(row, k), units_.left));
      }
      for (std::int64_t column = 0; column < shape_.columns; ++column) {
        put(right_at() + k * strides_.right_position + column * strides_.right_column,
            bits_of(right_term(k, column), units_.right));
      }
    }
  }

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
  const Units units_;
  const bool expects_loss_;
  std::vector<std::uint32_t> result_;
};

}  // namespace

bool passes_trial(lks_device& device, const Pipeline& pipeline, const ProductPartition& partition,
                  const TrialProduct& product) {
  const ProductPartition tile = partition.of_one_tile(trial_depth);
  const bool expects_loss = option(device.host, "vulkan.hide") == "fusedProducts";
  std::vector<Trial> trials;
  for (const Units& units : all_units) trials.emplace_back(tile.shape, product.strides, units, expects_loss);
  run_and_wait(device, [&](Command& command) {
    for (Trial& trial : trials) trial.plan(command, tile, pipeline, product);
  });
  return std::all_of(trials.begin(), trials.end(), [](const Trial& trial) { return trial.is_exact(); });
}

}  // namespace vulkan
