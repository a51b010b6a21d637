"""The sums of lockstep mode, written from docs/lockstep_mode.md alone, with one NumPy scalar operation per rounding.

Arrays are NumPy arrays of the dtype in which a device would compute. NumPy's scalars of f32 and f64 round each operation
once, to nearest even, and keep denormals. Integers wrap around. Nothing here calls NumPy's own sums.
"""
import itertools

import numpy

CHAIN_CHUNK = 256
LANE_CHUNK = 1024
LANES = 32


def pairwise(partials, zero):
    """Adds neighbours, level by level, until one is left. An odd last one moves up unchanged."""
    partials = list(partials)
    while len(partials) > 1:
        joined = [partials[i] + partials[i + 1] for i in range(0, len(partials) - 1, 2)]
        if len(partials) % 2:
            joined.append(partials[-1])
        partials = joined
    return partials[0] if partials else zero


def chain_sum(terms, count, kind):
    """`terms` are pairs (position, term) in ascending order of position. Positions are in 0..count-1."""
    zero = kind(0)
    chunks = [zero] * -(-count // CHAIN_CHUNK)
    for position, term in terms:
        chunks[position // CHAIN_CHUNK] = chunks[position // CHAIN_CHUNK] + term
    return pairwise(chunks, zero)


def lane_sum(elements, kind):
    zero = kind(0)
    chunks = []
    for first in range(0, len(elements), LANE_CHUNK):
        lanes = [zero] * LANES
        for position, element in enumerate(elements[first:first + LANE_CHUNK]):
            lanes[position % LANES] = lanes[position % LANES] + element
        half = LANES // 2
        while half:
            for lane in range(half):
                lanes[lane] = lanes[lane] + lanes[lane + half]
            half //= 2
        chunks.append(lanes[0])
    return pairwise(chunks, zero)


def running_sum(elements, kind):
    total = kind(0)
    for element in elements:
        total = total + element
    return total


# ------------------------------------------------------------------------------------------------------------ the ops

def reduce_with(add, x, axes, keep):
    """Applies `add` to the elements of each output, in row-major order of the reduced axes."""
    kept = [d for d in range(x.ndim) if d not in axes]
    out = numpy.zeros([x.shape[d] for d in kept], x.dtype)
    for index in numpy.ndindex(*out.shape):
        elements = []
        for reduced in itertools.product(*(range(x.shape[d]) for d in sorted(axes))):
            at = [0] * x.ndim
            for d, i in zip(kept, index):
                at[d] = i
            for d, i in zip(sorted(axes), reduced):
                at[d] = i
            elements.append(x[tuple(at)])
        out[index] = add(elements, x.dtype.type)
    return out.reshape([1 if d in axes else x.shape[d] for d in range(x.ndim)]) if keep else out


def sum_over(x, axes, keep=False):
    return reduce_with(lane_sum, x, axes, keep)


def mean_over(x, axes, keep=False):
    kind = x.dtype.type
    count = kind(int(numpy.prod([x.shape[d] for d in axes], dtype=numpy.int64)))
    total = sum_over(x, axes, keep)
    return numpy.array([value / count for value in total.reshape(-1)], x.dtype).reshape(total.shape)


def matmul(a, b):
    """(..., m, k) times (..., k, n). The leading dimensions broadcast."""
    kind = a.dtype.type
    batch = numpy.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = numpy.broadcast_to(a, batch + a.shape[-2:])
    b = numpy.broadcast_to(b, batch + b.shape[-2:])
    inner = a.shape[-1]
    out = numpy.zeros(batch + (a.shape[-2], b.shape[-1]), a.dtype)
    for index in numpy.ndindex(*out.shape):
        *group, row, column = index
        left, right = a[tuple(group)][row], b[tuple(group)][:, column]
        out[index] = chain_sum(((k, left[k] * right[k]) for k in range(inner)), inner, kind)
    return out


class Window:
    """Where the taps of a convolution lie."""

    def __init__(self, strides=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
        self.strides, self.padding, self.dilation, self.groups = strides, padding, dilation, groups

    def row(self, output, tap):
        return output * self.strides[0] - self.padding[0] + tap * self.dilation[0]

    def column(self, output, tap):
        return output * self.strides[1] - self.padding[2] + tap * self.dilation[1]

    def output_shape(self, x, w):
        def extent(size, taps, before, after, dilation, stride):
            return (size + before + after - (taps - 1) * dilation - 1) // stride + 1
        return (x[0], extent(x[1], w[1], *self.padding[:2], self.dilation[0], self.strides[0]),
                extent(x[2], w[2], *self.padding[2:], self.dilation[1], self.strides[1]), w[0])


def conv2d(x, w, window, bias=None):
    """Images are NHWC, filters OHWI."""
    filters, rows, columns, channels = w.shape
    y = numpy.zeros(window.output_shape(x.shape, w.shape), x.dtype)
    for n, oh, ow, o in numpy.ndindex(*y.shape):
        first = o // (filters // window.groups) * channels
        terms = []
        for kh, kw, c in numpy.ndindex(rows, columns, channels):
            h, v = window.row(oh, kh), window.column(ow, kw)
            if 0 <= h < x.shape[1] and 0 <= v < x.shape[2]:
                terms.append(((kh * columns + kw) * channels + c, x[n, h, v, first + c] * w[o, kh, kw, c]))
        total = chain_sum(terms, rows * columns * channels, x.dtype.type)
        y[n, oh, ow, o] = total if bias is None else total + bias[o]
    return y


def conv2d_backward_input(dy, w, window, shape):
    filters, rows, columns, channels = w.shape
    per_group = filters // window.groups
    outputs = {}  # image pixel and tap -> output pixel, from the definition of the forward op
    for oh, kh in itertools.product(range(dy.shape[1]), range(rows)):
        outputs["h", window.row(oh, kh), kh] = oh
    for ow, kw in itertools.product(range(dy.shape[2]), range(columns)):
        outputs["w", window.column(ow, kw), kw] = ow
    dx = numpy.zeros(shape, dy.dtype)
    for n, h, v, c in numpy.ndindex(*shape):
        group = c // channels
        terms = []
        for kh, kw, o in numpy.ndindex(rows, columns, per_group):
            oh, ow = outputs.get(("h", h, kh)), outputs.get(("w", v, kw))
            if oh is not None and ow is not None:
                filter_ = group * per_group + o
                product = dy[n, oh, ow, filter_] * w[filter_, kh, kw, c - group * channels]
                terms.append(((kh * columns + kw) * per_group + o, product))
        dx[n, h, v, c] = chain_sum(terms, rows * columns * per_group, dy.dtype.type)
    return dx


def conv2d_backward_filter(x, dy, window, shape):
    filters, _, _, channels = shape
    batch, rows, columns, _ = dy.shape
    dw = numpy.zeros(shape, x.dtype)
    for o, kh, kw, i in numpy.ndindex(*shape):
        channel = o // (filters // window.groups) * channels + i
        terms = []
        for n, oh, ow in numpy.ndindex(batch, rows, columns):
            h, v = window.row(oh, kh), window.column(ow, kw)
            if 0 <= h < x.shape[1] and 0 <= v < x.shape[2]:
                terms.append(((n * rows + oh) * columns + ow, x[n, h, v, channel] * dy[n, oh, ow, o]))
        dw[o, kh, kw, i] = chain_sum(terms, batch * rows * columns, x.dtype.type)
    return dw


def taps_inside(size, strides, padding, shape, oh, ow):
    """Yields (row, column, number) of the taps of one window that lie inside an image, in ascending order."""
    for kh, kw in itertools.product(range(size[0]), range(size[1])):
        h, v = oh * strides[0] - padding[0] + kh, ow * strides[1] - padding[2] + kw
        if 0 <= h < shape[1] and 0 <= v < shape[2]:
            yield h, v, kh * size[1] + kw


def pooled_shape(shape, size, strides, padding):
    return (shape[0], (shape[1] + padding[0] + padding[1] - size[0]) // strides[0] + 1,
            (shape[2] + padding[2] + padding[3] - size[1]) // strides[1] + 1, shape[3])


def avg_pool2d(x, size, strides, padding):
    kind = x.dtype.type
    y = numpy.zeros(pooled_shape(x.shape, size, strides, padding), x.dtype)
    for n, oh, ow, c in numpy.ndindex(*y.shape):
        taps = [x[n, h, v, c] for h, v, _ in taps_inside(size, strides, padding, x.shape, oh, ow)]
        y[n, oh, ow, c] = running_sum(taps, kind) / kind(len(taps))
    return y


def avg_pool2d_backward(dy, size, strides, padding, shape):
    kind = dy.dtype.type
    dx = numpy.zeros(shape, dy.dtype)
    for n, oh, ow, c in numpy.ndindex(*dy.shape):
        taps = list(taps_inside(size, strides, padding, shape, oh, ow))
        share = dy[n, oh, ow, c] / kind(len(taps))
        for h, v, _ in taps:
            dx[n, h, v, c] = dx[n, h, v, c] + share
    return dx


def max_pool2d(x, size, strides, padding):
    """The largest element of each window, and its tap. -0 is below +0. Of equal elements the first counts; the first NaN
    counts as the largest."""
    shape = pooled_shape(x.shape, size, strides, padding)
    y, tap = numpy.zeros(shape, x.dtype), numpy.zeros(shape, numpy.int32)
    for n, oh, ow, c in numpy.ndindex(*shape):
        best = None
        for h, v, number in taps_inside(size, strides, padding, x.shape, oh, ow):
            value = x[n, h, v, c]
            above = best is not None and (value > best or (value == best and numpy.signbit(best) > numpy.signbit(value)))
            if best is None or (best == best and (value != value or above)):
                best = value
                tap[n, oh, ow, c] = number
        y[n, oh, ow, c] = best
    return y, tap


def max_pool2d_backward(dy, tap, size, strides, padding, shape):
    dx = numpy.zeros(shape, dy.dtype)
    for n, oh, ow, c in numpy.ndindex(*dy.shape):
        for h, v, number in taps_inside(size, strides, padding, shape, oh, ow):
            if number == tap[n, oh, ow, c]:
                dx[n, h, v, c] = dx[n, h, v, c] + dy[n, oh, ow, c]
    return dx


def scatter_add(updates, indices, axis, extent):
    shape = list(updates.shape)
    shape[axis] = extent
    out = numpy.zeros(shape, updates.dtype)
    for at in numpy.ndindex(*updates.shape):
        to = list(at)
        to[axis] = indices[at[axis]]
        out[tuple(to)] = out[tuple(to)] + updates[at]
    return out
