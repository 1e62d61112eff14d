"""Generators that keep every core busy while memory holds a fixed number of items."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ordered(
    executor: Executor, function: Callable[[Item], Result], items: Iterable[Item], window: int
) -> Iterator[Result]:
    """Like `map`, in threads, in order, with at most `window` items under way.

    `items` is pulled from the calling thread. When a call or `items` raises, or the consumer
    stops early, what has not started is cancelled and what has is waited for.
    """
    source = iter(items)
    pending: deque[Future[Result]] = deque()
    try:
        for item in itertools.islice(source, window):
            pending.append(executor.submit(function, item))
        while pending:
            result = pending.popleft().result()
            for item in itertools.islice(source, 1):
                pending.append(executor.submit(function, item))
            yield result
    finally:
        for future in pending:
            future.cancel()
        for future in pending:
            if not future.cancelled():
                future.exception()


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Consecutive lists of `size` items; the last may be shorter."""
    source = iter(items)
    while batch := list(itertools.islice(source, size)):
        yield batch
