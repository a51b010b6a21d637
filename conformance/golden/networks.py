"""Cases of convolution, pooling, softmax and cross entropy. Images are NHWC and filters OHWI; in torch NCHW and OIHW."""
import math

import numpy
import torch
import torch.nn.functional as F

from book import Array, golden

INF, NAN = math.inf, math.nan


def to_torch(x):
    return x.permute(0, 3, 1, 2)


def from_torch(x):
    return x.permute(0, 2, 3, 1)


def put_around(x, padding, value=0.0):
    """Pads an image in torch's layout. Each side may have a different padding."""
    top, bottom, left, right = padding
    return F.pad(x, (left, right, top, bottom), value=value)


# --------------------------------------------------------------------------------------------------------- convolution

# image, filter, strides, padding, dilation, groups
CONVOLUTIONS = {
    "plain": ((2, 4, 4, 2), (2, 3, 3, 2), [1, 1], [0, 0, 0, 0], [1, 1], 1),
    "same": ((1, 4, 4, 2), (3, 3, 3, 2), [1, 1], [1, 1, 1, 1], [1, 1], 1),
    "strided": ((1, 6, 7, 2), (2, 3, 2, 2), [2, 3], [1, 0, 0, 2], [1, 1], 1),
    "dilated": ((1, 6, 8, 1), (2, 3, 3, 1), [1, 1], [0, 1, 1, 0], [2, 3], 1),
    "grouped": ((1, 3, 4, 4), (6, 2, 2, 2), [1, 1], [0, 1, 1, 0], [1, 1], 2),
    "depthwise": ((1, 4, 4, 3), (3, 3, 3, 1), [1, 1], [1, 1, 1, 1], [1, 1], 3),
    "depth_multiplier": ((1, 3, 3, 2), (4, 2, 2, 1), [1, 1], [0, 0, 0, 0], [1, 1], 2),
    "pointwise": ((2, 2, 3, 3), (2, 1, 1, 3), [1, 1], [0, 0, 0, 0], [1, 1], 1),
    "uneven": ((1, 6, 6, 1), (2, 2, 2, 1), [4, 3], [0, 0, 0, 0], [1, 1], 1),
    "everything": ((2, 7, 6, 4), (2, 2, 3, 2), [2, 1], [0, 2, 1, 2], [3, 2], 2),
}


def convolution(strides, padding, dilation, groups):
    def apply(x, w, bias=None):
        image = put_around(to_torch(x), padding)
        return from_torch(F.conv2d(image, to_torch(w), bias, strides, 0, dilation, groups))
    return apply


def convolution_attributes(strides, padding, dilation, groups):
    return {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}


@golden("conv2d")
def conv2d(g):
    for name, (x, w, *settings) in CONVOLUTIONS.items():
        bias = g.real(w[0]) if name in ("same", "grouped", "everything") else None
        g.case(name, [g.real(*x), g.real(*w), bias], convolution(*settings), convolution_attributes(*settings),
               gradient=True, summed=True)
    x, w, *settings = CONVOLUTIONS["strided"]
    g.case("f32", [g.real(*x, dtype="f32"), g.real(*w, dtype="f32"), g.real(w[0], dtype="f32")], convolution(*settings),
           convolution_attributes(*settings), summed=True)


def transposed(function, shape, which, other):
    """The gradient of a function of two tensors with respect to one of them, which has this shape, as a function of the
    upstream gradient. It can be differentiated again."""
    at = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    operands = (at, other) if which == 0 else (other, at)
    return lambda upstream: torch.autograd.grad(function(*operands), at, upstream, create_graph=True)[0]


