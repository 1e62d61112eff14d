"""Observations as model servers give them, made from a few words per test."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from screener import identity
from screener.document import AnalysisState
from screener.messages import ExtractedRange, VideoDescription
from screener.observations import (
    Analyzer,
    Box,
    Detection,
    Face,
    FacesFrame,
    FacesObservations,
    ModerationFrame,
    ModerationObservations,
    ObjectsFrame,
    ObjectsObservations,
    Observations,
    PackReference,
    SpeechSegment,
    TextEmbeddings,
    TranscriptionObservations,
    Word,
    encode_embedding,
)
from screener.policy.material import AnalysisMaterial, Material
from screener.sampling import Sampling

DIMENSION = 32
NUDENET_LABELS = [
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "BUTTOCKS_EXPOSED",
    "ANUS_EXPOSED",
    "FACE_FEMALE",
    "FACE_MALE",
    "FEMALE_BREAST_COVERED",
]
COCO_SOME = ["person", "car", "dog", "knife", "wine glass"]
BOX = Box(left=0.25, top=0.25, width=0.5, height=0.5)


def pack(role: str, name: str) -> PackReference:
    return PackReference(role=role, name=name, version="1", licence="MIT", sha256=f"{name:0<64.64}")


RECOGNISER = pack("recogniser", "mobilefacenet-arcface-512")
CLIP = pack("clip", "clip-vit-b-32")


def times(index: int) -> dict[str, int]:
    """One frame per second."""
    return {
        "index": index,
        "timestamp_ms": index * 1_000,
        "span_start_ms": index * 1_000,
        "span_end_ms": (index + 1) * 1_000,
    }


def moderation(
    frames: Sequence[tuple[float | None, Mapping[str, float]]],
    *,
    chunk: int = 0,
    first_ms: int = 0,
    labels: Sequence[str] = NUDENET_LABELS,
) -> ModerationObservations:
    """Per frame: OpenNSFW's score, NudeNet's labels with scores."""
    return ModerationObservations(
        packs=[pack("detector", "nudenet-320n"), pack("classifier", "opennsfw2")],
        provider="CPUExecutionProvider",
        timings_ms={"decode": 2.0, "total": 1_800.0},
        chunk=chunk,
        detector_labels=list(labels),
        frames=[
            ModerationFrame(
                index=index,
                timestamp_ms=first_ms + index * 1_000,
                span_start_ms=first_ms + index * 1_000,
                span_end_ms=first_ms + (index + 1) * 1_000,
                nsfw_probability=score,
                detections=[
                    Detection(label=label, score=confidence, box=BOX)
                    for label, confidence in found.items()
                ],
            )
            for index, (score, found) in enumerate(frames)
        ],
    )


def person_vector(number: int, noise: float = 0.0, seed: int = 0) -> NDArray[np.float32]:
    """A unit vector; people are orthogonal to each other, `noise` turns one a little."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[number] = 1.0
    if noise:
        vector += noise * np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def face(vector: NDArray[np.float32], left: float = 0.1, score: float = 0.9) -> Face:
    return Face(
        box=Box(left=left, top=0.1, width=0.2, height=0.3),
        score=score,
        landmarks=[(0.1, 0.1)] * 5,
        embedding=encode_embedding(vector),
    )


def faces(
    frames: Sequence[Sequence[Face]], *, recogniser: PackReference = RECOGNISER
) -> FacesObservations:
    return FacesObservations(
        packs=[pack("detector", "scrfd-500m"), recogniser],
        provider="CPUExecutionProvider",
        timings_ms={"total": 900.0},
        embedding_size=DIMENSION,
        frames=[
            FacesFrame(**times(index), faces=list(found)) for index, found in enumerate(frames)
        ],
    )


def words(text: str, *, start_ms: int = 0, step_ms: int = 400, probability: float = 0.9):
    """A word every `step_ms`, with the leading space that Whisper's words have."""
    return [
        Word(
            start_ms=start_ms + index * step_ms,
            end_ms=start_ms + (index + 1) * step_ms - 50,
            text=f" {word}",
            probability=probability,
        )
        for index, word in enumerate(text.split())
    ]


