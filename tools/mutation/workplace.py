"""Inserts and compiles faults: a build of your sources, and a folder ("place") for each fault that is being tested.

In this build the tests are linked to a shared object. So a fault costs one compilation and one link, LD_LIBRARY_PATH makes a test
load the faulty library instead of the sound one, and several faults can be tested in parallel. Your files are only read.
"""
import atexit
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "mutation"
# The flags of the preset `release`, so that ccache already has most object files.
CONFIGURATION = {
    "CMAKE_BUILD_TYPE": "Release", "LOCKSTEP_CPU_ISA": "native", "LOCKSTEP_DRIVERS": "cpu", "LOCKSTEP_BENCHMARKS": "OFF",
    "LOCKSTEP_EXAMPLES": "OFF", "LOCKSTEP_INTERNAL_SHARED": "ON", "CMAKE_EXE_LINKER_FLAGS": "-Wl,--enable-new-dtags",
    "CMAKE_SHARED_LINKER_FLAGS": "-Wl,--enable-new-dtags",
}
# The library for tests of internals, the library for the command line, and their paths inside a place.
INTERNAL, SHARED = "lib/liblockstep_internal.so", "lib/liblockstep.so.0.1.0"
LIBRARIES = {INTERNAL: "bin/liblockstep_internal.so", SHARED: "lib/liblockstep.so.0"}


class BuildFailed(Exception):
    pass


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def ninja(*arguments):
    result = run(["ninja", "-C", str(WORK), f"-j{os.cpu_count() or 1}", *arguments])
    if result.returncode:
        raise BuildFailed(result.stdout[-4000:])
    return result.stdout


def described_tests():
    return json.loads(run(["ctest", "--test-dir", str(WORK), "--show-only=json-v1"], check=True).stdout)["tests"]


def configure():
    options = [f"-D{name}={value}" for name, value in CONFIGURATION.items()]
    if (WORK / "build.ninja").exists():
        return ninja("build.ninja")  # runs cmake again if necessary
    result = run(["cmake", "-G", "Ninja", "-S", str(ROOT), "-B", str(WORK), *options])
    if result.returncode:
        raise BuildFailed(result.stdout[-4000:])


def build(programs):
    """Builds the given test programs and the drivers that they load, or everything if `programs` is None."""
    if programs is None:
        return ninja()
    listed = set(re.findall(r"^([^\s:]+):", ninja("-t", "targets", "all"), re.M))
    drivers = [t for t in listed if re.fullmatch(r"lib/\S*liblockstep_(driver|broken)_\w+\.so", t) and "mutant" not in t]
    broken = [t for t in listed if re.fullmatch(r"lib/\S*/broken/\S*\.so", t)]
    return ninja(*LIBRARIES, *(p for p in programs if p in listed), *drivers, *broken)


def command_for(target):
    return ninja("-t", "commands", "-s", target).splitlines()[-1].removeprefix("ninja: Entering directory")


class Source:
    """The text of a source file at the start of the run, and its compile command."""

    def __init__(self, file):
        folder, rest = file.split("/", 1)
        self.file, self.text = file, (ROOT / file).read_text()
        self.object = f"{folder}/CMakeFiles/lockstep_{folder}.dir/{rest}.o"
        words = shlex.split(command_for(self.object))
        compiler = next((i + 1 for i, word in enumerate(words) if word.endswith("ccache")), 0)
        self.command = words[compiler:]  # ccache is of no use for faults

    def compile(self, text, folder):
        """Returns the object file, or None if the compiler reports an error."""
        source, target = folder / "source" / self.file, folder / "fault.o"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        words = list(self.command)
        for i, word in enumerate(words):
            if words[i - 1] in ("-o", "-MF"):
                words[i] = str(target) if words[i - 1] == "-o" else str(folder / "fault.d")
            elif word == str(ROOT / self.file):
                words[i] = str(source)
        # The last -O option applies. If the compiler stores the file name, it stores the original path.
        words += ["-O1", "-w", f"-ffile-prefix-map={folder / 'source'}={ROOT}"]
        return target if run(words, cwd=WORK).returncode == 0 else None


class Place:
    """A folder for one faulty library, with the layout of a build, because the library finds drivers relative to its own path."""

    def __init__(self, number):
        self.folder = WORK / "places" / f"{os.getpid()}_{number}"  # two runs may be active at the same time
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        for name in ("bin", "lib", "tmp", "cache", "source"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "lib" / "lockstep").symlink_to(WORK / "lib" / "lockstep")
        path = f"{self.folder / 'bin'}:{self.folder / 'lib'}"
        self.environment = {**os.environ, "LD_LIBRARY_PATH": path, "TMPDIR": str(self.folder / "tmp"), "OMP_WAIT_POLICY": "passive",
                            "XDG_CACHE_HOME": str(self.folder / "cache"), "GTEST_FAIL_FAST": "1"}

    def link(self, source, faulty_object, library):
        """Links the library with the faulty object into this place. Returns False if the linker reports an error."""
        target = self.folder / LIBRARIES[library]
        target.unlink(missing_ok=True)
        command = command_for(library).replace(f" {source.object} ", f" {faulty_object} ").replace(f"-o {library} ", f"-o {target} ")
        return run(command, shell=True, cwd=WORK).returncode == 0

    def link_sound(self):
        for library, place in LIBRARIES.items():
            (self.folder / place).unlink(missing_ok=True)
            (self.folder / place).symlink_to(WORK / library)

    def clean(self):
        """Removes what a crashed test left behind."""
        for name in ("tmp", "cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()
