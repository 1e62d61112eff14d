"""How a baseline reports: one line of JSON on standard output."""

import json
import os
import time
from collections.abc import Callable

from bench.cost import peak_mb


def report(work: Callable[[], int], **details: object) -> None:
    """Time `work`, which returns how many things it found; `details` may be filled by it."""
    started, cpu_started = time.perf_counter(), time.process_time()
    found = work()
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    # Not getrusage: its maximum begins with that of the process that started this one.
    peak = peak_mb(os.getpid())
    costs = {"seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak, "found": found}
    print(json.dumps(costs | details))
