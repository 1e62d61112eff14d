"""Messages that the tests of several functions start from."""

from types import SimpleNamespace

from screener import identity
from screener.messages import ExtractedRange, ScreeningJob, TimeRange, VideoDescription
from screener.sampling import Sampling

CONTEXT = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=128,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:f",
    aws_request_id="r",
)
"""As Lambda gives it to a handler."""
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:screening:one"


def job(ranges: int = 1) -> ScreeningJob:
    video = VideoDescription(
        bucket="media-bucket",
        key="uploads/a.mp4",
        version_id="v1",
        etag="e1",
        size_bytes=1000,
        duration_ms=10_000 * ranges,
        container="mov,mp4,m4a,3gp,3g2,mj2",
        codecs=["h264", "aac"],
        width=640,
        height=480,
        frame_rate="24/1",
        has_audio=True,
    )
    sampling = Sampling()
    return ScreeningJob(
        video_id=identity.video_id(video.bucket, video.key, "v1"),
        video=video,
        last_modified="2026-11-01T00:00:00+00:00",
        sampling=sampling,
        sampling_id=sampling.sampling_id,
        ranges=[
            TimeRange(
                chunk=chunk,
                start_ms=chunk * 10_000,
                end_ms=None if chunk == ranges - 1 else (chunk + 1) * 10_000,
            )
            for chunk in range(ranges)
        ],
        execution_arn=EXECUTION,
        started_at="2026-11-01T00:00:01+00:00",
    )


def extracted(chunk: int = 0, *, frames: bool = True, silent: str | None = None) -> ExtractedRange:
    return ExtractedRange(
        chunk=chunk,
        frames_key=f"media/x/frames-{chunk:04d}.tar" if frames else None,
        frame_count=10 if frames else 0,
        audio_key=None if silent else f"media/x/audio-{chunk:04d}.flac",
        audio_skipped=silent,
        audio_start_ms=chunk * 10_000,
        audio_duration_ms=0 if silent else 10_000,
    )
