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


def steps(answer):
    return int(re.search(r"^\w+ +\d+ +\d+ +(\d+)", answer.stdout, re.M).group(1))


def mistakes():
    for name, words, message in [
            ("an unknown scenario", ["--scenario", "x"], "known are: all, device"),
            ("no number", ["--seeds", "many"], "--seeds: 'many'"),
            ("no seeds", ["--seeds", "0"], "--seeds: '0'"),
            ("a negative seed", ["--seed", "-1"], "--seed: '-1'"),
            ("too many steps", ["--steps", "257"], "--steps: '257'"),
            ("an unknown kind", ["--without", "map,nap"], "'nap' is neither threadN nor one of"),
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
    for kind in ("exec", "map", "unmap", "evict", "vanish", "inject", "reset", "close", "kill",
                 "ring", "attach", "share", "fault"):
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


def left_out():
    """What --without, --skip and --steps leave out is not done."""
    whole = sim("--scenario", "memory", "--seeds", 5)
    check("there are execs and threads", " exec " in whole.stdout and steps(whole) > 400, whole)
    less = sim("--scenario", "memory", "--seeds", 5, "--without", "exec,map")
    check("kinds", less.returncode == 0 and " exec " not in less.stdout
          and " map " not in less.stdout and " bo " in less.stdout, less)
    less = sim("--scenario", "memory", "--seeds", 5, "--without",
               ",".join(f"thread{i}" for i in range(8)))
    check("all threads", less.returncode == 0 and steps(less) == 0, less)
    less = sim("--scenario", "memory", "--seeds", 5, "--skip",
               ",".join(f"{i}:1-59" for i in range(8)))
    check("all steps but the first", less.returncode == 0 and 0 < steps(less) <= 40, less)
    short = sim("--scenario", "memory", "--seeds", 5, "--steps", 1)
    check("which is what one step is", steps(short) == steps(less), (short, less))


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
    check("it says at which step",
          re.search(r"^  at step \d+ of thread \d+: [a-z-]+ \(", text, re.M), answer)
    events = re.findall(r"^    d\d \[\d+\.\d{9}\] \d+ t\d+ ", text, re.M)
    check("it shows events", len(events) == 20, answer)
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
    left_out()
    canary()
    return tapcheck.done()


if __name__ == "__main__":
    sys.exit(main())
