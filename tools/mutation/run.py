"""Puts faults into the sources, one at a time, and sees whether the tests notice.

    tools/mutation_test runtime/memory/pool.cpp      every fault that the rules make of a file
    tools/mutation_test --sample 20                  some of all files, drawn by --seed
    tools/mutation_test --hand                       the faults of faults.py, which were made by hand
    tools/mutation_test --fault NAME                 one fault, with what the test that noticed it printed

A fault is killed when a test fails, crashes or runs ten times as long as it should. It lives when all tests pass: then write the
test that is missing, or say in survivors.md why there can be none. --tests says which tests are asked: those labelled `fast` (as
unless told otherwise), with `usual` also the others of `./run_tests`, with `full` also those of `./run_tests --full`; slower ones
only where faster ones say nothing.

Your sources are only read. The build lies in build/mutation; do not edit headers while this runs.
"""
import argparse
import collections
import concurrent.futures
import dataclasses
import os
import pathlib
import queue
import random
import re
import subprocess
import sys

import faults as by_hand
import rules
from reach import Reach
from suite import TIERS, Suite, tests_up_to
from table import HEAD, Table, row, totals
from workplace import INTERNAL, ROOT, SHARED, BuildFailed, Place, Source, build, configure

FOLDERS = ("runtime", "ops", "autodiff", "nn")
SURVIVORS = pathlib.Path(__file__).with_name("survivors.md")


@dataclasses.dataclass(frozen=True)
class Verdict:
    kind: str  # killed; lives; refused by the compiler; same: the machine code does not change
    test: str = ""
    tier: str = ""
    output: str = ""


