/* driver_ops.h: ids, schema versions and attributes of the ops that a driver may offer kernels for.
 *
 * Generated from the op definitions by `generate_driver_ops`; do not edit. Pointwise ops (add, exp …) have no
 * entry: a driver runs their programs under LKS_OP_POINTWISE. docs/adding_a_driver.md says which of the ops
 * below every driver needs; the others are composed from those where a driver refuses them.
 *
 * An entry says what the op does; then (operands) -> results; scalars; attribute struct, in the order of the
 * kernel description and the launch. "?" marks an operand that may be absent. Then, line by line:
 *   Operands.   The dtypes (a driver may refuse all but those it has, LKS_REASON_DTYPE) and the ranks of
 *               the op's own cases. The suite asks for higher ranks too. The op accepts all up to
 *               LKS_MAX_RANK, and so does a kernel: operands of matmul have rank 2 or more; images,
 *               filters and taps 4, in conv, max_pool and avg_pool 3 to 5; bias, the indices of scatter_add
 *               and what argsort sorts 1; logits, targets and what an `axis` belongs to 1 or more; all
 *               others 0 or more.
 *   Elements.   Anything that the dtype holds, NaN and infinities too, unless the line says "elements". A
 *               launch that fails for its elements does so with LKS_INVALID_ARGUMENT and the reason that is
 *               named, and writes nothing. If the result is undefined, a kernel still stays within the
 *               tensors.
 *   Results.    They have the dtype of the first operand, unless a line says otherwise. Their extents are in
 *               the kernel description.
 *   Scalars.    Numbers in lks_launch.scalars, in the dtype of the line. The host has converted each of them
 *               once, as LKS_INSTR_CONVERT does: to a floating dtype it rounds to nearest even.
 *   Attributes. The host has checked attributes, scalars and shapes, so a driver need not. Axes are in
 *               range; windows, strides and dilations are 1 to 2^31 - 1; padding is 0 to 2^31 - 1, and in
 *               pooling smaller than the window; groups divide the channels of image and result. What max,
 *               min, mean and argmax reduce has one element or more. A dtype in an attribute is a number:
 *               0 f32, 1 f64, 2 f16, 3 bf16, 4 i8, 5 u8, 6 i32, 7 i64, 8 bool. */
#ifndef LOCKSTEP_DRIVER_OPS_H_
#define LOCKSTEP_DRIVER_OPS_H_

#include "lockstep/driver.h"

/* At most eight integers. */
typedef struct lks_int_list {
  int64_t count;
  int64_t values[LKS_MAX_RANK];
} lks_int_list;

/* An op that only lks_kernel_desc.op_name tells: registered by an application. */
#define LKS_OP_NAMED 0u

/* The program attached to the kernel description, for each element of the outputs; inputs broadcast by rank
 * (aligned at the last dimension) and by extents of 1. */
#define LKS_OP_POINTWISE 1u
#define LKS_OP_POINTWISE_VERSION 1u

/* The same elements, dense and row-major. Drivers also use it between any two strided layouts.
 * (x) -> y
 *   x: f32, f64, f16, bf16, i8, u8, i32, i64, bool, rank 0 to 8 in its own cases */
#define LKS_OP_COPY 2u
#define LKS_OP_COPY_VERSION 1u

/* Sum over axes.
 * (x) -> y; lks_reduce_attrs
 *   x: f32, f64, f16, bf16, i32, i64, rank 1 to 8 in its own cases
 *   y: extents of x without the reduced axes, or with 1 in their place */
#define LKS_OP_SUM 60u
#define LKS_OP_SUM_VERSION 1u
typedef struct lks_reduce_attrs {
  lks_int_list axes; /* ascending, from the front; may be empty: then each element is a result */
  int64_t keep; /* 1: reduced axes stay, with extent 1; 0: they do not */
} lks_reduce_attrs;

/* Arithmetic mean over axes.
 * (x) -> y; lks_reduce_attrs
 *   x: f32, f64, f16, bf16, rank 1 to 8 in its own cases
 *   y: extents of x without the reduced axes, or with 1 in their place */
#define LKS_OP_MEAN 61u
#define LKS_OP_MEAN_VERSION 1u

/* Largest element over axes; NaN propagates.
 * (x) -> y; lks_reduce_attrs
 *   x: f32, f64, f16, bf16, i32, i64, rank 1 to 8 in its own cases
 *   y: extents of x without the reduced axes, or with 1 in their place */
#define LKS_OP_MAX 62u
#define LKS_OP_MAX_VERSION 1u

