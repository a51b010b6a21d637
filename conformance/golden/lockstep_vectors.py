#!/usr/bin/env python3
"""Writes lockstep_vectors.json into its own folder: calls with the bits that every device must give in lockstep mode. The
sums are those of lockstep_sums.py, which was written from docs/lockstep_mode.md and shares no code with any driver.
scalar_text.py runs functions such as exp from their text.

    pip install numpy
    python lockstep_vectors.py             writes lockstep_vectors.json
    python lockstep_vectors.py --check     checks that the file is what this script writes

Inputs are drawn from a seed by the rule of `drawn` in lockstep_book.py, or given as bits if single bits matter. Long sums
are also computed in the orders that an implementation might use by mistake; each must give other bits in some element.
"""
import json
import pathlib
import sys
import tempfile

import numpy

import lockstep_composed
import lockstep_sums as sums
from lockstep_book import Book, SHORT, bits_of, from_hex
from lockstep_sums import Window

LENGTHS = [0, 1, 10, 31, 32, 33, 1023, 1024, 1025, 2049, 4099, 10007]


def same(a, b):
    return (bits_of(a) == bits_of(b)).all()


def blocked(chunk):
    """A sum in chunks of another size. Terms are added one after the other, and so are the sums of the chunks."""
    def add(elements, kind):
        parts = [sums.running_sum(elements[i:i + chunk], kind) for i in range(0, len(elements), chunk)]
        return sums.running_sum(parts, kind)
    return add


def wide(elements, kind):
    with numpy.errstate(all="ignore"):
        return kind(sums.running_sum([numpy.longdouble(e) for e in elements], numpy.longdouble))


def numpys_own(elements, kind):
    return numpy.sum(numpy.array(elements, kind), dtype=kind)


# ---------------------------------------------------------------------------------------------------------------- sums

def check_other_orders_differ(x, axes, right):
    wrong = {"one after the other": sums.running_sum, "NumPy's own": numpys_own, "wider": wide,
             "chunks of 1024": blocked(1024), "chunks of 256": blocked(256),
             "as for matmul": lambda elements, kind: sums.chain_sum(enumerate(elements), len(elements), kind)}
    for name, add in wrong.items():
        assert not same(sums.reduce_with(add, x, axes, False), right), name


def add_sum(book, name, shape, axes, dtype="f32", keep=0, op="sum"):
    full = f"{dtype}/{name}"
    entry = book.input(f"{op}/{full}", 0, shape, dtype)
    compute = sums.sum_over if op == "sum" else sums.mean_over
    result = compute(entry[1], axes, keep)
    count = int(numpy.prod([shape[d] for d in axes]))
    if op == "sum" and count > 2000 and dtype == "f32" and result.size > 1:
        check_other_orders_differ(entry[1], axes, result.reshape([shape[d] for d in range(len(shape)) if d not in axes]))
    book.add(op, full, [entry], {"axes": axes, "keep": keep}, result)


def write_sums(book):
    for n in LENGTHS:
        add_sum(book, f"last/{n}", (9, n) if n > 2000 else (2, n), [1])
        add_sum(book, f"first/{n}", (n, 9) if n > 2000 else (n, 3), [0])
        add_sum(book, f"middle/{n}", (2, n, 5) if n > 2000 else (2, n, 2), [1], keep=1)
    for n in (0, 1, 33, 1025, 2049, 4099):
        add_sum(book, f"last/{n}", (2, n), [1], "f64")
        add_sum(book, f"first/{n}", (n, 2), [0], "f64")
    for dtype in ("f32", "f64"):
        add_sum(book, "all/33x65", (33, 65), [0, 1], dtype)
        add_sum(book, "outer/33x3x65", (33, 3, 65), [0, 2], dtype)
        add_sum(book, "leading/5x7x64x4", (5, 7, 64, 4), [0, 1, 2], dtype)
        add_sum(book, "trailing/4x45x51", (4, 45, 51), [1, 2], dtype)
        add_sum(book, "every_other/2x40x3x30", (2, 40, 3, 30), [1, 3], dtype, keep=1)
        add_sum(book, "none", (2, 3), [], dtype)
    for dtype in ("i32", "i64"):
        add_sum(book, "last/1025", (2, 1025), [1], dtype)
    for n in (1, 33, 1000, 1025, 10007):
        add_sum(book, f"last/{n}", (3, n), [1], op="mean")
        add_sum(book, f"first/{n}", (n, 3), [0], op="mean")
    add_sum(book, "images", (2, 9, 11, 3), [1, 2], op="mean")
    add_sum(book, "last/1025", (3, 1025), [1], "f64", op="mean")
    write_special_sums(book)


