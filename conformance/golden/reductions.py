"""Cases of reductions and matrix products."""
import math

import numpy
import torch

from book import Array, golden, on_numpy

INF, NAN = math.inf, math.nan
I32, I64 = numpy.iinfo(numpy.int32), numpy.iinfo(numpy.int64)

# shape, axes, keep
SHAPES = {"all": ((3, 4), [0, 1], 0), "rows": ((2, 5), [1], 0), "columns": ((4, 3), [0], 1), "middle": ((2, 3, 2), [1], 0),
          "outer_and_inner": ((2, 3, 2), [0, 2], 1), "none": ((2, 3), [], 0), "one": ((1, 1), [0, 1], 0)}


def over(axes, keep, function):
    """`function` over the axes. torch would take an empty list for all axes, so x is then returned unchanged."""
    return lambda x: function(x, dim=axes, keepdim=bool(keep)) if axes else x * 1


def attributes(axes, keep=0):
    return {"axes": axes, "keep": keep}


@golden("sum", "mean")
def sums(g):
    function = {"sum": torch.sum, "mean": torch.mean}[g.op]
    for name, (shape, axes, keep) in SHAPES.items():
        g.case(name, [g.real(*shape)], over(axes, keep, function), attributes(axes, keep), gradient=True, summed=True)
    g.case("not_numbers", [Array([[1.0, NAN, 2.0], [INF, 1.0, 2.0], [INF, -INF, 0.0], [-INF, 3.0, -INF]])],
           over([1], 0, function), attributes([1]))
    # In f64, adding one term after the other would lose the small terms.
    rows = [[2.0**55, 1.0, 1.0, -(2.0**55)], [2.0**60, 1.0, -(2.0**60), 2.0], [1e-30, 1.0, -1.0, 1e-30]]
    exact = on_numpy(lambda x: numpy.array([math.fsum(row) / (1 if g.op == "sum" else len(row)) for row in x]))
    g.case("cancelling", [Array(rows[:2])], exact, attributes([1]))
    g.case("f32", [g.real(2, 9, dtype="f32")], over([1], 0, function), attributes([1]), summed=True)
    if g.op == "mean":
        return
    g.case("empty", [g.real(0, 3)], over([0], 0, function), attributes([0]), gradient=True)
    for dtype, limits in (("i32", I32), ("i64", I64)):
        whole = on_numpy(lambda x: numpy.sum(x, axis=1, dtype=x.dtype))
        g.case(dtype, [Array([[limits.max, 1, 5], [limits.min, -1, 0], [1, 2, -7]], dtype)], whole, attributes([1]))


@on_numpy
def largest_of_rows(x):
    """NaN propagates; -0 is below +0."""
    return numpy.array([largest(row) for row in x.tolist()])


def largest(row):
    if any(math.isnan(v) for v in row):
        return NAN
    most = max(row)
    return 0.0 if most == 0 and any(v == 0 and math.copysign(1, v) > 0 for v in row) else most


SPECIAL_ROWS = [[0.0, -0.0, -1.0], [-0.0, 0.0, -1.0], [-0.0, -0.0, -1.0], [-0.0, 0.0, 1.0], [NAN, 1.0, 2.0],
                [1.0, 2.0, NAN], [INF, NAN, 1.0], [-INF, -INF, -INF], [INF, -INF, 0.0], [5e-324, 0.0, -5e-324]]


@golden("max", "min")
def extremes(g):
    function = {"max": torch.amax, "min": torch.amin}[g.op]
    for name, (shape, axes, keep) in SHAPES.items():
        g.case(name, [g.distinct(*shape)], over(axes, keep, function), attributes(axes, keep), gradient=True)
    ties = Array([[1.0, 3.0, 3.0, -2.0], [3.0, -2.0, -2.0, -2.0], [5.0, 5.0, 5.0, 5.0]])
    g.case("ties", [ties], over([1], 0, function), attributes([1]), gradient=True)
    g.case("ties_of_all", [ties], over([0, 1], 1, function), attributes([0, 1], 1), gradient=True)
    special = largest_of_rows if g.op == "max" else lambda x: -largest_of_rows(-x)[0]
    g.case("special", [Array(SPECIAL_ROWS)], special, attributes([1]))
    for dtype, limits in (("i32", I32), ("i64", I64)):
        rows = [[limits.max, 0, limits.min], [limits.max - 1, limits.max, 7], [limits.min + 1, limits.min, limits.min]]
        g.case(dtype, [Array(rows, dtype)], over([1], 0, function), attributes([1]))


