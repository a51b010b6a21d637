"""Rounds once to a floating format, to nearest even, in exact arithmetic."""
import math
from fractions import Fraction

# precision in bits, exponent of the smallest subnormal, exponent past the largest number
FORMATS = {"f32": (24, -149, 128), "f64": (53, -1074, 1024), "f16": (11, -24, 16), "bf16": (8, -133, 128)}


def round_once(value, dtype):
    """The nearest number of the format, as a float. `value` is a float, an int or a Fraction of any size."""
    if isinstance(value, float) and (not math.isfinite(value) or value == 0):
        return value
    precision, least, limit = FORMATS[dtype]
    exact = Fraction(value)
    magnitude, sign = abs(exact), -1.0 if exact < 0 else 1.0
    if magnitude == 0:
        return 0.0
    exponent = floor_log2(magnitude)
    unit = Fraction(2) ** max(exponent - precision + 1, least)
    rounded = round(magnitude / unit) * unit  # Python's round() of a Fraction takes ties to even
    return sign * (math.inf if rounded >= Fraction(2) ** limit else float(rounded))


def floor_log2(magnitude):
    estimate = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return estimate if Fraction(2) ** estimate <= magnitude else estimate - 1
