"""The table of faults and what became of them: written after each verdict, read again by a run that goes on where one stopped.

What lived is judged again, since a test may have been written for it; of two rows of a fault the later one counts.
"""
import re

HEAD = "| fault | line | before | after | outcome |\n| --- | --- | --- | --- | --- |\n"
ROW = re.compile(r"^\| `([^`]+)` \| \d+ \|.*\| (killed|lives|refused|same)(?: by \S+ \(\w+\))? \|$")


def quoted(text):
    return "`" + text.strip().replace("|", "\\|") + "`" if text.strip() else "(gone)"


def row(fault, verdict):
    by = f" by {verdict.test} ({verdict.tier})" if verdict.test else ""
    return f"| `{fault.name}` | {fault.line} | {quoted(fault.before)} | {quoted(fault.after)} | {verdict.kind}{by} |\n"


class Table:
    """A Markdown file; without a path it is kept nowhere."""

    def __init__(self, path):
        self.path = path
        self.done = set()  # names
        if path and path.exists():
            matches = (ROW.match(line) for line in path.read_text().splitlines())
            kinds = {m.group(1): m.group(2) for m in matches if m}
            self.done = {name for name, kind in kinds.items() if kind != "lives"}
        elif path:
            path.write_text(HEAD)

    def add(self, fault, verdict):
        if self.path:
            with self.path.open("a") as file:
                file.write(row(fault, verdict))
