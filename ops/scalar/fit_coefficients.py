#!/usr/bin/env python3
"""Fits and prints the coefficients that the *.inc files of this folder hold. Needs mpmath; takes about a minute.

    fit_coefficients.py             prints every table, lowest degree first
    fit_coefficients.py exp_f32 …   prints those tables
    fit_coefficients.py --check     prints what the *.inc files beside it lack; silent when all is there

Each table is a weighted minimax fit by the Remez exchange: it minimises max |weight(x) (f(x) - P(x) / Q(x))| with
Q(0) = 1. The weight turns an error of the fitted part into a relative error of the function. The coefficients are then
rounded to their type and polished in their last places; the printed error is that of the result.
"""
import pathlib
import struct
import sys

import mpmath
from mpmath import atanh, cos, erf, erfc, erfinv, exp, ln, log1p, matrix, mp, mpf, pi, polyval, sin, sqrt

mp.dps = 50
SQRT2 = sqrt(mpf(2))


def round_to(x, bits):
    """x rounded to a number of mantissa bits; 24 and 53 are f32 and f64."""
    m, e = mpmath.frexp(x)
    return mpmath.ldexp(mpmath.nint(mpmath.ldexp(m, bits)), e - bits)


class Fit:
    def __init__(self, f, weight, low, high, degrees):
        self.n, self.m = degrees
        self.count = self.n + self.m + 2  # points where the error alternates
        size = 40 * self.count
        mid, radius = (mpf(low) + high) / 2, (mpf(high) - low) / 2
        self.x = [mid - radius * cos(pi * (i + mpf(1) / 2) / size) for i in range(size)]
        self.f = [f(x) for x in self.x]
        self.w = [weight(x) for x in self.x]

    def solve(self, reference, q):
        """P, Q and the levelled error on the reference points; linear, because the last Q scales the error."""
        a, b = matrix(self.count, self.count), matrix(self.count, 1)
        for row, i in enumerate(reference):
            x = self.x[i]
            for k in range(self.n + 1):
                a[row, k] = x**k
            for k in range(1, self.m + 1):
                a[row, self.n + k] = -self.f[i] * x**k
            a[row, self.count - 1] = (-1)**row * polyval(q[::-1], x) / self.w[i]
            b[row] = self.f[i]
        solution = list(mpmath.lu_solve(a, b))
        return solution[:self.n + 1], [mpf(1)] + solution[self.n + 1:-1], abs(solution[-1])

    def error(self, p, q):
        return [w * (f - polyval(p[::-1], x) / polyval(q[::-1], x)) for x, f, w in zip(self.x, self.f, self.w)]

    def exchange(self, error):
        """The largest error of each run of equal signs, cut at the ends to as many as are needed."""
        peaks = []
        for i, e in enumerate(error):
            if peaks and (error[peaks[-1]] > 0) == (e > 0):
                if abs(e) > abs(error[peaks[-1]]):
                    peaks[-1] = i
            else:
                peaks.append(i)
        while len(peaks) > self.count:
            peaks.pop(0 if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else -1)
        return peaks

    def rounded(self, bits):
        """Numerator and denominator rounded to the type, and their error."""
        reference = [round(i * (len(self.x) - 1) / mpf(self.count - 1)) for i in range(self.count)]
        q = [mpf(1)] + [mpf(0)] * self.m
        for _ in range(40):
            for _ in range(10 if self.m else 1):
                p, q, level = self.solve(reference, q)
            error = self.error(p, q)
            reference = self.exchange(error)
            if max(map(abs, error)) < level * mpf("1.001"):
                break
        else:
            raise ArithmeticError("the exchange did not converge")
        return self.polished([[round_to(c, bits) for c in side] for side in (p, q)], bits)

    def polished(self, sides, bits):
        """Single coefficients moved by an ULP or two while that lowers the error."""
        best = max(map(abs, self.error(*sides)))
        moved = True
        while moved:
            moved = False
            for side, k in [(0, k) for k in range(self.n + 1)] + [(1, k) for k in range(1, self.m + 1)]:
                for ulps in (-2, -1, 1, 2):
                    old = sides[side][k]
                    sides[side][k] = old + mpmath.ldexp(ulps, mpmath.frexp(old)[1] - bits)
                    worst = max(map(abs, self.error(*sides)))
                    if worst < best * mpf("0.999"):
                        best, moved = worst, True
                    else:
                        sides[side][k] = old
        return sides[0], sides[1], best


