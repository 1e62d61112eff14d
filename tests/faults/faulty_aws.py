"""moto behind a front that fails the way services do: errors, delays, cut connections."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

StartResponse = Callable[..., Any]


@dataclass
class Fault:
    """What happens to the requests whose method and path match.

    Attributes:
        status: answered in place of the service, with `code` as the error; 0 lets it answer.
        delay_seconds: before anything else.
        cut_after_bytes: the answer's body is cut off there.
        times: how many requests it hits; None for all.
    """

    method: str
    path: str
    status: int = 0
    code: str = "SlowDown"
    delay_seconds: float = 0
    cut_after_bytes: int | None = None
    times: int | None = None
    hits: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self, method: str, path: str) -> bool:
        if method != self.method or not re.search(self.path, path):
            return False
        with self._lock:
            if self.times is not None and self.hits >= self.times:
                return False
            self.hits += 1
            return True


class FaultyAws:
    """WSGI application; `inject` adds a fault, `heal` removes all."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._faults: list[Fault] = []

    def inject(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def heal(self) -> None:
        self._faults.clear()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        fault = next((one for one in list(self._faults) if one.strikes(method, path)), None)
        if fault is None:
            return self._moto(environ, start_response)
        time.sleep(fault.delay_seconds)
        if fault.status:
            _drain(environ)
            start_response(f"{fault.status} -", [("Content-Type", "application/xml")])
            return [f"<Error><Code>{fault.code}</Code><Message>injected</Message></Error>".encode()]
        answer = self._moto(environ, start_response)
        if fault.cut_after_bytes is None:
            return answer
        return _cut(b"".join(answer), fault.cut_after_bytes, environ["werkzeug.socket"])


def _drain(environ: dict[str, Any]) -> None:
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0 and (block := environ["wsgi.input"].read(min(left, 65536))):
        left -= len(block)


def _cut(body: bytes, size: int, connection: socket.socket) -> Iterator[bytes]:
    yield body[:size]
    connection.shutdown(socket.SHUT_RDWR)


class _QuietHandler(MotoRequestHandler):
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing: a connection that a fault cut is no news."""


@contextmanager
def serve(application: FaultyAws) -> Iterator[str]:
    """Yields the endpoint URL."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
