"""One invocation on its way through an environment, and the ways it can end."""

import json
import signal
import threading
import time
import uuid
from dataclasses import dataclass

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
"""Lambda's synchronous request limit."""
MAX_RESPONSE_BYTES = MAX_PAYLOAD_BYTES + 100
"""Lambda's response limit: the body plus its envelope, 6,291,556 bytes."""


@dataclass(frozen=True)
class InvokeResult:
    """What the Invoke API answers with status 200."""

    payload: bytes
    function_error: str | None
    """None, or "Unhandled" with `payload` describing the error."""


class Invocation:
    """A payload, and the result that arrives for it. The first result stands."""

    def __init__(self, payload: bytes) -> None:
        self.request_id = str(uuid.uuid4())
        self.payload = payload
        self.created = time.monotonic()
        self.deadline_ms = 0
        """Unix time in milliseconds at which the function is stopped; set on delivery."""
        self.delivered = threading.Event()
        """The runtime has the payload, or the environment ended before it asked for it."""
        self.finished = threading.Event()
        """The runtime asked for the next payload, or the environment ended."""
        self._lock = threading.Lock()
        self._result: InvokeResult | None = None

    @property
    def result(self) -> InvokeResult | None:
        return self._result

    def settle(self, result: InvokeResult) -> None:
        with self._lock:
            self._result = self._result or result

    def end(self, otherwise: InvokeResult) -> None:
        """Nothing more will happen: `otherwise` is the result if there is none yet."""
        self.settle(otherwise)
        self.delivered.set()
        self.finished.set()


def timed_out(request_id: str, timeout_seconds: float) -> InvokeResult:
    return _sandbox_error(
        "Sandbox.Timedout",
        f"RequestId: {request_id} Error: Task timed out after {timeout_seconds:.2f} seconds",
    )


def exited(request_id: str, return_code: int) -> InvokeResult:
    """The runtime process ended; `return_code` is negative when a signal ended it."""
    if return_code < 0:
        number = -return_code
        reason = f"Runtime exited with error: signal: {_signal_name(number)}"
    elif return_code > 0:
        reason = f"Runtime exited with error: exit status {return_code}"
    else:
        reason = "Runtime exited without providing a reason"
    return _sandbox_error("Runtime.ExitError", f"RequestId: {request_id} Error: {reason}")


def response_too_large() -> InvokeResult:
    return _sandbox_error(
        "Function.ResponseSizeTooLarge",
        "Response payload size exceeded maximum allowed payload size "
        f"({MAX_RESPONSE_BYTES} bytes).",
    )


def _sandbox_error(error_type: str, message: str) -> InvokeResult:
    body = {"errorType": error_type, "errorMessage": message}
    return InvokeResult(json.dumps(body).encode(), "Unhandled")


def _signal_name(number: int) -> str:
    """Lambda prints the system's description in lower case: 9 is "killed"."""
    return (signal.strsignal(number) or str(number)).lower()