# -------------------------------------------------------------------------------------------------- what is fitted

def exp_tail(r):
    """(e^r - 1 - r) / r^2"""
    return (exp(r) - 1 - r) / r**2


def log_tail(f):
    """(log(1 + f) - f + f^2 / 2) / f^3"""
    return (log1p(f) - f + f * f / 2) / f**3


def atanh_tail(z):
    """(log((1 + s) / (1 - s)) - 2 s) / (s z) with z = s^2"""
    s = sqrt(z)
    return (2 * atanh(s) - 2 * s) / (s * z)


def atanh_second_tail(z):
    """atanh(s) / s = 1 + z / 3 + z^2 * this"""
    return ((atanh(sqrt(z)) / sqrt(z) - 1) / z - mpf(1) / 3) / z


def erf_exponent(x):
    """-log(erfc(x)) / x - 1: erf(x) = 1 - e^-(x + x * this)"""
    return -ln(erfc(x)) / x - 1


def normal_tail(x):
    """Phi(-x) e^(x^2 / 2)"""
    return erfc(x / SQRT2) / 2 * exp(x * x / 2)


def tail_bend(x):
    """V in Phi(-x) e^(x^2 / 2) = 1 / (2 + 2 x (1 + V)), where V is small for small x and never large"""
    return (1 / normal_tail(x) - 2) / (2 * x) - 1


def central_quantile(y):
    """Quantile of 1/2 + q over q, less 2.5, with y = 0.375^2 - q^2"""
    q = sqrt(mpf("0.375")**2 - y)
    return SQRT2 * erfinv(2 * q) / q - mpf("2.5")


def tail_quantile(s):
    """Quantile of 1 - p less v, with v = sqrt(-log p) = s + 1.4375; by Newton's method on log Phi"""
    v = s + mpf("1.4375")
    z = SQRT2 * v
    for _ in range(80):
        p = erfc(z / SQRT2) / 2
        step = (-ln(p) - v * v) * p * sqrt(2 * pi) * exp(z * z / 2)
        z -= step
        if abs(step) < mpf(10)**-44 * z:
            break
    return z - v


def sin_tail(z):
    """(sin(r) - r) / r^3 with z = r^2"""
    r = sqrt(z)
    return (sin(r) - r) / (r * z)


def cos_tail(z):
    """(cos(r) - 1 + r^2 / 2) / r^4 with z = r^2"""
    return (cos(sqrt(z)) - 1 + z / 2) / (z * z)


TURN_RANGE = (0, mpf("0.6171"))                    # (pi / 4)^2 and what rounding adds
EXP_RANGE = (-0.3469, 0.3469)                      # ln2 / 2 and what rounding adds
LOG_RANGE = (1 / SQRT2 - 1, SQRT2 - 1)
ATANH_RANGE = (0, ((SQRT2 - 1) / (SQRT2 + 1))**2)  # s = f / (2 + f)
CENTRAL_RANGE = (0, mpf("0.375")**2)
tail_range = lambda exponent: (sqrt(ln(mpf(8))) - mpf("1.4375"), sqrt(mpf(exponent)) - mpf("1.4375"))
central_weight = lambda y: 1 / (central_quantile(y) + mpf("2.5"))
tail_weight = lambda s: 1 / (tail_quantile(s) + s + mpf("1.4375"))
exp_weight = lambda r: r * r / exp(r)
log_weight = lambda f: f**3 / log1p(f)
sin_weight = lambda z: z * sqrt(z) / sin(sqrt(z))
cos_weight = lambda z: z * z / cos(sqrt(z))
erf_weight = lambda x: x * erfc(x) / erf(x)