@golden("conv2d_backward_input", "conv2d_backward_filter")
def convolution_gradients(g):
    for name, (x, w, *settings) in CONVOLUTIONS.items():
        forward = convolution(*settings)
        y = forward(torch.zeros(x), torch.zeros(w)).shape
        attrs = convolution_attributes(*settings)
        if g.op == "conv2d_backward_input":
            inputs, attrs["shape"] = [g.real(*y), g.real(*w)], list(x)
            function = lambda dy, filters: transposed(forward, x, 0, filters)(dy)
        else:
            inputs, attrs["shape"] = [g.real(*x), g.real(*y)], list(w)
            function = lambda image, dy: transposed(forward, w, 1, image)(dy)
        g.case(name, inputs, function, attrs, gradient=True, summed=True)


# ------------------------------------------------------------------------------------------------------------- pooling

# image, window, strides, padding
POOLS = {
    "halves": ((2, 4, 4, 2), [2, 2], [2, 2], [0, 0, 0, 0]),
    "uneven": ((1, 5, 3, 2), [2, 2], [2, 2], [0, 0, 0, 0]),
    "overlap": ((1, 5, 5, 1), [3, 3], [2, 2], [0, 0, 0, 0]),
    "padded": ((1, 4, 5, 2), [3, 2], [2, 1], [1, 1, 0, 1]),
    "corner": ((1, 3, 4, 1), [2, 3], [1, 2], [1, 0, 2, 2]),
    "whole": ((2, 2, 3, 2), [2, 3], [1, 1], [0, 0, 0, 0]),
}


def pool_attributes(window, strides, padding):
    return {"window": window, "strides": strides, "padding": padding}


def max_pool(window, strides, padding):
    """The largest elements, and their tap numbers. torch gives positions in the padded image instead."""
    def apply(x):
        image = put_around(to_torch(x), padding, -INF)
        y, positions = F.max_pool2d(image, window, strides, return_indices=True)
        row, column = positions // image.shape[3], positions % image.shape[3]
        row -= torch.arange(y.shape[2]).reshape(-1, 1) * strides[0]
        column -= torch.arange(y.shape[3]) * strides[1]
        return from_torch(y), from_torch(row * window[1] + column).to(torch.int32)
    return apply


def average_pool(window, strides, padding):
    """The mean of the elements inside the image. torch supports only symmetric padding."""
    def apply(x):
        total = lambda image: F.avg_pool2d(put_around(to_torch(image), padding), window, strides)
        return from_torch(total(x) / total(torch.ones_like(x)).detach())
    return apply


def positions_of(taps, image, window, strides, padding):
    """The row-major positions in the image to which tap numbers refer."""
    n, oh, ow, c = numpy.indices(taps.shape)
    row = oh * strides[0] - padding[0] + taps // window[1]
    column = ow * strides[1] - padding[2] + taps % window[1]
    return numpy.ravel_multi_index((n, row, column, c), image)


def pooled_shape(image, settings):
    return tuple(max_pool(*settings)(torch.zeros(image, dtype=torch.float64))[0].shape)


def draw_taps(g, image, settings):
    """Taps that lie inside the image: those of the maxima of random values."""
    return Array(max_pool(*settings)(g.distinct(*image).tensor())[1].numpy(), "i32")


@golden("max_pool2d")
def max_pool2d(g):
    for name, (image, *settings) in POOLS.items():
        g.case(name, [g.distinct(*image)], max_pool(*settings), pool_attributes(*settings), gradient=True)
    settings = POOLS["halves"][1:]
    ties = Array([[1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 3.0, 3.0], [0.0, -1.0, NAN, 5.0], [2.0, 2.0, 7.0, INF]])
    g.case("ties_and_nan", [Array(ties.values.reshape(1, 4, 4, 1))], max_pool(*settings), pool_attributes(*settings))
    g.case("ties", [Array([[[[1.0], [1.0]], [[1.0], [1.0]]]])], max_pool(*settings), pool_attributes(*settings),
           gradient=True)


