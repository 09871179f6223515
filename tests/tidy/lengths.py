#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Functions of at most 70 lines, files of at most 1000, lines of at most 100 columns."""

import re
import sys

import tidy

FUNCTION_LINES = 70
FILE_LINES = 1000
COLUMNS = 100
TAB = 8
CODE_FOLDERS = ("src", "tools", "examples", "tests", "include")
NOISE = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)


def blank(match):
    """Keep the line count, and one character so that what stood there still counts."""
    return "_" + "\n" * match.group(0).count("\n")


def functions(source):
    """Yield (name, line of the opening brace, number of lines of the body)."""
    code = DIRECTIVE.sub(lambda match: "\n" * match.group(0).count("\n"),
                         NOISE.sub(blank, source))
    depth, start, name = 0, None, ""
    last_end = 0
    for found in re.finditer(r"[{};]", code):
        at = found.start()
        if found.group() == "{":
            head = code[last_end:at].rstrip()
            if depth == 0 and head.endswith(")"):
                start = at
                called = re.search(r"(\w+)\s*\(", head)
                name = called.group(1) if called else "?"
            depth += 1
        elif found.group() == "}":
            # By our layout a brace in column 0 ends whatever was open: this keeps
            # a function with unbalanced #if branches from hiding the next one.
            depth = 0 if at and code[at - 1] == "\n" else max(depth - 1, 0)
            if depth == 0 and start is not None:
                first = code.count("\n", 0, start) + 1
                yield name, first, code.count("\n", start, at) + 1
                start = None
        if depth == 0:
            last_end = at + 1


def long_functions(top, paths):
    problems = []
    for path in paths:
        for name, line, length in functions(tidy.text(path) or ""):
            if length > FUNCTION_LINES:
                problems.append(f"{path.relative_to(top)}:{line}: {name}() has {length} lines, "
                                f"at most {FUNCTION_LINES}")
    return problems


def long_files(top, paths):
    problems = []
    for path in paths:
        lines = len((tidy.text(path) or "").splitlines())
        if lines > FILE_LINES:
            problems.append(f"{path.relative_to(top)}: {lines} lines, at most {FILE_LINES}")
    return problems


def long_lines(top, paths):
    problems = []
    for path in paths:
        for number, line in enumerate((tidy.text(path) or "").splitlines(), 1):
            columns = len(line.expandtabs(TAB))
            if columns > COLUMNS:
                problems.append(f"{path.relative_to(top)}:{number}: {columns} columns, "
                                f"at most {COLUMNS}")
    return problems


def main():
    top = tidy.root()
    tap = tidy.Tap()
    everything = tidy.files(top)
    code = [path for path in everything if path.suffix in tidy.CODE]
    for folder in CODE_FOLDERS:
        mine = [path for path in code if path.relative_to(top).parts[0] == folder]
        tap.case(f"functions of {folder}: at most {FUNCTION_LINES} lines",
                 long_functions(top, mine))
    tap.case(f"files of src: at most {FILE_LINES} lines",
             long_files(top, [p for p in code if p.relative_to(top).parts[0] == "src"]))
    written = code + [path for path in everything if path.suffix in (".py", ".sh", ".build")
                      or path.name == "Makefile" or tidy.interpreter(path)]
    tap.case(f"lines: at most {COLUMNS} columns", long_lines(top, sorted(set(written))))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
