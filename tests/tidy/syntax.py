#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Scripts parse, and scripts that say who runs them can be run."""

import os
import subprocess
import sys

import tidy


def shell_problem(path, shell):
    answer = subprocess.run([shell, "-n", str(path)], check=False, capture_output=True, text=True)
    return answer.stderr.strip() if answer.returncode else None


def python_problem(path):
    try:
        # Not py_compile: it would leave files in the tree.
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return str(error)
    return None


def main():
    top = tidy.root()
    tap = tidy.Tap()
    shell, python, mode = [], [], []
    for path in tidy.files(top):
        name = path.relative_to(top)
        runs = tidy.interpreter(path)
        problem = None
        if runs in ("sh", "bash") or path.suffix == ".sh":
            problem = shell_problem(path, runs or "sh")
            shell += [f"{name}: {problem}"] if problem else []
        elif runs.startswith("python") or path.suffix == ".py":
            problem = python_problem(path)
            python += [f"{name}: {problem}"] if problem else []
        if runs and path.suffix != ".py" and not os.access(path, os.X_OK):
            mode.append(f"{name}: names {runs} but is not executable")
    tap.case("shell scripts parse", shell)
    tap.case("Python files compile", python)
    tap.case("scripts are executable", mode)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
