"""Where documents and observations are: in S3, or in a folder with a copy of both.

A folder holds documents anywhere, and observations under the work bucket's own keys
(`observations/...`), as `aws s3 sync` leaves them.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from botocore.exceptions import ClientError

from local.documents import read_head
from screener import announcing, aws, storage, video_rows
from screener.document import Document, DocumentHead
from screener.errors import ScreenerError
from screener.observation_store import MAX_OBSERVATION_BYTES, read_object
from screener.publishing import publish_document
from screener.storage import DOCUMENT_SUFFIX, S3Location
from screener.stored_documents import UnusableDocument, find_replaced

_NOT_THERE = frozenset({"404", "NoSuchKey"})


class NothingToJudge(ScreenerError):
    """A target names no document."""


class Archive(Protocol):
    """Documents by address, and the observations that they point to."""

    def addresses(self, target: str) -> Iterator[str]:
        """Addresses of the documents that a target means."""

    def read(self, address: str) -> DocumentHead:
        """Raises UnusableDocument when it is none."""

    def observations(self, key: str) -> bytes | None:
        """An object of the work bucket; None when it is gone."""

    def write(self, address: str, document: Document) -> bool:
        """Replace a document; False when a newer one has taken its place."""


@dataclass(frozen=True)
class FolderArchive:
    """Documents in files."""

    observations_folder: Path

    def addresses(self, target: str) -> Iterator[str]:
        path = Path(target)
        if path.is_file():
            yield target
            return
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                if name.endswith(DOCUMENT_SUFFIX):
                    yield str(Path(folder) / name)

    def read(self, address: str) -> DocumentHead:
        return read_head(address)

    def observations(self, key: str) -> bytes | None:
        root = self.observations_folder.resolve()
        path = (root / key).resolve()
        # Keys come from documents, which anybody may have edited.
        if not path.is_relative_to(root):
            return None
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, address: str, document: Document) -> bool:
        target = Path(address)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        part.write_bytes(document.model_dump_json().encode())
        part.replace(target)
        return True


@dataclass(frozen=True)
class BucketArchive:
    """Documents beside their videos in S3.

    Attributes:
        work_bucket: where the observations are.
        table: summary table to keep in step; None leaves it alone.
        event_bus: who hears of new verdicts; None keeps quiet.
    """

    work_bucket: str
    table: str | None = None
    event_bus: str | None = None

    def addresses(self, target: str) -> Iterator[str]:
        bucket, _, prefix = target.removeprefix("s3://").partition("/")
        if prefix.endswith(DOCUMENT_SUFFIX):
            yield target
            return
        names = [storage.qualified_document_key(prefix), storage.document_key(prefix)]
        if "." in prefix.rpartition("/")[2]:
            for key in names:
                if self._exists(bucket, key):
                    yield S3Location(bucket, key).uri
                    return
        pages = aws.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Contents", []):
                if item["Key"].endswith(DOCUMENT_SUFFIX):
                    yield S3Location(bucket, item["Key"]).uri

    def read(self, address: str) -> DocumentHead:
        return read_head(address)

    def observations(self, key: str) -> bytes | None:
        return read_object(aws.s3(), self.work_bucket, key, MAX_OBSERVATION_BYTES)

    def write(self, address: str, document: Document) -> bool:
        present = find_replaced(aws.s3(), address, document)
        if present is None:
            return False
        edition = present.edition
        published = publish_document(aws.s3(), document, *present)
        if published.superseded:
            return False
        if self.table is not None:
            video_rows.write_rows(aws.dynamodb(), self.table, document, edition, published)
        if self.event_bus is not None:
            announcing.send_event(
                aws.events(), self.event_bus, document, edition, published.location
            )
        return True

    def _exists(self, bucket: str, key: str) -> bool:
        try:
            aws.s3().head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE:
                return False
            raise UnusableDocument(f"s3://{bucket}/{key}: {error}") from error
        return True
