"""The tests that run on a fault: their selection, their order, and limits so that no fault can harm the machine."""
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

from workplace import INTERNAL, WORK, described_tests

TIERS = ("fast", "usual", "full")  # takes seconds; other tests of `./run_tests`; only in `./run_tests --full`
# Tests of the build rather than the code; tests of other processor levels; tests of mutated drivers, which take hours.
LEFT_OUT = re.compile(r"^(driver_ops_test|loading_from_.*|dlpack_with_.*|vulkan_.*|.*_v[234]|install_and_find_package|driver_template.*|mutation.*|"
                      r"mutants_(honest|\d))$")
# A fault may allocate memory or write to a file without limit.
LIMITS = f"ulimit -c 0; ulimit -f {4 << 20}; ulimit -v {{kilobytes}}; exec \"$@\""
SECONDS_AT_MOST = {"fast": 600, "usual": 1200, "full": 3600}


def memory_limit():
    """Half of the machine's memory, in kB. No test needs that much."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2048


class Test:
    def __init__(self, described):
        self.name, self.command = described["name"], described.get("command")  # no command before the test is built
        properties = {p["name"]: p["value"] for p in described.get("properties", [])}
        labels = properties.get("LABELS", [])
        # cli_test needs the whole command line, which takes longer to build than all other fast tests.
        self.tier = "full" if "full" in labels else "fast" if "fast" in labels and described["name"] != "cli_test" else "usual"
        self.environment = dict(entry.split("=", 1) for entry in properties.get("ENVIRONMENT", []))
        self.folder = properties.get("WORKING_DIRECTORY", str(WORK))
        self.seconds = None  # time without a fault; None until it has run

    @property
    def timeout(self):
        most = SECONDS_AT_MOST[self.tier]
        return min(most, max(20.0, 10 * self.seconds)) if self.seconds else most

    def run(self, place):
        """Runs the test with the library in `place`. Returns "passed", "failed" or "endless", and the end of the test's output."""
        place.clean()
        output = place.folder / "output.txt"
        command = ["sh", "-c", LIMITS.format(kilobytes=memory_limit()), "sh", *self.command]
        with output.open("w") as file:
            process = subprocess.Popen(command, cwd=self.folder, env={**place.environment, **self.environment}, stdin=subprocess.DEVNULL,
                                       stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                outcome = "failed" if process.wait(timeout=self.timeout) else "passed"
            except subprocess.TimeoutExpired:
                outcome = "endless"
            finally:
                end_group(process)
        return outcome, last_part(output)


def end_group(process):
    """Kills the test and all processes that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def last_part(path):
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 3000))
        return file.read().decode(errors="replace")


def tests_up_to(tier):
    tests = [Test(d) for d in described_tests() if not LEFT_OUT.match(d["name"])]
    return [t for t in tests if TIERS.index(t.tier) <= TIERS.index(tier)]


def stored(path):
    return json.loads(path.read_text()) if path.exists() else {}


def store(path, values):
    path.write_text(json.dumps(values, indent=1))


def built_at(test):
    """The time of the latest build of the files that the test uses: its program, the library, and the drivers."""
    files = [pathlib.Path(test.command[0]), WORK / INTERNAL, *(WORK / "lib").glob("lockstep*/*.so")]
    return max(file.stat().st_mtime for file in files)


class Suite:
    """Stores how long each test takes, and which tests killed the faults of which file; those run first the next time."""

    def __init__(self, tests, reach):
        self.tests, self.reach, self.lock, self.sound_lock = tests, reach, threading.Lock(), threading.Lock()
        self.kills_path, self.measures_path = WORK / "kills.json", WORK / "measures.json"
        self.kills, self.measures = stored(self.kills_path), stored(self.measures_path)

    def measure(self, test, place, again=False):
        """Measures the time of a test without a fault; the test must pass. `place` must contain the sound library."""
        built = built_at(test)
        if not again and self.measures.get(test.name, [0])[0] == built:
            test.seconds = self.measures[test.name][1]
            return
        test.seconds = None  # so that the longest timeout applies
        start = time.monotonic()
        outcome, output = test.run(place)
        if outcome != "passed":
            raise RuntimeError(f"{test.name} {outcome} without any fault:\n{output}")
        test.seconds = time.monotonic() - start
        self.measures[test.name] = [built, test.seconds]
        store(self.measures_path, self.measures)

    def can_notice(self, test, source):
        return test.tier != "fast" or source.object in self.reach.of(test.command[0])

    def in_order(self, source):
        """Returns the tests that can notice a fault, cheapest first. Tests near the file, or that noticed its faults before, count as cheaper."""
        file = source.file
        folder, stem = file.split("/")[0], file.split("/")[-1].removesuffix(".cpp")
        kills = self.kills.get(file, {})
        near = {name for other, names in self.kills.items() if other.startswith(folder + "/") for name in names}

        def cost(test):
            likely = 8 if test.name.startswith(stem) else 3 if test.name in near else 2 if f"/{folder}" in test.folder else 1
            return TIERS.index(test.tier), (test.seconds or 60.0) / likely / (1 + 4 * kills.get(test.name, 0))

        return sorted((t for t in self.tests if self.can_notice(t, source)), key=cost)

    def note(self, file, test):
        with self.lock:
            of_file = self.kills.setdefault(file, {})
            of_file[test.name] = of_file.get(test.name, 0) + 1
            store(self.kills_path, self.kills)
