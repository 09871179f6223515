#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The vmbind command as its users see it: exit codes, messages, environment, trace.

    test_tool.py VMBIND LIBRARY SOURCE_ROOT
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tapcheck
from tapcheck import check, run

VMBIND, LIBRARY, SOURCE = sys.argv[1:4]
OPEN = "import os; os.open('/dev/dri/renderD128', os.O_RDWR)"
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


def vmbind(*words, **more):
    return run(VMBIND, *words, **more)


def exits(name, code, words, message=""):
    answer = vmbind(*words)
    check(name, answer.returncode == code and message in answer.stderr, answer)
    return answer


def exit_codes():
    exits("the command's exit code", 7, ["run", "--", "sh", "-c", "exit 7"])
    exits("the command's exit code, supervised", 7,
          ["run", "--timeout", "20", "sh", "-c", "exit 7"])
    exits("killed by a signal", 128 + signal.SIGKILL,
          ["run", "--timeout", "20", "--", "sh", "-c", "kill -KILL $$"])
    exits("not found in PATH", 127, ["run", "no-such-program"], "no program 'no-such-program'")
    exits("not found", 127, ["run", "./no-such-program"], "./no-such-program")
    exits("a directory", 126, ["run", "/tmp"], "not an executable")
    exits("no command", 125, ["run"], "no command")
    exits("no arguments", 125, [], "usage")
    exits("unknown subcommand", 125, ["walk"], "'walk'")


def time_limits():
    start = time.monotonic()
    exits("timeout", 124, ["run", "--timeout", "0.3", "sleep", "30"], "within 0.3 seconds")
    check("timeout is prompt", time.monotonic() - start < 3)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "pid"
        script = f"trap '' TERM; (trap '' TERM; sleep 30) & echo $! >{path}; wait; sleep 30"
        exits("timeout of a stubborn command", 124, ["run", "--timeout", "0.5", "sh", "-c", script])
        pid = int(path.read_text(encoding="utf-8"))
        time.sleep(0.2)
        check("nothing of its group is left", not alive(pid), pid)
    process = subprocess.Popen([VMBIND, "run", "--timeout", "30", "--", "sleep", "30"])
    time.sleep(0.3)
    process.terminate()
    check("SIGTERM is passed on", process.wait(timeout=10) == 128 + signal.SIGTERM)


def alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return state.rsplit(")", 1)[1].split()[0] != "Z"


def kill_is_clean():
    process = subprocess.Popen([VMBIND, "run", "--timeout", "30", "--", "sleep", "31"])
    time.sleep(0.3)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    pids = children.read_text(encoding="utf-8").split() if children.exists() else []
    process.kill()
    process.wait(timeout=10)
    time.sleep(0.2)
    check("SIGKILL of vmbind ends the command", not any(alive(pid) for pid in pids), pids)


def messages():
    exits("a bad size", 125, ["run", "--vram", "12Q", "true"], "'12Q' is not a size")
    exits("no size at all", 125, ["run", "--vram", "0", "true"], "'0' is not a size")
    exits("a size too large", 125, ["run", "--vram", "99999999T", "true"], "not a size")
    exits("too much visible", 125,
          ["run", "--vram", "1G", "--visible-vram", "2G", "true"], "--visible-vram 2G")
    exits("unknown GPU", 125, ["run", "--gpu", "foo", "true"], "'foo'; known are: bmg, lnl")
    exits("unknown uAPI", 125, ["run", "--uapi", "amd", "true"], "'amd'")
    exits("unknown schedule", 125, ["run", "--schedule", "soon", "true"], "adversarial")
    exits("unknown option", 125, ["run", "--frob", "true"], "'--frob'")
    exits("missing value", 125, ["run", "--gpu"], "--gpu needs a value")
    exits("bad time", 125, ["run", "--timeout", "3x", "true"], "'3x' is not a time")
    exits("bad trace file", 125, ["run", "--trace", "/no/such/trace", "true"], "/no/such/trace")
    exits("an unknown fault", 125, ["run", "--fault", "frob=1", "true"], "'frob=1' is no fault")
    exits("a fault of an unknown ioctl", 125, ["run", "--fault", "ioctl:FROB=1", "true"],
          "'FROB' in 'ioctl:FROB=1' is no ioctl of this device; say for example VM_BIND")
    exits("a fault of no time", 125, ["run", "--fault", "bind=2,alloc=x", "true"],
          "'x' in 'alloc=x' does not say which; say 7")
    answer = vmbind("run", "--", "true", env={"VMBIND_FAULT": "alloc"})
    check("a fault of the environment", answer.returncode == 125
          and "'alloc' does not say when" in answer.stderr, answer)
    answer = vmbind("run", "--", "true", env={"VMBIND_GPU": "bar"})
    check("a bad environment", answer.returncode == 125 and "'bar'" in answer.stderr, answer)


