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


@given(st.text(min_size=1, max_size=10), st.integers(900, 1100))
def test_a_document_has_a_key_that_s3_takes_whatever_its_video_is_called(letters, length):
    data = f"uploads/{letters * length}".encode()[: storage.MAX_KEY_BYTES - len(".mp4")]
    stem = data.decode(errors="ignore")
    keys = [
        name(stem + suffix)
        for name in (storage.document_key, storage.qualified_document_key)
        for suffix in (".mp4", ".mov")
    ]
    for key in keys:
        assert len(key.encode()) <= storage.MAX_KEY_BYTES
        assert key.endswith(storage.DOCUMENT_SUFFIX)
        assert key.startswith("uploads/")
    assert keys[2] != keys[3]


def test_a_folder_that_leaves_no_room_for_a_document_is_cut_too():
    key = storage.document_key("a/" * 509 + "b.mp4")
    assert len(key.encode()) <= storage.MAX_KEY_BYTES
    assert key.endswith(storage.DOCUMENT_SUFFIX)
    assert key != storage.document_key("a/" * 509 + "c.mp4")


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
