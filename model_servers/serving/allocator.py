"""Makes the C library keep memory that was freed.

A frame's pixels and inputs are megabytes each. glibc takes such blocks from the kernel and gives
them back one by one; the kernel clears every page anew, and threads wait for each other meanwhile.
With two workers the faces server spent 2.4 of 16 ms a frame on that.
"""

import ctypes
import logging

log = logging.getLogger(__name__)

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of glibc's malloc.h; what they do is in the manual page mallopt(3)."""
_LARGEST_KEPT_BYTES = 32 << 20
"""Largest value that glibc takes. A frame of 3840x2160 is 24 MiB."""
_MOST_KEPT_BYTES = 128 << 20
"""Free memory at the end of a heap beyond this goes back to the system."""


def keep_freed_memory() -> None:
    """For the whole process. Where there is no `mallopt`, as on macOS, nothing changes."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    if not (
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES) and mallopt(_TRIM_THRESHOLD, _MOST_KEPT_BYTES)
    ):
        log.warning("the C library refuses to keep freed memory")
