#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `make install` gives: files, the command, the library for other programs.

    test_install.py SOURCE_ROOT BUILD_ROOT

Installs the build directory below a temporary root and uses only what is there.
"""

import pathlib
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tapcheck
from tapcheck import check, run

SOURCE, BUILD = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
PREFIX = "usr/local"
# What a user's machine gets, and nothing else.
FILES = re.compile(r"bin/vmbind|include/vmbind/vmbind\.h|share/man/man1/vmbind\.1|"
                   r"lib(/[\w-]+)?/(vmbind/(libvmbind-node\.so|vmbind-sim)|pkgconfig/vmbind\.pc|"
                   r"libvmbind\.so(\.0(\.\d+\.\d+)?)?)|share/vmbind/installed")
FILE_COUNT = 10


def files_below(top):
    return sorted(str(path.relative_to(top)) for path in top.rglob("*")
                  if path.is_symlink() or not path.is_dir())


def install(root):
    log = BUILD / "meson-logs/install-log.txt"
    answer = run("meson", "install", "-C", BUILD, "--no-rebuild", env={"DESTDIR": str(root)})
    check("install", answer.returncode == 0, answer)
    answer = run(SOURCE / "scripts/installed", "record", root, "/" + PREFIX, log)
    check("the list of what was installed", answer.returncode == 0, answer)
    found = files_below(root / PREFIX)
    check("all files are what they should be", len(found) == FILE_COUNT
          and all(FILES.fullmatch(name) for name in found), found)
    check("and below the prefix", files_below(root) == [f"{PREFIX}/{name}" for name in found],
          files_below(root))


def library(top):
    folder = next(top.rglob("libvmbind.so")).parent
    listed = re.findall(r"^\t(vmb_\w+);", (SOURCE / "src/api/libvmbind.map")
                        .read_text(encoding="utf-8"), re.M)
    declared = re.findall(r"\b(vmb_\w+)\(", re.sub(r"/\*.*?\*/", "", (
        top / "include/vmbind/vmbind.h").read_text(encoding="utf-8"), flags=re.S))
    check("the header declares what the map lists", sorted(declared) == sorted(listed),
          (declared, listed))
    out = run("nm", "-D", "--defined-only", "--with-symbol-versions",
              folder / "libvmbind.so").stdout.split("\n")
    shown = sorted(line.split()[-1] for line in out if line and " A " not in line)
    check("the library shows these with their version",
          shown == sorted(f"{name}@@VMBIND_0.1" for name in listed), shown)
    out = run("readelf", "-d", folder / "libvmbind.so").stdout
    check("its name for the loader", "[libvmbind.so.0]" in out, out)
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", out))
    check("it needs libc and no more", needed <= {"libc.so.6", "libm.so.6", "libpthread.so.0",
                                                 "ld-linux-x86-64.so.2"}, needed)
    return folder


def embed(root, folder):
    """A program that finds everything through pkg-config."""
    pc = {"PKG_CONFIG_PATH": str(folder / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(root)}
    flags = run("pkg-config", "--cflags", "--libs", "vmbind", env=pc)
    check("pkg-config", flags.returncode == 0, flags)
    drm = run("pkg-config", "--cflags", "libdrm")
    version = run("pkg-config", "--modversion", "vmbind", env=pc).stdout.strip()
    check("one version everywhere", run(root / PREFIX / "bin/vmbind", "--version").stdout
          == f"vmbind {version}\n", version)
    with tempfile.TemporaryDirectory() as work:
        program = pathlib.Path(work) / "embed"
        built = run("cc", "-Wall", "-Wextra", "-Werror", "-o", program,
                    SOURCE / "tests/api/embed.c",
                    *flags.stdout.split(), *drm.stdout.split())
        check("a program builds", built.returncode == 0, built)
        answer = run(program, env={"LD_LIBRARY_PATH": str(folder)}) if not built.returncode \
            else built
        check("and runs", answer.returncode == 0 and "not ok" not in answer.stdout
              and answer.stdout.count("\nok") > 15 and not answer.stderr, answer)
        program = pathlib.Path(work) / "map"
        built = run("cc", "-Wall", "-Wextra", "-Werror", "-o", program,
                    SOURCE / "examples/map.c", *flags.stdout.split())
        answer = run(program, env={"LD_LIBRARY_PATH": str(folder)}) if not built.returncode \
            else built
        check("so does an example", answer.returncode == 0 and not answer.stderr, answer)
        header = (root / PREFIX / "include/vmbind/vmbind.h").read_text(encoding="utf-8")
        numbers = re.findall(r"#define VMB_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)
        check("the header's version is that of meson.build", ".".join(numbers) == version,
              (numbers, version))


def command(top):
    vmbind = top / "bin/vmbind"
    answer = run(vmbind, "run", "--require-use", "--", "sh", "-c",
                 "ls /sys/class/drm; true <>/dev/dri/renderD128")
    check("the installed command and its library", answer.returncode == 0
          and "renderD128" in answer.stdout, answer)
    preload = run(vmbind, "env").stdout.strip()
    check("and it is the installed one", preload.startswith(f"LD_PRELOAD={top}/"), preload)
    answer = run(vmbind, "sim", "--seeds", "2")
    check("it simulates", answer.stdout.endswith("2 passed, 0 failed, 0 skipped\n"), answer)
    hidden = next(top.rglob("libvmbind-node.so"))
    hidden.rename(hidden.with_suffix(".away"))
    answer = run(vmbind, "run", "--", "true")
    check("without it it says so", answer.returncode == 125 and "install vmbind as a whole"
          in answer.stderr, answer)
    hidden.with_suffix(".away").rename(hidden)


def manual(top):
    page = (top / "share/man/man1/vmbind.1").read_text(encoding="utf-8")
    plain = page.replace("\\-", "-")
    vmbind = top / "bin/vmbind"
    for sub in re.findall(r"^  vmbind (\w+) ", run(vmbind, "help").stdout, re.M):
        text = run(vmbind, "help", sub).stdout
        check(f"the man page knows {sub}", sub == "help" or f".Cm {sub}" in page)
        missing = [option for option in re.findall(r"^  (--[a-z-]+)", text, re.M)
                   if f".It Fl {option[1:]}" not in plain]
        check(f"and its options: {sub}", not missing, missing)
    for code in ("124", "125", "126", "127"):
        check(f"and exit code {code}", f".It {code}\n" in page)


def uninstall(root):
    (root / PREFIX / "bin/other").write_text("not ours\n", encoding="utf-8")
    answer = run(SOURCE / "scripts/installed", "remove", root, "/" + PREFIX)
    left = [str(path.relative_to(root)) for path in root.rglob("*")]
    check("uninstall leaves what is not ours", answer.returncode == 0
          and sorted(left) == ["usr", "usr/local", "usr/local/bin", "usr/local/bin/other"],
          (answer, left))
    answer = run(SOURCE / "scripts/installed", "remove", root, "/" + PREFIX)
    check("a second time it says so", answer.returncode == 1 and "PREFIX" in answer.stderr, answer)


def cleaning(work):
    """The Makefile alone, in a tree that looks built."""
    shutil.copy(SOURCE / "Makefile", work)
    for name in ("build/cache/igt/a.deb", "build/gcc/build.ninja", "build/.hidden",
                 "build/bench.json"):
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    answer = run("make", "clean", cwd=work)
    check("make clean keeps the downloads", files_below(work) ==
          ["Makefile", "build/cache/igt/a.deb"], (answer, files_below(work)))
    check("make clean, nothing to do", run("make", "clean", cwd=work).returncode == 0)
    answer = run("make", "distclean", cwd=work)
    check("make distclean keeps nothing", [path.name for path in work.iterdir()] == ["Makefile"],
          answer)
    check("make clean, nothing built", run("make", "clean", cwd=work).returncode == 0)


def main():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder).resolve()
        install(root)
        if not tapcheck.failed:
            folder = library(root / PREFIX)
            embed(root, folder)
            command(root / PREFIX)
            manual(root / PREFIX)
            uninstall(root)
    with tempfile.TemporaryDirectory() as folder:
        cleaning(pathlib.Path(folder))
    return tapcheck.done()


if __name__ == "__main__":
    sys.exit(main())
