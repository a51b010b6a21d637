"""Cases of ops that move, join, select and create elements."""
import math

import mpmath
import numpy
import torch

from book import Array, DTYPES, golden, on_numpy
from rounding import round_once

I32, I64 = numpy.iinfo(numpy.int32), numpy.iinfo(numpy.int64)
NAN = math.nan


def of_every_dtype(g, function, attrs, *shape):
    """The same call on dtypes of which no gradient is taken."""
    for dtype in ("f32", "f16", "bf16"):
        g.case(dtype, [g.real(*shape, low=-0.5, high=0.5, dtype=dtype)], function, attrs)
    for dtype in ("i8", "u8", "i32", "i64", "bool"):
        g.case(dtype, [g.integers(*shape, low=0, high=2 if dtype == "bool" else 100, dtype=dtype)], function, attrs)


@golden("reshape")
def reshape(g):
    for name, shape, to in (("split", (6,), [2, 3]), ("merge", (2, 2, 2), [8]), ("mixed", (6, 2), [4, 3]),
                            ("ones", (3, 1), [1, 3, 1]), ("scalar", (), [1]), ("to_scalar", (1, 1), []), ("empty", (0, 3), [3, 0])):
        g.case(name, [g.real(*shape)], lambda x: x.reshape(to), {"shape": to}, gradient=True)
    of_every_dtype(g, lambda x: x.reshape(3, 2), {"shape": [3, 2]}, 2, 3)


@golden("transpose")
def transpose(g):
    for name, shape, order in (("matrix", (2, 3), [1, 0]), ("rank3", (2, 3, 2), [2, 0, 1]), ("same", (2, 3), [0, 1]),
                               ("nhwc", (1, 2, 3, 2), [0, 3, 1, 2]), ("empty", (0, 3), [1, 0]), ("vector", (4,), [0])):
        g.case(name, [g.real(*shape)], lambda x: x.permute(order), {"order": order}, gradient=True)
    of_every_dtype(g, lambda x: x.permute(1, 0), {"order": [1, 0]}, 2, 3)


# shape, starts, counts, steps
SLICES = {"middle": ((6,), [2], [3], [1]), "step": ((8,), [1], [3], [3]), "reverse": ((4,), [3], [4], [-1]),
          "matrix": ((4, 5), [1, 4], [3, 2], [1, -2]), "empty": ((3,), [0], [0], [1]), "one": ((3, 2), [2, 0], [1, 2], [5, 1])}


def positions(starts, counts, steps):
    """One index tensor per dimension, which broadcast against each other."""
    rank = len(starts)
    return tuple((start + step * torch.arange(count)).reshape([-1 if d == i else 1 for d in range(rank)])
                 for i, (start, count, step) in enumerate(zip(starts, counts, steps)))


def slice_attributes(starts, counts, steps):
    return {"starts": starts, "counts": counts, "steps": steps}


@golden("slice")
def slices(g):
    for name, (shape, *where) in SLICES.items():
        g.case(name, [g.real(*shape)], lambda x: x[positions(*where)], slice_attributes(*where), gradient=True)
    where = [2, 0], [2, 2], [-2, 1]
    of_every_dtype(g, lambda x: x[positions(*where)], slice_attributes(*where), 3, 2)


@golden("slice_backward")
def slice_backward(g):
    for name, (shape, *where) in SLICES.items():
        function = lambda dy: torch.zeros(shape, dtype=dy.dtype).index_put(positions(*where), dy)
        g.case(name, [g.real(*where[1])], function, {**slice_attributes(*where), "shape": list(shape)}, gradient=True)
    function = lambda dy: torch.zeros(5, dtype=dy.dtype).index_put(positions([4], [2], [-3]), dy)
    of_every_dtype(g, function, {**slice_attributes([4], [2], [-3]), "shape": [5]}, 2)


