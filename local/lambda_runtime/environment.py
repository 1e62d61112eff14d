"""One execution environment: a process running `awslambdaric`, and the API it talks to."""

import queue
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.account import ACCOUNT_ID
from local.lambda_runtime.invocation import (
    Invocation,
    InvokeResult,
    exited,
    response_too_large,
    timed_out,
)
from local.lambda_runtime.runtime_api import RuntimeApi
from local.processes.keeper import ProcessKeeper

INIT_SECONDS = 10.0
"""Loading the handler may take this long before it eats into the timeout (Lambda's init limit)."""


@dataclass(frozen=True)
class FunctionSpec:
    """A function as the template declares it."""

    name: str
    handler: str
    """`package.module.function`, importable from `root`."""
    root: Path
    timeout_seconds: float
    memory_mb: int
    environment: Mapping[str, str]
    concurrency: int = 4
    """Most environments at a time; one more invocation is throttled."""


class Environment:
    """Serves one invocation at a time until it fails, times out or is closed.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(self, spec: FunctionSpec, keeper: ProcessKeeper, log: Path) -> None:
        self._spec = spec
        self._log = log
        self._started = time.monotonic()
        self._inbox: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._current: Invocation | None = None
        self._init_error: InvokeResult | None = None
        self._doomed = False
        self._return_code: int | None = None
        self.idle_since = self._started
        region = spec.environment.get("AWS_REGION", "us-east-1")
        self.function_arn = f"arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{spec.name}"
        self._api = RuntimeApi(self)
        try:
            self._temp = keeper.scratch / f"{spec.name}-{self._api.port}"
            self._temp.mkdir(exist_ok=True)
            self._child = keeper.start(
                [sys.executable, "-m", "awslambdaric", spec.handler],
                environment=_process_environment(spec, region, self._api.port, self._temp),
                folder=spec.root,
                log=log,
                on_exit=self._ended,
            )
        except OSError:
            self._api.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether it can take another invocation."""
        return not self._doomed and not self._child.has_ended

    @property
    def pid(self) -> int:
        return self._child.pid

    def invoke(self, invocation: Invocation) -> InvokeResult:
        """Run one invocation to its end, at most the function's timeout after its delivery."""
        with self._lock:
            if self._return_code is None:
                self._inbox.put(invocation)
            else:
                self._end_unfinished(invocation, self._return_code)
        delivered = invocation.delivered.wait(self._seconds_left(invocation))
        if not delivered or not invocation.finished.wait(self._time_allowed(invocation)):
            invocation.end(timed_out(invocation.request_id, self._spec.timeout_seconds))
            self.kill()
        self.idle_since = time.monotonic()
        self._report(invocation)
        # Both waits have ended, and `end` settles before it lets them.
        assert invocation.result is not None  # noqa: S101
        return invocation.result

    def kill(self, reason: str | None = None) -> None:
        """End the process at once; an invocation in progress fails with "signal: killed"."""
        self._doomed = True
        if reason:
            self._write(f"[ERROR] {reason}")
        self._child.kill()

    def close(self) -> None:
        self.kill()
        self._child.wait(10)

    def _seconds_left(self, invocation: Invocation) -> float:
        """Until the latest moment at which this invocation can end, initialisation included."""
        start = max(self._started + INIT_SECONDS, invocation.created)
        return start + self._spec.timeout_seconds - time.monotonic()

    def _time_allowed(self, invocation: Invocation) -> float:
        """Seconds that the function has when the invocation is delivered now."""
        return min(self._spec.timeout_seconds, self._seconds_left(invocation))

    # The Runtime protocol: called by the API's threads.

    def next_invocation(self) -> Invocation | None:
        with self._lock:
            previous, self._current = self._current, None
        if previous:
            previous.end(exited(previous.request_id, 0))
        invocation = self._inbox.get()
        if invocation is None:
            return None
        with self._lock:
            if self._return_code is not None:
                self._end_unfinished(invocation, self._return_code)
                return None
            self._current = invocation
        allowed_ms = self._time_allowed(invocation) * 1000
        invocation.deadline_ms = int(time.time() * 1000 + allowed_ms)
        self._write(f"START RequestId: {invocation.request_id} Version: $LATEST")
        invocation.delivered.set()
        return invocation

    def respond(self, request_id: str, body: bytes | None) -> bool:
        return self._settle(request_id, body, None)

    def fail(self, request_id: str, body: bytes | None) -> bool:
        return self._settle(request_id, body, "Unhandled")

    def fail_init(self, body: bytes | None) -> None:
        if body is not None:
            self._init_error = InvokeResult(body, "Unhandled")

    def _settle(self, request_id: str, body: bytes | None, function_error: str | None) -> bool:
        with self._lock:
            invocation = self._current
        if invocation is None or invocation.request_id != request_id:
            return False
        invocation.settle(
            response_too_large() if body is None else InvokeResult(body, function_error)
        )
        return True

    def _ended(self, return_code: int) -> None:
        with self._lock:
            self._return_code = return_code
            unfinished = [self._current] if self._current else []
            while not self._inbox.empty():
                if pending := self._inbox.get():
                    unfinished.append(pending)
        for invocation in unfinished:
            self._end_unfinished(invocation, return_code)
        self._inbox.put(None)
        self._api.close()
        shutil.rmtree(self._temp, ignore_errors=True)

    def _end_unfinished(self, invocation: Invocation, return_code: int) -> None:
        invocation.end(self._init_error or exited(invocation.request_id, return_code))

    def _report(self, invocation: Invocation) -> None:
        duration_ms = (time.monotonic() - invocation.created) * 1000
        self._write(
            f"END RequestId: {invocation.request_id}\n"
            f"REPORT RequestId: {invocation.request_id}\tDuration: {duration_ms:.2f} ms\t"
            f"Memory Size: {self._spec.memory_mb} MB"
        )

    def _write(self, line: str) -> None:
        # Opened for appending each time: the function's own output goes to the same file.
        with self._log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")


def _process_environment(spec: FunctionSpec, region: str, port: int, temp: Path) -> dict[str, str]:
    """The variables that Lambda sets, then the function's own. Nothing is inherited.

    The user's real credentials and profiles stay out of reach: a function on the laptop can
    only get to an account when the template's own variables say so.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "TMPDIR": str(temp),
        "HOME": str(temp),
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        **spec.environment,
        "_HANDLER": spec.handler,
        "LAMBDA_TASK_ROOT": str(spec.root),
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": temp.name,
    }
