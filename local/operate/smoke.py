"""One video through a deployed stack: the last step of a deploy, and a check at any time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from screener import identity
from screener.document import AnalysisState, Document
from screener.errors import ScreenerError
from screener.messages import DocumentWritten
from screener.storage import S3Location

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

POLL_SECONDS = 5.0
APPEAR_SECONDS = 120.0
"""EventBridge, queue and start function take seconds; two minutes mean that they do not work."""

_NO_EXECUTION = (
    "the upload started no execution: does the bucket send events to EventBridge, and what do the"
    " intake queue and its dead-letter queue hold?"
)


class SmokeFailed(ScreenerError):
    """The stack did not do what it is for; the message says how far it came."""


@dataclass(frozen=True)
class Target:
    """The stack under test."""

    media_bucket: str
    upload_prefix: str
    state_machine_arn: str


def smoke(
    s3: "S3Client",
    stepfunctions: "SFNClient",
    target: Target,
    video: Path,
    *,
    patience_seconds: float,
    poll_seconds: float = POLL_SECONDS,
    say: Callable[[str], None],
) -> Document:
    """Upload a video, wait for its execution, check its document, remove both.

    Args:
        patience_seconds: for the whole; endpoints that sleep need up to half an hour.

    Raises:
        SmokeFailed: no execution, a failed one, or an analysis that did not succeed.
    """
    key = f"{target.upload_prefix}smoke-test-{time.time_ns()}.mp4"
    put = s3.put_object(Bucket=target.media_bucket, Key=key, Body=video.read_bytes())
    version_id = put.get("VersionId")
    name = identity.execution_name(target.media_bucket, key, version_id, put["ETag"], None)
    say(f"uploaded s3://{target.media_bucket}/{key}")
    written = None
    try:
        if version_id:
            arn = f"{target.state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        else:
            # The rest of the name comes from S3's sequencer, which only the event tells.
            begin = name[: -identity.VIDEO_ID_LENGTH]
            arn = _find(stepfunctions, target.state_machine_arn, begin, poll_seconds)
        written = _wait(stepfunctions, arn, patience_seconds, poll_seconds, say)
        location = S3Location.parse(written.document)
        body = s3.get_object(Bucket=location.bucket, Key=location.key)["Body"].read()
        document = Document.model_validate_json(body)
    finally:
        s3.delete_object(Bucket=target.media_bucket, Key=key)
        if written is not None:
            location = S3Location.parse(written.document)
            s3.delete_object(Bucket=location.bucket, Key=location.key)
    _check(document)
    return document


def _find(
    stepfunctions: "SFNClient", state_machine_arn: str, begin: str, poll_seconds: float
) -> str:
    """The execution whose name begins like this, once it is there."""
    deadline = time.monotonic() + APPEAR_SECONDS
    while True:
        listed = stepfunctions.list_executions(stateMachineArn=state_machine_arn, maxResults=1000)
        for execution in listed["executions"]:
            if execution["name"].startswith(begin):
                return execution["executionArn"]
        if time.monotonic() > deadline:
            raise SmokeFailed(_NO_EXECUTION)
        time.sleep(poll_seconds)


def _wait(
    stepfunctions: "SFNClient",
    arn: str,
    patience_seconds: float,
    poll_seconds: float,
    say: Callable[[str], None],
) -> DocumentWritten:
    started = time.monotonic()
    told = ""
    while (waited := time.monotonic() - started) < patience_seconds:
        try:
            execution = stepfunctions.describe_execution(executionArn=arn)
        except stepfunctions.exceptions.ExecutionDoesNotExist:
            if waited > min(APPEAR_SECONDS, patience_seconds):
                break
            time.sleep(poll_seconds)
            continue
        if execution["status"] != told:
            told = execution["status"]
            say(f"{told.lower()} after {waited:.0f} s")
        if told == "SUCCEEDED":
            return DocumentWritten.model_validate_json(execution["output"])
        if told != "RUNNING":
            cause = execution.get("cause") or "no cause given"
            raise SmokeFailed(f"{arn} {told}: {execution.get('error')}: {cause[:2000]}")
        time.sleep(poll_seconds)
    if not told:
        raise SmokeFailed(_NO_EXECUTION)
    raise SmokeFailed(f"{arn} is still running after {patience_seconds:.0f} s")


def _check(document: Document) -> None:
    wrong = [
        f"{analyzer}: {report.status}"
        for analyzer, report in document.analyses.items()
        if report.status in (AnalysisState.FAILED, AnalysisState.TIMED_OUT)
    ]
    if wrong:
        raise SmokeFailed(f"the document is there, but {', '.join(wrong)}")