@golden("broadcast_to")
def broadcast_to(g):
    for name, shape, to in (("rows", (3,), [2, 3]), ("columns", (2, 1), [2, 3]), ("scalar", (), [2, 2]),
                            ("same", (2, 2), [2, 2]), ("middle", (2, 1, 2), [2, 3, 2]), ("none", (1, 2), [0, 2])):
        g.case(name, [g.real(*shape)], lambda x: x.expand(to), {"shape": to}, gradient=True)
    of_every_dtype(g, lambda x: x.expand(2, 3), {"shape": [2, 3]}, 3)


@golden("concat")
def concat(g):
    join = lambda axis: lambda *parts: torch.cat(parts, axis)
    g.case("rows", [g.real(1, 3), g.real(2, 3)], join(0), {"axis": 0}, gradient=True)
    g.case("columns", [g.real(2, 1), g.real(2, 0), g.real(2, 2)], join(1), {"axis": 1}, gradient=True)
    g.case("middle", [g.real(2, 1, 2), g.real(2, 2, 2)], join(1), {"axis": 1}, gradient=True)
    g.case("single", [g.real(3)], join(0), {"axis": 0}, gradient=True)
    for dtype in DTYPES:
        high = 2 if dtype == "bool" else 50
        g.case(dtype, [g.integers(2, 2, low=0, high=high, dtype=dtype), g.integers(1, 2, low=0, high=high, dtype=dtype)],
               join(0), {"axis": 0})


# shape, axis, parts, sizes
SPLITS = {"halves": ((4, 3), 0, 2, []), "columns": ((2, 6), 1, 3, []), "whole": ((3,), 0, 1, []),
          "sizes": ((6, 2), 0, 0, [1, 3, 2]), "middle": ((2, 4, 2), 1, 0, [3, 1]), "empty_part": ((4,), 0, 0, [2, 0, 2])}


@golden("split")
def split(g):
    cut = lambda axis, parts, sizes: lambda x: torch.split(x, sizes or x.shape[axis] // parts, axis)
    for name, (shape, axis, parts, sizes) in SPLITS.items():
        g.case(name, [g.real(*shape)], cut(axis, parts, sizes), {"axis": axis, "parts": parts, "sizes": sizes}, gradient=True)
    of_every_dtype(g, cut(0, 0, [1, 2]), {"axis": 0, "parts": 0, "sizes": [1, 2]}, 3, 2)


@golden("pad")
def pad(g):
    def around(before, after, value):
        amounts = [n for pair in reversed(list(zip(before, after))) for n in pair]
        return lambda x: torch.nn.functional.pad(x, amounts, value=value)
    for name, shape, before, after, value in (("matrix", (2, 3), [1, 0], [2, 1], 0.5), ("vector", (3,), [2], [0], -1.25),
                                              ("image", (1, 2, 2, 2), [0, 1, 1, 0], [0, 1, 0, 0], 0.0),
                                              ("none", (2, 2), [0, 0], [0, 0], 3.0), ("empty", (0, 2), [1, 0], [1, 0], 1.5)):
        g.case(name, [g.real(*shape)], around(before, after, value), {"before": before, "after": after}, [value],
               gradient=True)
    g.case("negative_zero", [g.real(2)], around([1], [1], -0.0), {"before": [1], "after": [1]}, [-0.0])
    g.case("infinite", [g.real(2)], around([1], [0], -math.inf), {"before": [1], "after": [0]}, ["-inf"])
    # The value is rounded to the tensor's dtype.
    tenth = float(numpy.float32(0.1))
    g.case("f32_tenth", [g.real(2, dtype="f32")], around([1], [1], tenth), {"before": [1], "after": [1]}, [0.1])
    for dtype in ("i8", "u8", "i32", "i64"):
        g.case(dtype, [g.integers(2, 2, low=0, dtype=dtype)], around([1, 0], [0, 2], 7), {"before": [1, 0], "after": [0, 2]}, [7])
    large = 2**53 + 1  # which torch's pad would convert to a float
    g.case("i64_large", [g.integers(2)], on_numpy(lambda x: numpy.pad(x, 1, constant_values=large)),
           {"before": [1], "after": [1]}, [large])


@golden("gather")
def gather(g):
    def take(axis):
        def apply(x, indices):
            taken = torch.index_select(x, axis, indices.reshape(-1).to(torch.int64))
            return taken.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1:])
        return apply
    for name, shape, indices, axis in (("rows", (4, 3), [3, 0, 3, 1], 0), ("columns", (2, 4), [1, 1, 3], 1),
                                       ("table", (3, 2), [[0, 2, 2], [1, 2, 0]], 0), ("middle", (2, 3, 2), [2, 0], 1),
                                       ("one", (3, 2), 2, 0), ("none", (3, 2), numpy.zeros(0), 0)):
        for index in ("i32", "i64"):
            g.case(f"{name}_{index}", [g.real(*shape), Array(indices, index)], take(axis), {"axis": axis},
                   gradient=index == "i64")
    index = Array([2, 0, 1, 2], "i64")
    for dtype in DTYPES:
        g.case(dtype, [g.integers(3, 2, low=0, high=2, dtype=dtype), index], take(0), {"axis": 0})


