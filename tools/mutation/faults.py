"""Faults made by hand, where meaning matters more than syntax: mistakes that somebody might make."""
from faults_of_training import FAULTS as OF_TRAINING
from rules import Fault

# file, the line as it stands there (once), the line with the fault, what is broken
FAULTS = []


def all_faults(root):
    found = []
    for file, before, after, _ in FAULTS + OF_TRAINING:
        lines = (root / file).read_text().split("\n")
        at = [i for i, line in enumerate(lines) if line.strip() == before.strip()]
        if len(at) != 1:
            raise ValueError(f"{file}: the line `{before}` is there {len(at)} times; correct tools/mutation/faults.py")
        indent = lines[at[0]][:len(lines[at[0]]) - len(lines[at[0]].lstrip())]
        found.append(Fault(file, at[0] + 1, "hand", lines[at[0]], indent + after.strip() if after.strip() else ""))
    return found
