// Sources of examples: IDX files and tensors.
#include <cstring>
#include <filesystem>

#include "lockstep/data.h"
#include "lockstep/error.h"
#include "lockstep/ops.h"
#include "lockstep/options.h"
#include "runtime/enums.h"

namespace lockstep::data {
namespace {

Shape without_batch(const Shape& shape) {
  Shape one;
  for (int d = 1; d < shape.rank(); ++d) one.append(shape.dim(d));
  return one;
}

std::size_t example_bytes(const TensorSpec& spec) { return static_cast<std::size_t>(spec.bytes()); }

void copy_rows(const std::byte* from, std::size_t row, std::span<const std::int64_t> indices, std::byte* to) {
  for (std::int64_t index : indices) {
    std::memcpy(to, from + static_cast<std::size_t>(index) * row, row);
    to += row;
  }
}

// Two arrays in host memory or in a mapped file. Row i of one belongs to row i of the other.
class ArraySource : public Source {
 public:
  struct Array {
    TensorSpec example;
    const std::byte* data;
    std::shared_ptr<const void> owner;
  };
  ArraySource(Array features, Array labels, std::int64_t size)
      : features_(std::move(features)), labels_(std::move(labels)), size_(size) {}

  std::int64_t size() const override { return size_; }
  TensorSpec features() const override { return features_.example; }
  TensorSpec labels() const override { return labels_.example; }
  void copy(std::span<const std::int64_t> indices, std::byte* features, std::byte* labels) const override {
    if (features) copy_rows(features_.data, example_bytes(features_.example), indices, features);
    if (labels) copy_rows(labels_.data, example_bytes(labels_.example), indices, labels);
  }

 private:
  Array features_, labels_;
  std::int64_t size_;
};

ArraySource::Array from_tensor(const Tensor& tensor) {
  auto bytes = std::make_shared<std::vector<std::byte>>(tensor.to_bytes());
  return {{tensor.dtype(), without_batch(tensor.shape())}, bytes->data(), bytes};
}

void require_equal_counts(const Shape& features, const Shape& labels, ErrorId id, const std::string& what) {
  const bool fits = features.rank() > 0 && labels.rank() > 0 && features.dim(0) == labels.dim(0);
  if (fits) return;
  ErrorBuilder(id, "dataset",
               what + ": features are " + features.to_string() + ", labels " + labels.to_string() +
                   "; their first extents must agree")
      .fix(id == ErrorId::corrupt ? "give the two files of one set" : "give one label per example")
      .raise();
}

}  // namespace

Dataset Dataset::from_tensors(const Tensor& features, const Tensor& labels) {
  require_equal_counts(features.shape(), labels.shape(), ErrorId::shapes_differ, "tensors");
  return Dataset(std::make_shared<ArraySource>(from_tensor(features), from_tensor(labels), features.shape()[0]));
}

Dataset from_idx(const std::string& images, const std::string& labels) {
  auto image = std::make_shared<IdxArray>(IdxArray::open(images));
  auto label = std::make_shared<IdxArray>(IdxArray::open(labels));
  for (const auto& [path, array] : {std::pair(&images, &image), std::pair(&labels, &label)}) {
    if ((*array)->shape().rank() > 0) continue;
    ErrorBuilder(ErrorId::corrupt, "dataset", *path + ": holds a single number, not a list of examples")
        .fix("give a file of rank 1 or more")
        .raise();
  }
  require_equal_counts(image->shape(), label->shape(), ErrorId::corrupt, images + " and " + labels);
  Shape example = without_batch(image->shape());
  if (example.rank() == 2) example.append(1);
  return Dataset(std::make_shared<ArraySource>(
      ArraySource::Array{{image->dtype(), example}, image->bytes(), image},
      ArraySource::Array{{label->dtype(), without_batch(label->shape())}, label->bytes(), label}, image->shape()[0]));
}

Dataset fashion_mnist(Split split, const std::string& folder) {
  check_enum(split, Split::test, "split of the data", "fashion_mnist");
  const std::filesystem::path base =
      !folder.empty() ? folder : option("data").value_or("/usr/share/datasets/fashion-mnist");
  const std::string prefix = split == Split::train ? "train" : "t10k";
  const auto file = [&](const char* kind) {
    const std::filesystem::path plain = base / (prefix + kind), packed = base / (prefix + kind + ".gz");
    return std::filesystem::exists(plain) ? plain.string() : packed.string();
  };
  return from_idx(file("-images-idx3-ubyte"), file("-labels-idx1-ubyte")).prepare([](const Tensor& images) {
    return cast(images, DType::f32) / 255;
  });
}

}  // namespace lockstep::data
