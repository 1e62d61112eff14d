"""Judging an archive again: time per video, and how large documents become.

    python -m bench.rejudge [--videos 400] [--workers 2]

A video of the benchmark has ten minutes at 1 fps: 600 frames with NSFW scores and regions,
1 to 3 faces with 512-D embeddings each, 4 objects and a 512-D CLIP embedding per frame, and
1,500 words; the index knows 200 people by 1,000 portraits. The whole command runs: documents
and observations are read from disk, parsed, judged, composed and written.
The yardstick is 10,000 such videos in 600 s on two cores, which is 120 ms of a core each.
"""

import argparse
import os
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from local.rejudge.archive import FolderArchive
from local.rejudge.workers import Task, judge_archive
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
from screener.policy.known_faces import IndexMetadata, dump_known_faces, load_known_faces
from screener.policy.loading import Preset, load_preset
from screener.policy.material import AnalysisMaterial, Material
from screener.sampling import Sampling

ARCHIVE = 10_000
TARGET_S = 600.0
CORES = 2
DISTINCT = 20
"""Different videos on disk; the archive repeats them, so the disk is not what is measured."""
DIMENSION = 512
SPOKEN = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "until", "noon")
_BOX = Box(left=0.2, top=0.2, width=0.3, height=0.3)


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
            probability=0.9,
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
                    nsfw_probability=float(random.random() * 0.4),
                    detections=[Detection(label="FACE_FEMALE", score=0.8, box=_BOX)] * 2,
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
                            box=_BOX,
                            score=0.9,
                            landmarks=[(0.25, 0.3)] * 5,
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
                    objects=[Detection(label="person", score=0.8, box=_BOX)] * 4,
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
    """Documents and observations of `DISTINCT` videos, and the embeddings of the prompts."""
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
    return addresses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=int, default=400)
    parser.add_argument("--workers", type=int, default=CORES)
    parser.add_argument("--dry-run", action="store_true", help="verdicts only")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    index = dump_known_faces(
        random.standard_normal((1_000, DIMENSION)).astype(np.float32),
        [f"person {number // 5}" for number in range(1_000)],
        IndexMetadata(recogniser=RECOGNISER),
    )
    with TemporaryDirectory() as name:
        folder = Path(name)
        addresses = write_archive(folder)
        policy = load_preset(Preset.STRICT)
        known = load_known_faces(index)
        task = Task(FolderArchive(folder), policy, known, dry_run=options.dry_run)
        many = [addresses[number % DISTINCT] for number in range(options.videos)]
        started, used = time.perf_counter(), children_s()
        judged = sum(item.skipped is None for item in judge_archive(task, many, options.workers))
        wall_s, cpu_s = time.perf_counter() - started, children_s() - used
    assert judged == options.videos, "every video must have been judged"
    wall = wall_s / judged * ARCHIVE
    cpu = cpu_s / judged * ARCHIVE / CORES
    print(f"{judged} ten-minute videos, {options.workers} processes, load {os.getloadavg()[0]:.1f}")
    print(f"processor time per video: {cpu_s / judged * 1_000:.0f} ms")
    print(f"{ARCHIVE} videos: {wall:.0f} s as measured; {cpu:.0f} s of {CORES} idle cores")
    print(
        f"ratio to the target of {TARGET_S:.0f} s: {wall / TARGET_S:.2f} measured, "
        f"{cpu / TARGET_S:.2f} by processor time"
    )
    for minutes in (10, 60, 360):
        size = len(document_of(observations(minutes, 1), "size", minutes).model_dump_json())
        print(f"document of {minutes} min: {size / 1_000_000:.2f} MB")


def children_s() -> float:
    """Processor time of ended child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