def unreachable_programs(folder):
    source = folder / "static.c"
    source.write_text("int main(void) { return 0; }\n", encoding="utf-8")
    static = folder / "static"
    built = subprocess.run(["cc", "-static", "-o", str(static), str(source)], check=False,
                           capture_output=True).returncode == 0
    if built:
        exits("a static program", 125, ["run", str(static)], "statically linked")
    foreign = bytearray(pathlib.Path(LIBRARY).read_bytes()[:4096])
    foreign[4] = 1  # ELFCLASS32
    other = folder / "foreign"
    other.write_bytes(foreign)
    other.chmod(0o755)
    exits("a 32-bit program", 125, ["run", str(other)], "not a 64-bit")
    if os.geteuid() == 0:
        setuid = folder / "setuid"
        shutil.copy("/bin/true", setuid)
        os.chown(setuid, 12345, -1)
        setuid.chmod(0o4755)
        exits("a setuid program", 125, ["run", str(setuid)], "setuid")
    script = folder / "script"
    script.write_text("#!/bin/sh\ntest -c /dev/dri/card0 && exit 3\n", encoding="utf-8")
    script.chmod(0o755)
    exits("a script", 3, ["run", str(script)])
    if built:
        script.write_text(f"#!{static}\n", encoding="utf-8")
        exits("a script of a static interpreter", 125, ["run", str(script)], "statically linked")
    raw = folder / "raw"
    source.write_text("#include <fcntl.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
                      "int main(void) { return syscall(SYS_openat, AT_FDCWD, "
                      "\"/dev/dri/renderD128\", O_RDWR) < 0; }\n", encoding="utf-8")
    subprocess.run(["cc", "-o", str(raw), str(source)], check=True)
    exits("a program of raw system calls", 125, ["run", "--require-use", str(raw)],
          "makes system calls without libc")
    script.chmod(0o644)
    exits("a file that is not executable", 126, ["run", str(script)], "chmod +x")


def use():
    exits("--require-use: not used", 125, ["run", "--require-use", "true"], "never opened")
    exits("--require-use: used", 0, ["run", "--require-use", "--", PYTHON, "-c", OPEN])
    exits("--require-use: a look is no use", 125, ["run", "--require-use", "ls", "/dev/dri"],
          "never opened")
    nested = ("import subprocess, sys; subprocess.run([sys.executable, '-c', "
              f"'''{OPEN}'''], close_fds=True, check=True)")
    exits("--require-use: by a program of a program", 0,
          ["run", "--require-use", "--", "sh", "-c", f'exec {PYTHON} -c "$0"', nested])
    exits("--require-use keeps the exit code", 5,
          ["run", "--require-use", "--", PYTHON, "-c", OPEN + "; os._exit(5)"])


IOCTLS = """
import fcntl, os, struct, time
fd = os.open('/dev/dri/renderD128', os.O_RDWR)
def call(nr, size, data=None):
    try:
        return fcntl.ioctl(fd, 3 << 30 | size << 16 | 0x6400 | nr, data or bytes(size))
    except OSError as error:
        return error
vm = call(0x43, 32)[12:16]
bo = call(0x41, 56, struct.pack('QQIIIIHHHHQQ', 0, 1 << 20, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0))
assert not isinstance(bo, OSError), bo
call(0x44, 24, vm + bytes(20))
call(0x44, 24, vm + bytes(20))
call(0x7f, 8)
"""


