"""Names, events and archives made by somebody who wants something else than a screening."""

import io
import json
import tarfile
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.start_screening.intake import parse_event
from screener import identity, storage
from screener.bundles import MANIFEST_NAME, BundleReader, FrameBundleManifest, FrameEntry
from screener.errors import InvalidBundle, InvalidEvent
from screener.messages import InvocationAttributes, ScreeningRequest
from screener.observations import Analyzer
from screener.sampling import Sampling
from tests.faults.events import object_created

MEDIA_BUCKET = "media-bucket"
UPLOAD = {"bucket": MEDIA_BUCKET, "key": "uploads/a.mp4", "version_id": "v1", "etag": "e1"}
HOSTILE_KEYS = [
    "uploads/../config/policy.yaml.mp4",
    "../../work-bucket/config/policy.yaml.mp4",
    "/etc/passwd.mp4",
    "uploads/a.mp4\nuploads/b.mp4",
    "uploads/\x1b]0;owned\x07.mp4",
    "uploads/<script>alert(1)</script>.mp4",
    "uploads/=HYPERLINK(1).mp4",
    "uploads/s3://other/config/policy.yaml.mp4",
    "uploads/%2e%2e%2fconfig.mp4",
    "uploads/\u202e4pm.exe.mp4",
    "uploads/" + "a" * 1_000 + ".mp4",
]
any_key = st.text(min_size=1, max_size=200) | st.sampled_from(HOSTILE_KEYS)


@given(any_key, st.text(max_size=40))
def test_no_key_reaches_the_names_of_the_work_bucket_or_of_aws(key: str, version: str) -> None:
    video = identity.video_id(MEDIA_BUCKET, key, version)
    names = [
        storage.frames_key(video, "5" * 16, 0),
        storage.audio_key(video, "5" * 16, 0),
        storage.extraction_key(video, "5" * 16, 0),
        storage.observation_key(video, Analyzer.FACES, "a" * 16, 0),
    ]
    for name in names:
        assert name.isascii()
        assert name.isprintable()
        assert ".." not in PurePosixPath(name).parts
        assert name.split("/")[0] in ("media", "observations")
        assert name.split("/")[1] == video
    execution = identity.execution_name(MEDIA_BUCKET, key, version, None, None)
    assert len(execution) <= identity.EXECUTION_NAME_LIMIT
    assert set(execution) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@given(any_key)
def test_a_document_lies_beside_its_video_and_is_no_video_itself(key: str) -> None:
    for document in (storage.document_key(key), storage.qualified_document_key(key)):
        assert document != key
        assert document.rpartition("/")[0] == key.rpartition("/")[0]
        event = object_created({**UPLOAD, "key": document})
        with pytest.raises(InvalidEvent, match="a document of ours"):
            parse_event(event, MEDIA_BUCKET)


@given(any_key, any_key)
def test_different_objects_never_share_a_name(one: str, other: str) -> None:
    assert (identity.video_id("a", one, "1") == identity.video_id("a", other, "1")) == (
        one == other
    )
    # A bucket's end is not a key's beginning.
    assert identity.video_id("ab", "c", "1") != identity.video_id("a", "bc", "1")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "not an S3 event"),
        ("null", "not an S3 event"),
        ("[" * 5_000, "not an S3 event"),
        ('{"source": "aws.s3"}', "not an S3 event"),
        (object_created({**UPLOAD, "bucket": "somebody-elses"}), "not this stack's media bucket"),
        (object_created({**UPLOAD, "bucket": "media-bucket.evil"}), "not this stack's"),
        (object_created({**UPLOAD, "bucket": "MEDIA-BUCKET"}), "not this stack's"),
        (object_created(UPLOAD, source="my.app"), "not an S3 upload"),
        (object_created(UPLOAD, source="aws.s3.evil"), "not an S3 upload"),
        (object_created(UPLOAD, **{"detail-type": "Object Deleted"}), "not an S3 upload"),
        (object_created({**UPLOAD, "key": ""}), "uploads|key|''"),
        (object_created({**UPLOAD, "key": "k" * 1_025}), "1024 characters"),
        (object_created({**UPLOAD, "key": ["a.mp4"]}), "not an S3 event"),
        (object_created({**UPLOAD, "key": 7}), "not an S3 event"),
        (object_created({"bucket": MEDIA_BUCKET, "key": "uploads/a.mp4"}), "neither a version"),
    ],
)
def test_a_forged_event_is_refused_with_its_reason(body: str, reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason):
        parse_event(body, MEDIA_BUCKET)


