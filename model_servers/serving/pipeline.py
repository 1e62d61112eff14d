"""Generators that keep every core busy while memory holds a fixed number of items."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import TypeVar

from model_servers.serving.errors import OutOfMemory

Item = TypeVar("Item")
Result = TypeVar("Result")

# How the runtimes report that memory ran out; none of them has a type for it.
_MEMORY_MESSAGES = (
    "failed to allocate memory",
    "out of memory",
    "bad allocation",
    "std::bad_alloc",
    "cuda_error_out_of_memory",
    "cublas_status_alloc_failed",
)


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


def run_halving(
    predict: Callable[[Sequence[Item]], Sequence[Result]], batch: Sequence[Item]
) -> list[Result]:
    """Predict a batch; when memory runs out, in halves, down to single items.

    Raises:
        OutOfMemory: a single item does not fit.
    """
    try:
        return list(predict(batch))
    except Exception as cause:
        # ONNX Runtime's exceptions have no base of their own, so the message has to tell.
        if not _is_out_of_memory(cause):
            raise
        if len(batch) <= 1:
            raise OutOfMemory(f"not even one input fits into memory: {cause}") from cause
    middle = len(batch) // 2
    return run_halving(predict, batch[:middle]) + run_halving(predict, batch[middle:])


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(part in text for part in _MEMORY_MESSAGES)