def write_special_sums(book):
    def case(name, text, shape, axes=(1,), dtype="f32"):
        x = from_hex(dtype, shape, text)
        with numpy.errstate(all="ignore"):
            book.add("sum", name, [book.exactly(x)], {"axes": list(axes), "keep": 0}, sums.sum_over(x, list(axes)))

    case("f32/negative_zero", "80000000", (1, 1))
    case("f32/negative_zeros", "80000000 80000000 80000000", (1, 3))
    case("f32/negative_zero_by_itself", "80000000 3f800000", (2,), ())
    case("f64/negative_zero", "8000000000000000", (1, 1), dtype="f64")
    case("f32/denormals", "00000001 00000003 807fffff 007fffff 00000001 80800000", (2, 3))
    case("f32/infinities", "7f800000 3f800000 7f800000 ff800000", (2, 2))
    case("f32/nan", "ffc12345 3f800000 7f800001 3f800000", (2, 2))
    # The largest number in positions 0 and 1, its negative in 32 and 33: lanes cancel before anything overflows.
    largest = ["7f7fffff"] * 2 + ["00000000"] * 30 + ["ff7fffff"] * 2
    case("f32/no_overflow_in_lanes", " ".join(largest), (1, 34))
    # Here lanes overflow although the sum as a whole would not.
    opposite = ["7f7fffff"] + ["00000000"] * 31 + ["7f7fffff"] + ["ff7fffff"] + ["00000000"] * 31 + ["ff7fffff"]
    case("f32/overflow_in_lanes", " ".join(opposite), (1, 66))


# ------------------------------------------------------------------------------------------------ matmul and convolution

def check_products(a, b, right):
    """No fused multiply-add, wider sum or other chunk size gives the right bits."""
    kind = a.dtype.type
    inner = a.shape[-1]

    def with_order(add):
        out = numpy.zeros((a.shape[0], b.shape[1]), a.dtype)
        for i, j in numpy.ndindex(*out.shape):
            out[i, j] = add(a[i], b[:, j])
        return out

    def fused(x, y):
        total = kind(0)
        for p, q in zip(x, y):
            total = kind(numpy.longdouble(p) * numpy.longdouble(q) + numpy.longdouble(total))
        return total

    products = lambda x, y: [p * q for p, q in zip(x, y)]  # noqa: E731
    wrong = {"fused": fused, "lanes": lambda x, y: sums.lane_sum(products(x, y), kind),
             "wide": lambda x, y: wide(products(x, y), kind), "NumPy's own": lambda x, y: numpy.dot(x, y)}
    if inner >= 300:  # with a last chunk of one term, sums in chunks and running sums are the same
        wrong["one after the other"] = lambda x, y: sums.running_sum(products(x, y), kind)
        wrong["chunks of 128"] = lambda x, y: blocked(128)(products(x, y), kind)
    if inner > 3 * 256:
        wrong["chunks joined one after the other"] = lambda x, y: blocked(256)(products(x, y), kind)
    for name, add in wrong.items():
        assert not same(with_order(add), right), name


