#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`vmbind sim`: its options and messages, that it passes, fails, replays and shortens.

    test_sim.py VMBIND
"""

import pathlib
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tapcheck
from tapcheck import check, run

VMBIND = sys.argv[1]
LAST = re.compile(r"^(\d+) passed, (\d+) failed, 0 skipped$", re.M)


def sim(*words):
    return run(VMBIND, "sim", *[str(word) for word in words])


def counts(answer):
    found = LAST.search(answer.stdout)
    return (int(found.group(1)), int(found.group(2))) if found else None


def mistakes():
    for name, words, message in [
            ("an unknown scenario", ["--scenario", "x"], "known are: all, device"),
            ("no number", ["--seeds", "many"], "--seeds: 'many'"),
            ("no seeds", ["--seeds", "0"], "--seeds: '0'"),
            ("a negative seed", ["--seed", "-1"], "--seed: '-1'"),
            ("too many steps", ["--steps", "257"], "--steps: '257'"),
            ("an unknown kind", ["--without", "map,nap"], "'nap' is neither threadN nor one of vm "),
            ("a thread that cannot be", ["--without", "thread8"], "'thread8'"),
            ("a range that is none", ["--skip", "0:5-3"], "THREAD:STEP"),
            ("a step alone", ["--skip", "5"], "THREAD:STEP"),
            ("an unknown option", ["--fast"], "--fast"),
            ("a value too few", ["--seed"], "needs a value"),
            ("a word too many", ["7"], "'7' is not expected"),
    ]:
        answer = sim(*words)
        check(name, answer.returncode == 125 and message in answer.stderr, answer)
    answer = sim("--help")
    check("help", answer.returncode == 0 and "--minimize" in answer.stdout, answer)


def seeds_pass():
    answer = sim("--scenario", "all", "--seeds", 20)
    check("20 seeds of each scenario", answer.returncode == 0 and counts(answer) == (60, 0), answer)
    for kind in ("exec", "map", "unmap", "evict", "vanish", "inject", "reset", "close", "kill"):
        check(f"they do {kind}", re.search(rf"\b{kind} [1-9]", answer.stdout), answer)
    read = sum(int(found) for found in
               re.findall(r"^(?:device|memory|ends)(?: +\d+){4} +(\d+)", answer.stdout, re.M))
    check("they read back", read > 300, read)


def one_seed_one_execution():
    first = sim("--hashes", "--seed", 3, "--seeds", 5)
    again = sim("--hashes", "--seed", 3, "--seeds", 5, "--jobs", 1)
    check("hashes of 5 seeds", len(first.stdout.splitlines()) == 5, first)
    check("the same again, one at a time", first.stdout == again.stdout, again)
    check("each its own", len({line.split()[1] for line in first.stdout.splitlines()}) == 5, first)
    less = sim("--hashes", "--seed", 3, "--without", "query,thread1", "--skip", "0:0-3,2:5")
    check("what is left out is missing", less.stdout != first.stdout.splitlines()[0] + "\n", less)


def canary():
    """A planted bug is found, told of, replayed and made shorter."""
    seed, answer = None, None
    for seed in range(1, 40):
        answer = sim("--scenario", "canary", "--seed", seed, "--minimize")
        if answer.returncode:
            break
    text = answer.stdout
    check("the canary fails", answer.returncode == 1 and counts(answer) == (0, 1), answer)
    check("it says what failed", f"seed {seed} of canary failed: " in text, answer)
    check("it says at which step", re.search(r"^  at step \d+ of thread \d+: [a-z-]+ \(", text, re.M),
          answer)
    check("it shows events", len(re.findall(r"^    d\d \[\d+\.\d{9}\] \d+ t\d+ ", text, re.M)) == 20,
          answer)
    shorter = re.search(r"^shortened from (\d+) steps to (\d+)", text, re.M)
    check("it is made much shorter",
          shorter and int(shorter.group(2)) * 3 < int(shorter.group(1)), answer)
    replays = re.findall(r"^replay: vmbind sim (.*)$", text, re.M)
    check("two commands replay it", len(replays) == 2, answer)
    failure = re.search(r"failed: (.*)", text).group(1)
    for name, command in zip(("the whole", "what is left"), replays):
        again = sim(*command.split())
        check(f"{name} fails in the same way", again.returncode == 1 and
              f"failed: {failure}" in again.stdout, again)


def main():
    mistakes()
    seeds_pass()
    one_seed_one_execution()
    canary()
    return tapcheck.done()


if __name__ == "__main__":
    sys.exit(main())
