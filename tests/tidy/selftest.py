#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prove that each tidy test can fail: one broken file at a time in a small tree."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import tidy

HERE = pathlib.Path(__file__).resolve().parent
SPDX = "/* SPDX-License-" + "Identifier: MIT */\n"
HASH = "# SPDX-License-" + "Identifier: MIT\n"
TIER1 = "".join(f"xe_vm@name-{number}\n" for number in range(100))

# A tree that breaks no rule.
GOOD = {
    "src/base/list.h": SPDX + "#include <stdint.h>\n",
    "src/port/port.h": SPDX + '#include "event/event.h"\n',
    "src/port/posix.c": SPDX + '#include "port/port.h"\n#include <pthread.h>\n',
    "src/port/posix.h": SPDX,
    "src/event/event.h": SPDX + '#include "base/list.h"\n',
    "src/mem/bo.h": SPDX + '#include "port/port.h"\n',
    "src/vm/vm.c": SPDX + '#include "mem/bo.h"\n#include <string.h>\nint f(void)\n{\n}\n',
    "src/vm/vm.h": SPDX,
    "src/uapi/xe.c": SPDX + '#include "uapi/xe_drm.h"\n#include "vm/vm.h"\n',
    "src/trace/text.c": SPDX + '#include "event/event.h"\n#include <stdio.h>\n',
    "src/node/node.c": SPDX + '#include "port/posix.h"\n#include <dlfcn.h>\n',
    "include/uapi/xe_drm.h": SPDX + "#include <stdint.h>\n",
    "include/vmbind/vmbind.h": SPDX + "#include <stdint.h>\n",
    "tools/main.c": SPDX + '#include "node/../port/posix.h"\n#include <unistd.h>\n',
    "scripts/go": "#!/bin/sh\n" + HASH + "exit 0\n",
    "scripts/tool": "#!/usr/bin/env python3\n" + HASH + "print()\n",
    "README.md": "# a tree\n",
    "tests/conformance/igt-tier1.txt": TIER1,
}

LONG_FUNCTION = "int f(void)\n{\n" + "\tg();\n" * 69 + "}\n"
BRACE_TRICKS = '#define A \\\n\tif (1) {\nconst char *s = "{";\n/* { */\nint g(void) { }\n'

# name: (test, path, content)
BROKEN = {
    "vm includes a room above": ("layering", "src/vm/vm.c", SPDX + '#include "exec/queue.h"\n'),
    "core includes POSIX": ("layering", "src/vm/vm.c", SPDX + "#include <unistd.h>\n"),
    "core includes stdio": ("layering", "src/check/rule.c", SPDX + "#include <stdio.h>\n"),
    "core knows which port": ("layering", "src/vm/vm.c", SPDX + '#include "port/posix.h"\n'),
    "a reader knows a maker": ("layering", "src/trace/text.c", SPDX + '#include "vm/vm.h"\n'),
    "equals know each other": ("layering", "src/trace/t.c", SPDX + '#include "check/c.h"\n'),
    "base knows mem": ("layering", "src/base/list.h", SPDX + '#include "mem/bo.h"\n'),
    "a relative include goes up": ("layering", "src/vm/vm.c", SPDX + '#include "../node/n.h"\n'),
    "node includes uAPI": ("layering", "src/node/node.c", SPDX + '#include <uapi/xe_drm.h>\n'),
    "uapi includes the system's": ("layering", "src/uapi/xe.c", SPDX + "#include <drm/drm.h>\n"),
    "C11 threads": ("layering", "src/port/posix.c", SPDX + "#include <threads.h>\n"),
    "a header that is not there": ("layering", "src/vm/vm.c", SPDX + '#include "vm/gone.h"\n'),
    "an unknown room": ("layering", "src/attic/old.c", SPDX),
    "public header shows src": ("layering", "include/vmbind/vmbind.h",
                                SPDX + '#include "vm/vm.h"\n'),
    "C without SPDX": ("spdx", "src/vm/vm.c", "int a;\n"),
    "script without SPDX": ("spdx", "scripts/go", "#!/bin/sh\nexit 0\n"),
    "71 lines": ("lengths", "src/vm/vm.c", SPDX + LONG_FUNCTION),
    "71 lines after braces": ("lengths", "tests/unit/t.c", SPDX + BRACE_TRICKS + LONG_FUNCTION),
    "1001 lines": ("lengths", "src/vm/vm.c", SPDX + "\n" * 1000),
    "101 columns": ("lengths", "src/vm/vm.c", SPDX + "\t" * 12 + "int a;\n"),
    "work left": ("words", "src/vm/vm.c", SPDX + "/* TO" + "DO: more */\n"),
    "place": ("words", "README.md", "see /ro" + "ot/x\n"),
    "mirror": ("words", "scripts/go", "#!/bin/sh\n# http://deb.deb" + "ian.org/debian\n"),
    "authoring": ("words", "README.md", "written by an AI assis" + "tant\n"),
    "sh syntax": ("syntax", "scripts/go", "#!/bin/sh\nif true; then\n"),
    "python syntax": ("syntax", "scripts/tool", "#!/usr/bin/env python3\ndef f(:\n"),
    "99 names in tier 1": ("lists", "tests/conformance/igt-tier1.txt", TIER1[:-14]),
}
TESTS = ("layering", "lengths", "lists", "spdx", "syntax", "words")