def report_of(path):
    return json.loads(path.read_text(encoding="utf-8"))


def reports(folder):
    path = folder / "report.json"
    answer = vmbind("run", "--report", str(path), "--gpu", "lnl", "--schedule", "lazy", "--",
                    PYTHON, "-c", IOCTLS, "\udcff\"\n")
    check("--report: the program ran", answer.returncode == 0, answer)
    got = report_of(path)
    check("--report: the command", got["command"] == [PYTHON, "-c", IOCTLS, "\xff\"\n"], got)
    check("--report: how it ended", (got["outcome"], got["exit_status"], got["signal"])
          == ("exit", 0, 0) and 0 < got["seconds"] < 60 and got["max_rss_bytes"] > 1 << 20, got)
    check("--report: which vmbind", f"vmbind {got['vmbind']}\n" == vmbind("--version").stdout)
    check("--report: the device", (got["device_used"], got["device_opens"], got["devices"],
          got["uapi"], got["gpu"], got["schedule"]) == (True, 1, 1, "xe", "lnl", "lazy"), got)
    check("--report: what watches client memory", got["client_memory_watched_by"] in
          vmbind("info").stdout and got["client_memory_watched_by"], got)
    calls = {line["name"]: line for line in got["ioctls"]}
    check("--report: ioctls with their errors", calls.get("XE_VM_DESTROY", {}) ==
          {"nr": 0x44, "name": "XE_VM_DESTROY", "calls": 2, "failed": 1,
           "errors": {"ENOENT": 1}}, got)
    check("--report: an unknown ioctl", calls.get("unknown", {}).get("errors") == {"EINVAL": 1},
          got)
    check("--report: what was made", (got["vms"], got["bos"], got["bo_peak_bytes"])
          == (1, 1, 1 << 20), got)
    reports_of_bad_ends(path)


def reports_of_bad_ends(path):
    words = ["--", PYTHON, "-c", IOCTLS + "os.kill(os.getpid(), 9)"]
    answer = vmbind("run", "--report", str(path), *words)
    got = report_of(path)
    check("--report of a killed command", answer.returncode == 137 and (
        got["outcome"], got["exit_status"], got["signal"], got["vms"]) == ("signal", 137, 9, 1),
        (answer, got))
    words[-1] = IOCTLS + "time.sleep(30)"
    answer = vmbind("run", "--timeout", "1", "--report", str(path), *words)
    got = report_of(path)
    check("--report of a timeout", answer.returncode == 124 and (
        got["outcome"], got["exit_status"], got["bos"]) == ("timeout", 124, 1), (answer, got))
    answer = vmbind("run", "--report", str(path), "no-such-program")
    got = report_of(path)
    check("--report of no command", answer.returncode == 127 and (
        got["outcome"], got["exit_status"]) == ("not started", 127), (answer, got))
    answer = vmbind("run", "--require-use", "--report", str(path), "true")
    got = report_of(path)
    check("--report of no use", answer.returncode == 125 and (
        got["exit_status"], got["device_used"], got["ioctls"]) == (125, False, []), (answer, got))
    forks = f"import os\nif os.fork():\n os.wait()\n{IOCTLS}"
    answer = vmbind("run", "--report", "-", "--", "sh", "-c", f'{PYTHON} -c "$0"; exit 3', forks)
    got = json.loads(answer.stderr)
    check("--report adds processes up", answer.returncode == 3 and (
        got["devices"], got["vms"], got["bo_peak_bytes"]) == (2, 2, 1 << 20), answer)
    exits("--report to nowhere", 125, ["run", "--report", "/no/such/report", "true"],
          "/no/such/report")


