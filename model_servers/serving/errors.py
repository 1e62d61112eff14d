"""What can go wrong with a request, and the HTTP status of each: the one place that maps them.

    ScreenerError
    ├── InvalidBundle               400  (screener.errors)
    └── RequestFailed
        ├── MalformedRequest        400  header, JSON or media that cannot be read
        ├── BodyTimeout             408  the client stopped sending
        ├── BodyTooLarge            413
        ├── UnsupportedContentType  415
        ├── InferenceFailed         500  ours: the model did not answer
        ├── ModelNotReady           503  still loading
        ├── ServerBusy              503  more requests are waiting than this server queues
        └── OutOfMemory             507  a single input does not fit

The body of every refusal is `{"error": {"type": ..., "message": ...}}`.
"""

from http import HTTPStatus

from screener.errors import InvalidBundle, ScreenerError


class RequestFailed(ScreenerError):
    """Base of what a server answers instead of observations."""


class MalformedRequest(RequestFailed):
    """A header, JSON body or media file that cannot be read."""


class BodyTimeout(RequestFailed):
    """The client stopped sending before the body was complete."""


class BodyTooLarge(RequestFailed):
    """More bytes than this server accepts."""


class UnsupportedContentType(RequestFailed):
    """A content type that this server's model has no use for."""


class InferenceFailed(RequestFailed):
    """The model failed on input that looked right."""


class ModelNotReady(RequestFailed):
    """The model is still loading."""


class ServerBusy(RequestFailed):
    """The queue of waiting requests is full."""


class OutOfMemory(RequestFailed):
    """The smallest possible batch does not fit into the memory of the device."""


STATUSES: dict[type[ScreenerError], HTTPStatus] = {
    InvalidBundle: HTTPStatus.BAD_REQUEST,
    MalformedRequest: HTTPStatus.BAD_REQUEST,
    BodyTimeout: HTTPStatus.REQUEST_TIMEOUT,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedContentType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    InferenceFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    ModelNotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    ServerBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    OutOfMemory: HTTPStatus.INSUFFICIENT_STORAGE,
}


def status_of(error: ScreenerError) -> HTTPStatus:
    """The status of an error or of its nearest listed base; 500 where none is listed."""
    for cls in type(error).__mro__:
        if cls in STATUSES:
            return STATUSES[cls]
    return HTTPStatus.INTERNAL_SERVER_ERROR
