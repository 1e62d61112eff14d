"""One endpoint: its queue and its instances.

A manager thread acts on what `scaling` decides; every instance has one thread per request that
it takes at a time. All state is guarded by one condition, and nothing slow happens while it is
held.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from local.async_inference.completion import Completion
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
from local.async_inference.scaling import Instance, InstanceState, StartRecord, decide
from local.async_inference.spec import EndpointSpec
from local.processes.keeper import ProcessKeeper

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 30


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
        self._log = log
        self._completion = Completion(spec.name, results, keeper.scratch)
        self._changed = threading.Condition()
        self._queue: deque[AsyncRequest] = deque()
        self._instances: list[Instance] = []
        self._starts = StartRecord()
        self._desired = spec.min_instances
        self._closing = False
        self._threads: set[threading.Thread] = set()
        self._start_thread(self._manage)

    def submit(self, request: AsyncRequest) -> None:
        """Queue an accepted request.

        Raises:
            ServiceStopping: the endpoint was closed.
        """
        with self._changed:
            if self._closing:
                raise ServiceStopping(f"Endpoint {self.spec.name} is being deleted")
            self._queue.append(request)
            self._starts.end_pause()
            self._changed.notify_all()

    @property
    def current_instances(self) -> int:
        with self._changed:
            return sum(instance.in_service for instance in self._instances)

    @property
    def desired_instances(self) -> int:
        with self._changed:
            return self._desired

    def metrics(self) -> EndpointMetrics:
        with self._changed:
            oldest = min((request.received for request in self._queue), default=None)
            tally = self._completion.tally
            return EndpointMetrics(
                queued=len(self._queue),
                in_progress=sum(instance.busy for instance in self._instances),
                instances=self.current_instances,
                oldest_request_seconds=0.0 if oldest is None else time.monotonic() - oldest,
                processed=tally.processed,
                failed=tally.failed,
                expired=tally.expired,
                model_seconds=tally.model_seconds,
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
            thread.join(timeout=_CLOSE_SECONDS)
        self._completion.close()

    # The manager's thread.

    def _manage(self) -> None:
        with self._changed:
            while not self._closing:
                # One reading of the clock per turn: a moment that comes between two readings
                # would be too early for the decision and too late for the wait.
                now = time.monotonic()
                self._expire_queued(now)
                self._changed.wait(self._scale(now))

    def _scale(self, now: float) -> float | None:
        """Act on one decision; returns how long it holds if nothing else changes."""
        decision = decide(self.spec, len(self._queue), self._instances, now)
        self._desired = decision.desired
        pause = self._starts.pause_seconds(now)
        for _ in range(decision.start if pause == 0 else 0):
            instance = Instance()
            self._instances.append(instance)
            self._start_thread(self._run, instance)
        for instance in decision.retire:
            self._retire(instance)
        waits = [request.expires - now for request in self._queue]
        waits += [decision.next_seconds] if decision.next_seconds else []
        waits += [pause] if pause else []
        return min(waits, default=None)

    def _expire_queued(self, now: float) -> None:
        for request in [request for request in self._queue if request.expires <= now]:
            self._queue.remove(request)
            reason = (
                f"The request expired after {request.ttl_seconds:g} seconds in the queue "
                "(RequestTTLSeconds)"
            )
            self._completion.fail_later(request, RequestExpired(reason))

    def _fail_queued(self, failure: RequestFailed) -> None:
        while self._queue:
            self._completion.fail_later(self._queue.popleft(), failure)

    # An instance's first thread.

    def _run(self, instance: Instance) -> None:
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

    def _start(self, instance: Instance) -> ModelServer:
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

    def _put_in_service(self, instance: Instance, server: ModelServer) -> None:
        with self._changed:
            if not server.running:
                raise StartupFailed("the model server ended as soon as it was healthy")
            self._starts.succeeded()
            instance.idle_since = time.monotonic()
            instance.state = InstanceState.IN_SERVICE
            self._changed.notify_all()

    def _start_failed(self, instance: Instance, failure: StartupFailed) -> None:
        logger.warning("%s: %s", self.spec.name, failure)
        if instance.server:
            instance.server.kill()
        with self._changed:
            self._starts.failed(time.monotonic())
            if self._starts.exhausted and not self.current_instances:
                self._fail_queued(
                    NoCapacity(
                        f"No instance of endpoint {self.spec.name} could be started in "
                        f"{self._starts.failures} attempts: {failure}"
                    )
                )
        self._remove(instance)

    def _retire(self, instance: Instance, *, abandoned: bool = False) -> None:
        with self._changed:
            instance.abandoned = instance.abandoned or abandoned
            # One that dies while it starts is reported by its own thread, with a pause.
            if instance.in_service:
                instance.state = InstanceState.RETIRING
                self._changed.notify_all()

    def _remove(self, instance: Instance) -> None:
        with self._changed:
            self._instances.remove(instance)
            self._changed.notify_all()

    # Every thread of an instance.

    def _serve(self, instance: Instance, server: ModelServer) -> None:
        while request := self._next_request(instance):
            failure = self._completion.process(request, server)
            unfit = isinstance(failure, ModelTimedOut) or (
                isinstance(failure, ModelGone) and not server.healthy()
            )
            with self._changed:
                instance.busy -= 1
                instance.idle_since = time.monotonic()
                if unfit:
                    self._retire(instance, abandoned=True)
                self._changed.notify_all()

    def _next_request(self, instance: Instance) -> AsyncRequest | None:
        with self._changed:
            while instance.in_service and not self._closing:
                self._expire_queued(time.monotonic())
                if self._queue:
                    instance.busy += 1
                    return self._queue.popleft()
                self._changed.wait()
            return None

    def _start_thread(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        def run() -> None:
            try:
                target(*arguments)
            finally:
                with self._changed:
                    self._threads.discard(thread)

        thread = threading.Thread(
            target=run, name=f"{self.spec.name}{target.__name__}", daemon=True
        )
        with self._changed:
            self._threads.add(thread)
        thread.start()
        return thread
