"""How much memory a process and its descendants really use."""

import os
import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

_PROC = Path("/proc")
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


def session_memory_bytes(sessions: Collection[int]) -> dict[int, int]:
    """Proportional set size of every process in each session, summed.

    Proportional, so that a page shared by a function and the process it forked counts once.
    The measure is the kernel's (`/proc/PID/smaps_rollup`, proc(5)); where there is no /proc
    the answer is empty. Of a process that keeps its memory private only root may read it; then what
    it shares with nobody counts (`/proc/PID/statm`). psutil would read the same files.
    """
    members: dict[int, list[Path]] = defaultdict(list)
    for folder in _PROC.glob("[0-9]*"):
        try:
            # The name in parentheses may itself hold spaces and parentheses.
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue  # ended since the listing
        session = int(fields[3])
        if session in sessions:
            members[session].append(folder)
    return {session: sum(map(_pss_bytes, folders)) for session, folders in members.items()}


def _pss_bytes(folder: Path) -> int:
    try:
        found = _PSS.search((folder / "smaps_rollup").read_bytes())
    except PermissionError:
        return _private_bytes(folder)
    except OSError:
        return 0  # ended since the listing
    return int(found[1]) * 1024 if found else 0


def _private_bytes(folder: Path) -> int:
    try:
        _, resident, shared, *_ = (folder / "statm").read_bytes().split()
    except OSError:
        return 0  # ended since the listing
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
