# SPDX-License-Identifier: MIT
"""For tests that are scripts: cases in TAP, and commands run in an environment of their own."""

import os
import subprocess
import sys

NOT_INHERITED = ("LD_PRELOAD", "DESTDIR")

number = 0
failed = 0


def check(name, good, shown=""):
    """One case; what is shown tells why it failed."""
    global number, failed
    number += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)
    if not good:
        print(f"# {name}: {shown!r}", file=sys.stderr)


def done():
    """The plan; the exit code."""
    print(f"1..{number}")
    return 1 if failed else 0


def run(*words, **more):
    """Runs a command without what this test's own caller has set for vmbind."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("VMBIND_") and name not in NOT_INHERITED}
    environment.update(more.pop("env", {}))
    return subprocess.run([str(word) for word in words], check=False, capture_output=True,
                          text=True, env=environment, timeout=60, **more)
