"""The table of faults and their verdicts. It is written after each verdict; a later run reads it and continues.

A fault that lives is tested again, because a test may have been written for it. If a fault has two rows, the later one counts.
"""
import collections
import re

HEAD = "| fault | line | before | after | outcome |\n| --- | --- | --- | --- | --- |\n"
ROW = re.compile(r"^\| `([^`]+)` \| \d+ \|.*\| (killed|lives|refused|same)(?: by \S+ \(\w+\))? \|$")


def quoted(text):
    return "`" + text.strip().replace("|", "\\|") + "`" if text.strip() else "(gone)"


def row(fault, verdict):
    by = f" by {verdict.test} ({verdict.tier})" if verdict.test else ""
    return f"| `{fault.name}` | {fault.line} | {quoted(fault.before)} | {quoted(fault.after)} | {verdict.kind}{by} |\n"


def outcomes(path):
    """Returns the verdict of each fault in a table, by the name of the fault."""
    matches = (ROW.match(line) for line in path.read_text().splitlines())
    return {m.group(1): m.group(2) for m in matches if m}


def totals(paths, explained):
    """Counts the verdicts of each folder, as a table. Faults in survivors.md count as explained, whatever their verdict."""
    counts = collections.defaultdict(collections.Counter)
    for path in paths:
        for name, kind in outcomes(path).items():
            made = "by hand" if ":hand:" in name else "by rule"
            kind = "explained" if name in explained else kind
            counts[name.split("/")[0], made][kind] += 1
            counts["all", made][kind] += 1
    kinds = ("killed", "lives", "explained", "same", "refused")
    lines = ["| folder | made | " + " | ".join(kinds) + " |", "| --- | --- |" + " --- |" * len(kinds)]
    for folder, made in sorted(counts, key=lambda key: (key[0] == "all", key)):
        lines.append(f"| {folder} | {made} | " + " | ".join(str(counts[folder, made][kind]) for kind in kinds) + " |")
    return "\n".join(lines)


class Table:
    """A Markdown file. Without a path nothing is written."""

    def __init__(self, path):
        self.path = path
        self.done = set()  # names of faults
        if path and path.exists():
            self.done = {name for name, kind in outcomes(path).items() if kind != "lives"}
        elif path:
            path.write_text(HEAD)

    def add(self, fault, verdict):
        if self.path:
            with self.path.open("a") as file:
                file.write(row(fault, verdict))
