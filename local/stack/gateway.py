"""The one endpoint of the local stack: moto, with Lambda and SageMaker answered by our own.

    POST /2015-03-31/functions/{function}/invocations    local.lambda_runtime
    POST /endpoints/{endpoint}/async-invocations         local.async_inference
    SageMaker DescribeEndpoint                           local.async_inference
    Step Functions RedriveExecution                      local.stack.redrive_api
    GET  /_screener/stack                                what this stack is
    everything else                                      moto; writes to S3 become events

It listens on 127.0.0.1 only, and answers only requests that name it so: a web page that
was opened on the same machine cannot use it, by its own origin or by a rebound name.
"""

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import LISTEN_QUEUE, BaseWSGIServer, make_server

from local.async_inference.errors import AsyncInferenceError
from local.async_inference.service import Response
from local.lambda_runtime.errors import InvocationRefused, TooManyRequests
from local.lambda_runtime.service import InvokeResult
from local.stack.answers import (
    Headers,
    StartResponse,
    answer,
    epoch_seconds,
    error_body,
    read_body,
    request_headers,
)
from local.stack.instance import DESCRIPTION_PATH
from local.stack.object_events import ObjectEvents, Write, find_write, is_form_upload, object_of
from local.stack.redrive_api import RedriveApi
from screener.errors import ScreenerError

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"

_INVOKE = re.compile(r"^/2015-03-31/functions/([^/]+)/invocations$")
_ASYNC_INVOKE = re.compile(r"^/endpoints/([^/]+)/async-invocations$")
_LOCAL_HOST = re.compile(r"^(127\.0\.0\.1|localhost|[a-z0-9.-]+\.localhost)(:[0-9]+)?$")
_FREE_SECONDS = 30.0
_FREE_LOOK_SECONDS = 0.05


class Functions(Protocol):
    """What the gateway needs of `local.lambda_runtime.service.LambdaService`."""

    def invoke(self, name: str, payload: bytes) -> InvokeResult: ...


class Endpoints(Protocol):
    """What the gateway needs of `local.async_inference.service.AsyncInferenceService`."""

    def invoke(self, endpoint_name: str, headers: Mapping[str, str]) -> Response: ...

    def describe_endpoint(self, endpoint_name: str) -> dict[str, Any]: ...


