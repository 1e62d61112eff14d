"""The messages between the decoding child and its parent.

Child to parent, first byte is the kind:

    R offset:u64 length:u32    read the video; the answer is the bytes, fewer only at its end
    W sink:u8 data             append to an output
    P sink:u8 offset:u64 data  overwrite bytes near the beginning of an output
    D json                     the task's result; the last message
    E json                     the video is refused; the last message
    X text                     a bug of ours, with its traceback; the last message

Parent to child, first:

    p json | e json            what to do: probe or extract

`multiprocessing.connection.Connection` frames the messages over a Unix socket pair. It
needs no semaphores, which Lambda does not have (no /dev/shm), unlike its queues and pools.
"""

import io
import struct
import threading
from enum import IntEnum
from multiprocessing.connection import Connection

PROBE, EXTRACT = b"p", b"e"
READ, WRITE, PATCH, DONE, REFUSED, FAULT = b"R", b"W", b"P", b"D", b"E", b"X"

_READ = struct.Struct(">QI")
_PATCH = struct.Struct(">BQ")
MAX_READ_BYTES = 16 * 1024 * 1024
MAX_MESSAGE_BYTES = 256 * 1024 * 1024


class Sink(IntEnum):
    """The outputs of an extraction. Each WRITE to FRAMES is one whole JPEG."""

    FRAMES = 1
    AUDIO = 2


def parse_read(body: bytes) -> tuple[int, int]:
    """Offset and length of a READ.

    Raises:
        ValueError: not a READ, or longer than `MAX_READ_BYTES`.
    """
    try:
        offset, length = _READ.unpack(body)
    except struct.error as cause:
        raise ValueError("malformed read") from cause
    if length > MAX_READ_BYTES:
        raise ValueError(f"read of {length} bytes")
    return offset, length


def parse_write(body: bytes) -> tuple[Sink, bytes]:
    """Output and data of a WRITE.

    Raises:
        ValueError: no such output.
    """
    return Sink(body[0] if body else 0), body[1:]


def parse_patch(body: bytes) -> tuple[Sink, int, bytes]:
    """Output, offset and data of a PATCH.

    Raises:
        ValueError: malformed, or no such output.
    """
    try:
        sink, offset = _PATCH.unpack_from(body)
    except struct.error as cause:
        raise ValueError("malformed patch") from cause
    return Sink(sink), offset, body[_PATCH.size :]


class ChildChannel:
    """The child's end. Any thread may use it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def read(self, offset: int, length: int) -> bytes:
        with self._lock:
            self._connection.send_bytes(READ + _READ.pack(offset, length))
            return self._connection.recv_bytes()

    def write(self, sink: Sink, data: bytes) -> None:
        with self._lock:
            self._connection.send_bytes(WRITE + bytes([sink]) + data)

    def patch(self, sink: Sink, offset: int, data: bytes) -> None:
        with self._lock:
            self._connection.send_bytes(PATCH + _PATCH.pack(sink, offset) + data)

    def finish(self, kind: bytes, text: str) -> None:
        with self._lock:
            self._connection.send_bytes(kind + text.encode("utf-8", "replace"))

    def receive_task(self) -> tuple[bytes, bytes]:
        """PROBE or EXTRACT, and the task's JSON."""
        message = self._connection.recv_bytes()
        return message[:1], message[1:]


class RemoteFile(io.RawIOBase):
    """The video as a seekable file, read through the parent."""

    def __init__(self, channel: ChildChannel, size_bytes: int) -> None:
        self._channel = channel
        self._size = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}")
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._position
        wanted = min(left if size < 0 else size, left, MAX_READ_BYTES)
        if wanted <= 0:
            return b""
        data = self._channel.read(self._position, wanted)
        self._position += len(data)
        return data


class RemoteOutput(io.RawIOBase):
    """An output as a file that a muxer writes once and whose header it corrects at the end."""

    def __init__(self, channel: ChildChannel, sink: Sink) -> None:
        self._channel = channel
        self._sink = sink
        self._position = 0
        self._end = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._end}[whence]
        self._position = base + offset
        return self._position

    def write(self, data: bytes) -> int:  # type: ignore[override]
        chunk = bytes(data)
        if self._position == self._end:
            self._channel.write(self._sink, chunk)
            self._end += len(chunk)
        elif self._position + len(chunk) <= self._end:
            self._channel.patch(self._sink, self._position, chunk)
        else:
            raise ValueError("a write may not straddle the end of what was written")
        self._position += len(chunk)
        return len(chunk)