def write_matmul(book):
    def case(name, a_shape, b_shape, dtype="f32"):
        full = f"{dtype}/{name}"
        a, b = (book.input(f"matmul/{full}", i, shape, dtype) for i, shape in enumerate((a_shape, b_shape)))
        result = sums.matmul(a[1], b[1])
        if dtype == "f32" and a_shape[-1] > 200 and len(a_shape) == 2:
            check_products(a[1], b[1], result)
        book.add("matmul", full, [a, b], None, result)

    for k in (0, 1, 3, 255, 256, 257, 513, 1000):
        case(f"k{k}", (3, k), (k, 5))
    for k in (1, 256, 257, 1000):
        case(f"k{k}", (3, k), (k, 2), "f64")
    case("k2500", (2, 2500), (2500, 3))
    case("batched", (2, 3, 300), (2, 300, 4))
    case("row", (1, 600), (600, 37))
    case("column", (41, 600), (600, 1))
    case("outer", (9, 1), (1, 7))
    case("tiles", (33, 70), (70, 50))
    case("k300", (2, 300), (300, 2), "i32")
    case("k300", (2, 300), (300, 2), "i64")

    def exactly(name, a_text, b_text, k):
        a, b = from_hex("f32", (1, k), a_text), from_hex("f32", (k, 1), b_text)
        with numpy.errstate(all="ignore"):
            book.add("matmul", name, [book.exactly(a), book.exactly(b)], None, sums.matmul(a, b))

    exactly("f32/negative_zero", "80000000", "3f800000", 1)
    exactly("f32/infinity_times_zero", "7f800000 3f800000", "00000000 3f800000", 2)
    exactly("f32/denormal_products", "1f800001 00400000 80000001", "1fc00001 3f000000 3f000000", 3)
    # (1 + 2^-12)^2 - (1 + 2^-11): the product loses its last bit when it is rounded before the addition; a fused
    # multiply-add keeps it.
    exactly("f32/rounded_products", "bf801000 3f800800", "3f800000 3f800800", 2)


CONVOLUTIONS = {
    # name: image NHWC, filter OHWI, window
    "plain": ((2, 6, 7, 5), (3, 3, 3, 5), Window()),
    "pointwise": ((1, 4, 4, 600), (3, 1, 1, 600), Window()),
    "over_256": ((1, 5, 5, 32), (4, 3, 3, 32), Window(padding=(1, 1, 1, 1))),
    "over_512": ((1, 4, 5, 64), (3, 3, 3, 64), Window(padding=(1, 0, 0, 1))),
    "many_filters": ((1, 4, 4, 3), (80, 3, 3, 3), Window(padding=(1, 1, 1, 1))),
    "many_pixels": ((2, 18, 17, 2), (3, 3, 3, 2), Window(padding=(1, 1, 1, 1))),
    "strided": ((2, 9, 8, 4), (5, 3, 2, 4), Window((2, 3), (1, 0, 2, 1))),
    "dilated": ((1, 10, 9, 3), (2, 3, 3, 3), Window((1, 2), (2, 2, 0, 1), (2, 3))),
    "groups": ((2, 6, 6, 6), (4, 3, 3, 3), Window(padding=(1, 1, 1, 1), groups=2)),
    "groups_over_256": ((1, 5, 4, 64), (4, 3, 3, 32), Window(padding=(1, 1, 1, 1), groups=2)),
    "depthwise": ((2, 7, 6, 8), (8, 3, 3, 1), Window((2, 1), (1, 1, 1, 1), groups=8)),
    "depthwise_large": ((1, 20, 20, 3), (3, 17, 17, 1), Window(padding=(8, 8, 8, 8), groups=3)),
    "multiplier": ((1, 6, 5, 3), (6, 3, 3, 1), Window(padding=(1, 1, 1, 1), groups=3)),
    "untouched_pixels": ((1, 7, 7, 2), (2, 2, 2, 2), Window((4, 4))),
}


def window_attrs(window):
    return {"strides": list(window.strides), "padding": list(window.padding), "dilation": list(window.dilation),
            "groups": window.groups}


def write_convolutions(book):
    for dtype in ("f32", "f64"):
        for name, (image, filters, window) in CONVOLUTIONS.items():
            if dtype == "f64" and name not in ("plain", "over_256", "many_pixels", "strided", "groups", "depthwise"):
                continue
            full = f"{dtype}/{name}"
            x, w, bias = (book.input(f"conv2d/{full}", i, shape, dtype)
                          for i, shape in enumerate((image, filters, filters[:1])))
            attrs = window_attrs(window)
            y = sums.conv2d(x[1], w[1], window)
            book.add("conv2d", full, [x, w, None], attrs, y)
            if name in ("plain", "over_256", "depthwise"):
                book.add("conv2d", full + "/bias", [x, w, bias], attrs, sums.conv2d(x[1], w[1], window, bias[1]))
            dy = book.input(f"conv2d_backward/{full}", 0, y.shape, dtype)
            book.add("conv2d_backward_input", full, [dy, w], attrs | {"shape": list(image)},
                     sums.conv2d_backward_input(dy[1], w[1], window, image))
            book.add("conv2d_backward_filter", full, [x, dy], attrs | {"shape": list(filters)},
                     sums.conv2d_backward_filter(x[1], dy[1], window, filters))
    write_padding(book)