/* Smallest element over axes; NaN propagates.
 * (x) -> y; lks_reduce_attrs
 *   x: f32, f64, f16, bf16, i32, i64, rank 1 to 8 in its own cases
 *   y: extents of x without the reduced axes, or with 1 in their place */
#define LKS_OP_MIN 63u
#define LKS_OP_MIN_VERSION 1u

/* Position of the largest element along an axis, the first of several; NaN counts as largest.
 * (x) -> index; lks_argmax_attrs
 *   x: f32, f64, f16, bf16, i32, i64, rank 1 to 3 in its own cases
 *   index: i64, in [0, extent of the axis); extents of x without the axis */
#define LKS_OP_ARGMAX 64u
#define LKS_OP_ARGMAX_VERSION 1u
typedef struct lks_argmax_attrs {
  int64_t axis; /* from the front */
} lks_argmax_attrs;

/* The sum of all elements up to each, along an axis.
 * (x) -> y; lks_cumsum_attrs
 *   x: f32, f64, f16, bf16, i32, i64, rank 1 to 3 in its own cases
 *   y: extents of x */
#define LKS_OP_CUMSUM 65u
#define LKS_OP_CUMSUM_VERSION 1u
typedef struct lks_cumsum_attrs {
  int64_t axis; /* from the front */
  int64_t reverse; /* 1: from the last element on; 0: from the first */
} lks_cumsum_attrs;

/* Matrix product over the last two dimensions. Leading dimensions broadcast; kernels get equal ones.
 * (a, b) -> y
 *   a: f32, f64, f16, bf16, i32, i64, rank 2 to 4 in its own cases
 *   b: f32, f64, f16, bf16, i32, i64, rank 2 to 4 in its own cases, dtype of a
 *   y: (…, m, n) */
#define LKS_OP_MATMUL 70u
#define LKS_OP_MATMUL_VERSION 1u

/* Cross-correlation of NHWC images with OHWI filters, plus a bias per output channel if given.
 * (x, w, bias?) -> y; lks_conv2d_attrs
 *   x: f32, f64, f16, bf16, rank 4 in its own cases
 *   w: f32, f64, f16, bf16, rank 4 in its own cases, dtype of x
 *   bias: f32, f64, f16, bf16, rank 1 in its own cases, dtype of x
 *   y: (batch, output height, output width, output channels) */
#define LKS_OP_CONV2D 80u
#define LKS_OP_CONV2D_VERSION 1u
typedef struct lks_conv2d_attrs {
  lks_int_list strides; /* height, width */
  lks_int_list padding; /* top, bottom, left, right */
  lks_int_list dilation; /* height, width */
  int64_t groups; /* channels are split into this many independent groups */
} lks_conv2d_attrs;

/* Gradient of conv2d with respect to the image.
 * (dy, w) -> dx; lks_conv2d_backward_input_attrs
 *   dy: f32, f64, f16, bf16, rank 4 in its own cases
 *   w: f32, f64, f16, bf16, rank 4 in its own cases, dtype of dy */
#define LKS_OP_CONV2D_BACKWARD_INPUT 81u
#define LKS_OP_CONV2D_BACKWARD_INPUT_VERSION 1u
typedef struct lks_conv2d_backward_input_attrs {
  lks_int_list strides; /* height, width */
  lks_int_list padding; /* top, bottom, left, right */
  lks_int_list dilation; /* height, width */
  int64_t groups; /* channels are split into this many independent groups */
  lks_int_list shape; /* of the image, NHWC */
} lks_conv2d_backward_input_attrs;

/* Gradient of conv2d with respect to the filter.
 * (x, dy) -> dw; lks_conv2d_backward_filter_attrs
 *   x: f32, f64, f16, bf16, rank 4 in its own cases
 *   dy: f32, f64, f16, bf16, rank 4 in its own cases, dtype of x */
#define LKS_OP_CONV2D_BACKWARD_FILTER 82u
#define LKS_OP_CONV2D_BACKWARD_FILTER_VERSION 1u
typedef struct lks_conv2d_backward_filter_attrs {
  lks_int_list strides; /* height, width */
  lks_int_list padding; /* top, bottom, left, right */
  lks_int_list dilation; /* height, width */
  int64_t groups; /* channels are split into this many independent groups */
  lks_int_list shape; /* of the filter, OHWI */
} lks_conv2d_backward_filter_attrs;

/* Largest element under each window; +0 is above -0, NaN above all. Also the tap number row * width + column of the first that is largest.
 * (x) -> y, tap; lks_max_pool2d_attrs
 *   x: f32, f64, f16, bf16, rank 4 in its own cases
 *   y: (batch, output height, output width, channels)
 *   tap: i32, in [0, window height * width); taps in the padding are counted, too */
