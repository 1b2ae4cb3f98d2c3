#!/usr/bin/env python3
"""Rules of the house as checks.

    lint.py --list                       the names of the checks
    lint.py NAME ROOT BUILD              run one: prints what breaks the rule, exit status 1 if any
    lint.py --self-test NAME             show that it accepts what it should, and can fail
    lint.py ROOT BUILD                   all of them
"""

import json
import os
import sys

from checks import CHECKS
from source import Tree


def compiled_sources(root, build):
    """What some target of the build compiles, as paths from the root."""
    path = os.path.join(build, "meson-info", "intro-targets.json")
    sources = set()
    with open(path, encoding="utf-8") as file:
        for target in json.load(file):
            for group in target["target_sources"]:
                for source in group.get("sources", []):
                    sources.add(os.path.relpath(source, root))
    return sources


def run(name, tree):
    findings = list(CHECKS[name][0](tree))
    for finding in findings:
        print(finding)
    return len(findings)


def example(item):
    files, compiled = item if isinstance(item, tuple) else (item, ())
    return Tree(files, compiled)


def self_test(name):
    function, good, bad = CHECKS[name]
    failures = 0
    for item in good:
        for finding in function(example(item)):
            print(f"{name} refuses what is right: {item}: {finding}")
            failures += 1
    for item in bad:
        if not list(function(example(item))):
            print(f"{name} accepts what is wrong: {item}")
            failures += 1
    if not good or not bad:
        print(f"{name} has no examples of both kinds")
        failures += 1
    return failures


def main(arguments):
    if arguments == ["--list"]:
        print("\n".join(CHECKS))
        return 0
    if len(arguments) == 2 and arguments[0] == "--self-test":
        return 1 if self_test(arguments[1]) else 0
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    *names, root, build = arguments
    tree = Tree.read(root, compiled_sources(root, build))
    return 1 if sum(run(name, tree) for name in names or CHECKS) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
