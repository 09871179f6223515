#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples of the library run, and print what they should.

    test_examples.py PROGRAM...
"""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tapcheck
from tapcheck import check, run

OUTPUT = {
    "map": """\
the GPU copied 0xcafe
at 0x100000 it sees 0xcafe
unmapped: Bad address
""",
    "async-bind": """\
all is queued; point 0 of 4, the word is 0
all is done; point 4 of 4, the word is 42
the mapping is gone: Bad address
""",
    "error-flavours": """\
unwind: operation 2: No space left on device (no room where the object may live); done 0, mapped 0
unwind: then 4 done, mapped 4
cookie: operation 2: No space left on device (no room where the object may live); done 2, mapped 2
cookie: then 2 done, mapped 4
restart: operation 2: No space left on device (no room where the object may live); done 2, mapped 2
restart: meanwhile another bind: a list that failed has to be restarted first
restart: then 4 done, mapped 4
""",
    "ring": """\
1000 batches, one after the other: the word is 1000
1000 batches, one behind the other: the word is 2000
the ring went round 7 times
""",
}


def main():
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        answer = run(path.resolve())
        check(f"{path.name} ends well", answer.returncode == 0 and not answer.stderr, answer)
        check(f"{path.name} prints what it should", answer.stdout == OUTPUT[path.name],
              answer.stdout)
    return tapcheck.done()


if __name__ == "__main__":
    sys.exit(main())