@golden("scatter_add")
def scatter_add(g):
    def put(axis, extent):
        def apply(updates, indices):
            shape = list(updates.shape)
            shape[axis] = extent
            return torch.zeros(shape, dtype=updates.dtype).index_add(axis, indices.to(torch.int64), updates)
        return apply
    for name, shape, indices, axis, extent in (("rows", (4, 2), [3, 0, 3, 1], 0, 5), ("columns", (2, 4), [1, 1, 0, 1], 1, 2),
                                               ("middle", (2, 3, 2), [2, 0, 2], 1, 3), ("vector", (6,), [0, 0, 0, 2, 0, 2], 0, 3),
                                               ("none", (0, 2), numpy.zeros(0), 0, 3)):
        attrs = {"axis": axis, "extent": extent}
        for index in ("i32", "i64"):
            g.case(f"{name}_{index}", [g.real(*shape), Array(indices, index)], put(axis, extent), attrs,
                   gradient=index == "i64", summed=True)
    for dtype, limits in (("i32", I32), ("i64", I64)):  # sums wrap around
        g.case(dtype, [Array([limits.max, 5, 3, limits.min, -9], dtype), Array([1, 0, 1, 2, 2], "i64")], put(0, 3),
               {"axis": 0, "extent": 3})


@golden("one_hot")
def one_hot(g):
    labels = [[0, 2], [-1, 3], [1, 2**31 - 1]]
    for dtype in DTYPES[:2] + DTYPES[6:]:
        for label in ("i32", "i64"):
            kind = torch.float64 if dtype in ("f32", "f64") else {"i32": torch.int32, "i64": torch.int64}.get(dtype, torch.bool)
            function = lambda x: (x.to(torch.int64)[..., None] == torch.arange(3)).to(kind)
            g.case(f"{dtype}_{label}", [Array(labels, label)], function, {"depth": 3, "dtype": DTYPES.index(dtype)},
                   outputs=[dtype])
    g.case("scalar", [Array(1, "i64")], lambda x: torch.tensor([0.0, 1.0], dtype=torch.float64), {"depth": 2, "dtype": 0},
           outputs=["f32"])
    g.case("no_depth", [Array([0, 1], "i64")], lambda x: torch.zeros(2, 0, dtype=torch.float64), {"depth": 0, "dtype": 1},
           outputs=["f64"])


@golden("matches_position")
def matches_position(g):
    for axis, dtype in ((1, "f32"), (0, "f64"), (1, "i32"), (0, "bool")):
        shape = [1, 1]
        shape[axis] = -1
        function = lambda x: (x == torch.arange(x.shape[axis]).reshape(shape)).to(
            {"i32": torch.int32, "bool": torch.bool}.get(dtype, torch.float64))
        g.case(f"axis{axis}_{dtype}", [g.integers(3, 4, low=-1, high=4)], function,
               {"axis": axis, "dtype": DTYPES.index(dtype)}, outputs=[dtype])


