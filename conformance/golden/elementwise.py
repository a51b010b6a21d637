"""Cases of arithmetic, functions, comparison, logic and selection."""
import math

import mpmath
import numpy
import torch
import torch.nn.functional as F

from book import Array, DTYPES, Number, golden, on_numpy

INF, NAN = math.inf, math.nan
I32, I64 = numpy.iinfo(numpy.int32), numpy.iinfo(numpy.int64)
LIMITS = {"i32": (I32.min, I32.max), "i64": (I64.min, I64.max)}

# Binary ops get every pair of these: signed zeros, limits of the range, infinities and NaN.
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -3.0, 5e-324, 1e308, -1e308, INF, -INF, NAN]
WHOLE = [0, 1, -1, 3, -7, 100]

# Shapes that broadcast in every way.
PAIRS = {"same": ((2, 3), (2, 3)), "row": ((2, 3), (3,)), "column": ((2, 3), (2, 1)), "outer": ((3, 1), (1, 2)),
         "rank0": ((), (4,)), "middle": ((2, 2, 2), (2, 1, 2)), "empty": ((0, 3), (3,))}


def whole_numbers(dtype):
    low, high = LIMITS[dtype]
    return [*WHOLE, low, low + 1, high, high // 2 + 1]


def meet(values, dtype):
    """Two operands that form every pair of the values, by broadcasting."""
    column = Array(values, dtype)
    return [Array(column.values.reshape(-1, 1), dtype), Array(column.values.reshape(1, -1), dtype)]


# ------------------------------------------------------------------------------------------------- arithmetic of pairs

@on_numpy
def divide(a, b):
    """Integers truncate toward zero (Python's // rounds down), and x / 0 is 0."""
    if a.dtype == numpy.float64:
        return a / b
    quotient = numpy.empty(numpy.broadcast_shapes(a.shape, b.shape), a.dtype)
    for index, x, y in zip(numpy.ndindex(quotient.shape), *(m.reshape(-1) for m in numpy.broadcast_arrays(a, b))):
        x, y = int(x), int(y)
        exact = 0 if y == 0 else abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        quotient[index] = numpy.array(exact).astype(a.dtype)  # wraps around if the smallest number is divided by -1
    return quotient


def power(x, y):
    return numpy.power(x, y)


@on_numpy
def lower(a, b):
    """-0 is below +0; NaN propagates."""
    first = (a < b) | ((a == b) & numpy.signbit(a))
    return numpy.where(numpy.isnan(a) | numpy.isnan(b), NAN, numpy.where(first, a, b))


def upper(a, b):
    return -lower(-a, -b)[0]


# op -> smooth function, function of special values, range of operands, whether it takes integers
BINARY = {
    "add": (torch.add, torch.add, (-2, 2), True),
    "sub": (torch.sub, torch.sub, (-2, 2), True),
    "mul": (torch.mul, torch.mul, (-2, 2), True),
    "div": (torch.div, divide, (0.5, 3), True),
    "pow": (torch.pow, on_numpy(power), (0.5, 3), False),
    "minimum": (torch.minimum, lower, None, True),
    "maximum": (torch.maximum, upper, None, True),
}


@golden(*BINARY)
def binary(g):
    smooth, exact, span, takes_integers = BINARY[g.op]
    draw = (lambda *shape: g.real(*shape, low=span[0], high=span[1])) if span else g.distinct
    for name, shapes in PAIRS.items():
        operands = [draw(*shapes[0]), draw(*shapes[1])]
        if not span:
            operands[1].values += 0.0625  # no two values are equal across operands either
        g.case(name, operands, smooth, gradient=True)
    g.case("number", [draw(5), Number(0.7)], smooth, gradient=True)
    g.case("number_f32", [g.real(5, low=0.5, high=2, dtype="f32"), Number(0.1, "f32")], smooth)
    g.case("special", meet(SPECIAL, "f64"), exact)
    if takes_integers:
        for dtype in ("i32", "i64"):
            whole = {"div": divide, "minimum": torch.minimum, "maximum": torch.maximum}.get(g.op, exact)
            g.case("whole_" + dtype, meet(whole_numbers(dtype), dtype), whole)
        g.case("whole_number", [g.integers(6, dtype="i32"), Number(3, "i32")], whole)
    extra = BINARY_EXTRA.get(g.op)
    if extra:
        extra(g)


def equal_operands(g):
    smooth = BINARY[g.op][0]
    g.case("ties", [Array([1.0, 2.0, -1.0]), Array([1.0, 3.0, -1.0])], smooth, gradient=True)


def roots_and_zeros(g):
    # Small whole exponents of 0.
    g.case("zero_base", [Array([0.0, 0.0, 0.0, 0.0]), Array([0.0, 1.0, 2.0, 3.0])], torch.pow)
    g.case("large", [Array([1.0001, 10.0, 2.0, 0.999, 3.0]), Array([1e6, 300.0, -1000.0, 1e5, 600.5])], torch.pow)
    g.case("roots", [Array([-8.0, 8.0, 2.0, 1e-300]), Array([1 / 3, 1 / 3, 0.5, 0.5])], torch.pow)


BINARY_EXTRA = {"minimum": equal_operands, "maximum": equal_operands, "pow": roots_and_zeros}


@golden("clip")
def clip(g):
    inside = lambda x, low, high: torch.clamp(x, low, high)
    g.case("numbers", [g.distinct(9), Number(-0.5), Number(0.4)], inside, gradient=True)
    g.case("rows", [g.distinct(3, 4), Array([-1.0, -0.5, -0.3, 0.1]), Array([0.2, 0.3, 0.9, 0.9])], inside, gradient=True)
    # On a bound the gradient of x is 1, by definition. torch gives 0 if bounds are numbers, 1/2 if they are tensors.
    kept = lambda x, low, high: torch.where((low <= x) & (x <= high), x, torch.clamp(x.detach(), low, high))
    g.case("on_the_bounds", [Array([-1.0, -0.5, 0.5, 1.0]), Number(-0.5), Number(0.5)], kept, gradient=True)
    g.case("special", [Array([NAN, INF, -INF, 0.0, -0.0, 5e-324]), Number(-1.0), Number(2.0)], inside)
    for dtype in ("i32", "i64"):
        g.case(dtype, [Array(whole_numbers(dtype), dtype), Number(-5, dtype), Number(50, dtype)], inside)


# ----------------------------------------------------------------------------------------------------------- functions

def ramp(x):
    """relu with a defined sign of zero, which torch.relu does not define."""
    return torch.where(x <= 0, torch.zeros_like(x), x)


def exactly(function):
    """A smooth form of relu, such as gelu, computed with 40 digits. Far from 0 it equals relu."""
    def of_one(x):
        if not abs(x) < 100:
            return x if x > 0 or math.isnan(x) else -0.0
        return float(function(mpmath.mpf(x))) if x else x

    def of_all(x):
        with mpmath.workdps(40):
            return numpy.array([of_one(v) for v in x.reshape(-1).tolist()]).reshape(x.shape)
    return on_numpy(of_all)


def gelu(x):
    """torch's own gelu and its ndtr lose digits where 1 + erf cancels."""
    return 0.5 * x * torch.erfc(-math.sqrt(0.5) * x)


def gelu_tanh(x):
    """x/2 (1 + tanh u), computed as x sigmoid(2 u), which does not cancel."""
    return x * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


# Far below zero these functions lose digits too, because exp amplifies the rounding of its argument.
EXACT = {
    "gelu": exactly(lambda x: x * mpmath.ncdf(x)),
    "gelu_tanh": exactly(lambda x: x / (1 + mpmath.exp(-2 * mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)))),
}


