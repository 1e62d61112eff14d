"""Judges many documents at once: one process per core, policy and index loaded once in each."""

import gc
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from local.rejudge.archive import Archive
from screener import collector
from screener.document import Decision
from screener.errors import ScreenerError
from screener.policy.known_faces import InvalidKnownFaces, KnownFaces
from screener.policy.model import Policy
from screener.rejudging import rejudge, verdict_again

_BATCH = 16
_AHEAD = 4
"""Batches per worker that wait in the queue: addresses of an archive are not held in memory."""
WORKERS_ENVIRONMENT = {
    # One thread per process: the processes fill the cores already.
    "OPENBLAS_NUM_THREADS": "1",
    # The C library keeps the memory of one video for the next. Giving it back and asking again is
    # a tenth of the time. 256 MiB is far more than one video of hours needs.
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
}
"""Read when a process starts, so set before the workers are, which inherit it."""


@dataclass(frozen=True)
class Task:
    """What every worker needs."""

    archive: Archive
    policy: Policy
    known: KnownFaces | InvalidKnownFaces | None
    dry_run: bool


class Judged(NamedTuple):
    """One document."""

    address: str
    old: Decision | None
    new: Decision | None
    """None when it was left as it is; `skipped` then says why."""
    reason: str
    """The new verdict's strongest reason."""
    skipped: str | None


_task: Task | None = None


def judge_archive(
    task: Task, addresses: Iterable[str], workers: int | None = None
) -> Iterator[Judged]:
    """Judge documents, in the order of their addresses.

    Args:
        task: policy, index, archive.
        addresses: which documents.
        workers: processes; None is one per core, 1 works in this process.
    """
    count = workers or os.cpu_count() or 1
    if count == 1:
        for address in addresses:
            yield judge_one(task, address)
        return
    for name, value in WORKERS_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        count, mp_context=context, initializer=_start, initargs=(task,)
    ) as pool:
        remaining = iter(addresses)
        waiting: list[Future[list[Judged]]] = []
        while True:
            while len(waiting) < count * _AHEAD:
                batch = list(islice(remaining, _BATCH))
                if not batch:
                    break
                waiting.append(pool.submit(_judge_batch, batch))
            if not waiting:
                return
            yield from waiting.pop(0).result()


@collector.paused()
def judge_one(task: Task, address: str) -> Judged:
    """Judge one document; what cannot be judged is a result, never an exception."""
    try:
        document = task.archive.read(address)
        if task.dry_run:
            verdict = verdict_again(document, task.policy, task.known, task.archive.observations)
        else:
            now = datetime.now(UTC).isoformat()
            new = rejudge(document, task.policy, task.known, task.archive.observations, now)
            verdict = new.verdict
            if not task.archive.write(address, new):
                why = "a newer document is there"
                return Judged(address, document.verdict.decision, None, "", why)
    except (ScreenerError, ClientError, BotoCoreError, OSError) as error:
        return Judged(address, None, None, "", str(error))
    reasons = verdict.reasons
    return Judged(
        address,
        document.verdict.decision,
        verdict.decision,
        reasons[0].detail if reasons else "",
        None,
    )


def _start(task: Task) -> None:
    global _task
    _task = task
    # Modules, policy and index stay: the collector need not look at them again.
    gc.freeze()


def _judge_batch(addresses: list[str]) -> list[Judged]:
    if _task is None:
        raise RuntimeError("the worker was not started with a task")
    return [judge_one(_task, address) for address in addresses]
