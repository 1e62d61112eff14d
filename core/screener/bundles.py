"""The frame bundle: one uncompressed tar with `manifest.json` first, then JPEGs.

One object instead of 600 is one PUT and one GET per endpoint. It arrives as the body of
`POST /invocations`, so a model server needs no S3 access. Both ends live here: the writer
for ExtractMedia, the streaming reader for the model servers.
"""

import io
import tarfile
from collections.abc import Iterator
from typing import Annotated, BinaryIO, NamedTuple

from pydantic import Field, ValidationError

from screener.errors import InvalidBundle
from screener.model import Message
from screener.sampling import Sampling

CONTENT_TYPE = "application/x-tar"
MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MAX_FRAME_BYTES = 64 * 1024 * 1024


class FrameEntry(Message):
    """One stored frame. Times are on the video's timeline, where 0 is what a player shows first."""

    index: Annotated[int, Field(ge=0)]
    """Position among the kept frames of this bundle, from 0."""
    name: Annotated[str, Field(pattern=r"^frame_[0-9]{6,}\.jpg$")]
    pts: int
    """The source frame's presentation time, in `FrameBundleManifest.time_base` units."""
    timestamp_ms: Annotated[int, Field(ge=0)]
    span_start_ms: Annotated[int, Field(ge=0)]
    span_end_ms: Annotated[int, Field(ge=0)]
    """[span_start_ms, span_end_ms): the part of the video that this frame stands for."""


class FrameBundleManifest(Message):
    """First member of a bundle."""

    format: Annotated[int, Field(ge=1, le=1)] = 1
    video_id: str
    sampling_id: str
    sampling: Sampling
    chunk: Annotated[int, Field(ge=0)]
    time_base: Annotated[str, Field(pattern=r"^[0-9]+/[0-9]+$")]
    """Seconds per pts unit, an exact fraction such as "1/15360"."""
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    """Size of the stored frames in pixels, rotation applied."""
    frames: list[FrameEntry]


class Frame(NamedTuple):
    """A frame as the reader yields it."""

    entry: FrameEntry
    jpeg: bytes


def write_bundle(target: BinaryIO, manifest: FrameBundleManifest, jpegs: Iterator[bytes]) -> int:
    """Write a bundle; `jpegs` yields one image per `manifest.frames` entry, in order.

    Returns:
        The number of bytes written.

    Raises:
        InvalidBundle: `jpegs` yields fewer or more images than the manifest names.
    """
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        _add(tar, MANIFEST_NAME, manifest.model_dump_json().encode())
        remaining = iter(jpegs)
        for entry in manifest.frames:
            jpeg = next(remaining, None)
            if jpeg is None:
                raise InvalidBundle(f"no image for {entry.name}: the manifest names more frames")
            _add(tar, entry.name, jpeg)
        if next(remaining, None) is not None:
            raise InvalidBundle("more images than the manifest names")
        return tar.offset + 2 * tarfile.BLOCKSIZE


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


END = bytes(2 * tarfile.BLOCKSIZE)
"""What closes a bundle that was put together from `member`s."""


def frame_name(index: int) -> str:
    """Name of the bundle's frame number `index`."""
    return f"frame_{index:06d}.jpg"


def member(name: str, data: bytes) -> bytes:
    """One tar member, header and padding included.

    For a writer that learns the manifest last: members can be made one by one, and the
    manifest's put in front of them.
    """
    info = tarfile.TarInfo(name)
    info.size = len(data)
    padding = -len(data) % tarfile.BLOCKSIZE
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(padding)


class BundleReader:
    """Reads a bundle as a stream: memory holds one frame at a time.

    Args:
        source: a readable, not necessarily seekable, binary stream.

    Raises:
        InvalidBundle: from the constructor when the manifest is missing or wrong, from the
            iteration when a member is not exactly the next frame that the manifest names.
    """

    def __init__(self, source: BinaryIO) -> None:
        try:
            self._tar = tarfile.open(fileobj=source, mode="r|")  # noqa: SIM115 - a stream, not a file of ours
            first = self._tar.next()
            if first is None or first.name != MANIFEST_NAME:
                raise InvalidBundle(f"first member must be {MANIFEST_NAME}")
            self.manifest = FrameBundleManifest.model_validate_json(
                self._read(first, MAX_MANIFEST_BYTES)
            )
        except (tarfile.TarError, EOFError) as cause:
            raise InvalidBundle(f"not a readable tar: {cause}") from cause
        except ValidationError as cause:
            raise InvalidBundle(f"{MANIFEST_NAME} is wrong: {cause}") from cause

    def __iter__(self) -> Iterator[Frame]:
        for entry in self.manifest.frames:
            try:
                member = self._tar.next()
                if member is None or member.name != entry.name:
                    found = "the end" if member is None else repr(member.name[:100])
                    raise InvalidBundle(f"expected {entry.name}, found {found}")
                jpeg = self._read(member, MAX_FRAME_BYTES)
            except (tarfile.TarError, EOFError) as cause:
                raise InvalidBundle(f"cut off before {entry.name}: {cause}") from cause
            yield Frame(entry, jpeg)

    def _read(self, member: tarfile.TarInfo, limit: int) -> bytes:
        if not member.isreg() or member.size > limit:
            raise InvalidBundle(
                f"{member.name[:100]!r} is not a plain file of at most {limit} bytes"
            )
        file = self._tar.extractfile(member)
        data = file.read() if file else b""
        if len(data) != member.size:
            raise InvalidBundle(f"{member.name[:100]!r} is cut off")
        return data
