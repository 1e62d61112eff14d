"""S3's "Object Created" events, from what an HTTP exchange with S3 shows.

moto can send S3 events itself, but with one constant id, without version and sequencer, and
twice for a multipart upload. So the events are made here, from successful writes.
"""

import itertools
import logging
import queue
import re
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = logging.getLogger(__name__)

_SIGNED_FOR = re.compile(r"Credential=[^/]+/[0-9]{8}/[^/]+/([^/]+)/aws4_request")
# A query that does not change what `PUT /bucket/key` means; any other names a subresource.
_HARMLESS_QUERY = re.compile(r"^(x-id$|x-amz-|awsaccesskeyid$|signature$|expires$)", re.IGNORECASE)


@dataclass(frozen=True)
class Write:
    """A request that creates an object when it succeeds."""

    bucket: str
    key: str
    reason: str
    """S3's name of the operation, as the event carries it."""
    request_bytes: int


def find_write(environ: Mapping[str, Any]) -> Write | None:
    """The write that a WSGI request asks for; None for any other request."""
    if signed_service(environ) not in (None, "s3") or "HTTP_X_AMZ_TARGET" in environ:
        return None
    bucket, key = object_of(environ)
    if not bucket or not key:
        return None
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    subresources = {name for name in query if not _HARMLESS_QUERY.match(name)}
    match environ["REQUEST_METHOD"]:
        case "PUT" if not subresources:
            copies = "HTTP_X_AMZ_COPY_SOURCE" in environ
            reason = "CopyObject" if copies else "PutObject"
        case "POST" if subresources == {"uploadId"}:
            reason = "CompleteMultipartUpload"
        case _:
            return None
    return Write(bucket, key, reason, int(environ.get("CONTENT_LENGTH") or 0))


def is_form_upload(environ: Mapping[str, Any]) -> bool:
    """Whether this is a browser's form upload, whose key is hidden inside its body."""
    content_type: str = environ.get("CONTENT_TYPE", "")
    return environ["REQUEST_METHOD"] == "POST" and content_type.startswith("multipart/form-data")


def signed_service(environ: Mapping[str, Any]) -> str | None:
    """The service that a request is signed for; None for an unsigned one."""
    presigned = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0]
    credential = environ.get("HTTP_AUTHORIZATION", "") or f"Credential={presigned}"
    found = _SIGNED_FOR.search(credential)
    return found.group(1) if found else None


def object_of(environ: Mapping[str, Any]) -> tuple[str, str]:
    """(bucket, key) of an S3 request in either addressing style; empty where it names none."""
    # WSGI decodes the percent-encoding and hands the bytes over as latin-1.
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    host = environ.get("HTTP_HOST", "").rsplit(":", 1)[0]
    if host.endswith(".localhost"):
        return host.removesuffix(".localhost"), path.removeprefix("/")
    bucket, _, key = path.removeprefix("/").partition("/")
    return bucket, key


class ObjectEvents:
    """Sends one event per object written, in the order of the writes.

    Args:
        s3: to ask for size and etag.
        buckets: those that send events.
        deliver: gets each event.
        region, account: of the buckets.
    """

    def __init__(
        self,
        s3: "S3Client",
        buckets: Collection[str],
        deliver: Callable[[dict[str, Any]], None],
        *,
        region: str,
        account: str,
    ) -> None:
        self._s3 = s3
        self._buckets = buckets
        self._deliver = deliver
        self._region = region
        self._account = account
        # S3 promises only that later writes of one key compare higher as hexadecimal.
        self._sequence = itertools.count(time.time_ns())
        self._pending: queue.SimpleQueue[tuple[Write, str | None, int] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="object-events", daemon=True)
        self._thread.start()

    def sends(self, bucket: str) -> bool:
        """Whether writes to this bucket become events."""
        return bucket in self._buckets

    def written(self, write: Write, version_id: str | None) -> None:
        """Note a successful write; the event follows from a thread of ours."""
        if self.sends(write.bucket):
            self._pending.put((write, version_id, next(self._sequence)))

    def close(self) -> None:
        """Send what is pending, then stop."""
        self._pending.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while (one := self._pending.get()) is not None:
            write, version_id, sequence = one
            try:
                self._deliver(self._event(write, version_id, sequence))
            except (ClientError, BotoCoreError):
                # The object was deleted at once, or the stack is stopping. An exception must
                # not end the thread: every later upload would then be ignored.
                logger.exception("no event for s3://%s/%s", write.bucket, write.key)

    def _event(self, write: Write, version_id: str | None, sequence: int) -> dict[str, Any]:
        versioned = {"VersionId": version_id} if version_id else {}
        head = self._s3.head_object(Bucket=write.bucket, Key=write.key, **versioned)  # type: ignore[arg-type]
        created = {
            "key": write.key,
            "size": head["ContentLength"],
            "etag": head["ETag"].strip('"'),
            "sequencer": f"{sequence:018X}",
        }
        if version_id:
            created["version-id"] = version_id
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": self._account,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._region,
            "resources": [f"arn:aws:s3:::{write.bucket}"],
            "detail": {
                "version": "0",
                "bucket": {"name": write.bucket},
                "object": created,
                "request-id": uuid.uuid4().hex[:16].upper(),
                "requester": self._account,
                "source-ip-address": "127.0.0.1",
                "reason": write.reason,
            },
        }
