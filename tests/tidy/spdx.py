#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every file that can carry a licence line carries ours, near its top."""

import sys

import tidy

SUFFIXES = {".c", ".h", ".S", ".py", ".sh", ".build", ".supp", ".yml", ".yaml", ".map", ".in"}
NAMES = {"Makefile", ".clang-format", ".editorconfig", ".gitignore", "meson_options.txt",
         "meson.options"}
LINE = "SPDX-License-" + "Identifier: MIT"
# After "#!" or an opening comment line.
WITHIN_LINES = 3


def carries(path):
    return path.suffix in SUFFIXES or path.name in NAMES or tidy.interpreter(path) != ""


def main():
    top = tidy.root()
    tap = tidy.Tap()
    ours = [path for path in tidy.files(top) if carries(path)]
    problems = [f"{path.relative_to(top)}: no line '{LINE}'" for path in ours
                if not any(LINE in line for line in
                           (tidy.text(path) or "").splitlines()[:WITHIN_LINES])]
    tap.case("every file carries its SPDX line", problems)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
