"""Defines golden cases: how they are differentiated and how they are written.

Floating values are float64, whatever the dtype of a case is. Golden values are what exact arithmetic on the inputs gives,
to about 1e-15. The oracle must give the same values before they are rounded to the dtype.
"""
import json
import math
import zlib

import numpy
import torch

from rounding import round_once

DTYPES = ["f32", "f64", "f16", "bf16", "i8", "u8", "i32", "i64", "bool"]  # numbered as lockstep::DType
FLOATS = ["f32", "f64", "f16", "bf16"]
INTEGERS = {"i8": numpy.int8, "u8": numpy.uint8, "i32": numpy.int32, "i64": numpy.int64}
STORAGE = {**{name: numpy.float64 for name in FLOATS}, **INTEGERS, "bool": numpy.bool_}
NAMES = {numpy.dtype(storage): name for name, storage in {**INTEGERS, "bool": numpy.bool_}.items()}

REGISTRY = {}  # op name -> the function that writes its cases


def golden(*ops):
    """Registers the function that writes the cases of these ops. It is called with a Section."""
    def register(write):
        for op in ops:
            assert op not in REGISTRY, op
            REGISTRY[op] = write
        return write
    return register


class Array:
    """A tensor among the inputs of a case."""

    def __init__(self, values, dtype="f64"):
        self.dtype = dtype
        self.values = numpy.asarray(values, STORAGE[dtype])

    def tensor(self):
        return torch.from_numpy(self.values.copy())


class Number:
    """A plain number in place of a tensor. It has the dtype of the tensors beside it."""

    def __init__(self, value, dtype="f64"):
        self.dtype = dtype
        self.value = value

    def tensor(self):
        value = numpy.float32(self.value) if self.dtype == "f32" else self.value
        return torch.from_numpy(numpy.asarray(value, STORAGE[self.dtype]))


def on_numpy(function):
    """Wraps a function of NumPy arrays to take torch tensors. Integers wrap around; division by zero gives no warning."""
    def wrapped(*tensors):
        with numpy.errstate(all="ignore"):
            results = function(*(t if t is None else t.numpy() for t in tensors))
        results = results if isinstance(results, tuple) else (results,)
        return tuple(torch.from_numpy(numpy.array(r)) for r in results)
    return wrapped


def is_plain_float(entry):
    return isinstance(entry, Array) and entry.dtype in ("f32", "f64")