#define LKS_OP_MAX_POOL2D 83u
#define LKS_OP_MAX_POOL2D_VERSION 1u
typedef struct lks_max_pool2d_attrs {
  lks_int_list window; /* height, width */
  lks_int_list strides; /* height, width */
  lks_int_list padding; /* top, bottom, left, right */
} lks_max_pool2d_attrs;

/* Gradient of max_pool2d: each dy goes to the element that its tap names.
 * (dy, tap) -> dx; lks_max_pool2d_backward_attrs
 *   dy: f32, f64, f16, bf16, rank 4 in its own cases
 *   tap: i32, rank 4 in its own cases; elements: as max_pool2d gives them; for others the result is undefined */
#define LKS_OP_MAX_POOL2D_BACKWARD 84u
#define LKS_OP_MAX_POOL2D_BACKWARD_VERSION 1u
typedef struct lks_max_pool2d_backward_attrs {
  lks_int_list window; /* height, width */
  lks_int_list strides; /* height, width */
  lks_int_list padding; /* top, bottom, left, right */
  lks_int_list shape; /* of the pooled image, NHWC */
} lks_max_pool2d_backward_attrs;

/* The elements of x that the taps of a max_pool2d name.
 * (x, tap) -> y; lks_max_pool2d_gather_attrs
 *   x: f32, f64, f16, bf16, rank 4 in its own cases
 *   tap: i32, rank 4 in its own cases; elements: as max_pool2d gives them; for others the launch fails, LKS_REASON_INDEX, or the result is undefined */
#define LKS_OP_MAX_POOL2D_GATHER 85u
#define LKS_OP_MAX_POOL2D_GATHER_VERSION 1u
typedef struct lks_max_pool2d_gather_attrs {
  lks_int_list window; /* height, width */
  lks_int_list strides; /* height, width */
  lks_int_list padding; /* top, bottom, left, right */
} lks_max_pool2d_gather_attrs;

/* Mean under each window, over the elements that are inside the image.
 * (x) -> y; lks_avg_pool2d_attrs
 *   x: f32, f64, f16, bf16, rank 4 in its own cases
 *   y: (batch, output height, output width, channels) */
#define LKS_OP_AVG_POOL2D 86u
#define LKS_OP_AVG_POOL2D_VERSION 1u
typedef struct lks_avg_pool2d_attrs {
  lks_int_list window; /* height, width */
  lks_int_list strides; /* height, width */
  lks_int_list padding; /* top, bottom, left, right */
} lks_avg_pool2d_attrs;

/* Gradient of avg_pool2d: each dy is shared evenly by the elements under its window.
 * (dy) -> dx; lks_avg_pool2d_backward_attrs
 *   dy: f32, f64, f16, bf16, rank 4 in its own cases */
#define LKS_OP_AVG_POOL2D_BACKWARD 87u
#define LKS_OP_AVG_POOL2D_BACKWARD_VERSION 1u
typedef struct lks_avg_pool2d_backward_attrs {
  lks_int_list window; /* height, width */
  lks_int_list strides; /* height, width */
  lks_int_list padding; /* top, bottom, left, right */
  lks_int_list shape; /* of the pooled image, NHWC */
} lks_avg_pool2d_backward_attrs;

/* Exponentials of x along one axis, scaled to sum to one.
 * (x) -> y; lks_softmax_attrs
 *   x: f32, f64, f16, bf16, rank 1 to 3 in its own cases
 *   y: extents of x */
#define LKS_OP_SOFTMAX 90u
#define LKS_OP_SOFTMAX_VERSION 1u
typedef struct lks_softmax_attrs {
  int64_t axis; /* from the front */
} lks_softmax_attrs;

/* Logarithm of softmax, without its loss of precision.
 * (x) -> y; lks_softmax_attrs
 *   x: f32, f64, f16, bf16, rank 1 to 3 in its own cases
 *   y: extents of x */
#define LKS_OP_LOG_SOFTMAX 91u
#define LKS_OP_LOG_SOFTMAX_VERSION 1u

/* -log softmax(logits)[label] per row; NaN where a label is outside the classes.
 * (logits, labels) -> loss
 *   logits: f32, f64, f16, bf16, rank 1 to 3 in its own cases
 *   labels: i32, i64, rank 0 to 2 in its own cases; elements: any; outside [0, classes) the result is NaN
 *   loss: extents of labels */
#define LKS_OP_SPARSE_CROSS_ENTROPY 92u
#define LKS_OP_SPARSE_CROSS_ENTROPY_VERSION 1u

