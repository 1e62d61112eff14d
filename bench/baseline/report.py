"""How a baseline reports: one line of JSON on standard output."""

import json
import resource
import time
from collections.abc import Callable


def report(work: Callable[[], int]) -> None:
    """Time `work`, which returns how many things it found."""
    started = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb, "found": found}))
