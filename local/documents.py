"""Documents as the commands get them: from a file or from S3."""

from pathlib import Path
from typing import TypeVar

from botocore.exceptions import ClientError
from pydantic import ValidationError

from screener import aws
from screener.document import Document, DocumentHead
from screener.errors import ScreenerError
from screener.storage import S3Location

_T = TypeVar("_T", bound=DocumentHead)

MAX_DOCUMENT_BYTES = 512 * 1024 * 1024


class UnusableDocument(ScreenerError):
    """A document cannot be read, or does not follow its schema."""


def read_head(address: str) -> DocumentHead:
    """Read a document without its details.

    Raises:
        UnusableDocument: there is none, or it is not a document of this schema.
    """
    return _parsed(DocumentHead, _bytes(address), address)


def read_document(address: str) -> Document:
    """Read a document.

    Args:
        address: a path, or an `s3://` URI.

    Raises:
        UnusableDocument: there is none, or it is not a document of this schema.
    """
    return parse_document(_bytes(address), address)


def parse_document(content: bytes, address: str) -> Document:
    """Raises UnusableDocument when the content is not a document."""
    return _parsed(Document, content, address)


def _parsed(kind: type[_T], content: bytes, address: str) -> _T:
    try:
        return kind.model_validate_json(content)
    except ValidationError as cause:
        first = cause.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the top"
        raise UnusableDocument(f"{address}: not a document: {place}: {first['msg']}") from cause


def _bytes(address: str) -> bytes:
    try:
        if address.startswith("s3://"):
            location = S3Location.parse(address)
            answer = aws.s3().get_object(Bucket=location.bucket, Key=location.key)
            with answer["Body"] as body:
                content = body.read(MAX_DOCUMENT_BYTES + 1)
        else:
            with Path(address).open("rb") as file:
                content = file.read(MAX_DOCUMENT_BYTES + 1)
    except (OSError, ClientError, ValueError) as cause:
        raise UnusableDocument(f"{address}: {cause}") from cause
    if len(content) > MAX_DOCUMENT_BYTES:
        raise UnusableDocument(f"{address}: larger than {MAX_DOCUMENT_BYTES} bytes")
    return content
