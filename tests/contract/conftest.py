"""One process per model server for the whole suite, each with a sample of good input."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from screener.observations import Analyzer
from tests.frame_bundles import VIDEO_ID, bundle_of, group_photo, jpeg
from tests.model_packs import face_packs, nudenet, opennsfw, random_clip, whisper, yolo
from tests.server_process import ServerProcess

ATTRIBUTES = {"video_id": VIDEO_ID, "chunk": 0}
BODY_LIMIT = 4 << 20
FRAMES = 3


class Subject(NamedTuple):
    """One server under the contract and what it takes."""

    analyzer: Analyzer
    packs: list[Path]
    content_type: str
    good: bytes
    wrong_type: str

    @property
    def takes_frames(self) -> bool:
        return self.content_type == "application/x-tar"


@pytest.fixture(scope="session")
def packs_of(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> "dict[Analyzer, list[Path]]":
    root = tmp_path_factory.mktemp("packs")
    packs = {
        Analyzer.MODERATION: [nudenet(root), opennsfw(root)],
        Analyzer.TRANSCRIPTION: [whisper(root)],
        Analyzer.OBJECTS: [random_clip(root)],
    }
    try:
        mirror: Path = request.getfixturevalue("model_mirror")
    except pytest.skip.Exception:
        return packs
    packs[Analyzer.FACES] = face_packs(root, mirror)
    packs[Analyzer.OBJECTS].append(yolo(root, mirror))
    return packs


@pytest.fixture(scope="session", params=list(Analyzer))
def subject(request: pytest.FixtureRequest, packs_of: "dict[Analyzer, list[Path]]") -> Subject:
    analyzer: Analyzer = request.param
    if analyzer not in packs_of:
        pytest.skip(f"{analyzer}: no wheel carries its weights and there is no mirror")
    if analyzer is Analyzer.TRANSCRIPTION:
        return Subject(analyzer, packs_of[analyzer], "audio/flac", hum(), "application/x-tar")
    good = bundle_of([jpeg(group_photo())] * FRAMES)
    return Subject(analyzer, packs_of[analyzer], "application/x-tar", good, "audio/flac")


@pytest.fixture(scope="session")
def server(subject: Subject) -> Iterator[ServerProcess]:
    with ServerProcess(
        subject.analyzer,
        subject.packs,
        SCREENER_MAX_BODY_BYTES=str(BODY_LIMIT),
        SCREENER_BODY_TIMEOUT_SECONDS="1",
    ) as process:
        yield process.wait_ready()


def hum(seconds: float = 2.0, rate: int = 16_000) -> bytes:
    """A FLAC file with a swelling tone: audio without speech."""
    time_s = np.arange(int(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * 220 * time_s) * np.linspace(0.05, 0.5, len(time_s))
    samples = (tone * 32767).astype(np.int16)[None]
    target = io.BytesIO()
    with av.open(target, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return target.getvalue()
