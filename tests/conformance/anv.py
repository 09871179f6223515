#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SUITE=anv must not call a run passed that is not, or that ran on something else."""

import sys

import runner

conformance = runner.conformance

SPARSE = """device   Intel(R) Graphics (BMG G21)
driver   Intel open-source Mesa driver, Mesa 25.0.7
queues   copies on family 2 (transfer only), binds on family 0
64 checks passed
"""
ORACLE = """device   llvmpipe (LLVM 15.0.6, 256 bits)
left out reads and writes of holes
60 checks passed
"""
INFO = """GPU0:
\tdeviceName         = Intel(R) Graphics (BMG G21)
\tdriverID           = DRIVER_ID_INTEL_OPEN_SOURCE_MESA
"""
BMG, LNL = "bmg-normal", "lnl-lazy"
# (program, device, exit code, what it printed) and what that is.
VERDICTS = [
    ("vulkan-sparse", BMG, 0, SPARSE, "pass"),
    ("vulkan-sparse", LNL, 0, SPARSE, "fail"),
    ("vulkan-sparse", BMG, 0, SPARSE.replace("Intel open-source", "llvmpipe"), "fail"),
    ("vulkan-sparse", BMG, 0, SPARSE.replace("64", "0"), "fail"),
    ("vulkan-sparse", BMG, 0, SPARSE.replace("64 checks passed", ""), "fail"),
    ("vulkan-sparse", BMG, 0, SPARSE + "more\n", "fail"),
    ("vulkan-sparse", BMG, 0, "WRONG    a\n" + SPARSE, "fail"),
    ("vulkan-sparse", BMG, 0, "left out all binding\n" + SPARSE, "skip"),
    ("vulkan-sparse", BMG, 0, ORACLE, "fail"),
    ("vulkan-sparse", BMG, 1, SPARSE, "fail"),
    ("vulkan-sparse", BMG, 125, SPARSE + "vmbind run: the device was not used\n", "fail"),
    ("vulkan-sparse", BMG, 124, SPARSE, "timeout"),
    ("vulkan-sparse", BMG, None, SPARSE, "timeout"),
    ("vulkan-sparse", BMG, 139, SPARSE, "crash"),
    ("vulkan-sparse", BMG, -11, SPARSE, "crash"),
    ("vulkan-sparse", "lavapipe", 0, ORACLE, "pass"),
    ("vulkan-sparse", "lavapipe", 0, SPARSE, "fail"),
    ("vulkaninfo", BMG, 0, INFO, "pass"),
    ("vulkaninfo", LNL, 0, INFO, "fail"),
    ("vulkaninfo", BMG, 0, INFO + "GPU1:\n", "fail"),
    ("vulkaninfo", BMG, 0, "", "fail"),
    ("vulkaninfo", BMG, 1, INFO, "fail"),
]


def checks():
    """Yield (name, truth)."""
    for number, (program, device, code, text, expected) in enumerate(VERDICTS):
        outcome = conformance.judge_anv(program, device, code, text)[0]
        yield f"verdict {number}: {program} on {device}, exit {code}: {expected}", (
            outcome == expected)
    names = conformance.read_list(conformance.LISTS / "anv.txt")
    wanted = {f"{program}@{gpu}-{schedule}" for program in ("vulkaninfo", "vulkan-sparse")
              for gpu in conformance.ANV_NAMES
              for schedule in ("normal", "eager", "lazy", "adversarial")}
    yield "the list has every GPU and schedule, and the oracle", (
        set(names) == wanted | {"vulkan-sparse@lavapipe"})


if __name__ == "__main__":
    sys.exit(runner.report(checks()))
