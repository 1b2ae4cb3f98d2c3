#!/usr/bin/env python3
"""Count what a suite did, for tests/run.sh: prints "passed failed skipped".

    count.py meson FILE STATUS      meson's testlog.json; a cmocka program counts each of its tests
    count.py pytest FILE STATUS     pytest's junit file
    count.py targets DIR SUITE      not a count: the ninja targets of the suite's tests

STATUS is the runner's exit status: when it is not 0 and nothing failed, the runner itself did.
"""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

CMOCKA = re.compile(r"^\[ +(OK|FAILED|ERROR|SKIPPED) +\] (\w+)$", re.MULTILINE)


def count_one(record):
    """One test program: its cmocka tests, or itself when it is something else."""
    output = record.get("stdout", "") + "\n" + record.get("stderr", "")
    outcomes = {name: kind for kind, name in CMOCKA.findall(output)}
    kinds = list(outcomes.values())
    passed, skipped = kinds.count("OK"), kinds.count("SKIPPED")
    failed = len(kinds) - passed - skipped
    result = record["result"]
    if not kinds:
        return (result == "OK", result not in ("OK", "SKIP"), result == "SKIP")
    if result not in ("OK", "SKIP") and failed == 0:
        failed = 1  # a crash, a leak or a time-out after the last test that could speak
    return (passed, failed, skipped)


def count_meson(path):
    totals = [0, 0, 0]
    for line in path.read_text().splitlines():
        for i, number in enumerate(count_one(json.loads(line))):
            totals[i] += int(number)
    return totals


def count_pytest(path):
    totals = [0, 0, 0]
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        number = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
        failed = number["failures"] + number["errors"]
        totals[0] += number["tests"] - failed - number["skipped"]
        totals[1] += failed
        totals[2] += number["skipped"]
    return totals


def targets(build, suite):
    answer = subprocess.run(
        ["meson", "introspect", "--tests", build], check=True, capture_output=True, text=True
    )
    root = str(Path(build).resolve()) + "/"
    for test in json.loads(answer.stdout):
        program = test["cmd"][0]
        if any(name.split(":")[-1] == suite for name in test["suite"]):
            print(program.removeprefix(root))


def main(kind, path, last):
    if kind == "targets":
        targets(path, last)
        return 0
    try:
        totals = {"meson": count_meson, "pytest": count_pytest}[kind](Path(path))
    except (OSError, ValueError, ElementTree.ParseError) as error:
        print(f"count.py: {path}: {error}", file=sys.stderr)
        totals = [0, 1, 0]
    if int(last) != 0 and totals[1] == 0:
        totals[1] = 1
    print(*totals)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
