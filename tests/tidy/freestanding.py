#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The core needs nothing of a host but four memory functions, its port and its GPU.

    freestanding.py path/to/libvmbind-core.a [more of it ...]

Only the plain build can tell: sanitizers and coverage add symbols of their own.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import tidy

ALLOWED = re.compile(r"^(memcpy|memmove|memset|memcmp|port_\w+|gpu_\w+)$")
# Every position-independent object names it; it is the linker's, not a library's.
LINKER = {"_GLOBAL_OFFSET_TABLE_"}


def undefined(archives):
    """Undefined symbols left when all of the archives are linked into one object."""
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder) / "core.o"
        subprocess.run(["ld", "-r", "-o", str(whole), "--whole-archive",
                        *map(str, archives)],
                       check=True)
        out = subprocess.run(["nm", "-u", str(whole)], check=True, capture_output=True,
                             text=True).stdout
    return [line.split()[-1] for line in out.splitlines() if line.strip()]


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    tap = tidy.Tap()
    archives = sys.argv[1:]
    try:
        symbols = undefined(archives)
        problems = [f"{name} is used by the core" for name in symbols
                    if not ALLOWED.match(name) and name not in LINKER]
    except (OSError, subprocess.CalledProcessError) as error:
        problems = [f"{archives} cannot be linked: {error}"]
    tap.case("the core needs only mem*, port_* and gpu_*", problems)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
