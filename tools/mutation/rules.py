"""Faults made by rules: small changes of C++ sources, each of which a test should notice.

A fault is one replacement in one line. Comments, strings, preprocessor lines, declarations of types and static assertions do not
change; a change that does not compile is not a fault. The sources are formatted, so `a < b` is a comparison and `vector<int>` is
not.
"""
import dataclasses
import hashlib
import re


@dataclasses.dataclass(frozen=True)
class Fault:
    file: str
    line: int  # from 1
    rule: str
    before: str  # the unchanged line
    after: str

    @property
    def name(self):
        """Depends on the text of the line but not on its position in the file."""
        text = f"{self.rule}|{self.before.strip()}|{self.after.strip()}"
        return f"{self.file}:{self.rule}:{hashlib.sha256(text.encode()).hexdigest()[:8]}"


SWAPS = [  # rule, pattern, replacement
    ("boundary", r" < ", " <= "), ("boundary", r" <= ", " < "), ("boundary", r" > ", " >= "), ("boundary", r" >= ", " > "),
    ("opposite", r" < ", " >= "), ("opposite", r" > ", " <= "), ("opposite", r" == ", " != "), ("opposite", r" != ", " == "),
    ("logic", r" && ", " || "), ("logic", r" \|\| ", " && "),
    ("arithmetic", r" \+ ", " - "), ("arithmetic", r" - ", " + "), ("arithmetic", r" \* ", " / "), ("arithmetic", r" / ", " * "),
    ("arithmetic", r" % ", " / "), ("assignment", r" \+= ", " -= "), ("assignment", r" -= ", " += "),
    ("assignment", r" \*= ", " += "), ("step", r"\+\+", "--"), ("step", r"--", "++"),
    ("truth", r"\btrue\b", "false"), ("truth", r"\bfalse\b", "true"),
    ("negation", r"(?<=[( ])!(?=[A-Za-z(])", ""),
    ("constant", r"(?<=[ (\[])0(?=[;,)\] ])", "1"), ("constant", r"(?<=[ (\[])1(?=[;,)\] ])", "2"),
    ("extreme", r"\bstd::min\b", "std::max"), ("extreme", r"\bstd::max\b", "std::min"),
    ("jump", r"\bbreak;", "continue;"), ("jump", r"\bcontinue;", "break;"),
    ("quantor", r"\bstd::any_of\b", "std::all_of"), ("quantor", r"\bstd::all_of\b", "std::any_of"),
]
CONDITION = re.compile(r"^(\s*(?:\} else )?if )\((.*)\)( \{| return.*;| continue;| break;| throw.*;)$")
# A line that consists of a call or an assignment; not a declaration, a return or the start of a longer statement.
STATEMENT = re.compile(r"^\s+(?!return\b|break\b|continue\b|case\b|using\b|goto\b|throw\b|delete\b|const\b|auto\b|static\b)"
                       r"(?:\*?[A-Za-z_][\w.:\[\]]*(?:->[\w.\[\]]+)*)(?:\(.*\)| (?:[-+*|&^]?=) .*|\+\+|--);$")
DECLARATION = re.compile(r"^\s+(?:const )?[A-Za-z_][\w:<>, ]*[&*]? [&*]?[a-z_]\w*(?: =|\(|\{|;)")


def code_of(text):
    """Returns the lines, with blanks in place of comments and the contents of strings."""
    text = re.sub(r'R"\((.*?)\)"', lambda m: " " * len(m.group(0)), text, flags=re.S)
    blank = lambda m: m.group(0)[0] + " " * (len(m.group(0)) - 2) + m.group(0)[-1] if m.group(0)[0] in "\"'" else \
        re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|//[^\n]*|/\*.*?\*/', blank, text, flags=re.S).split("\n")


def skipped(code):
    return (not code.strip() or code.lstrip().startswith(("#", "static_assert", "namespace", "using", "template", "struct", "class",
                                                          "enum", "LOCKSTEP_", "}")) or "operator" in code)


def faults_of(file, text):
    """Returns all faults of a file, in the order of their lines."""
    lines, codes = text.split("\n"), code_of(text)
    found = []

    def add(number, rule, after):
        found.append(Fault(file, number + 1, rule, lines[number], after))

    for number, (line, code) in enumerate(zip(lines, codes)):
        if skipped(code):
            continue
        for rule, pattern, replacement in SWAPS:
            for match in re.finditer(pattern, code):
                if rule == "arithmetic" and '"' in line[max(0, match.start() - 1):match.end() + 1] + line[-1:]:
                    continue  # concatenation of strings
                add(number, rule, line[:match.start()] + replacement + line[match.end():])
        if match := CONDITION.match(code):
            start, end = match.span(2)
            add(number, "condition", f"{line[:start]}!({line[start:end]}){line[end:]}")
        if STATEMENT.match(code) and not DECLARATION.match(code):
            add(number, "deletion", "")
        if re.match(r"^\s+return [^{};]+;$", code) and " ? " not in code:
            add(number, "result", re.sub(r"return .*;", "return {};", line))
    return found