def write_padding(book):
    """Taps in the padding contribute nothing. If they contributed 0 times an infinite weight, the result would be NaN."""
    window = Window(padding=(1, 1, 1, 1))
    one, infinity = numpy.float32(1), numpy.float32(numpy.inf)
    x = book.exactly(numpy.full((1, 2, 2, 1), one))
    w = numpy.full((1, 3, 3, 1), one)
    w[0, 0, 0, 0] = w[0, 2, 1, 0] = infinity
    w = book.exactly(w)
    attrs = window_attrs(window)
    book.add("conv2d", "f32/infinite_weights", [x, w, None], attrs, sums.conv2d(x[1], w[1], window))
    book.add("conv2d_backward_input", "f32/infinite_weights", [x, w], attrs | {"shape": [1, 2, 2, 1]},
             sums.conv2d_backward_input(x[1], w[1], window, (1, 2, 2, 1)))
    dy = numpy.full((1, 2, 2, 1), one)
    dy[0, 0, 0, 0] = infinity
    dy = book.exactly(dy)
    book.add("conv2d_backward_filter", "f32/infinite_gradient", [x, dy], attrs | {"shape": [1, 3, 3, 1]},
             sums.conv2d_backward_filter(x[1], dy[1], window, (1, 3, 3, 1)))


# --------------------------------------------------------------------------------------------------- pooling and scatter

POOLS = {
    # name: image, window, strides, padding
    "plain": ((2, 6, 8, 3), (2, 2), (2, 2), (0, 0, 0, 0)),
    "overlapping": ((1, 9, 8, 5), (3, 3), (1, 1), (0, 0, 0, 0)),
    "padded": ((2, 7, 6, 4), (3, 3), (2, 2), (1, 1, 1, 1)),
    "uneven": ((1, 8, 11, 2), (5, 4), (1, 3), (2, 1, 0, 2)),
    "gaps": ((1, 7, 8, 3), (2, 2), (3, 3), (0, 0, 0, 0)),
    "whole": ((1, 13, 11, 2), (13, 11), (1, 1), (0, 0, 0, 0)),
}


def write_pooling(book):
    for dtype in ("f32", "f64"):
        for name, (image, size, strides, padding) in POOLS.items():
            full = f"{dtype}/{name}"
            attrs = {"window": list(size), "strides": list(strides), "padding": list(padding)}
            shaped = attrs | {"shape": list(image)}
            x = book.input(f"pool/{full}", 0, image, dtype)
            dy = book.input(f"pool/{full}", 1, sums.pooled_shape(image, size, strides, padding), dtype)
            book.add("avg_pool2d", full, [x], attrs, sums.avg_pool2d(x[1], size, strides, padding))
            book.add("avg_pool2d_backward", full, [dy], shaped,
                     sums.avg_pool2d_backward(dy[1], size, strides, padding, image))
            y, tap = sums.max_pool2d(x[1], size, strides, padding)
            book.add("max_pool2d", full, [x], attrs, (y, tap))
            book.add("max_pool2d_backward", full, [dy, book.exactly(tap)], shaped,
                     sums.max_pool2d_backward(dy[1], tap, size, strides, padding, image))
    # Ties, zeros of both signs and NaN within windows of four.
    x = from_hex("f32", (1, 2, 10, 1), "80000000 00000000 3f800000 3f800000 bf800000 7fc00000 ff800000 ff800000 40000000 "
                                       "40400000 00000000 80000000 3f800000 3f800000 ffc00001 40000000 ff800000 ff800000 "
                                       "7f800000 7f800000")
    book.add("max_pool2d", "f32/ties", [book.exactly(x)], {"window": [2, 2], "strides": [2, 2], "padding": [0, 0, 0, 0]},
             sums.max_pool2d(x, (2, 2), (2, 2), (0, 0, 0, 0)))