@golden("max_pool2d_backward", "max_pool2d_gather", "max_pool2d_positions")
def tap_ops(g):
    for name, (image, *settings) in POOLS.items():
        taps = draw_taps(g, image, settings)
        where = torch.from_numpy(positions_of(taps.values.astype(numpy.int64), image, *settings))
        attrs = pool_attributes(*settings)
        if g.op == "max_pool2d_positions":
            g.case(name, [taps], lambda tap: where, {**attrs, "shape": list(image)})
        elif g.op == "max_pool2d_gather":
            g.case(name, [g.real(*image), taps], lambda x, tap: x.reshape(-1)[where], attrs, gradient=True)
        else:
            zeros = torch.zeros(math.prod(image), dtype=torch.float64)
            g.case(name, [g.real(*taps.values.shape), taps],
                   lambda dy, tap: zeros.index_add(0, where.reshape(-1), dy.reshape(-1)).reshape(image),
                   {**attrs, "shape": list(image)}, gradient=True, summed=True)


@golden("avg_pool2d")
def avg_pool2d(g):
    for name, (image, *settings) in POOLS.items():
        g.case(name, [g.real(*image)], average_pool(*settings), pool_attributes(*settings), gradient=True, summed=True)


@golden("avg_pool2d_backward")
def avg_pool2d_backward(g):
    for name, (image, *settings) in POOLS.items():
        pool = average_pool(*settings)
        function = lambda dy: transposed(lambda x, _: pool(x), image, 0, None)(dy)
        g.case(name, [g.real(*pooled_shape(image, settings))], function,
               {**pool_attributes(*settings), "shape": list(image)}, gradient=True, summed=True)


# ------------------------------------------------------------------------------------- one, two and three spatial axes

# image, filter, strides, padding, dilation, groups
CONVOLUTIONS_OVER_AXES = {
    "line": ((2, 6, 2), (3, 3, 2), [1], [0, 0], [1], 1),
    "line_everything": ((1, 9, 4), (2, 3, 2), [2], [1, 2], [2], 2),
    "image": ((1, 4, 5, 2), (3, 2, 3, 2), [1, 2], [1, 0, 0, 1], [1, 1], 1),
    "volume": ((1, 3, 4, 3, 2), (2, 2, 3, 2, 2), [1, 1, 1], [0, 0, 0, 0, 0, 0], [1, 1, 1], 1),
    "volume_same": ((1, 3, 3, 3, 1), (2, 3, 3, 3, 1), [1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1], 1),
    "volume_everything": ((2, 5, 4, 6, 4), (2, 2, 2, 3, 2), [2, 1, 2], [1, 2, 0, 1, 1, 0], [2, 1, 1], 2),
    "volume_depthwise": ((1, 2, 3, 2, 3), (3, 2, 2, 1, 1), [1, 1, 1], [0, 1, 0, 0, 0, 0], [1, 1, 1], 3),
    "planes_in_padding": ((1, 2, 2, 2, 1), (2, 2, 1, 2, 1), [1, 1, 1], [3, 2, 0, 0, 0, 0], [1, 1, 1], 1),
}
BIASED = ("line_everything", "volume_same", "volume_everything")


def put_around_axes(x, padding, value=0.0):
    """Pads an image of any number of axes in torch's layout, which torch describes from the last axis on."""
    pairs = zip(padding[::2], padding[1::2])
    return F.pad(x, [amount for pair in reversed(list(pairs)) for amount in pair], value=value)


def convolution_over_axes(strides, padding, dilation, groups):
    function = (F.conv1d, F.conv2d, F.conv3d)[len(strides) - 1]

    def apply(x, w, bias=None):
        image = put_around_axes(x.movedim(-1, 1), padding)
        y = function(image, w.movedim(-1, 1), bias, strides, 0, dilation, groups).movedim(1, -1)
        return y + 0.0  # a sum of products with the padding's zeros may be -0
    return apply


@golden("conv")
def conv(g):
    for name, (x, w, *settings) in CONVOLUTIONS_OVER_AXES.items():
        g.case(name, [g.real(*x), g.real(*w), g.real(w[0]) if name in BIASED else None], convolution_over_axes(*settings),
               convolution_attributes(*settings), gradient=True, summed=True)


