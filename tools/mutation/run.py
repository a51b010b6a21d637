"""Puts faults into a copy of the sources, one at a time, and sees whether the tests notice.

    tools/mutation_test runtime/memory/pool.cpp      every fault that the rules make of a file
    tools/mutation_test --sample 20                  some of all files, drawn by --seed
    tools/mutation_test --hand                       the faults of faults.py, which were made by hand
    tools/mutation_test --fault NAME                 one fault, with what the tests print

A fault is killed when a test fails, crashes or runs ten times as long as it should. It lives when all tests pass: then write the
test that is missing, or say in survivors.md why there can be none. The tests are those labelled `fast` but for the command line's and
the Vulkan driver's; with --full, the slower ones are asked where those say nothing.

The copy and its build lie in build/mutation; nothing of your tree is changed.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

import faults as by_hand
import rules

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "mutation"
TREE, BUILD = WORK / "tree", WORK / "build"
FOLDERS = ("runtime", "ops", "autodiff", "nn")
SURVIVORS = pathlib.Path(__file__).with_name("survivors.md")
CONFIGURATION = {
    "CMAKE_BUILD_TYPE": "Release", "CMAKE_CXX_FLAGS_RELEASE": "-O1 -DNDEBUG", "LOCKSTEP_CPU_ISA": "native", "LOCKSTEP_DRIVERS": "cpu",
    "LOCKSTEP_BENCHMARKS": "OFF", "LOCKSTEP_EXAMPLES": "OFF", "LOCKSTEP_INTERNAL_SHARED": "ON",
}
LEFT_OUT = re.compile(r"^(cli_test|driver_ops_test|vulkan_.*|.*_v[23]|install_and_find_package|mutation.*)$")


def sources():
    listed = subprocess.run(["git", "ls-files", *(f"{folder}/*.cpp" for folder in FOLDERS)], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout.split()
    return [file for file in listed if not file.endswith("_test.cpp") and "/test_" not in file]


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def copy_tree():
    """The tracked and new files, where they differ; what is gone is removed."""
    names = run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True).stdout.splitlines()
    for name in names:
        source, target = ROOT / name, TREE / name
        if not source.is_file():
            continue
        if not target.exists() or source.read_bytes() != target.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
            os.utime(target)
    for path in [p for p in TREE.rglob("*") if p.is_file() and str(p.relative_to(TREE)) not in set(names)]:
        if ".deps" not in path.parts:
            path.unlink()
    if (ROOT / ".deps").exists() and not (TREE / ".deps").exists():
        (TREE / ".deps").symlink_to(ROOT / ".deps")


def build(*targets):
    return run(["ninja", "-C", str(BUILD), *targets])


def described_tests():
    return json.loads(run(["ctest", "--test-dir", str(BUILD), "--show-only=json-v1"], check=True).stdout)["tests"]


def labels_of(described):
    return next((p["value"] for p in described.get("properties", []) if p["name"] == "LABELS"), [])


def build_fast():
    """The programs of the fast tests, which are targets of the same name, and the drivers that they load."""
    listed = set(re.findall(r"^([^\s:]+):", run(["ninja", "-C", str(BUILD), "-t", "targets", "all"], check=True).stdout, re.M))
    programs = [d["name"] for d in described_tests() if "fast" in labels_of(d) and not LEFT_OUT.match(d["name"]) and d["name"] in listed]
    drivers = [t for t in listed if re.fullmatch(r"lib/\S*liblockstep_driver_\w+\.so", t) and "mutant" not in t]
    return build(*programs, *drivers)


def prepare(full):
    TREE.mkdir(parents=True, exist_ok=True)
    copy_tree()
    if not (BUILD / "build.ninja").exists():
        options = [f"-D{name}={value}" for name, value in CONFIGURATION.items()]
        result = run(["cmake", "-G", "Ninja", "-S", str(TREE), "-B", str(BUILD), *options])
        if result.returncode:
            sys.exit(result.stdout)
    result = build() if full else build_fast()
    if result.returncode:
        sys.exit(result.stdout[-4000:])


class Test:
    def __init__(self, described):
        self.name, self.command = described["name"], described["command"]
        properties = {p["name"]: p["value"] for p in described.get("properties", [])}
        self.labels = labels_of(described)
        self.environment = dict(entry.split("=", 1) for entry in properties.get("ENVIRONMENT", []))
        self.folder = properties.get("WORKING_DIRECTORY", str(BUILD))
        self.seconds = 30.0

    def passes(self, patience=10):
        limit = max(20.0, patience * self.seconds)
        try:
            result = run(self.command, cwd=self.folder, env={**os.environ, **self.environment}, timeout=limit)
        except subprocess.TimeoutExpired as e:
            return False, f"no end after {limit:.0f} s\n{e.output or ''}"
        return result.returncode == 0, result.stdout


def tests(full):
    all_tests = [Test(d) for d in described_tests() if "command" in d and not LEFT_OUT.match(d["name"])]
    fast = [t for t in all_tests if "fast" in t.labels]
    slow = [t for t in all_tests if "fast" not in t.labels and not t.name.startswith("mutants")]
    return fast, slow if full else []


def measure(all_tests):
    """Each test must pass without a fault; how long it takes then is its measure."""
    for test in all_tests:
        start = time.monotonic()
        ok, output = test.passes(patience=100)
        if not ok:
            sys.exit(f"{test.name} fails without any fault:\n{output[-3000:]}")
        test.seconds = time.monotonic() - start


class History:
    """Which tests killed the faults of which file: they are asked first the next time."""

    def __init__(self):
        self.path = WORK / "history.json"
        self.kills = json.loads(self.path.read_text()) if self.path.exists() else {}

    def order(self, file, candidates):
        kills = self.kills.get(file, {})
        folder = file.split("/")[0]
        near = {name for other, names in self.kills.items() if other.startswith(folder) for name in names}
        return sorted(candidates, key=lambda t: (-kills.get(t.name, 0), t.name not in near, t.seconds))

    def note(self, file, name):
        self.kills.setdefault(file, {})[name] = self.kills.get(file, {}).get(name, 0) + 1
        self.path.write_text(json.dumps(self.kills, indent=1))


def apply(fault):
    path = TREE / fault.file
    lines = path.read_text().split("\n")
    if lines[fault.line - 1] != fault.before:
        raise ValueError(f"{fault.name}: line {fault.line} is another now")
    lines[fault.line - 1] = fault.after
    path.write_text("\n".join(lines))


def restore(fault):
    shutil.copy(ROOT / fault.file, TREE / fault.file)
    os.utime(TREE / fault.file)


def object_of(file):
    return next(BUILD.glob(f"{file.split('/')[0]}/CMakeFiles/lockstep_{file.split('/')[0]}.dir/{file.split('/', 1)[1]}.o"))


def judge(fault, fast, slow, history, talkative=False):
    """What became of the fault: (kind, test), kind being killed, lives, refused or same."""
    same = object_of(fault.file).read_bytes()
    apply(fault)
    try:
        if build("lockstep_internal", "lockstep").returncode:
            return "refused", "the compiler"
        if object_of(fault.file).read_bytes() == same:
            return "same", "the same machine code"
        if slow and build().returncode:
            return "refused", "the linker"
        for test in history.order(fault.file, fast) + slow:
            ok, output = test.passes()
            if not ok:
                history.note(fault.file, test.name)
                if talkative:
                    print(output[-3000:])
                return "killed", test.name
        return "lives", ""
    finally:
        restore(fault)


def explained():
    return set(re.findall(r"`([\w/.]+:[\w-]+:[0-9a-f]{8})`", SURVIVORS.read_text())) if SURVIVORS.exists() else set()


def chosen(options):
    if options.fault:
        pool = [f for file in sources() for f in rules.faults_of(file, (ROOT / file).read_text())] + by_hand.all_faults(ROOT)
        found = [f for f in pool if f.name == options.fault]
        if not found:
            sys.exit(f"there is no fault {options.fault}; the names are in the table that a run prints")
        return found[:1]
    if options.files:
        return [f for file in options.files for f in rules.faults_of(file, (ROOT / file).read_text())]
    if options.hand and not options.sample:
        return by_hand.all_faults(ROOT)
    drawn, draw = [], random.Random(options.seed)
    if options.hand:
        drawn = draw.sample(by_hand.all_faults(ROOT), max(1, options.sample // 3))
    # Folder by folder, then file by file, so that long files do not crowd out the others.
    files = {folder: [f for f in sources() if f.startswith(folder)] for folder in FOLDERS}
    while len(drawn) < options.sample:
        folder = FOLDERS[len(drawn) % len(FOLDERS)]
        file = draw.choice(files[folder])
        if candidates := rules.faults_of(file, (ROOT / file).read_text()):
            drawn.append(draw.choice(candidates))
    return drawn


def table(rows):
    lines = ["| fault | line | before | after | outcome |", "| --- | --- | --- | --- | --- |"]
    quoted = lambda text: "`" + text.strip().replace("|", "\\|") + "`" if text.strip() else "(gone)"
    for fault, kind, by in rows:
        lines.append(f"| `{fault.name}` | {fault.line} | {quoted(fault.before)} | {quoted(fault.after)} | {kind}{' by ' + by if by else ''} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hand", action="store_true")
    parser.add_argument("--fault")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--table", type=pathlib.Path, help="a Markdown file with every fault and what became of it")
    options = parser.parse_args()
    if not (options.files or options.sample or options.hand or options.fault):
        parser.error("name a file, --sample, --hand or --fault")
    prepare(options.full)
    fast, slow = tests(options.full)
    measure(fast)
    history, known, rows = History(), explained(), []
    todo = chosen(options)
    for number, fault in enumerate(todo, 1):
        if fault.name in known and not options.fault:
            continue
        kind, by = judge(fault, fast, slow, history, talkative=bool(options.fault))
        rows.append((fault, kind, by))
        print(f"[{number}/{len(todo)}] {kind:8} {fault.name} {by}", flush=True)
    real = [row for row in rows if row[1] in ("killed", "lives")]
    alive = [row for row in real if row[1] == "lives"]
    if options.table:
        options.table.write_text(table(rows) + "\n")
    if alive:
        print(table(alive))
    print(f"{len(real) - len(alive)} of {len(real)} faults killed; {len(rows) - len(real)} changed nothing or were refused by the "
          "compiler" + ("" if not alive else "; those that live need a test, or an explanation in tools/mutation/survivors.md"))
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
