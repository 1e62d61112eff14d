"""One video from upload to document, driven by its upload event."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from local.runs.progress import ENDED_STATUSES, RunProgress
from local.runs.records import ExecutionRecord, read_execution
from local.stack.description import StackDescription
from screener import identity
from screener.errors import ScreenerError
from screener.storage import DOCUMENT_SUFFIX, MAX_KEY_BYTES, S3Location

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

SLOW_START_SECONDS = 20
"""An upload whose execution has not started by then is waiting for something."""


class NotAcceptable(ScreenerError):
    """A path that cannot be uploaded; the message says why and what to do."""


class Phase(StrEnum):
    WAITING = "waiting"
    UPLOADING = "uploading"
    QUEUED = "queued"
    """Uploaded; its execution has not started yet."""
    RUNNING = "running"
    ENDED = "ended"


class Screening:
    """The screening of one file by a running stack.

    Args:
        path: the video.
        stack: where to.
        s3, stepfunctions: its clients.

    Raises:
        NotAcceptable: not a readable file, or a name that starts nothing.
    """

    def __init__(
        self, path: Path, stack: StackDescription, s3: "S3Client", stepfunctions: "SFNClient"
    ) -> None:
        check_file(path)
        self.path = path
        self.key = upload_key(path, stack)
        self.phase = Phase.WAITING
        self.size_bytes = path.stat().st_size
        self.sent_bytes = 0
        self.started = time.monotonic()
        self.record: ExecutionRecord | None = None
        self._stack = stack
        self._s3 = s3
        self._stepfunctions = stepfunctions
        self._arn = ""
        self._uploaded = 0.0

    @property
    def progress(self) -> RunProgress | None:
        return self.record.progress if self.record else None

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.started

    def seconds_until(self, moment: datetime) -> float:
        """From the start of the upload to a moment of the wall clock."""
        return self.elapsed_seconds - (datetime.now(UTC) - moment).total_seconds()

    @property
    def slow_to_start(self) -> bool:
        """Whether the upload has been waiting for its execution for suspiciously long."""
        waited = time.monotonic() - self._uploaded
        return self.phase is Phase.QUEUED and waited > SLOW_START_SECONDS

    def upload(self, on_progress: Callable[[], None]) -> None:
        """Put the video into the media bucket; its event does the rest.

        Raises:
            NotAcceptable: the file cannot be read to its end.
            ClientError, S3UploadFailedError: the stack refuses it.
        """
        self.phase = Phase.UPLOADING

        def sent(count: int) -> None:
            self.sent_bytes += count
            on_progress()

        bucket = self._stack.media_bucket
        try:
            self._s3.upload_file(str(self.path), bucket, self.key, Callback=sent)
        except OSError as cause:
            raise NotAcceptable(f"{self.path}: {cause.strerror}") from cause
        head = self._s3.head_object(Bucket=bucket, Key=self.key)
        # The stack's own bucket, which keeps versions.
        name = identity.execution_name(bucket, self.key, head["VersionId"], head["ETag"], None)
        machine = self._stack.state_machine_arn.replace(":stateMachine:", ":execution:")
        self._arn = f"{machine}:{name}"
        self._uploaded = time.monotonic()
        self.phase = Phase.QUEUED

    def look(self) -> None:
        """Bring `phase` and `record` up to date."""
        if self.phase not in (Phase.QUEUED, Phase.RUNNING):
            return
        try:
            self.record = read_execution(self._stepfunctions, self._arn)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return
        self.phase = Phase.ENDED if self.record.status in ENDED_STATUSES else Phase.RUNNING

    def document(self) -> bytes | None:
        """The document as it was written; None when there is none."""
        if self.record is None or self.record.progress.result is None:
            return None
        location = S3Location.parse(self.record.progress.result.document)
        return self._s3.get_object(Bucket=location.bucket, Key=location.key)["Body"].read()


def check_file(path: Path) -> None:
    """What can be known of a path without a stack.

    Raises:
        NotAcceptable: not a readable file.
    """
    if not path.exists():
        raise NotAcceptable(f"{path}: no such file")
    if not path.is_file():
        raise NotAcceptable(f"{path}: not a file")
    if not os.access(path, os.R_OK):
        raise NotAcceptable(f"{path}: not readable")


def upload_key(path: Path, stack: StackDescription) -> str:
    """The key that a file is uploaded to: one per path, so that a second run replaces the first.

    Raises:
        NotAcceptable: a name that starts nothing, or is too long for S3.
    """
    name = path.name
    if stack.video_suffixes and not name.lower().endswith(tuple(stack.video_suffixes)):
        raise NotAcceptable(
            f"{path}: uploads start a screening only when their name ends in one of "
            f"{' '.join(stack.video_suffixes)}. Give it such a name (the content decides what it "
            "is, not the name)."
        )
    folder = identity.digest_of(["path", str(path.resolve())], 12)
    # File names are bytes: what is no UTF-8 has no place in a key, and moto finds no object whose
    # key holds a line break.
    text = name.encode("utf-8", "replace").decode("utf-8")
    readable = "".join(one if one.isprintable() else "_" for one in text)
    key = f"{stack.upload_prefix}{folder}/{readable}"
    if len(key.encode()) > MAX_KEY_BYTES:
        raise NotAcceptable(f"{path}: S3 keys hold at most {MAX_KEY_BYTES} bytes; shorten the name")
    return key


def document_path(video: Path, folder: Path | None, taken: set[Path]) -> Path:
    """Where a video's document goes: `<stem>.moderation.json`, or with the whole name where a
    document of this run has that path already (`b.mov` beside `b.mp4`), or with a number where
    one has that, too (`c/b.mp4` after `a/b.mp4` and `b/b.mp4` in one folder).

    Args:
        video: the file that was screened.
        folder: where to; None for beside the video.
        taken: paths of this run's documents so far; gets the new one.
    """
    folder = folder if folder is not None else video.parent
    numbered = (f"{video.name}.{number}" for number in count(2))
    names = chain((video.stem, video.name), numbered)
    paths = (folder / f"{name}{DOCUMENT_SUFFIX}" for name in names)
    path = next(path for path in paths if path not in taken)
    taken.add(path)
    return path


def write_document(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the document's own name, which may be as long as names can be.
    partial = path.with_name(f".screener-{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