class Gateway:
    """WSGI application. The services are attached after the server knows its port.

    Attributes:
        functions, endpoints, object_events: None until attached; requests for them are then
            answered with 503.
        description: JSON of the stack, for `DESCRIPTION_PATH`.
    """

    def __init__(self) -> None:
        self.functions: Functions | None = None
        self.endpoints: Endpoints | None = None
        self.object_events: ObjectEvents | None = None
        self.description: bytes | None = None
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._redrive_api = RedriveApi(self._moto)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        refusal = _foreign(environ)
        if refusal:
            return answer(start_response, 403, error_body(refusal))
        path = environ.get("PATH_INFO", "")
        method = environ["REQUEST_METHOD"]
        if path == DESCRIPTION_PATH and method == "GET":
            if self.description is None:
                return answer(start_response, 503, error_body("still starting"))
            return answer(start_response, 200, self.description)
        if method == "POST":
            if found := _INVOKE.match(path):
                return self._invoke_function(unquote(found.group(1)), environ, start_response)
            if found := _ASYNC_INVOKE.match(path):
                return self._invoke_endpoint(unquote(found.group(1)), environ, start_response)
            if environ.get("HTTP_X_AMZ_TARGET") == "SageMaker.DescribeEndpoint":
                return self._describe_endpoint(environ, start_response)
            if self._redrive_api.handles(environ):
                return self._redrive_api(environ, start_response)
        return self._forward(environ, start_response)

    def _invoke_function(
        self, name: str, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        if self.functions is None:
            return answer(start_response, 503, error_body("still starting"))
        functions, function = self.functions, _function_name(name)
        payload = read_body(environ)
        version = ("X-Amz-Executed-Version", "$LATEST")
        match environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse"):
            case "DryRun":
                return answer(start_response, 204, b"")
            case "Event":
                threading.Thread(
                    target=_invoke_and_log, args=(functions, function, payload), daemon=True
                ).start()
                return answer(start_response, 202, b"")
        try:
            result = _invoke_when_free(functions, function, payload)
        except InvocationRefused as error:
            return answer(
                start_response,
                error.status,
                error_body(str(error), error.code),
                [("x-amzn-ErrorType", error.code)],
            )
        headers = [version]
        if result.function_error:
            headers.append(("X-Amz-Function-Error", result.function_error))
        return answer(start_response, 200, result.payload, headers)

    def _invoke_endpoint(
        self, name: str, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        if self.endpoints is None:
            return answer(start_response, 503, error_body("still starting"))
        read_body(environ)
        response = self.endpoints.invoke(name, request_headers(environ))
        return answer(
            start_response, response.status, response.body, list(response.headers.items())
        )

    def _describe_endpoint(
        self, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        if self.endpoints is None:
            return answer(start_response, 503, error_body("still starting"))
        try:
            name = str(json.loads(read_body(environ))["EndpointName"])
            body = self.endpoints.describe_endpoint(name)
        except AsyncInferenceError as error:
            return answer(start_response, 400, error_body(str(error), "ValidationException"))
        except (ValueError, KeyError, TypeError):
            return answer(
                start_response, 400, error_body("EndpointName is missing", "ValidationException")
            )
        return answer(start_response, 200, json.dumps(body, default=epoch_seconds).encode())

    def _forward(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        events = self.object_events
        if events is None:
            return self._ask_moto(environ, start_response)
        if is_form_upload(environ) and events.sends(object_of(environ)[0]):
            return answer(
                start_response,
                501,
                error_body("form uploads send no events here; use PutObject"),
            )
        write = find_write(environ)
        if write is None or not events.sends(write.bucket):
            return self._ask_moto(environ, start_response)
        return self._forward_write(write, events, environ, start_response)

    def _ask_moto(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        body: Iterable[bytes] = self._moto(environ, start_response)
        return body

    def _forward_write(
        self,
        write: Write,
        events: ObjectEvents,
        environ: dict[str, Any],
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        answered: list[tuple[str, Headers]] = []

        def remember(status: str, headers: Headers, exc_info: Any = None) -> Any:
            answered.append((status, headers))
            return start_response(status, headers, exc_info)

        # The answers to writes are short; S3 reports a failed copy or completion inside a 200.
        body = b"".join(self._moto(environ, remember))
        status, headers = answered[-1]
        if status.startswith("200") and b"<Error>" not in body:
            version = {name.lower(): value for name, value in headers}.get("x-amz-version-id")
            events.written(write, version)
        return [body]


def _foreign(environ: Mapping[str, Any]) -> str | None:
    host = environ.get("HTTP_HOST", "")
    if not _LOCAL_HOST.match(host):
        return f"this endpoint is {HOST}, not {host[:100]!r}"
    # Pictures, scripts and links of a page name no origin; browsers say where they come from.
    if environ.get("HTTP_SEC_FETCH_SITE") == "cross-site":
        return "no access from other sites"
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not _LOCAL_HOST.match(urlsplit(origin).netloc):
        return f"no access from {origin[:100]!r}"
    return None


def _function_name(name_or_arn: str) -> str:
    """`name`, `name:$LATEST`, or the ARN with or without a qualifier."""
    if name_or_arn.startswith("arn:"):
        return name_or_arn.split(":")[6]
    return name_or_arn.split(":")[0]


def _invoke_when_free(functions: Functions, name: str, payload: bytes) -> InvokeResult:
    """Invoke, waiting for a free environment: a laptop has a few where Lambda has a thousand.

    Raises:
        InvocationRefused: TooManyRequests when none became free in time, or for another reason.
    """
    deadline = time.monotonic() + _FREE_SECONDS
    while True:
        try:
            return functions.invoke(name, payload)
        except TooManyRequests:
            if time.monotonic() > deadline:
                raise
            time.sleep(_FREE_LOOK_SECONDS)


def _invoke_and_log(functions: Functions, name: str, payload: bytes) -> None:
    try:
        result = _invoke_when_free(functions, name, payload)
    except InvocationRefused as error:
        logger.warning("asynchronous invocation of %s: %s", name, error)
        return
    if result.function_error:
        logger.warning("asynchronous invocation of %s failed: %r", name, result.payload[:2000])


class _RequestHandler(MotoRequestHandler):
    # 40 ms per request otherwise: the answer waits for the acknowledgement of its headers.
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        logger.debug('"%s" %s %s', self.requestline, code, size)


class PortTaken(ScreenerError):
    """Something else listens on the port; the message says how to choose another."""


def serve(gateway: Gateway, port: int) -> BaseWSGIServer:
    """A threaded server bound to 127.0.0.1; port 0 takes a free one.

    Raises:
        PortTaken: the port is not free.
    """
    # Bound here, because werkzeug ends the process when it cannot bind.
    try:
        listening = socket.create_server((HOST, port), backlog=LISTEN_QUEUE)
    except OSError as cause:
        raise PortTaken(
            f"port {port} of {HOST}: {cause.strerror}. Choose another with --port, or --port 0"
        ) from cause
    with listening:
        # The server duplicates the descriptor.
        return make_server(
            HOST,
            listening.getsockname()[1],
            gateway,
            threaded=True,
            request_handler=_RequestHandler,
            fd=listening.fileno(),
        )