def write(tree, path, content):
    target = tree / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content, encoding="utf-8")
    target.chmod(0o755 if content.startswith("#!") else 0o644)


def plant(folder):
    tree = pathlib.Path(folder) / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for path, content in GOOD.items():
        write(tree, path, content)
    return tree


def fails(test, *words):
    """True if the test finds fault; a test that breaks down proves nothing."""
    answer = subprocess.run([sys.executable, str(HERE / f"{test}.py"), *map(str, words)],
                            check=False, capture_output=True, text=True)
    if "1.." not in answer.stdout:
        raise RuntimeError(f"{test}: {answer.stderr}")
    return "not ok" in answer.stdout and answer.returncode == 1


def history_cases(tap, folder):
    """What only git can tell: a name given up, a bad commit message."""
    tree = plant(folder)
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": folder}

    def git(*words):
        subprocess.run(["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@t",
                        *words], check=True, capture_output=True, env=environment)

    listed = "tests/conformance/expect/xe_vm.txt"
    git("init", "-q")
    write(tree, listed, "xe_vm@a\nxe_vm@b\n")
    git("add", "-A")
    git("commit", "-qm", "one")
    write(tree, listed, "xe_vm@a\nxe_vm@b\nxe_vm@c\n")
    git("commit", "-qam", "two")
    tap.case("a list may grow", ["it may not"] if fails("lists", tree) else [])
    write(tree, listed, "xe_vm@a\nxe_vm@c\n")
    tap.case("a name of an older list is missing",
             [] if fails("lists", tree) else ["not noticed"])
    (tree / listed).unlink()
    tap.case("a whole list is missing", [] if fails("lists", tree) else ["not noticed"])
    git("checkout", "-q", listed)
    write(tree, ".gitignore", HASH + "ignored.c\n")
    write(tree, "ignored.c", "int a;\n")
    tap.case("ignored files are not ours", ["they count"] if fails("spdx", tree) else [])
    git("commit", "-q", "--allow-empty", "-m", "at /ro" + "ot/x")
    tap.case("a commit message names a place", [] if fails("words", tree) else ["not noticed"])


def object_cases(tap, folder):
    """Symbols: of an archive that uses libc, of a library that shows too much."""
    base = pathlib.Path(folder)
    (base / "bad.c").write_text("int puts(const char *); int f(void) { return puts(\"\"); }\n",
                                encoding="utf-8")
    (base / "good.c").write_text("int port_f(void); int f(void) { return port_f(); }\n",
                                 encoding="utf-8")
    for name, expected in (("bad", True), ("good", False)):
        archive = base / f"lib{name}.a"
        subprocess.run(["gcc", "-c", "-fno-stack-protector", "-fPIC", str(base / f"{name}.c"),
                        "-o", str(base / f"{name}.o")], check=True)
        subprocess.run(["ar", "cr", str(archive), str(base / f"{name}.o")], check=True)
        tap.case(f"freestanding: {name} archive",
                 [] if fails("freestanding", archive) == expected else ["wrong verdict"])
    tree = plant(folder)
    subprocess.run(["gcc", "-shared", "-fPIC", str(base / "good.c"), "-o",
                    str(base / "libvmbind-node.so")], check=True)
    for names, expected in (("f\n", False), ("", True), ("f\ng\n", True)):
        write(tree, "src/node/symbols.txt", names)
        tap.case(f"exports: list of {len(names.split())} for a library with one symbol",
                 [] if fails("exports", tree, base) == expected else ["wrong verdict"])


def features_cases(tap, folder):
    """A table of requirements that claims what nothing shows."""
    rows = "".join(f"| A{n:02} | text | not yet | |\n" for n in range(99))
    for row, expected in (("| B01 | text | done | `shown` |", False),
                          ("| B01 | text | done | `nowhere` |", True),
                          ("| B01 | text | done | |", True)):
        tree = plant(folder)
        write(tree, "tests/unit/test_x.c", SPDX + "TEST(shown),\n")
        write(tree, "docs/features.md", rows + row + "\n")
        tap.case(f"features: {row}",
                 [] if fails("features", tree) == expected else ["wrong verdict"])


def main():
    tap = tidy.Tap()
    with tempfile.TemporaryDirectory() as folder:
        tree = plant(folder)
        for test in TESTS:
            tap.case(f"{test}: a good tree passes", ["it fails"] if fails(test, tree) else [])
        for name, (test, path, content) in BROKEN.items():
            tree = plant(folder)
            write(tree, path, content)
            # What the broken file names must exist, or only its absence is noticed.
            for other in ("src/check/c.h", "src/exec/queue.h", "src/node/n.h", "src/uapi/xe.h"):
                write(tree, other, SPDX)
            tap.case(f"{test}: {name}", [] if fails(test, tree) else ["not noticed"])
        tree = plant(folder)
        (tree / "scripts/go").chmod(0o644)
        tap.case("syntax: a script that cannot run",
                 [] if fails("syntax", tree) else ["not noticed"])
        features_cases(tap, folder)
        if shutil.which("git"):
            history_cases(tap, folder)
        if shutil.which("gcc"):
            object_cases(tap, folder)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
