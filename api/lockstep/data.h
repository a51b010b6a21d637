// Data sets: examples on the host, brought to the device batch by batch.
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

/// Where examples come from. Implementations are read from one thread at a time.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::int64_t size() const = 0;
  /// Of one example: its dtype and shape, without the batch.
  virtual Spec features() const = 0;
  virtual Spec labels() const = 0;
  /// Copies the examples at `indices`, one after the other; nullptr leaves a part out.
  virtual void copy(std::span<const std::int64_t> indices, std::byte* features, std::byte* labels) const = 0;
};

/// One batch on a device.
struct Batch {
  Tensor features;  // (batch, …)
  Tensor labels;    // (batch, …)
  std::int64_t size() const { return features.shape()[0]; }
};

/// A lazily described set of examples. A cheap value; nothing is read or copied until batches are asked for.
class Dataset {
 public:
  explicit Dataset(std::shared_ptr<const Source> source);

  /// Copies the tensors to host memory; their first extents agree.
  static Dataset from_tensors(const Tensor& features, const Tensor& labels);

  std::int64_t size() const;
  Spec features() const;  // of one example, after `prepare`
  Spec labels() const;

  /// take() and shuffle() apply in the order in which they are written: `take(n).shuffle(key)` mixes the first n
  /// examples, `shuffle(key).take(n)` takes n of all, and others in every pass.
  ///
  /// The first n examples of what comes.
  Dataset take(std::int64_t n) const;
  /// Examples in another random order in every pass, a function of `key` and the number of the pass.
  Dataset shuffle(RandomKey key) const;
  /// Ops run on each batch's features on the device, such as scaling bytes to numbers in [0, 1].
  Dataset prepare(std::function<Tensor(const Tensor&)> features) const;

  /// One pass over the data: batches in order, the last one smaller unless `drop_last`. At most two batches lie on the
  /// device at a time: the one in use, and the next one being copied.
  class Pass {
   public:
    Pass(const Dataset& dataset, std::int64_t batch_size, Device device, std::int64_t number, bool drop_last = false);
    ~Pass();
    Pass(Pass&&) noexcept;
    std::optional<Batch> next();
    std::int64_t batch_count() const;
    /// next() then gives this batch, counted from 0. A batch that lies on the device already is let go.
    void seek(std::int64_t batch);

   private:
    struct State;
    Held<std::unique_ptr<State>, "pass"> state_;
  };
  Pass batches(std::int64_t batch_size, Device device, std::int64_t pass_number = 0, bool drop_last = false) const {
    return Pass(*this, batch_size, device, pass_number, drop_last);
  }

  /// The raw examples' source, and the labels on the host, for checks.
  const Source& source() const { return *source_; }
  /// The source's first examples among which all are that any pass has.
  std::int64_t reach() const;

 private:
  struct Step {
    std::optional<std::int64_t> take;  // else a shuffle
    RandomKey shuffle;
  };
  /// The source's examples in the order of a pass.
  std::vector<std::int64_t> order(std::int64_t number) const;

  Held<std::shared_ptr<const Source>, "data set"> source_;
  std::vector<Step> steps_;
  std::function<Tensor(const Tensor&)> prepare_;
};

enum class Split : std::uint8_t { train, test };

/// Fashion-MNIST: 60,000 and 10,000 grey images of 28 x 28 of ten kinds of clothing, as f32 in [0, 1] of shape (28, 28,
/// 1) with labels of u8. Looks in `folder`, else in LOCKSTEP_DATA, else where Debian's dataset-fashion-mnist puts it.
/// Throws IoError LS8001 to LS8004.
Dataset fashion_mnist(Split split, const std::string& folder = "");

/// An array of an IDX file (LeCun's format of MNIST): u8, i8, i16 is refused, i32, f32, f64; big-endian on disk. Plain
/// files are memory-mapped; gzip files are unpacked into memory.
class IdxArray {
 public:
  /// Throws IoError LS8001 (missing), LS8002 (not IDX), LS8003 (too short), LS8004 (contradicts itself).
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

/// Images with labels from two IDX files; images gain a last dimension of 1 if they have none for channels.
Dataset from_idx(const std::string& images, const std::string& labels);

}  // namespace data
}  // namespace lockstep