/* -sum(targets · log softmax(logits)) per row; 0 times -infinity counts as 0.
 * (logits, targets) -> loss
 *   logits: f32, f64, f16, bf16, rank 1 to 2 in its own cases
 *   targets: f32, f64, f16, bf16, rank 1 to 2 in its own cases, dtype of logits
 *   loss: extents of logits without the last */
#define LKS_OP_CROSS_ENTROPY 93u
#define LKS_OP_CROSS_ENTROPY_VERSION 1u

/* x, shifted and scaled to mean 0 and variance 1 over its last dimension, then times scale plus shift.
 * (x, scale?, shift?) -> y; scalars epsilon
 *   x: f32, f64, f16, bf16, rank 1 to 3 in its own cases
 *   scale: f32, f64, f16, bf16, rank 1 in its own cases, dtype of x
 *   shift: f32, f64, f16, bf16, rank 1 in its own cases, dtype of x
 *   y: extents of x
 *   epsilon: dtype of x (f32 for f16 and bf16) */
#define LKS_OP_LAYER_NORM 95u
#define LKS_OP_LAYER_NORM_VERSION 1u

/* Slices along an axis, by index.
 * (x, indices) -> y; lks_gather_attrs
 *   x: f32, f64, f16, bf16, i8, u8, i32, i64, bool, rank 1 to 3 in its own cases
 *   indices: i32, i64, rank 1 to 2 in its own cases; elements: any; one outside [0, extent of the axis) fails the launch, LKS_REASON_INDEX
 *   y: extents of x before the axis, then those of indices, then those of x after the axis */
#define LKS_OP_GATHER 107u
#define LKS_OP_GATHER_VERSION 1u
typedef struct lks_gather_attrs {
  int64_t axis; /* from the front */
} lks_gather_attrs;

/* Zeros, to which slices are added at indices along an axis, in ascending order of their position.
 * (updates, indices) -> y; lks_scatter_add_attrs
 *   updates: f32, f64, f16, bf16, i32, i64, rank 1 to 3 in its own cases
 *   indices: i32, i64, rank 1 in its own cases; elements: any; one outside [0, extent) fails the launch, LKS_REASON_INDEX
 *   y: extents of updates, but `extent` along the axis */
#define LKS_OP_SCATTER_ADD 108u
#define LKS_OP_SCATTER_ADD_VERSION 1u
typedef struct lks_scatter_add_attrs {
  int64_t axis; /* from the front */
  int64_t extent; /* of the result along the axis */
} lks_scatter_add_attrs;

/* 1 where the last index equals the label, else 0.
 * (labels) -> y; lks_one_hot_attrs
 *   labels: i32, i64, rank 1 to 2 in its own cases; elements: any; for one outside [0, depth) all elements are 0
 *   y: dtype of the attribute; extents of labels, then depth */
#define LKS_OP_ONE_HOT 109u
#define LKS_OP_ONE_HOT_VERSION 1u
typedef struct lks_one_hot_attrs {
  int64_t depth; /* extent of the new last dimension */
  int64_t dtype; /* number of the result's dtype */
} lks_one_hot_attrs;

/* The order of the elements of a vector, ascending; equal ones by index.
 * (x) -> order
 *   x: i64, rank 1 in its own cases
 *   order: i64 */
#define LKS_OP_ARGSORT 112u
#define LKS_OP_ARGSORT_VERSION 1u

/* Uniformly random bits from Philox 4x32-10, a function of key and row-major index alone.
 * () -> y; scalars seed_low, seed_high, stream_low, stream_high; lks_random_bits_attrs
 *   y: dtype of the attribute, i32 or i64
 *   seed_low, seed_high, stream_low, stream_high: u32 */
#define LKS_OP_RANDOM_BITS 120u
#define LKS_OP_RANDOM_BITS_VERSION 1u
typedef struct lks_random_bits_attrs {
  lks_int_list shape; /* of the result */
  int64_t dtype; /* number of the result's dtype */
} lks_random_bits_attrs;

/* Uniform in [low, high).
 * () -> y; scalars low, high, seed_low, seed_high, stream_low, stream_high; lks_random_uniform_attrs
 *   y: dtype of the attribute, f32 or f64
 *   low, high: f64; finite in the dtype of y, as is high - low; low <= high; a number of that dtype is in the range, or low = high: then every element is that number, rounded
 *   seed_low, seed_high, stream_low, stream_high: u32 */
#define LKS_OP_RANDOM_UNIFORM 121u
#define LKS_OP_RANDOM_UNIFORM_VERSION 1u
typedef struct lks_random_uniform_attrs {
  lks_int_list shape; /* of the result */
  int64_t dtype; /* number of the result's dtype */
} lks_random_uniform_attrs;

