"""The stack process behind a front that fails the way AWS does.

    python -m tests.faults.faulty_stack CONTROL_FOLDER ARGUMENTS_OF_LOCAL_STACK...

`CONTROL_FOLDER/aws.json` holds a list of `AwsFault`; it is read again whenever it changes.
Every request that the functions, the state machine and the endpoints make goes through here,
and adds a `Request` to `CONTROL_FOLDER/requests.jsonl`.
"""

import hashlib
import itertools
import json
import re
import sys
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import local.stack.stack as stack_module
from local.stack.__main__ import main
from local.stack.answers import StartResponse
from local.stack.deploy import Services
from local.stack.gateway import Gateway
from screener.model import Message
from tests.named_callers import NamedCallers

AWS_FAULTS = "aws.json"
REQUESTS = "requests.jsonl"
TEST_CLIENT = "screener-test"
"""In the user agent of clients that no fault hits and that are not counted."""

_SIGNED = re.compile(r"Credential=([^/]+)/[0-9]+/[^/]+/([^/]+)/")
_FUNCTION = re.compile(r"/functions/([^/]+)/invocations")


class Request(NamedTuple):
    """One request to AWS."""

    caller: str
    """A function's name; "ak" is the state machine, "local" the endpoints."""
    service: str
    operation: str
    """The API's name; of Lambda, the function invoked."""


class AwsFault(Message):
    """What happens to some requests."""

    method: str = "*"
    path: str = ""
    """A regular expression, searched in the path."""
    target: str = ""
    """A regular expression, searched in X-Amz-Target."""
    status: int = 0
    """0 lets the service answer."""
    code: str = "ServiceUnavailable"
    delay_seconds: float = 0
    share: float = 1.0
    """Of the requests that match."""
    times: int | None = None
    """How many requests are hit; None for no limit."""
    seed: int = 0


class FaultyGateway(Gateway):
    """The gateway, with faults before it."""

    control = Path()

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()
        self._read_at = -1.0
        self._faults: list[AwsFault] = []
        self._hits: list[int] = []

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        fault = self._strike(environ)
        if fault is None:
            return super().__call__(environ, start_response)
        time.sleep(fault.delay_seconds)
        if not fault.status:
            return super().__call__(environ, start_response)
        left = int(environ.get("CONTENT_LENGTH") or 0)
        while left > 0 and (block := environ["wsgi.input"].read(min(left, 65_536))):
            left -= len(block)
        in_xml = f"<Error><Code>{fault.code}</Code><Message>injected</Message></Error>".encode()
        in_json = json.dumps({"__type": fault.code, "message": "injected"}).encode()
        is_s3 = "/s3/" in environ.get("HTTP_AUTHORIZATION", "")
        start_response(
            f"{fault.status} -",
            [
                ("Content-Type", "application/xml" if is_s3 else "application/json"),
                ("x-amzn-ErrorType", fault.code),
                ("x-amzn-RequestId", str(uuid.uuid4())),
            ],
        )
        return [in_xml if is_s3 else in_json]

    def _strike(self, environ: dict[str, Any]) -> AwsFault | None:
        # The tests' own clients sign as "local" too; they say who they are.
        if TEST_CLIENT in environ.get("HTTP_USER_AGENT", ""):
            return None
        self._note(environ)
        self._refresh()
        for place, fault in enumerate(self._faults):
            if fault.method not in ("*", environ["REQUEST_METHOD"]):
                continue
            if not re.search(fault.path, environ.get("PATH_INFO", "")):
                continue
            if not re.search(fault.target, environ.get("HTTP_X_AMZ_TARGET", "")):
                continue
            draw = hashlib.sha256(f"{fault.seed}:{next(self._numbers)}".encode()).digest()[0] / 256
            if draw >= fault.share or self._hits[place] == fault.times:
                continue
            self._hits[place] += 1
            return fault
        return None

    def _note(self, environ: dict[str, Any]) -> None:
        # One write to a file opened for appending: lines of several threads stay whole.
        with (self.control / REQUESTS).open("a") as file:
            file.write(json.dumps(_request(environ)) + "\n")

    def _refresh(self) -> None:
        file = self.control / AWS_FAULTS
        changed = file.stat().st_mtime if file.exists() else 0.0
        if changed != self._read_at:
            self._read_at = changed
            found = json.loads(file.read_text()) if changed else []
            self._faults = [AwsFault.model_validate(one) for one in found]
            self._hits = [0] * len(self._faults)


def _request(environ: dict[str, Any]) -> Request:
    signed = _SIGNED.search(environ.get("HTTP_AUTHORIZATION", ""))
    caller, service = signed.groups() if signed else ("", "unsigned")
    function = _FUNCTION.search(environ.get("PATH_INFO", ""))
    if function:
        return Request(caller, "lambda", function.group(1))
    if service == "s3":
        return Request(caller, service, _s3_operation(environ))
    operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    return Request(caller, service, operation or environ["REQUEST_METHOD"])


def _s3_operation(environ: dict[str, Any]) -> str:
    method = environ["REQUEST_METHOD"]
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    key = environ.get("PATH_INFO", "").lstrip("/").partition("/")[2]
    match method:
        case "GET" if not key:
            return "ListObjects"
        case "POST" if "uploads" in query:
            return "CreateMultipartUpload"
        case "POST" if "uploadId" in query:
            return "CompleteMultipartUpload"
        case "PUT" if "uploadId" in query:
            return "UploadPart"
        case "DELETE" if "uploadId" in query:
            return "AbortMultipartUpload"
    return f"{method.capitalize()}Object"


class UntouchedServices(Services):
    """Clients of the emulation itself: what it asks moto to make an event is no call to AWS."""

    def _client(self, service: str) -> Any:
        new = service not in self._clients
        client = super()._client(service)
        if new:
            client.meta.events.register("before-send", _say_who)
        return client


def _say_who(request: Any, **_: Any) -> None:
    request.headers["User-Agent"] = TEST_CLIENT


if __name__ == "__main__":
    FaultyGateway.control = Path(sys.argv[1])
    stack_module.Services = UntouchedServices  # type: ignore[misc]
    stack_module.Gateway = FaultyGateway  # type: ignore[misc]
    stack_module.LambdaService = NamedCallers  # type: ignore[misc]
    sys.argv = ["local.stack", *sys.argv[2:]]
    sys.exit(main())
