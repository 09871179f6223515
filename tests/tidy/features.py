#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/features.md claims nothing that no test shows: every test it names exists
and is run, and a requirement that is done names one.

    features.py
"""

import re
import sys

import tidy

ROW = re.compile(r"^\| ([ABL]\d\d) \|(.*)\|(.*)\|(.*)\|$")
NAME = re.compile(r"`(\w+)`")


def known_tests(root):
    """Names in the case tables of the test programs."""
    return {name for path in (root / "tests").rglob("*.c")
            for name in re.findall(r"\b(?:TEST|CASE)\((\w+)\)", path.read_text(encoding="utf-8"))}


def main():
    tap = tidy.Tap()
    root = tidy.root()
    known = known_tests(root)
    missing, unshown, rows = [], [], 0
    for line in (root / "docs/features.md").read_text(encoding="utf-8").splitlines():
        row = ROW.match(line)
        if not row:
            continue
        rows += 1
        names = NAME.findall(row[4])
        missing += [f"{row[1]}: there is no test {name}" for name in names if name not in known]
        if row[3].strip().startswith("done") and not names:
            unshown.append(f"{row[1]} is done, but no test shows it")
    tap.case("every test it names exists", missing)
    tap.case("every requirement that is done names a test", unshown)
    tap.case("it has rows", [] if rows > 50 else [f"only {rows} rows"])
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
