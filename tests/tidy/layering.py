#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each room includes only what stands below it; only four rooms know POSIX."""

import pathlib
import re
import sys

import tidy

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)

# Top to bottom. Rooms of one line are equals and do not know each other.
FLOORS = [
    ["tools", "tools/sim"],
    ["node"],
    ["api"],
    ["uapi"],
    ["check", "trace", "debug"],
    ["exec"],
    ["vm"],
    ["pt"],
    ["mem"],
    ["sync"],
    ["gpu"],
    ["event"],
    ["port"],
    ["base"],
]
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
# Readers of the event stream: the rooms that make events are none of their business.
READERS = {"check": {"event", "port", "base"}, "trace": {"event", "port", "base"}}
# What any room may see, wherever it stands.
FOR_ALL = {"src/port/port.h"}
ROOMS_FOR_ALL = {"event"}
# Above these, a room may also use the other headers of port/ (which port it runs on).
KNOWS_PORTS = {"tools", "tools/sim", "node", "port"}
# Who speaks as a kernel or as its client.
KNOWS_UAPI = {"uapi", "tools/sim"}

POSIX_ROOMS = {"tools", "tools/sim", "node", "trace", "port"}
FREESTANDING = {"stdint.h", "stddef.h", "stdbool.h", "stdarg.h", "stdalign.h", "stdatomic.h",
                "stdnoreturn.h", "limits.h", "inttypes.h", "errno.h", "string.h"}


def room_of(name):
    """Room of a path relative to the tree, None outside the rooms."""
    parts = pathlib.PurePosixPath(name).parts
    if parts[0] == "tools":
        return "tools/sim" if parts[1] == "sim" else "tools"
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    return None


def resolve(top, path, name):
    """The file of the tree an include names, as the compiler would look for it."""
    for base in (path.parent, top / "src", top / "include", top):
        candidate = (base / name).resolve()
        if candidate.is_file() and candidate.is_relative_to(top):
            return candidate.relative_to(top).as_posix()
    return None


def judge_ours(room, target):
    """Why ROOM may not include our file TARGET, or None."""
    if target.startswith("include/uapi/"):
        return None if room in KNOWS_UAPI else "only src/uapi/ knows uAPI headers"
    other = room_of(target)
    if target in FOR_ALL or other in ROOMS_FOR_ALL or other in (room, None):
        return None
    if room in READERS:
        allowed = other in READERS[room]
    else:
        allowed = FLOOR.get(other, -1) > FLOOR[room]
    if not allowed:
        return f"{other}/ does not stand below {room}/"
    if other == "port" and room not in KNOWS_PORTS:
        return "only port.h of port/ is visible here"
    return None


def judge_foreign(room, name):
    """Why ROOM may not include the system header NAME, or None."""
    if name == "threads.h":
        return "<threads.h> breaks ThreadSanitizer, use pthreads"
    if name.startswith(("drm/", "libdrm/")) or name in ("xf86drm.h", "drm.h"):
        return "uAPI headers are our own"
    if room in POSIX_ROOMS or name in FREESTANDING:
        return None
    return "not a freestanding header, and only " + ", ".join(sorted(POSIX_ROOMS)) + " know POSIX"


def check_file(top, path, room):
    problems = []
    shown = path.relative_to(top).as_posix()
    body = tidy.text(path) or ""
    for found in INCLUDE.finditer(body):
        quote, name = found.groups()
        target = resolve(top, path, name)
        if target:
            reason = judge_ours(room, target)
        elif quote == '"':
            reason = "no such file in src/ or include/"
        else:
            reason = judge_foreign(room, name)
        if reason:
            line = body.count("\n", 0, found.start(1)) + 1
            problems.append(f"{shown}:{line}: {name}: {reason}")
    return problems


def check_public(top, path):
    """Public headers stand alone: they reach nothing in src/."""
    problems = []
    for found in INCLUDE.finditer(tidy.text(path) or ""):
        target = resolve(top, path, found.group(2))
        if target and not target.startswith("include/"):
            problems.append(f"{path.relative_to(top)}: a public header includes {target}")
    return problems


def main():
    top = tidy.root()
    tap = tidy.Tap()
    by_room = {room: [] for room in FLOOR}
    unknown, public = [], []
    for path in tidy.files(top):
        if path.suffix not in tidy.CODE:
            continue
        name = path.relative_to(top).as_posix()
        room = room_of(name)
        if room in by_room:
            by_room[room] += check_file(top, path, room)
        elif room is not None:
            unknown.append(f"{name}: src/{room}/ is no room of docs/design.md")
        elif name.startswith("include/"):
            public += check_public(top, path)
    for room, problems in by_room.items():
        tap.case(f"{room} includes only what stands below it", problems)
    tap.case("every folder of src is a room", unknown)
    tap.case("headers in include stand alone", public)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
