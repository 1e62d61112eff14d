"""One endpoint: its queue, its instances, and when there are more or fewer of them.

A manager thread decides; every instance has a thread per request that it takes at a time.
All state is guarded by one condition, and nothing slow happens while it is held.
"""

import logging
import math
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from local.async_inference.errors import (
    ModelGone,
    ModelTimedOut,
    NoCapacity,
    RequestExpired,
    RequestFailed,
    ServiceStopping,
    StartupFailed,
)
from local.async_inference.instance import ModelServer, Ports
from local.async_inference.metrics import EndpointMetrics
from local.async_inference.request import AsyncRequest
from local.async_inference.results import ResultStore
from local.async_inference.spec import EndpointSpec
from local.processes.keeper import ProcessKeeper

logger = logging.getLogger(__name__)

START_ATTEMPTS = 3
"""Starts that may fail in a row before the queued requests fail."""
FIRST_BACKOFF_SECONDS = 0.25
MAX_BACKOFF_SECONDS = 30.0


class _State(Enum):
    STARTING = "starting"
    IN_SERVICE = "in service"
    RETIRING = "retiring"
    """Takes no more requests, finishes those in hand, then stops."""


@dataclass(eq=False)
class _Instance:
    state: _State = _State.STARTING
    server: ModelServer | None = None
    busy: int = 0
    idle_since: float = field(default_factory=time.monotonic)
    abandoned: bool = False
    """It may still work on something that nobody waits for: no grace when it stops."""


