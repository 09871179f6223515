#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The preload asks for no symbol newer than Debian 12's libc, so that it loads into any later one.

    versions.py LIBRARY
"""

import re
import subprocess
import sys

NEWEST = (2, 36)


def main():
    out = subprocess.run(["objdump", "-T", sys.argv[1]], check=True, capture_output=True,
                         text=True).stdout
    found = {tuple(map(int, version.split(".")))
             for version in re.findall(r"GLIBC_(\d+(?:\.\d+)+)", out)}
    new = sorted(version for version in found if version[:2] > NEWEST)
    print(f"{'not ok' if new or not found else 'ok'} 1 - symbol versions up to {NEWEST}")
    print("1..1")
    if new:
        print(f"# {new}", file=sys.stderr)
    return 1 if new or not found else 0


if __name__ == "__main__":
    sys.exit(main())
