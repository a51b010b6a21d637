"""Defines lockstep vectors: how inputs are drawn, and how arrays are written as bits."""
import hashlib
import zlib

import numpy

KINDS = {"f32": numpy.float32, "f64": numpy.float64, "i32": numpy.int32, "i64": numpy.int64}
SHORT = {"f16": 11, "bf16": 8}  # significant bits; their values are in arrays of f32 here
BITS = {"f16": numpy.uint16, "bf16": numpy.uint16, "f32": numpy.uint32, "f64": numpy.uint64, "i32": numpy.uint32,
        "i64": numpy.uint64}
NANS = {"f16": 0x7E00, "bf16": 0x7FC0, "f32": 0x7FC00000, "f64": 0x7FF8000000000000}
MOST_BITS = 24  # results of more elements are given as a hash


def name_of(array):
    return next(name for name, kind in KINDS.items() if array.dtype == kind)


def drawn(seed, shape, dtype, below=None):
    """Values by a linear congruential generator, x' = (1664525 x + 1013904223) mod 2^32, from x = seed.

    f32: one step; (floor(x / 2^8) - 2^23) 2^-(23 + e) with e = floor(x / 2^5) mod 8.
    f64: two steps x, y; (2^24 floor(x / 2^8) + floor(y / 2^8) - 2^47) 2^-(47 + e), e from x as above.
    f16, bf16: as f32, with floor(x / 2^21) - 2^10 and 2^-(10 + e), or floor(x / 2^24) - 2^7 and 2^-(7 + e).
    i32: one step; x as a signed number. i64: two steps x, y; 2^32 x + y as a signed number.
    Indices: one step; floor(x / 2^8) mod the number of rows.
    """
    state = seed

    def step():
        nonlocal state
        state = (1664525 * state + 1013904223) % 2**32
        return state

    def value():
        x = step()
        if below is not None:
            return (x >> 8) % below
        e = (x >> 5) % 8
        if dtype == "f32":
            return numpy.ldexp(numpy.float64((x >> 8) - 2**23), -(23 + e))
        if dtype in SHORT:
            kept = SHORT[dtype]
            return numpy.ldexp(numpy.float64((x >> (32 - kept)) - 2**(kept - 1)), -(kept - 1 + e))
        if dtype == "f64":
            return numpy.ldexp(numpy.float64(((x >> 8) << 24) + (step() >> 8) - 2**47), -(47 + e))
        if dtype == "i32":
            return x - 2**32 if x >= 2**31 else x
        wide = (x << 32) + step()
        return wide - 2**64 if wide >= 2**63 else wide

    kind = KINDS.get(dtype, numpy.float32)
    return numpy.array([value() for _ in range(int(numpy.prod(shape)))], kind).reshape(shape)


def rounded_bits(array, short):
    """The bits of f32 values that are rounded once to f16 or bf16, to nearest even."""
    if short == "f16":
        with numpy.errstate(over="ignore"):
            return array.astype(numpy.float16).view(numpy.uint16)
    bits = array.view(numpy.uint32).astype(numpy.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(numpy.uint16)


def bits_of(array, dtype=None):
    dtype = dtype or name_of(array)
    flat = numpy.ascontiguousarray(array).reshape(-1)
    bits = rounded_bits(flat, dtype) if dtype in SHORT else flat.view(BITS[dtype]).copy()
    bits[flat != flat] = NANS.get(dtype, 0)
    return bits


def hex_of(array, dtype=None):
    bits = bits_of(array, dtype)
    return " ".join(f"{int(b):0{bits.itemsize * 2}x}" for b in bits)


def from_hex(dtype, shape, text):
    return numpy.array([int(b, 16) for b in text.split()], BITS[dtype]).view(KINDS[dtype]).reshape(shape)


class Book:
    def __init__(self):
        self.cases = []

    def input(self, case, number, shape, dtype="f32", below=None, seed=None):
        """A drawn input: its entry in the file, and its values."""
        seed = zlib.crc32(f"{case}/{number}".encode()) if seed is None else seed
        entry = {"dtype": dtype, "shape": list(shape), "seed": seed}
        if below is not None:
            entry["below"] = below
        return entry, drawn(seed, shape, dtype, below)

    def exactly(self, values):
        """An input given as bits."""
        return {"dtype": name_of(values), "shape": list(values.shape), "bits": hex_of(values)}, values

    def add(self, op, name, inputs, attrs, results, short=None):
        """Adds a case. `short`: f16 or bf16, if results of f32 are rounded to it."""
        case = {"op": op, "name": name, "inputs": [None if i is None else i[0] for i in inputs]}
        if attrs:
            case["attrs"] = attrs
        case["outputs"] = []
        for result in results if isinstance(results, tuple) else (results,):
            dtype = short if short and result.dtype == numpy.float32 else name_of(result)
            output = {"dtype": dtype, "shape": list(result.shape)}
            if result.size <= MOST_BITS:
                output["bits"] = hex_of(result, dtype)
            else:
                bits = bits_of(result, dtype)
                data = bits.astype(bits.dtype.newbyteorder("<")).tobytes()
                output |= {"sha256": hashlib.sha256(data).hexdigest(), "first": hex_of(result.reshape(-1)[:4], dtype)}
            case["outputs"].append(output)
        assert all(c["op"] != op or c["name"] != name for c in self.cases), (op, name)
        self.cases.append(case)
