"""Prints the results of a run of `./run_tests --full`, for docs/results/tests.md: tests_table.py JUNIT_FILE CPU_TIMES

CPU_TIMES is the second line of the shell's `times`, such as "3m1.2s 0m5.0s": user and system time of the processes that the shell waited for.
"""
import datetime
import os
import platform
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree


def seconds(text):
    minutes, rest = re.fullmatch(r"(\d+)m([\d.]+)s", text).groups()
    return 60 * int(minutes) + float(rest)


def main():
    suite = ElementTree.parse(sys.argv[1]).getroot()
    cpu = sum(seconds(text) for text in sys.argv[2].split())
    rows = [(case.get("name"), case.get("status"), float(case.get("time"))) for case in suite.iter("testcase")]
    failed = [name for name, status, _ in rows if status == "fail"]
    skipped = [name for name, status, _ in rows if status not in ("run", "fail")]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    print("# The last result of `./run_tests --full`\n")
    print("Written by `tools/tests_table.py`, at the end of that run.\n")
    print("| what | |\n| --- | --- |")
    print(f"| date | {datetime.date.today()} |\n| source | {commit} |")
    print(f"| machine | {platform.machine()}, {os.cpu_count()} cores |")
    print(f"| tests | {len(rows)}: {len(rows) - len(failed) - len(skipped)} passed, {len(failed)} failed, {len(skipped)} skipped |")
    print(f"| seconds of all tests | {sum(t for _, _, t in rows):.0f}; of the processor {cpu:.0f}, with the build if there was one |\n")
    for title, names in (("Failed", failed), ("Skipped", skipped)):
        if names:
            print(f"{title}: {', '.join(names)}\n")
    print("| test | seconds |\n| --- | ---: |")
    for name, _, time in sorted(rows, key=lambda row: -row[2]):
        print(f"| {name} | {time:.1f} |")


if __name__ == "__main__":
    main()
