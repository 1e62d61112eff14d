"""Where extracted media goes: written once from front to back, its beginning kept open.

A bundle's manifest comes first but is known last, and a FLAC header is corrected at the end.
S3 takes the parts of a multipart upload in any order, so the first part simply waits: no
temporary file, and memory stays at a few parts however long the video is.
"""

from typing import Protocol

HEAD_BYTES = 64 * 1024 * 1024
"""Kept until the end, and all of an output that is no longer: one request instead of four and more.
Ten minutes of sound are a sixth of it, 600 frames of 1280x720 take 50 to 60 MiB."""
PART_BYTES = 16 * 1024 * 1024
"""What follows. S3 wants at least 5 MiB and at most 10,000 parts: 160 GB."""


class ByteSink(Protocol):
    """An output of known beginning and unknown length."""

    @property
    def written_bytes(self) -> int: ...

    def append(self, data: bytes) -> None: ...

    def patch(self, offset: int, data: bytes) -> None:
        """Overwrite bytes written before; they lie within the first `HEAD_BYTES`.

        Raises:
            ValueError: they do not.
        """
        ...

    def finish(self, prefix: bytes = b"") -> None:
        """Complete the object, with `prefix` in front of everything appended."""
        ...

    def abort(self) -> None:
        """Leave nothing behind. Harmless after `finish`."""
        ...


class Head:
    """The first bytes of an output, which stay in memory until its end."""

    def __init__(self) -> None:
        self.data = bytearray()

    def take(self, data: bytes) -> bytes:
        """Keep what fits; return the rest."""
        room = HEAD_BYTES - len(self.data)
        self.data += data[:room]
        return data[room:]

    def patch(self, offset: int, data: bytes) -> None:
        if offset < 0 or offset + len(data) > len(self.data):
            raise ValueError(f"bytes {offset}+{len(data)} are not kept open")
        self.data[offset : offset + len(data)] = data
