"""Where the time of one request went."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up time per named stage; safe to use from several threads.

    Stages overlap (one frame is decoded while another is in a network), so together they may
    exceed the request's wall time, which is the stage `total`.
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._lock = threading.Lock()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def restart(self) -> None:
        """Count `total` from now: the request's turn has come."""
        self._started = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            with self._lock:
                self._seconds[name] += elapsed

    def read_ms(self) -> dict[str, float]:
        """Milliseconds per stage so far, with `total` last."""
        with self._lock:
            stages = {name: round(seconds * 1000, 1) for name, seconds in self._seconds.items()}
        return stages | {"total": round((time.perf_counter() - self._started) * 1000, 1)}