def transcription(
    text: str,
    *,
    language: str = "en",
    chunk: int = 0,
    start_ms: int = 0,
    duration_ms: int = 60_000,
    probability: float = 0.9,
) -> TranscriptionObservations:
    spoken = words(text, start_ms=start_ms, probability=probability)
    return TranscriptionObservations(
        packs=[pack("speech", "whisper-tiny.en")],
        provider="CTranslate2 int8",
        timings_ms={"total": 2_000.0},
        chunk=chunk,
        language=language,
        language_probability=0.99,
        duration_ms=duration_ms,
        speech_ms=sum(word.end_ms - word.start_ms for word in spoken),
        segments=[
            SpeechSegment(
                start_ms=spoken[0].start_ms,
                end_ms=spoken[-1].end_ms,
                text=text,
                average_log_probability=-0.2,
                no_speech_probability=0.01,
                words=spoken,
            )
        ]
        if spoken
        else [],
    )


def objects(
    frames: Sequence[Mapping[str, float]],
    *,
    labels: Sequence[str] = COCO_SOME,
    images: Sequence[NDArray[np.float32]] | None = None,
) -> ObjectsObservations:
    return ObjectsObservations(
        packs=[pack("detector", "yolov8n"), *([CLIP] if images is not None else [])],
        provider="CPUExecutionProvider",
        timings_ms={"total": 700.0},
        detector_labels=list(labels),
        clip_logit_scale=100.0 if images is not None else None,
        frames=[
            ObjectsFrame(
                **times(index),
                objects=[
                    Detection(label=label, score=confidence, box=BOX)
                    for label, confidence in found.items()
                ],
                clip_embedding=encode_embedding(images[index]) if images is not None else None,
            )
            for index, found in enumerate(frames)
        ],
    )


def text_embeddings(
    vectors: Mapping[str, NDArray[np.float32]], *, clip: PackReference = CLIP
) -> TextEmbeddings:
    return TextEmbeddings(
        packs=[clip],
        provider="CPUExecutionProvider",
        timings_ms={"total": 10.0},
        clip_logit_scale=100.0,
        texts=list(vectors),
        embeddings=[encode_embedding(vector) for vector in vectors.values()],
    )


VIDEO_ID = identity.video_id("media-bucket", "uploads/a.mp4", "v1")
VIDEO = VideoDescription(
    bucket="media-bucket",
    key="uploads/a.mp4",
    version_id="v1",
    etag="e1",
    size_bytes=1_000,
    duration_ms=10_000,
    container="mov,mp4,m4a,3gp,3g2,mj2",
    codecs=["h264", "aac"],
    width=640,
    height=480,
    frame_rate="24/1",
    has_audio=True,
)


def material(
    *observations: Observations,
    missing: Mapping[Analyzer, AnalysisMaterial] | None = None,
    frame_count: int | None = None,
    losses: Mapping[str, int] | None = None,
    scene_texts: Sequence[TextEmbeddings] = (),
) -> Material:
    """A video's material; analyses that are not given are uneventful."""
    given: dict[Analyzer, list[Observations]] = {}
    for item in observations:
        given.setdefault(Analyzer(item.analyzer), []).append(item)  # type: ignore[attr-defined]
    uneventful: dict[Analyzer, Observations] = {
        Analyzer.MODERATION: moderation([(0.01, {})] * 3),
        Analyzer.FACES: faces([[]] * 3),
        Analyzer.TRANSCRIPTION: transcription("hello there"),
        Analyzer.OBJECTS: objects([{}] * 3),
    }
    analyses = {
        analyzer: AnalysisMaterial(
            state=AnalysisState.COMPLETE,
            observations=given.get(analyzer, [uneventful[analyzer]]),
            observation_keys=[f"observations/v/{analyzer.value}/a/0000.json"],
        )
        for analyzer in Analyzer
    }
    sampling = Sampling()
    return Material(
        video_id=VIDEO_ID,
        video=VIDEO,
        sampling=sampling,
        sampling_id=sampling.sampling_id,
        media=[
            ExtractedRange(
                chunk=0,
                frames_key="media/x/frames-0000.tar",
                frame_count=frame_count or 3,
                audio_key="media/x/audio-0000.flac",
                audio_skipped=None,
                audio_duration_ms=60_000,
                losses=dict(losses or {}),
            )
        ],
        analyses={**analyses, **(missing or {})},
        scene_texts=scene_texts,
    )
