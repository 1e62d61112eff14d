import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.bundles import BundleReader, FrameBundleManifest, FrameEntry, write_bundle
from screener.errors import InvalidBundle
from screener.sampling import Sampling


def manifest(count: int) -> FrameBundleManifest:
    return FrameBundleManifest(
        video_id="0" * 32,
        sampling_id="1" * 16,
        sampling=Sampling(),
        chunk=0,
        time_base="1/1000",
        width=64,
        height=48,
        frames=[
            FrameEntry(
                index=index,
                name=f"frame_{index:06d}.jpg",
                pts=index * 1000,
                timestamp_ms=index * 1000,
                span_start_ms=index * 1000,
                span_end_ms=index * 1000 + 1000,
            )
            for index in range(count)
        ],
    )


def bundle(images: list[bytes]) -> bytes:
    target = io.BytesIO()
    write_bundle(target, manifest(len(images)), iter(images))
    return target.getvalue()


class OneWayStream(io.RawIOBase):
    """A stream that cannot seek and gives few bytes at a time, as a request body does."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        chunk = self._data.read(min(len(buffer), 700))
        buffer[: len(chunk)] = chunk
        return len(chunk)


@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=6))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_back_from_a_stream(images):
    reader = BundleReader(io.BufferedReader(OneWayStream(bundle(images))))
    frames = list(reader)
    assert [frame.jpeg for frame in frames] == images
    assert [frame.entry for frame in frames] == reader.manifest.frames


def test_the_manifest_comes_first_and_the_rest_are_plain_images():
    with tarfile.open(fileobj=io.BytesIO(bundle([b"a", b"b"]))) as tar:
        assert tar.getnames() == ["manifest.json", "frame_000000.jpg", "frame_000001.jpg"]


@pytest.mark.parametrize("given_images", [1, 3])
def test_a_manifest_that_does_not_match_the_images_is_refused(given_images):
    with pytest.raises(InvalidBundle, match="more"):
        write_bundle(io.BytesIO(), manifest(2), iter([b"x"] * given_images))


@given(st.integers(min_value=0, max_value=4000))
@settings(max_examples=60, deadline=None)
def test_a_bundle_cut_off_anywhere_is_refused_or_complete(length):
    images = [b"a" * 600, b"b" * 900]
    data = bundle(images)[:length]
    try:
        frames = [frame.jpeg for frame in BundleReader(io.BytesIO(data))]
    except InvalidBundle:
        return
    assert frames == images


def hostile(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        data = manifest(1).model_dump_json().encode()
        first = tarfile.TarInfo("manifest.json")
        first.size = len(data)
        tar.addfile(first, io.BytesIO(data))
        second = tarfile.TarInfo(name)
        second.type = kind
        second.linkname = "/etc/passwd"
        tar.addfile(second)
    return target.getvalue()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../frame_000000.jpg", tarfile.REGTYPE),
        ("/etc/passwd", tarfile.REGTYPE),
        ("frame_000000.jpg", tarfile.SYMTYPE),
        ("frame_000000.jpg", tarfile.LNKTYPE),
        ("frame_000000.jpg", tarfile.FIFOTYPE),
        ("frame_000009.jpg", tarfile.REGTYPE),
    ],
)
def test_a_member_that_is_not_the_expected_plain_file_is_refused(name, kind):
    with pytest.raises(InvalidBundle):
        list(BundleReader(io.BytesIO(hostile(name, kind))))


@pytest.mark.parametrize("data", [b"", b"not a tar" * 200, b"\0" * 10240])
def test_something_else_than_a_bundle_is_refused(data):
    with pytest.raises(InvalidBundle):
        BundleReader(io.BytesIO(data))
