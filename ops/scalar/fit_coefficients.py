#!/usr/bin/env python3
"""Fits and prints the coefficients that the *.inc files of this folder hold. Needs mpmath; takes some minutes.

    fit_coefficients.py             prints every table, lowest degree first
    fit_coefficients.py exp_f32 …   prints those tables
    fit_coefficients.py --check     prints what the *.inc files beside it lack; silent when all is there

Each table is a weighted minimax fit by the Remez exchange: it minimises max |weight(x) (f(x) - P(x) / Q(x))| with
Q(0) = 1. Coefficients are rounded to their type one by one, lowest degree first, and the rest is fitted again around
each rounded one, so that rounding costs next to nothing. The weight is what turns an error of the fitted part into a
relative error of the function.
"""
import pathlib
import struct
import sys

import mpmath
from mpmath import atanh, cos, erf, erfc, erfinv, exp, ln, log1p, matrix, mp, mpf, pi, polyval, sqrt

mp.dps = 50
SQRT2 = sqrt(mpf(2))


def round_to(x, bits):
    """x rounded to a number of mantissa bits; 24 and 53 are f32 and f64."""
    m, e = mpmath.frexp(x)
    return mpmath.ldexp(mpmath.nint(mpmath.ldexp(m, bits)), e - bits)


class Fit:
    """One minimax fit; known[0] and known[1] hold numerator and denominator coefficients that are already rounded."""

    def __init__(self, f, weight, low, high, degrees):
        self.degrees = degrees
        self.known = [{}, {0: mpf(1)}]
        size = 40 * (sum(degrees) + 2)
        mid, radius = (mpf(low) + high) / 2, (mpf(high) - low) / 2
        self.x = [mid - radius * cos(pi * (i + mpf(1) / 2) / size) for i in range(size)]
        self.f = [f(x) for x in self.x]
        self.w = [weight(x) for x in self.x]

    def solve(self, reference, p, q):
        """P, Q and the levelled error on the reference points; linear, because Q of the last round scales the error."""
        unknown = [(side, k) for side in (0, 1) for k in range(self.degrees[side] + 1) if k not in self.known[side]]
        a, b = matrix(len(reference), len(unknown) + 1), matrix(len(reference), 1)
        for row, i in enumerate(reference):
            x, factors = self.x[i], (mpf(1), -self.f[i])
            for column, (side, k) in enumerate(unknown):
                a[row, column] = factors[side] * x**k
            a[row, len(unknown)] = (-1)**row * polyval(q[::-1], x) / self.w[i]
            b[row] = -sum(factors[side] * c * x**k for side in (0, 1) for k, c in self.known[side].items())
        solution = mpmath.lu_solve(a, b)
        for (side, k), c in zip(unknown, solution):
            (p, q)[side][k] = c
        return solution[len(unknown)]

    def exchange(self, count, error):
        """The largest error of each run of equal signs, cut to `count` points at the ends."""
        peaks = []
        for i, e in enumerate(error):
            if peaks and (error[peaks[-1]] > 0) == (e > 0):
                if abs(e) > abs(error[peaks[-1]]):
                    peaks[-1] = i
            else:
                peaks.append(i)
        while len(peaks) > count:
            peaks.pop(0 if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else -1)
        return peaks

    def run(self):
        """Numerator and denominator with what is known kept; also the error."""
        p, q = [[self.known[side].get(k, mpf(0)) for k in range(self.degrees[side] + 1)] for side in (0, 1)]
        free = sum(self.degrees) + 2 - len(self.known[0]) - len(self.known[1])
        reference = [round(i * (len(self.x) - 1) / mpf(free)) for i in range(free + 1)]
        for _ in range(25):
            for _ in range(8 if self.degrees[1] else 1):
                level = self.solve(reference, p, q)
            error = [w * (f - polyval(p[::-1], x) / polyval(q[::-1], x)) for x, f, w in zip(self.x, self.f, self.w)]
            worst = max(abs(e) for e in error)
            peaks = self.exchange(free + 1, error)
            if worst < abs(level) * mpf("1.001") or len(peaks) < free + 1:
                break
            reference = peaks
        return p, q, worst

    def rounded(self, bits):
        for k in range(max(self.degrees) + 1):
            for side in (0, 1):
                if k > self.degrees[side] or k in self.known[side]:
                    continue
                p, q, _ = self.run()
                self.known[side][k] = round_to((p, q)[side][k], bits)
        p, q = [[self.known[side][k] for k in range(self.degrees[side] + 1)] for side in (0, 1)]
        ratio = [polyval(p[::-1], x) / polyval(q[::-1], x) for x in self.x]
        return p, q, max(abs(w * (f - r)) for f, w, r in zip(self.f, self.w, ratio))


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


