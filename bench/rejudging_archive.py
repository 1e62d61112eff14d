"""A synthetic archive for judging again: documents and observations on disk.

A video of it has ten minutes at 1 fps: 600 frames with NSFW scores and regions, 1 to 3 faces
with 512-D embeddings each, 4 objects and a 512-D CLIP embedding per frame, and 1,500 words; the
index knows 200 people by 1,000 portraits. Numbers have the digits that the model servers give.
"""

from pathlib import Path

import numpy as np

from screener import identity, scene_texts
from screener.composing import judged_document, pipeline_run
from screener.document import AnalysisState, Document
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
from screener.policy.engine import judge
from screener.policy.known_faces import IndexMetadata, dump_known_faces
from screener.policy.loading import Preset, load_preset
from screener.policy.material import AnalysisMaterial, Material
from screener.sampling import Sampling

DISTINCT = 20
"""Different videos on disk; the archive repeats them, so the disk is not what is measured."""
DIMENSION = 512
INDEX = "index.npz"
SPOKEN = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "until", "noon")


def pack(role: str, name: str) -> PackReference:
    digest = identity.digest_of([role, name], 64)
    return PackReference(role=role, name=name, version="1", licence="none", sha256=digest)


RECOGNISER = pack("recogniser", "w600k-r50")
OBJECT_PACKS = [pack("detector", "yolov8m"), pack("clip", "clip-vit-b-32")]


def observations(minutes: int, seed: int) -> dict[Analyzer, Observations]:
    """One synthetic video's observations."""
    random = np.random.default_rng(seed)
    frames = minutes * 60
    people = random.standard_normal((5, DIMENSION))

    def embedding(base: np.ndarray | None = None) -> str:
        vector = random.standard_normal(DIMENSION) * (1 if base is None else 0.3)
        vector = vector if base is None else vector + base
        return encode_embedding((vector / np.linalg.norm(vector)).astype(np.float32))

    def box() -> Box:
        left, top, width, height = (round(float(value), 5) for value in random.random(4) * 0.4)
        return Box(left=left, top=top, width=width, height=height)

    def score(low: float, high: float) -> float:
        return round(float(random.uniform(low, high)), 4)

    def landmarks() -> list[tuple[float, float]]:
        return [(round(float(x), 5), round(float(y), 5)) for x, y in random.random((5, 2))]

    def when(index: int) -> dict[str, int]:
        start = index * 1_000
        return {
            "index": index,
            "timestamp_ms": start,
            "span_start_ms": start,
            "span_end_ms": start + 1_000,
        }

    common = {"provider": "CPUExecutionProvider", "timings_ms": {"total": 1_000.0}}
    words = [
        Word(
            start_ms=n * 400,
            end_ms=n * 400 + 350,
            text=f" {SPOKEN[n % len(SPOKEN)]}",
            probability=score(0.3, 1.0),
        )
        for n in range(150 * minutes)
    ]
    return {
        Analyzer.MODERATION: ModerationObservations(
            packs=[pack("detector", "nudenet-320n"), pack("classifier", "opennsfw2")],
            detector_labels=["FACE_FEMALE", "BELLY_COVERED"],
            frames=[
                ModerationFrame(
                    **when(index),
                    nsfw_probability=score(0.0, 0.4),
                    detections=[
                        Detection(label=label, score=score(0.2, 0.9), box=box())
                        for label in ("FACE_FEMALE", "BELLY_COVERED")
                    ],
                )
                for index in range(frames)
            ],
            **common,
        ),
        Analyzer.FACES: FacesObservations(
            packs=[pack("detector", "scrfd-10g"), RECOGNISER],
            embedding_size=DIMENSION,
            frames=[
                FacesFrame(
                    **when(index),
                    faces=[
                        Face(
                            box=box(),
                            score=score(0.5, 0.95),
                            landmarks=landmarks(),
                            embedding=embedding(people[who]),
                        )
                        for who in range(int(random.integers(1, 4)))
                    ],
                )
                for index in range(frames)
            ],
            **common,
        ),
        Analyzer.TRANSCRIPTION: TranscriptionObservations(
            packs=[pack("speech", "whisper-small")],
            language="en",
            language_probability=0.99,
            duration_ms=frames * 1_000,
            speech_ms=frames * 800,
            segments=[
                SpeechSegment(
                    start_ms=part[0].start_ms,
                    end_ms=part[-1].end_ms,
                    text="".join(word.text for word in part),
                    average_log_probability=-0.2,
                    no_speech_probability=0.01,
                    words=part,
                )
                for part in (words[start : start + 12] for start in range(0, len(words), 12))
            ],
            **common,
        ),
        Analyzer.OBJECTS: ObjectsObservations(
            packs=OBJECT_PACKS,
            detector_labels=["person", "car", "knife", "wine glass"],
            clip_logit_scale=100.0,
            frames=[
                ObjectsFrame(
                    **when(index),
                    objects=[
                        Detection(label=label, score=score(0.25, 0.95), box=box())
                        for label in ("person", "person", "car", "wine glass")
                    ],
                    clip_embedding=embedding(),
                )
                for index in range(frames)
            ],
            **common,
        ),
    }