# image, window, strides, padding. The numbers of elements under the windows are powers of two, so that means are exact.
POOLS_OVER_AXES = {
    "line": ((2, 6, 2), [2], [2], [0, 0]),
    "line_overlap": ((1, 5, 2), [2], [1], [1, 0]),
    "image": ((1, 4, 5, 2), [2, 2], [1, 2], [1, 0, 0, 1]),
    "volume": ((1, 4, 2, 4, 2), [2, 2, 2], [2, 2, 2], [0, 0, 0, 0, 0, 0]),
    "volume_overlap": ((1, 3, 4, 3, 1), [2, 1, 2], [1, 2, 1], [1, 1, 0, 0, 0, 1]),
    "volume_whole": ((2, 2, 2, 2, 1), [2, 2, 2], [1, 1, 1], [0, 0, 0, 0, 0, 0]),
}


def pool_over_axes(functions, window, strides, padding, value):
    function = functions[len(window) - 1]
    return lambda x: function(put_around_axes(x.movedim(-1, 1), padding, value), window, strides).movedim(1, -1)


def max_pool_over_axes(window, strides, padding):
    return pool_over_axes((F.max_pool1d, F.max_pool2d, F.max_pool3d), window, strides, padding, -INF)


def average_pool_over_axes(window, strides, padding):
    total = pool_over_axes((F.avg_pool1d, F.avg_pool2d, F.avg_pool3d), window, strides, padding, 0.0)
    return lambda x: total(x) / total(torch.ones_like(x)).detach()


@golden("max_pool")
def max_pool_of_axes(g):
    for name, (image, *settings) in POOLS_OVER_AXES.items():
        g.case(name, [g.distinct(*image)], max_pool_over_axes(*settings), pool_attributes(*settings), gradient=True)
    _, *settings = POOLS_OVER_AXES["volume_whole"]
    g.case("ties", [Array(numpy.ones((1, 2, 2, 2, 1)))], max_pool_over_axes(*settings), pool_attributes(*settings),
           gradient=True)
    numbers = Array(numpy.array([1.0, NAN, 2.0, INF, -1.0, 0.0, 5.0, 3.0]).reshape(1, 2, 2, 2, 1))
    g.case("not_a_number", [numbers], max_pool_over_axes(*settings), pool_attributes(*settings))


@golden("avg_pool")
def avg_pool_of_axes(g):
    for name, (image, *settings) in POOLS_OVER_AXES.items():
        g.case(name, [g.real(*image)], average_pool_over_axes(*settings), pool_attributes(*settings), gradient=True,
               summed=True)


# ------------------------------------------------------------------------------------------------------------- softmax

@golden("softmax", "log_softmax")
def softmax(g):
    function = {"softmax": F.softmax, "log_softmax": F.log_softmax}[g.op]
    for name, shape, axis in (("rows", (3, 4), 1), ("columns", (3, 2), 0), ("middle", (2, 3, 2), 1), ("one", (2, 1), 1)):
        g.case(name, [g.real(*shape)], lambda x: function(x, dim=axis), {"axis": axis}, gradient=True)
    at = lambda x: function(x, dim=1)
    g.case("far_apart", [Array([[0.0, 700.0, -700.0], [1e4, -1e4, 0.0], [-50.0, -49.5, -80.0]])], at, {"axis": 1})
    # A common offset, however large, must not cost digits.
    for name, offset in (("offset", 1000.0), ("large_offset", 2.0**30), ("huge_offset", 2.0**50)):
        g.case(name, [Array(offset + numpy.array([[0.0, 1.0, -2.0], [3.0, 3.0, 3.0]]))], at, {"axis": 1})
    g.case("not_numbers", [Array([[NAN, 1.0, 2.0], [-INF, 1.0, 2.0], [-INF, -INF, 0.0], [INF, 1.0, 0.0],
                                  [-INF, -INF, -INF]])], at, {"axis": 1})
    g.case("f32", [g.real(2, 5, dtype="f32")], at, {"axis": 1})


