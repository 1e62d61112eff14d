"""S3 as a source of ranges and as a sink of parts; see source.py and sink.py."""

from collections import OrderedDict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.response import StreamingBody

from screener.errors import VideoUnavailable
from screener.media.sink import PART_BYTES, Head

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_BROKEN = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)


class S3Source:
    """One object version, read by range with read-ahead; nothing goes to disk.

    Blocks are kept in a small cache, because containers interleave: a demuxer steps between
    two or three places. Whoever reads nearly everything does so in streams: the answer to one
    request goes on to the object's end, is read block by block, a little ahead of what is asked
    for, and stays open at the places last read from. A file of any length so takes two or three
    requests, one more for its index, and one for every time that the network breaks.

    Args:
        client: reads the bucket.
        bucket: of the object.
        key: of the object.
        size_bytes: of the object version.
        etag: of the object version, without quotes.
        version_id: of the object version, in a bucket with versions.
        first_block: what is known of the beginning, at most `BLOCK_BYTES`.
        streaming: nearly everything will be read, and not only looked into.
    """

    BLOCK_BYTES = 4 * 1024 * 1024
    CACHED_BLOCKS = 12
    READ_AHEAD_BLOCKS = 3
    OPEN_STREAMS = 3
    TRIES = 3
    """To read a block from streams that break: a slow decoder keeps them open for minutes."""

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
        streaming: bool = False,
    ) -> None:
        self.size_bytes = size_bytes
        self.requests = 0
        self._streaming = streaming
        self._client = client
        self._bucket, self._key = bucket, key
        # If-Match: an object replaced between two reads must not become a mixture of both.
        self._pin = {"IfMatch": f'"{etag}"'} | ({"VersionId": version_id} if version_id else {})
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._last_block = -1
        self._streams: OrderedDict[int, StreamingBody] = OrderedDict()
        """By the block that each gives next. The reading thread's own."""
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="s3-read")
        if first_block is not None:
            self._blocks[0] = Future()
            self._blocks[0].set_result(first_block)

    def read_at(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size_bytes)
        parts: list[bytes] = []
        while offset < end:
            index, skip = divmod(offset, self.BLOCK_BYTES)
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
        self._reader.shutdown(wait=True, cancel_futures=True)
        for stream in self._streams.values():
            stream.close()

    @property
    def _name(self) -> str:
        return f"s3://{self._bucket}/{self._key}"

    def _block(self, index: int) -> bytes:
        future = self._schedule(index)
        # Only a forward step reads ahead: a jump to an index at the file's end does not.
        forward = index in (self._last_block + 1, self._last_block) and self._last_block >= 0
        if self._streaming and forward:
            for following in range(index + 1, index + 1 + self.READ_AHEAD_BLOCKS):
                if following * self.BLOCK_BYTES < self.size_bytes:
                    self._schedule(following)
        self._blocks.move_to_end(index)
        self._last_block = index
        while len(self._blocks) > self.CACHED_BLOCKS:
            self._blocks.popitem(last=False)[1].cancel()
        return future.result()

    def _schedule(self, index: int) -> Future[bytes]:
        if index not in self._blocks:
            self._blocks[index] = self._reader.submit(self._fetch, index)
        # What is still to come outlives what was used: the blocks ahead are touched last.
        self._blocks.move_to_end(index)
        return self._blocks[index]

    def _fetch(self, index: int) -> bytes:
        end = min((index + 1) * self.BLOCK_BYTES, self.size_bytes)
        if not self._streaming:
            return self._request(index, end).read()
        length = end - index * self.BLOCK_BYTES
        for _ in range(self.TRIES):
            stream = self._streams.pop(index, None) or self._request(index, self.size_bytes)
            try:
                block = stream.read(length)
            except _BROKEN:
                block = b""
            if len(block) == length:
                if end < self.size_bytes:
                    self._keep_open(stream, index + 1)
                return block
            stream.close()
        raise IncompleteReadError(actual_bytes=0, expected_bytes=length)

    def _keep_open(self, stream: StreamingBody, next_block: int) -> None:
        self._streams[next_block] = stream
        if len(self._streams) > self.OPEN_STREAMS:
            self._streams.popitem(last=False)[1].close()

    def _request(self, index: int, end: int) -> StreamingBody:
        """The bytes from a block's first to `end`, not yet read."""
        self.requests += 1
        try:
            answer = self._client.get_object(
                Bucket=self._bucket,
                Key=self._key,
                Range=f"bytes={index * self.BLOCK_BYTES}-{end - 1}",
                **self._pin,  # type: ignore[arg-type]
            )
            return answer["Body"]
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
        first = b"".join((prefix, self._head.data))
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
