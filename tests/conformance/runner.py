#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The outside suite's runner must not call a test passed that is not."""

import importlib.machinery
import importlib.util
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def load(name):
    """A script of scripts/ as a module; they have no .py ending."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"),
                                                  str(ROOT / "scripts" / name))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


sys.dont_write_bytecode = True
conformance = load("conformance")
host_state = load("host-state")

PASSED = [("Subtest", "a", "SUCCESS")]
# (exit code, what the program printed) and what that is.
VERDICTS = [
    (0, PASSED, "pass"),
    (0, [], "fail"),
    (0, [("Subtest", "b", "SUCCESS")], "fail"),
    (0, [("Dynamic subtest", "a", "SUCCESS")], "fail"),
    (98, PASSED, "fail"),
    (98, [("Subtest", "a", "FAIL")], "fail"),
    (77, [("Subtest", "a", "SKIP")], "skip"),
    (77, [], "skip"),
    (79, [], "fail"),
    (127, [], "fail"),
    (139, [("Subtest", "a", "CRASH")], "crash"),
    (-9, [], "crash"),
    (0, [("Subtest", "a", "CRASH")], "crash"),
    (98, [("Subtest", "a", "TIMEOUT")], "timeout"),
]


def result(name, outcome):
    binary, subtest = name.split("@")
    return conformance.Result(binary, subtest, outcome, 0.0, "", [], None)


def checks():
    """Yield (name, truth)."""
    for code, lines, expected in VERDICTS:
        yield (f"exit {code} after {lines} is a {expected}",
               conformance.judge(code, "a", lines) == expected)
    line = conformance.RESULT.match("Subtest once-basic: SUCCESS (0.012s)")
    yield "result lines are read", line and line.groups() == ("Subtest", "once-basic", "SUCCESS")
    yield "multi-GPU is left out", conformance.left_out("multigpu-once-basic")
    yield "multi-queue is left out", conformance.left_out("many-multi-queue-userptr")
    yield "PCI barriers are left out", conformance.left_out("pci-membarrier-parallel")
    yield "others are not left out", not conformance.left_out("many-execqueues-basic")
    reason = conformance.reason_of("x\nTest requirement: a\nFailed assertion: b == c\n", "fail", 98)
    yield "an assertion is the better reason", reason == "Failed assertion: b == c"
    bad = [result("t@known", "fail"), result("t@new", "fail")]
    yield "the pinned version excuses nothing", conformance.excuse_new(
        bad, {"t@known"}, conformance.PINNED) == bad
    yield "tier 1 is expected to pass", len(conformance.expected_names()) >= 100
    before = {"/tmp/a": "-", "mount /x tmpfs": "rw"}
    yield "an unchanged host is unchanged", host_state.differences(before, dict(before)) == []
    yield "a new file, a lost one and a remount are three changes", len(host_state.differences(
        before, {"/tmp/b": "-", "mount /x tmpfs": "ro"})) == 3


def report(cases):
    """Print them as TAP; the exit code."""
    failed = number = 0
    for number, (name, truth) in enumerate(cases, 1):
        failed += not truth
        print(f"{'ok' if truth else 'not ok'} {number} - {name}")
    print(f"1..{number}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(report(checks()))
