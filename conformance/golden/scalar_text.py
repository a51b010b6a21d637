"""Runs the functions of ops/scalar from their text: each word of the dialect is one operation on a NumPy scalar.

The text is the definition of `exp` and similar functions (ops/scalar/README.md). Here no compiler can change the bits.
"""
import pathlib
import re

import numpy

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "ops" / "scalar"
TYPES = {"F32": numpy.float32, "F64": numpy.float64, "I32": numpy.int32, "U32": numpy.uint32, "I64": numpy.int64,
         "U64": numpy.uint64}


def bits_as(kind):
    return lambda x: x.view(kind)


def shifted_left(x, n):
    return x << type(x)(n)


def shifted_right(x, n):
    return x >> type(x)(n)


WORDS = {
    **{f"{name}_CONST": kind for name, kind in TYPES.items()},
    "LS_SELECT": lambda c, a, b: a if c else b, "LS_AND": lambda a, b: a and b, "LS_OR": lambda a, b: a or b,
    "LS_NOT": lambda a: not a, "LS_SQRT": numpy.sqrt, "LS_ABS": abs,
    "BITS_F32": bits_as(numpy.uint32), "FLOAT_U32": bits_as(numpy.float32), "BITS_F64": bits_as(numpy.uint64),
    "FLOAT_U64": bits_as(numpy.float64), "I32_OF_U32": bits_as(numpy.int32), "U32_OF_I32": bits_as(numpy.uint32),
    "I64_OF_U64": bits_as(numpy.int64), "U64_OF_I64": bits_as(numpy.uint64), "F32_OF_I32": numpy.float32,
    "F64_OF_I64": numpy.float64, "LS_SHL": shifted_left, "LS_SHR": shifted_right, "LS_BITAND": lambda a, b: a & b,
    "LS_BITOR": lambda a, b: a | b, "LS_BITXOR": lambda a, b: a ^ b,
    "LS_MULHI": lambda a, b: numpy.uint32(int(a) * int(b) >> 32),
}


def read_functions():
    """Name -> function, for all files that all.inc includes."""
    functions = dict(WORDS)
    known = len(functions)
    for name in re.findall(r'#include "(\w+\.inc)"', (FOLDER / "all.inc").read_text()):
        text = re.sub(r"//.*", "", (FOLDER / name).read_text())
        for title, arguments, body in re.findall(r"LS_FUNCTION\(\w+\)\s+(\w+)\(([^)]*)\)\s*\{(.*?)\}", text, re.S):
            lines = [f"def {title}({', '.join(a.split()[-1] for a in arguments.split(','))}):"]
            for statement in filter(None, (" ".join(s.split()) for s in body.split(";"))):
                lines.append("  " + re.sub(r"^(?:F32|F64|I32|U32|I64|U64|BOOL) ", "", statement))
            exec("\n".join(lines), functions)
    assert len(functions) > known, "no functions in " + str(FOLDER)
    return functions


FUNCTIONS = read_functions()


def call(name, *arrays):
    """Applies the function of this name and of the arrays' dtype, element by element."""
    function = FUNCTIONS[name + {numpy.float32: "_f32", numpy.float64: "_f64"}[arrays[0].dtype.type]]
    with numpy.errstate(all="ignore"):
        results = [function(*elements) for elements in zip(*(a.reshape(-1) for a in arrays))]
    return numpy.array(results, arrays[0].dtype).reshape(arrays[0].shape)
