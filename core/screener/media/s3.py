"""S3 as a source of ranges and as a sink of parts; see source.py and sink.py."""

from collections import OrderedDict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

from botocore.exceptions import ClientError

from screener.errors import VideoUnavailable
from screener.media.sink import PART_BYTES, Head

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef


class S3Source:
    """One object version, read by range with read-ahead; nothing goes to disk.

    Blocks are kept in a small cache, because containers interleave: a demuxer steps between
    two or three places. A block that follows the one just used is fetched before it is asked
    for, so decoding and the network work at the same time.

    Args:
        client: reads the bucket.
        bucket: of the object.
        key: of the object.
        size_bytes: of the object version.
        etag: of the object version, without quotes.
        version_id: of the object version, in a bucket with versions.
        first_block: what is known of the beginning, at most `block_bytes`.
        block_bytes: how much one request asks for.
        read_ahead: blocks to fetch before they are asked for.
    """

    BLOCK_BYTES = 4 * 1024 * 1024
    LARGE_BLOCK_BYTES = 16 * 1024 * 1024
    """For whoever reads nearly everything: a quarter of the requests."""
    CACHED_BLOCKS = 12
    READ_AHEAD_BLOCKS = 2

    def __init__(
        self,
        client: "S3Client",
        bucket: str,
        key: str,
        *,
        size_bytes: int,
        etag: str,
        version_id: str | None,
        first_block: bytes | None = None,
        block_bytes: int = BLOCK_BYTES,
        read_ahead: int = READ_AHEAD_BLOCKS,
    ) -> None:
        self.size_bytes = size_bytes
        self.requests = 0
        self._block_bytes, self._read_ahead = block_bytes, read_ahead
        self._client = client
        self._bucket, self._key = bucket, key
        # If-Match: an object replaced between two reads must not become a mixture of both.
        self._pin = {"IfMatch": f'"{etag}"'} | ({"VersionId": version_id} if version_id else {})
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._last_block = -1
        self._pool = ThreadPoolExecutor(max(1, read_ahead), thread_name_prefix="s3-read")
        if first_block is not None:
            self._blocks[0] = Future()
            self._blocks[0].set_result(first_block)

    def read_at(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size_bytes)
        parts: list[bytes] = []
        while offset < end:
            index, skip = divmod(offset, self._block_bytes)
            block = self._block(index)[skip : skip + end - offset]
            if not block:
                raise VideoUnavailable(f"{self._name}: shorter than the {self.size_bytes} bytes")
            parts.append(block)
            offset += len(block)
        return b"".join(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def _name(self) -> str:
        return f"s3://{self._bucket}/{self._key}"

    def _block(self, index: int) -> bytes:
        future = self._schedule(index)
        # Only a forward step reads ahead: a jump to an index at the file's end does not.
        if index in (self._last_block + 1, self._last_block) and self._last_block >= 0:
            for following in range(index + 1, index + 1 + self._read_ahead):
                if following * self._block_bytes < self.size_bytes:
                    self._schedule(following)
        self._last_block = index
        self._blocks.move_to_end(index)
        while len(self._blocks) > self.CACHED_BLOCKS:
            self._blocks.popitem(last=False)[1].cancel()
        return future.result()

    def _schedule(self, index: int) -> Future[bytes]:
        if index not in self._blocks:
            self._blocks[index] = self._pool.submit(self._fetch, index)
        return self._blocks[index]

    def _fetch(self, index: int) -> bytes:
        start = index * self._block_bytes
        end = min(start + self._block_bytes, self.size_bytes) - 1
        self.requests += 1
        try:
            answer = self._client.get_object(
                Bucket=self._bucket,
                Key=self._key,
                Range=f"bytes={start}-{end}",
                **self._pin,  # type: ignore[arg-type]
            )
            return answer["Body"].read()
        except ClientError as cause:
            if is_gone(cause):
                raise VideoUnavailable(f"{self._name}: {cause}") from cause
            raise


def is_gone(error: ClientError) -> bool:
    """Whether S3 says that this object version is not there, was replaced, or is not readable.

    HeadObject has no error body, so its code is the bare status. 403 instead of 404 is what
    S3 answers without ListBucket.
    """
    return error.response["Error"]["Code"] in {
        "403", "404", "405", "412", "AccessDenied", "InvalidObjectState", "MethodNotAllowed",
        "NoSuchBucket", "NoSuchKey", "NoSuchVersion", "PreconditionFailed", "InvalidRange",
    }  # fmt: skip


class S3Sink:
    """An S3 object: one PUT when it is small, a multipart upload otherwise."""

    UPLOADS_AT_ONCE = 2

    def __init__(self, client: "S3Client", bucket: str, key: str, content_type: str) -> None:
        self.written_bytes = 0
        self._client = client
        self._bucket, self._key, self._content_type = bucket, key, content_type
        self._head = Head()
        self._tail = bytearray()
        self._upload_id: str | None = None
        self._parts: list[CompletedPartTypeDef] = []
        self._waiting: deque[Future[CompletedPartTypeDef]] = deque()
        self._next_part = 2
        self._pool: ThreadPoolExecutor | None = None

    def append(self, data: bytes) -> None:
        self.written_bytes += len(data)
        self._tail += self._head.take(data)
        while len(self._tail) >= PART_BYTES:
            self._send(bytes(self._tail[:PART_BYTES]))
            del self._tail[:PART_BYTES]

    def patch(self, offset: int, data: bytes) -> None:
        self._head.patch(offset, data)

    def finish(self, prefix: bytes = b"") -> None:
        first = prefix + bytes(self._head.data)
        if self._upload_id is None and not self._tail:
            self._client.put_object(
                Bucket=self._bucket, Key=self._key, Body=first, ContentType=self._content_type
            )
            return
        if self._tail:
            self._send(bytes(self._tail))
        self._parts.append(self._upload(1, first))
        self._collect(0)
        self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self._upload_id or "",
            MultipartUpload={"Parts": sorted(self._parts, key=lambda part: part["PartNumber"])},
        )
        self._upload_id = None
        self._close()

    def abort(self) -> None:
        self._close()
        if self._upload_id is not None:
            self._client.abort_multipart_upload(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload_id
            )
            self._upload_id = None

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _send(self, data: bytes) -> None:
        if self._pool is None:
            self._upload_id = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=self._key, ContentType=self._content_type
            )["UploadId"]
            self._pool = ThreadPoolExecutor(self.UPLOADS_AT_ONCE, thread_name_prefix="s3-write")
        # Waiting for the oldest part when the network is slower than the decoder bounds memory.
        self._collect(self.UPLOADS_AT_ONCE)
        self._waiting.append(self._pool.submit(self._upload, self._next_part, data))
        self._next_part += 1

    def _collect(self, leave: int) -> None:
        while len(self._waiting) > leave:
            self._parts.append(self._waiting.popleft().result())

    def _upload(self, number: int, data: bytes) -> "CompletedPartTypeDef":
        if self._upload_id is None:
            raise RuntimeError("no multipart upload is open")
        answer = self._client.upload_part(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=data,
        )
        return {"PartNumber": number, "ETag": answer["ETag"]}
