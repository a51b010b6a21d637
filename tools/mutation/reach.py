"""Finds the sources that a test program can reach: those whose objects a linker would take from an archive for it.

A test that does not reach a file cannot notice a fault in it.
"""
import shlex
import subprocess

from workplace import INTERNAL, WORK, command_for


def symbols_of(path):
    """The symbols that an object or program defines, and those that it needs from others."""
    lines = subprocess.run(["nm", "-P", "-g", str(path)], cwd=WORK, capture_output=True, text=True).stdout.splitlines()
    defined, needed = {}, set()
    for name, kind in (line.split()[:2] for line in lines if len(line.split()) >= 2):
        if kind in "Uw":
            needed.add(name)
        else:
            defined[name] = kind not in "VW"  # False for weak copies, which every user of an inline function has
    return defined, needed


class Reach:
    def __init__(self):
        self.objects = {word: symbols_of(word) for word in shlex.split(command_for(INTERNAL)) if word.endswith(".o")}
        self.definers = {}
        for name, (defined, _) in self.objects.items():
            for symbol, alone in defined.items():
                self.definers.setdefault(symbol, []).append((not alone, name))
        self.known = {}

    def definers_of(self, symbol):
        """The object that defines the symbol; for weak symbols, all objects that have a copy."""
        found = sorted(self.definers.get(symbol, []))
        return [name for is_copy, name in found if is_copy == found[0][0]]

    def of(self, program):
        """The objects that a program needs, directly or indirectly."""
        if program not in self.known:
            waiting, reached = [symbols_of(program)], set()
            while waiting:
                defined, needed = waiting.pop()
                for symbol in needed - defined.keys():
                    for name in self.definers_of(symbol):
                        if name not in reached:
                            reached.add(name)
                            waiting.append(self.objects[name])
            self.known[program] = reached
        return self.known[program]
