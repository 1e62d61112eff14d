"""How a baseline reports: one line of JSON on standard output."""

import json
import resource
import time
from collections.abc import Callable


def report(work: Callable[[], int], **details: object) -> None:
    """Time `work`, which returns how many things it found; `details` may be filled by it."""
    started, cpu_started = time.perf_counter(), time.process_time()
    found = work()
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    costs = {"seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak_mb, "found": found}
    print(json.dumps(costs | details))
