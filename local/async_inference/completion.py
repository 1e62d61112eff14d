"""The end of every accepted request: one output or one failure object, counted."""

import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from local.async_inference.errors import RequestExpired, RequestFailed
from local.async_inference.instance import ModelServer
from local.async_inference.request import AsyncRequest
from local.async_inference.results import ResultStore

logger = logging.getLogger(__name__)


class Tally(NamedTuple):
    """Counted from the start of the service; see `EndpointMetrics`."""

    processed: int
    failed: int
    expired: int
    model_seconds: float


class Completion:
    """Takes requests of one endpoint to their end.

    Args:
        results: where inputs come from and results go.
        scratch: folder for bodies on their way; they are never held in memory whole.
    """

    def __init__(self, name: str, results: ResultStore, scratch: Path) -> None:
        self._name = name
        self._results = results
        self._scratch = scratch
        self._lock = threading.Lock()
        self._tally = Tally(0, 0, 0, 0.0)
        # For requests that no instance has: S3 may be slow, the endpoint's manager must not be.
        self._reports = ThreadPoolExecutor(2, thread_name_prefix=f"{name}-reports")

    @property
    def tally(self) -> Tally:
        return self._tally

    def process(self, request: AsyncRequest, server: ModelServer) -> RequestFailed | None:
        """Have the server answer and write what came of it; returns the failure if it failed."""
        try:
            self._answer(request, server)
        except RequestFailed as failure:
            self._fail(request, failure)
            return failure
        except Exception as cause:
            # A full disk, or a fault of ours: the request must end all the same.
            logger.exception("%s: request %s", self._name, request.inference_id)
            internal = RequestFailed(f"Internal failure of the local endpoint: {cause!r}")
            self._fail(request, internal)
            return internal
        self._add(processed=1)
        return None

    def fail_later(self, request: AsyncRequest, failure: RequestFailed) -> None:
        """End a request that no instance has, without waiting for S3."""
        self._reports.submit(self._fail, request, failure)

    def close(self) -> None:
        """Wait until all failures are written."""
        self._reports.shutdown()

    def _answer(self, request: AsyncRequest, server: ModelServer) -> None:
        with (
            tempfile.TemporaryFile(dir=self._scratch) as body,
            tempfile.TemporaryFile(dir=self._scratch) as answer,
        ):
            content_type = self._results.read_input(request, body)
            with self._timed():
                answer_type = server.invoke(request, content_type, body, answer)
            answer.seek(0)
            self._results.write_output(request, answer, answer_type)

    def _fail(self, request: AsyncRequest, failure: RequestFailed) -> None:
        self._results.write_failure(request, failure)
        self._add(failed=1, expired=int(isinstance(failure, RequestExpired)))

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._add(model_seconds=time.monotonic() - began)

    def _add(
        self, processed: int = 0, failed: int = 0, expired: int = 0, model_seconds: float = 0
    ) -> None:
        with self._lock:
            before = self._tally
            self._tally = Tally(
                before.processed + processed,
                before.failed + failed,
                before.expired + expired,
                before.model_seconds + model_seconds,
            )