class Endpoint:
    """Accepts requests, and ends each with exactly one output or failure object."""

    def __init__(
        self,
        spec: EndpointSpec,
        *,
        keeper: ProcessKeeper,
        ports: Ports,
        results: ResultStore,
        log: Path,
    ) -> None:
        self.spec = spec
        self._keeper = keeper
        self._ports = ports
        self._results = results
        self._log = log
        self._changed = threading.Condition()
        self._queue: deque[AsyncRequest] = deque()
        self._instances: list[_Instance] = []
        self._desired = spec.min_instances
        self._failed_starts = 0
        self._no_start_before = 0.0
        self._closing = False
        self._processed = self._failed = self._expired = 0
        self._model_seconds = 0.0
        # Failures of requests that no instance has: S3 may be slow, the manager must not be.
        self._reports = ThreadPoolExecutor(2, thread_name_prefix=f"{spec.name}-reports")
        self._threads: set[threading.Thread] = set()
        self._manager = self._start_thread(self._manage)

    def submit(self, request: AsyncRequest) -> None:
        """Queue an accepted request.

        Raises:
            ServiceStopping: the endpoint was closed.
        """
        with self._changed:
            if self._closing:
                raise ServiceStopping(f"Endpoint {self.spec.name} is being deleted")
            self._queue.append(request)
            # Somebody may have mended what kept the instances from starting.
            self._no_start_before = 0.0
            self._changed.notify_all()

    @property
    def current_instances(self) -> int:
        with self._changed:
            return self._count(_State.IN_SERVICE)

    @property
    def desired_instances(self) -> int:
        with self._changed:
            return self._desired

    def metrics(self) -> EndpointMetrics:
        with self._changed:
            oldest = min((request.received for request in self._queue), default=None)
            return EndpointMetrics(
                queued=len(self._queue),
                in_progress=sum(instance.busy for instance in self._instances),
                instances=self._count(_State.IN_SERVICE),
                oldest_request_seconds=time.monotonic() - oldest if oldest is not None else 0.0,
                processed=self._processed,
                failed=self._failed,
                expired=self._expired,
                model_seconds=self._model_seconds,
            )

    def close(self) -> None:
        """End all instances; what is queued or in progress ends with a failure object."""
        with self._changed:
            self._closing = True
            self._fail_queued(NoCapacity(f"Endpoint {self.spec.name} was deleted"))
            servers = [instance.server for instance in self._instances if instance.server]
            threads = list(self._threads)
            self._changed.notify_all()
        for server in servers:
            server.kill()
        for thread in threads:
            thread.join(timeout=30)
        self._reports.shutdown()

    # The manager.

    def _manage(self) -> None:
        with self._changed:
            while not self._closing:
                # One reading of the clock per turn: a moment that comes between two readings
                # would be too early for the decision and too late for the wait.
                now = time.monotonic()
                self._expire_queued(now)
                self._scale(now)
                self._changed.wait(self._seconds_until_next_decision(now))

    def _expire_queued(self, now: float) -> None:
        for request in [request for request in self._queue if request.expires <= now]:
            self._queue.remove(request)
            self._report_failure(
                request,
                RequestExpired(
                    f"The request expired after {request.ttl_seconds:g} seconds in the queue "
                    "(RequestTTLSeconds)"
                ),
            )

    def _scale(self, now: float) -> None:
        spec = self.spec
        live = [one for one in self._instances if one.state is not _State.RETIRING]
        work = len(self._queue) + sum(instance.busy for instance in live)
        wanted = math.ceil(work / spec.max_concurrent_invocations)
        wanted = max(spec.min_instances, min(spec.max_instances, wanted))
        if len(live) < wanted and now >= self._no_start_before:
            for _ in range(wanted - len(live)):
                instance = _Instance()
                self._instances.append(instance)
                self._start_thread(self._run, instance)
        # Only an instance with nothing in hand may go, and only after it was idle for a while.
        surplus = len(live) - wanted
        for instance in live:
            if surplus > 0 and self._may_retire(instance, now):
                instance.state = _State.RETIRING
                surplus -= 1
                self._changed.notify_all()
        self._desired = max(wanted, self._count(_State.IN_SERVICE))

    def _may_retire(self, instance: _Instance, now: float) -> bool:
        return (
            instance.state is _State.IN_SERVICE
            and instance.busy == 0
            and instance.idle_since + self.spec.scale_in_after_seconds <= now
        )

    def _seconds_until_next_decision(self, now: float) -> float | None:
        """Until a request expires, an instance was idle long enough, or a start may be tried."""
        moments = [request.expires for request in self._queue]
        moments += [
            instance.idle_since + self.spec.scale_in_after_seconds
            for instance in self._instances
            if instance.state is _State.IN_SERVICE and instance.busy == 0
        ]
        moments.append(self._no_start_before)
        # What has passed already changed something, or waits for a change: an idle instance
        # that is not surplus, for example.
        return min((moment - now for moment in moments if moment > now), default=None)

    # An instance.

    def _run(self, instance: _Instance) -> None:
        try:
            server = self._start(instance)
            server.wait_until_healthy(self.spec.startup_timeout_seconds)
            self._put_in_service(instance, server)
        except StartupFailed as failure:
            self._start_failed(instance, failure)
            return
        lanes = [
            self._start_thread(self._serve, instance, server)
            for _ in range(self.spec.max_concurrent_invocations - 1)
        ]
        self._serve(instance, server)
        for lane in lanes:
            lane.join()
        if instance.abandoned:
            server.kill()
        server.stop()
        self._remove(instance)

    def _start(self, instance: _Instance) -> ModelServer:
        server = ModelServer(
            self.spec.command,
            self.spec.environment,
            keeper=self._keeper,
            ports=self._ports,
            log=self._log,
            on_exit=lambda: self._retire(instance),
        )
        with self._changed:
            instance.server = server
            closing = self._closing
        if closing:
            server.kill()
        return server

    def _put_in_service(self, instance: _Instance, server: ModelServer) -> None:
        with self._changed:
            if not server.running:
                raise StartupFailed("the model server ended as soon as it was healthy")
            self._failed_starts = 0
            instance.idle_since = time.monotonic()
            instance.state = _State.IN_SERVICE
            self._changed.notify_all()

    def _start_failed(self, instance: _Instance, failure: StartupFailed) -> None:
        logger.warning("%s: %s", self.spec.name, failure)
        if instance.server:
            instance.server.kill()
        with self._changed:
            self._failed_starts += 1
            self._no_start_before = time.monotonic() + min(
                MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** min(self._failed_starts, 10)
            )
            if self._failed_starts >= START_ATTEMPTS and not self._count(_State.IN_SERVICE):
                self._fail_queued(
                    NoCapacity(
                        f"No instance of endpoint {self.spec.name} could be started in "
                        f"{self._failed_starts} attempts: {failure}"
                    )
                )
        self._remove(instance)

    def _retire(self, instance: _Instance, *, abandoned: bool = False) -> None:
        with self._changed:
            instance.abandoned = instance.abandoned or abandoned
            # One that dies while it starts is reported by its own thread, with a backoff.
            if instance.state is _State.IN_SERVICE:
                instance.state = _State.RETIRING
                self._changed.notify_all()

    def _remove(self, instance: _Instance) -> None:
        with self._changed:
            self._instances.remove(instance)
            self._changed.notify_all()

    # A request.

    def _serve(self, instance: _Instance, server: ModelServer) -> None:
        while request := self._next_request(instance):
            failure = self._process(request, server)
            unfit = isinstance(failure, ModelTimedOut) or (
                isinstance(failure, ModelGone) and not server.healthy()
            )
            with self._changed:
                instance.busy -= 1
                instance.idle_since = time.monotonic()
                if unfit:
                    self._retire(instance, abandoned=True)
                self._changed.notify_all()

    def _next_request(self, instance: _Instance) -> AsyncRequest | None:
        with self._changed:
            while instance.state is _State.IN_SERVICE and not self._closing:
                self._expire_queued(time.monotonic())
                if self._queue:
                    instance.busy += 1
                    return self._queue.popleft()
                self._changed.wait()
            return None

    def _process(self, request: AsyncRequest, server: ModelServer) -> RequestFailed | None:
        """Take one request to its end; whatever happens, that end is written once."""
        try:
            self._answer(request, server)
        except RequestFailed as failure:
            self._write_failure(request, failure)
            return failure
        except Exception as cause:
            # A full disk, or a fault of ours: the request must end all the same.
            logger.exception("%s: request %s", self.spec.name, request.inference_id)
            internal = RequestFailed(f"Internal failure of the local endpoint: {cause!r}")
            self._write_failure(request, internal)
            return internal
        with self._changed:
            self._processed += 1
        return None

    def _answer(self, request: AsyncRequest, server: ModelServer) -> None:
        scratch = self._keeper.scratch
        with (
            tempfile.TemporaryFile(dir=scratch) as body,
            tempfile.TemporaryFile(dir=scratch) as answer,
        ):
            content_type = self._results.read_input(request, body)
            with self._timed():
                answer_type = server.invoke(request, content_type, body, answer)
            answer.seek(0)
            self._results.write_output(request, answer, answer_type)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._model_seconds += time.monotonic() - began

    def _fail_queued(self, failure: RequestFailed) -> None:
        while self._queue:
            self._report_failure(self._queue.popleft(), failure)

    def _report_failure(self, request: AsyncRequest, failure: RequestFailed) -> None:
        self._reports.submit(self._write_failure, request, failure)

    def _write_failure(self, request: AsyncRequest, failure: RequestFailed) -> None:
        self._results.write_failure(request, failure)
        with self._changed:
            self._failed += 1
            self._expired += isinstance(failure, RequestExpired)

    def _count(self, state: _State) -> int:
        return sum(instance.state is state for instance in self._instances)

    def _start_thread(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        def run() -> None:
            try:
                target(*arguments)
            finally:
                with self._changed:
                    self._threads.discard(thread)

        thread = threading.Thread(
            target=run, name=f"{self.spec.name}-{target.__name__}", daemon=True
        )
        with self._changed:
            self._threads.add(thread)
        thread.start()
        return thread
