"""Where the bytes of a video come from. The child asks; the parent reads here."""

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from screener.errors import VideoUnavailable


class ByteSource(Protocol):
    """Random access to an immutable sequence of bytes."""

    @property
    def size_bytes(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes, or fewer at the end.

        Raises:
            VideoUnavailable: the bytes cannot be had any more.
        """
        ...


class FileSource:
    """A local file."""

    def __init__(self, path: Path) -> None:
        """Raises `VideoUnavailable` when the file cannot be opened."""
        try:
            self._file = path.open("rb")
        except OSError as cause:
            raise VideoUnavailable(f"{path}: {cause.strerror}") from cause
        self.size_bytes = path.stat().st_size

    def read_at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
