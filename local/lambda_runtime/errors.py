"""Why an invocation was refused before any function code ran.

    InvocationRefused          status, code: what the Lambda API answers
    ├── FunctionNotFound       404 ResourceNotFoundException
    ├── TooManyRequests        429 TooManyRequestsException
    ├── RequestTooLarge        413 RequestTooLargeException
    ├── InvalidRequestContent  400 InvalidRequestContentException
    └── ServiceFailed          500 ServiceException

A function that ran and failed is no exception but an `InvokeResult` with a function error.
"""

from typing import ClassVar


class InvocationRefused(Exception):
    """Base class; `str(error)` is the message for the caller."""

    status: ClassVar[int]
    code: ClassVar[str]


class FunctionNotFound(InvocationRefused):
    status = 404
    code = "ResourceNotFoundException"


class TooManyRequests(InvocationRefused):
    """All of the function's environments are busy."""

    status = 429
    code = "TooManyRequestsException"


class RequestTooLarge(InvocationRefused):
    status = 413
    code = "RequestTooLargeException"


class InvalidRequestContent(InvocationRefused):
    """The payload is not JSON."""

    status = 400
    code = "InvalidRequestContentException"


class ServiceFailed(InvocationRefused):
    """No environment could be started, or the local stack is stopping."""

    status = 500
    code = "ServiceException"
