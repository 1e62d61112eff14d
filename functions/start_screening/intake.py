"""From an S3 event on the queue to one execution per object version."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError
from pydantic.config import ConfigDict

from screener.errors import InvalidEvent, ScreenerError
from screener.messages import ScreeningRequest
from screener.model import Message
from screener.storage import DOCUMENT_SUFFIX

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class TooManyExecutions(ScreenerError):
    """The stack is screening as many videos as it may; the message goes back to the queue."""


class _Bucket(Message):
    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str


class _Object(Message):
    model_config = ConfigDict(frozen=True, extra="ignore")
    key: str
    etag: str | None = None
    version_id: str | None = Field(default=None, alias="version-id")
    sequencer: str | None = None


class _Detail(Message):
    model_config = ConfigDict(frozen=True, extra="ignore")
    bucket: _Bucket
    object: _Object


class _ObjectCreated(Message):
    """EventBridge's "Object Created" event, as far as it is used."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    source: str
    detail_type: str = Field(alias="detail-type")
    detail: _Detail


def parse_event(body: str, media_bucket: str) -> ScreeningRequest:
    """The screening that an intake message asks for.

    Raises:
        InvalidEvent: not an "Object Created" event of `media_bucket`, or about a document.
    """
    try:
        event = _ObjectCreated.model_validate_json(body)
    except ValidationError as cause:
        problems = "; ".join(
            f"{'.'.join(map(str, error['loc'])) or 'body'}: {error['msg']}"
            for error in cause.errors()
        )
        raise InvalidEvent(f"not an S3 event: {problems}") from cause
    if (event.source, event.detail_type) != ("aws.s3", "Object Created"):
        raise InvalidEvent(f"not an S3 upload: {event.source!r} {event.detail_type!r}")
    if event.detail.bucket.name != media_bucket:
        raise InvalidEvent(f"bucket {event.detail.bucket.name!r} is not this stack's media bucket")
    if event.detail.object.key.endswith(DOCUMENT_SUFFIX):
        raise InvalidEvent(f"{event.detail.object.key!r} is a document of ours, not a video")
    if not (event.detail.object.version_id or event.detail.object.etag):
        raise InvalidEvent(f"{event.detail.object.key!r}: neither a version id nor an etag")
    try:
        return ScreeningRequest(
            bucket=event.detail.bucket.name,
            key=event.detail.object.key,
            version_id=event.detail.object.version_id,
            etag=event.detail.object.etag,
            sequencer=event.detail.object.sequencer,
        )
    except ValidationError as cause:
        raise InvalidEvent(f"{event.detail.object.key!r}: {cause}") from cause


class Intake:
    """Starts executions of one state machine, at most `max_running` at a time.

    The bound is read once per batch: a batch may start what was free when it began, so
    concurrent batches can exceed the bound by their number, never without limit.
    """

    def __init__(
        self, client: "SFNClient", state_machine_arn: str, media_bucket: str, max_running: int
    ) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn
        self._media_bucket = media_bucket
        self._max_running = max_running

    def batch(self) -> Callable[[Any], str]:
        """A handler for the records of one batch; it returns the execution's name.

        Raises (the handler):
            InvalidEvent: see `parse_event`.
            TooManyExecutions: the bound is reached.
        """
        free = self._max_running - self._running()

        def start(record: Any) -> str:
            nonlocal free
            request = parse_event(record.body, self._media_bucket)
            if free <= 0:
                raise TooManyExecutions(f"{self._max_running} videos are being screened")
            if self._start(request):
                free -= 1
            return request.execution_name

        return start

    def _start(self, request: ScreeningRequest) -> bool:
        """False when this object version has been screened or is being screened."""
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=request.execution_name,
                input=json.dumps(request.model_dump(mode="json", exclude_none=True)),
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return False
        return True

    def _running(self) -> int:
        page = self._client.list_executions(
            stateMachineArn=self._state_machine_arn,
            statusFilter="RUNNING",
            maxResults=min(self._max_running, 1000),
        )
        return len(page["executions"])