def test_an_event_cannot_choose_how_its_video_is_sampled_or_slip_fields_in() -> None:
    detail = json.loads(object_created(UPLOAD))
    detail["detail"]["object"]["sampling"] = {"frames_per_second": 0.0001}
    detail["sampling"] = {"frames_per_second": 0.0001}
    assert parse_event(json.dumps(detail), MEDIA_BUCKET).sampling is None
    with pytest.raises(ValidationError, match="policy"):
        ScreeningRequest.model_validate({**UPLOAD, "policy": "none"})


@pytest.mark.parametrize("bucket", ["a/b", "../x", "UPPER", "a", "arn:aws:s3:::other", "a b", ""])
def test_an_input_by_hand_cannot_name_something_else_than_a_bucket(bucket: str) -> None:
    with pytest.raises(ValidationError, match="bucket"):
        ScreeningRequest(bucket=bucket, key="a.mp4")


def test_a_poll_reads_only_where_the_endpoint_said() -> None:
    for location in ("https://evil/x", "s3://", "s3:///key", "file:///etc/passwd", "s3://bucket/"):
        with pytest.raises(ValueError, match="not an S3 URI"):
            storage.S3Location.parse(location)


def test_parameters_of_a_request_fit_their_header_whatever_the_video_is_called() -> None:
    text = InvocationAttributes(video_id="f" * 32, chunk=39, start_ms=10**9, language="eng")
    assert text.model_dump_json().isascii()
    assert len(text.model_dump_json()) < 1_024
    for language in ("e\r\nX-Evil: 1", "english language", "../en"):
        with pytest.raises(ValidationError, match="language"):
            InvocationAttributes(video_id="f" * 32, chunk=0, language=language)


def manifest(names: list[str]) -> bytes:
    frames = [
        FrameEntry(
            index=number, name=name, pts=0, timestamp_ms=0, span_start_ms=0, span_end_ms=1_000
        )
        for number, name in enumerate(names)
    ]
    return (
        FrameBundleManifest(
            video_id="v", sampling_id="s", sampling=Sampling(), chunk=0, time_base="1/1000",
            width=64, height=64, frames=frames,
        )
        .model_dump_json()
        .encode()
    )  # fmt: skip


def member(name: str, data: bytes = b"jpeg", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


FRAME = "frame_000000.jpg"
TRICKS = {
    "a path upwards": member("../frame_000000.jpg"),
    "an absolute path": member("/tmp/frame_000000.jpg"),  # noqa: S108 - never written
    "a symbolic link": member(FRAME, b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": member(FRAME, b"", type=tarfile.LNKTYPE, linkname=MANIFEST_NAME),
    "a device": member(FRAME, b"", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
    "a pipe": member(FRAME, b"", type=tarfile.FIFOTYPE),
    "a folder": member(FRAME, b"", type=tarfile.DIRTYPE),
    "another frame": member("frame_000001.jpg"),
    "a second manifest": member(MANIFEST_NAME),
    "a name with an escape": member("frame_\x1b[2J.jpg"),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_bundle_with_a_trick_in_it_is_refused(trick: str) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for info, data in (member(MANIFEST_NAME, manifest([FRAME])), TRICKS[trick]):
            tar.addfile(info, io.BytesIO(data))
    target.seek(0)
    with pytest.raises(InvalidBundle) as caught:
        list(BundleReader(target))
    assert str(caught.value).isprintable()


def test_a_bundle_that_claims_a_gigantic_frame_is_refused_before_it_is_read() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        info, data = member(MANIFEST_NAME, manifest([FRAME]))
        tar.addfile(info, io.BytesIO(data))
        huge, _ = member(FRAME)
        huge.size = 2**40
        target.write(huge.tobuf())
        target.write(b"\0" * 1024)
        target.seek(0)
        with pytest.raises(InvalidBundle, match="at most"):
            list(BundleReader(target))


@pytest.mark.parametrize("name", ["../x.jpg", "frame_1.jpg", "frame_000000.jpg/../x", "x"])
def test_a_manifest_cannot_name_files_of_its_own(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        manifest([name])
