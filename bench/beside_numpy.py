#!/usr/bin/env python3
"""Compares the cost of an add of 8 f32 numbers with NumPy's, in turns:

bench/beside_numpy.py build/release/bin/overhead_benchmark [ROUNDS]

Prints nanoseconds of CPU time for each round, and the ratios of the best rounds. Other programs on the machine only ever make a
round slower, so the best one is the nearest to the cost itself.
"""
import json
import subprocess
import sys
import time
import timeit

import numpy

BENCHMARKS = ["add size-8", "add size-8 recorded"]  # of bench/overhead.cpp
CALLS = 500_000  # take about as long as a benchmark of a round, so that each time is a mean over as much of it


def of_lockstep(binary):
    """Nanoseconds per call, by benchmark."""
    names = "|".join(BENCHMARKS)
    command = [binary, f"--benchmark_filter=^({names})$", "--benchmark_format=json", "--benchmark_min_time=0.2"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    by_name = {b["name"]: b["per call"] * 1e9 for b in found["benchmarks"]}
    return [by_name[name] for name in BENCHMARKS]


def of_numpy():
    """Nanoseconds per call of numpy.add from Python, which is how programs call it."""
    a, b = (numpy.random.default_rng(seed).standard_normal(8, dtype=numpy.float32) for seed in (1, 2))
    timer = timeit.Timer("add(a, b)", globals={"add": numpy.add, "a": a, "b": b}, timer=time.process_time)
    return timer.timeit(CALLS) / CALLS * 1e9


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    rounds = int(sys.argv[2]) if len(sys.argv) == 3 else 6
    columns = [*BENCHMARKS, f"NumPy {numpy.__version__}"]
    print("".join(f"{name:>22}" for name in ["round", *columns]))
    best = [float("inf")] * len(columns)
    for i in range(rounds):
        times = [*of_lockstep(sys.argv[1]), of_numpy()]
        best = [min(pair) for pair in zip(best, times)]
        print(f"{i + 1:>22}" + "".join(f"{t:>19.0f} ns" for t in times), flush=True)
    for name, t in zip(BENCHMARKS, best):
        print(f"{name}: {t / best[-1]:.2f} of NumPy's time")


if __name__ == "__main__":
    main()
