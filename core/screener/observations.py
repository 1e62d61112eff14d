"""What model servers return: measurements, never decisions.

Coordinates are ratios of the frame's width and height (0 to 1, origin top left), so they
hold for the stored frame and for the source alike. Times are whole milliseconds on the
video's timeline. Embeddings are float16, little-endian, base64.
"""

import base64
import binascii
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from screener.model import Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Ratio = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[int, Field(ge=0)]


class Analyzer(StrEnum):
    """The four analyses. An endpoint, a model server and a document section share the name."""

    MODERATION = "moderation"
    FACES = "faces"
    TRANSCRIPTION = "transcription"
    OBJECTS = "objects"


class PackReference(Message):
    """Which weights produced an observation."""

    role: str
    name: str
    version: str
    licence: str
    sha256: str


class Box(Message):
    """A rectangle in ratios of the frame."""

    left: Ratio
    top: Ratio
    width: Ratio
    height: Ratio


class Detection(Message):
    label: str
    score: Ratio
    box: Box


class FrameTime(Message):
    """Base of every per-frame observation; the fields repeat the bundle's `FrameEntry`."""

    index: Annotated[int, Field(ge=0)]
    timestamp_ms: Milliseconds
    span_start_ms: Milliseconds
    span_end_ms: Milliseconds


class Observations(Message):
    """Base of the four results."""

    packs: list[PackReference]
    provider: str
    """What ran the models, as ONNX Runtime or CTranslate2 names it."""
    timings_ms: dict[str, float]
    """Wall time per stage inside the server; "total" is the whole request."""
    chunk: Annotated[int, Field(ge=0)] = 0


class ModerationFrame(FrameTime):
    nsfw_probability: Ratio | None
    """OpenNSFW2's single score; None when its pack is absent."""
    detections: list[Detection]
    """NudeNet's regions with its own labels, in upper case as the model names them."""


class ModerationObservations(Observations):
    analyzer: Literal[Analyzer.MODERATION] = Analyzer.MODERATION
    detector_labels: list[str]
    """Every label that the detector can give; empty when its pack is absent."""
    frames: list[ModerationFrame]


class Face(Message):
    box: Box
    score: Ratio
    landmarks: Annotated[list[tuple[float, float]], Field(min_length=5, max_length=5)]
    """Eyes, nose, mouth corners as (x, y) ratios; may lie slightly outside the frame."""
    embedding: str
    """Unit vector of `FacesObservations.embedding_size` values, see `encode_embedding`."""


class FacesFrame(FrameTime):
    faces: list[Face]


class FacesObservations(Observations):
    analyzer: Literal[Analyzer.FACES] = Analyzer.FACES
    embedding_size: Annotated[int, Field(gt=0)]
    frames: list[FacesFrame]


class Word(Message):
    start_ms: Milliseconds
    end_ms: Milliseconds
    text: str
    probability: Ratio


class SpeechSegment(Message):
    start_ms: Milliseconds
    end_ms: Milliseconds
    text: str
    average_log_probability: float
    no_speech_probability: Ratio
    words: list[Word]


class TranscriptionObservations(Observations):
    analyzer: Literal[Analyzer.TRANSCRIPTION] = Analyzer.TRANSCRIPTION
    language: str
    language_probability: Ratio
    duration_ms: Milliseconds
    speech_ms: Milliseconds
    """Time in which the voice activity detector heard speech."""
    segments: list[SpeechSegment]


class ObjectsFrame(FrameTime):
    objects: list[Detection]
    clip_embedding: str | None
    """Unit vector of the image tower, see `encode_embedding`; None when its pack is absent."""


class ObjectsObservations(Observations):
    analyzer: Literal[Analyzer.OBJECTS] = Analyzer.OBJECTS
    detector_labels: list[str]
    """Every class that the detector knows; empty when its pack is absent."""
    clip_logit_scale: float | None
    """CLIP's learned temperature: softmax input is scale x cosine."""
    frames: list[ObjectsFrame]


class TextEmbeddings(Observations):
    """The objects server's answer to a list of texts (`application/json` request)."""

    analyzer: Literal[Analyzer.OBJECTS] = Analyzer.OBJECTS
    clip_logit_scale: float
    texts: list[str]
    embeddings: list[str]


RESULT_TYPES: dict[Analyzer, type[Observations]] = {
    Analyzer.MODERATION: ModerationObservations,
    Analyzer.FACES: FacesObservations,
    Analyzer.TRANSCRIPTION: TranscriptionObservations,
    Analyzer.OBJECTS: ObjectsObservations,
}


def encode_embedding(vector: "NDArray[np.floating]") -> str:
    """Base64 of the vector as little-endian float16, shape (D,)."""
    # Every function imports this module for `Analyzer`; few of them need NumPy's 0.1 s.
    import numpy as np

    return base64.b64encode(np.asarray(vector, dtype="<f2").tobytes()).decode("ascii")


def decode_embedding(text: str) -> "NDArray[np.float32]":
    """Inverse of `encode_embedding`, shape (D,).

    Raises:
        ValueError: not base64, or not a whole number of float16 values.
    """
    import numpy as np

    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2").astype(np.float32)


def decode_embeddings(texts: Iterable[str], size: int) -> "NDArray[np.float32]":
    """Many embeddings of one size at once, shape (N, size).

    Raises:
        ValueError: one of them is not base64, or has another size.
    """
    import numpy as np

    parts = [binascii.a2b_base64(text, strict_mode=True) for text in texts]
    item_bytes = np.dtype("<f2").itemsize
    wrong = next((part for part in parts if len(part) != size * item_bytes), None)
    if wrong is not None:
        raise ValueError(f"it has {len(wrong) / item_bytes:g} values instead of {size}")
    together = np.frombuffer(b"".join(parts), dtype="<f2").astype(np.float32)
    return together.reshape(len(parts), size)
