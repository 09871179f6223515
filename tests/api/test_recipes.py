#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The recipes that users copy are well formed, and the check of that can fail.

    test_recipes.py SOURCE_ROOT

Running them needs root and a network: `make test-recipes`.
"""

import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tapcheck
from tapcheck import check

SOURCE = pathlib.Path(sys.argv[1]).resolve()
RECIPES = {"--containerfile": SOURCE / "Containerfile", "--job": SOURCE / "docs/ci/github.yml"}
# name: recipe, what is replaced, by what
BROKEN = {
    "another image": ("--containerfile", "FROM debian:bookworm", "FROM debian:sid"),
    "an unknown instruction": ("--containerfile", "RUN apt-get install", "RUM apt-get install"),
    "no shell": ("--containerfile", "make -C /usr/src/vmbind install", "if make install"),
    "a command that is no list": ("--containerfile", '["vmbind", ', '[vmbind, '),
    "a copy of nothing": ("--containerfile", "COPY . /usr/src/vmbind", "COPY ."),
    "a tab": ("--job", "    runs-on: ubuntu", "\truns-on: ubuntu"),
    "an indentation": ("--job", "    container:", "     container:"),
    "an unknown key": ("--job", "    runs-on:", "    run-on:"),
    "a step with neither": ("--job", "        run: cat vmbind.json", ""),
    "an undefined value": ("--job", "${{ matrix.gpu }}", "${{ matrix.card }}"),
    "a script that does not parse": ("--job", "          make -C vmbind", "          if make -C"),
    "a key twice": ("--job", "on: [push, pull_request]", "on: push\non: pull_request"),
}


def judge(**instead):
    words = [str(word) for pair in {**RECIPES, **instead}.items() for word in pair]
    return subprocess.run([SOURCE / "scripts/check-recipes", "--syntax", *words], check=False,
                          capture_output=True, text=True)


def main():
    answer = judge()
    check("the recipes are good", answer.returncode == 0
          and answer.stdout.endswith("2 passed, 0 failed, 0 skipped\n"), answer)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "recipe"
        for name, (which, old, new) in BROKEN.items():
            text = RECIPES[which].read_text(encoding="utf-8")
            path.write_text(text.replace(old, new, 1), encoding="utf-8")
            answer = judge(**{which: path})
            check(f"noticed: {name}", old in text and answer.returncode == 1
                  and "0 passed, 1 failed" in answer.stdout, answer)
    return tapcheck.done()


if __name__ == "__main__":
    sys.exit(main())
