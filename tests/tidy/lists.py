#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Expectation lists only grow: what passed once is never quietly given up.

Compared with every earlier version git knows here; in a shallow clone these are
fewer, and without git there is nothing to compare with.
"""

import sys

import tidy

FOLDER = "tests/conformance"
TIER1 = f"{FOLDER}/igt-tier1.txt"
TIER1_NAMES = 100


def names_in(body):
    return {line.strip() for line in body.splitlines()
            if line.strip() and not line.startswith("#")}


def earlier_versions(top):
    """{path of a list: names it ever had}."""
    if not tidy.has_history(top):
        return {}
    log = tidy.git(top, "log", "--format=commit %H", "--name-only", "--diff-filter=AMR", "--",
                   FOLDER) or ""
    found, commit = {}, None
    for line in log.splitlines():
        if line.startswith("commit "):
            commit = line.split()[1]
        elif line.startswith(FOLDER) and line.endswith(".txt"):
            body = tidy.git(top, "show", f"{commit}:{line}")
            found.setdefault(line, set()).update(names_in(body or ""))
    return found


def main():
    top = tidy.root()
    tap = tidy.Tap()
    now = {path.relative_to(top).as_posix(): names_in(path.read_text(encoding="utf-8"))
           for path in sorted((top / FOLDER).rglob("*.txt"))}
    lost = [f"{path}: {name} is missing"
            for path, names in sorted(earlier_versions(top).items())
            for name in sorted(names - now.get(path, set()))]
    tap.case("no list lost a name", lost)
    doubtful = [f"{path}: '{name}' is not program@subtest"
                for path, names in now.items() for name in sorted(names)
                if name.count("@") != 1 or " " in name]
    tap.case("every line is program@subtest", doubtful)
    count = len(now.get(TIER1, ()))
    tap.case(f"tier 1 has {TIER1_NAMES} names",
             [] if count == TIER1_NAMES else [f"{TIER1}: {count} names"])
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
