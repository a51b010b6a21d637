"""Lockstep vectors of functions, of softmax, and of the losses built on it."""
import zlib

import numpy

import lockstep_sums as sums
import scalar_text
from lockstep_book import KINDS, drawn


def spread(case, dtype, count, lowest, highest):
    """Values of all magnitudes between two powers of two, of both signs."""
    exponents = drawn(zlib.crc32(f"{case}/exponents".encode()), (count,), "i64", below=highest - lowest)
    fractions = drawn(zlib.crc32(f"{case}/fractions".encode()), (count,), dtype)
    return numpy.ldexp(fractions, exponents + lowest).astype(KINDS[dtype])


def write_functions(book):
    special = [0.0, -0.0, 1.0, -1.0, numpy.inf, -numpy.inf, numpy.nan, 0.5, 88.5, -87.5, -103.5, 709.5, -745.0]
    for dtype in ("f32", "f64"):
        kind = KINDS[dtype]
        tiny = [numpy.finfo(kind).smallest_subnormal, -numpy.finfo(kind).tiny, numpy.finfo(kind).max]
        for name in ("exp", "log", "tanh", "sigmoid", "silu", "gelu", "gelu_tanh", "erf", "rsqrt"):
            x = numpy.concatenate([numpy.array(special + tiny, kind), spread(f"{name}/{dtype}", dtype, 48, -20, 10)])
            if name in ("log", "rsqrt"):
                x = numpy.concatenate([x, abs(spread(f"{name}/{dtype}", dtype, 16, -120, 120))])
            book.add(name, f"{dtype}/spread", [book.exactly(x)], None, scalar_text.call(name, x))
        x = numpy.concatenate([numpy.array(special[:8], kind), abs(spread(f"pow/{dtype}", dtype, 32, -10, 10))])
        y = numpy.concatenate([numpy.array(special[:8][::-1], kind), spread(f"pow/{dtype}/y", dtype, 32, -4, 6)])
        book.add("pow", f"{dtype}/spread", [book.exactly(x), book.exactly(y)], None, scalar_text.call("pow", x, y))
        for name in ("minimum", "maximum"):
            x, y = (a.reshape(-1) for a in numpy.meshgrid(numpy.array(special[:7] + tiny, kind),
                                                          numpy.array(special[:7] + tiny, kind)))
            book.add(name, f"{dtype}/pairs", [book.exactly(x), book.exactly(y)], None, scalar_text.call(name, x, y))


def shifted(x, axis):
    """x - max along an axis, exponentials of that, and their sums."""
    largest = numpy.max(x, axis=axis, keepdims=True)
    below = x - numpy.broadcast_to(largest, x.shape)
    exponentials = scalar_text.call("exp", below)
    return below, exponentials, sums.sum_over(exponentials, [axis], True)


def softmax(x, axis):
    _, exponentials, total = shifted(x, axis)
    return exponentials / numpy.broadcast_to(total, x.shape)


def log_softmax(x, axis):
    below, _, total = shifted(x, axis)
    return below - numpy.broadcast_to(scalar_text.call("log", total), x.shape)


def sparse_cross_entropy(x, labels):
    log_p = log_softmax(x, 1)
    picked = numpy.zeros_like(x)
    for row, label in enumerate(labels):
        if 0 <= label < x.shape[1]:
            picked[row, label] = log_p[row, label]
        else:
            picked[row] = numpy.nan
    return -sums.sum_over(picked, [1])


def cross_entropy(x, targets):
    log_p = log_softmax(x, 1)
    # If log_p is -infinity and the target is 0, the product would be NaN; the term counts as 0.
    terms = numpy.where((targets == 0) & (log_p == -numpy.inf), targets.dtype.type(0), log_p * targets)
    return -sums.sum_over(terms, [1])


def write_softmax(book):
    for dtype in ("f32", "f64"):
        shapes = [((4, 10), 1), ((3, 1), 1), ((2, 33), 1), ((2, 1031), 1), ((1500, 3), 0), ((2, 40, 3), 1)]
        for shape, axis in shapes:
            name = f"{dtype}/{'x'.join(map(str, shape))}"
            # The drawn numbers times 8, so that exponentials differ by orders of magnitude.
            x = (book.input(f"softmax/{name}", 0, shape, dtype)[1] * 8).astype(KINDS[dtype])
            x = book.exactly(x) if x.size <= 200 else book.input(f"softmax/{name}", 0, shape, dtype)
            book.add("softmax", name, [x], {"axis": axis}, softmax(x[1], axis))
            book.add("log_softmax", name, [x], {"axis": axis}, log_softmax(x[1], axis))
        for rows, classes in ((5, 10), (3, 1), (2, 1100)):
            name = f"{dtype}/{rows}x{classes}"
            x = book.input(f"cross_entropy/{name}", 0, (rows, classes), dtype)
            labels = book.input(f"cross_entropy/{name}", 1, (rows,), "i64", below=classes)
            targets = book.input(f"cross_entropy/{name}", 2, (rows, classes), dtype)
            book.add("sparse_cross_entropy", name, [x, labels], None, sparse_cross_entropy(x[1], labels[1]))
            book.add("cross_entropy", name, [x, targets], None, cross_entropy(x[1], targets[1]))
        x = book.input(f"cross_entropy/{dtype}/outside", 0, (3, 4), dtype)
        labels = book.exactly(numpy.array([4, 0, -1], numpy.int64))
        book.add("sparse_cross_entropy", f"{dtype}/labels_outside", [x, labels], None,
                 sparse_cross_entropy(x[1], labels[1]))
        infinity = -numpy.inf
        x = book.exactly(numpy.array([[0, infinity, 1], [0, infinity, 1], [0, infinity, numpy.nan]], KINDS[dtype]))
        targets = book.exactly(numpy.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]], KINDS[dtype]))
        book.add("cross_entropy", f"{dtype}/cannot_be", [x, targets], None, cross_entropy(x[1], targets[1]))
