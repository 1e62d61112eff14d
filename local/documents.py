"""Documents as the commands get them: from a file or from S3."""

from pathlib import Path

from botocore.exceptions import ClientError

from screener import aws
from screener.document import Document, DocumentHead
from screener.storage import S3Location
from screener.stored_documents import MAX_DOCUMENT_BYTES, UnusableDocument, parse_as


def read_head(address: str) -> DocumentHead:
    """Read a document without its details.

    Raises:
        UnusableDocument: there is none, or it is not a document of this schema.
    """
    return parse_as(DocumentHead, _bytes(address), address)


def read_document(address: str) -> Document:
    """Read a document.

    Args:
        address: a path, or an `s3://` URI.

    Raises:
        UnusableDocument: there is none, or it is not a document of this schema.
    """
    return parse_as(Document, _bytes(address), address)


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
        # An OSError repeats number and path.
        why = getattr(cause, "strerror", None) or cause
        raise UnusableDocument(f"{address}: {why}") from cause
    if len(content) > MAX_DOCUMENT_BYTES:
        raise UnusableDocument(f"{address}: larger than {MAX_DOCUMENT_BYTES} bytes")
    return content
