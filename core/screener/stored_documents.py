"""Documents as they lie in S3: reading them, and replacing one by a new judgement of its run."""

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydantic import ValidationError

from screener.document import Document, DocumentHead
from screener.errors import InvalidObservations, ScreenerError
from screener.observation_store import read_object
from screener.publishing import ORDER, Edition, Expected, Order
from screener.storage import S3Location

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_T = TypeVar("_T", bound=DocumentHead)

MAX_DOCUMENT_BYTES = 512 * 1024 * 1024


class UnusableDocument(ScreenerError):
    """A document cannot be read, or does not follow its schema."""


def parse_as(kind: type[_T], content: bytes, address: str) -> _T:
    """A document, or its head only.

    Raises:
        UnusableDocument: the content is none.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as cause:
        first = cause.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the top"
        raise UnusableDocument(f"{address}: not a document: {place}: {first['msg']}") from cause


def read_stored_head(s3: "S3Client", address: str) -> DocumentHead:
    """The head of the document at an `s3://` URI.

    Raises:
        UnusableDocument: it is gone, or is none.
        botocore.exceptions.ClientError: S3 refuses.
    """
    try:
        location = S3Location.parse(address)
        content = read_object(s3, *location, MAX_DOCUMENT_BYTES)
    except (ValueError, InvalidObservations) as cause:
        raise UnusableDocument(f"{address}: {cause}") from cause
    if content is None:
        raise UnusableDocument(f"{address}: not there any more")
    return parse_as(DocumentHead, content, address)


class Replaced(NamedTuple):
    """The present judgement of a run, whose place a new one takes."""

    edition: Edition
    """Of both: the run is the same."""
    expected: Expected


def find_replaced(s3: "S3Client", address: str, document: Document) -> Replaced | None:
    """What a new judgement of the same run replaces.

    Returns:
        None when another version of the video, or a later run, has its document there by now.

    Raises:
        botocore.exceptions.ClientError: S3 refuses.
        UnusableDocument: what lies there is no document.
    """
    location = S3Location.parse(address)
    answer = s3.get_object(Bucket=location.bucket, Key=location.key)
    with answer["Body"] as body:
        present = parse_as(DocumentHead, body.read(), address)
    if document.video_id is None or present.video_id != document.video_id:
        return None
    order = Order.decode(answer["Metadata"].get(ORDER, ""))
    edition = Edition(
        bucket=document.video.bucket,
        key=document.video.key,
        video_id=document.video_id,
        last_modified=document.video.last_modified,
        sequencer=order.sequencer or None,
        started_at=document.pipeline.started_at,
    )
    if edition.order.is_older_than(order):
        return None
    return Replaced(edition, Expected(location.key, answer["ETag"]))