FITS = {  # name: (mantissa bits, function, weight, range, degrees of numerator and denominator)
    "exp_f32": (24, exp_tail, exp_weight, EXP_RANGE, (4, 0)),
    "exp_f64": (53, exp_tail, exp_weight, EXP_RANGE, (9, 0)),
    "log_f32": (24, log_tail, log_weight, LOG_RANGE, (7, 0)),
    "log_f64": (53, atanh_tail, lambda z: z / 2, ATANH_RANGE, (6, 0)),
    "pow_f32": (24, atanh_second_tail, lambda z: z * z, ATANH_RANGE, (2, 0)),
    "pow_f64": (53, atanh_second_tail, lambda z: z * z, ATANH_RANGE, (6, 0)),
    "erf_f32": (24, erf_exponent, erf_weight, (0, 4), (9, 0)),
    "erf_f64": (53, erf_exponent, erf_weight, (0, 6), (24, 0)),
    "gelu_f32": (24, tail_bend, lambda x: 2 * x * normal_tail(x), (0, 14.6), (4, 4)),
    "gelu_f64": (53, tail_bend, lambda x: 2 * x * normal_tail(x), (0, 38.8), (10, 10)),
    "sin_f32": (24, sin_tail, sin_weight, TURN_RANGE, (3, 0)),
    "sin_f64": (53, sin_tail, sin_weight, TURN_RANGE, (5, 0)),
    "cos_f32": (24, cos_tail, cos_weight, TURN_RANGE, (2, 0)),
    "cos_f64": (53, cos_tail, cos_weight, TURN_RANGE, (5, 0)),
    "central_quantile_f32": (24, central_quantile, central_weight, CENTRAL_RANGE, (3, 3)),
    "central_quantile_f64": (53, central_quantile, central_weight, CENTRAL_RANGE, (7, 7)),
    "tail_quantile_f32": (24, tail_quantile, tail_weight, tail_range(104), (4, 4)),
    "tail_quantile_f64": (53, tail_quantile, tail_weight, tail_range(745), (11, 10)),
}


def split(x, bits, mantissa):
    """x as a number with few mantissa bits, whose products are exact, and the rest."""
    high = round_to(x, bits)
    return [high, round_to(x - high, mantissa)]


def parts(x, sizes, mantissa):
    """x as several numbers with these mantissa bits, and the rest."""
    result = []
    for bits in sizes:
        # Rounded toward zero, so that no part is negative.
        m, e = mpmath.frexp(x)
        result.append(mpmath.ldexp(mpmath.floor(mpmath.ldexp(m, bits)), e - bits))
        x -= result[-1]
    return result + [round_to(x, mantissa)]


def gelu_tanh_constants(bits, mantissa):
    slope = 2 * sqrt(2 / pi)
    return split(slope, bits, mantissa) + split(slope * mpf("0.044715"), bits, mantissa)


CONSTANTS = {  # name: (mantissa bits, values)
    "ln2_f32": (24, split(ln(2), 16, 24)),
    "ln2_f64": (53, split(ln(2), 42, 53)),
    "half_pi_f32": (24, split(pi / 2, 12, 24)),
    "half_pi_f64": (53, parts(pi / 2, [24, 24, 24, 24], 53)),
    "inverse_half_pi_f64": (53, [round_to(2 / pi, 53)]),
    "third_f32": (24, split(mpf(1) / 3, 12, 24)),
    "third_f64": (53, split(mpf(1) / 3, 26, 53)),
    "gelu_tanh_f32": (24, gelu_tanh_constants(12, 24)),
    "gelu_tanh_f64": (53, gelu_tanh_constants(26, 53)),
}


def text(x, bits):
    """The shortest decimal text that reads back as x."""
    for digits in range(1, 18):
        candidate = f"{float(x):.{digits}g}"
        value = float(candidate)
        if (struct.unpack("f", struct.pack("f", value))[0] if bits == 24 else value) == float(x):
            return candidate if "." in candidate or "e" in candidate else candidate + ".0"
    raise ValueError(x)


def tables(names):
    for name in names:
        if name in CONSTANTS:
            bits, values = CONSTANTS[name]
            yield name, "", [text(v, bits) for v in values]
            continue
        bits, f, weight, (low, high), degrees = FITS[name]
        p, q, error = Fit(f, weight, low, high, degrees).rounded(bits)
        note = f"  # error 2^{float(mpmath.log(error, 2)):.1f}"
        yield name, note, [text(c, bits) for c in p]
        if degrees[1]:
            yield name + " denominator", "", [text(c, bits) for c in q]


def main(arguments):
    check = "--check" in arguments
    names = [a for a in arguments if a != "--check"] or [*CONSTANTS, *FITS]
    sources = "".join(p.read_text() for p in pathlib.Path(__file__).parent.glob("*.inc")) if check else ""
    for name, note, values in tables(names):
        if not check:
            print(f"{name}{note}\n  " + "\n  ".join(values), flush=True)
            continue
        for value in values:
            if f"({value})" not in sources:
                print(f"{name}: {value} is in no *.inc file")


if __name__ == "__main__":
    main(sys.argv[1:])