class Section:
    """The cases of one op. Random values depend only on the op's name, so that cases of other ops do not change them."""

    def __init__(self, op):
        self.op = op
        self.cases = []
        self.random = numpy.random.default_rng(zlib.crc32(op.encode()))

    # Multiples of 1/64 are short in decimal, and exact in f32.
    def real(self, *shape, low=-2.0, high=2.0, dtype="f64"):
        return Array(self.random.integers(round(low * 64), round(high * 64), shape) / 64, dtype)

    def integers(self, *shape, low=-9, high=10, dtype="i64"):
        return Array(self.random.integers(low, high, shape), dtype)

    def distinct(self, *shape, dtype="f64"):
        """No two values are equal and none is 0, so that maxima are unique and no value is at a kink."""
        count = math.prod(shape)
        return Array((self.random.permutation(count) - count // 2 + 0.25).reshape(shape) / 8, dtype)

    def weights(self, shape):
        """Cotangents and directions: plus or minus 0.5 to 1.5."""
        return (self.random.integers(16, 48, shape) / 32) * self.random.choice([-1, 1], shape)

    def case(self, name, inputs, function, attrs=None, scalars=(), outputs=None, gradient=False, summed=False):
        """Adds one call. `function` maps the inputs, as torch tensors, to one or several outputs. `outputs` names the
        dtypes of floating outputs, by default that of the first floating input. `gradient` adds derivatives of first and
        second order. `summed` records the largest sum of magnitudes, which bounds the error of a sum whose terms cancel."""
        record = {"op": self.op, "name": name, "inputs": [write_input(entry) for entry in inputs]}
        if attrs:
            record["attrs"] = attrs
        if scalars:
            record["scalars"] = list(scalars)
        arguments = [None if entry is None else entry.tensor() for entry in inputs]
        results = tuple(r.detach() for r in as_tuple(function(*arguments)))
        dtypes = output_dtypes(results, inputs, outputs)
        record["outputs"] = [write_array(r.numpy(), t) for r, t in zip(results, dtypes)]
        if summed:
            bound = as_tuple(function(*(a if a is None or not a.is_floating_point() else a.abs() for a in arguments)))
            record["magnitude"] = round(float(bound[0].detach().max()), 6)
        if gradient:
            record["gradient"] = self.derivatives(inputs, function, dtypes)
        self.cases.append(record)

    def derivatives(self, inputs, function, dtypes):
        """Gradients of <outputs, cotangents>, and the gradients of <gradients, directions>, also by the cotangents."""
        arguments = [None if entry is None else entry.tensor() for entry in inputs]
        chosen = [i for i, entry in enumerate(inputs) if is_plain_float(entry)]
        for i in chosen:
            arguments[i].requires_grad_()
        sources = [arguments[i] for i in chosen]
        results = [r for r, t in zip(as_tuple(function(*arguments)), dtypes) if t in ("f32", "f64")]
        cotangents = [torch.tensor(self.weights(r.shape), requires_grad=True) for r in results]
        directions = [torch.tensor(self.weights(s.shape)) for s in sources]
        target = sum((r * c).sum() for r, c in zip(results, cotangents))
        first = gradients(target, sources)
        along = sum((g * d).sum() for g, d in zip(first, directions))
        second = gradients(along, sources + cotangents)
        write = lambda tensors: [write_values(t.numpy(force=True)) for t in tensors]
        return {"cotangents": write(cotangents), "directions": write(directions), "first": write(first),
                "second": write(second[:len(sources)]), "second_of_cotangents": write(second[len(sources):])}


def gradients(target, sources):
    if not target.requires_grad:
        return [torch.zeros_like(s) for s in sources]
    return torch.autograd.grad(target, sources, create_graph=True, allow_unused=True, materialize_grads=True)


def as_tuple(results):
    return results if isinstance(results, tuple) else (results,)


def output_dtypes(results, inputs, outputs):
    floating = [e.dtype for e in inputs if isinstance(e, Array) and e.dtype in FLOATS]
    given = iter(outputs or [])
    dtypes = []
    for result in results:
        name = NAMES.get(result.numpy().dtype)
        if name is None:
            assert result.dtype == torch.float64, result.dtype
            name = next(given, None) or floating[0]
        dtypes.append(name)
    return dtypes


# ------------------------------------------------------------------------------------------------------------- writing

def write_input(entry):
    if entry is None:
        return None
    if isinstance(entry, Number):
        return {"number": entry.value, "dtype": entry.dtype}
    check_representable(entry)
    return write_array(entry.values, entry.dtype)


def check_representable(entry):
    if entry.dtype in FLOATS:
        assert all(math.isnan(v) or round_once(v, entry.dtype) == v for v in entry.values.reshape(-1).tolist())


def write_array(values, dtype):
    return {"dtype": dtype, "shape": list(values.shape), "values": write_values(values)}


def write_values(values):
    """A list, or one number if all are equal (bit for bit, so that -0 is kept)."""
    flat = [write_number(v) for v in values.reshape(-1).tolist()]
    if len(flat) > 1 and len(set(map(repr, flat))) == 1:
        return flat[0]
    return flat


def write_number(value):
    """JSON has no NaN or infinity, so these are strings. Whole floats are written without `.0`, except -0.0."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        if value.is_integer() and abs(value) < 1e15 and not (value == 0 and math.copysign(1, value) < 0):
            return int(value)
    return value


def write_file(path, header, cases):
    """Writes one case per line, so that a diff shows which case changed."""
    compact = lambda item: json.dumps(item, separators=(",", ":"), allow_nan=False)
    lines = ",\n".join(compact(c) for c in cases)
    fields = "".join(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in header.items())
    path.write_text("{\n" + fields + "\"cases\": [\n" + lines + "\n]}\n")
