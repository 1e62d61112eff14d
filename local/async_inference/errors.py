"""What can go wrong, before and after a request is accepted.

AsyncInferenceError
├── RequestRefused        the API answers with an error; nothing was queued
│   ├── ValidationError   400: a header is missing, malformed, or too long; no such endpoint
│   ├── EndpointNotFound  400 ValidationException: DescribeEndpoint of an unknown name
│   └── ServiceStopping   503 ServiceUnavailable
├── StartupFailed         a model server did not become healthy
└── RequestFailed         an accepted request ends with a failure object; str() is its text
    ├── InputUnavailable  the input cannot be read
    ├── ModelError        the model server answered, but not with a result
    ├── ModelTimedOut     no complete answer within the invocation timeout
    ├── ModelGone         the model server ended or cut the connection
    ├── RequestExpired    its time to live passed while it was queued
    ├── NoCapacity        no instance could be started
    └── OutputRefused     the result could not be written
"""

from typing import ClassVar


class AsyncInferenceError(Exception):
    """Base class."""


class RequestRefused(AsyncInferenceError):
    """`str(error)` is the message; `status` and `code` are what the API answers."""

    status: ClassVar[int] = 400
    code: ClassVar[str]


class ValidationError(RequestRefused):
    code = "ValidationError"  # sagemaker-runtime's name for it


class EndpointNotFound(RequestRefused):
    code = "ValidationException"  # sagemaker's (the control plane's) name for it


class ServiceStopping(RequestRefused):
    status = 503
    code = "ServiceUnavailable"


class StartupFailed(AsyncInferenceError):
    """The message says how far it came, with the end of its log."""


class RequestFailed(AsyncInferenceError):
    """The message is the failure object's content, and the notification's reason."""


class InputUnavailable(RequestFailed):
    pass


class ModelError(RequestFailed):
    pass


class ModelTimedOut(RequestFailed):
    pass


class ModelGone(RequestFailed):
    pass


class RequestExpired(RequestFailed):
    pass


class NoCapacity(RequestFailed):
    pass


class OutputRefused(RequestFailed):
    pass
