"""Reading WSGI requests and writing their answers."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

StartResponse = Callable[..., Any]
Headers = list[tuple[str, str]]

_JSON = ("Content-Type", "application/json")


def read_body(environ: dict[str, Any]) -> bytes:
    """The whole body of a request."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return body


def request_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """A request's headers under the names that they travel with."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").title(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["Content-Type"] = environ["CONTENT_TYPE"]
    return headers


def error_body(message: str, code: str = "LocalStackError") -> bytes:
    """An error in the shape that AWS clients of the JSON protocols understand."""
    return json.dumps({"__type": code, "message": message, "Message": message}).encode()


def epoch_seconds(value: Any) -> float:
    """A datetime as the JSON protocols write it."""
    timestamp: float = value.timestamp()
    return timestamp


def answer(
    start_response: StartResponse, status: int, body: bytes, headers: Headers | None = None
) -> Iterable[bytes]:
    """Send an answer; JSON unless its headers say otherwise."""
    own = [("Content-Length", str(len(body)))]
    names = {name.lower() for name, _ in headers or []}
    if "content-type" not in names:
        own.append(_JSON)
    if "x-amzn-requestid" not in names:
        # Every AWS answer has one, and moto's interpreter cannot read an error without it.
        own.append(("x-amzn-RequestId", str(uuid.uuid4())))
    kept = [(name, value) for name, value in headers or [] if name.lower() != "content-length"]
    start_response(f"{status} -", [*own, *kept])
    return [body]
