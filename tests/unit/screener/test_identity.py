from hypothesis import given
from hypothesis import strategies as st

from screener import identity

texts = st.text(max_size=200)


def test_same_object_version_has_the_same_video_id():
    assert identity.video_id("b-1", "a/é.mp4", "v1") == identity.video_id("b-1", "a/é.mp4", "v1")


@given(st.lists(texts, min_size=2, max_size=2), st.lists(texts, min_size=2, max_size=2))
def test_digests_of_different_parts_differ(one, other):
    same = identity.digest_of(one, 32) == identity.digest_of(other, 32)
    assert same == (one == other)


def test_parts_are_not_confused_with_their_concatenation():
    assert identity.digest_of(["ab", "c"], 32) != identity.digest_of(["a", "bc"], 32)


@given(key=st.text(min_size=1, max_size=1024), version=texts)
def test_execution_names_are_accepted_by_step_functions_whatever_the_key(key, version):
    name = identity.execution_name("bucket", key, version, None, None)
    assert len(name) <= identity.EXECUTION_NAME_LIMIT
    assert name.isascii()
    assert all(char.isalnum() or char in "-_" for char in name)


def test_execution_name_shows_the_video_and_differs_by_version():
    first = identity.execution_name("bucket", "uploads/my holiday.mp4", "v1", None, None)
    second = identity.execution_name("bucket", "uploads/my holiday.mp4", "v2", None, None)
    assert first.startswith("my-holiday-")
    assert first != second


def test_two_contents_that_share_an_etag_are_two_versions():
    first = identity.content_version(None, "d41d8c", "2026-11-01T00:00:00+00:00")
    assert first != identity.content_version(None, "d41d8c", "2026-11-01T00:00:01+00:00")
    assert identity.content_version("v1", "d41d8c", "2026-11-01T00:00:00+00:00") == "v1"


def test_inference_id_is_as_long_as_sagemaker_allows_and_differs_by_redrive():
    first = identity.inference_id("observations/x/faces/y/0000.json", 0)
    again = identity.inference_id("observations/x/faces/y/0000.json", 1)
    assert len(first) == identity.INFERENCE_ID_LIMIT
    assert first != again


def test_packs_digest_does_not_depend_on_the_order_of_packs():
    packs = [("detector", "aa"), ("classifier", "bb")]
    assert identity.packs_digest(packs) == identity.packs_digest(reversed(packs))


def test_a_pack_in_another_role_is_another_identity():
    assert identity.packs_digest([("detector", "aa")]) != identity.packs_digest([("clip", "aa")])
