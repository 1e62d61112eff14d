"""A 2-hour video through the local stack, with one and with two instances per endpoint.

    python -m bench.long_video [--hours 2] [--speed 4] [--real]

State machine, functions, decoders, queues and endpoints are the real ones. Two cores cannot show
eight GPUs, so the model servers are scripted: they take the GPU times that are published
(bench/simulation/assumptions.yaml) for each frame or second of their chunk, divided by `--speed`.
`--real` instead runs the installed models on one frame in ten seconds, once.

The video is synthetic: every picture carries its number, and somebody speaks every ten minutes.
After each run its frames, spans and sound are checked to be those of the whole, none lost or twice.
"""

import argparse
import io
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from bench.media_material import MEDIA
from bench.simulation import assumptions
from local.packs.places import Places
from screener import storage
from screener.bundles import BundleReader
from screener.document import AnalysisState, Document, DocumentStatus
from screener.media.extraction import AUDIO_OVERLAP_MS
from screener.model import Message
from screener.observations import (
    Analyzer,
    FacesObservations,
    ModerationObservations,
    ObjectsObservations,
)
from screener.sampling import Sampling
from tests.faults.scripted_stack import ScriptedStack, scripted_stack
from tests.media_clips import HEIGHT, WIDTH, draw, read_number
from tests.tiny_clips import tiny_clip

RATE = 5
"""Pictures a second. Their numbers have 16 bits: enough for three and a half hours."""
SOUND_RATE = 16_000
BLOCK = 1024
SPEECH = MEDIA / "speech" / "jfk_11s.flac"
SPEECH_EVERY_SECONDS = 600
SPEECH_AT_SECONDS = 300
"""Within every ten minutes; so every range of 15 has some."""
LIST_LIMIT = 40
PATIENCE_SECONDS = 3_600
REAL_FRAMES_PER_SECOND = 0.1


class LongRun(Message):
    """One screening of the long video."""

    ranges: int
    items: int
    frames: int
    extraction_seconds: float
    """Of the whole map over the ranges."""
    analysis_seconds: float
    """Of the whole map over the items."""
    wall_seconds: float
    transitions: int
    s3_requests: int
    peak_stack_mb: float
    """Of the stack's own process: emulators, interpreter, queues, and what S3 holds."""
    peak_others_mb: float
    """Of its functions, decoders and model servers together; shared pages are shared out."""
    document_mb: float


