import pytest

from functions.validate_video.validate import VideoLimits, validate
from screener import identity
from screener.errors import InvalidVideo, RefusalCode, VideoUnavailable
from screener.media import MediaLimits
from screener.messages import ScreeningRequest, ValidationTask
from screener.sampling import Sampling
from tests.aws_stand_in import MEDIA_BUCKET, stand_in
from tests.media_clips import Sound, steady, tone, write_clip

KEY = "uploads/na\u00efve \u540d (1) & 'x'.mp4"
LIMITS = VideoLimits(
    max_bytes=10_000_000, max_seconds=60, range_seconds=2, media=MediaLimits(wall_seconds=60)
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return write_clip(path, steady(125), sounds=[Sound(tone(5.0))]).read_bytes()


@pytest.fixture
def aws():
    with stand_in() as account:
        yield account


def run(
    aws, body=None, *, limits=LIMITS, by_prefix=None, sampling=None, execution="one", **request
):
    if body is not None:
        aws.s3.put_object(Bucket=MEDIA_BUCKET, Key=KEY, Body=body)
    task = ValidationTask(
        request=ScreeningRequest(bucket=MEDIA_BUCKET, key=KEY, sampling=sampling, **request),
        execution_arn=f"arn:aws:states:us-east-1:123456789012:execution:screening:{execution}",
    )
    return validate(task, aws.s3, Sampling(), by_prefix or {}, limits, "2026-11-01T00:00:00+00:00")


def refusal(aws, body, **options):
    with pytest.raises(InvalidVideo) as refused:
        run(aws, body, **options)
    return refused.value


def test_an_upload_becomes_a_job_that_names_the_object_version(aws, clip):
    job = run(aws, clip)
    head = aws.s3.head_object(Bucket=MEDIA_BUCKET, Key=KEY)
    assert job.video.etag == head["ETag"].strip('"')
    assert job.last_modified == head["LastModified"].isoformat()
    assert job.video.size_bytes == len(clip)
    assert abs(job.video.duration_ms - 5000) < 50
    assert (job.video.container, job.video.codecs) == ("mov", ["h264", "aac"])
    assert (job.video.width, job.video.height, job.video.frame_rate) == (160, 96, "25/1")
    assert job.video.has_audio
    assert job.video.other_audio_tracks == 0
    assert len(job.ranges) == 3


def test_audio_tracks_that_are_not_listened_to_are_counted(aws, tmp_path):
    sounds = [Sound(tone(1.0), language=language) for language in ("eng", "ger", "fre")]
    clip = write_clip(tmp_path / "clip.mkv", steady(30), sounds=sounds)
    assert run(aws, clip.read_bytes()).video.other_audio_tracks == 2


def test_a_small_video_is_looked_at_and_into_with_one_request(aws, clip):
    aws.s3.put_object(Bucket=MEDIA_BUCKET, Key=KEY, Body=clip)
    seen = []
    aws.s3.meta.events.register("before-call.s3", lambda model, **_: seen.append(model.name))
    run(aws)
    assert seen == ["GetObject"]


def test_a_versioned_bucket_pins_the_version_that_was_current(aws, clip):
    aws.s3.put_bucket_versioning(Bucket=MEDIA_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    first = aws.s3.put_object(Bucket=MEDIA_BUCKET, Key=KEY, Body=clip)["VersionId"]
    second = aws.s3.put_object(Bucket=MEDIA_BUCKET, Key=KEY, Body=b"replaced")["VersionId"]
    assert run(aws, version_id=first).video.version_id == first
    assert refusal(aws, None, version_id=second).code == RefusalCode.NOT_A_VIDEO


def test_only_the_execution_that_a_versions_upload_starts_is_its_first_run(aws, clip):
    aws.s3.put_bucket_versioning(Bucket=MEDIA_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    version = aws.s3.put_object(Bucket=MEDIA_BUCKET, Key=KEY, Body=clip)["VersionId"]
    own = identity.execution_name(MEDIA_BUCKET, KEY, version, None, None)
    assert run(aws, version_id=version, execution=own).is_first_run
    assert not run(aws, version_id=version, execution=f"{own}-r1764241200").is_first_run
    assert not run(aws, execution=own).is_first_run


def test_without_versions_no_run_is_known_to_be_the_first(aws, clip):
    etag = aws.s3.put_object(Bucket=MEDIA_BUCKET, Key=KEY, Body=clip)["ETag"].strip('"')
    own = identity.execution_name(MEDIA_BUCKET, KEY, None, etag, "0A")
    assert not run(aws, etag=etag, sequencer="0A", execution=own).is_first_run


def test_an_object_called_null_has_no_version_and_is_told_by_content_and_time(aws, clip):
    first = run(aws, clip, version_id="null")
    again = run(aws, version_id="null")
    assert first.video.version_id is None
    assert again.video_id == first.video_id
    assert run(aws, clip + b"more", version_id="null").video_id != first.video_id


def test_sampling_comes_from_the_request_then_the_longest_prefix_then_the_stack(aws, clip):
    prefixes = {
        "uploads/": Sampling(frames_per_second=2),
        "uploads/na": Sampling(frames_per_second=3),
        "other/": Sampling(frames_per_second=4),
    }
    assert run(aws, clip).sampling == Sampling()
    assert run(aws, by_prefix=prefixes).sampling.frames_per_second == 3
    wanted = Sampling(frames_per_second=5)
    job = run(aws, by_prefix=prefixes, sampling=wanted)
    assert (job.sampling, job.sampling_id) == (wanted, wanted.sampling_id)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", RefusalCode.EMPTY_FILE),
        (b"This is not a video.\n" * 50, RefusalCode.NOT_A_VIDEO),
        (b"#EXTM3U\nfile:///etc/hostname\n", RefusalCode.UNSAFE_REFERENCE),
    ],
)
def test_what_is_no_video_is_refused_by_name(aws, body, code):
    assert refusal(aws, body).code == code


def test_a_video_cut_off_before_its_index_is_truncated(aws, clip):
    assert refusal(aws, clip[: len(clip) * 6 // 10]).code == RefusalCode.TRUNCATED


def test_the_stacks_limits_are_named_in_the_refusal(aws, clip):
    small = VideoLimits(max_bytes=100, max_seconds=60, range_seconds=2, media=LIMITS.media)
    refused = refusal(aws, clip, limits=small)
    assert (refused.code, "MAX_VIDEO_BYTES" in refused.detail) == (RefusalCode.TOO_LARGE, True)
    short = VideoLimits(max_bytes=10**9, max_seconds=4, range_seconds=2, media=LIMITS.media)
    refused = refusal(aws, clip, limits=short)
    assert (refused.code, "MAX_VIDEO_SECONDS" in refused.detail) == (RefusalCode.TOO_LONG, True)


def test_an_object_that_is_gone_or_was_replaced_is_unavailable(aws, clip):
    with pytest.raises(VideoUnavailable, match="is gone"):
        run(aws)
    etag = aws.s3.put_object(Bucket=MEDIA_BUCKET, Key=KEY, Body=clip)["ETag"].strip('"')
    assert run(aws, etag=etag).video.etag == etag
    with pytest.raises(VideoUnavailable, match="was replaced"):
        run(aws, clip + b"more", etag=etag)
