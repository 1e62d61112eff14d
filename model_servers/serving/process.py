"""What a server asks of its own process, before its first thread and before NumPy is there."""

import ctypes
import os
from typing import NamedTuple


class _Option(NamedTuple):
    """An option of glibc's `mallopt`, see malloc.h and mallopt(3)."""

    variable: str
    """The environment variable for the same, which goes first."""
    number: int
    value: int


_LARGEST = 2**31 - 1
_MALLOC = (
    # Threads otherwise get arenas of at most 64 MB, which larger buffers go past.
    _Option("MALLOC_ARENA_MAX", -8, 1),
    _Option("MALLOC_MMAP_THRESHOLD_", -3, _LARGEST),
    _Option("MALLOC_TRIM_THRESHOLD_", -1, _LARGEST),
)


def prepare_process() -> None:
    """Keep freed memory for the next buffer, and let NumPy's products run on one thread.

    The attention of Whisper's encoder fills 54 MB per clip and layer. glibc asks the kernel for
    every buffer of that size and gives it back, and touching its pages for the first time took as
    long as the arithmetic. OpenBLAS would start a thread per core, which go on spinning after
    each product while the workers, also one per core, want those cores.

    Settings that the environment makes itself stay as they are. Without glibc, memory stays
    as the platform handles it.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for option in _MALLOC:
        if option.variable not in os.environ:
            mallopt(option.number, option.value)
