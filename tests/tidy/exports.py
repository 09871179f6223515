#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The preload shows exactly the symbols of src/node/symbols.txt: one more would
replace a function of somebody's program.

    exports.py SOURCE_ROOT BUILD_ROOT
"""

import pathlib
import subprocess
import sys

import tidy

LIBRARY = "libvmbind-node.so"


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", str(library)], check=True,
                         capture_output=True, text=True).stdout
    return {line.split()[-1].split("@")[0] for line in out.splitlines() if line.strip()}


def compare(listed, library):
    shown = exported(library)
    return ([f"{name} is exported but not in the list" for name in sorted(shown - listed)]
            + [f"{name} is in the list but not exported" for name in sorted(listed - shown)])


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    tap = tidy.Tap()
    path = tidy.root() / "src/node/symbols.txt"
    problems = []
    if path.exists():
        listed = {line.strip() for line in path.read_text(encoding="utf-8").splitlines()
                  if line.strip() and not line.startswith("#")}
        libraries = list(pathlib.Path(sys.argv[2]).rglob(LIBRARY))
        if libraries:
            problems = compare(listed, libraries[0])
        else:
            problems = [f"{LIBRARY} is not built in {sys.argv[2]}"]
    tap.case(f"{LIBRARY} exports what its list says", problems)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