def write_scatter(book):
    def case(name, shape, axis, extent, dtype="f32", index="i64"):
        full = f"{dtype}/{name}"
        updates = book.input(f"scatter_add/{full}", 0, shape, dtype)
        indices = book.input(f"scatter_add/{full}", 1, shape[axis:axis + 1], index, below=extent)
        result = sums.scatter_add(updates[1], indices[1], axis, extent)
        if dtype == "f32" and shape[axis] > 1000:
            backwards = sums.scatter_add(numpy.flip(updates[1], axis), numpy.flip(indices[1]), axis, extent)
            assert not same(backwards, result), name
        book.add("scatter_add", full, [updates, indices], {"axis": axis, "extent": extent}, result)

    for dtype in ("f32", "f64", "i32", "i64"):
        case("rows", (200, 3), 0, 7, dtype)
    case("one", (3000, 2), 0, 1)
    case("columns", (2, 2000), 1, 5, index="i32")
    case("middle", (3, 130, 4), 1, 9)
    case("sparse", (5, 2), 0, 11)
    x = from_hex("f32", (2, 1), "80000000 80000000")
    indices = numpy.zeros(2, numpy.int64)
    book.add("scatter_add", "f32/negative_zeros", [book.exactly(x), book.exactly(indices)], {"axis": 0, "extent": 2},
             sums.scatter_add(x, indices, 0, 2))


# -------------------------------------------------------------------------------------------------------- f16 and bf16

def write_half_widths(book):
    """Everything is computed in f32 and rounded once."""
    for short in SHORT:
        def inputs(case, *shapes, dtype=short):
            return [book.input(f"{case}/{dtype}", i, shape, dtype) for i, shape in enumerate(shapes)]

        def add(op, name, given, attrs, results, dtype=short):
            book.add(op, f"{dtype}/{name}", given, attrs, results, short=dtype)

        for n in (33, 2049):
            x, = inputs(f"sum/{n}", (7, n))
            add("sum", f"last/{n}", [x], {"axes": [1], "keep": 0}, sums.sum_over(x[1], [1]))
            add("mean", f"last/{n}", [x], {"axes": [1], "keep": 0}, sums.mean_over(x[1], [1]))
            x, = inputs(f"sum/first/{n}", (n, 5))
            add("sum", f"first/{n}", [x], {"axes": [0], "keep": 0}, sums.sum_over(x[1], [0]))
        for k in (1, 300, 1000):
            a, b = inputs(f"matmul/{k}", (3, k), (k, 5))
            add("matmul", f"k{k}", [a, b], None, sums.matmul(a[1], b[1]))
        for name in ("over_256", "strided", "depthwise"):
            image, filters, window = CONVOLUTIONS[name]
            attrs = window_attrs(window)
            x, w, bias = inputs(f"conv2d/{name}", image, filters, filters[:1])
            y = sums.conv2d(x[1], w[1], window)
            add("conv2d", name, [x, w, None], attrs, y)
            add("conv2d", name + "/bias", [x, w, bias], attrs, sums.conv2d(x[1], w[1], window, bias[1]))
            dy, = inputs(f"conv2d_backward/{name}", y.shape)
            add("conv2d_backward_input", name, [dy, w], attrs | {"shape": list(image)},
                sums.conv2d_backward_input(dy[1], w[1], window, image))
            add("conv2d_backward_filter", name, [x, dy], attrs | {"shape": list(filters)},
                sums.conv2d_backward_filter(x[1], dy[1], window, filters))
        image, size, strides, padding = POOLS["overlapping"]
        attrs = {"window": list(size), "strides": list(strides), "padding": list(padding)}
        shaped = attrs | {"shape": list(image)}
        x, = inputs("pool", image)
        dy, = inputs("pool_backward", sums.pooled_shape(image, size, strides, padding))
        add("avg_pool2d", "overlapping", [x], attrs, sums.avg_pool2d(x[1], size, strides, padding))
        add("avg_pool2d_backward", "overlapping", [dy], shaped,
            sums.avg_pool2d_backward(dy[1], size, strides, padding, image))
        y, tap = sums.max_pool2d(x[1], size, strides, padding)
        add("max_pool2d", "overlapping", [x], attrs, (y, tap))
        add("max_pool2d_backward", "overlapping", [dy, book.exactly(tap)], shaped,
            sums.max_pool2d_backward(dy[1], tap, size, strides, padding, image))
        updates, = inputs("scatter_add", (500, 3))
        indices = book.input(f"scatter_add/{short}/indices", 1, (500,), "i64", below=4)
        add("scatter_add", "rows", [updates, indices], {"axis": 0, "extent": 4},
            sums.scatter_add(updates[1], indices[1], 0, 4))