def document_of(found: dict[Analyzer, Observations], name: str, minutes: int) -> Document:
    """The document that the balanced preset makes of a video."""
    policy = load_preset(Preset.BALANCED)
    sampling = Sampling()
    material = Material(
        video_id=name,
        video=VideoDescription(
            bucket="media-bucket",
            key=f"uploads/{name}.mp4",
            version_id=None,
            etag=name,
            size_bytes=1,
            duration_ms=minutes * 60_000,
            container="mp4",
            codecs=["h264", "aac"],
            width=1280,
            height=720,
            frame_rate="30/1",
            has_audio=True,
        ),
        sampling=sampling,
        sampling_id=sampling.sampling_id,
        media=[
            ExtractedRange(
                chunk=0,
                frames_key="x",
                frame_count=minutes * 60,
                audio_key="x",
                audio_skipped=None,
                audio_duration_ms=minutes * 60_000,
            )
        ],
        analyses={
            analyzer: AnalysisMaterial(
                state=AnalysisState.COMPLETE,
                observations=[item],
                observation_keys=[f"observations/{name}/{analyzer.value}/0000.json"],
            )
            for analyzer, item in found.items()
        },
    )
    run = pipeline_run("bench", None, "2026-01-01T00:00:00+00:00")
    return judged_document(
        material, judge(material, policy, None), run, last_modified=None, instance_types={}
    )


def write_archive(folder: Path) -> list[str]:
    """Documents and observations of `DISTINCT` videos, the prompts' embeddings, the index.

    Returns:
        The documents' addresses.
    """
    addresses = []
    for number in range(DISTINCT):
        found = observations(10, number)
        document = document_of(found, f"v{number}", 10)
        for analyzer, item in found.items():
            path = folder / document.analyses[analyzer].observation_keys[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(item.model_dump_json())
        target = folder / f"v{number}.moderation.json"
        target.write_text(document.model_dump_json())
        addresses.append(str(target))
    policy = load_preset(Preset.STRICT)
    random = np.random.default_rng(1)
    texts = TextEmbeddings(
        packs=OBJECT_PACKS,
        provider="bench",
        timings_ms={},
        clip_logit_scale=100.0,
        texts=policy.scenes.prompts,
        embeddings=[
            encode_embedding(random.standard_normal(DIMENSION).astype(np.float32))
            for _ in policy.scenes.prompts
        ],
    )
    digest = identity.packs_digest((item.role, item.sha256) for item in OBJECT_PACKS)
    path = folder / scene_texts.embeddings_key(policy, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(texts.model_dump_json())
    portraits = np.random.default_rng(2).standard_normal((1_000, DIMENSION)).astype(np.float32)
    people = [f"person {number // 5}" for number in range(1_000)]
    metadata = IndexMetadata(recogniser=RECOGNISER)
    (folder / INDEX).write_bytes(dump_known_faces(portraits, people, metadata))
    return addresses
