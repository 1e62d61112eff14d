"""Batches that fit into memory, found out by trying."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from model_servers.serving.errors import OutOfMemory
from model_servers.serving.logs import FIELDS

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

# How the runtimes report that memory ran out; none of them has a type for it.
_MESSAGES = (
    "failed to allocate memory",
    "out of memory",
    "bad allocation",
    "std::bad_alloc",
    "cuda_error_out_of_memory",
    "cublas_status_alloc_failed",
)


class FittingBatches:
    """Calls a network with as many inputs as fit, and remembers how many that is.

    Args:
        size: most inputs per call.
        fixed: fill a smaller batch up with its last input. A GPU plans its convolutions anew for
            every shape, which takes it longer than the inputs too many.
    """

    def __init__(self, size: int, *, fixed: bool) -> None:
        self.size = size
        self._fixed = fixed

    def run(
        self, predict: Callable[[Sequence[Item]], Sequence[Result]], batch: Sequence[Item]
    ) -> list[Result]:
        """One result per input, in order. When memory runs out, `size` is halved for good.

        Raises:
            OutOfMemory: a single input does not fit.
        """
        results: list[Result] = []
        while len(results) < len(batch):
            part = batch[len(results) : len(results) + self.size]
            filled = [*part, *[part[-1]] * (self.size - len(part))] if self._fixed else part
            try:
                found = predict(filled)
            except Exception as cause:
                if not ran_out_of_memory(cause):
                    raise
                if len(filled) <= 1:
                    raise OutOfMemory(f"not even one input fits into memory: {cause}") from cause
                self.size = len(filled) // 2
                log.warning("out of memory, smaller batches", extra={FIELDS: {"size": self.size}})
            else:
                results += found[: len(part)]
        return results


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether a runtime's exception says that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError | OutOfMemory) or any(part in text for part in _MESSAGES)
