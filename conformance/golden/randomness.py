"""Cases of random numbers: Philox 4x32-10 written out, and quantiles of the normal distribution to 40 digits."""
import mpmath
import numpy
import torch

from book import Array, DTYPES, golden, on_numpy

mpmath.mp.dps = 40
I32, I64 = numpy.iinfo(numpy.int32), numpy.iinfo(numpy.int64)
MASK = 0xFFFFFFFF


def philox(counter, key):
    """Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011."""
    c, (k0, k1) = list(counter), key
    for _ in range(10):
        first, second = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [second >> 32 ^ c[1] ^ k0, second & MASK, first >> 32 ^ c[3] ^ k1, first & MASK]
        k0, k1 = k0 + 0x9E3779B9 & MASK, k1 + 0xBB67AE85 & MASK
    return c


def check_known_answers():
    """From kat_vectors of the Random123 library."""
    known = [((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
             ((MASK,) * 4, (MASK,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
             ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
              (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1))]
    for counter, key, answer in known:
        assert tuple(philox(counter, key)) == answer


check_known_answers()


def words(seed, stream, count):
    """32-bit words: block n of a stream has the counter (n, stream) and the key `seed`, low halves first."""
    blocks = (philox((n & MASK, n >> 32, stream & MASK, stream >> 32), (seed & MASK, seed >> 32)) for n in range(-(-count // 4)))
    return [w for block in blocks for w in block][:count]


def bits(seed, stream, count, dtype):
    if dtype == "i32":
        return numpy.array(words(seed, stream, count), numpy.uint32).astype(numpy.int32)
    halves = words(seed, stream, 2 * count)
    pairs = [low | high << 32 for low, high in zip(halves[::2], halves[1::2])]
    return numpy.array(pairs, numpy.uint64).astype(numpy.int64)


def key_scalars(seed, stream):
    return [seed & MASK, seed >> 32, stream & MASK, stream >> 32]


KEYS = {"zero": (0, 0), "wide": (0x0123456789ABCDEF, 42), "full": (2**64 - 1, 2**63 + 5)}


@golden("random_bits")
def random_bits(g):
    for name, key in KEYS.items():
        for dtype in ("i32", "i64"):
            g.case(f"{name}_{dtype}", [], lambda: torch.from_numpy(bits(*key, 10, dtype).reshape(2, 5)),
                   {"shape": [2, 5], "dtype": DTYPES.index(dtype)}, key_scalars(*key))


@golden("random_permutation")
def random_permutation(g):
    for name, key in KEYS.items():
        order = lambda: torch.from_numpy(numpy.argsort(bits(*key, 25, "i64"), kind="stable"))
        g.case(name, [], order, {"shape": [25]}, key_scalars(*key))
    g.case("one", [], lambda: torch.tensor([0]), {"shape": [1]}, key_scalars(1, 2))


# ------------------------------------------------------------------------------------------------ from bits to numbers
# An f32 is made from 32 bits, an f64 from 64. For the normal distributions, the top bit is the sign and the others are
# rounded to the dtype, so that small magnitudes keep their digits. Constants are rounded to the dtype; the op's scalars
# are in f64.

def rounded(value, wide):
    return mpmath.mpf(value if wide else float(numpy.float32(value)))


def uniform(word, wide):
    return mpmath.mpf(int(word) >> 11) / 2**53 if wide else mpmath.mpf(int(word) >> 8) / 2**24


def magnitude(word, wide):
    """The bits below the sign, as a number in (0, 1)."""
    if wide:
        return (mpmath.mpf((int(word) & 2**63 - 1) >> 10) + 0.5) / 2**53
    return (rounded(int(word) & 2**31 - 1, wide) + 0.5) / 2**31


def quantile(p):
    return mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1)


def signed(word, wide, negative_value):
    return negative_value if int(word) >> (63 if wide else 31) else -negative_value


def normal(word, wide):
    return signed(word, wide, quantile(magnitude(word, wide) / 2))


def truncated_normal(word, wide):
    below = 0.022750131948179207200  # the probability of values below -2
    p = magnitude(word, wide) * rounded(0.5 - below, wide) + rounded(below, wide)
    return signed(word, wide, quantile(p))


DISTRIBUTIONS = {"uniform": uniform, "normal": normal, "truncated_normal": truncated_normal}


def drawn(distribution, values, offset, factor):
    """offset + factor v, where v is made from each of the random words."""
    wide = values.dtype == numpy.int64
    unsigned = values.astype(numpy.uint64 if wide else numpy.uint32)
    numbers = [mpmath.mpf(offset) + DISTRIBUTIONS[distribution](w, wide) * mpmath.mpf(factor)
               for w in unsigned.reshape(-1)]
    return numpy.array([float(v) for v in numbers]).reshape(values.shape)


def no_more_than(last, numbers):
    return numpy.minimum(numbers, last)


def ends(low, high, dtype):
    """The first and the last number of the dtype in [low, high)."""
    first, last = dtype(low), dtype(high)
    if float(first) < low:
        first = numpy.nextafter(first, dtype(numpy.inf))
    if float(last) >= high:
        last = numpy.nextafter(last, dtype(-numpy.inf))
    return float(first), float(last)


@golden("uniform_of_bits", "normal_of_bits", "truncated_normal_of_bits")
def of_bits(g):
    distribution = g.op.removesuffix("_of_bits")
    for dtype, limits, result in (("i32", I32, "f32"), ("i64", I64, "f64")):
        edges = [0, 1, -1, 2, limits.min, limits.min + 1, limits.max, limits.max - 1, limits.max // 2, limits.min // 2, 12345]
        random = g.random.integers(limits.min, limits.max, 13, dtype=numpy.int64)
        for name, offset, factor, last in (("standard", 0.0, 1.0, 0.75), ("scaled", 0.1, -2.5, -0.125)):
            uniform_only = distribution == "uniform"
            function = on_numpy(lambda values: no_more_than(last if uniform_only else numpy.inf,
                                                            drawn(distribution, values, offset, factor)))
            g.case(f"{name}_{dtype}", [Array(numpy.array(edges + list(random)).reshape(4, 6), dtype)], function, {},
                   [offset, factor, *([last] if uniform_only else [])], [result])


@golden("random_uniform", "random_normal", "random_truncated_normal")
def random_numbers(g):
    distribution = g.op.removeprefix("random_")
    for name, (key, first, second) in {"standard": (KEYS["zero"], 0.0, 1.0), "scaled": (KEYS["full"], -1.1, 3.3)}.items():
        for dtype, of, numpy_dtype in (("f32", "i32", numpy.float32), ("f64", "i64", numpy.float64)):
            def function():
                values = bits(*key, 9, of).reshape(3, 3)
                if distribution != "uniform":  # mean and deviation
                    return drawn(distribution, values, first, second)
                offset, last = ends(first, second, numpy_dtype)  # of [low, high)
                return no_more_than(last, drawn(distribution, values, offset, second - first))
            g.case(f"{name}_{dtype}", [], on_numpy(function), {"shape": [3, 3], "dtype": DTYPES.index(dtype)},
                   [first, second, *key_scalars(*key)], [dtype])


# ------------------------------------------------------------------------------------------------------------- dropout

def dropped(x, words32, rate):
    """Compares the uniform number of 24 bits with the rate in f64. 1 - rate must be exact in f64."""
    uniform32 = (words32.astype(numpy.uint32) >> 8) * 2.0**-24
    kept = torch.from_numpy(uniform32.reshape(x.shape) >= rate)
    return torch.where(kept, x / (1 - rate), torch.zeros_like(x))


@golden("dropout")
def dropout(g):
    for name, key, rate in (("some", KEYS["wide"], 0.3125), ("most", KEYS["full"], 0.999), ("none", KEYS["zero"], 0.0)):
        function = lambda x: dropped(x, bits(*key, 15, "i32"), rate)
        g.case(name, [g.real(3, 5)], function, {}, [rate, *key_scalars(*key)], gradient=True)
    g.case("f32", [g.real(3, 5, dtype="f32")], lambda x: dropped(x, bits(*KEYS["wide"], 15, "i32"), 0.3125), {},
           [0.3125, *key_scalars(*KEYS["wide"])])


@golden("dropout_by_bits")
def dropout_by_bits(g):
    """x times scale if the upper 24 bits, as a number, are at least the threshold, else 0."""
    values = Array([0, -1, I32.min, I32.max, 2**30 - 1, 2**30, 2**30 - 256, *g.random.integers(I32.min, I32.max, 8)], "i32")

    def apply(threshold, scale):
        def function(x, w):
            kept = torch.from_numpy((w.numpy().astype(numpy.uint32) >> 8) >= threshold).reshape(x.shape)
            return torch.where(kept, x * scale, torch.zeros_like(x))
        return function
    for threshold, scale in ((2**22, 4 / 3), (5033165, 1 / 0.7), (0, 1.0), (2**24, 0.1)):
        g.case(f"below{threshold}", [g.real(15), values], apply(threshold, scale), {}, [threshold, scale], gradient=True)
    g.case("f32", [g.real(15, dtype="f32"), values], apply(5033165, 1.25), {}, [5033165, 1.25])
