import threading

import boto3
import numpy as np
import pytest
from moto import mock_aws

from screener.errors import VideoUnavailable
from screener.media.s3 import S3Sink, S3Source
from screener.media.sink import PART_BYTES

BUCKET = "bucket"


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.Session("testing", "testing", region_name="us-east-1").client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


def noise(size):
    return np.random.default_rng(size).bytes(size)


def source_of(s3, body, key="video.mp4", **options):
    etag = s3.put_object(Bucket=BUCKET, Key=key, Body=body)["ETag"].strip('"')
    options = {"block_bytes": 1000} | options
    return S3Source(s3, BUCKET, key, size_bytes=len(body), etag=etag, version_id=None, **options)


def test_reads_at_any_place_are_those_of_the_object(s3, monkeypatch):
    monkeypatch.setattr(S3Source, "CACHED_BLOCKS", 3)
    body = noise(25_500)
    rng = np.random.default_rng(1)
    with source_of(s3, body) as source:
        for _ in range(200):
            offset, length = int(rng.integers(0, 26_000)), int(rng.integers(0, 4_000))
            assert source.read_at(offset, length) == body[offset : offset + length]


def test_reading_from_front_to_back_asks_for_each_block_once(s3):
    body = noise(20_000)
    with source_of(s3, body) as source:
        read = b"".join(source.read_at(offset, 300) for offset in range(0, 20_000, 300))
    assert read == body
    assert source.requests == 20


def test_an_end_and_a_beginning_need_two_requests(s3):
    with source_of(s3, noise(100_000)) as source:
        source.read_at(0, 500)
        source.read_at(99_500, 500)
    assert source.requests == 2


def test_a_beginning_that_is_known_is_not_asked_for_again(s3):
    body = noise(5_000)
    with source_of(s3, body, first_block=body[:1000], read_ahead=0) as source:
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


@pytest.mark.parametrize("size", [0, 10, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 17])
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
    body = noise(2 * PART_BYTES)
    sink = S3Sink(s3, BUCKET, "out", "audio/flac")
    sink.append(body)
    sink.patch(4, b"corrected")
    with pytest.raises(ValueError, match="not kept open"):
        sink.patch(PART_BYTES - 2, b"too late")
    sink.finish()
    assert stored(s3) == body[:4] + b"corrected" + body[13:]


def test_an_aborted_output_leaves_nothing_behind(s3):
    sink = S3Sink(s3, BUCKET, "out", "audio/flac")
    sink.append(noise(3 * PART_BYTES))
    sink.abort()
    assert s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    assert not [t for t in threading.enumerate() if t.name.startswith("s3-write")]
