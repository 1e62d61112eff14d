"""An InvokeEndpointAsync request: its headers, checked, and where its result will be.

Names and limits are those of the service model (botocore, sagemaker-runtime 2017-05-13).
Two differences: an `https://` input is refused here, since the stack's objects live in the
stack's S3; and headers that are not ASCII get an explanation, where on AWS the signature
breaks with a 403 that gives none.
"""

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from local.async_inference.errors import ValidationError
from screener.storage import S3Location

INPUT_LOCATION = "X-Amzn-SageMaker-InputLocation"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
CONTENT_TYPE = "X-Amzn-SageMaker-Content-Type"
ACCEPT = "X-Amzn-SageMaker-Accept"
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
REQUEST_TTL = "X-Amzn-SageMaker-RequestTTLSeconds"
INVOCATION_TIMEOUT = "X-Amzn-SageMaker-InvocationTimeoutSeconds"
OUTPUT_LOCATION = "X-Amzn-SageMaker-OutputLocation"
FAILURE_LOCATION = "X-Amzn-SageMaker-FailureLocation"

_UNSUPPORTED = (
    "X-Amzn-SageMaker-S3OutputPathExtension",
    "X-Amzn-SageMaker-Filename",
)
_PRINTABLE_ASCII = re.compile(r"[\x20-\x7e]*")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")

DEFAULT_TTL_SECONDS = 21_600
DEFAULT_INVOCATION_TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class AsyncRequest:
    """An accepted request."""

    inference_id: str
    input_location: S3Location
    output_location: S3Location
    failure_location: S3Location
    content_type: str | None = None
    accept: str | None = None
    custom_attributes: str | None = None
    ttl_seconds: float = DEFAULT_TTL_SECONDS
    invocation_timeout_seconds: float = DEFAULT_INVOCATION_TIMEOUT_SECONDS
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    received: float = field(default_factory=time.monotonic)

    @property
    def expires(self) -> float:
        """On the monotonic clock."""
        return self.received + self.ttl_seconds


def parse_request(
    headers: Mapping[str, str], output_prefix: str, failure_prefix: str
) -> AsyncRequest:
    """Check the headers and name the result's objects.

    Args:
        headers: of the HTTP request, in any case.
        output_prefix: `s3://bucket/prefix` of the endpoint's outputs.
        failure_prefix: the same for its failures.

    Raises:
        ValidationError: names the header and what is wrong with it.
    """
    given = {name.lower(): value for name, value in headers.items()}
    for name in _UNSUPPORTED:
        if name.lower() in given:
            raise ValidationError(f"{name} is not supported by local endpoints")
    location = _text(given, INPUT_LOCATION, 1024)
    if location is None:
        raise ValidationError(f"{INPUT_LOCATION} is missing")
    try:
        input_location = S3Location.parse(location)
    except ValueError as cause:
        raise ValidationError(f"{INPUT_LOCATION}: {cause}") from cause
    name = str(uuid.uuid4())
    return AsyncRequest(
        inference_id=_text(given, INFERENCE_ID, 64) or str(uuid.uuid4()),
        input_location=input_location,
        output_location=S3Location.parse(f"{output_prefix.rstrip('/')}/{name}.out"),
        failure_location=S3Location.parse(f"{failure_prefix.rstrip('/')}/{name}-error.out"),
        content_type=_text(given, CONTENT_TYPE, 1024),
        accept=_text(given, ACCEPT, 1024),
        custom_attributes=_text(given, CUSTOM_ATTRIBUTES, 1024),
        ttl_seconds=_number(given, REQUEST_TTL, 60, 21_600, DEFAULT_TTL_SECONDS),
        invocation_timeout_seconds=_number(
            given, INVOCATION_TIMEOUT, 1, 3600, DEFAULT_INVOCATION_TIMEOUT_SECONDS
        ),
    )


def _text(given: Mapping[str, str], name: str, limit: int) -> str | None:
    value = given.get(name.lower())
    if not value:
        return None
    if len(value) > limit:
        raise ValidationError(f"{name} has {len(value)} characters; at most {limit} are allowed")
    if not _PRINTABLE_ASCII.fullmatch(value):
        raise ValidationError(f"{name} must be printable ASCII, got {value[:100]!a}")
    return value


def _number(given: Mapping[str, str], name: str, least: int, most: int, default: int) -> int:
    value = given.get(name.lower())
    if value is None:
        return default
    if not _WHOLE_NUMBER.fullmatch(value) or not least <= int(value) <= most:
        raise ValidationError(
            f"{name} must be a whole number from {least} to {most}, got {value[:20]!a}"
        )
    return int(value)
