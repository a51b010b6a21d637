"""Writes derivatives.json: derivatives of first to third order of the smooth functions of one number, by mpmath to 120
digits. derivatives_test.cpp compares every device with them. The third order only says how much a rounding of x matters.

    python3 derivatives.py        # needs mpmath alone
"""
import json
import pathlib

import mpmath
from mpmath import mpf

mpmath.mp.dps = 120

# Numbers that are exact in f32, over the whole range in which the derivatives are not 0.
SIDES = ["0.0009765625", "0.125", "0.5", "0.75", "1", "1.4140625", "1.75", "2", "2.5", "3", "3.5", "4", "4.5",
         "4.9619998931884765625", "5.5", "6", "7", "8", "9.5", "11", "12.75", "14", "20", "40", "80"]
AROUND = ["0"] + [s + x for x in SIDES for s in ("", "-")]
POSITIVE = ["1e-30", "0.0009765625", "0.25", "1", "3", "100", "1e30"]


def gelu_tanh(x):
    # x/2 (1 + tanh u) = x / (1 + exp(-2 u)). The second form does not cancel.
    return x / (1 + mpmath.exp(-mpmath.sqrt(8 / mpmath.pi) * (x + mpf("0.044715") * x**3)))


FUNCTIONS = {
    "tanh": (lambda x: 1 - 2 / (1 + mpmath.exp(2 * x)), AROUND),
    "sigmoid": (lambda x: 1 / (1 + mpmath.exp(-x)), AROUND),
    # erf up to a constant, chosen so that the values are small where the function is flat.
    "erf": (lambda x: -mpmath.erfc(x) if x > 1.2 else mpmath.erfc(-x) if x < -1.2 else mpmath.erf(x), AROUND),
    "gelu": (lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2, AROUND),
    "gelu_tanh": (gelu_tanh, AROUND),
    "silu": (lambda x: x / (1 + mpmath.exp(-x)), AROUND),
    "exp": (mpmath.exp, AROUND),
    "sin": (mpmath.sin, AROUND),
    "cos": (mpmath.cos, AROUND),
    "log": (mpmath.log, POSITIVE),
    "sqrt": (mpmath.sqrt, POSITIVE),
    "rsqrt": (lambda x: 1 / mpmath.sqrt(x), POSITIVE),
}


def main():
    rows = []
    for name, (function, points) in FUNCTIONS.items():
        for point in points:
            x = mpf(float(point))
            rows.append([name, float(x)] + [float(mpmath.diff(function, x, n)) for n in (1, 2, 3)])
    text = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
    (pathlib.Path(__file__).parent / "derivatives.json").write_text(text)


main()