def entropy(logits, targets):
    """torch expects the classes in the second dimension."""
    classes = logits.shape[-1]
    wanted = targets.reshape(-1, classes) if targets.is_floating_point() else targets.reshape(-1)
    return F.cross_entropy(logits.reshape(-1, classes), wanted, reduction="none").reshape(logits.shape[:-1])


def sparse_entropy(logits, labels):
    """NaN if a label is outside the classes. torch refuses such labels."""
    labels = labels.to(torch.int64)
    inside = (labels >= 0) & (labels < logits.shape[-1])
    loss = entropy(logits, torch.where(inside, labels, 0))
    return torch.where(inside, loss, torch.full_like(loss, NAN))


@golden("sparse_cross_entropy")
def sparse_cross_entropy(g):
    g.case("rows", [g.real(4, 5), Array([0, 4, 2, 2], "i64")], sparse_entropy, gradient=True)
    g.case("images", [g.real(2, 2, 3), Array([[0, 2], [1, 1]], "i32")], sparse_entropy, gradient=True)
    g.case("vector", [g.real(4), Array(3, "i64")], sparse_entropy, gradient=True)
    g.case("outside", [g.real(4, 3), Array([-1, 3, 1, -(2**40)], "i64")], sparse_entropy)
    far = [[0.0, 800.0, 1.0], [2.0**30, 2.0**30 + 1, 2.0**30], [-INF, 0.0, 1.0], [-INF, 0.0, 1.0], [NAN, 0.0, 1.0]]
    g.case("far_apart", [Array(far), Array([0, 1, 0, 2, 1], "i32")], sparse_entropy)


@golden("cross_entropy")
def cross_entropy(g):
    g.case("rows", [g.real(4, 3), g.real(4, 3, low=0.1, high=1)], entropy, gradient=True)
    g.case("images", [g.real(2, 2, 3), g.real(2, 2, 3, low=-1, high=1)], entropy, gradient=True)
    g.case("vector", [g.real(4), g.real(4, low=0, high=1)], entropy, gradient=True)
    g.case("far_apart", [Array([[0.0, 800.0, 1.0], [2.0**30, 2.0**30 + 1, 2.0**30]]),
                         Array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]])], entropy)


@golden("layer_norm")
def layer_norm(g):
    def normalised(x, scale, shift):
        return F.layer_norm(x, x.shape[-1:], scale, shift, 1e-5)
    g.case("rows", [g.real(3, 4), None, None], normalised, scalars=[1e-5], gradient=True)
    g.case("scaled", [g.real(2, 5), g.real(5), None], normalised, scalars=[1e-5], gradient=True)
    g.case("shifted", [g.real(6), None, g.real(6)], normalised, scalars=[1e-5], gradient=True)
    g.case("both", [g.real(2, 2, 4), g.real(4), g.real(4)], normalised, scalars=[1e-5], gradient=True)
    g.case("flat", [Array([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0], [-8.0, 0.0, 8.0]]), None, None], normalised, scalars=[1e-5])


@golden("pick_label")
def pick_label(g):
    def pick(axis, classes):
        def apply(x, label):
            shape = [1] * x.dim()
            shape[axis] = -1
            here = torch.arange(classes).reshape(shape) == label
            inside = ((label >= 0) & (label < classes)).expand(x.shape)
            picked = torch.where(here, x, torch.zeros_like(x))
            return torch.where(inside, picked, torch.full_like(x, NAN))
        return apply
    g.case("rows", [g.real(3, 4), Array([[0], [3], [1]], "i64")], pick(1, 4), {"axis": 1, "classes": 4}, gradient=True)
    g.case("columns", [g.real(3, 2), Array([[2, 0]], "i32")], pick(0, 3), {"axis": 0, "classes": 3}, gradient=True)
    g.case("outside", [g.real(3, 2), Array([[-1], [2], [1]], "i32")], pick(1, 2), {"axis": 1, "classes": 2})