# op -> function, range of the smooth cases (None: distinct values), further points, whether it takes integers
UNARY = {
    "neg": (torch.neg, (-2, 2), [], True),
    "abs": (torch.abs, None, [], True),
    "square": (torch.square, (-2, 2), [1e-200, 1e200], True),
    "sqrt": (torch.sqrt, (0.5, 3), [2.0, 1e300], False),
    "rsqrt": (torch.rsqrt, (0.5, 3), [2.0, 1e300], False),
    "exp": (torch.exp, (-3, 3), [700.0, 709.7, 710.0, -700.0, -740.0, -800.0], False),
    "log": (torch.log, (0.1, 4), [1.0000001, 0.9999999, 2.0, 1e-310], False),
    "tanh": (torch.tanh, (-3, 3), [1e-5, 0.3, 19.0, 25.0], False),
    "sigmoid": (torch.sigmoid, (-3, 3), [40.0, -40.0, -700.0], False),
    "erf": (torch.erf, (-3, 3), [1e-5, 0.3, 5.5, 6.5], False),
    "relu": (ramp, None, [], True),
    "gelu": (gelu, (-3, 3), [8.5, -8.5, -20.0, -37.0], False),
    "gelu_tanh": (gelu_tanh, (-3, 3), [8.5, -8.5, -15.0], False),
    "silu": (F.silu, (-3, 3), [40.0, -40.0, -700.0], False),
    "sin": (torch.sin, (-3, 3), [1e-5, 3.25, 100.0, 1e8, 2.0**29], False),
    "cos": (torch.cos, (-3, 3), [1e-5, 3.25, 100.0, 1e8, 2.0**29], False),
}
# Finite numbers beyond this give NaN by definition.
LIMITED = {"sin": 2.0**29, "cos": 2.0**29}
# At minus infinity torch gives NaN (infinity times 0) and the oracle the limit, -0. Neither is documented.
WITHOUT_MINUS_INFINITY = ("gelu", "gelu_tanh", "silu")


