"""Whether a long video's ranges are the whole of it: no frame, span or sample lost or twice."""

import io
from collections.abc import Iterator
from itertools import pairwise

import av
import numpy as np
from numpy.typing import NDArray

from bench.long_material import BLOCK, RATE, SOUND_RATE
from screener import storage
from screener.bundles import BundleReader
from screener.document import AnalysisState, Document, DocumentStatus
from screener.media.extraction import AUDIO_OVERLAP_MS
from screener.observations import (
    Analyzer,
    FacesObservations,
    ModerationObservations,
    ObjectsObservations,
)
from screener.sampling import Sampling
from tests.faults.scripted_stack import ScriptedStack
from tests.media_clips import read_number


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