def write_page(book):
    """The small vectors that docs/lockstep_mode.md prints. Inputs 0 and 1 have the seeds 1 and 2."""
    def inputs(dtype, *shapes):
        return [book.input("", 0, shape, dtype, seed=i + 1) for i, shape in enumerate(shapes)]

    for dtype in ("f32", "f64"):
        for n in (1, 2, 33, 34, 1024, 1025, 2049, 3100, 10007):
            x, = inputs(dtype, (n,))
            book.add("sum", f"{dtype}/page/{n}", [x], {"axes": [0], "keep": 0}, sums.sum_over(x[1], [0]))
        for k in (1, 2, 256, 258, 300, 1000, 2500):
            a, b = inputs(dtype, (1, k), (k, 1))
            book.add("matmul", f"{dtype}/page/{k}", [a, b], None, sums.matmul(a[1], b[1]))
    image, filters, pooled = (1, 3, 3, 2), (2, 2, 2, 2), (1, 2, 2, 2)
    window = Window(padding=(1, 0, 0, 1))
    attrs = window_attrs(window)
    x, w = inputs("f32", image, filters)
    y_shape = window.output_shape(image, filters)
    book.add("conv2d", "f32/page", [x, w, None], attrs, sums.conv2d(x[1], w[1], window))
    dy, w = inputs("f32", y_shape, filters)
    book.add("conv2d_backward_input", "f32/page", [dy, w], attrs | {"shape": list(image)},
             sums.conv2d_backward_input(dy[1], w[1], window, image))
    x, dy = inputs("f32", image, y_shape)
    book.add("conv2d_backward_filter", "f32/page", [x, dy], attrs | {"shape": list(filters)},
             sums.conv2d_backward_filter(x[1], dy[1], window, filters))
    attrs = {"window": [2, 2], "strides": [1, 1], "padding": [0, 0, 0, 0]}
    x, = inputs("f32", image)
    book.add("avg_pool2d", "f32/page", [x], attrs, sums.avg_pool2d(x[1], (2, 2), (1, 1), (0, 0, 0, 0)))
    dy, = inputs("f32", pooled)
    book.add("avg_pool2d_backward", "f32/page", [dy], attrs | {"shape": list(image)},
             sums.avg_pool2d_backward(dy[1], (2, 2), (1, 1), (0, 0, 0, 0), image))
    updates = book.input("", 0, (1000, 1), seed=1)
    indices = book.input("", 0, (1000,), "i64", below=3, seed=2)
    book.add("scatter_add", "f32/page", [updates, indices], {"axis": 0, "extent": 3},
             sums.scatter_add(updates[1], indices[1], 0, 3))


def write(path):
    book = Book()
    write_page(book)
    with numpy.errstate(over="ignore"):
        write_sums(book)
        write_matmul(book)
        write_convolutions(book)
        write_pooling(book)
        write_scatter(book)
        lockstep_composed.write_functions(book)
        lockstep_composed.write_softmax(book)
        write_half_widths(book)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in book.cases)
    path.write_text('{"cases":[\n' + lines + "\n]}\n")
    print(f"{len(book.cases)} cases, {path.stat().st_size} bytes")


def main():
    target = pathlib.Path(__file__).resolve().parent / "lockstep_vectors.json"
    if sys.argv[1:] != ["--check"]:
        write(target)
        return
    with tempfile.TemporaryDirectory() as folder:
        fresh = pathlib.Path(folder) / "lockstep_vectors.json"
        write(fresh)
        if fresh.read_text() != target.read_text():
            sys.exit("lockstep_vectors.json differs from what this script writes")


if __name__ == "__main__":
    main()