def write_video(target: Path, hours: float) -> Path:
    """A synthetic video: H.264 of 160x96 at 5 pictures a second, AAC at 16 kHz."""
    speech = _speech()
    seconds = round(hours * 3600)
    with av.open(str(target), "w") as output:
        options = {"preset": "ultrafast", "crf": "28", "g": "50"}
        video = output.add_stream("libx264", rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        # Decoders fill substituted noise with random numbers: no two ranges would be alike.
        audio = output.add_stream("aac", rate=SOUND_RATE, options={"aac_pns": "0"})
        audio.codec_context.layout = "mono"
        written = 0
        for number in range(seconds * RATE):
            frame = VideoFrame.from_ndarray(draw(number), format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(video.encode(frame))
            while written * RATE < (number + 1) * SOUND_RATE:
                block = AudioFrame.from_ndarray(
                    _block(speech, written), format="fltp", layout="mono"
                )
                block.sample_rate, block.pts = SOUND_RATE, written
                block.time_base = Fraction(1, SOUND_RATE)
                output.mux(audio.encode(block))
                written += BLOCK
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return target


def _speech() -> NDArray[np.float32]:
    """A spoken sentence, mono at 16 kHz."""
    resampler = av.AudioResampler("flt", "mono", SOUND_RATE)
    with av.open(str(SPEECH)) as source:
        parts = [
            part.to_ndarray().reshape(-1)
            for frame in source.decode(audio=0)
            for part in resampler.resample(frame)
        ]
    return np.concatenate(parts).astype(np.float32)


def _block(speech: NDArray[np.float32], start: int) -> NDArray[np.float32]:
    """The sound's samples [start, start + 1024), shape (1, 1024): speech now and then."""
    block = np.zeros((1, BLOCK), np.float32)
    within = start % (SPEECH_EVERY_SECONDS * SOUND_RATE) - SPEECH_AT_SECONDS * SOUND_RATE
    if 0 <= within < len(speech):
        spoken = speech[within : within + BLOCK]
        block[0, : len(spoken)] = spoken
    return block


class Peaks:
    """Highest memory so far, in MB."""

    stack = 0.0
    others = 0.0


@contextmanager
def watched(stack: ScriptedStack) -> Iterator[Peaks]:
    """Memory of the stack's processes, looked at twice a second."""
    ended, peaks = threading.Event(), Peaks()

    def watch() -> None:
        while not ended.wait(0.5):
            own = _share_mb(stack.description.pid)
            pids = stack.processes("")
            others = sum(_share_mb(pid) for pid in pids if pid != stack.description.pid)
            peaks.stack, peaks.others = max(peaks.stack, own), max(peaks.others, others)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        ended.set()
        watcher.join()


def _share_mb(process: int) -> float:
    """Resident memory of a process; pages that several share count in part. 0 when it is gone."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(text.partition("Pss:")[2].split()[0]) / 1_000


def screen(stack: ScriptedStack, video: bytes, sampling: Sampling, hours: float) -> LongRun:
    """Upload the video, wait for its document, check it and count.

    Raises:
        AssertionError: it did not become a document that covers the whole video.
    """
    before = stack.requests()
    started = time.monotonic()
    with watched(stack) as peaks:
        name = stack.upload("long.mp4", video)
        record = stack.wait(name, PATIENCE_SECONDS)
    wall_seconds = time.monotonic() - started
    used = stack.requests() - before
    document = stack.document(record)
    check_cover(stack, document, sampling, hours)
    items = len(record.progress.analyses)
    assert items <= LIST_LIMIT, items
    steps = {step.name: step for step in record.progress.steps}
    plan_started = steps["PlanAnalyses"].started_at
    return LongRun(
        ranges=len(document.sampling.chunks) if document.sampling else 0,
        items=items,
        frames=document.sampling.frames_analyzed if document.sampling else 0,
        extraction_seconds=_between(steps["ExtractRanges"].started_at, plan_started),
        analysis_seconds=_between(
            min(run.started_at for run in record.progress.analyses),
            steps["AggregateResults"].started_at,
        ),
        wall_seconds=wall_seconds,
        transitions=record.progress.transitions,
        s3_requests=sum(count for what, count in used.items() if what.service == "s3"),
        peak_stack_mb=peaks.stack,
        peak_others_mb=peaks.others,
        document_mb=len(document.model_dump_json()) / 1e6,
    )


def _between(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()


def check_cover(stack: ScriptedStack, document: Document, sampling: Sampling, hours: float) -> None:
    """The ranges together are the whole.

    Raises:
        AssertionError: a frame, a span or a sample is lost, doubled or out of place.
    """
    assert document.status is DocumentStatus.COMPLETE, document.analyses
    assert document.sampling is not None
    assert document.sampling.losses == {}, document.sampling.losses
    end_ms = round(hours * 3_600_000)
    step_ms = round(1000 / sampling.frames_per_second)
    times_ms = list(range(0, end_ms, step_ms))
    for analyzer in (Analyzer.MODERATION, Analyzer.FACES, Analyzer.OBJECTS):
        report = document.analyses[analyzer]
        if report.status is not AnalysisState.COMPLETE:
            continue
        frames = [
            frame
            for key in sorted(report.observation_keys)
            for frame in _ANSWERS[analyzer].model_validate_json(_work_object(stack, key)).frames
        ]
        assert [frame.timestamp_ms for frame in frames] == times_ms
        assert [frame.span_start_ms for frame in frames] == times_ms
        assert [frame.span_end_ms for frame in frames] == [*times_ms[1:], end_ms]
    drawn = list(_numbers(stack, document))
    assert drawn == [time_ms * RATE // 1000 for time_ms in times_ms]
    _check_sound(stack, document, end_ms)


_ANSWERS: dict[
    Analyzer, type[ModerationObservations] | type[FacesObservations] | type[ObjectsObservations]
] = {
    Analyzer.MODERATION: ModerationObservations,
    Analyzer.FACES: FacesObservations,
    Analyzer.OBJECTS: ObjectsObservations,
}


def _numbers(stack: ScriptedStack, document: Document) -> Iterator[int]:
    """The numbers drawn into the stored pictures, in the order of ranges and frames."""
    assert document.video_id is not None
    assert document.sampling is not None
    for chunk in document.sampling.chunks:
        key = storage.frames_key(document.video_id, document.sampling.sampling_id, chunk.chunk)
        for frame in BundleReader(io.BytesIO(_work_object(stack, key))):
            yield read_number(frame.jpeg)


def _check_sound(stack: ScriptedStack, document: Document, end_ms: int) -> None:
    """Every range's sound reaches over its ends, with the same samples as its neighbour."""
    assert document.video_id is not None
    assert document.sampling is not None
    chunks = document.sampling.chunks
    assert chunks[0].audio_start_ms == 0
    reach = AUDIO_OVERLAP_MS * SOUND_RATE // 1000
    before: NDArray[np.int16] | None = None
    for chunk in chunks:
        key = storage.audio_key(document.video_id, document.sampling.sampling_id, chunk.chunk)
        samples = _samples(_work_object(stack, key))
        assert len(samples) * 1000 // SOUND_RATE == chunk.audio_duration_ms
        if before is not None:
            assert np.array_equal(before[-2 * reach :], samples[: 2 * reach])
        before = samples
    for one, following in pairwise(chunks):
        overlap_ms = one.audio_start_ms + one.audio_duration_ms - following.audio_start_ms
        assert overlap_ms == 2 * AUDIO_OVERLAP_MS
    # AAC pads its last block.
    padding_ms = chunks[-1].audio_start_ms + chunks[-1].audio_duration_ms - end_ms
    assert 0 <= padding_ms <= 2 * BLOCK * 1000 // SOUND_RATE, padding_ms


def _samples(flac: bytes) -> NDArray[np.int16]:
    with av.open(io.BytesIO(flac), "r") as container:
        blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(blocks).astype(np.int16)


def _work_object(stack: ScriptedStack, key: str) -> bytes:
    bucket = stack.description.work_bucket
    return stack.s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def scripted(folder: Path, video: bytes, hours: float, instances: int, speed: float) -> LongRun:
    """On model servers that take as long as GPUs, `speed` times as fast."""
    folder.mkdir()
    limits = {f"{analyzer.capitalize()}MaxInstances": str(instances) for analyzer in Analyzer}
    endpoints = assumptions.load().endpoints
    with scripted_stack(folder, limits) as stack:
        stack.screen("warm-up.mp4", tiny_clip(audio=True))
        for analyzer in Analyzer:
            model = endpoints[analyzer]
            stack.behave(
                analyzer,
                "slow",
                seconds=model.overhead_seconds / speed,
                seconds_per_unit=model.seconds_per_unit / speed,
            )
        return screen(stack, video, Sampling(), hours)


def real(folder: Path, video: bytes, hours: float) -> LongRun:
    """On the installed models."""
    folder.mkdir()
    sampling = Sampling(frames_per_second=REAL_FRAMES_PER_SECOND)
    parameters = {"Sampling": sampling.model_dump_json()}
    with scripted_stack(folder, parameters, packs_home=Places().home) as stack:
        return screen(stack, video, sampling, hours)


def table(runs: dict[str, LongRun]) -> str:
    rows: list[tuple[str, Callable[[LongRun], str]]] = [
        ("ranges", lambda run: f"{run.ranges}"),
        ("items of the list (at most 40)", lambda run: f"{run.items}"),
        ("frames", lambda run: f"{run.frames:,}"),
        ("extraction of all ranges, s", lambda run: f"{run.extraction_seconds:.0f}"),
        ("analyses, s", lambda run: f"{run.analysis_seconds:.0f}"),
        ("upload to document, s", lambda run: f"{run.wall_seconds:.0f}"),
        ("state transitions", lambda run: f"{run.transitions:,}"),
        ("S3 requests", lambda run: f"{run.s3_requests:,}"),
        ("memory of the emulators at most, MB", lambda run: f"{run.peak_stack_mb:.0f}"),
        ("memory of all other processes, MB", lambda run: f"{run.peak_others_mb:.0f}"),
        ("document, MB", lambda run: f"{run.document_mb:.2f}"),
    ]
    lines = ["| | " + " | ".join(runs) + " |", "|---|" + "---:|" * len(runs)]
    lines += [
        "| " + " | ".join([name, *(cell(run) for run in runs.values())]) + " |"
        for name, cell in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--speed", type=float, default=4, help="of the scripted model servers")
    parser.add_argument("--real", action="store_true", help="on the installed models instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        video = write_video(Path(folder) / "long.mp4", arguments.hours).read_bytes()
        print(f"{len(video) / 1e6:.1f} MB of video in {time.monotonic() - started:.0f} s\n")
        if arguments.real:
            print(table({"installed models": real(Path(folder) / "r", video, arguments.hours)}))
            return
        one, two = (
            scripted(Path(folder) / f"{n}", video, arguments.hours, n, arguments.speed)
            for n in (1, 2)
        )
    print(table({"1 instance each": one, "2 instances each": two}))
    print(
        f"\nanalyses with 2 instances: {one.analysis_seconds / two.analysis_seconds:.2f}x as fast"
    )


if __name__ == "__main__":
    main()
