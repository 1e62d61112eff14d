"""One look at an inference request: is there an output, a failure, or neither yet?"""

from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import ValidationError

from screener.causes import shortened
from screener.errors import InvalidObservations
from screener.messages import AnalysisError, AnalysisStatus, CollectTask, PollResult
from screener.observation_store import check_frames
from screener.observations import RESULT_TYPES
from screener.polling import next_wait_seconds
from screener.storage import S3Location

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Between the end of a request and its output being visible, and for clocks that differ.
GRACE = timedelta(seconds=60)
MAX_OUTPUT_BYTES = 256 * 1024 * 1024
MAX_FAILURE_BYTES = 2_000


def collect(task: CollectTask, s3: "S3Client", work_bucket: str, now: datetime) -> PollResult:
    """Look for the output and the failure object; store valid observations.

    Raises:
        botocore.exceptions.ClientError: S3 refuses. A 403 is an error here, not "not yet":
            the function may list the bucket, so that a missing object answers 404.
    """
    polls = task.poll.polls + 1
    elapsed = now - datetime.fromisoformat(task.started.started_at)
    output = _read(s3, task.started.output_location, MAX_OUTPUT_BYTES)
    if output is not None:
        return _store(task, output, s3, work_bucket, polls)
    failure = _read(s3, task.started.failure_location, MAX_FAILURE_BYTES)
    if failure is not None:
        return _ended(
            AnalysisStatus.FAILED, "EndpointFailure", failure.decode("utf-8", "replace"), polls
        )
    allowed = (
        timedelta(seconds=task.item.request_ttl_seconds + task.item.invocation_timeout_seconds)
        + GRACE
    )
    if elapsed > allowed:
        return _ended(
            AnalysisStatus.TIMED_OUT,
            "AnalysisTimedOut",
            f"neither output nor failure after {int(elapsed.total_seconds())} s",
            polls,
        )
    wait_seconds = next_wait_seconds(
        elapsed.total_seconds(), task.item.expected_seconds, task.item.poll_growth
    )
    return PollResult(polls=polls, wait_seconds=wait_seconds)


def _read(s3: "S3Client", uri: str, limit: int) -> bytes | None:
    """The object's first `limit` + 1 bytes; None when there is no such object."""
    location = S3Location.parse(uri)
    try:
        answer = s3.get_object(Bucket=location.bucket, Key=location.key)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise
    # Not `with answer["Body"]`: that gives the stream below, whose errors are not botocore's.
    with closing(answer["Body"]) as body:
        return body.read(limit + 1)


def _store(
    task: CollectTask, output: bytes, s3: "S3Client", work_bucket: str, polls: int
) -> PollResult:
    if len(output) > MAX_OUTPUT_BYTES:
        return _ended(
            AnalysisStatus.FAILED,
            "InvalidObservations",
            f"the endpoint's output is larger than {MAX_OUTPUT_BYTES} bytes",
            polls,
        )
    try:
        observations = RESULT_TYPES[task.item.analyzer].model_validate_json(output)
    except ValidationError as cause:
        first = cause.errors()[0]
        return _ended(
            AnalysisStatus.FAILED,
            "InvalidObservations",
            f"{cause.error_count()} problems in the endpoint's output, the first at "
            f"{'.'.join(map(str, first['loc'])) or 'the top'}: {first['msg']}",
            polls,
        )
    if observations.chunk != task.item.chunk:
        return _ended(
            AnalysisStatus.FAILED,
            "InvalidObservations",
            f"the endpoint answered for chunk {observations.chunk}, not {task.item.chunk}",
            polls,
        )
    if task.item.frame_count is not None:
        try:
            check_frames(observations, {task.item.chunk: task.item.frame_count}, "the answer")
        except InvalidObservations as cause:
            # Stored, it would count as done, and no redrive would ask for it again.
            return _ended(AnalysisStatus.FAILED, type(cause).__name__, str(cause), polls)
    s3.put_object(
        Bucket=work_bucket,
        Key=task.item.observation_key,
        Body=observations.model_dump_json().encode(),
        ContentType="application/json",
    )
    return PollResult(status=AnalysisStatus.SUCCEEDED, polls=polls)


def _ended(status: AnalysisStatus, error_type: str, message: str, polls: int) -> PollResult:
    return PollResult(
        status=status,
        polls=polls,
        error=AnalysisError(type=error_type, message=shortened(message)),
    )
