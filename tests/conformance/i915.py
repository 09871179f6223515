#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SUITE=i915 must not call a case passed that is not, nor miss one that it had."""

import sys

import runner

conformance = runner.conformance

GOOD = "1..2\nok 1 - a\nok 2 - b\n"
ABORTED = """1..3
ok 1 - a
../../tests/x.c:7: CHECK_OK(f()): -22 (EINVAL) instead of 0 (0)
in the test case: b
"""
# (exit code, what it printed, cases that passed once) and the outcome of each case.
VERDICTS = [
    (0, GOOD, {"a"}, {"a": "pass", "b": "pass"}),
    (0, GOOD, {"a", "c"}, {"a": "pass", "b": "pass", "c": "fail"}),
    (0, "1..3\nok 1 - a\nok 2 - b\n", set(), {"a": "pass", "b": "pass", "all": "fail"}),
    (1, "1..2\nok 1 - a\nnot ok 2 - b\n", set(), {"a": "pass", "b": "fail"}),
    (0, "1..2\nok 1 - a\nok 2 - b # SKIP no\n", set(), {"a": "pass", "b": "skip"}),
    (1, GOOD, set(), {"a": "pass", "b": "pass", "all": "fail"}),
    (-6, ABORTED, {"a", "b", "c"}, {"a": "pass", "b": "fail", "c": "fail"}),
    (-6, ABORTED, set(), {"a": "pass", "b": "fail", "all": "fail"}),
    (None, "1..2\nok 1 - a\n", {"a", "b"}, {"a": "pass", "b": "timeout"}),
    (0, "", set(), {"all": "fail"}),
    (127, "", {"a"}, {"a": "fail"}),
]


def checks():
    """Yield (name, truth)."""
    for number, (code, text, known, expected) in enumerate(VERDICTS):
        verdicts = conformance.judge_i915(code, text, known)
        yield f"verdict {number}: exit {code}: {expected}", (
            {name: outcome for name, outcome, _ in verdicts} == expected)
    reasons = {name: reason for name, _, reason in conformance.judge_i915(-6, ABORTED, set())}
    yield "the reason is what the check says", "EINVAL" in reasons["b"]


if __name__ == "__main__":
    sys.exit(runner.report(checks()))
