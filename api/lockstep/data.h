// Data sets: examples on the host that are copied to the device batch by batch.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/ops/random.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {
namespace data {

/// A source of examples. Only one thread at a time reads from it.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::int64_t size() const = 0;
  /// Dtype and shape of one example, without the batch dimension.
  virtual TensorSpec features() const = 0;
  virtual TensorSpec labels() const = 0;
  /// Copies the examples at `indices`, one after the other. If `features` or `labels` is nullptr, that part is not
  /// copied. The memory may be the device's own: write each byte once, and read none. Each byte of a bool must be 0 or
  /// 1: nobody checks them, and ops give wrong results for others.
  virtual void copy(std::span<const std::int64_t> indices, std::byte* features, std::byte* labels) const = 0;
};

/// One batch on a device.
struct Batch {
  Tensor features;  // (batch, …)
  Tensor labels;    // (batch, …)
  std::int64_t size() const { return features.shape()[0]; }
};

/// A lazy set of examples. Cheap to copy; examples are read and copied only when batches are requested.
class Dataset {
 public:
  explicit Dataset(std::shared_ptr<const Source> source);

  /// Copies the tensors to host memory; their first extents must agree.
  static Dataset from_tensors(const Tensor& features, const Tensor& labels);

  std::int64_t size() const;
  TensorSpec features() const;  // of one example, after `prepare`
  TensorSpec labels() const;

  /// take() and shuffle() apply in the order of the calls: `take(n).shuffle(key)` shuffles the first n examples;
  /// `shuffle(key).take(n)` takes n of all examples, different ones in every pass.
  ///
  /// The first n examples.
  Dataset take(std::int64_t n) const;
  /// The examples in a random order that differs in every pass: a function of `key` and the number of the pass.
  Dataset shuffle(RandomKey key) const;
  /// Applies `features` to each batch's features on the device, for example to scale bytes to [0, 1].
  Dataset prepare(std::function<Tensor(const Tensor&)> features) const;

  /// One pass over the data: the batches in order. The last batch may be smaller; `drop_last` leaves it out. At most
  /// two batches are on the device at a time: the one in use, and the next one, which is being copied.
  class Pass {
   public:
    Pass(const Dataset& dataset, std::int64_t batch_size, Device device, std::int64_t number, bool drop_last = false);
    ~Pass();
    Pass(Pass&&) noexcept;
    /// The next batch, or nullopt after the last. If it throws, the next call gives the same batch.
    std::optional<Batch> next();
    std::int64_t batch_count() const;
    /// Makes next() return this batch, counted from 0. Frees the batch that was already copied to the device.
    void seek(std::int64_t batch);

   private:
    struct LOCKSTEP_HIDDEN State;
    HandlePointer<std::unique_ptr<State>, "pass"> state_;
  };
  Pass batches(std::int64_t batch_size, Device device, std::int64_t pass_number = 0, bool drop_last = false) const {
    return Pass(*this, batch_size, device, pass_number, drop_last);
  }

  /// The source of the raw examples, with the labels on the host, for checks.
  const Source& source() const { return *source_; }
  /// A number n such that every pass takes its examples from the source's first n.
  std::int64_t reach() const;

 private:
  struct Step {
    std::optional<std::int64_t> take;  // nullopt: a shuffle
    RandomKey shuffle;
  };
  /// The indices of the source's examples in the order of pass `number`.
  std::vector<std::int64_t> order(std::int64_t number) const;

  HandlePointer<std::shared_ptr<const Source>, "data set"> source_;
  std::vector<Step> steps_;
  std::function<Tensor(const Tensor&)> prepare_;
};

enum class Split : std::uint8_t { train, test };

/// Fashion-MNIST: 60,000 training and 10,000 test images, grey, of ten kinds of clothing, as f32 in [0, 1] with shape
/// (28, 28, 1); labels are u8. Looks in `folder`, else in LOCKSTEP_DATA, else in the folder of Debian's package
/// dataset-fashion-mnist. Throws IoError LS8001 to LS8004.
Dataset fashion_mnist(Split split, const std::string& folder = "");

/// An array from an IDX file (LeCun's format for MNIST), which is big-endian. Supports u8, i8, i32, f32 and f64, not
/// i16. Plain files are memory-mapped; gzip files are unpacked into memory.
class IdxArray {
 public:
  /// Throws IoError LS8001 (missing), LS8002 (not IDX), LS8003 (truncated), LS8004 (inconsistent).
  static IdxArray open(const std::string& path);
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  /// Row-major elements in this machine's byte order.
  const std::byte* bytes() const { return bytes_; }

 private:
  DType dtype_ = DType::u8;
  Shape shape_;
  const std::byte* bytes_ = nullptr;
  std::shared_ptr<const void> owner_;
};

/// Images with labels from two IDX files. Images without a channel dimension get one, of extent 1, as the last.
Dataset from_idx(const std::string& images, const std::string& labels);

}  // namespace data
}  // namespace lockstep
