import threading

import boto3
import numpy as np
import pytest
from botocore.exceptions import IncompleteReadError, ResponseStreamingError
from moto import mock_aws

from screener.errors import VideoUnavailable
from screener.media.s3 import S3Sink, S3Source
from screener.media.sink import HEAD_BYTES, PART_BYTES

BUCKET = "bucket"


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.Session("testing", "testing", region_name="us-east-1").client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


def noise(size):
    return np.random.default_rng(size).bytes(size)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(S3Source, "BLOCK_BYTES", 1000)


def source_of(s3, body, key="video.mp4", **options):
    etag = s3.put_object(Bucket=BUCKET, Key=key, Body=body)["ETag"].strip('"')
    return S3Source(s3, BUCKET, key, size_bytes=len(body), etag=etag, version_id=None, **options)


@pytest.mark.parametrize("streaming", [False, True])
def test_reads_at_any_place_are_those_of_the_object(s3, monkeypatch, streaming):
    monkeypatch.setattr(S3Source, "CACHED_BLOCKS", 3)
    body = noise(25_500)
    rng = np.random.default_rng(1)
    with source_of(s3, body, streaming=streaming) as source:
        for _ in range(200):
            offset, length = int(rng.integers(0, 26_000)), int(rng.integers(0, 4_000))
            assert source.read_at(offset, length) == body[offset : offset + length]


def read_through(source):
    return b"".join(source.read_at(offset, 300) for offset in range(0, source.size_bytes, 300))


def test_reading_from_front_to_back_asks_for_each_block_once(s3):
    body = noise(20_000)
    with source_of(s3, body) as source:
        assert read_through(source) == body
    assert source.requests == 20


def test_a_stream_is_one_request_from_front_to_back_and_one_for_an_index_at_the_end(s3):
    body = noise(20_000)
    with source_of(s3, body, streaming=True) as source:
        assert source.read_at(0, 100) == body[:100]
        assert source.read_at(18_500, 1_500) == body[18_500:]
        assert read_through(source) == body
    assert source.requests == 2


def test_a_stream_goes_on_at_each_of_the_places_that_a_demuxer_steps_between(s3):
    body = noise(40_000)
    with source_of(s3, body, streaming=True) as source:
        for step in range(0, 18_000, 600):
            for place in (step, 20_000 + step):
                assert source.read_at(place, 600) == body[place : place + 600]
    assert source.requests == 2


class BreakingStream:
    """A body whose connection ends after some bytes."""

    def __init__(self, stream, length):
        self._stream, self._left = stream, length

    def read(self, amount):
        if amount > self._left:
            self._stream.close()
            raise ResponseStreamingError(error="connection reset")
        self._left -= amount
        return self._stream.read(amount)

    def close(self):
        self._stream.close()


def breaking(s3, after):
    """Let every answer break after so many bytes."""

    def wrap(parsed, **_):
        if "Body" in parsed:
            parsed["Body"] = BreakingStream(parsed["Body"], after)

    s3.meta.events.register("after-call.s3.GetObject", wrap)


def test_a_stream_that_breaks_goes_on_where_it_broke(s3):
    body = noise(20_000)
    breaking(s3, after=7_500)
    with source_of(s3, body, streaming=True) as source:
        assert read_through(source) == body
    assert source.requests == 3


def test_a_network_that_gives_no_block_at_all_is_an_error_and_no_endless_loop(s3):
    breaking(s3, after=500)
    source = source_of(s3, noise(20_000), streaming=True)
    with source, pytest.raises(IncompleteReadError):
        source.read_at(0, 10)
    assert source.requests == S3Source.TRIES


def test_an_end_and_a_beginning_need_two_requests(s3):
    with source_of(s3, noise(100_000)) as source:
        source.read_at(0, 500)
        source.read_at(99_500, 500)
    assert source.requests == 2


def test_a_beginning_that_is_known_is_not_asked_for_again(s3):
    body = noise(5_000)
    with source_of(s3, body, first_block=body[:1000]) as source:
        assert source.read_at(0, 700) + source.read_at(700, 200) == body[:900]
        assert source.requests == 0
        assert source.read_at(900, 200) == body[900:1100]
    assert source.requests == 1


def test_an_object_replaced_between_two_reads_is_unavailable_not_a_mixture(s3):
    with source_of(s3, noise(5_000)) as source:
        source.read_at(0, 10)
        s3.put_object(Bucket=BUCKET, Key="video.mp4", Body=noise(6_000))
        with pytest.raises(VideoUnavailable, match="PreconditionFailed"):
            source.read_at(4_500, 10)


def test_a_deleted_object_is_unavailable(s3):
    source = source_of(s3, noise(5_000))
    s3.delete_object(Bucket=BUCKET, Key="video.mp4")
    with source, pytest.raises(VideoUnavailable, match="NoSuchKey"):
        source.read_at(0, 10)


def stored(s3, key="out"):
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


@pytest.mark.parametrize(
    "size", [0, 10, HEAD_BYTES, HEAD_BYTES + 1, HEAD_BYTES + 2 * PART_BYTES + 17]
)
def test_an_output_of_any_size_arrives_whole_behind_its_prefix(s3, size):
    body = noise(size)
    sink = S3Sink(s3, BUCKET, "out", "application/x-tar")
    for offset in range(0, size, 3_000_001):
        sink.append(body[offset : offset + 3_000_001])
    sink.finish(b"prefix")
    sink.abort()
    assert stored(s3) == b"prefix" + body
    assert s3.head_object(Bucket=BUCKET, Key="out")["ContentType"] == "application/x-tar"
    assert sink.written_bytes == size


def test_the_beginning_can_be_corrected_until_the_end(s3):
    body = noise(HEAD_BYTES + PART_BYTES)
    sink = S3Sink(s3, BUCKET, "out", "audio/flac")
    sink.append(body)
    sink.patch(4, b"corrected")
    with pytest.raises(ValueError, match="not kept open"):
        sink.patch(HEAD_BYTES - 2, b"too late")
    sink.finish()
    assert stored(s3) == body[:4] + b"corrected" + body[13:]


def test_an_aborted_output_leaves_nothing_behind(s3):
    sink = S3Sink(s3, BUCKET, "out", "audio/flac")
    sink.append(noise(HEAD_BYTES + 2 * PART_BYTES))
    sink.abort()
    assert s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    assert not [t for t in threading.enumerate() if t.name.startswith("s3-write")]
