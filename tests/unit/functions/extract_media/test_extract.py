import io

import av
import pytest

from functions.extract_media.extract import extract_range
from functions.validate_video.ranges import plan_ranges
from functions.validate_video.validate import VideoLimits, validate
from screener.bundles import BundleReader
from screener.errors import InvalidVideo, RefusalCode, VideoUnavailable
from screener.media import MediaLimits
from screener.messages import ExecutionContext, ExtractionTask, ScreeningRequest, ValidationTask
from screener.sampling import Sampling
from screener.storage import media_prefix
from tests.aws_stand_in import MEDIA_BUCKET, WORK_BUCKET, stand_in
from tests.media_clips import Sound, read_number, steady, tone, write_clip

FIRST = ExecutionContext(Id="arn")
KEY = "uploads/a.mp4"
MEDIA = MediaLimits(wall_seconds=60)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return write_clip(path, steady(150), sounds=[Sound(tone(6.0))]).read_bytes()


@pytest.fixture
def aws():
    with stand_in() as account:
        yield account


def job_for(aws, body, *, range_seconds=900):
    aws.s3.put_object(Bucket=MEDIA_BUCKET, Key=KEY, Body=body)
    task = ValidationTask(
        request=ScreeningRequest(bucket=MEDIA_BUCKET, key=KEY), execution_arn="arn"
    )
    limits = VideoLimits(10**9, 3600, range_seconds, MEDIA)
    return validate(task, aws.s3, Sampling(), {}, limits, "2026-11-01T00:00:00+00:00")


def run(aws, job, chunk=0, execution=FIRST):
    task = ExtractionTask(job=job, range=job.ranges[chunk], execution=execution)
    return extract_range(task, aws.s3, WORK_BUCKET, MEDIA, threads=2)


def stored(aws, key):
    return aws.s3.get_object(Bucket=WORK_BUCKET, Key=key)["Body"].read()


def keys(aws):
    listing = aws.s3.list_objects_v2(Bucket=WORK_BUCKET)
    return [entry["Key"] for entry in listing.get("Contents", [])]


def test_a_range_leaves_a_bundle_a_sound_file_and_a_manifest(aws, clip):
    job = job_for(aws, clip)
    extracted = run(aws, job)
    bundle = BundleReader(io.BytesIO(stored(aws, extracted.frames_key)))
    frames = list(bundle)
    assert (bundle.manifest.video_id, bundle.manifest.sampling_id, bundle.manifest.chunk) == (
        job.video_id,
        job.sampling_id,
        0,
    )
    assert [read_number(frame.jpeg) for frame in frames] == [0, 25, 50, 75, 100, 125]
    assert extracted.frame_count == 6
    assert extracted.losses == {}
    with av.open(io.BytesIO(stored(aws, extracted.audio_key))) as sound:
        stream = sound.streams.audio[0]
        assert (stream.codec_context.name, stream.rate, stream.channels) == ("flac", 16_000, 1)
        # The header, corrected at the end, knows the length.
        assert abs(sound.duration / 1000 - extracted.audio_duration_ms) < 2
    prefix = media_prefix(job.video_id, job.sampling_id)
    assert keys(aws) == [
        f"{prefix}{name}" for name in ("audio-0000.flac", "frames-0000.tar", "manifest-0000.json")
    ]


def test_what_was_extracted_before_is_found_and_not_touched(aws, clip):
    job = job_for(aws, clip)
    first = run(aws, job)
    # Nothing can be read from the video any more, so nothing can be done again.
    aws.s3.delete_object(Bucket=MEDIA_BUCKET, Key=KEY)
    assert run(aws, job) == first.model_copy(update={"reused": True})


def test_the_first_run_of_a_version_does_not_look_for_what_nobody_can_have_extracted(aws, clip):
    job = job_for(aws, clip).model_copy(update={"is_first_run": True})
    seen = aws.asked_of(WORK_BUCKET)
    first = run(aws, job)
    assert seen == ["PutObject"] * 3
    # Redriven, it finds what it had finished.
    redriven = ExecutionContext(Id="arn", RedriveCount=1)
    assert run(aws, job, execution=redriven) == first.model_copy(update={"reused": True})


def test_a_manifest_whose_media_expired_counts_for_nothing(aws, clip):
    job = job_for(aws, clip)
    first = run(aws, job)
    aws.s3.delete_object(Bucket=WORK_BUCKET, Key=first.frames_key)
    assert run(aws, job) == first
    assert first.frames_key in keys(aws)


def test_ranges_together_hold_every_frame(aws, clip):
    job = job_for(aws, clip, range_seconds=2)
    assert len(job.ranges) == len(plan_ranges(job.video.duration_ms, 2, seekable=True)) >= 3
    numbers = []
    for chunk in range(len(job.ranges)):
        extracted = run(aws, job, chunk)
        if extracted.frames_key:
            bundle = BundleReader(io.BytesIO(stored(aws, extracted.frames_key)))
            numbers += [read_number(frame.jpeg) for frame in bundle]
    assert numbers == [0, 25, 50, 75, 100, 125]


def test_pictures_that_validation_could_only_count_are_all_extracted(aws, tmp_path):
    # In a program stream several small pictures share one time.
    body = write_clip(tmp_path / "clip.mpg", steady(250)).read_bytes()
    job = job_for(aws, body)
    extracted = run(aws, job)
    assert (len(job.ranges), extracted.frame_count, extracted.losses) == (1, 10, {})


@pytest.mark.parametrize(("sounds", "reason"), [([], "no audio"), ([tone(6.0) * 0], "silent")])
def test_no_sound_worth_transcribing_is_said_and_not_stored(aws, sounds, reason, tmp_path):
    path = write_clip(tmp_path / "a.mp4", steady(50), sounds=[Sound(s) for s in sounds])
    extracted = run(aws, job_for(aws, path.read_bytes()))
    assert (extracted.audio_key, extracted.audio_skipped) == (None, reason)
    assert not [key for key in keys(aws) if "audio" in key]


def test_a_video_replaced_after_validation_is_unavailable(aws, clip):
    job = job_for(aws, clip)
    aws.s3.put_object(Bucket=MEDIA_BUCKET, Key=KEY, Body=clip + b"x")
    with pytest.raises(VideoUnavailable):
        run(aws, job)
    assert keys(aws) == []


def test_a_limit_reached_halfway_leaves_nothing_behind(aws, clip, monkeypatch):
    monkeypatch.setattr("screener.media.sandbox.MAX_BUNDLE_BYTES", 4_000)
    job = job_for(aws, clip)
    with pytest.raises(InvalidVideo, match="sample fewer or smaller frames") as refused:
        run(aws, job)
    assert refused.value.code == RefusalCode.RESOURCE_LIMIT
    assert keys(aws) == []
    assert aws.s3.list_multipart_uploads(Bucket=WORK_BUCKET).get("Uploads", []) == []


def test_damage_is_counted_not_hidden(aws, clip):
    damaged = bytearray(clip)
    # The second half of the media data, far from the index at the end.
    start = damaged.find(b"mdat") + 4
    end = damaged.rfind(b"moov") - 8
    for offset in range(start + (end - start) // 2, end, 97):
        damaged[offset] ^= 0xFF
    extracted = run(aws, job_for(aws, bytes(damaged)))
    assert extracted.frame_count > 0
    assert extracted.losses
    assert all(count > 0 for count in extracted.losses.values())
