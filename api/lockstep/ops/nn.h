// Neural network ops. Images are NHWC (batch, height, width, channels), filters OHWI (output channels, height,
// width, input channels per group).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

/// How an image is padded before a window slides over it. `valid` adds nothing. `same` adds zeros so that the output
/// has ceil(extent/stride) elements; an odd row or column goes to the bottom or right. `of` adds given numbers of
/// elements in front of each spatial axis and behind it: two numbers for one axis, four for two, six for three.
///
/// With `same`, and in a pool with any padding, each spatial extent of the image must be 1 or more. Otherwise the call
/// throws ShapeError LS2005.
class Padding {
 public:
  static Padding valid() { return Padding(Kind::given); }
  static Padding same() { return Padding(Kind::same); }
  static Padding of(std::int64_t left, std::int64_t right) { return Padding({left, right}, 2); }
  static Padding of(std::int64_t top, std::int64_t bottom, std::int64_t left, std::int64_t right) {
    return Padding({top, bottom, left, right}, 4);
  }
  static Padding of(std::int64_t front, std::int64_t back, std::int64_t top, std::int64_t bottom, std::int64_t left,
                    std::int64_t right) {
    return Padding({front, back, top, bottom, left, right}, 6);
  }
  bool is_same() const { return kind_ == Kind::same; }
  /// How many numbers are given; 0 for `valid` and `same`.
  std::size_t count() const { return count_; }
  const std::array<std::int64_t, 6>& amounts() const { return amounts_; }

 private:
  enum class Kind : std::uint8_t { given, same };
  explicit Padding(Kind kind) : kind_(kind) {}
  Padding(const std::array<std::int64_t, 6>& amounts, std::uint8_t count)
      : kind_(Kind::given), count_(count), amounts_(amounts) {}
  Kind kind_;
  std::uint8_t count_ = 0;
  std::array<std::int64_t, 6> amounts_{};  // in the order of the axes: in front, behind
};

using Pair = std::array<std::int64_t, 2>;  // height, width

struct Convolution {
  Pair strides{1, 1};
  Padding padding = Padding::valid();
  Pair dilation{1, 1};
  std::int64_t groups = 1;
};

/// Cross-correlation of NHWC images with OHWI filters, plus a bias per output channel if given. x is (N, H, W, C), w
/// (O, KH, KW, C/groups), bias (O). Floating dtypes. Output (N, OH, OW, O) with OH = (H + top + bottom - ((KH - 1)
/// dilation + 1)) / stride + 1, rounded down.
Tensor conv2d(Operand x, Operand w, Convolution options = {});
Tensor conv2d(Operand x, Operand w, Operand bias, Convolution options = {});

struct SpatialConvolution {
  std::vector<std::int64_t> strides = {};  // one number per spatial axis; empty: 1 along each
  Padding padding = Padding::valid();
  std::vector<std::int64_t> dilation = {};  // the same
  std::int64_t groups = 1;
};

/// Cross-correlation of images with filters over one, two or three spatial axes, plus a bias per output channel if
/// given. The rank of x decides: x is (N, W, C), (N, H, W, C) or (N, D, H, W, C), w (O, KW, C/groups), (O, KH, KW,
/// C/groups) or (O, KD, KH, KW, C/groups), bias (O). Floating dtypes. The output has the extents of conv2d along each
/// axis. Over two axes it is conv2d. Throws ShapeError LS2008 for other ranks, LS2003 for other channels, LS2005 for a
/// window that does not fit, LS2007 for lists of other lengths or with numbers out of range, and for more than 1,024
/// filter planes; TraceError LS4101 for a symbolic depth D with padding, or a symbolic KD.
Tensor conv(Operand x, Operand w, SpatialConvolution options = {});
Tensor conv(Operand x, Operand w, Operand bias, SpatialConvolution options = {});

struct Pool2d {
  Pair window{2, 2};
  std::optional<Pair> strides = std::nullopt;  // default: the window
  Padding padding = Padding::valid();
};

/// Largest element under each window; +0 is above -0, NaN above all. Padding is never chosen.
/// If several elements are equal, the gradient goes to the first. Floating dtypes.
Tensor max_pool2d(Operand x, Pool2d options = {});
/// Mean under each window, over the elements that are inside the image. Floating dtypes.
Tensor avg_pool2d(Operand x, Pool2d options = {});
struct SpatialPool {
  std::vector<std::int64_t> window = {};   // one number per spatial axis; empty: 2 along each
  std::vector<std::int64_t> strides = {};  // the same; empty: the window
  Padding padding = Padding::valid();
};

/// Largest element under each window over one, two or three spatial axes; +0 is above -0, NaN above all. The rank of x
/// decides: (N, W, C), (N, H, W, C) or (N, D, H, W, C). Over two axes it is max_pool2d. If several elements are equal,
/// the gradient goes to the first in row-major order. Floating dtypes. Throws ShapeError LS2008 for other ranks, LS2005
/// for a window that does not fit, LS2007 for lists of other lengths or with numbers out of range.
Tensor max_pool(Operand x, SpatialPool options = {});
/// Mean under each window over one, two or three spatial axes, over the elements that are inside the image. Shapes and
/// errors are those of max_pool; over two axes it is avg_pool2d.
Tensor avg_pool(Operand x, SpatialPool options = {});

/// Maximum or mean over the image: (N, H, W, C) to (N, C).
Tensor global_max_pool2d(Operand x);
Tensor global_avg_pool2d(Operand x);

/// Exponentials of x along one axis, scaled to sum to one. Computed without overflow. Floating dtypes.
Tensor softmax(Operand x, std::int64_t axis = -1);
/// Logarithm of softmax, without its loss of precision.
Tensor log_softmax(Operand x, std::int64_t axis = -1);

/// x, shifted and scaled to mean 0 and variance 1 over its last dimension, then times scale plus shift. With x of (…,
/// features), scale and shift are (features,). `epsilon` is added to the variance, which is that of the features
/// themselves (their mean square distance from the mean). If the variance is 0 and epsilon is 0, or rounds to 0 in f32
/// (in f64 for f64), the row and its gradient are NaN. Floating dtypes. Throws ShapeError LS2005 for no features,
/// LS2010 for other shapes of scale and shift, LS2007 for an epsilon below 0.
Tensor layer_norm(Operand x, double epsilon = 1e-5);
Tensor layer_norm(Operand x, Operand scale, Operand shift, double epsilon = 1e-5);

/// -log softmax(logits)[label] per row; NaN where a label is outside the classes. logits (…, C), labels (…) of i32 or
/// i64; gives (…). With no classes (C = 0) every label is outside. Floating dtypes.
Tensor sparse_cross_entropy(Operand logits, Operand labels);
/// -sum(targets · log softmax(logits)) per row; 0 times -infinity counts as 0. Targets have the logits' shape. A class
/// with probability 0 (a logit of -infinity) and target 0 contributes 0 to the sum. A sum over no classes is 0, so the
/// loss is -0.
Tensor cross_entropy(Operand logits, Operand targets);

}  // namespace lockstep
