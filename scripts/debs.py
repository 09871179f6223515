# SPDX-License-Identifier: MIT
"""Sets of Debian packages, side by side with the machine's own and never installed.

A private apt with an empty dpkg status resolves them, so that the machine's packages
and sources play no part; only where the mirror is, is read from the machine's apt.
Downloads are kept in build/cache/NAME with a list of their names: a second run needs
no network. The set is unpacked into build/NAME.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
SETUP_FAILED = 3
TRIES = 3


class SetupFailed(Exception):
    """Something outside the tests is missing."""


@dataclasses.dataclass
class DebSet:
    name: str
    suites: list
    # What apt is asked for, NAME or NAME/SUITE.
    packages: list
    # Packages of the closure that are not unpacked.
    left_out: tuple = ()

    @property
    def cache(self):
        return ROOT / "build/cache" / self.name

    @property
    def tree(self):
        return ROOT / "build" / self.name

    @property
    def manifest(self):
        return self.cache / "manifest"

    @property
    def stamp(self):
        """Exists when the whole set is unpacked and passed its check; lists its packages."""
        return self.tree / ".vmbind-complete"

    def say(self, text):
        print(f"fetch-{self.name}: {text}", flush=True)


def run(command, **kwargs):
    return subprocess.run([str(word) for word in command], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)


def tail(text, lines=8):
    return "\n".join("    " + line for line in text.strip().splitlines()[-lines:])


def package_of(name):
    """(package, version) of a .deb's name, which has the epoch's colon escaped."""
    package, version = name.split("_")[:2]
    return package, version.replace("%3a", ":")


class PrivateApt:
    """apt-get with its own sources, state and cache; the machine's proxy settings stay."""

    def __init__(self, base, suites):
        self.base = base
        lines = []
        for suite in suites:
            mirror = run([ROOT / "scripts/debian-mirror", "--lines", suite])
            if mirror.returncode:
                raise SetupFailed(mirror.stdout.strip())
            lines.append(mirror.stdout)
        for folder in ("etc", "state/lists/partial", "cache", "archives/partial"):
            (base / folder).mkdir(parents=True, exist_ok=True)
        (base / "etc/sources.list").write_text("".join(lines), encoding="utf-8")
        (base / "state/status").write_text("", encoding="utf-8")

    def __call__(self, *words):
        options = {
            "Dir::Etc::sourcelist": self.base / "etc/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State": self.base / "state",
            "Dir::State::status": self.base / "state/status",
            "Dir::Cache": self.base / "cache",
            "Dir::Cache::archives": self.base / "archives",
            "APT::Architecture": "amd64",
            "APT::Install-Recommends": "false",
            "APT::Get::Assume-Yes": "true",
            "APT::Sandbox::User": "root",
            # A frozen mirror is still a good mirror.
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": TRIES,
            "Debug::NoLocking": "true",
        }
        command = ["apt-get", "-q"]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        return run(command + list(words), env={**os.environ, "LC_ALL": "C"})


def resolve(debs, apt):
    """Names of the package files of the closure, by asking apt."""
    suites = " and ".join(debs.suites)
    debs.say(f"reading the package lists of {suites}")
    update = apt("update")
    if update.returncode or "Failed to fetch" in update.stdout:
        raise SetupFailed(f"the package lists of {suites} cannot be read:\n" + tail(update.stdout))
    plan = apt("install", "--print-uris", *debs.packages)
    files = re.findall(r"^'\S+' (\S+\.deb) \d+", plan.stdout, re.M)
    if plan.returncode or not files:
        raise SetupFailed(f"{suites} cannot give {', '.join(debs.packages)}:\n"
                          + tail(plan.stdout))
    return sorted(files)


def download(debs, apt, files):
    """Fetch what the cache lacks; return the names that could not be had."""
    def missing():
        return [name for name in files if not (debs.cache / name).exists()]

    archives = apt.base / "archives"
    for name in files:
        if (debs.cache / name).exists() and not (archives / name).exists():
            os.link(debs.cache / name, archives / name)
    debs.say(f"downloading {len(missing())} of {len(files)} packages")
    # apt verifies the hash of each file; --fix-missing makes it go on after a failure.
    result = apt("install", "--download-only", "--fix-missing", *debs.packages)
    for name in files:
        if (archives / name).exists() and not (debs.cache / name).exists():
            (archives / name).rename(debs.cache / name)
    if missing():
        debs.say("apt said:\n" + tail(result.stdout, 12))
    return missing()


def fetch(debs, refresh=False):
    """Make the cache hold the closure; return the package files it holds."""
    known = debs.manifest.read_text(encoding="utf-8").split() if debs.manifest.exists() else []
    if known and not refresh and all((debs.cache / name).exists() for name in known):
        debs.say(f"{len(known)} packages in the cache, no network needed")
        return known
    debs.cache.mkdir(parents=True, exist_ok=True)
    private = ROOT / "build" / f"{debs.name}-apt"
    shutil.rmtree(private, ignore_errors=True)
    try:
        apt = PrivateApt(private, debs.suites)
        files = resolve(debs, apt)
        lost = download(debs, apt, files)
    except SetupFailed as error:
        # What an earlier run left may still do.
        files, lost = known, [name for name in known if not (debs.cache / name).exists()]
        if len(lost) == len(known):
            raise
        debs.say(f"going on with the cache: {error}")
    finally:
        shutil.rmtree(private, ignore_errors=True)
    for name in lost:
        debs.say(f"could not download {name}, going on without it")
    if not lost:
        debs.manifest.write_text("\n".join(files) + "\n", encoding="utf-8")
        for old in debs.cache.glob("*.deb"):
            if old.name not in files:
                old.unlink()
    return [name for name in files if name not in lost]


def unpack(debs, files):
    shutil.rmtree(debs.tree, ignore_errors=True)
    debs.tree.mkdir(parents=True)
    for name in files:
        if package_of(name)[0] in debs.left_out:
            continue
        result = run(["dpkg-deb", "-x", debs.cache / name, debs.tree])
        if result.returncode:
            (debs.cache / name).unlink()
            raise SetupFailed(f"{name} cannot be unpacked (removed, run again):\n"
                              + tail(result.stdout))


def is_whole(debs, files):
    """Are these all the packages of the set?"""
    return (debs.manifest.exists()
            and debs.manifest.read_text(encoding="utf-8").split() == files)


def finish(debs, files):
    """Note that the set is whole, if it is; else the next run tries again."""
    if is_whole(debs, files):
        debs.stamp.write_text("\n".join(files) + "\n", encoding="utf-8")
    debs.say(f"{len(files)} packages unpacked in {debs.tree.relative_to(ROOT)}")


def tools_present(what):
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise SetupFailed(f"{tool} not found: {what} comes from Debian's packages "
                              "and needs a Debian machine")
    if os.uname().machine != "x86_64":
        raise SetupFailed(f"{what} is fetched for x86_64 only, this is {os.uname().machine}")
