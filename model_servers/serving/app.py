"""The HTTP side of every model server: SageMaker's container contract on Starlette.

GET /ping           200 once the model is loaded, 503 before
POST /invocations   application/x-tar, audio/* or application/json, as the model has handlers;
                    parameters in X-Amzn-SageMaker-Custom-Attributes
"""

import asyncio
import logging
from typing import cast

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from model_servers.serving.body import RequestBody
from model_servers.serving.errors import BodyTooLarge, MalformedRequest, status_of
from model_servers.serving.logs import FIELDS
from model_servers.serving.model import Invocation
from model_servers.serving.service import Service
from model_servers.serving.timings import Stopwatch
from screener.errors import ScreenerError
from screener.messages import InvocationAttributes

log = logging.getLogger(__name__)

ATTRIBUTES_HEADER = "x-amzn-sagemaker-custom-attributes"


def create_app(service: Service) -> Starlette:
    """The application that serves one `Service`."""

    async def ping(_: Request) -> Response:
        return Response(status_code=200 if service.ready else 503)

    async def invocations(request: Request) -> Response:
        stopwatch = Stopwatch()
        body = RequestBody(
            request.stream(),
            service.settings.screener_max_body_bytes,
            service.settings.screener_body_timeout_seconds,
        )
        fields: dict[str, object] = {}
        try:
            attributes = _attributes_of(request)
            if attributes:
                fields |= {"video_id": attributes.video_id, "chunk": attributes.chunk}
            content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            service.check(content_type)
            _check_length(request, service.settings.screener_max_body_bytes)
            async with service.turn():
                stopwatch.restart()
                result = await service.run(
                    Invocation(body, content_type, attributes, stopwatch)  # type: ignore[arg-type]
                )
            answer = await asyncio.to_thread(result.model_dump_json)
        except ScreenerError as error:
            status = status_of(error)
            fields |= {"status": int(status), "error": type(error).__name__}
            log.warning("refused", extra={FIELDS: fields | _size_and_time(body, stopwatch)})
            await body.drain()
            return _error(status, type(error).__name__, str(error))
        fields |= {"status": 200, "answer_bytes": len(answer)}
        log.info("answered", extra={FIELDS: fields | _size_and_time(body, stopwatch)})
        await body.drain()
        return Response(answer, media_type="application/json")

    async def http_error(_: Request, error: Exception) -> Response:
        problem = cast(HTTPException, error)
        return _error(problem.status_code, "HttpError", problem.detail)

    return Starlette(
        routes=[
            Route("/ping", ping, methods=["GET"]),
            Route("/invocations", invocations, methods=["POST"]),
        ],
        exception_handlers={HTTPException: http_error},
    )


def _attributes_of(request: Request) -> InvocationAttributes | None:
    header = request.headers.get(ATTRIBUTES_HEADER)
    if header is None:
        return None
    try:
        return InvocationAttributes.model_validate_json(header)
    except ValidationError as cause:
        raise MalformedRequest(f"header {ATTRIBUTES_HEADER}: {cause}") from cause


def _check_length(request: Request, limit_bytes: int) -> None:
    length = request.headers.get("content-length", "")
    # The HTTP parser has made sure that it is a number.
    if length and int(length) > limit_bytes:
        raise BodyTooLarge(f"{length} bytes announced, at most {limit_bytes} are accepted")


def _size_and_time(body: RequestBody, stopwatch: Stopwatch) -> dict[str, object]:
    return {"body_bytes": body.received_bytes, "timings_ms": stopwatch.read_ms()}


def _error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"error": {"type": kind, "message": message}}, status_code=status)