@golden(*UNARY)
def unary(g):
    function, span, points, takes_integers = UNARY[g.op]
    draw = (lambda *shape: g.real(*shape, low=span[0], high=span[1])) if span else g.distinct
    g.case("matrix", [draw(3, 5)], function, gradient=True)
    g.case("scalar", [draw()], function, gradient=True)
    g.case("empty", [draw(0, 4)], function, gradient=True)
    g.case("f32", [g.real(7, low=0.25, high=3, dtype="f32")], function)
    special = SPECIAL + [1e-8, -1e-8, 1e-300, 20.0, -20.0]
    if g.op in WITHOUT_MINUS_INFINITY:
        special.remove(-INF)
    if g.op in LIMITED:
        special = [x for x in special if not math.isfinite(x) or abs(x) <= LIMITED[g.op]]
    g.case("special", [Array(special + points)], EXACT.get(g.op, function))
    for dtype in LIMITS if takes_integers else ():
        g.case(dtype, [Array(whole_numbers(dtype), dtype)], function)
    if g.op in ("abs", "relu"):
        g.case("kink", [Array([0.0, 1.0, -1.0])], function, gradient=True)


@golden("is_finite")
def is_finite(g):
    for dtype, extremes in (("f64", [1.7976931348623157e308, 5e-324]), ("f32", [2.0**128 - 2.0**104, 2.0**-149])):
        g.case(dtype, [Array([0.0, -0.0, 1.5, INF, -INF, NAN, *extremes], dtype)], torch.isfinite)


# ------------------------------------------------------------------------------------------------ comparison and logic

COMPARISONS = {"equal": numpy.equal, "not_equal": numpy.not_equal, "less": numpy.less, "less_equal": numpy.less_equal,
               "greater": numpy.greater, "greater_equal": numpy.greater_equal}
COMPARED = {
    "f32": [0.0, -0.0, 1.0, 1.0 + 2.0**-23, -2.5, INF, -INF, NAN],
    "f64": [0.0, -0.0, 1.0, 1.0 + 2.0**-52, -2.5, 5e-324, INF, -INF, NAN],
    "f16": [0.0, -0.0, 1.0, 1.0 + 2.0**-10, 65504.0, 2.0**-24, INF, -INF, NAN],
    "bf16": [0.0, -0.0, 1.0, 1.0 + 2.0**-7, 2.0**127, 2.0**-133, INF, -INF, NAN],
    "i8": [-128, -1, 0, 1, 127],
    "u8": [0, 1, 127, 128, 255],
    "i32": [I32.min, -1, 0, 2**24, 2**24 + 1, I32.max],
    "i64": [I64.min, -1, 0, 2**53, 2**53 + 1, I64.max - 1, I64.max],
    "bool": [False, True],
}


@golden(*COMPARISONS)
def comparison(g):
    function = on_numpy(COMPARISONS[g.op])
    for dtype, values in COMPARED.items():
        g.case(dtype, meet(values, dtype), function)
    g.case("row", [g.integers(2, 3, low=-2, high=3), g.integers(3, low=-2, high=3)], function)
    g.case("number", [Array([0.5, 0.75, 1.0]), Number(0.75)], function)


LOGIC = {"logical_and": torch.logical_and, "logical_or": torch.logical_or, "logical_xor": torch.logical_xor}


@golden(*LOGIC)
def logic(g):
    g.case("table", meet([False, True], "bool"), LOGIC[g.op])
    g.case("row", [g.integers(2, 3, low=0, high=2, dtype="bool"), g.integers(3, low=0, high=2, dtype="bool")], LOGIC[g.op])


@golden("logical_not")
def negation(g):
    g.case("table", [Array([False, True], "bool")], torch.logical_not)


@golden("where")
def where(g):
    condition = Array([True, False, True], "bool")
    for dtype in DTYPES:
        values = COMPARED[dtype]
        a, b = Array(values[:3] if len(values) > 2 else [True, False, True], dtype), Array(values[-1], dtype)
        g.case(dtype, [condition, a, b], torch.where)
    g.case("same", [g.integers(2, 3, low=0, high=2, dtype="bool"), g.real(2, 3), g.real(2, 3)], torch.where, gradient=True)
    g.case("rows", [Array([[True], [False]], "bool"), g.real(2, 3), g.real(1, 3)], torch.where, gradient=True)
    g.case("number", [condition, g.real(3), Number(0.25)], torch.where, gradient=True)
    # NaN in the branch that is not taken must not affect the gradient.
    g.case("untaken_nan", [condition, Array([1.0, NAN, 2.0]), Array([NAN, 3.0, INF])], torch.where, gradient=True)
