"""Documents and frame bundles that the report's tests start from."""

import dataclasses
import io

import numpy as np
from PIL import Image

from screener.bundles import FrameBundleManifest, FrameEntry, write_bundle
from screener.composing import judged_document, pipeline_run
from screener.document import Document
from screener.observations import Analyzer
from screener.policy.engine import judge
from screener.policy.known_faces import (
    IdentityNote,
    IndexMetadata,
    dump_known_faces,
    load_known_faces,
)
from screener.policy.loading import Preset, load_preset
from screener.sampling import Sampling
from tests.observation_examples import (
    RECOGNISER,
    face,
    faces,
    material,
    moderation,
    objects,
    person_vector,
    transcription,
)

FRAMES = 30
WIDTH, HEIGHT = 640, 360
HOSTILE = (
    "uploads/<img src=x onerror=\"document.title='owned'\">\u202e</title>"
    "<script>document.title='owned'</script>.mp4"
)
HOSTILE_SPEECH = (
    "</script><script>document.title='owned'</script> then i will kill you "
    "{{7*7}} ${7*7} what the fuck --> happened"
)


def document(
    key: str = "uploads/clip.mp4", speech: str = "so i will kill you what the fuck"
) -> Document:
    """A video with findings of every kind."""
    unsafe = range(10, 13)
    given = material(
        moderation(
            [
                (0.9, {"FEMALE_BREAST_EXPOSED": 0.8}) if index in unsafe else (0.05, {})
                for index in range(FRAMES)
            ]
        ),
        faces(
            [[face(person_vector(index % 3))] if index % 7 < 5 else [] for index in range(FRAMES)]
        ),
        transcription(speech, duration_ms=FRAMES * 1_000),
        objects([{"person": 0.9, "knife": 0.7} if index % 5 else {} for index in range(FRAMES)]),
        frame_count=FRAMES,
    )
    video = given.video.model_copy(update={"key": key, "duration_ms": FRAMES * 1_000})
    known = load_known_faces(
        dump_known_faces(
            np.stack([person_vector(0)]),
            ["<b>Ann</b>"],
            IndexMetadata(
                recogniser=RECOGNISER,
                identities={
                    "<b>Ann</b>": IdentityNote(urls=["https://example.org/ann"], notes="banned")
                },
            ),
        )
    )
    given = dataclasses.replace(given, video=video)
    return judged_document(
        given,
        judge(given, load_preset(Preset.BALANCED), known),
        pipeline_run("arn:aws:states:us-east-1:1:execution:s:x", None, "2026-11-23T00:00:00+00:00"),
        last_modified=None,
        instance_types=dict.fromkeys(Analyzer, "local"),
    )


def bundle(given: Document) -> bytes:
    """Its frames: a gradient, with a bright rectangle inside the examples' boxes."""
    assert given.video_id is not None
    assert given.sampling is not None
    manifest = FrameBundleManifest(
        video_id=given.video_id,
        sampling_id=given.sampling.sampling_id,
        sampling=Sampling(),
        chunk=0,
        time_base="1/1000",
        width=WIDTH,
        height=HEIGHT,
        frames=[
            FrameEntry(
                index=index,
                name=f"frame_{index:06d}.jpg",
                pts=index * 1_000,
                timestamp_ms=index * 1_000,
                span_start_ms=index * 1_000,
                span_end_ms=(index + 1) * 1_000,
            )
            for index in range(FRAMES)
        ],
    )
    target = io.BytesIO()
    write_bundle(target, manifest, (picture(index) for index in range(FRAMES)))
    return target.getvalue()


def picture(index: int) -> bytes:
    """Chequered all over, so that blur anywhere can be measured."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    chequered = (((x // 8) + (y // 8)) % 2 * 200).astype(np.uint8)
    image = np.stack([chequered, chequered, np.full_like(chequered, index * 8)], axis=2)
    target = io.BytesIO()
    Image.fromarray(image).save(target, "JPEG", quality=90)
    return target.getvalue()
