"""Cases of cast from every dtype to every dtype, and of ops that leave values unchanged."""
import math

import numpy
import torch

from book import Array, DTYPES, FLOATS, INTEGERS, golden, on_numpy
from rounding import FORMATS, round_once

INF, NAN = math.inf, math.nan
I32, I64 = numpy.iinfo(numpy.int32), numpy.iinfo(numpy.int64)

# Numbers near the limits of the integer types, halfway between numbers of narrower floats, and just off such a halfway
# point. An intermediate format that rounds first gives wrong results for the last kind.
F64_VALUES = [0.0, -0.0, 0.99, -0.99, 1.5, -1.5, 2.5, 126.9, 127.0, 128.0, -128.9, -129.0, 255.5, 256.0, 2147483647.5,
              -2147483648.5, 2147483648.0, 9.2e18, 2.0**63, -(2.0**63), 1e30, -1e300, INF, -INF, NAN, 0.1, 65504.0, 65519.99,
              65520.0, 1e-40, 3e-8, 2.0**-25, 1 + 2.0**-11, 1 + 2.0**-11 + 2.0**-40, 1 + 3 * 2.0**-11 - 2.0**-40,
              1 + 2.0**-8, 1 + 2.0**-8 + 2.0**-40, 1 + 3 * 2.0**-8 - 2.0**-40, 1 + 2.0**-24, 1 + 2.0**-24 + 2.0**-50]
F32_VALUES = [0.0, -0.0, 0.75, -0.75, 1.5, -1.5, 127.5, 128.0, -128.5, -129.0, 255.5, 256.0, 2.0**31 - 128, 2.0**31,
              -(2.0**31), -(2.0**31) - 256, 2.0**63, -(2.0**63), 1e30, INF, -INF, NAN, 65504.0, 65519.0, 65520.0, 2.0**-149,
              2.0**-25, 2.0**-25 + 2.0**-40, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-11 + 2.0**-20, 1 + 2.0**-8,
              1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, 2.0**128 - 2.0**104]
VALUES = {
    "f64": F64_VALUES,
    "f32": [round_once(v, "f32") for v in F32_VALUES],
    "f16": [0.0, -0.0, 0.5, -0.5, 1.5, 127.5, 128.0, -129.0, 256.0, 65504.0, 2.0**-24, 2.0**-14, 1 + 2.0**-10, 1 + 2.0**-8,
            INF, -INF, NAN],
    "bf16": [0.0, -0.0, 0.5, -1.5, 127.0, 255.0, 256.0, 2.0**31, 2.0**63, -(2.0**64), 2.0**127, 2.0**-133, 1 + 2.0**-7, INF,
             -INF, NAN],
    "i8": [0, 1, -1, 127, -128],
    "u8": [0, 1, 127, 128, 255],
    "i32": [0, 1, -1, 127, 128, 255, 256, -129, 65519, 65520, -65536, 2**24 + 1, 2**24 + 3, 2**30 + 2**22, 2**30 + 2**22 + 1,
            I32.min, I32.max],
    "i64": [0, -1, 128, 256, 2049, 2051, 65520, 2**24 + 1, 2**31, 2**32 + 5, 2**53 + 1, 2**53 + 3, 2**60 + 2**52,
            2**60 + 2**52 + 1, 2**60 + 2**36 + 1, -(2**62) - 2**54 - 1, I64.min, I64.max],
    "bool": [False, True],
}


def convert(value, source, target):
    if target == "bool":
        return value != 0  # NaN differs from 0
    if target in FORMATS:
        return round_once(float(value) if source in FLOATS else int(value), target)
    limits = numpy.iinfo(INTEGERS[target])
    if source not in FLOATS:  # integers wrap around
        return (int(value) - limits.min) % (limits.max - limits.min + 1) + limits.min
    if math.isnan(value):
        return 0
    return limits.max if value > limits.max else limits.min if value < limits.min else int(value)


def check_with_libraries():
    """Compares round_once with NumPy and torch in conversions that these round once."""
    for value in F64_VALUES:
        with numpy.errstate(over="ignore"):
            assert repr(float(numpy.float16(value))) == repr(round_once(value, "f16")), value
            assert repr(float(numpy.float32(value))) == repr(round_once(value, "f32")), value
    for value in VALUES["f32"]:
        assert repr(torch.tensor(value, dtype=torch.float32).to(torch.bfloat16).item()) == repr(round_once(value, "bf16"))


@golden("cast")
def cast(g):
    check_with_libraries()
    for source in DTYPES:
        for target in DTYPES:
            storage = numpy.float64 if target in FORMATS else INTEGERS.get(target, numpy.bool_)
            function = on_numpy(lambda x, s=source, t=target, kind=storage:
                                numpy.array([convert(v, s, t) for v in x.tolist()], kind))
            g.case(f"{source}_{target}", [Array(VALUES[source], source)], function, {"to": DTYPES.index(target)},
                   outputs=[target])
    narrow = lambda x: x.to(torch.float32).to(torch.float64)
    g.case("gradient_f64", [g.real(2, 3)], lambda x: x * 1.0, {"to": DTYPES.index("f64")}, gradient=True)
    g.case("gradient_to_f32", [g.real(2, 3)], narrow, {"to": DTYPES.index("f32")}, outputs=["f32"], gradient=True)
    g.case("gradient_from_f32", [g.real(2, 3, dtype="f32")], lambda x: x * 1.0, {"to": DTYPES.index("f64")},
           outputs=["f64"], gradient=True)


@golden("copy", "stop_gradient")
def unchanged(g):
    for dtype in DTYPES:
        g.case(dtype, [Array(VALUES[dtype][:17], dtype)], torch.clone)
    g.case("matrix", [g.real(2, 3)], torch.clone, gradient=g.op == "copy")
    g.case("scalar", [g.real()], torch.clone, gradient=g.op == "copy")
    g.case("empty", [g.real(0, 3)], torch.clone)