/* mean + deviation z, z normal.
 * () -> y; scalars mean, deviation, seed_low, seed_high, stream_low, stream_high; lks_random_normal_attrs
 *   y: dtype of the attribute, f32 or f64
 *   mean: dtype of y (f32 for f16 and bf16); finite
 *   deviation: dtype of y (f32 for f16 and bf16); finite, 0 or more
 *   seed_low, seed_high, stream_low, stream_high: u32 */
#define LKS_OP_RANDOM_NORMAL 122u
#define LKS_OP_RANDOM_NORMAL_VERSION 1u
typedef struct lks_random_normal_attrs {
  lks_int_list shape; /* of the result */
  int64_t dtype; /* number of the result's dtype */
} lks_random_normal_attrs;

/* mean + deviation z, z normal within [-2, 2].
 * () -> y; scalars mean, deviation, seed_low, seed_high, stream_low, stream_high; lks_random_truncated_normal_attrs
 *   y: dtype of the attribute, f32 or f64
 *   mean: dtype of y (f32 for f16 and bf16); finite
 *   deviation: dtype of y (f32 for f16 and bf16); finite, 0 or more
 *   seed_low, seed_high, stream_low, stream_high: u32 */
#define LKS_OP_RANDOM_TRUNCATED_NORMAL 123u
#define LKS_OP_RANDOM_TRUNCATED_NORMAL_VERSION 1u
typedef struct lks_random_truncated_normal_attrs {
  lks_int_list shape; /* of the result */
  int64_t dtype; /* number of the result's dtype */
} lks_random_truncated_normal_attrs;

/* 0 … n-1 in random order: the order of n random 64-bit keys, ties by index.
 * () -> y; scalars seed_low, seed_high, stream_low, stream_high; lks_random_permutation_attrs
 *   y: i64
 *   seed_low, seed_high, stream_low, stream_high: u32 */
#define LKS_OP_RANDOM_PERMUTATION 124u
#define LKS_OP_RANDOM_PERMUTATION_VERSION 1u
typedef struct lks_random_permutation_attrs {
  lks_int_list shape; /* (n,) */
} lks_random_permutation_attrs;

/* x / (1 - rate), with each element set to 0 with probability rate.
 * (x) -> y; scalars rate, seed_low, seed_high, stream_low, stream_high
 *   x: f32, f64, f16, bf16, rank 2 in its own cases
 *   y: extents of x
 *   rate: f64; in [0, 1)
 *   seed_low, seed_high, stream_low, stream_high: u32 */
#define LKS_OP_DROPOUT 125u
#define LKS_OP_DROPOUT_VERSION 1u

/* Cross-correlation of images with filters over one, two or three spatial axes, plus a bias per output channel if given.
 * (x, w, bias?) -> y; lks_conv_attrs
 *   x: f32, f64, f16, bf16, rank 3 to 5 in its own cases
 *   w: f32, f64, f16, bf16, rank 3 to 5 in its own cases, dtype of x
 *   bias: f32, f64, f16, bf16, rank 1 in its own cases, dtype of x
 *   y: (batch, output extents, output channels) */
#define LKS_OP_CONV 150u
#define LKS_OP_CONV_VERSION 1u
typedef struct lks_conv_attrs {
  lks_int_list strides; /* one number per spatial axis */
  lks_int_list padding; /* in front of and behind each spatial axis, in the order of the axes */
  lks_int_list dilation; /* one number per spatial axis */
  int64_t groups; /* channels are split into this many independent groups */
} lks_conv_attrs;

/* Largest element under each window over one, two or three spatial axes; +0 is above -0, NaN above all.
 * (x) -> y; lks_pool_attrs
 *   x: f32, f64, f16, bf16, rank 3 to 5 in its own cases
 *   y: (batch, output extents, channels) */
#define LKS_OP_MAX_POOL 151u
#define LKS_OP_MAX_POOL_VERSION 1u
typedef struct lks_pool_attrs {
  lks_int_list window; /* one number per spatial axis */
  lks_int_list strides; /* one number per spatial axis */
  lks_int_list padding; /* in front of and behind each spatial axis, in the order of the axes */
} lks_pool_attrs;

/* Mean under each window over one, two or three spatial axes, over the elements that are inside the image.
 * (x) -> y; lks_pool_attrs
 *   x: f32, f64, f16, bf16, rank 3 to 5 in its own cases
 *   y: (batch, output extents, channels) */
#define LKS_OP_AVG_POOL 152u
#define LKS_OP_AVG_POOL_VERSION 1u

#endif /* LOCKSTEP_DRIVER_OPS_H_ */