def faults(folder):
    path = folder / "report.json"
    spec = "alloc=1/GEM_CREATE,ioctl:VM_DESTROY=1:EBUSY,bind=9"
    program = IOCTLS.replace("assert not", "assert").replace(", bo\n", ", bo; os._exit(4)\n")
    answer = vmbind("run", "--fault", spec, "--report", str(path), "--", PYTHON, "-c", program)
    check("--fault: the program is told", answer.returncode == 4, answer)
    got = report_of(path)["faults"]
    hit = got["failed"][0] if got["failed"] else {}
    check("--fault: the report says what failed where", len(got["failed"]) == 1 and (
        hit["fault"], hit["number"], hit["error"], hit["ioctl"])
        == ("alloc=1/GEM_CREATE", 1, "ENOMEM", "XE_GEM_CREATE")
        and re.fullmatch(r"src/\w+/.*\.c:\d+", hit["place"]), got)
    check("--fault: how many there were", got["happened"]["ioctl"] == 2 and
          got["happened"]["alloc"] > 2 and [fault["failed"] for fault in got["asked"]]
          == [1, 0, 0], got)
    check("--fault: stderr says it", re.search(
        r"--fault alloc=1/GEM_CREATE: number 1 failed with ENOMEM in XE_GEM_CREATE at src/",
        answer.stderr) and "--fault bind=9: 0 of 0 failed; that many never came" in answer.stderr
        and re.search(r"there were alloc \d+, wait 0, bind 0, ioctl 2, vram 0\n", answer.stderr),
        answer)
    there = vmbind("run", "--fault", f"alloc@{hit['place'].rsplit('/', 1)[1]}=1", "--report",
                   str(path), "--", PYTHON, "-c", program)
    again = report_of(path)["faults"]["failed"]
    check("--fault: at that place", there.returncode == 4 and again[0]["place"] == hit["place"]
          and again[0]["ioctl"] == "XE_GEM_CREATE", (there, again))
    answer = vmbind("run", "--fault", "count", "--", PYTHON, "-c", IOCTLS)
    check("--fault count fails nothing", answer.returncode == 0 and re.fullmatch(
        r"vmbind run: there were alloc \d+, wait \d+, bind 0, ioctl 4, vram 0\n", answer.stderr),
        answer)
    answer = vmbind("env", "--fault", "vram=3")
    check("env of a fault", "VMBIND_FAULT=vram=3\n" in answer.stdout, answer)


def environment():
    answer = vmbind("env", "--gpu", "lnl", "--vram", "1G", "--schedule", "lazy", "--trace", "-")
    lines = dict(line.split("=", 1) for line in answer.stdout.splitlines())
    check("env", lines == {"VMBIND_GPU": "lnl", "VMBIND_VRAM": "1G", "VMBIND_SCHEDULE": "lazy",
                           "VMBIND_TRACE": "-", "LD_PRELOAD": os.path.realpath(LIBRARY)}, answer)
    answer = vmbind("env", "--with-vgem")
    check("env of a second card", "VMBIND_WITH_VGEM=1\n" in answer.stdout, answer)
    look = 'ls /dev/dri; cat /sys/class/drm/card1/device/uevent; test -c /dev/dri/card1'
    exits("one card", 1, ["run", "sh", "-c", look])
    answer = vmbind("run", "--with-vgem", "sh", "-c", look)
    check("two cards", answer.returncode == 0 and "card1\n" in answer.stdout
          and "renderD129\n" in answer.stdout and "DRIVER=vgem\n" in answer.stdout, answer)
    answer = vmbind("env", env={"LD_PRELOAD": "libm.so.6"})
    check("env keeps what is preloaded", answer.stdout.strip().endswith(":libm.so.6"), answer)
    exits("env runs nothing", 125, ["env", "true"], "'true'")
    answer = vmbind("run", "--gpu", "lnl", "--", "cat", "/sys/class/drm/card0/device/device")
    check("--gpu", answer.stdout == "0x64a0\n", answer)
    answer = vmbind("run", "--", VMBIND, "run", "--", "ls", "/dev/dri")
    check("a run in a run", answer.returncode == 0 and "card0" in answer.stdout, answer)
    answer = vmbind("env", "--check", "rules")
    check("env of the rules", "VMBIND_CHECK=rules\n" in answer.stdout, answer)
    exits("--check knows its sets", 125, ["run", "--check", "all", "true"], "rules, none")
    answer = vmbind("run", "--check", "rules", "--", PYTHON, "-c", OPEN)
    check("nothing is said without need", answer.returncode == 0 and not answer.stderr, answer)


