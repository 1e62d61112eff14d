"""What a run took, read from Linux's /proc: wall time, processor time, memory."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """Wall time, processor time of all threads and processes together, largest memory."""

    seconds: float
    cpu_s: float
    peak_mb: float = 0.0

    def times(self, factor: float) -> "Cost":
        return Cost(self.seconds * factor, self.cpu_s * factor, self.peak_mb)


def best(costs: Iterable[Cost]) -> Cost:
    """The best of each: what disturbs a run only ever adds. Memory is the largest."""
    costs = list(costs)
    return Cost(
        min(cost.seconds for cost in costs),
        min(cost.cpu_s for cost in costs),
        max(cost.peak_mb for cost in costs),
    )


def one_after_another(costs: Iterable[Cost]) -> Cost:
    costs = list(costs)
    return Cost(
        sum(cost.seconds for cost in costs),
        sum(cost.cpu_s for cost in costs),
        max(cost.peak_mb for cost in costs),
    )


def timed(work: Callable[[], object]) -> Cost:
    """Run `work` in this process and whatever processes belong to it."""
    cpu, started = tree_cpu_s(), time.perf_counter()
    work()
    return Cost(time.perf_counter() - started, tree_cpu_s() - cpu)


def tree_cpu_s() -> float:
    """Processor time so far of this process, its living descendants and those that ended."""
    children: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = _stat(int(entry.name))
            except OSError:
                continue  # it has ended since
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            # Own time, and that of children it has waited for.
            ticks[int(entry.name)] = sum(map(int, fields[11:15]))
    total, waiting = 0, [os.getpid()]
    while waiting:
        pid = waiting.pop()
        total += ticks.get(pid, 0)
        waiting += children.get(pid, [])
    return total / _TICKS


def cpu_s(pid: int) -> float:
    """Processor time of all threads of a process so far."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mb(pid: int) -> float:
    return status_mb(pid, "VmHWM")


def status_mb(pid: int, field: str) -> float:
    """A size in /proc/PID/status.

    Raises:
        SystemExit: there is none.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"no {field} in /proc: the memory column needs Linux")


def _stat(pid: int) -> list[str]:
    # The second field is a name in parentheses, which may hold spaces.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
