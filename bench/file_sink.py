"""Extracted media into a local file, where the functions write to S3."""

from pathlib import Path

from screener.media.sink import Head

_COPIED_BYTES = 16 * 1024 * 1024


class FileSink:
    """A `screener.media.sink.ByteSink` that is a local file."""

    def __init__(self, path: Path) -> None:
        self.written_bytes = 0
        self._path = path
        self._head = Head()
        self._rest = path.with_name(path.name + ".rest").open("w+b")

    def append(self, data: bytes) -> None:
        self.written_bytes += len(data)
        self._rest.write(self._head.take(data))

    def patch(self, offset: int, data: bytes) -> None:
        self._head.patch(offset, data)

    def finish(self, prefix: bytes = b"") -> None:
        self._rest.seek(0)
        with self._path.open("wb") as file:
            file.write(prefix + self._head.data)
            while block := self._rest.read(_COPIED_BYTES):
                file.write(block)
        self.abort()

    def abort(self) -> None:
        self._rest.close()
        Path(self._rest.name).unlink(missing_ok=True)
