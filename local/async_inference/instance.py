"""One instance: a model-server process and the HTTP it speaks.

`http.client` rather than a larger client: what is needed is one POST with a file as the body,
the answer into a file, and a deadline over the whole of it, which no client offers directly.
"""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from local.async_inference.errors import ModelError, ModelGone, ModelTimedOut, StartupFailed
from local.async_inference.request import CUSTOM_ATTRIBUTES, INFERENCE_ID, AsyncRequest
from local.processes.keeper import ProcessKeeper

PING_SECONDS = 2.0
"""A container that does not answer /ping within this is not healthy (SageMaker's limit)."""
STOP_SECONDS = 30.0
"""Between SIGTERM and SIGKILL (SageMaker's grace)."""
MAX_ANSWER_BYTES = 1 << 30
_BLOCK_BYTES = 1 << 16
_QUOTED_BYTES = 1024
_LOG_TAIL_BYTES = 600
_EXIT_NOTICE_SECONDS = 1.0


class Ports:
    """Free TCP ports, none given twice while it is in use.

    The server itself binds the port, a little after it was found free. A stranger that takes
    it in between makes the start fail, and the next start gets another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[int] = set()

    def take(self) -> int:
        with self._lock:
            while True:
                with socket.create_server(("127.0.0.1", 0)) as probe:
                    port = int(probe.getsockname()[1])
                if port not in self._taken:
                    self._taken.add(port)
                    return port

    def give_back(self, port: int) -> None:
        with self._lock:
            self._taken.discard(port)


class ModelServer:
    """Starts the process at once; `wait_until_healthy` before the first `invoke`.

    Args:
        command: starts a server on the port in `SAGEMAKER_BIND_TO_PORT`.
        environment: its variables; only PATH, LANG and temporary folders are added.
        log: file that its output is appended to.
        on_exit: called once, when the process has ended for whatever reason.

    Raises:
        StartupFailed: the program cannot be run.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        keeper: ProcessKeeper,
        ports: Ports,
        log: Path,
        on_exit: Callable[[], None],
    ) -> None:
        self._ports = ports
        self._port = ports.take()
        self._folder = keeper.scratch / f"model-server-{self._port}"
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        self._on_exit = on_exit
        try:
            self._folder.mkdir(exist_ok=True)
            self._child = keeper.start(
                command,
                environment={
                    "PATH": os.defpath,
                    "LANG": "C.UTF-8",
                    "HOME": str(self._folder),
                    "TMPDIR": str(self._folder),
                    **environment,
                    "SAGEMAKER_BIND_TO_PORT": str(self._port),
                },
                folder=self._folder,
                log=log,
                on_exit=self._ended,
            )
        except OSError as cause:
            self._clean_up()
            raise StartupFailed(f"cannot run {command[0]!r}: {cause}") from cause

    @property
    def running(self) -> bool:
        return self._child.return_code is None

    @property
    def pid(self) -> int:
        return self._child.pid

    def wait_until_healthy(self, timeout_seconds: float) -> None:
        """Ping until the server answers 200.

        Raises:
            StartupFailed: it ended, or was not healthy in time (it still runs then).
        """
        deadline = time.monotonic() + timeout_seconds
        pause_seconds = 0.02
        while not self.healthy():
            if self._child.wait(pause_seconds):
                raise StartupFailed(
                    f"the model server {self._exit_reason()} before it was healthy"
                    f"{self._log_tail()}"
                )
            if time.monotonic() > deadline:
                raise StartupFailed(
                    f"the model server did not answer /ping within {timeout_seconds:g} s"
                    f"{self._log_tail()}"
                )
            pause_seconds = min(0.15, pause_seconds * 1.5)

    def healthy(self) -> bool:
        """Whether /ping answers 200 in time."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PING_SECONDS)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def invoke(
        self, request: AsyncRequest, content_type: str | None, body: BinaryIO, answer: BinaryIO
    ) -> str | None:
        """Send `body` (from its start to its end), copy the answer's body to `answer`.

        Returns:
            The answer's content type.

        Raises:
            ModelError: the answer is an error, not HTTP, or too large.
            ModelTimedOut: no complete answer in time.
            ModelGone: the process ended, or cut the connection.
        """
        seconds = request.invocation_timeout_seconds
        connection = HTTPConnection("127.0.0.1", self._port, blocksize=_BLOCK_BYTES)
        expired = threading.Event()
        try:
            connection.connect()
            with _Deadline(connection.sock, seconds, expired):
                self._send(connection, request, content_type, body)
                with connection.getresponse() as response:
                    return _receive(response, answer)
        except (OSError, HTTPException) as cause:
            if expired.is_set():
                raise ModelTimedOut(
                    f"The model did not answer within {seconds:g} seconds "
                    "(InvocationTimeoutSeconds)"
                ) from cause
            # A process that is being killed closes its sockets a little before it is gone.
            if self._child.wait(_EXIT_NOTICE_SECONDS):
                raise ModelGone(
                    "Received server error (0) from model: the model server "
                    f"{self._exit_reason()} while handling the request{self._log_tail()}"
                ) from cause
            raise ModelGone(
                f"Received server error (0) from model: {type(cause).__name__}: {cause}"
            ) from cause
        finally:
            connection.close()

    def stop(self) -> None:
        """SIGTERM, time to finish, SIGKILL; returns when the process is gone."""
        self._child.stop(STOP_SECONDS)

    def kill(self) -> None:
        self._child.kill()

    def _send(
        self,
        connection: HTTPConnection,
        request: AsyncRequest,
        content_type: str | None,
        body: BinaryIO,
    ) -> None:
        headers = {
            "Content-Type": content_type,
            "Accept": request.accept,
            CUSTOM_ATTRIBUTES: request.custom_attributes,
            INFERENCE_ID: request.inference_id,
            "Content-Length": str(body.seek(0, os.SEEK_END)),
        }
        body.seek(0)
        # A server may refuse before it has read everything: its answer tells more than the
        # broken pipe does.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(
                "POST",
                "/invocations",
                body=body,
                headers={name: value for name, value in headers.items() if value},
            )

    def _ended(self, _return_code: int) -> None:
        self._clean_up()
        self._on_exit()

    def _clean_up(self) -> None:
        self._ports.give_back(self._port)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _exit_reason(self) -> str:
        code = self._child.return_code or 0
        return f"was ended by signal {-code}" if code < 0 else f"exited with status {code}"

    def _log_tail(self) -> str:
        """The end of what this instance (and others of its endpoint meanwhile) logged."""
        with self._log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - _LOG_TAIL_BYTES))
            tail = log.read(_LOG_TAIL_BYTES).decode("utf-8", "replace").strip()
        return f'; the end of its log: "{tail}"' if tail else ""


class _Deadline:
    """Cuts a connection after `seconds`, however slowly it still moves, and sets `expired`."""

    def __init__(self, connection: socket.socket, seconds: float, expired: threading.Event) -> None:
        self._connection = connection
        self._expired = expired
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self._expired.set()
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


def _receive(response: HTTPResponse, answer: BinaryIO) -> str | None:
    if not 200 <= response.status < 300:
        side = "client" if 400 <= response.status < 500 else "server"
        message = response.read(_QUOTED_BYTES).decode("utf-8", "replace")
        raise ModelError(
            f'Received {side} error ({response.status}) from model with message "{message}"'
        )
    if response.length is None and not response.chunked:
        # Such an answer ends when the connection does, so one that was cut off looks whole.
        raise ModelError("The model's answer has neither a Content-Length nor chunks")
    size = 0
    while block := response.read(_BLOCK_BYTES):
        size += len(block)
        if size > MAX_ANSWER_BYTES:
            raise ModelError(f"The model's answer is larger than {MAX_ANSWER_BYTES} bytes")
        answer.write(block)
    if response.length:
        raise ConnectionResetError(f"the answer was cut off, {response.length} bytes are missing")
    return response.getheader("Content-Type")