def central_quantile(z):
    """Quantile of 1/2 + q over q, with z = q^2"""
    return SQRT2 * erfinv(2 * sqrt(z)) / sqrt(z)


def tail_quantile(v):
    """z with Phi(-z) = e^(-v^2), by Newton's method on log Phi"""
    z = SQRT2 * v
    for _ in range(80):
        p = erfc(z / SQRT2) / 2
        step = (-ln(p) - v * v) * p * sqrt(2 * pi) * exp(z * z / 2)
        z -= step
        if abs(step) < mpf(10)**-44 * z:
            break
    return z


EXP_RANGE = (-0.3469, 0.3469)                      # ln2 / 2 and what rounding adds
LOG_RANGE = (1 / SQRT2 - 1, SQRT2 - 1)
ATANH_RANGE = (0, ((SQRT2 - 1) / (SQRT2 + 1))**2)  # s = f / (2 + f)
exp_weight = lambda r: r * r / exp(r)
log_weight = lambda f: f**3 / log1p(f)
erf_weight = lambda x: x * erfc(x) / erf(x)
relative = lambda f: lambda x: 1 / f(x)
CENTRAL_RANGE = (0, mpf(0.4)**2)
TAIL_START = sqrt(-ln(mpf(0.1)))

FITS = {  # name: (mantissa bits, function, weight, range, degrees of numerator and denominator)
    "exp_f32": (24, exp_tail, exp_weight, EXP_RANGE, (4, 0)),
    "exp_f64": (53, exp_tail, exp_weight, EXP_RANGE, (9, 0)),
    "log_f32": (24, log_tail, log_weight, LOG_RANGE, (7, 0)),
    "log_f64": (53, atanh_tail, lambda z: z / 2, ATANH_RANGE, (6, 0)),
    "pow_f32": (24, atanh_second_tail, lambda z: z * z, ATANH_RANGE, (2, 0)),
    "pow_f64": (53, atanh_second_tail, lambda z: z * z, ATANH_RANGE, (6, 0)),
    "erf_f32": (24, erf_exponent, erf_weight, (0, 4), (9, 0)),
    "erf_f64": (53, erf_exponent, erf_weight, (0, 6), (24, 0)),
    "gelu_f32": (24, normal_tail, relative(normal_tail), (0, 14.6), (4, 5)),
    "gelu_f64": (53, normal_tail, relative(normal_tail), (0, 38.8), (10, 10)),
    "central_quantile_f32": (24, central_quantile, relative(central_quantile), CENTRAL_RANGE, (3, 3)),
    "central_quantile_f64": (53, central_quantile, relative(central_quantile), CENTRAL_RANGE, (7, 7)),
    "tail_quantile_f32": (24, tail_quantile, relative(tail_quantile), (TAIL_START, sqrt(mpf(104))), (4, 4)),
    "tail_quantile_f64": (53, tail_quantile, relative(tail_quantile), (TAIL_START, sqrt(mpf(745))), (11, 10)),
}


def split(x, bits, mantissa):
    """x as a number with few mantissa bits, whose products are exact, and the rest."""
    high = round_to(x, bits)
    return [high, round_to(x - high, mantissa)]


def gelu_tanh_constants(bits, mantissa):
    slope = 2 * sqrt(2 / pi)
    return split(slope, bits, mantissa) + split(slope * mpf("0.044715"), bits, mantissa)


CONSTANTS = {  # name: (mantissa bits, values)
    "ln2_f32": (24, split(ln(2), 16, 24)),
    "ln2_f64": (53, split(ln(2), 42, 53)),
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
