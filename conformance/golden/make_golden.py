#!/usr/bin/env python3
"""Writes golden.json into its own folder: calls of every op with expected values from NumPy, PyTorch or a short exact
formula, and derivatives of first and second order by torch.autograd. golden_test.cpp compares the oracle with them.

    pip install numpy torch mpmath
    python make_golden.py             writes golden.json
    python make_golden.py --check     checks that golden.json is what this script writes with these versions

Everything is deterministic. The cases are in the modules imported below, one function per op or group of similar ops.
book.py defines what a case is and how it is written.
"""
import pathlib
import sys
import tempfile

import mpmath
import numpy
import torch

import book
import conversions  # noqa: F401  (these register their ops)
import elementwise  # noqa: F401
import movement  # noqa: F401
import networks  # noqa: F401
import randomness  # noqa: F401
import reductions  # noqa: F401
import updates  # noqa: F401

EXCEPTIONS = {
    "to_device": "moves elements between devices; there is nothing to compute",
}


def write(path):
    cases = []
    for op, write_cases in book.REGISTRY.items():
        section = book.Section(op)
        write_cases(section)
        assert section.cases, op
        cases += section.cases
    versions = {"numpy": numpy.__version__, "torch": torch.__version__.split("+")[0], "mpmath": mpmath.__version__}
    book.write_file(path, {"versions": versions, "exceptions": EXCEPTIONS}, cases)
    print(f"{len(cases)} cases of {len(book.REGISTRY)} ops, {path.stat().st_size} bytes")


def main():
    torch.set_num_threads(1)  # one order of summation
    target = pathlib.Path(__file__).resolve().parent / "golden.json"
    if sys.argv[1:] != ["--check"]:
        write(target)
        return
    with tempfile.TemporaryDirectory() as folder:
        fresh = pathlib.Path(folder) / "golden.json"
        write(fresh)
        if fresh.read_text() != target.read_text():
            sys.exit("golden.json differs from what this script writes")


if __name__ == "__main__":
    main()