def texts():
    answer = vmbind("help")
    check("help", answer.returncode == 0 and "vmbind run" in answer.stdout, answer)
    for sub in ("run", "env", "info"):
        answer = vmbind("help", sub)
        check(f"help {sub}", answer.stdout.startswith(f"usage: vmbind {sub}"), answer)
        check(f"{sub} --help says the same", vmbind(sub, "--help").stdout == answer.stdout)
    check("version", re.fullmatch(r"vmbind \d+\.\d+\.\d+\n", vmbind("--version").stdout))
    answer = vmbind("info")
    check("info", "8086:e20b" in answer.stdout and "8086:64a0" in answer.stdout, answer)
    check("info says what watches client memory", re.search(
        r"^client memory is watched by: (userfaultfd and interposition|interposition only: .+)$",
        answer.stdout, re.M), answer)
    answer = vmbind("info", env={"VMBIND_USERFAULTFD": "0"})
    check("info says that userfaultfd is denied", answer.stdout.endswith(
        "client memory is watched by: interposition only: VMBIND_USERFAULTFD is 0\n"), answer)


def trace(folder):
    path = folder / "trace"
    path.write_text("old\n", encoding="utf-8")
    script = OPEN + "; os.listdir('/dev/dri')"
    program = f"import os, fcntl; fd = os.open('/dev/dri/card0', os.O_RDWR)\n{script}\n" \
              "fcntl.ioctl(fd, 0xc0106440 & 0xff00ffff | 0x00280000, bytes(40))"
    answer = vmbind("run", "--trace", str(path), "--", PYTHON, "-c", program)
    lines = path.read_text(encoding="utf-8").splitlines()
    shape = re.compile(r"\[\d+\.\d{9}\] \d+ t\d+ \w+( \w+=(0x[0-9a-f]+|-?\d+))*")
    check("trace to a file", lines and all(shape.fullmatch(line) for line in lines),
          (lines[:3], answer))
    numbers = [int(line.split("] ")[1].split()[0]) for line in lines]
    check("trace in order", numbers == list(range(1, len(numbers) + 1)), numbers[:10])
    answer = vmbind("run", "--trace", "-", "--", PYTHON, "-c", program)
    check("trace to stderr", shape.match(answer.stderr), answer)


def host_is_unchanged(folder):
    state = pathlib.Path(SOURCE) / "scripts/host-state"
    saved = folder / "host.json"
    script = (OPEN + "; open('/dev/kmsg', 'w').write('x'); "
              "open('/proc/self/oom_score_adj', 'w').write('1000')")
    for _ in range(3):
        subprocess.run([state, "save", saved], check=True)
        runs = [vmbind("run", "--", PYTHON, "-c", script) for _ in range(2)]
        runs.append(vmbind("run", "--timeout", "0.3", "--", PYTHON, "-c",
                           script + "; import time; time.sleep(20)"))
        answer = subprocess.run([state, "diff", saved], check=False, capture_output=True,
                                text=True)
        # Others use this machine too; what we leave behind we leave every time.
        if answer.returncode == 0:
            break
    check("the runs are good", [run.returncode for run in runs] == [0, 0, 124], runs)
    check("the host is unchanged", answer.returncode == 0, answer)


def main():
    exit_codes()
    time_limits()
    kill_is_clean()
    messages()
    use()
    environment()
    texts()
    with tempfile.TemporaryDirectory() as folder:
        unreachable_programs(pathlib.Path(folder))
        trace(pathlib.Path(folder))
        reports(pathlib.Path(folder))
        faults(pathlib.Path(folder))
        host_is_unchanged(pathlib.Path(folder))
    return tapcheck.done()


if __name__ == "__main__":
    sys.exit(main())
