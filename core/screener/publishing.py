"""Writes documents so that no run can take another's place.

Two videos may want the same short name (`b.mp4` and `b.mov`), and two runs of one video may
end in the wrong order. Every write is conditional on what was seen just before it, or on what the
video's row says should be there, and the object's metadata says whose document it is and how new.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from screener import identity, storage
from screener.document import Document
from screener.errors import ScreenerError
from screener.storage import S3Location

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OWNER = "screener-object"
VIDEO = "screener-video"
ORDER = "screener-order"
_ATTEMPTS = 12
_NOT_THERE = frozenset({"404", "NoSuchKey", "NotFound"})
_LOST_THE_RACE = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_NEVER = datetime.min.replace(tzinfo=UTC)


class DocumentConflict(ScreenerError):
    """Other writers kept changing the document between looking and writing."""


@dataclass(frozen=True)
class Edition:
    """Which run of which version of which object a document is about."""

    bucket: str
    key: str
    video_id: str
    last_modified: str | None
    """ISO 8601; None when the object was gone before anybody asked."""
    sequencer: str | None
    started_at: str | None

    @property
    def owner(self) -> str:
        # A digest, because metadata is limited to 2 KB of ASCII and keys are not.
        return identity.digest_of(["object", self.bucket, self.key], 32)

    @property
    def order(self) -> "Order":
        return Order(
            _instant(self.last_modified),
            (self.sequencer or "").upper(),
            self.video_id,
            _instant(self.started_at),
        )


class Order(NamedTuple):
    """How new a document is."""

    last_modified: datetime
    sequencer: str
    video_id: str
    started_at: datetime

    def is_older_than(self, other: "Order") -> bool:
        """Whether `other` is about a newer upload, or a later run on the same one."""
        if self.video_id == other.video_id:
            return self.started_at < other.started_at
        if self.last_modified != other.last_modified:
            return self.last_modified < other.last_modified
        if self.sequencer and other.sequencer:
            # S3: hexadecimal, to be compared at equal length.
            width = max(len(self.sequencer), len(other.sequencer))
            return self.sequencer.zfill(width) < other.sequencer.zfill(width)
        return False

    def encode(self) -> str:
        return "/".join(
            [
                self.last_modified.isoformat(),
                self.sequencer,
                self.video_id,
                self.started_at.isoformat(),
            ]
        )

    @classmethod
    def decode(cls, text: str) -> "Order":
        """Inverse of `encode`; something unreadable counts as oldest, so that it is replaced."""
        parts = text.split("/")
        if len(parts) != 4:
            return cls(_NEVER, "", "", _NEVER)
        return cls(_instant(parts[0]), parts[1], parts[2], _instant(parts[3]))


class Published(NamedTuple):
    location: S3Location
    etag: str | None
    """Of the document written; None when none was."""
    superseded: bool
    """A newer document was there and was left in place."""


class Expected(NamedTuple):
    """What is believed to lie where a document goes. S3 checks it when the document is written."""

    key: str
    etag: str | None
    """Of our document there; None when nothing should be there."""


class _Existing(NamedTuple):
    etag: str
    metadata: dict[str, str]


def publish_document(
    s3: "S3Client", document: Document, edition: Edition, expected: Expected | None = None
) -> Published:
    """Write a document beside its video, unless a newer one is there.

    Args:
        s3: reads and writes the media bucket.
        document: what to write.
        edition: of the document.
        expected: saves a look when it is true, and costs a refused write when it is not.

    Raises:
        DocumentConflict: other writers won every time.
        botocore.exceptions.ClientError: S3 refuses for another reason.
    """
    body = document.model_dump_json().encode()
    if expected is not None:
        location = S3Location(edition.bucket, expected.key)
        if etag := _put(s3, location, body, edition, expected.etag):
            return Published(location, etag, superseded=False)
    for _ in range(_ATTEMPTS):
        key, existing = _place(s3, edition)
        location = S3Location(edition.bucket, key)
        if existing is not None and edition.order.is_older_than(
            Order.decode(existing.metadata.get(ORDER, ""))
        ):
            return Published(location, None, superseded=True)
        if etag := _put(s3, location, body, edition, existing.etag if existing else None):
            return Published(location, etag, superseded=False)
    raise DocumentConflict(f"the document of s3://{edition.bucket}/{edition.key} keeps changing")


def _place(s3: "S3Client", edition: Edition) -> tuple[str, _Existing | None]:
    """The key for this video's document, and what is there now.

    A place is ours when it is free or holds a document of the same object. Once a longer name
    was taken it is kept, even if the short one has become free: readers know it by then.
    """
    candidates = [
        storage.document_key(edition.key),
        storage.qualified_document_key(edition.key),
        storage.qualified_document_key(f"{edition.key}.{edition.owner}"),
    ]
    free: str | None = None
    for key in candidates:
        existing = _head(s3, edition.bucket, key)
        if existing is None:
            free = free or key
        elif existing.metadata.get(OWNER) == edition.owner:
            return key, existing
        if existing is None and key != candidates[0]:
            break
    return free or candidates[-1], None


def _head(s3: "S3Client", bucket: str, key: str) -> _Existing | None:
    try:
        answer = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_THERE:
            return None
        raise
    return _Existing(answer["ETag"], answer["Metadata"])


def _put(
    s3: "S3Client", location: S3Location, body: bytes, edition: Edition, replaced: str | None
) -> str | None:
    """The etag of what was written in place of the etag `replaced`, or of nothing.

    None when something else lies there.
    """
    metadata = {
        OWNER: edition.owner,
        VIDEO: edition.video_id,
        ORDER: edition.order.encode(),
    }
    try:
        if replaced is None:
            answer = s3.put_object(
                Bucket=location.bucket,
                Key=location.key,
                Body=body,
                ContentType="application/json",
                Metadata=metadata,
                IfNoneMatch="*",
            )
        else:
            answer = s3.put_object(
                Bucket=location.bucket,
                Key=location.key,
                Body=body,
                ContentType="application/json",
                Metadata=metadata,
                IfMatch=replaced,
            )
    except ClientError as error:
        if error.response["Error"]["Code"] in _LOST_THE_RACE | _NOT_THERE:
            return None
        raise
    return answer["ETag"]


def _instant(text: str | None) -> datetime:
    if not text:
        return _NEVER
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return _NEVER
    return value if value.tzinfo else value.replace(tzinfo=UTC)