@golden("cumsum")
def cumsum(g):
    def summed(axis, reverse):
        return lambda x: torch.cumsum(x.flip(axis), axis).flip(axis) if reverse else torch.cumsum(x, axis)
    for name, shape, axis, reverse in (("vector", (5,), 0, 0), ("rows", (2, 4), 1, 0), ("columns_back", (4, 3), 0, 1),
                                       ("middle", (2, 3, 2), 1, 0), ("one", (3, 1), 1, 1)):
        g.case(name, [g.real(*shape)], summed(axis, reverse), {"axis": axis, "reverse": reverse}, gradient=True, summed=True)
    rows = Array([[1.0, INF, 2.0, -INF, 0.0], [NAN, 1.0, 2.0, 3.0, 4.0], [1.0, 2.0, -INF, 5.0, 6.0]])
    g.case("not_numbers", [rows], summed(1, 0), {"axis": 1, "reverse": 0})
    for dtype, limits in (("i32", I32), ("i64", I64)):
        whole = on_numpy(lambda x: numpy.cumsum(x, axis=1, dtype=x.dtype))
        g.case(dtype, [Array([[limits.max, 1, 5], [limits.min, -1, 0], [1, 2, -7]], dtype)], whole,
               {"axis": 1, "reverse": 0})


@golden("argmax")
def argmax(g):
    at = lambda axis: on_numpy(lambda x: numpy.argmax(x, axis=axis))  # NumPy returns the first; NaN counts as the largest
    for axis in range(3):
        g.case(f"ties_axis{axis}", [Array(g.random.integers(-2, 3, (3, 4, 3)) / 2)], at(axis), {"axis": axis})
    rows = [row for row in SPECIAL_ROWS if row[0] != 0] + [[1.0, NAN, NAN], [0.0, -0.0, -1.0], [-0.0, 0.0, -1.0]]
    g.case("special", [Array(rows)], at(1), {"axis": 1})
    for dtype, limits in (("i32", I32), ("i64", I64)):
        g.case(dtype, [Array([[limits.max - 1, limits.max, limits.max], [limits.min, limits.min, -1]], dtype)], at(1),
               {"axis": 1})


@golden("matmul")
def matmul(g):
    shapes = {"small": ((2, 3), (3, 4)), "row": ((1, 5), (5, 2)), "column": ((3, 1), (1, 3)),
              "batched": ((2, 2, 3), (2, 3, 2)), "two_batches": ((2, 1, 2, 2), (2, 1, 2, 2)), "no_inner": ((2, 0), (0, 3)),
              "empty": ((0, 3), (3, 2))}
    for name, (a, b) in shapes.items():
        full = math.prod(a) > 0
        g.case(name, [g.real(*a), g.real(*b)], torch.matmul, gradient=full, summed=full)
    g.case("f32", [g.real(5, 7, dtype="f32"), g.real(7, 4, dtype="f32")], torch.matmul, summed=True)
    # Written out, because a fast product may skip factors of zero.
    plain = on_numpy(lambda a, b: numpy.array([[sum(x * y for x, y in zip(row, column)) for column in b.T] for row in a]))
    g.case("not_numbers", [Array([[1.0, 2.0], [INF, 1.0], [0.0, NAN]]), Array([[3.0, 0.0], [1.0, -INF]])], plain)
    for dtype, limits in (("i32", I32), ("i64", I64)):
        a = Array([[limits.max, 3, -1], [5, -6, 7]], dtype)
        g.case(dtype, [a, Array([[2, -9], [limits.max, 4], [limits.min, 1]], dtype)], on_numpy(numpy.matmul))
