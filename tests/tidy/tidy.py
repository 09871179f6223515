# SPDX-License-Identifier: MIT
"""What the tidy tests share: the tree's files, its history, and TAP output."""

import pathlib
import subprocess
import sys

CODE = {".c", ".h", ".S"}
# What others made, or what is made here, is not ours to check.
OUTSIDE = {".git", "build", "__pycache__"}

# Enough to see what is wrong.
SHOWN = 40


def root():
    """The tree to check: the first argument, or the one this file stands in."""
    if len(sys.argv) > 1:
        return pathlib.Path(sys.argv[1]).resolve()
    return pathlib.Path(__file__).resolve().parents[2]


def git(top, *words):
    """git's answer, or None where there is no git or no repository."""
    try:
        answer = subprocess.run(["git", "-C", str(top), "-c", f"safe.directory={top}", *words],
                                check=False, capture_output=True)
    except OSError:
        return None
    if answer.returncode:
        return None
    return answer.stdout.decode("utf-8", errors="replace")


def has_history(top):
    """True in a repository of its own, not in a copy inside another one."""
    inside = git(top, "rev-parse", "--show-toplevel")
    return inside is not None and pathlib.Path(inside.strip()).resolve() == top


def files(top):
    """Every file of the tree: what git tracks or would, else all but build output."""
    listed = git(top, "ls-files", "-co", "--exclude-standard", "-z") if has_history(top) else None
    if listed is not None:
        names = [top / name for name in listed.split("\0") if name]
    else:
        names = top.rglob("*")
    return sorted(path for path in names
                  if not OUTSIDE.intersection(path.relative_to(top).parts)
                  and path.is_file() and not path.is_symlink())


def text(path):
    """The file's text, or None for a binary file."""
    data = path.read_bytes()
    return None if b"\0" in data else data.decode("utf-8", errors="replace")


def interpreter(path):
    """The interpreter a script names in its first line, without its folder; else ''."""
    with open(path, "rb") as stream:
        first = stream.readline().decode("utf-8", errors="replace")
    if not first.startswith("#!"):
        return ""
    words = first[2:].split()
    name = words[1] if words[0].endswith("/env") and len(words) > 1 else words[0]
    return name.rsplit("/", 1)[-1]


class Tap:
    """Cases in TAP: one per rule or room, with what breaks it on the error stream."""

    def __init__(self):
        self.number = 0
        self.failed = False

    def case(self, name, problems):
        self.number += 1
        self.failed = self.failed or bool(problems)
        print(f"{'not ok' if problems else 'ok'} {self.number} - {name}")
        for problem in problems[:SHOWN]:
            # meson shows only the error stream of a failed TAP test.
            print(f"# {problem}", file=sys.stderr)
        if len(problems) > SHOWN:
            print(f"# and {len(problems) - SHOWN} more", file=sys.stderr)

    def done(self):
        print(f"1..{self.number}")
        return 1 if self.failed else 0
