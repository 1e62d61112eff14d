"""Run as a script: kills what its parent left behind, however the parent ended.

Reads "+PID" and "-PID" lines from standard input. At end of input (the parent closed the
pipe, or is gone, SIGKILL included) it kills the process group of every PID still listed and
removes the folder named on the command line.

A process of its own because nothing inside the parent survives SIGKILL. The kernel's own
answer, PR_SET_PDEATHSIG, would kill children too early and too few: it fires when the *thread*
that forked ends, and it does not reach grandchildren such as a decoder started by a function.
"""

import contextlib
import os
import shutil
import signal
import sys


def main(folder: str) -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        sign, pid = line[0], int(line[1:])
        if sign == "+":
            groups.add(pid)
        else:
            groups.discard(pid)
    for pid in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