def sources():
    listed = subprocess.run(["git", "ls-files", *(f"{folder}/*.cpp" for folder in FOLDERS)], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout.split()
    # pool_std.cpp is built only without OpenMP.
    return [file for file in listed if not file.endswith(("_test.cpp", "/pool_std.cpp")) and "/test_" not in file]


def by_rule(file):
    return rules.faults_of(file, (ROOT / file).read_text())


def drawn(count, seed, with_hand):
    """Draws a folder, then a file, then a fault, so that long files do not dominate. If `with_hand`, a third are faults made by hand."""
    draw = random.Random(seed)
    found = {f.name: f for f in draw.sample(by_hand.all_faults(ROOT), count // 3)} if with_hand else {}
    files = {folder: [f for f in sources() if f.startswith(folder)] for folder in FOLDERS}
    while len(found) < count:
        candidates = by_rule(draw.choice(files[FOLDERS[len(found) % len(FOLDERS)]]))
        if candidates:
            fault = draw.choice(candidates)
            found[fault.name] = fault
    return list(found.values())


def chosen(options):
    if options.fault:
        pool = {f.name: f for f in [*(f for file in sources() for f in by_rule(file)), *by_hand.all_faults(ROOT)]}
        if unknown := [name for name in options.fault if name not in pool]:
            sys.exit(f"there is no fault {unknown[0]}; the names are in the table that a run prints")
        return [pool[name] for name in options.fault]
    if options.files:
        return [f for file in options.files for f in by_rule(file)]
    return drawn(options.sample, options.seed, options.hand) if options.sample else by_hand.all_faults(ROOT)


class Judge:
    def __init__(self, suite, jobs):
        self.suite = suite
        self.places = queue.Queue()
        for number in range(jobs):
            self.places.put(Place(number))
        self.sound = Place("sound")
        self.sound.link_sound()
        self.sources = {}

    def measure(self, tests, jobs):
        places = [self.places.get() for _ in range(jobs)]
        waiting = collections.deque(tests)

        def work(place):
            place.link_sound()
            while waiting:
                self.suite.measure(waiting.popleft(), place)

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for done in [pool.submit(work, place) for place in places]:
                done.result()
        for place in places:
            self.places.put(place)

    def source(self, file):
        if file not in self.sources:
            self.sources[file] = Source(file)
        return self.sources[file]

    def __call__(self, fault):
        place = self.places.get()
        try:
            return self.judged(fault, place)
        finally:
            self.places.put(place)

    def judged(self, fault, place):
        source = self.source(fault.file)
        lines = source.text.split("\n")
        if lines[fault.line - 1] != fault.before:
            raise ValueError(f"{fault.name}: line {fault.line} is another now")
        lines[fault.line - 1] = fault.after
        faulty = source.compile("\n".join(lines), place.folder)
        if not faulty or not place.link(source, faulty, INTERNAL):
            return Verdict("refused")
        linked_for_programs = False
        for test in self.suite.in_order(source):
            if test.tier != "fast" and not linked_for_programs:
                linked_for_programs = place.link(source, faulty, SHARED)
            outcome, output = self.outcome(test, place)
            if outcome != "passed":
                self.suite.note(fault.file, test)
                return Verdict("killed", test.name, test.tier, f"{output}\n{outcome}")
        # This check comes last, because few faults reach it.
        code = faulty.read_bytes()
        return Verdict("same" if source.compile(source.text, place.folder).read_bytes() == code else "lives")

    def outcome(self, test, place):
        """Runs a test. If the result is in doubt (it did not end, say), the test must pass with the sound library at the same load."""
        outcome, output = test.run(place)
        if outcome == "passed" or (outcome == "failed" and test.seconds):
            return outcome, output
        limit = test.timeout
        with self.suite.sound_lock:
            self.suite.measure(test, self.sound, again=True)
        return test.run(place) if outcome == "endless" and test.timeout > limit else (outcome, output)


def explained():
    return set(re.findall(r"`([\w/.]+:[\w-]+:[0-9a-f]{8})`", SURVIVORS.read_text())) if SURVIVORS.exists() else set()


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hand", action="store_true", help="with --sample: a third of the sample")
    parser.add_argument("--fault", action="append", help="may be given more than once")
    parser.add_argument("--tests", choices=TIERS, default="fast")
    parser.add_argument("--at-least", type=float, default=100, metavar="PERCENT", help="how many must be killed for the status 0")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="faults that are judged at the same time")
    parser.add_argument("--table", type=pathlib.Path,
                        help="a Markdown file with every fault and what became of it; faults that it has already are not judged again")
    parser.add_argument("--totals", type=pathlib.Path, nargs="+", metavar="TABLE", help="counts what such files hold, and does nothing else")
    options = parser.parse_args()
    if not (options.files or options.sample or options.hand or options.fault or options.totals):
        parser.error("name a file, --sample, --hand or --fault")
    return options


def prepared(options):
    configure()
    build([t.name for t in tests_up_to("fast")] if options.tests == "fast" else None)
    tests = tests_up_to(options.tests)
    judge = Judge(Suite(tests, Reach()), options.jobs)
    judge.measure([t for t in tests if t.tier == "fast"], options.jobs)
    return judge


def main():
    options = parsed()
    if options.totals:
        print(totals(options.totals, explained()))
        return 0
    table, known = Table(options.table), explained()
    todo = chosen(options)
    skipped = [f for f in todo if f.name in known and not options.fault]
    todo = [f for f in todo if f not in skipped and f.name not in table.done]
    try:
        judge = prepared(options)
    except (BuildFailed, RuntimeError) as e:
        sys.exit(str(e))
    judged = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running = {pool.submit(judge, fault): fault for fault in todo}
        for done in concurrent.futures.as_completed(running):
            fault, verdict = running[done], done.result()
            judged.append((fault, verdict))
            table.add(fault, verdict)
            print(f"[{len(judged)}/{len(todo)}] {verdict.kind:8} {fault.name} {verdict.test}", flush=True)
            if options.fault:
                print(verdict.output)
    return summary(judged, len(skipped), options.at_least)


def summary(judged, explained_count, at_least):
    kinds = collections.Counter(verdict.kind for _, verdict in judged)
    alive = [(fault, verdict) for fault, verdict in judged if verdict.kind == "lives"]
    if alive:
        print("\n" + HEAD + "".join(row(*pair) for pair in alive))
        print("Those need a test, or an explanation in tools/mutation/survivors.md.")
    real = kinds["killed"] + kinds["lives"]
    print(f"{kinds['killed']} of {real} faults killed; {kinds['same'] + kinds['refused']} changed nothing or were refused by the "
          f"compiler; {explained_count} are explained in survivors.md and were not tried")
    return 0 if kinds["killed"] >= real * at_least / 100 else 1


if __name__ == "__main__":
    sys.exit(main())
