"""The Lambda service of the local stack: functions, their environments, their limits.

As on Lambda: the real runtime client, one invocation per environment at a time, environments
started on demand and reused, throttling at the concurrency, 6 MB payloads, the timeout, the
shapes of errors, a temporary folder per environment that is gone with it.

Otherwise than on Lambda:
- a failed or slow initialisation is not tried a second time before it is reported;
- memory is measured every half second and an environment above its size is killed, so a
  shorter peak passes; CPU is not scaled with memory;
- /tmp itself is the machine's; TMPDIR is the environment's own and has no size limit;
- an environment is not frozen between invocations.
"""

import json
import re
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from local.lambda_runtime.environment import Environment, FunctionSpec
from local.lambda_runtime.errors import (
    FunctionNotFound,
    InvalidRequestContent,
    RequestTooLarge,
    ServiceFailed,
    TooManyRequests,
)
from local.lambda_runtime.invocation import MAX_PAYLOAD_BYTES, Invocation, InvokeResult
from local.processes.keeper import ProcessKeeper
from local.processes.memory import session_memory_bytes

__all__ = ["FunctionSpec", "InvokeResult", "LambdaService"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WATCH_SECONDS = 0.5


class LambdaService:
    """Runs functions.

    Args:
        functions: what is deployed.
        log_dir: gets one `<function>.log` each, appended to.
        idle_seconds: an environment unused for this long is ended.

    Raises:
        ValueError: a function's name is not one that Lambda allows, or is given twice.
    """

    def __init__(
        self, functions: Iterable[FunctionSpec], log_dir: Path, *, idle_seconds: float = 120
    ) -> None:
        log_dir.mkdir(parents=True, exist_ok=True)
        self._idle_seconds = idle_seconds
        self._closing = threading.Event()
        self._pools: dict[str, _Pool] = {}
        specs = list(functions)
        for spec in specs:
            if not _NAME.fullmatch(spec.name) or spec.name in self._pools:
                raise ValueError(f"function name is not usable or not unique: {spec.name!r}")
            self._pools[spec.name] = _Pool(spec, log_dir / f"{spec.name}.log")
        self._keeper = ProcessKeeper()
        self._watcher = threading.Thread(target=self._watch, name="lambda-watch", daemon=True)
        self._watcher.start()

    def invoke(self, name: str, payload: bytes) -> InvokeResult:
        """Run a function and wait for its end; an empty payload is `{}`.

        Raises:
            InvocationRefused: one of `local.lambda_runtime.errors`; no function code ran.
        """
        pool = self._pools.get(name)
        if pool is None:
            raise FunctionNotFound(f"Function not found: {name}")
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise RequestTooLarge(
                f"Request must be smaller than {MAX_PAYLOAD_BYTES} bytes "
                f"for the InvokeFunction operation; this one has {len(payload)}"
            )
        try:
            json.loads(payload or b"{}")
        except ValueError as cause:
            raise InvalidRequestContent(
                f"Could not parse request body into json: {cause}"
            ) from cause
        environment = pool.take(self._keeper, self._closing)
        try:
            return environment.invoke(Invocation(payload or b"{}"))
        finally:
            pool.give_back(environment)

    def warm(self, name: str) -> None:
        """Start an environment ahead of its first invocation, as provisioned concurrency does.

        Nothing happens when the function has one.

        Raises:
            FunctionNotFound: there is no such function.
            ServiceFailed: it could not be started.
        """
        pool = self._pools.get(name)
        if pool is None:
            raise FunctionNotFound(f"Function not found: {name}")
        pool.warm(self._keeper, self._closing)

    def close(self) -> None:
        """End every environment; invocations in progress fail."""
        self._closing.set()
        for pool in self._pools.values():
            pool.close()
        self._watcher.join()
        self._keeper.close()

    def _watch(self) -> None:
        while not self._closing.wait(_WATCH_SECONDS):
            for pool in self._pools.values():
                pool.end_idle(self._idle_seconds)
                pool.enforce_memory()


class _Pool:
    """The environments of one function."""

    def __init__(self, spec: FunctionSpec, log: Path) -> None:
        self._spec = spec
        self._log = log
        self._lock = threading.Lock()
        self._idle: list[Environment] = []
        self._busy: set[Environment] = set()

    def take(self, keeper: ProcessKeeper, closing: threading.Event) -> Environment:
        with self._lock:
            if closing.is_set():
                raise ServiceFailed("The local stack is stopping")
            self._idle = [environment for environment in self._idle if environment.alive]
            if self._idle:
                environment = self._idle.pop()
            elif len(self._busy) < self._spec.concurrency:
                environment = self._start(keeper)
            else:
                raise TooManyRequests(
                    f"Rate Exceeded: {self._spec.name} runs {self._spec.concurrency} at a time"
                )
            self._busy.add(environment)
            return environment

    def _start(self, keeper: ProcessKeeper) -> Environment:
        try:
            return Environment(self._spec, keeper, self._log)
        except OSError as cause:
            raise ServiceFailed(f"{self._spec.name} could not be started: {cause}") from cause

    def warm(self, keeper: ProcessKeeper, closing: threading.Event) -> None:
        with self._lock:
            if not (closing.is_set() or self._idle or self._busy):
                self._idle.append(self._start(keeper))

    def give_back(self, environment: Environment) -> None:
        with self._lock:
            self._busy.discard(environment)
            if environment.alive:
                self._idle.append(environment)

    def end_idle(self, idle_seconds: float) -> None:
        oldest = time.monotonic() - idle_seconds
        with self._lock:
            ended = [environment for environment in self._idle if environment.idle_since < oldest]
            self._idle = [environment for environment in self._idle if environment not in ended]
        for environment in ended:
            environment.kill()

    def enforce_memory(self) -> None:
        with self._lock:
            busy = {environment.pid: environment for environment in self._busy}
        if not busy:
            return
        limit = self._spec.memory_mb * 1024 * 1024
        for pid, used in session_memory_bytes(busy.keys()).items():
            if used > limit:
                busy[pid].kill(
                    f"out of memory: {used >> 20} MB used, {self._spec.memory_mb} MB allowed"
                )

    def close(self) -> None:
        with self._lock:
            environments = [*self._idle, *self._busy]
        for environment in environments:
            environment.kill()
        for environment in environments:
            environment.close()