@golden("full")
def full(g):
    def filled(name, dtype, shape, value, written=None):
        kind = {"i8": "int8", "u8": "uint8", "i32": "int32", "i64": "int64", "bool": "bool"}.get(dtype, "float64")
        g.case(name, [], lambda: torch.full(shape, value, dtype=getattr(torch, kind)),
               {"shape": shape, "dtype": DTYPES.index(dtype)}, [value if written is None else written], [dtype])
    for dtype in DTYPES:
        filled(dtype, dtype, [2, 3], 1)
    filled("scalar", "f64", [], -2.5)
    filled("empty", "f64", [0, 3], 1.0)
    filled("f64_tenth", "f64", [3], 0.1)
    filled("f32_tenth", "f32", [3], float(numpy.float32(0.1)), 0.1)
    for dtype, bits in (("f16", 11), ("bf16", 8)):  # just above halfway between two numbers, to reveal double rounding
        value = 1 + 2.0**-bits + 2.0**-40
        filled(dtype + "_once", dtype, [2], round_once(value, dtype), value)
    filled("negative_zero", "f64", [2], -0.0)
    filled("nan", "f64", [2], NAN, "nan")
    filled("i64_largest", "i64", [2], I64.max)  # what argsort pads with


@golden("arange")
def arange(g):
    for name, shape in (("vector", [7]), ("matrix", [2, 5]), ("scalar", []), ("empty", [0])):
        g.case(name, [], lambda: torch.arange(math.prod(shape)).reshape(shape),
               {"shape": shape, "dtype": DTYPES.index("i64")}, [0, 1])
    g.case("i32", [], lambda: torch.arange(40, -60, -7, dtype=torch.int32), {"shape": [15], "dtype": DTYPES.index("i32")},
           [40, -7])
    for dtype, rounded in (("f32", numpy.float32), ("f64", float)):
        exact = [mpmath.mpf(0.3) + n * mpmath.mpf(0.1) for n in range(12)]
        g.case(dtype, [], on_numpy(lambda: numpy.array([float(rounded(float(v))) for v in exact])),
               {"shape": [12], "dtype": DTYPES.index(dtype)}, [0.3, 0.1], [dtype])


# ------------------------------------------------------------------------------------------------------------- sorting

@golden("argsort")
def argsort(g):
    order = on_numpy(lambda x: numpy.argsort(x, kind="stable"))
    g.case("ties", [g.integers(23, low=-3, high=4)], order)
    g.case("limits", [Array([I64.max, 0, I64.min, -1, I64.max - 1, I64.max, I64.min], "i64")], order)
    g.case("power_of_two", [g.integers(16, low=-99, high=99)], order)
    g.case("one", [Array([5], "i64")], order)
    g.case("empty", [Array([], "i64")], order)


STEPS = [(1, 2), (2, 4), (1, 4), (4, 8), (2, 8)]  # distance, run


@golden("bitonic_partner")
def bitonic_partner(g):
    for distance, run in STEPS:
        g.case(f"distance{distance}_run{run}", [g.integers(8)],
               on_numpy(lambda x: numpy.arange(x.size) ^ distance), {"distance": distance, "run": run})


@golden("bitonic_exchange")
def bitonic_exchange(g):
    """Partners are `distance` apart. The smaller pair goes first in runs with an even number, last in the others."""
    for distance, run in STEPS:
        keys, places = g.integers(8, low=-2, high=3).values, g.random.permutation(8)
        partner = numpy.arange(8) ^ distance

        def exchange(*_):
            kept = [None] * 8
            for i in range(8):
                if i < partner[i]:
                    pair = sorted([(keys[i], places[i]), (keys[partner[i]], places[partner[i]])])
                    kept[i], kept[partner[i]] = pair if i // run % 2 == 0 else reversed(pair)
            return numpy.array([k for k, _ in kept]), numpy.array([p for _, p in kept])

        inputs = [Array(values, "i64") for values in (keys, places, keys[partner], places[partner])]
        g.case(f"distance{distance}_run{run}", inputs, on_numpy(exchange), {"distance": distance, "run": run})
