import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener import storage


@pytest.mark.parametrize(
    ("video", "document"),
    [
        ("uploads/a/b.mp4", "uploads/a/b.moderation.json"),
        ("b.MP4", "b.moderation.json"),
        ("a//b.mp4", "a//b.moderation.json"),
        ("a.b/c", "a.b/c.moderation.json"),
        ("a/.mp4", "a/.mp4.moderation.json"),
        ("a/b.tar.mp4", "a/b.tar.moderation.json"),
        ("ünï/видео 1.mov", "ünï/видео 1.moderation.json"),
    ],
)
def test_document_lies_beside_its_video(video, document):
    assert storage.document_key(video) == document


@given(st.text(min_size=1, max_size=300))
def test_document_stays_in_the_folder_of_its_video(key):
    document = storage.document_key(key)
    assert document.rpartition("/")[0] == key.rpartition("/")[0]
    assert document.endswith(storage.DOCUMENT_SUFFIX)


def test_videos_that_differ_by_suffix_have_different_qualified_names():
    assert storage.qualified_document_key("a/b.mp4") != storage.qualified_document_key("a/b.mov")


def test_work_keys_are_ascii():
    key = storage.observation_key("f" * 32, "faces", "0" * 16, 7)
    assert key.isascii()
    assert key.endswith("/0007.json")


def test_s3_location_survives_the_way_to_a_uri_and_back():
    location = storage.S3Location("bucket", "a//b c/é?.mp4")
    assert storage.S3Location.parse(location.uri) == location


@pytest.mark.parametrize("uri", ["", "s3://", "s3://bucket", "s3:///key", "https://bucket/key"])
def test_anything_but_an_s3_uri_is_refused(uri):
    with pytest.raises(ValueError, match="not an S3 URI"):
        storage.S3Location.parse(uri)
