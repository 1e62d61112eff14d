"""The Lambda Runtime API over HTTP, one server per execution environment.

Per environment, because the API names no environment: on Lambda too, each sandbox has its own.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import re
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Protocol

from local.lambda_runtime.invocation import MAX_RESPONSE_BYTES, Invocation

_BASE = "/2018-06-01/runtime"
_RESULT_PATH = re.compile(_BASE + r"/invocation/([0-9a-f-]{36})/(response|error)")
_BLOCK_BYTES = 1 << 16


class Runtime(Protocol):
    """What an environment does with the calls of its runtime client."""

    function_arn: str

    def next_invocation(self) -> Invocation | None:
        """Wait for work; None when the environment ends."""

    def respond(self, request_id: str, body: bytes | None) -> bool:
        """A function returned; `body` is None when it was too large. False: not in progress."""

    def fail(self, request_id: str, body: bytes | None) -> bool:
        """A function raised; `body` as in `respond`."""

    def fail_init(self, body: bytes | None) -> None:
        """The handler could not be loaded."""


class RuntimeApi:
    """Serves `runtime` on a free port of the loopback interface until `close`."""

    def __init__(self, runtime: Runtime) -> None:
        handler = type("BoundHandler", (_Handler,), {"runtime": runtime})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve, name=f"runtime-api-{self.port}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.stop_accepting()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingTCPServer):
    # Not http.server's own classes: they look the host's name up in the DNS when they start.
    daemon_threads = True
    block_on_close = False

    def serve(self) -> None:
        """Accept until `stop_accepting`. Unlike `serve_forever`, this does not poll."""
        while True:
            try:
                request, address = self.get_request()
            except OSError:
                return
            self.process_request(request, address)

    def stop_accepting(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a runtime that is killed cuts its connection, which is no news here."""


class _Handler(BaseHTTPRequestHandler):
    runtime: Runtime
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one segment, at once: 0.6 ms per invocation instead of 44.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path != f"{_BASE}/invocation/next":
            self._answer(HTTPStatus.NOT_FOUND)
            return
        invocation = self.runtime.next_invocation()
        if invocation is None:
            self.close_connection = True
            return
        self._answer(
            HTTPStatus.OK,
            invocation.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": self.runtime.function_arn,
            },
        )

    def do_POST(self) -> None:
        body = self._body()
        if self.path == f"{_BASE}/init/error":
            self.runtime.fail_init(body)
            self._accept()
            return
        match = _RESULT_PATH.fullmatch(self.path)
        if match is None:
            self._answer(HTTPStatus.NOT_FOUND)
            return
        report = self.runtime.respond if match[2] == "response" else self.runtime.fail
        if not report(match[1], body):
            self._refuse(HTTPStatus.BAD_REQUEST, "InvalidRequestID")
        elif body is None:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge")
        else:
            self._accept()

    def _body(self) -> bytes | None:
        """The request body; None when it is larger than Lambda takes (read to its end anyway)."""
        length = int(self.headers.get("Content-Length", "0"))
        if length <= MAX_RESPONSE_BYTES:
            return self.rfile.read(length)
        while length > 0 and (block := self.rfile.read(min(length, _BLOCK_BYTES))):
            length -= len(block)
        return None

    def _accept(self) -> None:
        self._answer(HTTPStatus.ACCEPTED, b'{"status":"OK"}')

    def _refuse(self, status: HTTPStatus, error_type: str) -> None:
        self._answer(status, json.dumps({"errorType": error_type}).encode())

    def _answer(
        self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the function's log is the log."""
